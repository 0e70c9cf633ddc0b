# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's one thread that generates: one take after the other, with one loaded model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LucidError
from ..shot.takes import State, Take
from .protocol import Job
from .registry import Jobs

if TYPE_CHECKING:
    from ..adapters.base import Adapter


class Runner:
    """Runs what waits in ``jobs``. torch is loaded with the first of them, ``device`` is known from then on."""

    def __init__(self, jobs: Jobs) -> None:
        self.device: str | None = None
        self._jobs = jobs
        self._stopping = threading.Event()
        self._model: tuple[str, Adapter] | None = None
        # a model in the middle of a step can not be ended; it must not keep the process from ending
        self._thread = threading.Thread(target=self._work, name="lucid-runner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The running take stops at its next step and can be resumed; no other is started."""
        self._stopping.set()
        self._jobs.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _work(self) -> None:
        while (found := self._jobs.next()) is not None:
            self._run(*found)

    def _run(self, job: Job, take: Take) -> None:
        try:
            self.device = self.device or _device()
            from ..generation.run import TakeRun

            state = TakeRun(Path(job.shot), take, self._listener(job.id), self._stopping.is_set, self._load).run()
        except LucidError as error:
            self._jobs.end(job.id, *_end_of(take, error))
        else:
            self._jobs.end(job.id, state)

    def _listener(self, number: str) -> Callable[[dict[str, Any]], None]:
        def hear(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                self._jobs.update(number, "progress", done=event["done"], total=event["total"], text=event["text"],
                                  seconds_left=event["seconds_left"])
            elif event["event"] == "note":
                self._jobs.update(number, "note", more={"text": event["text"]})

        return hear

    def _load(self, weights: str) -> Adapter:
        """The model that is loaded, or another, for which the memory is made free first."""
        from ..adapters.base import load

        if self._model is None or self._model[0] != weights:
            self._model = None
            self._model = weights, load(weights)
        return self._model[1]


def _device() -> str:
    """What generation runs on; this loads torch and diffusers, which takes seconds. Raises WORKER_BROKEN."""
    try:
        from ..adapters import wan_vace  # noqa: F401
        from ..adapters.base import device

        return device()
    except ImportError as error:
        raise LucidError("WORKER_BROKEN", f"the worker cannot load its models' packages: {error}",
                         "run python3 scripts/lucid.py setup; the take stays queued") from error


def _end_of(take: Take, error: LucidError) -> tuple[State, LucidError | None]:
    """What became of a job whose run failed. A take that had ended already is no failure."""
    if error.code == "TAKE_NOT_QUEUED":
        try:
            state, result = take.state(), take.result()
        except LucidError as damage:
            return State.FAILED, damage
        if result is not None:
            return state, LucidError(**result["error"]) if result.get("error") else None
    return State.FAILED, error
