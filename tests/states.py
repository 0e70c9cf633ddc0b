# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a file's scenes and objects say, before and after: what is undone leaves no difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
import pytest

# particle_edit points at the object that an evaluation made, and is not saved
_SKIPPED = {"rna_type", "original", "depsgraph", "bl_rna", "stats", "is_evaluated", "use_nodes", "particle_edit"}
_WALKED = {"view_layers", "children", "material_slots", "modifiers", "timeline_markers", "views"}


def _values(item: Any, depth: int = 0) -> dict[str, Any]:
    """Every plain property of a piece of Blender's data, those of its embedded parts too; other datablocks by name."""
    found: dict[str, Any] = {}
    for prop in item.bl_rna.properties:
        name = prop.identifier
        if name in _SKIPPED:
            continue
        value = getattr(item, name)
        if prop.type == "COLLECTION":
            if name in _WALKED:
                found[name] = [_values(part, depth + 1) for part in value]
        elif prop.type != "POINTER":
            found[name] = tuple(value) if getattr(prop, "is_array", False) else value
        elif value is None or isinstance(value, bpy.types.ID):
            found[name] = value and value.name
        elif depth < 4:
            found[name] = _values(value, depth + 1)
    return found


def everything(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Scene, render, Cycles, view layers, objects, cameras and worlds; how much of everything there is; handlers; undo."""
    state = {f"{kind} {item.name}": _values(item) for kind in ("scenes", "objects", "cameras", "worlds", "lights", "materials")
             for item in getattr(bpy.data, kind)}
    state["counts"] = {prop.identifier: len(getattr(bpy.data, prop.identifier)) for prop in bpy.data.bl_rna.properties
                       if prop.type == "COLLECTION" and prop.identifier not in {"images", "all_ids"}}
    state["images"] = [image.name for image in bpy.data.images if image.type != "RENDER_RESULT"]
    state["handlers"] = {name: len(found) for name in dir(bpy.app.handlers)
                         if isinstance(found := getattr(bpy.app.handlers, name), list)}
    capfd.readouterr()
    bpy.context.window_manager.print_undo_steps()
    state["undo"] = [line.split("name=")[-1] for line in capfd.readouterr().out.splitlines() if "name=" in line]
    return state


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differences(before.get(key), after.get(key), f"{path}.{key}")
    elif before != after:
        yield f"{path}: {before} became {after}"
