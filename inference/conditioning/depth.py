# SPDX-License-Identifier: GPL-3.0-or-later
"""Inverse depth as MiDaS-trained controls want it: near is white, normalised over the whole shot, never per frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from ..shot.model import DepthRange

NEAR_PERCENTILE = 99.5
FAR_PERCENTILE = 1.0


def measure_range(inverse_samples: Iterable[NDArray[np.floating[Any]]]) -> DepthRange:
    """The shot's depth range from samples of inverse depth (1/metres, background 0) of every frame.

    Percentiles, not extremes, so that one blade of grass at the lens does not flatten the shot (the same 2 %-ish
    trimming as the annotators of the depth-controlled models). Raises SCENE_EMPTY when nothing was hit.
    """
    values = np.concatenate([np.ravel(sample) for sample in inverse_samples])
    hit = values[values > 0.0]
    if hit.size == 0:
        raise LucidError("SCENE_EMPTY", "the camera sees no geometry in any frame",
                         "point the camera at the scene, or choose other frames")
    near, far = np.percentile(values, [NEAR_PERCENTILE, FAR_PERCENTILE])
    near = near if near > 0.0 else hit.max()
    return DepthRange(near=float(1.0 / near), far=float(1.0 / far) if far > 0.0 else float("inf"))


def inverse_depth(depth: NDArray[np.floating[Any]], span: DepthRange) -> NDArray[np.float32]:
    """Depth in metres (any shape, background +inf) to [0, 1] float32: (1/z - 1/far) / (1/near - 1/far), clipped.

    The background is 0. Source: the VACE depth annotator (MiDaS inverse depth, near = white), with the shot's range
    in place of the frame's. A range whose near equals its far maps every hit to 1.
    """
    low = 1.0 / span.far
    width = 1.0 / span.near - low
    with np.errstate(divide="ignore"):
        inverse = 1.0 / np.asarray(depth, np.float64)
    if width <= 0.0:
        return (inverse > 0.0).astype(np.float32)
    return np.clip((inverse - low) / width, 0.0, 1.0).astype(np.float32)
