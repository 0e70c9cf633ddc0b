# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the outlines of the set lie where the scene has them? Where a near surface moves before a farther one, as the camera
moves, the two motions show the outline between them; late, displaced or scaled pictures have it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .explain import LEAST_MOTION, Box, crop, evidence
from .figures import Figure
from .ground import Array, Ground, Mask, Moment
from .registration import LAGS, Scores, registration_figures, without_border
from .watch import HISTORY, Observed

#: every this many frames one is judged, in so many tiles of so many px
EVERY, TILES, TILE = 8, 3, 128
#: larger by these about the picture's middle
SCALES = (-0.03, -0.0225, -0.015, -0.0075, 0.0, 0.0075, 0.015, 0.0225, 0.03)
#: pixels found near outlines that a tile must have
_FEWEST = 40
#: px to both sides of an outline over which a surface is taken to go on, and within which pixels vote
_SIDE, _NEAR = 28, 12
#: the jump in inverse depth, over the nearer one's
_JUMP = 0.12
#: px a frame by which motion must differ across an outline: half of what is needed over two frames
_PARALLAX = 0.5 * LEAST_MOTION


def outlines(moment: Moment, actors: Mask) -> Mask:
    """(H, W) near the pixels at which one surface of the set ends before a farther one and moves otherwise, of every second one
    each way; nothing near the ``actors`` (H, W)."""
    near, found = np.ones((3, 3), np.uint8), np.zeros(actors.shape, bool)
    inverse, flow = _inverse(moment.depth[::2, ::2]), np.ascontiguousarray(moment.flow[::2, ::2])
    high = cv2.dilate(inverse, near)
    low = cv2.erode(inverse, near)
    jump = (high - low > _JUMP * high) & (low > 0)
    spread = cv2.dilate(flow, near) - cv2.erode(flow, near)
    jump &= np.maximum(spread[..., 0], spread[..., 1]) >= _PARALLAX
    found[::2, ::2] = jump & ~_around(actors[::2, ::2], _NEAR)
    return found


def tiles(found: Mask) -> list[Box]:
    """The TILES tiles of a picture with most of what was ``found`` (H, W), those that have enough of it."""
    height, width = found.shape
    boxes = [(y, min(y + TILE, height), x, min(x + TILE, width)) for y in range(0, height, TILE) for x in range(0, width, TILE)]
    counts = {box: int(crop(found, box).sum()) for box in boxes}
    return sorted((box for box in boxes if counts[box] >= _FEWEST), key=lambda box: -counts[box])[:TILES]


def sides(depth: Array, actors: Mask) -> tuple[Mask, Mask, Mask]:
    """Of a part of a picture (h, w): the near side of outlines, the far side, and the outlines' own pixels, which are near ones.

    An outline is where inverse depth jumps to the next pixel's, twice as far as beside it; a pixel belongs to the side whose
    inverse depth at the nearest outline it is closer to. What the ``actors`` (h, w) cover belongs to neither, nor does
    the background: before a blank sky the pixels that both sides share move an outline outwards.
    """
    inverse = _inverse(depth)
    across = np.zeros_like(inverse)                     # the far side's inverse depth, at an outline's near pixels
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        z, far, at = (np.moveaxis(values, axis, 1) for values in (inverse, across, edge))
        step = np.abs(np.diff(z, axis=1))
        beside = np.pad(step, ((0, 0), (1, 1)))
        jump = (step > _JUMP * np.maximum(z[:, :-1], z[:, 1:])) & (step > 2 * np.maximum(beside[:, :-2], beside[:, 2:]))
        falls = z[:, :-1] > z[:, 1:]
        at[:, :-1] |= jump & falls
        at[:, 1:] |= jump & ~falls
        far[:, :-1] = np.where(jump & falls, z[:, 1:], far[:, :-1])
        far[:, 1:] = np.where(jump & ~falls, z[:, :-1], far[:, 1:])
    edge &= ~_around(actors, _NEAR) & (across > 0)
    if not edge.any():
        return edge, edge, edge
    away, labels = cv2.distanceTransformWithLabels((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5,
                                                   labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(labels.max()) + 1, np.float32)
    table[labels[edge]] = 0.5 * (inverse[edge] + across[edge])
    near = inverse > table[labels]
    here = (away <= _SIDE) & ~actors & (inverse > 0)
    return np.asarray(near & here), np.asarray(~near & here), edge


def _inverse(depth: Array) -> Array:
    return np.where(np.isfinite(depth), 1.0 / np.maximum(depth, 1e-6), 0.0).astype(np.float32)


def _around(mask: Mask, radius: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0)


class BackdropRegistration:
    """Offset, scale about the picture's middle, and lag of the set's outlines, in one frame of so many."""

    def __init__(self, ground: Ground, *, every: int = EVERY) -> None:
        self._frames, self._every = len(ground), every
        self._size = (ground.shot.size.height, ground.shot.size.width)
        self._ids = tuple(one for layer in ground.actors for one in layer.ids)
        self._scores = Scores(SCALES)

    def see(self, recent: Sequence[Observed]) -> None:
        if len(recent) < HISTORY or (recent[-1].moment.index + 1 - HISTORY) % self._every:
            return
        now = recent[HISTORY // 2]
        for tile in tiles(outlines(now.moment, now.moment.covered(self._ids))):
            self._judge(recent, tile)

    def _judge(self, recent: Sequence[Observed], tile: Box) -> None:
        (height, width), (y0, y1, x0, x1) = self._size, tile
        box = max(y0 - _SIDE, 0), min(y1 + _SIDE, height), max(x0 - _SIDE, 0), min(x1 + _SIDE, width)
        rows, columns = slice(*box[:2]), slice(*box[2:])
        ids = np.array(self._ids, np.uint32)
        found = [sides(one.moment.depth[rows, columns], np.isin(one.moment.ids[rows, columns], ids)) for one in recent]
        near, far, edge = found[HISTORY // 2]
        whole = [np.zeros(self._size, bool) for _ in range(2)]
        for full, side in zip(whole, (near, far), strict=True):
            full[rows, columns] = side
        told = evidence(recent[HISTORY // 2], (recent[0], recent[-1]), whole[0], box, whole[1])
        if told is None:
            return
        inner = np.zeros(self._size, bool)
        inner[y0:y1, x0:x1] = True
        votes = without_border(told.votes, box, self._size)
        votes = np.where(inner[rows, columns] & _around(edge, _NEAR), votes, np.float32(0))
        outline = edge & inner[rows, columns] & (told.apart >= LEAST_MOTION)
        middle = (width / 2 - 0.5 - box[2], height / 2 - 0.5 - box[0])
        self._scores.add(votes, near, outline, middle)
        self._scores.add_lags(votes, [found[HISTORY // 2 - lag][0] for lag in LAGS])

    def figures(self) -> Sequence[Figure]:
        reason = f"the shot has fewer than {HISTORY} frames" if self._frames < HISTORY else ""
        if not reason and not self._scores.outline:
            reason = "nothing of the set moves against what is behind it: no parallax at an outline"
        # few outlines of the set move, and slowly: the lag of clean pictures was up to 0.2 frames, too much to judge by
        return registration_figures(self._scores, "environment", reason, lag_bar=None)
