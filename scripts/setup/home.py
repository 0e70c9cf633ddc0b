# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the launcher keeps what it makes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from ...inference.errors import LucidError
from ...inference.home import lucid_home as lucid_home

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPOSITORY / "scripts" / "requirements"


def make_home() -> None:
    """Raises HOME_UNWRITABLE."""
    try:
        logs()
    except OSError as error:
        raise LucidError("HOME_UNWRITABLE", f"cannot write {lucid_home()}: {error.strerror or error}",
                         "set LUCID_HOME to a folder that is yours to write") from error


def logs() -> Path:
    """The folder of logs, made when missing."""
    folder = lucid_home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a small JSON file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in ``path``; None when it is missing or was never a whole one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def fingerprint(*parts: str) -> str:
    """Ten hex digits that change when any of the parts does."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
