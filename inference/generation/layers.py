# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of layers and the region, control and place in the composite of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import Profile
from ..conditioning.compose import box, compose, dilate
from ..conditioning.depth import inverse_depth
from ..shot.model import DepthRange
from .footage import Actor

Video = NDArray[np.float32]


@dataclass(frozen=True)
class Painting:
    """What the model gets for one layer: ``control`` (F, H, W, 3) in [0, 1] and ``mask`` (F, H, W), true = paint."""

    control: Video
    mask: NDArray[np.bool_]


def environment_painting(depth: NDArray[np.float32], span: DepthRange) -> Painting:
    """The clean plate: its inverse depth everywhere, everything painted."""
    empty = np.zeros(depth.shape, bool)
    return Painting(compose(inverse_depth(depth, span), np.zeros((*depth.shape, 3), np.float32), empty), ~empty)


def actor_painting(actor: Actor, behind: NDArray[np.float32], context: Video, span: DepthRange,
                   profile: Profile) -> Painting:
    """One actor in the picture made so far.

    ``behind`` (F, H, W) is the depth of all that is generated already, ``context`` (F, H, W, 3) its picture. Inside
    the grown silhouette the control is the skeleton (where the actor has one) and depth; outside, the kept picture.
    """
    silhouette = (np.isfinite(actor.depth) & (actor.depth <= behind)) | (actor.matte > 0.0)
    depth = inverse_depth(np.minimum(behind, actor.depth), span)
    if actor.joints is None:
        pose, region = np.zeros((*depth.shape, 3), np.float32), np.zeros(depth.shape, bool)
    else:
        pose, region = actor.pose_video(reverse_channels=profile.pose_reversed), dilate(silhouette, profile.pose_grow)
    mask = dilate(box(silhouette) if profile.mask_box else silhouette, profile.mask_grow)
    return Painting(np.where(mask[..., None], compose(depth, pose, region), context), mask)


def over(below: Video, colour: Video, alpha: NDArray[np.float32]) -> Video:
    """Porter-Duff over with straight alpha, on display-referred values as the Sequencer's alpha-over blends them."""
    return below + (colour - below) * alpha[..., None]


def over_alphas(mattes: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Alphas that make a stack of *over* equal to the disjoint coverages it was cut into.

    ``mattes`` (each (F, H, W)) from the farthest layer to the nearest hold visible coverage: they add up to 1 at most.
    A layer's alpha is its coverage as a part of what nearer layers leave free.
    """
    alphas = []
    free = np.ones_like(mattes[0]) if mattes else None
    for matte in reversed(mattes):
        assert free is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            alphas.append(np.where(free > 1e-3, np.clip(matte / free, 0.0, 1.0), 0.0).astype(np.float32))
        free = np.maximum(free - matte, 0.0)
    return alphas[::-1]
