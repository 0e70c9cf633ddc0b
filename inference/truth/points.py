# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of the scene followed exactly from frame to frame: sampled in one, found again in any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..surfaces import find
from .geometry import project, unproject
from .ground import Array, Double, Ids, Mask, Moment

#: px to the picture's border within which no point is sampled or found: a patch of 7 px fits
MARGIN = 4
#: px by which a point may lie beside the surface that is seen where it should be
_BESIDE = 5.0
#: px of motion below which a point stands still
STILL = 0.1


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of frame ``index``: ``at`` (N, 2) px, a pixel's centre at +0.5; ``ids`` (N,); ``rest`` and ``world`` (N, 3) metres;
    ``depth`` (N,) metres. Rest positions are known of all of them."""

    index: int
    at: Array
    ids: Ids
    rest: Array
    world: Array
    depth: Array

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, mask: Mask) -> Cloud:
        return Cloud(self.index, self.at[mask], self.ids[mask], self.rest[mask], self.world[mask], self.depth[mask])


@dataclass(frozen=True, eq=False)
class Found:
    """A cloud in another frame: ``at`` (N, 2) px and ``world`` (N, 3) metres, NaN where not known; ``visible`` (N,) where the
    camera sees the point itself there, 1 px away from every outline; ``still`` (N,) where it is where it was in the world."""

    at: Array
    world: Array
    visible: Mask
    still: Mask


def sample(moment: Moment, spacing: int, where: Mask | None = None) -> Cloud:
    """A cloud of one point every ``spacing`` pixels each way, at pixel centres; of the pixels ``where`` (H, W), when given.
    Points without a rest position and points within 1 px of another instance are left out."""
    height, width = moment.size
    grid = np.zeros((height, width), bool)
    grid[MARGIN + spacing // 2:-MARGIN:spacing, MARGIN + spacing // 2:-MARGIN:spacing] = True
    if where is not None:
        grid &= where
    y, x = np.nonzero(grid)
    keep = (moment.ids[y, x] > 0) & np.isfinite(moment.rest[y, x]).all(-1) & np.isfinite(moment.depth[y, x])
    y, x = y[keep], x[keep]
    inner = _inside(moment.ids, x, y)
    y, x = y[inner], x[inner]
    at = np.stack([x + 0.5, y + 0.5], -1).astype(np.float32)
    depth = moment.depth[y, x]
    world = unproject(at, depth, moment.K, moment.world_from_camera).astype(np.float32)
    return Cloud(moment.index, at, moment.ids[y, x], moment.rest[y, x], world, depth)


def follow(cloud: Cloud, moment: Moment) -> Found:
    """Where the points of ``cloud`` lie in ``moment``, to a hundredth of a pixel for what does not deform.

    What moves, turns and scales is followed by its instance's affine map; what deforms is found by its rest position
    among the frame's samples (:mod:`lucid.inference.surfaces`), and only where it is seen.
    """
    place, stiff = moment.motions.of(cloud.ids)
    at, world = np.full((len(cloud), 2), np.nan), np.full((len(cloud), 3), np.nan)
    visible = np.zeros(len(cloud), bool)
    if stiff.any():
        maps, rest = moment.motions.maps[place[stiff]], cloud.rest[stiff].astype(np.float64)
        world[stiff] = (maps[..., :3] @ rest[:, :, None])[..., 0] + maps[..., 3]
        at[stiff], depth = project(world[stiff], moment.K, moment.world_from_camera)
        visible[stiff] = _seen(cloud.where(stiff), moment, at[stiff], world[stiff], depth)
    soft = np.flatnonzero(~stiff & np.isin(cloud.ids, moment.motions.ids))
    if len(soft):
        spot, hit = find(cloud.rest[soft].astype(np.float64), cloud.ids[soft], np.ones(len(soft), bool), moment.soft.surface,
                         moment.soft.width)
        spot += np.array(moment.soft.corner, np.float32)
        hit &= _inside_picture(spot + 0.5, moment.size)
        soft, spot = soft[hit], spot[hit] + 0.5
        at[soft], visible[soft] = spot, True
        world[soft] = unproject(spot, _sampled(moment.depth, spot), moment.K, moment.world_from_camera)
    with np.errstate(invalid="ignore"):
        moved = np.linalg.norm(world - cloud.world, axis=-1) * moment.K[0, 0] / np.maximum(cloud.depth, 1e-6)
        return Found(at.astype(np.float32), world.astype(np.float32), visible, np.asarray(moved < STILL))


def _seen(cloud: Cloud, moment: Moment, at: Double, world: Double, depth: Double) -> Mask:
    """Whether the pixels ``at`` show the very points of a stiff cloud: of their instance, all around, and beside them in the
    world and on the object."""
    seen = _inside_picture(at, moment.size) & (depth > 0)
    x, y = (np.where(seen, at[:, axis], 0).astype(int) for axis in (0, 1))
    seen &= (moment.ids[y, x] == cloud.ids) & _inside(moment.ids, x, y)
    place, _ = moment.motions.of(cloud.ids)
    off = (moment.motions.off[place] @ (moment.rest[y, x] - cloud.rest)[:, :, None].astype(np.float64))[..., 0]
    with np.errstate(invalid="ignore"):
        beside = np.hypot(np.linalg.norm(moment.world_at(y, x) - world, axis=-1), np.linalg.norm(off, axis=-1))
        return np.asarray(seen & (beside < _BESIDE * depth / moment.K[0, 0]))


def _inside_picture(at: NDArray[np.floating], size: tuple[int, int]) -> Mask:
    height, width = size
    with np.errstate(invalid="ignore"):
        return np.asarray((at >= MARGIN).all(-1) & (at[:, 0] <= width - MARGIN) & (at[:, 1] <= height - MARGIN))


def _inside(ids: Ids, x: NDArray[np.integer], y: NDArray[np.integer]) -> Mask:
    """Whether the 8 pixels around are of the same instance."""
    height, width = ids.shape
    own, same = ids[y, x], np.ones(len(x), bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            same &= ids[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] == own
    return same


def _sampled(depth: Array, at: Array) -> Array:
    """Depth at image positions: of the pixel that holds them, which is of the same surface."""
    return np.asarray(depth[at[:, 1].astype(int), at[:, 0].astype(int)])
