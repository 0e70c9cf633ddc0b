# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the hands of the worker that outlives Blender, as its events tell of them.

While Blender has such a job, and only then, one thread reads the worker's events; whoever looks at the job drains them. An open
stream counts as somebody who needs the worker: one that stayed open would keep an idle worker, and the model in its memory, for
as long as Blender runs. The take's folder stays the truth: it says how a take ended, and all that is known without a worker.
"""

from __future__ import annotations

from pathlib import Path

from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.store import MANIFEST, open_shot, sha256_file
from ..inference.shot.takes import State, Take, new_take
from ..inference.worker.board import Board
from ..inference.worker.client import find, reap
from ..inference.worker.feed import Feed
from ..inference.worker.held import Held
from ..inference.worker.protocol import RESUME, RUN, WAITING, job_id
from ..inference.worker.protocol import Job as WorkerJob
from . import worker
from .dispatch import ANSWER, Asked, Dispatch
from .jobs import Job, JobStatus, References, progress_of
from .translation import iface_

_AT_ONCE = 1000         # events that are heard in one look: 5 microseconds each


class _Following:
    """The feed of this Blender and what it has told, for as long as a job needs them."""

    def __init__(self) -> None:
        self.board = Board()
        self._feed: Feed | None = None
        self._needed: set[int] = set()

    def look(self) -> Board:
        """What is known by now."""
        try:
            for event in self._feed.drain(_AT_ONCE) if self._feed is not None else ():
                self.board.hear(event)
        except LucidError as error:             # what no worker says: the folders are read instead
            self.board.lose(error)
        return self.board

    def join(self, job: FollowedJob) -> None:
        if not self._needed:
            self.board, self._feed = Board(), Feed()
        self._needed.add(id(job))

    def leave(self, job: FollowedJob, seconds: float) -> None:
        """The thread ends with the last job; ``seconds`` to wait for it."""
        self._needed.discard(id(job))
        if not self._needed and self._feed is not None:
            self._feed.close(seconds)
            self._feed = None


_following = _Following()


class FollowedJob(Job):
    """A take that the worker has, or another process, whoever handed it over. Raises SHOT_MISSING."""

    def __init__(self, shot: Path, take: Take) -> None:
        self.shot, self.take = shot.resolve(), take
        self._number = _number(self.shot, take)
        self._joined = False
        self._ended: JobStatus | None = None
        self._cancelling: Asked[WorkerJob] | None = None

    def status(self) -> JobStatus:
        if self._ended is None:
            status = self._now()
            if not status.over:
                return status
            self._ended = status
        return self._ended

    def _now(self) -> JobStatus:
        if not self._joined:
            self._joined = True
            _following.join(self)
        board = _following.look()
        job = board.job(self._number)
        if job is None or job.over:
            return self._read(board, job)
        if job.state == WAITING:
            return JobStatus(State.QUEUED, text=_waiting(board.ahead(self._number)))
        return JobStatus(State.RUNNING, job.done / max(1, job.total), job.text, job.seconds_left)

    def _read(self, board: Board, job: WorkerJob | None) -> JobStatus:
        """What the take's files say, where the worker says nothing of it or that it is over."""
        reap()      # a worker that this Blender started and that was killed is alive until somebody looks
        result, state = self.take.result(), self.take.state()
        if result is not None:
            error = result.get("error")
            return JobStatus(state, float(state is State.DONE), error=LucidError(**error) if error else None)
        if state is State.INTERRUPTED:
            return JobStatus(state, error=LucidError("WORKER_DIED", f"the worker ended in the middle of take {self.take.number}",
                                                     "press Resume: what is finished stays"))
        if job is not None and job.error is not None:       # the worker could not even begin
            return JobStatus(State.FAILED, error=LucidError(**job.error))
        if state is State.QUEUED:
            return JobStatus(state, text=iface_("waiting for the worker"), error=self._nobody(board, job))
        return progress_of(self.take)

    def _nobody(self, board: Board, job: WorkerJob | None) -> LucidError | None:
        """Why a take that waits will wait for ever, if it will."""
        if job is not None or not (board.known or board.error) or (board.error and board.error.code == "WORKER_BUSY"):
            return None
        if board.error is not None and board.error.code != "WORKER_GONE":
            return board.error
        return LucidError("WORKER_GONE", f"take {self.take.number} waits, and no worker has it", "press Resume")

    def cancel(self) -> None:
        self.take.ask_to_cancel()       # heeded when its turn comes, whatever becomes of the question
        job = _following.look().job(self._number)
        if job is not None and job.state == WAITING and self._cancelling is None:
            self._cancelling = Asked(self._cancel_waiting)

    def _cancel_waiting(self, held: Held) -> WorkerJob:
        server = find(ANSWER, held)
        if server is None:
            raise LucidError("WORKER_GONE", "no worker is running", "the take is cancelled when one starts")
        return server.cancel(self._number, ANSWER, held)

    def forget(self, seconds: float = 0.0) -> None:
        if self._cancelling is not None:
            self._cancelling.close(seconds)
        if self._joined:
            _following.leave(self, seconds)


class ServedJob(FollowedJob):
    """Reserves a take, or resumes ``take``, and hands it to the worker. Raises what opening the shot, finding the worker's Python
    and reserving raise."""

    def __init__(self, shot: Path, request: TakeRequest | None, take: Take | None = None,
                 references: References | None = None) -> None:
        python = worker.worker_python()         # a take nobody can run is not reserved
        open_shot(shot, verify=False)           # the worker checks the hashes
        action = RUN if take is None else RESUME
        if take is None:
            assert request is not None
            take = new_take(shot.resolve(), request, references=references)
        super().__init__(shot, take)
        self._begun = bool(take.events())       # before: it is resumed
        self._dispatch: Dispatch | None = Dispatch(python, worker.WORKER, worker.environment(), self.shot, take.number, action)

    def _now(self) -> JobStatus:
        if self._dispatch is not None:
            try:
                if self._dispatch.poll() is None:
                    return JobStatus(State.QUEUED, text=iface_("starting the worker"))
            except LucidError as error:
                self._dispatch = None
                if self._take_back(State.FAILED, error):
                    return JobStatus(State.FAILED, error=error)
            self._dispatch = None               # the feed is asked from now on: its list of jobs has this one
        return super()._now()

    def cancel(self) -> None:
        """Where no worker has it yet, at once."""
        if self._dispatch is not None and self._take_back(State.CANCELLED):
            self._dispatch.close(0.0)
            self._dispatch = None
        else:
            super().cancel()

    def _take_back(self, state: State, error: LucidError | None = None) -> bool:
        """End the take, which no worker has; False where another process has it, or had: then its files tell. One that was
        begun before and could not be handed over stays as it is, to be resumed again. Raises DISK_WRITE, TAKE_INVALID."""
        try:
            with self.take.alone():
                if error is not None and self._begun:
                    return True
                self.take.check_queued()
                self.take.finish(state, error=error.to_json() if error else None, seconds=0.0)
        except LucidError as refused:
            if refused.code == "TAKE_NOT_QUEUED":
                return False
            raise
        return True

    def forget(self, seconds: float = 0.0) -> None:
        if self._dispatch is not None:
            self._dispatch.close(seconds)
        super().forget(seconds)


def _number(shot: Path, take: Take) -> str:
    """The job's, as the worker counts. Raises SHOT_MISSING."""
    try:
        return job_id(shot, sha256_file(shot / MANIFEST), take.number)
    except OSError as error:
        raise LucidError("SHOT_MISSING", f"{shot / MANIFEST} cannot be read: {error.strerror or error}",
                         "choose another shot") from error


def _waiting(ahead: list[WorkerJob]) -> str:
    if not ahead:
        return iface_("waiting for the worker")
    text = iface_("waiting: take {take} of {shot} is first, then {count} more") if len(ahead) > 1 else \
        iface_("waiting: take {take} of {shot} is first")
    return text.format(take=ahead[0].take, shot=Path(ahead[0].shot).stem, count=len(ahead) - 1)
