# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a capture touches in a scene comes back, also after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

# a single render() of our engine: no strips, no compositor, no extra passes, and nothing kept from earlier renders
PLAIN_RENDER = {"use_sequencer": False, "use_compositing": False, "use_freestyle": False, "use_multiview": False,
                "use_border": False, "use_persistent_data": False}

_SIMULATIONS = {"CLOTH", "COLLISION", "DYNAMIC_PAINT", "EXPLODE", "FLUID", "PARTICLE_INSTANCE", "PARTICLE_SYSTEM",
                "SOFT_BODY"}


@contextmanager
def restored(scene: bpy.types.Scene) -> Iterator[None]:
    """Put back the render engine, the render switches of PLAIN_RENDER, the camera and the frame on leaving."""
    render = scene.render
    switches = {name: getattr(render, name) for name in ("engine", *PLAIN_RENDER)}
    camera, frame, subframe = scene.camera, scene.frame_current, scene.frame_subframe
    try:
        yield
    finally:
        for name, value in switches.items():
            setattr(render, name, value)
        # the frame before the camera: a marker that binds a camera switches it when the frame is set
        if (scene.frame_current, scene.frame_subframe) != (frame, subframe):
            scene.frame_set(frame, subframe=subframe)
        if scene.camera != camera:
            scene.camera = camera


@contextmanager
def rest_positions(wanted: bool) -> Iterator[None]:
    """Let Blender keep the rest positions of meshes that may deform.

    Not those of simulations, whose caches this would empty: their rest is where they are when they are first seen.
    """
    flagged = [item for item in bpy.data.objects
               if wanted and item.type == "MESH" and not item.add_rest_position_attribute and not _simulated(item)
               and (len(item.modifiers) > 0 or item.data.shape_keys is not None)]
    try:
        for item in flagged:
            item.add_rest_position_attribute = True
        yield
    finally:
        for item in flagged:
            item.add_rest_position_attribute = False


def _simulated(item: bpy.types.Object) -> bool:
    return item.rigid_body is not None or any(
        modifier.type in _SIMULATIONS or (modifier.type == "NODES" and len(modifier.bakes) > 0)
        for modifier in item.modifiers)
