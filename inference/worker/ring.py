# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's last events, numbered, so that whoever was away can read what came meanwhile."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIZE = 4096         # events; a step of one take is one


class Ring:
    """The newest ``size`` events, counted from 1. Any thread may add and read; listeners are called from the one that adds."""

    def __init__(self, size: int = SIZE) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=size)
        self._last = 0
        self._closed = False
        self._listeners: set[Callable[[], object]] = set()
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._last

    @property
    def closed(self) -> bool:
        return self._closed

    def add(self, event: dict[str, Any]) -> int:
        """Number an event and tell the listeners. Returns its number."""
        with self._lock:
            self._last += 1
            number = self._last
            self._events.append({"seq": number, **event})
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
        return number

    def after(self, number: int) -> tuple[list[dict[str, Any]], bool]:
        """The events after a number, and whether some of these are gone already, or the number is of another ring."""
        with self._lock:
            first = self._last - len(self._events) + 1
            missed = not first - 1 <= number <= self._last
            skip = 0 if missed else number + 1 - first
            return list(self._events)[skip:], missed

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call ``listener`` at each event for as long as the context lasts."""
        with self._lock:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def close(self) -> None:
        """No event will come any more: streams end once they have sent what there is."""
        with self._lock:
            self._closed = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
