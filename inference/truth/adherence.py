# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the picture have edges where one surface hides another? How closely a take keeps to its depth and edge controls."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .figures import Figure, Spot, unmeasured
from .ground import Array, Ground, Ids, Mask
from .watch import Observed

#: every this many frames one is judged
EVERY = 4
#: px between an exact edge and the picture's
WITHIN = 2.0
#: of the depth: a jump from one pixel to the next, and how often that of the pixels beside it it must be
_JUMP, _STEEPER = 0.02, 3.0
#: Sobel's gradient of 8-bit luma (3x3, unscaled): of an edge at least, and how often the picture's median
_GRADIENT, _MEDIANS = 60.0, 3.0
#: pixels of edge that are needed
FEWEST = 200
_BORDER = 4


def occlusion_edges(depth: Array, ids: Ids) -> Mask:
    """(H, W) the nearer pixels where one surface ends before another: where ``ids`` (H, W) change, or where ``depth`` (H, W)
    metres, +inf for the background, jumps by 2 % and by thrice as much as beside it, which a slanted plane does not."""
    edges = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        z = np.moveaxis(depth, axis, 1).astype(np.float64)
        owner, out = np.moveaxis(ids, axis, 1), np.moveaxis(edges, axis, 1)
        inverse = np.where(np.isfinite(z), 1.0 / z, 0.0)            # disparity is linear on a plane in perspective
        step = np.abs(np.diff(inverse, axis=1))
        beside = np.pad(step, ((0, 0), (1, 1)))
        beside = np.maximum(beside[:, :-2], beside[:, 2:])
        jump = (step > _JUMP * np.maximum(inverse[:, :-1], inverse[:, 1:])) & (step > _STEEPER * beside)
        jump |= owner[:, :-1] != owner[:, 1:]
        first = inverse[:, :-1] >= inverse[:, 1:]
        out[:, :-1] |= jump & first
        out[:, 1:] |= jump & ~first
    return edges


def picture_edges(grey: NDArray[np.uint8]) -> Mask:
    """(H, W) Canny's edges of luma (H, W), with thresholds from the picture's own median gradient."""
    dx, dy = (cv2.Sobel(grey, cv2.CV_16S, *way, ksize=3) for way in ((1, 0), (0, 1)))
    size = np.hypot(dx[::4, ::4].astype(np.float32), dy[::4, ::4].astype(np.float32))
    high = max(_GRADIENT, _MEDIANS * float(np.median(size)))
    return np.asarray(cv2.Canny(dx, dy, high / 2, high, L2gradient=True) > 0)


def edge_recall(exact: Mask, found: Mask, within: float = WITHIN) -> tuple[float, float, Mask]:
    """The share of the ``exact`` edges (H, W) with a ``found`` one (H, W) within so many px; the share of the whole picture that
    lies as near, which is what edges anywhere would get; and the exact edges that were missed. NaN without exact edges."""
    if not exact.any():
        return float("nan"), float("nan"), exact
    if not found.any():
        return 0.0, 0.0, exact
    near = cv2.distanceTransform((~found).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= within
    return float(near[exact].mean()), float(near.mean()), np.asarray(exact & ~near)


class ControlAdherence:
    """Recall of occluding edges in every fourth frame. To be read against the same shot's beauty: it has no bar of its own."""

    def __init__(self, ground: Ground) -> None:
        self._rows: list[tuple[int, float, float, int, tuple[int, int] | None]] = []
        self._names = ground.shot.instances
        self._owners: list[str] = []

    def see(self, recent: Sequence[Observed]) -> None:
        now = recent[-1]
        if now.moment.index % EVERY:
            return
        exact = occlusion_edges(now.moment.depth, now.moment.ids)
        exact[:_BORDER] = exact[-_BORDER:] = False
        exact[:, :_BORDER] = exact[:, -_BORDER:] = False
        if exact.sum() < FEWEST:
            return
        recall, chance, missed = edge_recall(exact, picture_edges(now.grey))
        at, owner = None, ""
        if missed.any():
            names, counts = np.unique(now.moment.ids[missed], return_counts=True)
            worst = int(names[counts.argmax()])
            y, x = np.argwhere(missed & (now.moment.ids == worst))[0]
            at, owner = (int(x), int(y)), self._names.get(worst, "")
        self._rows.append((now.moment.number, recall, chance, int(exact.sum()), at))
        self._owners.append(owner)

    def figures(self) -> Sequence[Figure]:
        if not self._rows:
            return [unmeasured("adherence", key, unit, f"no frame has {FEWEST} px of outlines", bar=None)
                    for key, unit in (("edge_recall", "%"), ("edge_lift", ""))]
        recall, chance = (np.array([row[place] for row in self._rows]) for place in (1, 2))
        order = np.argsort(recall, kind="stable")[:5]
        worst = tuple(Spot(self._owners[i], self._rows[i][0], self._rows[i][0], 100.0 * self._rows[i][1], self._rows[i][4])
                      for i in order)
        counts = {"frames": len(self._rows), "edge": sum(row[3] for row in self._rows)}
        out = [Figure("adherence", "edge_recall", float(100.0 * recall.mean()), "%", worst=worst, counts=counts,
                      series=tuple((float(row[0]), 100.0 * row[1]) for row in self._rows))]
        if chance.mean() <= 0:
            return [*out, unmeasured("adherence", "edge_lift", "", "the picture has no edge at all")]
        return [*out, Figure("adherence", "edge_lift", float(recall.mean() / chance.mean()), "", counts=counts)]
