# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: one take in the worker's hands. Nothing here blocks; the truth is the take folder on disk.

With a window it is the worker that outlives Blender and serves every Blender of this user; without one, a process of the job's
own, which ends with it.
"""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State, Take, new_take
from ..inference.worker.client import reap
from ..inference.worker.protocol import RESUME, RUN
from . import worker
from .dispatch import Dispatch
from .redraw import tick

References = Mapping[str, Sequence[Path]]
KILL_AFTER = 10.0       # seconds between a polite cancel and the kill


@dataclass(frozen=True)
class JobStatus:
    """How far a job is. ``fraction`` in [0, 1]; ``seconds_left`` is None while nobody knows."""

    state: State
    fraction: float = 0.0
    text: str = ""
    seconds_left: float | None = None
    error: LucidError | None = None

    @property
    def over(self) -> bool:
        return self.state not in (State.QUEUED, State.RUNNING)


class Job(ABC):
    """A take that is being made. ``shot`` is the shot's folder."""

    shot: Path
    take: Take

    @abstractmethod
    def status(self) -> JobStatus:
        """Read the take folder; call it as often as you like. Raises TAKE_INVALID for files the worker does not write."""

    @abstractmethod
    def cancel(self) -> None:
        """Ask the worker to stop at its next step. Raises DISK_WRITE."""

    def wait(self, seconds: float) -> None:
        """Sleep until it may be over, at most ``seconds``."""
        time.sleep(seconds)

    def forget(self) -> None:
        """Nobody asks any more; the take is not stopped."""
        return


class ServedJob(Job):
    """Reserves a take, or resumes ``take``, and hands it to the worker. Raises what opening the shot, finding the worker and
    resuming raise."""

    def __init__(self, shot: Path, request: TakeRequest | None, take: Take | None = None,
                 references: References | None = None) -> None:
        python = worker.worker_python()
        open_shot(shot, verify=False)
        self.shot = shot.resolve()
        if take is None:
            assert request is not None
            self.take, action = new_take(self.shot, request, references=references), RUN
        else:
            self.take, action = take, RESUME
        self._dispatch = Dispatch(python, worker.WORKER, worker.environment(), self.shot, self.take.number, action)
        self._sent = False

    def status(self) -> JobStatus:
        if not self._sent:
            try:
                self._sent = self._dispatch.poll()
            except LucidError as error:
                if self.take.result() is None and not self.take.events():
                    self.take.finish(State.FAILED, error=error.to_json())
                return JobStatus(State.FAILED, error=error)
            if not self._sent:
                return JobStatus(State.QUEUED, text="starting the worker")
        return self._read()

    def _read(self) -> JobStatus:
        reap()      # a worker that this Blender started and that was killed is alive until somebody looks
        result, state = self.take.result(), self.take.state()
        if result is not None:
            error = result.get("error")
            return JobStatus(state, float(state is State.DONE), error=LucidError(**error) if error else None)
        if state is State.QUEUED:
            return JobStatus(State.QUEUED, text="waiting for the worker")
        if state is State.INTERRUPTED:
            return JobStatus(state, error=LucidError("WORKER_DIED", f"the worker ended in the middle of take {self.take.number}",
                                                     "press Resume: what is finished stays"))
        return _progress(self.take)

    def cancel(self) -> None:
        self.take.ask_to_cancel()

    def forget(self) -> None:
        self._dispatch.close()


class OwnJob(Job):
    """Reserves a take and starts a process for it alone. Raises what opening the shot and finding the worker raise."""

    def __init__(self, shot: Path, request: TakeRequest, references: References | None = None) -> None:
        worker.worker_python()          # a take nobody can run is not reserved
        open_shot(shot, verify=False)   # the worker checks the hashes
        self.shot = shot.resolve()
        self.take = new_take(self.shot, request, references=references)
        self._cancelled_at: float | None = None
        try:
            self._process: subprocess.Popen[bytes] = worker.spawn_take(self.shot, self.take)
        except LucidError as error:
            self.take.finish(State.FAILED, error=error.to_json())
            raise

    def status(self) -> JobStatus:
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > KILL_AFTER:
            self._process.kill()
        ended = self._process.poll() is not None    # asked before reading, so that a last result is not missed
        result = self.take.result()
        if result is not None and ended:
            error = result.get("error")
            state = State(result["state"])
            return JobStatus(state, float(state is State.DONE), "", None, LucidError(**error) if error else None)
        if ended:
            return self._ended_without_result()
        return _progress(self.take)

    def cancel(self) -> None:
        """Ask the worker to stop at its next step; ten seconds later :meth:`status` kills it."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self.take.ask_to_cancel()

    def wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def _ended_without_result(self) -> JobStatus:
        """The worker is gone. Nobody else writes the take any more, so its end is written here where it has one."""
        if self._cancelled_at is not None:
            self.take.finish(State.CANCELLED, error=None)
            return JobStatus(State.CANCELLED)
        said = worker.last_line(self.take.folder / worker.LOG).removeprefix("lucid: ")
        error = LucidError("WORKER_DIED", f"the worker ended with status {self._process.returncode}"
                           + (f": {said}" if said else ""), f"see {self.take.folder / worker.LOG}, then generate again")
        if self.take.events():
            return JobStatus(State.INTERRUPTED, error=error)
        self.take.finish(State.FAILED, error=error.to_json())
        return JobStatus(State.FAILED, error=error)


def _progress(take: Take) -> JobStatus:
    """How far the last word of a take that runs is."""
    last = next((event for event in reversed(take.events()) if event["event"] == "progress"), None)
    if last is None:
        return JobStatus(State.QUEUED, text="starting the worker")
    return JobStatus(State.RUNNING, last["done"] / max(1, last["total"]), str(last["text"]), last["seconds_left"])


_job: Job | None = None     # one job at a time in the interface: it is the user's only GPU


def running() -> bool:
    return _job is not None


def start(shot: Path, request: TakeRequest, references: References | None = None) -> Job:
    """Start the interface's job and the timer that mirrors it into ``WindowManager.lucid``. ``references`` are pictures of each
    layer. Raises JOB_RUNNING, and what the job raises."""
    _check_free()
    job = OwnJob(shot, request, references) if bpy.app.background else ServedJob(shot, request, references=references)
    return _begin(job)


def resume(shot: Path, take: Take) -> Job:
    """Go on with a take that was interrupted or cancelled, as the interface's job, whose status tells what the worker says of it.
    Raises JOB_RUNNING."""
    _check_free()
    return _begin(ServedJob(shot, None, take))


def _check_free() -> None:
    if _job is not None:
        raise LucidError("JOB_RUNNING", "a take is being generated already", "wait for it, or cancel it")


def _begin(job: Job) -> Job:
    global _job
    _job = job
    if not bpy.app.background:      # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)
    mirror()
    return job


def cancel() -> None:
    """Cancel the interface's job, if there is one."""
    if _job is not None:
        _job.cancel()
        bpy.context.window_manager.lucid.text = "cancelling"


def mirror() -> bool:
    """Copy the job's status into ``WindowManager.lucid``; True while it goes on."""
    global _job
    if _job is None:
        return False
    job, runtime = _job, bpy.context.window_manager.lucid
    try:
        status = job.status()
    except LucidError as error:     # a timer that raises would never run again, and the job never end
        status = JobStatus(State.FAILED, error=error)
    runtime.running = not status.over
    runtime.progress, runtime.text = status.fraction, status.text
    runtime.seconds_left = -1.0 if status.seconds_left is None else status.seconds_left
    runtime.error = str(status.error) if status.error else ""
    if status.over:
        _job = None
        _read_takes_of(job)
    elif (row := runtime.row(job.take)) is not None:
        row.state = status.state.name
    return not status.over


def stop_polling() -> None:
    """Forget the job when Lucid is switched off. The worker goes on: the take on disk loses nothing."""
    global _job
    if _job is not None:
        _job.forget()
    _job = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    return tick(mirror)


def _read_takes_of(job: Job) -> None:
    """Another shot's list is left alone."""
    runtime = bpy.context.window_manager.lucid
    if runtime.row(job.take) is not None:
        runtime.read_takes(runtime.takes_of)
