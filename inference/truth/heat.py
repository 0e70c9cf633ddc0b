# SPDX-License-Identifier: GPL-3.0-or-later
"""Heat maps: a measure's value at points of the picture, drawn as an image sequence that lies beside a take's frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..shot.images import write_png
from ..shot.paths import frame_path
from ..shot.store import write_json
from .ground import Array, Ids, Moment

#: of a heat map's files, below its folder
FRAMES, SCALE = "frame.####.png", "scale.json"
#: the colours from the lowest to the highest value: even steps to the eye, also without colour vision
COLOURS = "viridis"


class HeatMap:
    """The frames of one measure in ``folder``/``metric``: 0 is dark blue and ``highest``, in ``unit``, is yellow, in every frame
    of every shot alike; what was not measured is transparent. ``scale.json`` there says so. ``spacing`` is about the distance
    of the points in px: further than that from its points nothing of an object is coloured.
    """

    def __init__(self, folder: Path, metric: str, highest: float, unit: str, spacing: int) -> None:
        self.folder, self.highest, self._spacing = folder / metric, highest, spacing
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / SCALE, {"metric": metric, "lowest": 0.0, "highest": highest, "unit": unit, "colours": COLOURS})

    def write(self, moment: Moment, at: Array, ids: Ids, values: Array) -> None:
        """The frame's map of the ``values`` (N,) at ``at`` (N, 2) px of the instances ``ids`` (N,); N may be 0."""
        field = spread(at, ids, values, moment.ids, self._spacing)
        write_png(self.folder / frame_path(FRAMES, moment.number), coloured(field, self.highest))


def spread(at: Array, ids: Ids, values: Array, owner: Ids, spacing: int) -> Array:
    """(H, W) what the ``values`` (N,) at ``at`` (N, 2) px are between the points, each for the instance ``ids`` (N,) of the
    picture ``owner`` (H, W) that it is of; NaN further than ``spacing`` px, each way, from an instance's points.

    A mean with weights that fall linearly to 0 at that distance (two box filters).
    """
    out = np.full(owner.shape, np.nan, np.float32)
    if not len(ids):
        return out
    height, width = owner.shape
    order = np.argsort(ids, kind="stable")
    kinds, starts = np.unique(ids[order], return_index=True)
    for instance, own in zip(kinds, np.split(order, starts[1:]), strict=True):
        x, y = np.clip(at[own, 0].astype(int), 0, width - 1), np.clip(at[own, 1].astype(int), 0, height - 1)
        left, top = max(int(x.min()) - spacing, 0), max(int(y.min()) - spacing, 0)
        right, bottom = int(x.max()) + spacing + 1, int(y.max()) + spacing + 1
        part = np.zeros((*owner[top:bottom, left:right].shape, 2), np.float32)
        np.add.at(part, (y - top, x - left), np.stack([values[own], np.ones(len(own), np.float32)], -1))
        total, weight = cv2.split(_tent(part, spacing))
        # a box filter's sums leave rounding errors where nothing is
        near = (weight > 0.3 / (spacing + 1) ** 4) & (owner[top:bottom, left:right] == instance)
        out[top:bottom, left:right][near] = total[near] / weight[near]
    return out


def _tent(part: Array, reach: int) -> Array:
    """Two box filters: weights that fall linearly to 0 just beyond ``reach`` px, rounded down to an even number."""
    size = (2 * (reach // 2) + 1,) * 2
    for _ in range(2):
        part = np.asarray(cv2.blur(part, size, borderType=cv2.BORDER_CONSTANT), np.float32)
    return part


def coloured(field: Array, highest: float) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA, straight, of values (H, W) from 0 to ``highest`` and above, which is drawn as ``highest``; NaN is
    transparent."""
    known = np.isfinite(field)
    levels = np.rint(np.clip(np.where(known, field, 0.0) / highest, 0.0, 1.0) * 255.0).astype(np.uint8)
    out: NDArray[np.uint8] = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGBA)
    out[~known] = 0
    return out
