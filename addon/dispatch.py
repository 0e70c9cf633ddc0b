# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the worker that runs on this machine, and hand it a take, for which one is started where there is none. A thread asks,
because an answer may take seconds; whoever wants to know looks by, and never waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from ..inference.errors import LucidError
from ..inference.worker.client import Server, find, start
from ..inference.worker.held import Held
from ..inference.worker.protocol import RUN, Job

ANSWER = 5.0            # seconds for an answer
_LOOK = 0.1             # seconds between two looks at a worker that starts
_PATIENCE = 15.0        # seconds: a worker that loads torch may be too busy to answer at once, another is about to end
_AGAIN = ("WORKER_BUSY", "WORKER_GONE", "WORKER_STOPPING")

T = TypeVar("T")


class Asked(Generic[T]):
    """One question on its way: ``ask`` is called in a thread and gives an answer that is not None, or raises a LucidError. What
    it opens it hands to the :class:`Held`."""

    def __init__(self, ask: Callable[[Held], T]) -> None:
        self._ask = ask
        self._answer: queue.Queue[T | LucidError] = queue.Queue(1)
        self._held = Held()
        self._thread = threading.Thread(target=self._work, name="lucid-dispatch", daemon=True)
        self._thread.start()

    def poll(self) -> T | None:
        """The answer, once; None before. Raises what went wrong, once."""
        try:
            answer = self._answer.get_nowait()
        except queue.Empty:
            return None
        if isinstance(answer, LucidError):
            raise answer
        return answer

    def close(self, seconds: float = 2.0) -> None:
        """Give up asking, also in the middle of it, and wait at most so long for the thread."""
        self._held.cut()
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self._answer.put(self._ask(self._held))
        except LucidError as error:
            self._answer.put(error)
        except Exception as error:  # noqa: BLE001  whoever asked would look for an answer for ever
            self._answer.put(LucidError("INTERNAL", " ".join(repr(error).split()), "please report it"))


class Dispatch(Asked[Job]):
    """One take on its way to the worker: ``python`` and ``entry`` start one, with ``environment``; ``action`` is the
    protocol's. A worker that has the take goes on with it whatever becomes of this."""

    def __init__(self, python: Path, entry: Path, environment: Mapping[str, str], shot: Path, take: int,
                 action: str = RUN) -> None:
        self._python, self._entry, self._environment = python, entry, dict(environment)
        self._shot, self._take, self._action = shot, take, action
        super().__init__(self._hand_over)

    def _hand_over(self, held: Held) -> Job:
        began = time.monotonic()
        while True:
            try:
                return self._server(held).submit(self._shot, self._take, self._action, ANSWER, held)
            except LucidError as error:
                if error.code not in _AGAIN or time.monotonic() - began > _PATIENCE or held.sleep(0.5):
                    raise

    def _server(self, held: Held) -> Server:
        """The worker, started where none runs. Raises WORKER_GONE when nobody waits for it any more."""
        server = find(ANSWER, held)
        starting = start(self._python, self._entry, environment=self._environment) if server is None and not held.over else None
        while server is None:
            if held.sleep(_LOOK) or starting is None:
                raise LucidError("WORKER_GONE", "nobody waits for the worker any more", "generate again")
            server = starting.poll(held)
        return server
