# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the actors are: names of objects or collections to the objects, and so the instances, that belong to them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy

from ...inference.errors import LucidError
from ...inference.shot.model import ENVIRONMENT, SHADOW, VOLUME
from ...inference.shot.paths import folder_name
from .instances import ENVIRONMENT_ACTOR

_SHOWN_NAMES = 12
_OTHER_LAYERS = {ENVIRONMENT, SHADOW, VOLUME}
_DRAWABLE = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD"}


@dataclass(frozen=True)
class Actor:
    """One marked actor: ``objects`` are the session uids of its original objects, ``armatures`` what may move it."""

    name: str
    folder: str
    objects: frozenset[int]
    armatures: tuple[bpy.types.Object, ...]


def resolve_actors(scene: bpy.types.Scene, names: Sequence[str]) -> tuple[Actor, ...]:
    """Actors in the order named, each name once; an object goes before a collection of the same name.

    Raises ACTOR_UNKNOWN with the nearest names, ACTOR_EMPTY for one that can never be seen, ACTOR_NAME for
    the names of the layers that are not actors.
    """
    actors: list[Actor] = []
    for name in dict.fromkeys(names):
        if name in _OTHER_LAYERS:
            raise LucidError("ACTOR_NAME", f"an actor cannot be called '{name}', as another layer is",
                             "rename the object or collection")
        objects = _with_belongings(scene, _named(scene, name))
        if not any(_drawable(item) for item in objects):
            raise LucidError("ACTOR_EMPTY", f"the actor '{name}' holds nothing with a surface",
                             "choose an object with geometry, its armature, or a collection of them")
        taken = {actor.folder for actor in actors} | _OTHER_LAYERS
        actors.append(Actor(name, folder_name(name, taken), frozenset(item.session_uid for item in objects),
                            _armatures(objects)))
    return tuple(actors)


def actor_index(actors: Sequence[Actor], instance: Any) -> int:
    """The index of the actor a depsgraph instance belongs to, by what instances it first, then by the object itself."""
    owners = [instance.object.original.session_uid]
    if instance.is_instance:
        owners.insert(0, instance.parent.original.session_uid)
    for uid in owners:
        for index, actor in enumerate(actors):
            if uid in actor.objects:
                return index
    return ENVIRONMENT_ACTOR


def _named(scene: bpy.types.Scene, name: str) -> list[bpy.types.Object]:
    if name in scene.objects:
        return [scene.objects[name]]
    collections = _collections(scene)
    if name in collections:
        return list(collections[name].all_objects)
    known = sorted({item.name for item in scene.objects if _drawable(item) or item.type == "ARMATURE"} | set(collections))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    listed = ", ".join(known[:_SHOWN_NAMES]) + (", ..." if len(known) > _SHOWN_NAMES else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"the scene has: {listed or 'nothing to choose from'}"
    raise LucidError("ACTOR_UNKNOWN", f"the scene has no object or collection called '{name}'", hint)


def _collections(scene: bpy.types.Scene) -> dict[str, bpy.types.Collection]:
    """The scene's collections, and those its objects instance (a linked character is often one)."""
    found = {item.name: item for item in scene.collection.children_recursive}
    for item in scene.objects:
        if item.instance_type == "COLLECTION" and item.instance_collection is not None:
            for inner in (item.instance_collection, *item.instance_collection.children_recursive):
                found.setdefault(inner.name, inner)
    return found


def _with_belongings(scene: bpy.types.Scene, objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects, their children, and the meshes that their armatures deform (with those meshes' children)."""
    gathered: dict[bpy.types.Object, None] = {}
    for item in objects:
        gathered.update(dict.fromkeys((item, *item.children_recursive)))
    rigs = {item for item in gathered if item.type == "ARMATURE"}
    for item in scene.objects:
        if any(rig in rigs for rig in _deformed_by(item)):
            gathered.update(dict.fromkeys((item, *item.children_recursive)))
    return list(gathered)


def _armatures(objects: list[bpy.types.Object]) -> tuple[bpy.types.Object, ...]:
    """Armatures among the objects and inside the collections they instance, else those that deform or carry them."""
    inside = [inner for item in objects if item.instance_type == "COLLECTION" and item.instance_collection is not None
              for inner in item.instance_collection.all_objects]
    own = [item for item in (*objects, *inside) if item.type == "ARMATURE"]
    if not own:
        own = [rig for item in objects for rig in _deformed_by(item)]
        own += [item.parent for item in objects if item.parent is not None and item.parent.type == "ARMATURE"]
    return tuple(dict.fromkeys(own))


def _deformed_by(item: bpy.types.Object) -> list[bpy.types.Object]:
    return [m.object for m in item.modifiers if m.type == "ARMATURE" and m.object is not None]


def _drawable(item: bpy.types.Object) -> bool:
    return item.type in _DRAWABLE or (item.instance_type == "COLLECTION" and item.instance_collection is not None)
