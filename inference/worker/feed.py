# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's events for a program that must not wait: a thread reads them, a queue holds them. Standard library only."""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..errors import LucidError
from .client import Server, find
from .held import Held
from .protocol import EVENTS, KEEP_ALIVE, MAX_EVENT, from_bytes

SILENCE = 3 * KEEP_ALIVE        # seconds after which a stream that says nothing is given up
ANSWER = 5.0                    # seconds for an answer: nobody waits for this thread
BACK_OFF = (0.1, 5.0)           # seconds between two tries, at first and at most
HELD = 10_000                   # events that nobody has drained; the worker's ring keeps what comes after
CLOSING = 2.0                   # seconds for the thread to end; a cut socket wakes it in less than one of their hundredths
_LATER = 0.1                    # seconds before a stream that was cut is opened again


class Feed:
    """Follows the worker, whichever it is, until :meth:`close`. Its events are dicts:

    - {"event": "found", "epoch", "jobs"}: a worker is there, with all its jobs (as Job.to_json has them). It comes first, after
      each "lost", when another worker has taken over, and when events were missed: the jobs are listed anew.
    - {"event": "lost", "error"}: none is there, or none that this Lucid can talk to, with a LucidError's code, text and hint. It
      comes once for each reason, while the search goes on.
    - the worker's own, see :mod:`.protocol`, in their order, each once.
    """

    def __init__(self, server: Server | None = None) -> None:
        self._server = server
        self._epoch, self._seq = "", 0
        self._lost = ""                 # the code that was told last
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(HELD)
        self._held = Held()
        self._thread = threading.Thread(target=self._follow, name="lucid-feed", daemon=True)
        self._thread.start()

    def drain(self, limit: int = 100) -> list[dict[str, Any]]:
        """What has come, at most ``limit`` events; never waits."""
        events: list[dict[str, Any]] = []
        with suppress(queue.Empty):
            while len(events) < limit:
                events.append(self._queue.get_nowait())
        return events

    def close(self, seconds: float = CLOSING) -> None:
        """End the thread, also in the middle of a read, and wait at most so long until it has."""
        self._held.cut()
        self._thread.join(seconds)

    def _follow(self) -> None:
        wait = BACK_OFF[0]
        while not self._held.over:
            try:
                if self._server is None:
                    self._server = find(ANSWER, self._held)
                if self._server is None:
                    raise LucidError("WORKER_GONE", "no worker is running", "start it; what is in the takes' folders is safe")
                self._read(self._server)
                wait = BACK_OFF[0]
                self._held.sleep(_LATER)
            except LucidError as error:
                self._server, self._epoch = None, ""
                if error.code != self._lost:
                    self._lost = error.code
                    self._put({"event": "lost", "error": error.to_json()})
                self._held.sleep(wait)
                wait = min(2 * wait, BACK_OFF[1])

    def _read(self, server: Server) -> None:
        """One stream until it is cut. Raises what the worker answers to the question for it."""
        if not self._epoch:
            listing = server.jobs(ANSWER, self._held)
            self._epoch, self._seq, self._lost = listing.epoch, listing.seq, ""
            self._put({"event": "found", "epoch": listing.epoch, "jobs": [job.to_json() for job in listing.jobs]})
        connection, response = server.open(f"{EVENTS}?after={self._seq}&epoch={self._epoch}", ANSWER, self._held)
        try:
            if response.status != 200:
                raise LucidError("WORKER_GONE", "the worker ends", "it starts again with the next take")
            self._held.patience(SILENCE)        # the worker's keep-alive comes more often
            for event in _events(response):
                if event.get("event") == "hello":
                    if event.get("missed") or event.get("epoch") != self._epoch:
                        self._epoch = ""
                        return
                else:
                    self._put(event)
                    self._seq = event.get("seq", self._seq)
                if self._held.over:
                    return
        finally:
            self._held.release()
            response.close()
            connection.close()

    def _put(self, event: dict[str, Any]) -> None:
        while not self._held.over:
            with suppress(queue.Full):
                self._queue.put(event, timeout=0.2)
                return


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Until the stream ends, is cut or falls silent. Raises PROTOCOL_INVALID."""
    while True:
        try:
            line = response.readline(MAX_EVENT)
        except (OSError, http.client.HTTPException):
            return
        if not line.endswith(b"\n"):
            return
        if line.startswith(b"data: "):
            yield from_bytes(line.removeprefix(b"data: "))
