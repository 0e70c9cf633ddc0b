# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the worker's Python and start it. The worker is a process of its own: torch never enters Blender."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.home import lucid_home
from ..inference.shot.processes import DETACHED
from ..inference.shot.store import disk_error, read_json
from ..inference.shot.takes import Take
from .preferences import preferences
from .translation import n_

WORKER = Path(__file__).resolve().parents[1] / "inference"
LOG, MEASURE_LOG = "worker.log", "measure.log"
NO_NETWORK = n_("Allow online access in the preferences' System tab")
_DAMAGED = "install Lucid's worker again"


def worker_python() -> Path:
    """The Python that has torch: the preference, LUCID_WORKER_PYTHON, or the launcher's worker.json.

    Raises WORKER_MISSING, naming where the path came from.
    """
    chosen = preferences()
    if chosen is not None and chosen.worker_python:
        return _existing(bpy.path.abspath(chosen.worker_python), "the Lucid preferences")
    if path := os.environ.get("LUCID_WORKER_PYTHON"):
        return _existing(path, "LUCID_WORKER_PYTHON")
    record = lucid_home() / "worker.json"
    if not record.is_file():
        raise missing("the worker is not set up on this machine")
    return _existing(str(read_json(record, "WORKER_MISSING", _DAMAGED).get("python", "")), str(record))


def missing(text: str) -> LucidError:
    """WORKER_MISSING, with what to do next: one can be installed, once Blender may go online."""
    if not bpy.app.online_access:
        return LucidError("WORKER_MISSING", text, NO_NETWORK + ", then press Install Worker in the Lucid preferences")
    return LucidError("WORKER_MISSING", text,
                      "press Install Worker in the Lucid preferences, or run python3 scripts/lucid.py setup")


def _existing(path: str, origin: str) -> Path:
    if not Path(path).is_file():
        raise missing(f"the worker's Python '{path}' (from {origin}) is not there")
    return Path(path)


def environment() -> dict[str, str]:
    """This process's environment for the worker: none of the PYTHON* settings meant for Blender's own interpreter.

    The worker writes no bytecode beside the extension's files, and stays offline when Blender's user chose so.
    """
    clean = {key: value for key, value in os.environ.items() if not key.upper().startswith("PYTHON")}
    clean |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    if not bpy.app.online_access:
        clean |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return clean


def spawn_take(shot: Path, take: Take) -> subprocess.Popen[bytes]:
    """Start ``run-take``. What it prints goes to the take's worker.log."""
    return _spawn(["run-take", str(shot), str(take.number)], take.folder / LOG)


def spawn_measure(shot: Path, take: Take) -> subprocess.Popen[bytes]:
    """Start ``measure``, with heat maps. What it prints goes to the take's measure.log."""
    return _spawn(["measure", str(shot), "--take", str(take.number), "--heat"], take.folder / MEASURE_LOG)


def _spawn(arguments: list[str], path: Path) -> subprocess.Popen[bytes]:
    """Start a verb of the worker whose output goes to a file: a file never blocks, a pipe can.

    Its own session (process group): Ctrl-C in Blender's terminal asks politely through the ``cancel`` file instead.
    """
    command = [str(worker_python()), str(WORKER), *arguments]
    try:
        log = path.open("wb")
    except OSError as error:
        raise disk_error(path, error) from error
    with log, _starting(command[0]):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                env=environment(), **DETACHED)


def call(arguments: list[str]) -> int:
    """Run a verb of the worker in the foreground, sharing this terminal; returns its exit status."""
    sys.stdout.flush()
    command = [str(worker_python()), str(WORKER), *arguments]
    with _starting(command[0]):
        return subprocess.run(command, env=environment(), check=False).returncode


@contextmanager
def _starting(python: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise missing(f"the worker's Python '{python}' cannot be started: {error.strerror or error}") from error


def last_line(path: Path) -> str:
    """The last thing the worker printed into the file ``path``, for an error message; empty when it printed nothing."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
