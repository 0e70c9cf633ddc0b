# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender that runs a script: BLENDER_BIN, or one on PATH, or the bpy module in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...inference.errors import LucidError
from .environments import BPY
from .home import lucid_home, read_json, write_json

MINIMUM = (5, 2)
PROBE_SECONDS = 60
SCRIPT_FAILED = "3"


@dataclass(frozen=True)
class Host:
    """Something that runs Python scripts with bpy: ``binary`` is Blender, else ``python`` has the module."""

    binary: Path | None = None
    python: Path | None = None

    def command(self, script: Path, arguments: Sequence[str]) -> list[str]:
        if self.binary is None:
            return [str(self.python), str(script), "--", *arguments]
        return [str(self.binary), "--quiet", "--background", "--factory-startup", "--python-exit-code", SCRIPT_FAILED,
                "--python", str(script), "--", *arguments]


def find_host() -> Host:
    """The first of BLENDER_BIN, ``blender`` on PATH if new enough, the bpy environment (made when missing).

    Raises BLENDER_MISSING or BLENDER_OLD for a bad BLENDER_BIN, and what making the environment raises.
    """
    binary = find_binary()
    return Host(binary=binary) if binary is not None else Host(python=BPY.ensure())


def find_binary() -> Path | None:
    """Blender 5.2 or newer as named by BLENDER_BIN or found on PATH, or None."""
    named = os.environ.get("BLENDER_BIN")
    if named:
        version = blender_version(Path(named))
        if version is None:
            raise LucidError("BLENDER_MISSING", f"BLENDER_BIN names {named}, which does not run as Blender",
                             "point it at Blender's executable, or unset it")
        if version < MINIMUM:
            raise LucidError("BLENDER_OLD", f"BLENDER_BIN is Blender {version[0]}.{version[1]}, Lucid needs 5.2",
                             "point it at a newer Blender, or unset it")
        return Path(named)
    on_path = shutil.which("blender")
    if on_path:
        version = blender_version(Path(on_path))
        if version is not None and version >= MINIMUM:
            return Path(on_path)
    return None


def blender_version(binary: Path) -> tuple[int, int] | None:
    """(major, minor) of a Blender executable, remembered by its file's size and time; None when it is none."""
    try:
        status = binary.resolve().stat()
    except OSError:
        return None
    key = f"{binary.resolve()} {status.st_size} {status.st_mtime_ns}"
    notes = lucid_home() / "blender-versions.json"
    known = read_json(notes) or {}
    if key not in known:
        version = _ask(binary)
        if version is None:
            return None
        known[key] = list(version)
        write_json(notes, known)
    return known[key][0], known[key][1]


def _ask(binary: Path) -> tuple[int, int] | None:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"^Blender (\d+)\.(\d+)", answer.stdout, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else None
