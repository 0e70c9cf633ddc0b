# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a take against the scene in a worker process, while Blender stays usable. What was found lies in the take's folder."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.takes import State, Take
from ..inference.shot.verdict_file import verdict_of
from ..inference.shot.verdicts import Verdict
from . import session, worker
from .redraw import tick
from .translation import iface_

REPORT = "verdict.html"
_SAID = re.compile(r"measured (\d+) of (\d+) frames")


class Measuring:
    """A worker that measures one take. Raises TAKE_NOT_DONE, what finding the worker raises, DISK_WRITE."""

    def __init__(self, shot: Path, take: Take) -> None:
        if take.state() is not State.DONE:
            raise LucidError("TAKE_NOT_DONE", f"take {take.number} is {take.state().value}", "measure a take that is done")
        self.take = take
        self._process = worker.spawn_measure(shot.resolve(), take)

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def progress(self) -> float:
        """In [0, 1], as far as the worker has said."""
        found = _SAID.search(worker.last_line(self.take.folder / worker.MEASURE_LOG))
        return int(found[1]) / max(int(found[2]), 1) if found else 0.0

    def wait(self, seconds: float) -> None:
        """Sleep until the worker ends, at most ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def stop(self) -> None:
        """End the worker; an earlier verdict of the take stays."""
        self._process.terminate()

    def verdict(self) -> Verdict:
        """What was found, once it is over. Raises MEASURE_FAILED with the worker's last words, VERDICT_INVALID."""
        found = verdict_of(self.take.folder) if self._process.returncode == 0 else None
        if found is None:
            log = self.take.folder / worker.MEASURE_LOG
            said = worker.last_line(log).removeprefix("lucid: ")
            raise LucidError("MEASURE_FAILED", f"take {self.take.number} could not be measured" + (f": {said}" if said else ""),
                             f"see {log}")
        return found


_measuring: Measuring | None = None     # one at a time in the interface


def running() -> Measuring | None:
    return _measuring


def start(shot: Path, take: Take) -> Measuring:
    """Start measuring and the timer that mirrors it into ``WindowManager.lucid``. Raises JOB_RUNNING and what
    :class:`Measuring` does."""
    global _measuring
    if _measuring is not None:
        raise LucidError("JOB_RUNNING", "a take is being measured already", "wait for it, or cancel it")
    _measuring = Measuring(shot, take)
    runtime = bpy.context.window_manager.lucid
    runtime.measuring, runtime.measured, runtime.error = True, 0.0, ""
    if (job := session.current()) is not None:      # both may go on at once; that they share the machine is told
        bpy.context.window_manager.lucid_worker.notice = iface_(
            "Take {measured} is measured while take {made} is generated: each slows the other down").format(
                measured=take.number, made=job.take.number)
    if not bpy.app.background:          # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)
    return _measuring


def cancel() -> None:
    """End the measuring, if there is one."""
    if _measuring is not None:
        _measuring.stop()


def mirror() -> bool:
    """Copy how far it is into ``WindowManager.lucid``; True while it goes on. When it is over the list of takes is read again."""
    global _measuring
    if _measuring is None:
        return False
    item, runtime = _measuring, bpy.context.window_manager.lucid
    if not item.over:
        runtime.measuring, runtime.measured = True, item.progress()     # loading a file has reset both
        return True
    _measuring, runtime.measuring = None, False
    try:
        item.verdict()
    except LucidError as error:
        runtime.error = str(error)
    if runtime.row(item.take) is not None:
        runtime.read_takes(runtime.takes_of, choose=item.take.number)
    return False


def stop_polling() -> None:
    """When Lucid is switched off: no timer stays. The worker ends by itself."""
    global _measuring
    _measuring = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    return tick(mirror)
