# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the outline where the scene says? Silhouettes found in pictures, by appearance or by motion, against exact mattes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .colour import delta_e, srgb_to_lab

Mask = NDArray[np.bool_]
Array = NDArray[np.float32]

_CROSS = np.ones((3, 3), np.uint8)
#: cost of a pixel whose motion leads out of the picture: worse than any difference of two colours
_OUTSIDE = np.float32(3.0)


def contour(silhouette: Mask) -> Mask:
    """Pixels of ``silhouette`` (H, W) that touch its outside; where the picture's border cuts it there is no contour."""
    solid = silhouette.astype(np.uint8)
    thinned = cv2.erode(solid, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(solid > thinned)


def boundary_f(found: Mask, matte: Mask, tolerance_px: float) -> float:
    """F-measure of two silhouettes' contours, in [0, 1]; NaN where no frame has a contour of ``matte``.

    ``found`` and ``matte`` (H, W) or (F, H, W). Precision is the share of found contour pixels within ``tolerance_px``
    (Euclidean) of the matte's contour, recall the other way round; the mean over frames in which the matte has a
    contour. A frame where nothing is found scores 0. Source: Perazzi et al., DAVIS (CVPR 2016), with a disc for the
    bipartite matching.
    """
    if found.ndim == 2:
        found, matte = found[None], matte[None]
    scores = []
    for one, other in zip(found, matte, strict=True):
        a, b = contour(one), contour(other)
        if not b.any():
            continue
        precision = float((_distance(b)[a] <= tolerance_px).mean()) if a.any() else 0.0
        recall = float((_distance(a)[b] <= tolerance_px).mean()) if a.any() else 0.0
        scores.append(2 * precision * recall / max(precision + recall, 1e-9))
    return float(np.mean(scores)) if scores else float("nan")


def _distance(edge: Mask) -> Array:
    """Pixels to the nearest pixel of ``edge``."""
    return np.asarray(cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def grow(mask: Mask, radius: float) -> Mask:
    """``mask`` (F, H, W) grown by a disc of ``radius`` pixels; a negative radius shrinks it, away from its outside only
    (the picture's border does not eat into it)."""
    if radius < 0:
        return ~grow(~mask, -radius)
    return np.stack([_distance(frame) <= radius if frame.any() else frame for frame in mask])


def appearance_silhouette(frames: Array, plate: Array, region: Mask, *, threshold: float = 12.0, median: int = 5) -> Mask:
    """Where a picture with an actor differs from the picture without it: the actor's silhouette, (F, H, W).

    ``frames`` and ``plate`` (F, H, W, 3) sRGB in [0, 1]; ``region`` (F, H, W) is where the actor could be (the painted
    mask): nothing is found outside it. A pixel is found when it lies more than ``threshold`` CIE76 from the plate; a
    median filter of ``median`` pixels drops specks and fills pinholes. Undefined where the actor has the plate's
    colour: judge only what the same function finds in the true picture. A model that fills its whole region is found
    to fill it, and scores nothing against a matte that is smaller by more than the tolerance.
    """
    differs = np.zeros(region.shape, bool)
    differs[region] = delta_e(srgb_to_lab(frames[region]), srgb_to_lab(plate[region])) > threshold
    return np.stack([cv2.medianBlur(frame.astype(np.uint8), median) > 0 for frame in differs]) & region


def outline_threshold(frames: Array, plate: Array, core: Mask, *, lowest: float = 8.0, highest: float = 18.0) -> float:
    """The CIE76 at which a soft outline lies: half of the contrast between what was painted in the ``core`` of the matte
    (F, H, W) and the ``plate`` (median), within ``lowest`` (a compressed picture's noise) and ``highest`` (so that the
    parts of an actor that are nearer to the plate's colour are not lost)."""
    if not core.any():
        return lowest
    contrast = float(np.median(delta_e(srgb_to_lab(frames[core]), srgb_to_lab(plate[core]))))
    return float(np.clip(contrast / 2, lowest, highest))


def filled_plate(frames: Array, hidden: Mask) -> Array:
    """A clean plate where there is none: ``frames`` (F, H, W, 3) with the ``hidden`` pixels (F, H, W) filled in from
    around them, per frame (Telea's inpainting, radius 3, 8 bits)."""
    out = []
    for frame, hole in zip(frames, hidden, strict=True):
        bytes_ = np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8)
        filled = cv2.inpaint(bytes_, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
        out.append(np.where(hole[..., None], filled, frame))
    return np.stack(out).astype(np.float32)


def motion_silhouette(frames: Mapping[int, Array], index: int, matte: Mask, flows: Mapping[int, Array],
                      *, band: int = 16) -> Mask:
    """Which pixels of frame ``index`` move like the actor and not like what is around it: (H, W).

    ``frames`` maps frame numbers to (H, W, 3) sRGB, ``flows`` frame numbers other than ``index`` (2 before and 2 after,
    say) to the exact flow (H, W, 2) from ``index`` to them, px, x right, y down. Each side's flow is carried over the
    other side from its nearest pixel; a pixel belongs to the side whose motion explains it better (7x7 SSD, the least
    over the other frames, so that a pixel hidden in one of them is judged by another). Only a band of ``band`` pixels
    around the matte's contour is judged. Needs texture and a relative motion of 1 px or more; elsewhere it is noise.
    """
    height, width = matte.shape
    base = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    costs = []
    for side in (matte, ~matte):
        cost = np.full((height, width), np.inf, np.float32)
        for other, flow in flows.items():
            cost = np.minimum(cost, _explained(frames[index], frames[other], base + _carried(flow, side)))
        costs.append(cost)
    near = grow(matte[None], band)[0]
    core = grow(matte[None], -band)[0]
    found = ((costs[0] < costs[1]) & near) | core
    return np.asarray(cv2.medianBlur(found.astype(np.uint8), 9) > 0)


def _explained(frame: Array, other: Array, at: NDArray[Any]) -> Array:
    """Squared colour difference of ``frame`` to ``other`` sampled ``at`` (H, W, 2) px, averaged over 7x7."""
    moved = cv2.remap(other, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, width = frame.shape[:2]
    inside = (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
    error = np.where(inside, ((moved - frame) ** 2).sum(-1), _OUTSIDE)
    return np.asarray(cv2.boxFilter(error.astype(np.float32), -1, (7, 7)), np.float32)


def _carried(flow: Array, side: Mask) -> Array:
    """``flow`` on ``side``, and elsewhere that of the nearest pixel of ``side``."""
    if not side.any():
        return np.zeros_like(flow)
    _, labels = cv2.distanceTransformWithLabels((~side).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5,
                                                labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros((int(labels.max()) + 1, 2), np.float32)
    table[labels[side]] = flow[side]
    return np.asarray(table[labels], np.float32)
