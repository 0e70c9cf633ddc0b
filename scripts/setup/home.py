# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the launcher keeps what it makes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPOSITORY / "scripts" / "requirements"


def lucid_home(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """LUCID_HOME, else the platform's cache folder + ``lucid``. Blender looks for worker.json in the same place."""
    if environ.get("LUCID_HOME"):
        return Path(environ["LUCID_HOME"]).expanduser().absolute()
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lucid"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lucid"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lucid"


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
