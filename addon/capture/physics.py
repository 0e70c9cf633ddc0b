# SPDX-License-Identifier: GPL-3.0-or-later
"""Physics that is not baked must be walked through in order before its frames are right."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

_CACHED_MODIFIERS = ("CLOTH", "SOFT_BODY")


def first_unbaked_frame(scene: bpy.types.Scene) -> int | None:
    """The first frame of the earliest simulation that is not baked, or None when none needs a walk."""
    starts = [cache.frame_start for cache in caches(scene) if not cache.is_baked]
    starts += [scene.frame_start for item in scene.objects if has_simulation_nodes(item)]
    return min(starts, default=None)


def walk_through(scene: bpy.types.Scene, first: int, last: int) -> Iterator[int]:
    """Set every frame from ``first`` to ``last``, yielding each: the simulations fill the caches that a render reads."""
    for frame in range(first, last + 1):
        scene.frame_set(frame)
        yield frame


def caches(scene: bpy.types.Scene) -> Iterator[bpy.types.PointCache]:
    """The point caches that a render reads; their ``id_data`` is the object, or the scene for its rigid bodies."""
    if scene.rigidbody_world is not None and scene.rigidbody_world.enabled:
        yield scene.rigidbody_world.point_cache
    for item in scene.objects:
        for modifier in item.modifiers:
            if modifier.type in _CACHED_MODIFIERS and modifier.show_render:
                yield modifier.point_cache
        for system in item.particle_systems:
            if system.settings.type == "EMITTER":
                yield system.point_cache


def has_simulation_nodes(item: bpy.types.Object) -> bool:
    """Whether geometry nodes simulate or bake; Blender does not tell whether they are baked."""
    return any(modifier.type == "NODES" and modifier.node_group is not None and len(modifier.bakes) > 0
               for modifier in item.modifiers)
