# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry control: depth and surface direction in one picture, for models that were trained on it.

Inverse depth alone leaves little contrast to what is far or meets at an edge of equal depth (feet on the ground, a wall
and a floor); the normals of the capture tell these apart exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def geometry(inverse: NDArray[np.floating[Any]], normal: NDArray[np.floating[Any]],
             hit: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The control (..., 3) in [0, 1] of normalised inverse depth (...) in [0, 1] and camera-space normals (..., 2 or more).

    Normals have OpenCV's axes (x right, y down) as the captured pass has them. Red is the square root of the inverse
    depth, so that far things keep contrast; green and blue are (1 + x) / 2 and (1 + y) / 2. Black where ``hit`` (...) is false.
    """
    depth = np.asarray(inverse, np.float32)
    sides = (np.asarray(normal[..., :2], np.float32) + 1.0) * 0.5
    control = np.concatenate([np.sqrt(depth)[..., None], sides], axis=-1)
    return np.where(hit[..., None], control, np.float32(0.0))
