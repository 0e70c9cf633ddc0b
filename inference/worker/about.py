# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker runs, in words, and ending it; for Blender's preferences and for the command line. Standard library only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..errors import LucidError
from ..shot.processes import alive
from .client import find, read_record, reap, stop
from .held import Held
from .version import version

_ANSWER = 5.0           # seconds for an answer
_TO_END = 15.0          # seconds that a worker has to end; its own grace for the running take is ten


@dataclass(frozen=True)
class Seen:
    """What was found. ``there``: a worker runs; ``text`` says which; ``error`` is why this Lucid cannot use it."""

    there: bool
    text: str
    error: LucidError | None = None


NONE = Seen(False, "No worker runs: the next take starts one")


def ask(held: Held) -> Seen:
    """Ask the worker who it is. Raises WORKER_FOREIGN, MANIFEST_MISSING."""
    try:
        server = find(_ANSWER, held)
        if server is None:
            return NONE
        hello = server.hello(_ANSWER, held)
    except LucidError as error:
        if error.code == "WORKER_GONE":         # it ended between two questions
            return NONE
        record = read_record()
        return Seen(record is not None, "" if record is None else f"Lucid {record.version}, process {record.pid}", error)
    other = "" if hello.version == version() else f"; this Lucid is {version()}: stop it, and the next take starts its own"
    takes = f"{hello.active} take{'' if hello.active == 1 else 's'}" if hello.active else "idle"
    return Seen(True, f"Lucid {hello.version}, process {hello.pid}, {hello.device or 'no model loaded yet'}, {takes}{other}")


def end(held: Held) -> Seen:
    """Ask it to end, and see that it does. Raises WORKER_FOREIGN, WORKER_BUSY."""
    record = read_record()
    if record is None or not stop(_ANSWER, held):
        return NONE
    deadline = time.monotonic() + _TO_END
    while alive(record.pid):
        if time.monotonic() > deadline or held.sleep(0.05):
            raise LucidError("WORKER_BUSY", f"the worker, process {record.pid}, does not end",
                             "end that process with the system's own means")
        reap()          # one that this Blender started is there until somebody looks
    return Seen(False, "The worker was stopped: the next take starts one")
