# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a take to the worker that runs on this machine, which is started when there is none. A thread asks, because an answer may
take seconds; whoever wants to know looks by, and never waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from ..inference.errors import LucidError
from ..inference.worker.client import Server, find, start
from ..inference.worker.protocol import RUN

_LOOK = 0.1             # seconds between two looks at a worker that starts
_TRIES = 3              # a worker that loads torch may be too busy to answer at once


class Dispatch:
    """One take on its way to the worker: ``python`` and ``entry`` start one, with ``environment``; ``action`` is the
    protocol's."""

    def __init__(self, python: Path, entry: Path, environment: Mapping[str, str], shot: Path, take: int,
                 action: str = RUN) -> None:
        self._python, self._entry, self._environment = python, entry, dict(environment)
        self._shot, self._take, self._action = shot, take, action
        self._answer: queue.Queue[LucidError | None] = queue.Queue(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._hand_over, name="lucid-dispatch", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> bool:
        """Whether the worker has not answered yet."""
        return self._thread.is_alive() or not self._answer.empty()

    def poll(self) -> bool:
        """True once the worker has the take, False before. Raises what went wrong, once."""
        try:
            answer = self._answer.get_nowait()
        except queue.Empty:
            return not self._thread.is_alive()
        if answer is not None:
            raise answer
        return True

    def close(self) -> None:
        """Give up asking. A worker that has the take goes on with it."""
        self._closing.set()
        self._thread.join(2.0)

    def _hand_over(self) -> None:
        try:
            for left in reversed(range(_TRIES)):
                try:
                    server = self._server()
                    if server is not None:
                        server.submit(self._shot, self._take, self._action, seconds=5.0)
                    break
                except LucidError as error:
                    if error.code not in ("WORKER_BUSY", "WORKER_GONE") or not left or self._closing.wait(0.5):
                        raise
        except LucidError as error:
            self._answer.put(error)
            return
        self._answer.put(None)

    def _server(self) -> Server | None:
        """The worker, started where none runs; None when nobody waits for it any more."""
        server = find(5.0)
        if server is not None:
            return server
        starting = start(self._python, self._entry, environment=self._environment)
        while not self._closing.is_set():
            server = starting.poll()
            if server is not None:
                return server
            time.sleep(_LOOK)
        return None
