# SPDX-License-Identifier: GPL-3.0-or-later
"""How light is stored in a byte: square-root coded, as the eye sees steps, up to a ceiling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shapes import Array

#: the largest value of sun, sky and mirrored light; the sun's glint goes further and is cut
CEILINGS = np.float32([2.0, 2.0, 6.0])
NORMAL_UNIT = 127.0  # a normal's component is stored as int8, this many steps to one
_LEVEL = np.linspace(0, 1, 256, dtype=np.float32) ** 2


def code_light(light: Array) -> NDArray[np.uint8]:
    """(..., 3) light from 0 to CEILINGS -> uint8; what is beyond is cut."""
    return np.rint(255 * np.sqrt(np.clip(light / CEILINGS, 0, 1))).astype(np.uint8)


def decode_light(coded: NDArray[np.uint8]) -> Array:
    """(..., C) uint8 -> float32, the inverse of :func:`code_light`; C is 3, or 2 for the sun and the sky alone."""
    return _LEVEL[coded] * CEILINGS[: coded.shape[-1]]
