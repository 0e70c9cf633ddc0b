# SPDX-License-Identifier: GPL-3.0-or-later
"""Schema versions of ``shot.json``: an older one is upgraded dict to dict, a newer one is a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import LucidError
from .model import SCHEMA

# version n -> the function that turns a manifest of version n into one of version n + 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def upgraded(data: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest at the current schema. Raises SHOT_NEWER for a newer one, SHOT_INVALID for no schema."""
    family, current = SCHEMA.split("/")
    name, _, number = str(data.get("schema", "")).partition("/")
    if name != family or not number.isdigit():
        raise LucidError("SHOT_INVALID", "shot.json names no lucid.shot schema", "capture the shot again")
    version = int(number)
    if version > int(current):
        raise LucidError("SHOT_NEWER", f"the shot was written as {data['schema']}, this Lucid reads up to {SCHEMA}",
                         "update Lucid, or capture the shot again with this one")
    while version < int(current):
        data = UPGRADES[version](data)
        version += 1
    return data
