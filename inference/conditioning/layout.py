# SPDX-License-Identifier: GPL-3.0-or-later
"""Layout control: each instance in one flat colour of its own, the background black."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0.618033988749895


def instance_colours(ids: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Colours (N, 3) sRGB in [0, 1] of instance ids (N,): the same id has the same colour in every shot; id 0 is black.

    Hues are golden-ratio steps, so that neighbouring ids are far apart; saturation 0.65-1 and value 0.6-1 vary with the
    id too, in the range Cosmos-Transfer2's segmentation control was trained with (saturation 0.1-1, value 0.2-1).
    """
    number = np.asarray(ids, np.float64)
    hue, saturation, value = (number * _GOLDEN) % 1.0, 0.65 + 0.35 * ((number * 0.37) % 1.0), 0.6 + 0.4 * ((number * 0.71) % 1.0)
    # HSV to RGB: f(n) = v - v s max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6, for n = 5, 3, 1
    k = (np.array([5.0, 3.0, 1.0]) + 6.0 * hue[..., None]) % 6.0
    rgb = value[..., None] * (1.0 - saturation[..., None] * np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0))
    return np.where(number[..., None] == 0, 0.0, rgb).astype(np.float32)


def layout(ids: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """The control (..., 3) in [0, 1] of an id pass (...) of non-negative integers."""
    known, where = np.unique(ids, return_inverse=True)
    colours: NDArray[np.float32] = instance_colours(known)[where.reshape(np.shape(ids))]
    return colours
