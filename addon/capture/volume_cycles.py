# SPDX-License-Identifier: GPL-3.0-or-later
"""The volume layer by Cycles, for volumes that cannot be marched."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .cycles import Change, Cycles, changed
from .volume import VolumeSurface
from .volume_grids import shows_inside


def cycles_volume(cycles: Cycles, frame: int, samples: int, volumes: Collection[int] | None = None) -> VolumeSurface:
    """Transmittance and emission as the marcher gives them, averaged over the pixel and with the noise of ``samples``;
    ``depth`` is NaN where the volumes take something, since Cycles does not say where, and +inf where they take nothing.

    Only volumes are rendered, in the dark and without scattered light; everything else is a hole they may stand in front
    of, so that alpha is what they take away. What is inside of a visible surface (coloured glass) is not seen.
    Raises what :class:`Cycles` does.
    """
    channels = cycles.picture(frame, samples, _volumes_alone(cycles, volumes), film_transparent=True).channels
    emission = np.stack([channels[f"Combined.{name}"] for name in "RGB"], axis=-1)
    transmittance = np.clip(1.0 - channels["Combined.A"], 0.0, 1.0).astype(np.float32)
    depth = np.where(transmittance < 1.0, np.nan, np.inf).astype(np.float32)
    return VolumeSurface(transmittance, emission, depth)


def _volumes_alone(cycles: Cycles, volumes: Collection[int] | None) -> Iterator[Change]:
    yield changed(cycles.scene.cycles, max_bounces=0)
    yield _dark(cycles.scene)
    if volumes is None:
        volumes = {instance.object.original.session_uid
                   for instance in cycles.scene.view_layers[cycles.view_layer].depsgraph.object_instances
                   if shows_inside(instance.object)}
    for item in bpy.data.objects:
        if item.session_uid not in volumes:
            yield changed(item, is_holdout=True, visible_volume_scatter=False)


@contextmanager
def _dark(scene: bpy.types.Scene) -> Iterator[None]:
    """A black world. Without any, Cycles 5.2 renders nothing of a volume object whose nodes do not vary in space."""
    before, world = scene.world, bpy.data.worlds.new("Lucid")
    try:
        world.node_tree.nodes.clear()
        scene.world = world
        yield
    finally:
        scene.world = before
        bpy.data.worlds.remove(world)
