# SPDX-License-Identifier: GPL-3.0-or-later
"""What every actor is, and how it gets about."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .shapes import Array, Part

Rng = np.random.Generator


@dataclass
class Actor:
    """`kind` chooses the nouns of its prompts; `joints` (F, 18, 3) world metres, None without a skeleton."""

    kind: str
    parts: list[Part]
    joints: Array | None = None
    path: Array = field(default_factory=lambda: np.zeros((1, 3), np.float32))


def direction(swing: NDArray[np.floating], out: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Unit vector of a limb: `swing` radians forward from hanging, `out` radians sideways (right positive)."""
    return np.stack([np.sin(out) * np.ones_like(swing), np.sin(swing) * np.cos(out), -np.cos(swing) * np.cos(out)], -1)


def travel(
    rng: Rng, t: NDArray[np.floating], speed: float, spot: NDArray[np.floating]
) -> tuple[Array, NDArray[np.floating]]:
    """A walked path through `spot` at mid-clip: positions (F, 3) and yaw (F,), 0 faces +Y."""
    yaw = rng.uniform(-np.pi, np.pi) + rng.choice([0, 0, rng.uniform(-1.2, 1.2)]) * (t - t.mean())
    step = np.stack([-np.sin(yaw), np.cos(yaw), 0 * yaw], -1) * speed * np.gradient(t)[:, None]
    path = np.cumsum(step, 0)
    return (path - path[len(t) // 2] + spot).astype(np.float32), yaw
