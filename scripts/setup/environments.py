# SPDX-License-Identifier: GPL-3.0-or-later
"""The two Python environments: made on first use, whole or not at all, quick to find again.

An environment is whole when its stamp is there: the stamp is written last, so one that was interrupted has none and is
made again. Its folder's name carries a hash of the requirements, so changed requirements make a new one beside it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...inference.errors import LucidError
from .home import REQUIREMENTS, fingerprint, logs, lucid_home, read_json, write_json
from .libraries import apt_install, ensure_libraries
from .lock import locked
from .pythons import BPY_PYTHON, bpy_python
from .steps import run_step, say

STAMP = "lucid-env.json"


@dataclass(frozen=True)
class Environment:
    """``requirements`` are installed in that order, one pip call each; ``tests`` on top when tests are to run."""

    name: str
    title: str
    requirements: tuple[str, ...]
    tests: str
    version: tuple[int, int]
    base: Callable[[], Path]
    check: str
    libraries: Callable[[], None] | None = None

    @property
    def folder(self) -> Path:
        pinned = [(REQUIREMENTS / name).read_text(encoding="utf-8") for name in self.requirements]
        tag = fingerprint(*pinned, f"{self.version}")
        return lucid_home() / "envs" / f"{self.name}-{tag}"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def ready(self, *, tests: bool = False) -> bool:
        """Whether it is whole, with what the tests need when asked."""
        stamp = read_json(self.folder / STAMP)
        if stamp is None or not self.python.exists():
            return False
        return not tests or stamp.get("tests") == self._tests_tag()

    def ensure(self, *, tests: bool = False) -> Path:
        """Its Python, after making whatever is missing. Raises SETUP_FAILED and what finding a Python raises."""
        if not self.ready(tests=tests):
            with locked(self.folder.with_name(f".{self.folder.name}.lock")):
                if not self.ready():
                    self._make()
                if tests and not self.ready(tests=True):
                    self._pip(self.tests)
                    write_json(self.folder / STAMP, {"requirements": self.requirements, "tests": self._tests_tag()})
        return self.python

    def _make(self) -> None:
        if self.folder.exists():
            say(f"{self.title}: an earlier set-up did not finish, starting over")
            shutil.rmtree(self.folder)
        if self.libraries is not None:
            self.libraries()
        base = self.base()
        run_step(f"{self.title}: new environment", [base, "-m", "venv", self.folder], self._log)
        for name in self.requirements:
            self._pip(name)
        run_step(f"{self.title}: first start", [self.python, "-c", self.check], self._log)
        write_json(self.folder / STAMP, {"requirements": self.requirements, "tests": None})

    def _pip(self, name: str) -> None:
        pip: list[str | Path] = [self.python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
                                 "--no-compile"]       # modules are compiled when first imported; most never are
        run_step(f"{self.title}: installing {name.removesuffix('.txt')}", [*pip, "-r", REQUIREMENTS / name], self._log)

    @property
    def _log(self) -> Path:
        return logs() / f"{self.folder.name}.log"

    def _tests_tag(self) -> str:
        return fingerprint((REQUIREMENTS / self.tests).read_text(encoding="utf-8"))


def _own_python() -> Path:
    """The running Python, outside any environment it may be in. Debian ships its venv module apart."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None:
        apt_install([f"{name}-venv"], "Python's venv module", "VENV_MISSING")
    base = Path(getattr(sys, "_base_executable", sys.executable))
    exact = base.with_name(name)      # the system's python3 is another version in the chroot and after an upgrade
    return exact if exact.is_file() else base


WORKER = Environment("worker", "worker", ("torch.txt", "worker.txt"), "worker-tests.txt", sys.version_info[:2],
                     _own_python, "import torch, diffusers, cv2, OpenEXR")
BPY = Environment("bpy", "Blender module", ("bpy.txt",), "bpy-tests.txt", BPY_PYTHON, bpy_python, "import bpy",
                  ensure_libraries)


def worker_python(*, tests: bool = False) -> Path:
    """The worker's Python; worker.json in the home tells Blender where it is."""
    python = WORKER.ensure(tests=tests)
    pointer = lucid_home() / "worker.json"
    if read_json(pointer) != {"python": str(python)}:
        write_json(pointer, {"python": str(python)})
    return python


def explicit_worker() -> Path | None:
    """The worker Python named by LUCID_WORKER_PYTHON, or None. Raises WORKER_MISSING when that is no file."""
    named = os.environ.get("LUCID_WORKER_PYTHON")
    if not named:
        return None
    if not Path(named).is_file():
        raise LucidError("WORKER_MISSING", f"LUCID_WORKER_PYTHON names {named}, which is not there",
                         "unset it, or name the python of an environment made by lucid.py setup")
    return Path(named)
