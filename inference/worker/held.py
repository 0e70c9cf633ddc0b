# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket that one thread reads and another may cut, which wakes the reader. Standard library only."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from ..errors import LucidError


class Held:
    """Call it with each socket that is opened, as ``hold`` of :mod:`.client` does; :meth:`cut` ends what is being read, and
    whatever would be read next."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._cut = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, opened: socket.socket) -> None:
        """Raises WORKER_GONE once it is cut."""
        with self._lock:
            if self._cut.is_set():
                raise LucidError("WORKER_GONE", "nobody waits for the worker's answer any more", "ask again")
            self._socket = opened

    @property
    def current(self) -> socket.socket | None:
        """What is read now."""
        return self._socket

    @property
    def over(self) -> bool:
        """Whether it was cut."""
        return self._cut.is_set()

    def sleep(self, seconds: float) -> bool:
        """Until it is cut, at most ``seconds``; whether it was."""
        return self._cut.wait(seconds)

    def patience(self, seconds: float) -> None:
        """How long the other side may be silent from now on."""
        with self._lock:
            if self._socket is not None:
                self._socket.settimeout(seconds)

    def release(self) -> None:
        """The socket is read no more."""
        with self._lock:
            self._socket = None

    def cut(self) -> None:
        with self._lock:
            self._cut.set()
            if self._socket is not None:
                with suppress(OSError):         # the other side was faster
                    self._socket.shutdown(socket.SHUT_RDWR)
