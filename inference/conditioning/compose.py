# SPDX-License-Identifier: GPL-3.0-or-later
"""Several controls in one picture, spatially separate, as VACE was trained: pose inside the actors, depth elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Grow a mask (..., H, W) by a square of side 2*radius + 1 pixels."""
    grown = mask
    for axis in (-1, -2):
        grown = _spread(grown, radius, axis)
    return grown


def box(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The bounding box of each frame's mask (..., H, W); empty stays empty."""
    rows, columns = np.asarray(mask.any(-1)), np.asarray(mask.any(-2))
    return _hull(rows)[..., :, None] & _hull(columns)[..., None, :]


def overlay(control: NDArray[np.floating[Any]], pose: NDArray[np.floating[Any]],
            region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """One control video: ``pose`` (..., H, W, 3) where ``region`` (..., H, W) is true, ``control`` (..., H, W, 3) elsewhere.
    Values in [0, 1]. Disjoint by construction: each pixel comes from exactly one control."""
    return np.where(region[..., None], np.asarray(pose, np.float32), np.asarray(control, np.float32))


def _spread(mask: NDArray[np.bool_], radius: int, axis: int) -> NDArray[np.bool_]:
    moved = np.moveaxis(mask, axis, -1)
    size = moved.shape[-1]
    counts = np.zeros((*moved.shape[:-1], size + 1), np.int32)
    np.cumsum(moved, axis=-1, out=counts[..., 1:])
    index = np.arange(size)
    low, high = np.maximum(index - radius, 0), np.minimum(index + radius + 1, size)
    return np.moveaxis(counts[..., high] > counts[..., low], -1, axis)


def _hull(line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.logical_or.accumulate(line, -1) & np.logical_or.accumulate(line[..., ::-1], -1)[..., ::-1]
