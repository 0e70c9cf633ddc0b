# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's jobs: takes that wait, run and have ended. What a take is stands in its folder; the index only says which takes
were asked for, so that those that wait outlive the worker."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import LucidError
from ..shot.store import MANIFEST, SUFFIX, open_shot, read_json, sha256_file, write_json
from ..shot.takes import State, Take, get_take, resume
from .protocol import RESUME, RUNNING, WAITING, Job, Submit, job_id

INDEX = "jobs.json"
KEPT = 100                  # ended jobs that are still listed
_SCHEMA = "lucid.jobs/1"
_HINT = "give the absolute path of a NAME.lucid folder made by capture"
Tell = Callable[[str, Job, dict[str, Any]], object]


def shot_folder(text: str, roots: Sequence[Path] = ()) -> Path:
    """The resolved folder of a shot that the worker may touch: absolute, without "..", a real folder NAME.lucid with a real
    shot.json, this user's own, and below one of ``roots`` where there are any. Raises SHOT_PATH, SHOT_MISSING."""
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text or path.suffix != SUFFIX:
        raise LucidError("SHOT_PATH", f"'{text[:200]}' is not the absolute path of a shot", _HINT)
    try:
        folder = path.resolve()
        if roots and not any(folder.is_relative_to(root.resolve()) for root in roots):
            raise LucidError("SHOT_PATH", f"{path} is outside the worker's folders",
                             "start the worker with another --root, or put the shot below: " + ", ".join(map(str, roots)))
        if not folder.is_dir() or not (folder / MANIFEST).is_file():
            raise LucidError("SHOT_MISSING", f"{path} is not a shot: it has no {MANIFEST}", _HINT)
        if path.is_symlink() or (folder / MANIFEST).is_symlink() or (folder / "takes").is_symlink():
            raise LucidError("SHOT_PATH", f"{path}, its {MANIFEST} or its takes are a link", _HINT)
        if os.name != "nt" and folder.stat().st_uid != os.geteuid():
            raise LucidError("SHOT_PATH", f"{path} belongs to another user", "copy the shot to a folder of your own")
    except (OSError, RuntimeError, ValueError) as error:        # a name too long, a folder not to be read, a circle of links
        raise LucidError("SHOT_MISSING", f"'{text[:200]}' cannot be read: {error}", _HINT) from error
    return folder


class Jobs:
    """``tell(event, job, more)`` hears what happens, from whichever thread it happens in. Every method may be called from any
    thread; those that touch takes wait for the disk."""

    def __init__(self, index: Path, tell: Tell, roots: Sequence[Path] = ()) -> None:
        self._index, self._tell, self._roots = index, tell, roots
        self._jobs: dict[str, Job] = {}
        self._takes: dict[str, Take] = {}
        self._waiting: deque[str] = deque()
        self._closed = False
        self._changed = threading.Condition(threading.RLock())
        self._submitting, self._writing = threading.Lock(), threading.Lock()
        self._read_index()

    def submit(self, submit: Submit) -> Job:
        """Queue a take. A job that waits, runs or is known to have ended is given back as it is; an ended one that can go on
        does with RESUME. Raises what :func:`shot_folder`, open_shot, get_take and resume raise, TAKE_NOT_QUEUED, DISK_WRITE,
        WORKER_STOPPING."""
        folder = shot_folder(submit.shot, self._roots)
        open_shot(folder, verify=False)         # the run verifies every file
        take = get_take(folder, submit.take)
        if take.folder.resolve() != folder / "takes" / take.folder.name:
            raise LucidError("SHOT_PATH", f"take {take.number} is a link", "give a take made by Lucid")
        take.check_shot()
        number = job_id(folder, sha256_file(folder / MANIFEST), take.number)
        with self._submitting:
            known = self._jobs.get(number)
            if known is not None and (not known.over or _settled(take, submit.action)):
                return known
            if submit.action == RESUME and take.state() is not State.QUEUED:
                if take.state() is State.RUNNING:
                    raise LucidError("TAKE_NOT_QUEUED", f"another process is at take {take.number}", "wait for it, or cancel it")
                resume(take)
            take.check_queued()
            return self._enqueue(Job(number, str(folder), take.number, WAITING), take)

    def cancel(self, number: str) -> Job:
        """A job that waits is cancelled at once, one that runs is asked to stop. Raises JOB_MISSING, DISK_WRITE."""
        with self._changed:
            job = self.get(number)
            waits = number in self._waiting
            if waits:
                self._waiting.remove(number)        # from here on nobody else runs it
        if waits:
            return self._cancel_waiting(job)
        if not job.over:
            self._takes[number].ask_to_cancel()
        return self.get(number)

    def get(self, number: str) -> Job:
        """Raises JOB_MISSING."""
        try:
            return self._jobs[number]
        except KeyError:
            raise LucidError("JOB_MISSING", f"the worker has no job '{number[:40]}'", "list the jobs, or submit the take again"
                             ) from None

    def listed(self, number: Callable[[], int]) -> tuple[list[Job], int]:
        """Ended jobs, the one that runs, those that wait in their order; and ``number()`` of that very moment."""
        with self._changed:
            order = {job: place for place, job in enumerate(self._waiting)}
            jobs = sorted(self._jobs.values(), key=lambda job: (not job.over, job.id in order, order.get(job.id, 0)))
            return jobs, number()

    @property
    def active(self) -> int:
        """How many wait or run."""
        with self._changed:
            return sum(not job.over for job in self._jobs.values())

    def next(self) -> tuple[Job, Take] | None:
        """Wait for a job and take it from the queue; None once the registry is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            job = self._set(self._waiting.popleft(), "started", state=RUNNING, text="starting")
            return job, self._takes[job.id]

    def update(self, number: str, event: str, *, more: dict[str, Any] | None = None, **fields: Any) -> Job:
        """Set fields of a job and tell it."""
        with self._changed:
            return self._set(number, event, more, **fields)

    def end(self, number: str, state: State, error: LucidError | None = None) -> Job:
        """The job is over."""
        with self._changed:
            job = self._set(number, "ended", state=state.value, text="", seconds_left=None,
                            error=error.to_json() if error else None)
        self._write_index()
        return job

    def close(self) -> None:
        """Hand out no further job: those that wait stay queued, in their folders and in the index."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _set(self, number: str, event: str, more: dict[str, Any] | None = None, **fields: Any) -> Job:
        """Events are told under the lock: their numbers are in the order of what happened."""
        job = self._jobs[number] = replace(self._jobs[number], **fields)
        self._tell(event, job, more or {})
        return job

    def _enqueue(self, job: Job, take: Take) -> Job:
        with self._changed:
            if self._closed:
                raise LucidError("WORKER_STOPPING", "the worker is about to end", "try again in a moment")
            before = self._jobs.pop(job.id, None)       # it comes last again
            self._jobs[job.id], self._takes[job.id] = job, take
        try:
            self._store_index()
        except LucidError:
            with self._changed:
                del self._jobs[job.id]
                if before is not None:
                    self._jobs[job.id] = before
            raise
        with self._changed:
            self._set(job.id, "queued")
            self._waiting.append(job.id)
            self._changed.notify_all()
            return job

    def _cancel_waiting(self, job: Job) -> Job:
        take = self._takes[job.id]
        try:
            with take.alone():
                take.check_queued()
                take.finish(State.CANCELLED, error=None, seconds=0.0)
        except LucidError as error:         # another process has it, or the disk is full: the take stays what it is
            return self.end(job.id, State.FAILED, error)
        return self.end(job.id, State.CANCELLED)

    def _store_index(self) -> None:
        with self._writing:
            with self._changed:
                over = [job for job in self._jobs.values() if job.over]
                for job in over[:max(0, len(over) - KEPT)]:
                    del self._jobs[job.id], self._takes[job.id]
                rows = [{"id": job.id, "shot": job.shot, "take": job.take, "over": job.over} for job in self._jobs.values()]
            write_json(self._index, {"schema": _SCHEMA, "jobs": rows})

    def _write_index(self) -> None:
        """The index is no truth: a job that ended must not fail because it could not be noted."""
        try:
            self._store_index()
        except LucidError as error:
            _log(str(error))

    def _read_index(self) -> None:
        if not self._index.is_file():
            return
        try:
            rows = read_json(self._index, "JOBS_INVALID", "nothing is lost: submit the takes again")["jobs"]
            found = [(str(row["id"]), str(row["shot"]), int(row["take"]), bool(row["over"])) for row in rows]
        except (LucidError, KeyError, TypeError, ValueError) as error:
            _log(f"{self._index} is set aside: {error}")
            os.replace(self._index, self._index.with_suffix(".broken"))
            return
        for number, shot, take, over in found:
            try:
                self._recall(number, shot, take, over)
            except (LucidError, TypeError) as error:
                _log(f"take {take} of {shot} is not listed any more: {error}")

    def _recall(self, number: str, shot: str, take_number: int, over: bool) -> None:
        """One job of an earlier worker: what its take is now decides; one that waited is queued again."""
        folder = shot_folder(shot, self._roots)
        take = get_take(folder, take_number)
        if job_id(folder, sha256_file(folder / MANIFEST), take.number) != number:
            raise LucidError("TAKE_FOREIGN", "the shot is another one now", "submit the take again")
        state, error = take.state(), (take.result() or {}).get("error")
        found = LucidError(**error).to_json() if error else None
        if state is State.RUNNING or (over and state is State.QUEUED):
            raise LucidError("TAKE_NOT_QUEUED", "another process has it", "submit the take again")
        self._jobs[number], self._takes[number] = Job(number, str(folder), take.number, state.value, error=found), take
        if state is State.QUEUED:
            self._waiting.append(number)


def _settled(take: Take, action: str) -> bool:
    """Whether an ended job stays as it is when its take is asked for again. The disk decides: it may have been resumed."""
    state = take.state()
    return state is State.DONE or (action != RESUME and state is not State.QUEUED)


def _log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
