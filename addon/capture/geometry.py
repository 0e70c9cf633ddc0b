# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render depsgraph holds in one frame: meshes read once, and the instances that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

ENVIRONMENT_ACTOR = -1
_UNUSED = 0x7FFFFFFF        # how Blender fills the end of a persistent_id
_NO_MESH_FORM = {"CURVES": "hair curves", "POINTCLOUD": "a point cloud", "VOLUME": "a volume",
                 "GREASEPENCIL": "Grease Pencil strokes"}


@dataclass(frozen=True, eq=False)
class Triangles:
    """Corners of triangles: ``position`` and ``normal`` are (3 T, 3) float32 in object space. Compared by identity."""

    position: NDArray[np.float32]
    normal: NDArray[np.float32]


@dataclass
class Group:
    """One mesh and its instances: world matrices (N, 4, 4) float64, ids (N,), and the actor of each (N,)."""

    triangles: Triangles
    matrices: list[NDArray[np.float64]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    actors: list[int] = field(default_factory=list)


@dataclass
class Instances:
    """Ids of object instances, 1, 2, ... in the order they are first seen, stable over the frames of a capture.

    An instance is known by (what instances it, the object, Blender's persistent_id).
    """

    numbers: dict[tuple[str, str, tuple[int, ...]], int] = field(default_factory=dict)
    actors: dict[int, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def number(self, key: tuple[str, str, tuple[int, ...]], actor: int) -> int:
        found = self.numbers.setdefault(key, len(self.numbers) + 1)
        self.actors[found] = actor
        return found

    def names(self) -> dict[int, str]:
        """Object name; ``Instancer/Object`` for instances, with [persistent id] where there are several."""
        count: dict[tuple[str, str], int] = {}
        for top, name, _ in self.numbers:
            count[top, name] = count.get((top, name), 0) + 1
        return {number: _instance_name(top, name, ids if count[top, name] > 1 else ())
                for (top, name, ids), number in self.numbers.items()}


class MeshCache:
    """Triangles by (object, evaluated mesh), read again only when the object's geometry changed."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, int], Triangles | None] = {}

    def forget_changed(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Drop what the last evaluation changed."""
        dirty = {update.id.original.session_uid for update in depsgraph.updates if update.is_updated_geometry}
        if dirty:
            self._read = {key: value for key, value in self._read.items() if key[0] not in dirty}

    def triangles(self, evaluated: bpy.types.Object) -> Triangles | None:
        mesh: Any = evaluated.data
        key = (evaluated.original.session_uid, mesh.session_uid)
        if key not in self._read:
            self._read[key] = read_triangles(mesh)
        return self._read[key]

    def keep_only(self, used: Iterable[Triangles]) -> None:
        """Let go of meshes that no instance shows any more: memory stays flat over a long shot."""
        kept = set(used)
        self._read = {key: value for key, value in self._read.items() if value is None or value in kept}


def read_triangles(mesh: bpy.types.Mesh) -> Triangles | None:
    """The triangulated corners of an evaluated mesh, with its corner normals; None for a mesh without faces."""
    count = len(mesh.loop_triangles)
    if count == 0:
        return None
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points.ravel())
    corners = np.empty(count * 3, np.int32)
    mesh.loop_triangles.foreach_get("loops", corners)
    vertices = np.empty(len(mesh.loops), np.int32)
    mesh.attributes[".corner_vert"].data.foreach_get("value", vertices)
    normals = np.empty((len(mesh.loops), 3), np.float32)
    mesh.corner_normals.foreach_get("vector", normals.ravel())
    return Triangles(points[vertices[corners]], normals[corners])


def gather(depsgraph: bpy.types.Depsgraph, cache: MeshCache, instances: Instances,
           actor_of: Callable[[Any], int]) -> list[Group]:
    """Walk the depsgraph once. ``actor_of(instance)`` gives the index of the actor or ENVIRONMENT_ACTOR.

    Everything with an evaluated mesh is drawn, whatever it was made from; what has none is named in the notes.
    """
    cache.forget_changed(depsgraph)
    groups: dict[Triangles, Group] = {}
    for instance in depsgraph.object_instances:
        evaluated = instance.object
        if evaluated.type != "MESH":
            _note(instances, evaluated)
            continue
        if not instance.is_instance and len(evaluated.particle_systems) > 0:
            _note_particle_hair(instances, evaluated)
        if not (instance.show_self and evaluated.visible_camera):
            continue
        triangles = cache.triangles(evaluated)
        if triangles is None:
            continue
        actor = actor_of(instance)
        group = groups.setdefault(triangles, Group(triangles))
        group.matrices.append(np.array(instance.matrix_world, np.float64))
        group.ids.append(instances.number(_key(instance), actor))
        group.actors.append(actor)
    cache.keep_only(group.triangles for group in groups.values())
    return list(groups.values())


def _key(instance: bpy.types.DepsgraphObjectInstance) -> tuple[str, str, tuple[int, ...]]:
    name = instance.object.original.name_full
    if not instance.is_instance:
        return name, name, ()
    ids = tuple(number for number in instance.persistent_id if number != _UNUSED)
    return instance.parent.original.name_full, name, ids


def _instance_name(top: str, name: str, ids: tuple[int, ...]) -> str:
    label = name if top == name else f"{top}/{name}"
    return f"{label}[{'.'.join(map(str, ids))}]" if ids else label


def _note(instances: Instances, evaluated: bpy.types.Object) -> None:
    if evaluated.type in _NO_MESH_FORM:
        kind = _NO_MESH_FORM[evaluated.type]
        instances.notes[f"'{evaluated.original.name}' holds {kind}, which has no mesh form and is not captured"] = None


def _note_particle_hair(instances: Instances, evaluated: bpy.types.Object) -> None:
    for system in evaluated.particle_systems:
        if system.settings.type == "HAIR" and system.settings.render_type == "PATH":
            instances.notes[f"'{evaluated.original.name}' has particle hair, which is not captured"] = None
