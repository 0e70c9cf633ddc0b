# SPDX-License-Identifier: GPL-3.0-or-later
"""Other cameras in the held-out scenes: more clean pictures that no bar was set on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .verdict_props import View


def _around(t: float) -> View:
    angle = -1.45 - 0.14 * t
    return (5.6 * math.cos(angle), 5.6 * math.sin(angle), 1.8), (0.0, 0.3, 1.0), 29.0


#: by the clip's name: where the camera is, what it looks at, m, and its focal length, mm, at a time in seconds
VIEWS: dict[str, Callable[[float], View]] = {
    "canyon2": lambda t: ((0.2 + 0.5 * t, -4.2 - 0.5 * t, 1.7 + 0.3 * t), (-0.2, 1.5, 1.1), 28.0),
    "plaza2": lambda t: ((-1.5 + 0.9 * t, -6.2, 1.6), (-0.6 + 0.7 * t, 0.0, 1.1), 32.0),
    "yard2": lambda t: ((-1.0 + 0.6 * t, -5.4 + 0.5 * t, 1.7), (0.2 - 0.3 * t, 1.0, 0.95), 30.0),
    "hall2": _around,
    "quarry2": lambda t: ((0.4, -6.2, 1.4 + 0.7 * t), (0.1 + 0.2 * t, 0.0, 0.9), 28.0),
}

