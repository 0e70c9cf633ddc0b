# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up, check, repair and remove the worker from Blender, in processes of their own; nothing enters Blender's Python."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.home import lucid_home
from ..inference.shot.processes import DETACHED, locked
from ..inference.shot.store import disk_error
from . import worker
from .installer import backends, job
from .installer.plan import NEEDS, Plan, installed, plan_for, python_of
from .installer.steps import MARK, PROBE
from .redraw import tick
from .translation import iface_, rpt_

AUTOMATIC = "AUTO"
CHECK_LOG = "check.log"
KILL_AFTER = 15.0       # seconds between a polite cancel and the kill
_OTHERS = "press Install Worker in the Lucid preferences, or mend that Python where it was made"
_ERROR = re.compile(r"lucid: ([A-Z][A-Z0-9_]+): (.+) \((.+)\)")     # as run_verb writes a LucidError


class Kind(StrEnum):
    """What a job does, as people read it."""

    INSTALL = "Installing"
    REPAIR = "Repairing"
    REMOVE = "Removing"
    CHECK = "Checking"


class SetUp:
    """One job: a process and its log. Raises NETWORK_OFF, JOB_RUNNING, WORKER_MISSING or DISK_WRITE."""

    def __init__(self, kind: Kind, plan: Plan) -> None:
        if kind in (Kind.INSTALL, Kind.REPAIR) and not bpy.app.online_access:
            raise LucidError("NETWORK_OFF", "Blender is not allowed to go online", worker.NO_NETWORK)
        self.kind, self.said, self.error = kind, "", None
        self._folder = Path(plan.home) / "installer"
        self.log = self._folder / (CHECK_LOG if kind is Kind.CHECK else job.LOG)
        self.shown: tuple[float, str, list[str]] = (0.0, kind.value, [])    # what was last read, for drawing
        self.started = time.monotonic()
        self._cancelled_at: float | None = None
        command = self._check_command() if kind is Kind.CHECK else self._job_command(plan)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            log = self.log.open("wb")
        except OSError as error:
            raise disk_error(self.log, error) from error
        with log:
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                                 env=worker.environment(), **DETACHED)
            except OSError as error:
                raise LucidError("WORKER_MISSING", f"'{command[0]}' cannot be started: {error.strerror or error}",
                                 "name another Python in the Lucid preferences") from error

    def _check_command(self) -> list[str]:
        wanted = json.dumps(NEEDS | {"device": ""})
        return [str(worker.worker_python()), "-I", "-B", str(PROBE), wanted]

    def _job_command(self, plan: Plan) -> list[str]:
        """Blender's Python runs the job as a program of its own, with nothing of Blender in it; it installs into the new one."""
        lock, path = self._folder / job.LOCK, self._folder / job.PLAN
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.touch()
            with locked(lock) as free:
                if not free:
                    raise job.BUSY
                (self._folder / job.CANCEL).unlink(missing_ok=True)
                path.write_text(plan.to_json(), encoding="utf-8")
        except OSError as error:
            raise disk_error(path, error) from error
        verb = "remove" if self.kind is Kind.REMOVE else "install"
        return [sys.executable, *bpy.app.python_args, "-B", str(Path(job.__file__).parent), verb, str(path)]

    @property
    def over(self) -> bool:
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > KILL_AFTER:
            self._kill()
        return self._process.poll() is not None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def lines(self) -> list[str]:
        """The log, which is short, without its empty lines."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        return [line.strip() for line in text.splitlines() if line.strip()]

    def tail(self) -> list[str]:
        """The last three lines that are not ours but of the program at work."""
        return [line for line in self.lines() if not line.startswith(MARK)][-3:]

    def progress(self) -> tuple[float, str]:
        """Fraction in [0, 1] of the steps, and the step's name."""
        mark = next((line for line in reversed(self.lines()) if line.startswith(MARK)), "")
        number, _, title = mark.removeprefix(MARK).partition(" ")
        done, _, total = number.partition("/")
        return ((int(done) - 1) / int(total), title) if done.isdigit() and total.isdigit() else (0.0, self.kind.value)

    def read(self) -> None:
        """Look at the log, which drawing does not do."""
        self.shown = (*self.progress(), self.tail())

    def cancel(self) -> None:
        """Ask it to stop and clean up after itself; :attr:`over` kills it when it does not listen."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            if self.kind is Kind.CHECK:
                self._kill()
            else:
                (self._folder / job.CANCEL).touch()

    def _kill(self) -> None:
        """The process and all that it started."""
        if sys.platform == "win32":
            self._process.kill()
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:      # it has just ended by itself
            return

    def wait(self, seconds: float) -> None:
        """Sleep until it ends, at most ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def finish(self) -> None:
        """Read what came of it into ``said`` and ``error``, once it is over."""
        last = (self.lines() or [""])[-1]
        if self._cancelled_at is not None:
            self.said = rpt_("{deed} was cancelled").format(deed=iface_(self.kind.value))
        elif self.kind is Kind.CHECK:
            self._finish_check(last)
        elif self._process.returncode:
            told = _ERROR.fullmatch(last)
            said = last or f"it ended with status {self._process.returncode}"
            self.error = LucidError(*told.groups()) if told else LucidError("SETUP_FAILED", said, f"see {self.log}")
        else:
            self.said = rpt_("The worker was removed") if self.kind is Kind.REMOVE else self._ready()

    def _ready(self) -> str:
        made = installed(self._folder.parent)
        try:
            used = worker.worker_python()
        except LucidError as error:
            return rpt_("The worker is ready, but not in use: {reason}").format(reason=error.text)
        if made is not None and used == python_of(made):
            return rpt_("The worker is ready")
        return rpt_("The worker is ready, but not in use: the preferences or LUCID_WORKER_PYTHON name {path}").format(path=used)

    def _finish_check(self, last: str) -> None:
        try:
            answer = json.loads(last)
        except ValueError:
            said = last or f"it ended with status {self._process.returncode}"
            mine = installed(self._folder.parent) is not None
            self.error = LucidError("WORKER_BROKEN", f"the worker's Python does not run: {said}",
                                    "repair it in the Lucid preferences" if mine else _OTHERS)
            return
        if "said" in answer:
            self.said = rpt_("All is well: {found}").format(found=answer["said"])
            return
        self.error = LucidError(**answer)
        if installed(self._folder.parent) is None and "repair" in self.error.hint:      # not ours to repair
            self.error = LucidError(self.error.code, self.error.text, _OTHERS)


_running: SetUp | None = None
_last: SetUp | None = None          # what came of it is shown until the next one
_found: backends.Found | None = None


def place() -> Path:
    """The folder that all of it is in."""
    return lucid_home()


def running() -> SetUp | None:
    return _running


def last() -> SetUp | None:
    return _last


def found() -> backends.Found | None:
    """What this machine has, as far as it was looked for: drawing must not start programs."""
    return _found


def look() -> backends.Found:
    """Look what this machine has, which may take a second."""
    global _found
    _found = backends.detect()
    return _found


def chosen_backend(choice: str) -> backends.Backend:
    """The build of torch for ``choice``, a key of BACKENDS or AUTO. Raises PLATFORM_UNSUPPORTED."""
    return backends.backend(look().key if choice == AUTOMATIC else choice)


def make_plan(choice: str) -> Plan:
    """What would be installed. Raises PLATFORM_UNSUPPORTED."""
    return plan_for(chosen_backend(choice), lucid_home())


def place_plan() -> Plan:
    """A plan that names the home alone, for a check and for removing: neither needs a build of torch."""
    plain = next(one for one in backends.BACKENDS if one.key == "cpu")
    return replace(plan_for(plain, lucid_home()), installs=())


def start(kind: Kind, plan: Plan) -> SetUp:
    """Start a job and the timer that looks after it. Raises JOB_RUNNING and what :class:`SetUp` does."""
    global _running, _last
    if _running is not None:
        raise LucidError("JOB_RUNNING", "the worker is being set up already", "wait for it, or cancel it")
    _running = _last = SetUp(kind, plan)
    if not bpy.app.background:      # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)
    return _running


def mirror() -> bool:
    """True while the job goes on; when it is over its outcome is read."""
    global _running
    if _running is None:
        return False
    if not _running.over:
        _running.read()
        return True
    item, _running = _running, None
    item.finish()
    return False


def cancel() -> None:
    """Cancel the job, if there is one."""
    if _running is not None:
        _running.cancel()


def stop_polling() -> None:
    """When Lucid is switched off: no timer stays, and the job stops by itself and takes along what it began."""
    global _running, _last, _found
    cancel()
    _running = _last = _found = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    return tick(mirror)
