# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: one take running in a worker process. Nothing here blocks; the truth is the take folder on disk."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State, Take, new_take
from . import worker

KILL_AFTER = 10.0       # seconds between a polite cancel and the kill
_POLL = 0.25            # seconds between two looks at a running job


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


class Job:
    """Reserves a take and starts its worker. Raises what opening the shot and finding the worker raise."""

    def __init__(self, shot: Path, request: TakeRequest) -> None:
        worker.worker_python()          # a take nobody can run is not reserved
        open_shot(shot, verify=False)   # the worker checks the hashes
        self.shot = shot.resolve()
        self.take: Take = new_take(self.shot, request)
        self._cancelled_at: float | None = None
        try:
            self._process: subprocess.Popen[bytes] = worker.spawn_take(self.shot, self.take)
        except LucidError as error:
            self.take.finish(State.FAILED, error=error.to_json())
            raise

    def status(self) -> JobStatus:
        """Read the take folder; call it as often as you like. Raises TAKE_INVALID for files the worker does not write."""
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
        last = next((event for event in reversed(self.take.events()) if event["event"] == "progress"), None)
        if last is None:
            return JobStatus(State.QUEUED, text="starting the worker")
        return JobStatus(State.RUNNING, last["done"] / max(1, last["total"]), str(last["text"]), last["seconds_left"])

    def cancel(self) -> None:
        """Ask the worker to stop at its next step; ten seconds later :meth:`status` kills it."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self.take.ask_to_cancel()

    def wait(self, seconds: float) -> None:
        """Sleep until the worker ends, at most ``seconds``."""
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


_job: Job | None = None     # one job at a time in the interface: it is the user's only GPU


def running() -> bool:
    return _job is not None


def start(shot: Path, request: TakeRequest) -> Job:
    """Start the interface's job and the timer that mirrors it into ``WindowManager.lucid``. Raises JOB_RUNNING."""
    global _job
    if _job is not None:
        raise LucidError("JOB_RUNNING", "a take is being generated already", "wait for it, or cancel it")
    _job = Job(shot, request)
    if not bpy.app.background:      # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)
    mirror()
    return _job


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
    _job = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    goes_on = mirror()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return _POLL if goes_on else None


def _read_takes_of(job: Job) -> None:
    """Another shot's list is left alone."""
    runtime = bpy.context.window_manager.lucid
    if runtime.row(job.take) is not None:
        runtime.read_takes(runtime.takes_of)
