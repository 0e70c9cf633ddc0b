# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour as people see it: CIE L*a*b*, differences, the hue of a region, and whether a region wears a colour word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..conditioning.transfer import to_linear

Array = NDArray[np.float32]

#: words that name a lightness and no hue
NEUTRALS = ("white", "gray", "black")
#: chroma C*ab above which a surface in daylight no longer passes for white, gray or black, and below which it has no hue
NEUTRAL_CHROMA = 16.0
HUE_TOLERANCE = 25.0

# IEC 61966-2-1 (sRGB), D65; rows X, Y, Z each over the white point's, so that (1, 1, 1) is exactly neutral
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_XYZ_OVER_WHITE = (_XYZ / _XYZ.sum(1, keepdims=True)).astype(np.float32)
_BEND = np.float32((6 / 29) ** 3)
#: points in a row of what OpenCV samples
_ROW = 1024


def srgb_to_lab(colours: NDArray[np.floating[Any]]) -> Array:
    """sRGB in [0, 1], shape (..., 3), to L*a*b* (CIE 1976, D65, 2 degrees): L* in [0, 100].

    Written out because OpenCV's float conversion interpolates a table, whose steps of 0.05 hide a small flicker.
    """
    xyz = to_linear(np.clip(np.asarray(colours, np.float32), 0.0, 1.0)) @ _XYZ_OVER_WHITE.T
    bent = np.where(xyz > _BEND, np.cbrt(xyz), xyz * np.float32(841 / 108) + np.float32(4 / 29))
    x, y, z = bent[..., 0], bent[..., 1], bent[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def delta_e(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> Array:
    """CIE76 difference of two L*a*b* arrays (..., 3), broadcast: about 2.3 is just noticeable."""
    return np.asarray(np.linalg.norm(np.asarray(one, np.float32) - np.asarray(other, np.float32), axis=-1), np.float32)


def colours_at(picture: Array, at: NDArray[np.floating[Any]], *, cubic: bool = False) -> Array:
    """Values (N, C) of ``picture`` (H, W, C) at image positions ``at`` (N, 2) px, a pixel's centre at +0.5: bilinear, or cubic
    (Keys 1981, a = -0.75), to 1/32 px; beyond the border it is mirrored."""
    # a picture that OpenCV makes has at most 32767 rows and columns
    rows = max(-(-len(at) // _ROW), 1)
    place = np.zeros((rows * _ROW, 2), np.float32)
    place[:len(at)] = at - np.float32(0.5)
    flags = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    found = cv2.remap(picture, place.reshape(rows, _ROW, 2), None, flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(found.reshape(rows * _ROW, -1)[:len(at)], np.float32)


def lab_at(picture: Array, at: NDArray[np.floating[Any]], patch: int) -> Array:
    """L*a*b* (N, 3) of the patches of ``patch`` x ``patch`` px around ``at`` (N, 2) px in ``picture`` (H, W, 3) sRGB.

    The mean is of the sRGB values, which are even steps to the eye nearly as L*a*b* is: only the points are converted,
    in a tenth of the time that the whole picture takes.
    """
    return srgb_to_lab(colours_at(cv2.blur(picture, (patch, patch)), at))


def chroma(rgb: NDArray[np.floating[Any]]) -> Array:
    """C*ab of sRGB colours (..., 3)."""
    lab = srgb_to_lab(rgb)
    return np.asarray(np.hypot(lab[..., 1], lab[..., 2]), np.float32)


def hue_degrees(rgb: NDArray[np.floating[Any]]) -> float:
    """Hue of one sRGB colour (3,) on the hexagonal colour circle (HSV): red 0, green 120, blue 240; NaN for a grey."""
    red, green, blue = (float(value) for value in rgb)
    spread = max(red, green, blue) - min(red, green, blue)
    if spread < 1e-6:
        return float("nan")
    if red >= max(green, blue):
        return 60.0 * ((green - blue) / spread) % 360.0
    return 60.0 * ((blue - red) / spread + 2.0) if green >= blue else 60.0 * ((red - green) / spread + 4.0)


def hue_difference(one: float, other: float) -> float:
    """Degrees between two hues the short way round, in [0, 180]; NaN when either is none."""
    return abs((one - other + 180.0) % 360.0 - 180.0)


def region_colour(frames: NDArray[np.floating[Any]], region: NDArray[np.bool_]) -> Array:
    """Median sRGB colour (3,) of ``frames`` (F, H, W, 3) where ``region`` (F, H, W). Raises ValueError when it is empty."""
    if not region.any():
        raise ValueError("the region is empty")
    return np.asarray(np.median(frames[region], axis=0), np.float32)


def names_colour(found: NDArray[np.floating[Any]], truths: Mapping[str, NDArray[np.floating[Any]]], word: str) -> bool:
    """Whether the colour ``found`` (3,) sRGB passes for ``word``, given what each word looks like in the same light.

    A hue word is right when the colour has a hue at all (chroma above NEUTRAL_CHROMA) and it lies within HUE_TOLERANCE
    of the truth's. White, gray and black are right when the chroma is below NEUTRAL_CHROMA and L* is nearest to the
    word's own truth among the three. ``truths`` holds every neutral word and ``word``.
    """
    coloured = float(chroma(found)) > NEUTRAL_CHROMA
    if word not in NEUTRALS:
        return coloured and hue_difference(hue_degrees(found), hue_degrees(truths[word])) <= HUE_TOLERANCE
    lightness = float(srgb_to_lab(found)[0])
    gaps = {name: abs(float(srgb_to_lab(truths[name])[0]) - lightness) for name in NEUTRALS}
    return not coloured and min(gaps, key=lambda name: gaps[name]) == word
