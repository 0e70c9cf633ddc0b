# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB transfer: between the values that a picture stores and the light that they stand for."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..shot.images import to_uint16

Float = TypeVar("Float", np.float32, np.float64)


def to_linear(srgb: NDArray[Float]) -> NDArray[Float]:
    """sRGB-encoded values, any shape, to scene-linear ones: [0, 1] to [0, 1], and the curve goes on above 1.

    The piecewise curve of IEC 61966-2-1, computed in the type that is given; its straight part is continued below 0.
    """
    curve = ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= 0.04045, srgb / 12.92, curve)


def to_srgb(linear: NDArray[Float]) -> NDArray[Float]:
    """The inverse of :func:`to_linear`: scene-linear values, any shape, unclipped, to sRGB-encoded ones."""
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1.0 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve)


# what each 16-bit code stands for; in float64 and rounded once, so that the way there and back is exact for every code
_LINEAR = to_linear(np.arange(65536) / 65535.0).astype(np.float32)


def codes_to_linear(codes: NDArray[np.uint16]) -> NDArray[np.float32]:
    """16-bit sRGB codes, any shape, to scene-linear float32 in [0, 1]. Raises ValueError for another type: an 8-bit
    picture would pass for a dark one."""
    if codes.dtype != np.uint16:
        raise ValueError(f"16-bit codes are wanted, not {codes.dtype}")
    return np.asarray(_LINEAR[codes])


def linear_to_codes(linear: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Scene-linear values, any shape, to 16-bit sRGB codes: clipped to [0, 1], rounded once. The exact inverse of
    :func:`codes_to_linear`."""
    return to_uint16(to_srgb(linear))
