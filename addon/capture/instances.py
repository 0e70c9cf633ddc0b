# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render depsgraph shows in one frame: meshes and the instances of them, each with an id and materials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .geometry import Mesh, MeshCache
from .materials import Cutout, Invisible, classify, materials_of, needs_cycles

ENVIRONMENT_ACTOR = -1
_UNUSED = 0x7FFFFFFF        # how Blender fills the end of a persistent_id
_NO_MESH_FORM = {"CURVES": "hair curves", "POINTCLOUD": "a point cloud", "GREASEPENCIL": "Grease Pencil strokes"}


@dataclass
class Group:
    """One mesh with one set of materials (an id per slot), and its instances: world matrices (N, 4, 4) float64, ids
    (N,), and the actor of each (N,)."""

    mesh: Mesh
    materials: tuple[int, ...]
    matrices: list[NDArray[np.float64]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    actors: list[int] = field(default_factory=list)


@dataclass
class Registry:
    """Ids of object instances and of materials, 1, 2, ... in the order they are first seen, stable over the frames of a
    capture and over the shots of a sequence.

    An instance is known by (what instances it, the object, Blender's persistent_id), a material by its name.
    """

    numbers: dict[tuple[str, str, tuple[int, ...]], int] = field(default_factory=dict)
    actors: dict[int, int] = field(default_factory=dict)
    materials: dict[str, int] = field(default_factory=dict)
    looks: dict[int, Cutout | Invisible] = field(default_factory=dict)      # of materials that are not just solid
    notes: dict[str, None] = field(default_factory=dict)
    judged: set[int] = field(default_factory=set)       # session uids of objects that were asked whether they can be drawn

    def number(self, key: tuple[str, str, tuple[int, ...]], actor: int) -> int:
        found = self.numbers.setdefault(key, len(self.numbers) + 1)
        self.actors[found] = actor
        return found

    def material(self, material: bpy.types.Material | None) -> int:
        """The id of an (evaluated) material; 0 for none."""
        if material is None:
            return 0
        original: Any = material.original
        name = original.name_full
        if name not in self.materials:
            self.materials[name] = len(self.materials) + 1
            found = classify(original)
            if isinstance(found, (Cutout, Invisible)):
                self.looks[self.materials[name]] = found
        return self.materials[name]

    def names(self) -> dict[int, str]:
        """Object name; ``Instancer/Object`` for instances, with [persistent id] where there are several."""
        count: dict[tuple[str, str], int] = {}
        for top, name, _ in self.numbers:
            count[top, name] = count.get((top, name), 0) + 1
        return {number: _instance_name(top, name, ids if count[top, name] > 1 else ())
                for (top, name, ids), number in self.numbers.items()}


def gather(depsgraph: bpy.types.Depsgraph, cache: MeshCache, registry: Registry, actor_of: Callable[[Any], int],
           skipped: frozenset[int] = frozenset()) -> tuple[list[Group], dict[int, int]]:
    """Walk the depsgraph once. ``actor_of(instance)`` gives the index of the actor or ENVIRONMENT_ACTOR; objects whose
    session uid is in ``skipped`` are drawn by somebody else.

    Returns the groups and, by instance id, how many instances there are where these are merely counted 0, 1, 2, ...: when
    that number changes, nobody knows who is who. Everything with an evaluated mesh is drawn, whatever it was made from;
    what has none is named in the notes.
    """
    cache.forget_changed(depsgraph)
    groups: dict[tuple[Mesh, tuple[int, ...]], Group] = {}
    slots: dict[tuple[int, int], tuple[int, ...]] = {}
    families: dict[tuple[str, str], dict[int, int]] = {}        # what instances, what is instanced: its own number -> id
    for instance in depsgraph.object_instances:
        evaluated = instance.object
        original = evaluated.original
        if original.session_uid in skipped:
            continue
        if evaluated.type != "MESH":
            _note(registry, evaluated)
            continue
        if not instance.is_instance and len(evaluated.particle_systems) > 0:
            _note_particle_hair(registry, evaluated)
        if not (instance.show_self and camera_sees(instance, depsgraph.view_layer)):
            continue
        mesh = cache.mesh(evaluated)
        if mesh is None:
            continue
        owner = (original.session_uid, evaluated.data.session_uid)
        if owner not in slots:
            if owner[0] not in registry.judged:         # materials are long to follow and do not change
                registry.judged.add(owner[0])
                if reason := needs_cycles(evaluated):   # it came into the picture between the frames that were looked at
                    registry.notes[f"'{original.name}' is drawn solid: {reason}"] = None
            slots[owner] = tuple(registry.material(material) for material in materials_of(evaluated))
        actor = actor_of(instance)
        key = (mesh, slots[owner])
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(*key)
        group.matrices.append(np.array(instance.matrix_world, np.float64))
        top, name, places = identity = _key(instance)
        number = registry.number(identity, actor)
        if places:
            families.setdefault((top, name), {})[places[-1]] = number
        group.ids.append(number)
        group.actors.append(actor)
    cache.keep_only(group.mesh for group in groups.values())
    counted = (family for family in families.values() if family.keys() == set(range(len(family))))
    return list(groups.values()), {number: len(family) for family in counted for number in family.values()}


def camera_sees(instance: bpy.types.DepsgraphObjectInstance, layer: bpy.types.ViewLayer) -> bool:
    """Whether camera rays meet an instance: neither it nor what instances it is hidden from them, nor in a collection that
    the view layer has for indirect light only."""
    if not instance.object.visible_camera:
        return False
    owners = (instance.object.original, *((instance.parent.original,) if instance.is_instance else ()))
    return all(owner.visible_camera and not owner.indirect_only_get(view_layer=layer) for owner in owners)


def _key(instance: bpy.types.DepsgraphObjectInstance) -> tuple[str, str, tuple[int, ...]]:
    name = instance.object.original.name_full
    if not instance.is_instance:
        return name, name, ()
    ids = tuple(number for number in instance.persistent_id if number != _UNUSED)
    return instance.parent.original.name_full, name, ids


def _instance_name(top: str, name: str, ids: tuple[int, ...]) -> str:
    label = name if top == name else f"{top}/{name}"
    return f"{label}[{'.'.join(map(str, ids))}]" if ids else label


def _note(registry: Registry, evaluated: bpy.types.Object) -> None:
    if evaluated.type in _NO_MESH_FORM:
        kind = _NO_MESH_FORM[evaluated.type]
        registry.notes[f"'{evaluated.original.name}' holds {kind}, which has no mesh form and is not captured"] = None


def _note_particle_hair(registry: Registry, evaluated: bpy.types.Object) -> None:
    for system in evaluated.particle_systems:
        if system.settings.type == "HAIR" and system.settings.render_type == "PATH":
            registry.notes[f"'{evaluated.original.name}' has particle hair, which is not captured"] = None
