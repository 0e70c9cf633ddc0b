# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the picture move as the scene does? Optical flow of the pictures against the scene's exact flow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MotionError:
    """``median`` end-point error in px, the share of pixels ``over_one`` px, and how many were measured."""

    median: float
    over_one: float
    count: int


def dis_flow(frames: Array) -> Array:
    """(F-1, H, W, 2) float32 px from each of ``frames`` (F, H, W, 3) sRGB to the next one.

    Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's preset MEDIUM, on 8-bit luma. What is flat has no flow that
    could be found: judge only where :func:`measurable` says so of the true pictures.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [np.rint(cv2.cvtColor(np.ascontiguousarray(np.clip(f, 0, 1), np.float32), cv2.COLOR_RGB2GRAY) * 255)
            .astype(np.uint8) for f in frames]
    return np.stack([search.calc(a, b, None) for a, b in zip(grey, grey[1:], strict=False)]).astype(np.float32)


def measurable(flow: Array, exact: Array, valid: Mask, *, within: float = 0.5) -> Mask:
    """The ``valid`` pixels (F, H, W) at which ``flow``, found in the true pictures, is ``within`` px of the ``exact`` one
    (both (F, H, W, 2)): there the estimator can see the motion, elsewhere it judges itself and not the picture."""
    return np.asarray(valid & (np.linalg.norm(flow - exact, axis=-1) < within))


def end_point_error(flow: Array, exact: Array, valid: Mask) -> MotionError:
    """Distance of ``flow`` to ``exact`` (both (F, H, W, 2) px) over the ``valid`` pixels (F, H, W); NaN without any."""
    error = np.linalg.norm(flow - exact, axis=-1)[valid & np.isfinite(exact).all(-1)]
    if not error.size:
        return MotionError(float("nan"), float("nan"), 0)
    return MotionError(float(np.median(error)), float((error > 1.0).mean()), int(error.size))


def dynamic_degree(flow: Array, exact: Array, valid: Mask) -> float:
    """Median length of ``flow`` over the median length of ``exact`` on ``valid`` pixels: 1 = as much motion as in the
    scene, 0 = a still. NaN where the scene itself hardly moves (median below 0.1 px)."""
    usable = valid & np.isfinite(exact).all(-1)
    if not usable.any():
        return float("nan")
    truth = float(np.median(np.linalg.norm(exact[usable], axis=-1)))
    return float(np.median(np.linalg.norm(flow[usable], axis=-1))) / truth if truth >= 0.1 else float("nan")
