# SPDX-License-Identifier: GPL-3.0-or-later
"""Schema versions of ``shot.json``: an older one is upgraded dict to dict, a newer one is a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import LucidError
from .model import SCHEMA


def _layers_have_kinds(data: dict[str, Any]) -> dict[str, Any]:
    """1 -> 2: a layer says what kind it is; materials, the camera in words, sound and markers are new."""
    layers = [{**layer, "kind": "environment" if layer["name"] == "environment" else "actor"} for layer in data["layers"]]
    return {**data, "schema": "lucid.shot/2", "layers": layers, "camera": {**data["camera"], "words": ""},
            "materials": {}, "audio": "", "markers": []}


def _layers_may_have_ids(data: dict[str, Any]) -> dict[str, Any]:
    """2 -> 3: an environment or an actor may have the passes id and rest; an old one keeps those it has."""
    return {**data, "schema": "lucid.shot/3"}


# version n -> the function that turns a manifest of version n into one of version n + 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _layers_have_kinds, 2: _layers_may_have_ids}


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
    try:
        while version < int(current):
            data = UPGRADES[version](data)
            version += 1
    except (KeyError, TypeError) as error:
        raise LucidError("SHOT_INVALID", f"shot.json is not a {data['schema']} manifest: {error!r}",
                         "capture the shot again") from error
    return data
