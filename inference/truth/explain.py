# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two motions explains each pixel: that of what is inside an outline, or that of what is outside of it.

Both motions are exact, the scene's. Each side's is carried over the other side from its nearest pixel, and the picture is
compared with the pictures around it along either one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..surfaces import find, samples
from .geometry import project
from .ground import Array, Double, Mask, Moment
from .points import Cloud, sample
from .watch import Observed

#: px over the whole step by which the two motions must differ
LEAST_MOTION = 1.0
#: points of a side at most, about: a side is sampled more sparsely when it is larger
_POINTS = 2500
#: squared difference, summed over the colours, above which a pixel is not explained at all
_CAP = np.float32(0.12)
#: squared difference, summed over the colours, that 8-bit rounding and resampling leave
_NOISE = np.float32(3e-4)

#: px of a window that a shadow darkens evenly, and the factors that it may have from one picture to the other
_SHADE, _SHADES = 7, (0.6, 1.7)
#: px around the box within which what deforms is looked for
_DEFORMED = 48
#: of the depth by which a point must lie behind what is seen to be hidden by it
_BEHIND = 0.02

Kind = TypeVar("Kind", bound=np.generic)
#: rows and columns of a picture: y0, y1, x0, x1
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Evidence:
    """In the ``box`` (y0, y1, x0, x1) of a picture: ``votes`` (h, w) in [-1, 1], 1 where only the inside's motion explains the
    picture, -1 where only the outside's does, 0 where both do or neither; ``apart`` (h, w) px by which they differ."""

    box: Box
    votes: Array
    apart: Array


def evidence(now: Observed, others: Sequence[Observed], inside: Mask, box: Box, outside: Mask | None = None) -> Evidence | None:
    """Compare both motions in ``box``, by the pictures ``others``; ``inside`` (H, W) is where the scene has the one side, and
    ``outside`` (H, W), by default all else, the other. None where a side has no point that can be followed.

    A pixel's difference is the least over the ``others``, so that what is hidden in one of them is judged by another; what the
    scene says is hidden in all of them does not vote.
    """
    y0, y1, x0, x1 = box
    base = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), -1).astype(np.float32) + np.float32(0.5)
    moments = [other.moment for other in others]
    outside = ~inside if outside is None else outside
    ours, theirs = (carried(now.moment, moments, side, box) for side in (inside, outside))
    if ours is None or theirs is None:
        return None
    here = inside[y0:y1, x0:x1]
    picture, within = now.picture[y0:y1, x0:x1], np.full(base.shape[:2], np.inf, np.float32)
    beyond, apart, seen = within.copy(), within.copy(), np.zeros(here.shape, bool)
    for other, one, two in zip(others, ours, theirs, strict=True):
        within = np.minimum(within, _difference(picture, other.picture, base + one[..., :2]))
        beyond = np.minimum(beyond, _difference(picture, other.picture, base + two[..., :2], shaded=~here))
        apart = np.minimum(apart, np.hypot(*np.moveaxis(one[..., :2] - two[..., :2], -1, 0)))
        seen |= np.where(here, one[..., 2], two[..., 2]) > 0.5
    within, beyond = cv2.blur(within, (3, 3)), cv2.blur(beyond, (3, 3))
    votes = (beyond - within) / (beyond + within + _NOISE)
    apart = np.where(seen, apart, np.float32(0))
    return Evidence(box, np.where(apart >= LEAST_MOTION, votes, 0.0).astype(np.float32), apart)


def carried(moment: Moment, others: Sequence[Moment], side: Mask, box: Box) -> list[Array] | None:
    """(h, w, 3) for each of the ``others``: exact motion from ``moment`` of the ``side`` (H, W), px, and whether it is seen there
    (1 or 0), in every pixel of the ``box`` that of the side's nearest pixel that can be followed; None where none can."""
    y0, y1, x0, x1 = box
    near = np.zeros(side.shape, bool)
    near[y0:y1, x0:x1] = side[y0:y1, x0:x1]
    step = max(1, round(float(np.sqrt(near.sum() / _POINTS))))
    cloud = sample(moment, step, near)
    flows = []
    for other in others:
        at, seen = _follow(cloud, other, box)
        known = np.isfinite(at).all(-1)
        sky_at, sky = _sky(moment, other, near)
        places = np.concatenate([cloud.at[known], sky_at]).astype(np.int64)
        if not len(places):
            return None
        shift = np.concatenate([at[known] - cloud.at[known], sky])
        values = np.column_stack([shift, np.concatenate([seen[known], np.ones(len(sky), bool)])]).astype(np.float32)
        flow, away = _nearest(places - np.array([x0, y0]), values, (y1 - y0, x1 - x0))
        flow[..., 2] *= away <= 2 * step + 1        # farther from what can be followed, it is something else that is hidden
        flows.append(flow)
    return flows


def _follow(cloud: Cloud, other: Moment, box: Box) -> tuple[Double, Mask]:
    """Where the points of ``cloud`` lie in ``other``, (N, 2) px, NaN where that is not known, and whether nothing is in front of
    them there, (N,). Like :func:`lucid.inference.truth.points.follow`, for a part of the picture, and for hidden points too;
    what deforms is looked for within _DEFORMED px of the ``box``."""
    at, seen = np.full((len(cloud), 2), np.nan), np.zeros(len(cloud), bool)
    place, stiff = other.motions.of(cloud.ids)
    maps = other.motions.maps[place[stiff]]
    world = (maps[..., :3] @ cloud.rest[stiff].astype(np.float64)[:, :, None])[..., 0] + maps[..., 3]
    at[stiff], depth = project(world, other.K, other.world_from_camera)
    seen[stiff] = _in_front(at[stiff], depth, other)
    soft = np.flatnonzero(~stiff)
    if len(soft):
        (height, width), (y0, y1, x0, x1) = other.size, box
        top, left = max(y0 - _DEFORMED, 0), max(x0 - _DEFORMED, 0)
        part = slice(top, min(y1 + _DEFORMED, height)), slice(left, min(x1 + _DEFORMED, width))
        ids, rest = other.ids[part], other.rest[part]
        mine = np.isin(ids, np.unique(cloud.ids[soft]))
        there = samples(np.where(mine[..., None], rest, np.nan), ids)
        spot, hit = find(cloud.rest[soft].astype(np.float64), cloud.ids[soft], np.ones(len(soft), bool), there, ids.shape[1])
        at[soft[hit]] = spot[hit] + (left + 0.5, top + 0.5)
        seen[soft] = hit
    return at, seen


def _in_front(at: Double, depth: Double, other: Moment) -> Mask:
    """(N,) whether points ``at`` (N, 2) px and ``depth`` (N,) metres are in the picture and not behind what is seen there."""
    height, width = other.size
    with np.errstate(invalid="ignore"):
        inside = (at >= 0).all(-1) & (at[:, 0] < width) & (at[:, 1] < height)
    x, y = (np.where(inside, at[:, axis], 0).astype(int) for axis in (0, 1))
    return np.asarray(inside & (other.depth[y, x] > (1 - _BEHIND) * depth))


def _nearest(places: NDArray[np.integer], values: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """(h, w, C) of each pixel of the ``size`` (h, w) the ``values`` (N, C) of the nearest of the ``places`` (N, 2), (x, y); and
    (h, w) how many px away that is."""
    seeds = np.ones(size, np.uint8)
    seeds[places[:, 1], places[:, 0]] = 0
    away, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros((int(labels.max()) + 1, values.shape[1]), np.float32)
    table[labels[places[:, 1], places[:, 0]]] = values
    return np.asarray(table[labels], np.float32), np.asarray(away, np.float32)


def _sky(moment: Moment, other: Moment, near: Mask) -> tuple[Array, Array]:
    """Places (N, 2) px of background in ``near`` and how they move (N, 2) px: with the camera's rotation alone."""
    far = near & ~np.isfinite(moment.depth)
    if not far.any():
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    step = max(1, round(float(np.sqrt(far.sum() / _POINTS))))
    y, x = (values * step for values in np.nonzero(far[::step, ::step]))
    at = np.stack([x + 0.5, y + 0.5], -1)
    turn = np.linalg.inv(other.world_from_camera)[:3, :3] @ moment.world_from_camera[:3, :3]
    rays = np.concatenate([at, np.ones((len(at), 1))], -1) @ (other.K @ turn @ np.linalg.inv(moment.K)).T
    return at.astype(np.float32), (rays[:, :2] / rays[:, 2:] - at).astype(np.float32)


def _difference(picture: Array, other: Array, at: Array, *, shaded: Mask | None = None) -> Array:
    """Squared difference of ``picture`` (h, w, 3) to ``other`` (H, W, 3) sampled ``at`` (h, w, 2) px, summed over the colours,
    at most a cap. Where it may be ``shaded`` (h, w), a shadow that passes over a surface is no difference: a window's
    colours may be brighter or darker by one factor."""
    moved = cv2.remap(other, at[..., 0] - 0.5, at[..., 1] - 0.5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    error = ((moved - picture) ** 2).sum(-1)
    if shaded is not None:
        window = (_SHADE, _SHADE)
        dimmed = cv2.blur((picture * moved).sum(-1), window) / np.maximum(cv2.blur((moved * moved).sum(-1), window), _NOISE)
        moved *= np.clip(dimmed, *_SHADES)[..., None]
        error = np.where(shaded, np.minimum(error, ((moved - picture) ** 2).sum(-1)), error)
    height, width = other.shape[:2]
    within = (at >= 0).all(-1) & (at[..., 0] <= width) & (at[..., 1] <= height)
    return np.asarray(np.where(within, np.minimum(error, _CAP), _CAP), np.float32)


def box_around(mask: Mask, margin: int) -> Box | None:
    """The smallest box around ``mask`` (H, W), wider by ``margin`` px where the picture allows; None without any."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    height, width = mask.shape
    return (max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, height),
            max(int(columns[0]) - margin, 0), min(int(columns[-1]) + 1 + margin, width))


def crop(values: NDArray[Kind], box: Box) -> NDArray[Kind]:
    """The part of ``values`` (H, W, ...) in the ``box``."""
    y0, y1, x0, x1 = box
    return values[y0:y1, x0:x1]
