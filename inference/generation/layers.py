# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model is told of one layer: its region, its control, what is kept around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import GEOMETRY, LINES, NONE, Painting, Profile, Video
from ..conditioning.compose import box, dilate, overlay
from ..conditioning.depth import inverse_depth
from ..conditioning.geometry import geometry
from ..shot.model import DepthRange
from .footage import Actor, Surface


def surface_control(surface: Surface, span: DepthRange, profile: Profile) -> Video:
    """(F, H, W, 3) in [0, 1]: what the model is told of a surface, in the form it was trained on."""
    inverse = inverse_depth(surface.depth, span)
    if profile.control == GEOMETRY:
        assert surface.normal is not None
        return geometry(inverse, surface.normal, np.isfinite(surface.depth))
    return np.repeat(inverse[..., None], 3, axis=-1)


def with_skeleton(control: Video, actor: Actor, silhouette: NDArray[np.bool_], profile: Profile) -> Video:
    """The control with the actor's skeleton over it, where there is one and the model reads it: its lines, or alone in the
    silhouette."""
    if actor.joints is None or profile.skeleton == NONE:
        return control
    pose = actor.pose_video(reverse_channels=profile.pose_reversed)
    region = np.asarray(pose.any(-1)) if profile.skeleton == LINES else dilate(silhouette, profile.pose_grow)
    return overlay(control, pose, region)


def environment_painting(plate: Surface, span: DepthRange, profile: Profile) -> Painting:
    """The clean plate: its control everywhere, everything painted."""
    return Painting(surface_control(plate, span, profile), np.ones(plate.depth.shape, bool))


def actor_painting(actor: Actor, behind: Surface, context: Video, span: DepthRange, profile: Profile) -> Painting:
    """One actor in the picture made so far.

    ``behind`` is the surface of all that is generated already, ``context`` (F, H, W, 3) its picture. Inside the grown
    silhouette the control is the surface and the skeleton (where the actor has one); outside, the kept picture.
    """
    depth = actor.surface.depth
    silhouette = (np.isfinite(depth) & (depth <= behind.depth)) | (actor.matte > 0.0)
    control = with_skeleton(surface_control(actor.surface.before(behind), span, profile), actor, silhouette, profile)
    mask = dilate(box(silhouette) if profile.mask_box else silhouette, profile.mask_grow)
    return Painting(np.where(mask[..., None], control, context), mask)
