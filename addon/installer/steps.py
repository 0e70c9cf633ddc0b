# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, renew and remove the worker's environment, step by step. An environment is under its name only when all of it works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ...inference.errors import LucidError
from ...inference.shot.store import disk_error, write_json
from . import tool
from .plan import POINTER, PREFIX, STAMP, Plan, free_megabytes, installed, leftovers, python_of

PROBE = Path(__file__).with_name("probe.py")
MARK = "== "            # begins the line that names a step, as "== 2/6 Python"
_TICK, _PATIENCE = 0.1, 5.0


class Cancelled(Exception):
    """Somebody made the file ``cancel``."""


class Steps:
    """One job. What it and its programs print goes to ``log``, which is this process's standard output; the file ``cancel``
    in the log's folder stops it."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan, self.log, self.cancel = plan, log, log.with_name("cancel")
        self.home = Path(plan.home)
        self._number, self._total = 0, 0

    def alive(self) -> None:
        if self.cancel.exists():
            raise Cancelled

    def install(self) -> None:
        """Make the environment beside whatever is there, then put it in its place. Raises DISK_FULL, UV_FETCH_FAILED,
        SETUP_FAILED, DISK_WRITE or what the probe found wrong; then, and when cancelled, nothing of it stays."""
        plan = self.plan
        self._total = 5 + len(plan.installs)
        try:
            self._step("room on the disk")
            self._room()
            self._step("uv")
            uv = str(tool.find_uv(self.home / "uv") or tool.fetch_uv(self.home / "uv", tool.RELEASES[sys.platform], self.alive))
            _delete(plan.partial)
            self._step("Python")
            self._uv(uv, "venv", "--relocatable", *plan.python, str(plan.partial))
            for title, arguments in plan.installs:
                self._step(title)
                self._uv(uv, "pip", "install", "--python", str(python_of(plan.partial)), *arguments)
            self._step("first start")
            said = self._probe()
            self._step("in its place")
            self._settle(said)
        except OSError as error:
            raise disk_error(Path(error.filename or plan.folder), error) from error
        finally:
            _delete(plan.partial)

    def remove(self) -> None:
        """Delete all that installing made: environments, uv, its Python and its cache; worker.json when it points there."""
        self._total = 1
        self._step("removing")
        try:
            if installed(self.home) is not None:
                (self.home / POINTER).unlink()
            for folder in leftovers(self.home):
                self.alive()
                _delete(folder)
        except OSError as error:
            raise disk_error(Path(error.filename or self.home), error) from error

    def _room(self) -> None:
        free = free_megabytes(self.home)
        if free < self.plan.disk:
            raise LucidError("DISK_FULL", f"{self.home} has {free / 1000:.1f} GB left, {self.plan.disk / 1000:.1f} GB are needed",
                             "make room, or set LUCID_HOME to a folder on another disk")

    def _probe(self) -> str:
        start = self._size()
        command = [str(python_of(self.plan.partial)), "-I", str(PROBE), json.dumps(self.plan.probe)]
        if status := self._wait(command):
            raise LucidError("SETUP_FAILED", f"the new environment does not start: {self._said(start, status)}",
                             f"see {self.log}")
        answer = json.loads(self._tail(start).splitlines()[-1])
        if "said" not in answer:
            raise LucidError(**answer)
        return str(answer["said"])

    def _settle(self, said: str) -> None:
        plan = self.plan
        write_json(plan.partial / STAMP, {"title": plan.title, "said": said, "probe": plan.probe})
        old = plan.folder.with_name(f"{plan.name}.old")
        _delete(old)
        if plan.folder.exists():
            os.rename(plan.folder, old)
        os.rename(plan.partial, plan.folder)
        write_json(self.home / POINTER, {"python": str(python_of(plan.folder))})
        for other in plan.folder.parent.glob(f"{PREFIX}*"):
            if other != plan.folder:
                _delete(other)

    def _uv(self, uv: str, *arguments: str) -> None:
        start = self._size()
        if status := self._wait([uv, "--no-progress", "--color", "never", *arguments]):
            raise LucidError("SETUP_FAILED", self._said(start, status), f"install again to go on; the whole log is {self.log}")

    def _wait(self, command: list[str]) -> int:
        """Run a program to its end; returns its exit status."""
        environ = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
        environ |= {"UV_PYTHON_INSTALL_DIR": str(self.home / "uv" / "python")}
        environ.setdefault("UV_CACHE_DIR", str(self.home / "uv" / "cache"))     # on the environment's disk: linked, not copied
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=environ, cwd=self.home)
        try:
            while process.poll() is None:
                self.alive()
                time.sleep(_TICK)
        finally:
            _end(process)
        return process.returncode

    def _step(self, title: str) -> None:
        self.alive()
        self._number += 1
        sys.stdout.write(f"{MARK}{self._number}/{self._total} {title}\n")
        sys.stdout.flush()

    def _size(self) -> int:
        return self.log.stat().st_size

    def _tail(self, start: int) -> str:
        with self.log.open("rb") as stream:
            stream.seek(start)
            return stream.read().decode("utf-8", "replace").strip()

    def _said(self, start: int, status: int) -> str:
        """The program's own words for why it failed: its error and the last cause, else its last line."""
        lines = [line.strip() for line in self._tail(start).splitlines() if line.strip()]
        first = next((line.removeprefix("error:").strip() for line in lines if line.startswith("error:")), "")
        causes = [line.removeprefix("cause:").strip() for line in lines if line.startswith("cause:")]
        words = ": ".join(part for part in (first, causes[-1] if causes else "") if part)
        return words or (lines[-1] if lines else f"exit status {status}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _delete(folder: Path) -> None:
    """Out of its name at once, then file by file: one that is half deleted is never taken for whole."""
    if not folder.exists():
        return
    doomed = folder if folder.name.endswith((".partial", ".old")) else folder.with_name(f"{folder.name}.old")
    if doomed != folder:
        if doomed.exists():
            shutil.rmtree(doomed)
        os.rename(folder, doomed)
    shutil.rmtree(doomed)


def run(verb: Callable[[], None], cancel: Path) -> int:
    """Exit status 0, or 3 when it was cancelled. LucidErrors go through."""
    try:
        verb()
    except Cancelled:
        sys.stderr.write("cancelled\n")
        return 3
    finally:
        cancel.unlink(missing_ok=True)
    return 0
