# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding (or fetching) the Python that an environment is made from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ...inference.errors import LucidError
from .home import logs, lucid_home
from .steps import run_step, say

BPY_PYTHON = (3, 13)
UV_REQUIREMENT = "uv==0.13.8"
PROBE_SECONDS = 20


def version_of(python: str | Path) -> tuple[int, int] | None:
    """(major, minor) that an interpreter says of itself; None when it does not run (a pyenv shim without a version)."""
    try:
        answer = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True,
                                text=True, stdin=subprocess.DEVNULL, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"(\d+) (\d+)", answer.stdout.strip())
    return (int(match[1]), int(match[2])) if answer.returncode == 0 and match else None


def find_bpy_python() -> Path | None:
    """A Python 3.13 on this machine, or None."""
    for candidate in _candidates():
        if version_of(candidate) == BPY_PYTHON:
            return candidate
    return None


def bpy_python() -> Path:
    """A Python 3.13, fetched with uv when the machine has none. Raises PYTHON_313_MISSING."""
    found = find_bpy_python()
    if found is not None:
        return found
    say("no Python 3.13 here, asking uv for one")
    try:
        uv = shutil.which("uv") or str(_own_uv())
        run_step("Python 3.13 by uv", [uv, "python", "install", "3.13"], logs() / "python-3.13.log", env=_uv_environ())
        found = next((path for path in _uv_pythons() if version_of(path) == BPY_PYTHON), None)
    except LucidError as error:
        raise _missing() from error
    if found is None:
        raise _missing()
    return found


def _candidates() -> Iterator[Path]:
    if sys.version_info[:2] == BPY_PYTHON:
        yield Path(sys.executable)
    for name in ("python3.13", "python3.13.exe"):
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/3.13*/bin/python"), reverse=True)
    yield from _uv_pythons()
    uv = shutil.which("uv")
    if uv:
        answer = subprocess.run([uv, "python", "find", "3.13"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def _uv_pythons() -> list[Path]:
    folder = lucid_home() / "pythons"
    found = (*folder.glob("cpython-3.13*/bin/python3.13"), *folder.glob("cpython-3.13*/python.exe"))
    return sorted(found, reverse=True)


def _uv_environ() -> dict[str, str]:
    return {**os.environ, "UV_PYTHON_INSTALL_DIR": str(lucid_home() / "pythons")}


def _own_uv() -> Path:
    folder = lucid_home() / "uv"
    uv = folder / "bin" / "uv"
    if not uv.is_file():
        log = logs() / "uv.log"
        run_step("uv", [sys.executable, "-m", "pip", "install", "--target", folder, UV_REQUIREMENT], log)
    return uv


def _missing() -> LucidError:
    return LucidError("PYTHON_313_MISSING", "Blender's module needs Python 3.13 and none is found on this machine",
                      "install Python 3.13 (python3.13 on PATH, pyenv or uv), or set BLENDER_BIN to a Blender 5.2")
