# SPDX-License-Identifier: GPL-3.0-or-later
"""Points found in a picture: followed from one to the next, and held against how they looked when they were first seen, so that
small errors do not add up over a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .ground import Array, Double, Mask, Moment
from .points import Cloud

Grey = NDArray[np.uint8]

#: px by which a point that is tracked there and back may miss itself
_BACK = 1.0
#: px: the window in which a point is looked for, and how far a crop reaches beyond the points
_WINDOW, _REACH = 15, 48
#: halvings of the picture at which a point is looked for first; from a good guess, coarser ones lead astray
_LEVELS = 2
#: px from a template's centre to its sides, and of the picture kept around a point, so that a template may shrink to a third
HALF = 7
_KEPT = 21
#: px from a point to the four around it that tell how the surface turns and scales
_ARM = 5
#: the correlation with itself, one frame ago, below which a point was lost
_KEEPS = 0.6
#: px by which the template may move a point, and the correlation with it below which it says nothing
_FURTHEST, _ALIKE = 2.0, 0.8
_ROUNDS = 4


def track(before: Grey, now: Grey, at: Array, guesses: Sequence[Array]) -> tuple[Array, Mask]:
    """Where points ``at`` (N, 2) px of one picture lie in the next, (N, 2), and which (N,) come back and look alike.

    Pyramidal Lucas-Kanade (Bouguet 2001), there and back. ``guesses`` (N, 2) are where to begin to look; those that fail are
    looked for from the next one. NaN is no guess.
    """
    to, live = at.copy(), np.zeros(len(at), bool)
    for guess in guesses:
        pick = np.flatnonzero(~live & np.isfinite(guess).all(1))
        if not len(pick):
            continue
        a, b, origin = _crop(before, now, at[pick], guess[pick])
        start = (at[pick] - 0.5 - origin).astype(np.float32)[:, None]
        begin = (guess[pick] - 0.5 - origin).astype(np.float32)[:, None]
        there, ok = _lucas_kanade(a, b, start, begin)
        back, again = _lucas_kanade(b, a, there, start)
        inside = ((there[:, 0] >= 0) & (there[:, 0] < (a.shape[1], a.shape[0]))).all(1)
        good = ok & again & inside & (np.linalg.norm((back - start)[:, 0], axis=1) < _BACK)
        looks, then = (_normal(_windows(grey, spots[:, 0] + 0.5, HALF)) for grey, spots in ((a, start), (b, there)))
        good &= (looks * then).mean((1, 2)) > _KEEPS
        to[pick[good]], live[pick[good]] = (there[:, 0] + 0.5 + origin)[good], True
    return to, live


def _lucas_kanade(a: Grey, b: Grey, start: Array, begin: Array) -> tuple[Array, Mask]:
    there, ok, _ = cv2.calcOpticalFlowPyrLK(a, b, start, begin.copy(), winSize=(_WINDOW, _WINDOW), maxLevel=_LEVELS,
                                            flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
    return np.asarray(there, np.float32), np.asarray(ok[:, 0] > 0)


def _crop(before: Grey, now: Grey, *points: Array) -> tuple[Grey, Grey, Array]:
    """The part of two pictures that holds all ``points``, and its first pixel (x, y)."""
    size = np.array(before.shape[::-1])
    every = np.concatenate(points)
    low = np.clip(every.min(0).astype(int) - _REACH, 0, size - 1)
    high = np.clip(every.max(0).astype(int) + _REACH + 1, low + 1, size)
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    return np.ascontiguousarray(before[part]), np.ascontiguousarray(now[part]), low.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Templates:
    """How N points looked: ``patches`` (N, P, P) of the picture around them, and the points of the surface ``around`` each,
    (4 N,), right, left, below, above, where they are on the ``same`` (N,) surface."""

    patches: Grey
    around: Cloud
    same: Mask

    def where(self, mask: Mask) -> Templates:
        return Templates(self.patches[mask], self.around.where(np.repeat(mask, 4)), self.same[mask])

    def and_(self, other: Templates) -> Templates:
        return Templates(np.concatenate([self.patches, other.patches]), joined(self.around, other.around),
                         np.concatenate([self.same, other.same]))


def templates(cloud: Cloud, at: Array, grey: Grey, moment: Moment) -> Templates:
    """Of the points ``cloud`` sampled in this frame, which the picture ``grey`` (H, W) shows ``at`` (N, 2) px."""
    patches = _windows(grey, at, _KEPT)
    x, y = cloud.at.astype(int).T
    arms = np.array([[_ARM, 0], [-_ARM, 0], [0, _ARM], [0, -_ARM]])
    height, width = moment.size
    u, v = np.clip(x[:, None] + arms[:, 0], 0, width - 1), np.clip(y[:, None] + arms[:, 1], 0, height - 1)
    world = moment.world_at(v.ravel(), u.ravel()).reshape(-1, 4, 3)
    reach = 4 * _ARM * cloud.depth / moment.K[0, 0]         # of a surface at a slant, not of one across a fold
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.linalg.norm(world - cloud.world[:, None], axis=-1) < reach[:, None]
    same = (near & (moment.ids[v, u] == cloud.ids[:, None]) & np.isfinite(moment.rest[v, u]).all(-1)).all(1)
    rest = np.where(same[:, None, None], moment.rest[v, u], cloud.rest[:, None])
    around = Cloud(moment.index, (np.stack([u, v], -1) + 0.5).reshape(-1, 2).astype(np.float32), np.repeat(cloud.ids, 4),
                   rest.reshape(-1, 3), world.reshape(-1, 3).astype(np.float32), np.repeat(cloud.depth, 4))
    return Templates(np.rint(patches).astype(np.uint8), around, same)


def turned(now: Array, same: Mask) -> Double:
    """(N, 2, 2) how the picture of a surface turns and scales at points, from where the four around each lie ``now``, (4 N, 2)
    px; NaN where that is not known."""
    corners = now.reshape(-1, 4, 2).astype(np.float64)
    columns = np.stack([corners[:, 0] - corners[:, 1], corners[:, 2] - corners[:, 3]], -1) / (2 * _ARM)
    small = np.abs(np.linalg.det(np.nan_to_num(columns))) < 1 / 9.0
    return np.where((same & ~small)[:, None, None], columns, np.nan)


def refine(patches: Grey, turns: Double, grey: Grey, at: Array, half: int = HALF) -> tuple[Array, Mask]:
    """Points ``at`` (N, 2) px moved to where the picture ``grey`` (H, W) looks as in their ``patches`` (N, P, P) turned by
    ``turns`` (N, 2, 2), and which (N,) were found; windows reach ``half`` px each way.

    Inverse compositional Gauss-Newton (Baker and Matthews 2004) for the shift alone, blind to brightness and contrast.
    """
    to, found = at.copy(), np.zeros(len(at), bool)
    pick = np.flatnonzero(np.isfinite(turns).all((1, 2)))
    if not len(pick):
        return to, found
    wanted = _turned_patches(patches[pick], np.linalg.inv(turns[pick]).astype(np.float64), half)
    inner = wanted[:, 1:-1, 1:-1]
    slopes = np.stack([wanted[:, 1:-1, 2:] - wanted[:, 1:-1, :-2], wanted[:, 2:, 1:-1] - wanted[:, :-2, 1:-1]], -1) / 2
    slopes = (slopes / _contrast(inner)[..., None]).reshape(len(pick), -1, 2)
    inner, inverse = _normal(inner), np.linalg.pinv(slopes.transpose(0, 2, 1) @ slopes)
    picture, _, origin = _crop(grey, grey, at[pick])
    begin = at[pick].astype(np.float64) - origin
    spot = begin.copy()
    for _ in range(_ROUNDS):
        error = (inner - _normal(_windows(picture, spot, half))).reshape(len(pick), -1, 1)
        spot += (inverse @ (slopes.transpose(0, 2, 1) @ error))[..., 0]
        spot = begin + np.clip(spot - begin, -2 * _FURTHEST, 2 * _FURTHEST)
    alike = (inner * _normal(_windows(picture, spot, half))).mean((1, 2))
    good = (alike > _ALIKE) & (np.linalg.norm(spot - begin, axis=1) < _FURTHEST)
    to[pick[good]], found[pick[good]] = (spot + origin)[good], True
    return to, found


def _contrast(patches: Double) -> Double:
    """(N, 1, 1) the standard deviation of patches (N, S, S); of what shows less than one grey level, that."""
    return np.asarray(np.maximum(patches.std((1, 2), keepdims=True), 1.0))


def _normal(patches: Double) -> Double:
    return np.asarray((patches - patches.mean((1, 2), keepdims=True)) / _contrast(patches))


def _offsets(half: int) -> Double:
    steps = np.arange(-half, half + 1, dtype=np.float64)
    return np.stack(np.meshgrid(steps, steps), -1)


def _windows(grey: Grey, at: NDArray[np.floating], half: int) -> Double:
    """(N, 2 half + 1, 2 half + 1) of the picture around positions ``at`` (N, 2) px."""
    return _remapped(grey, at[:, None, None] - 0.5 + _offsets(half))


def _turned_patches(patches: Grey, back: Double, half: int) -> Double:
    """(N, S, S) what patches (N, P, P) show, one pixel larger each way than a window, where each pixel's offset from the middle
    is mapped by ``back`` (N, 2, 2)."""
    count, side = patches.shape[:2]
    offsets = _offsets(half + 1)
    where = (offsets.reshape(-1, 2) @ back.transpose(0, 2, 1)).reshape(count, *offsets.shape) + side // 2
    inside = np.clip(where, 0, side - 1)
    inside[..., 1] += np.arange(count)[:, None, None] * side
    return _remapped(patches.reshape(count * side, side), inside)


def _remapped(grey: Grey, where: Double) -> Double:
    count, side = where.shape[:2]
    flat = where.reshape(count * side, side, 2).astype(np.float32)
    values = cv2.remap(grey.astype(np.float32), flat, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values.reshape(count, side, side), np.float64)


def joined(one: Cloud, other: Cloud) -> Cloud:
    """The points of both."""
    return Cloud(other.index, *(np.concatenate([getattr(one, name), getattr(other, name)])
                                for name in ("at", "ids", "rest", "world", "depth")))
