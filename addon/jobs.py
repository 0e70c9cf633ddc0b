# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job is: one take in the hands of another process. Nothing here blocks; the truth is the take folder on disk."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State, Take, new_take
from . import worker
from .translation import iface_

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
        """Also where a take waits and nobody has it: the error says so."""
        return self.error is not None or self.state not in (State.QUEUED, State.RUNNING)


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

    def forget(self, seconds: float = 0.0) -> None:
        """Nobody asks any more; the take is not stopped. What the job has begun here ends, ``seconds`` are waited for that."""
        return


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
            error, state = result.get("error"), State(result["state"])
            return JobStatus(state, float(state is State.DONE), "", None, LucidError(**error) if error else None)
        if ended:
            return self._ended_without_result()
        return progress_of(self.take)

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


def progress_of(take: Take) -> JobStatus:
    """How far the last word of a take that runs is."""
    last = next((event for event in reversed(take.events()) if event["event"] == "progress"), None)
    if last is None:
        return JobStatus(State.QUEUED, text=iface_("starting the worker"))
    return JobStatus(State.RUNNING, last["done"] / max(1, last["total"]), str(last["text"]), last["seconds_left"])
