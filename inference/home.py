# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Lucid keeps what it makes for itself. The launcher writes worker.json there, Blender reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def lucid_home(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """LUCID_HOME, else the platform's cache folder + ``lucid``."""
    if environ.get("LUCID_HOME"):
        return Path(environ["LUCID_HOME"]).expanduser().absolute()
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lucid"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lucid"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lucid"
