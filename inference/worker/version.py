# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Lucid this is, as the extension's manifest says. Standard library only."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ..errors import LucidError


def version() -> str:
    """Lucid's, from the extension's manifest. Raises MANIFEST_MISSING."""
    path = Path(__file__).resolve().parents[2] / "blender_manifest.toml"
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError) as error:
        raise LucidError("MANIFEST_MISSING", f"{path} does not say which Lucid this is", "install Lucid again") from error
