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
    """`kind` chooses the nouns of its prompts; `joints` (F, 18, 3) world metres, None without a skeleton; `height` in metres."""

    kind: str
    parts: list[Part]
    joints: Array | None = None
    path: Array = field(default_factory=lambda: np.zeros((1, 3), np.float32))
    height: float = 1.0


def direction(swing: NDArray[np.floating], out: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Unit vector of a limb: `swing` radians forward from hanging, `out` radians sideways (right positive)."""
    return np.stack([np.sin(out) * np.ones_like(swing), np.sin(swing) * np.cos(out), -np.cos(swing) * np.cos(out)], -1)


_ROOM = 4.0  # metres: who would walk further turns round instead


def travel(
    rng: Rng, t: NDArray[np.floating], speed: float, spot: NDArray[np.floating], frontal: bool = False, turns: bool = True
) -> tuple[Array, NDArray[np.floating]]:
    """A path through `spot` at mid-clip: positions (F, 3) and yaw (F,), 0 faces +Y; `frontal` = seen from the front then.

    A third of them turn. In a long clip walkers go round in a circle, what does not turn is slower: nobody leaves the stage.
    """
    lasts = float(t[-1] - t[0])
    rate = float(rng.uniform(0.4, 1.3) * rng.choice([-1, 1]) * (rng.random() < 0.35))
    if speed * lasts > _ROOM:
        if turns:
            rate = float(rng.choice([-1, 1]) * max(speed / rng.uniform(0.9, 1.6), 0.5))
        else:
            speed = _ROOM / lasts
    s = t - t[len(t) // 2]
    yaw = (np.pi + rng.uniform(-0.9, 0.9) if frontal else rng.uniform(-np.pi, np.pi)) + (rate * s if turns else 0 * s)
    step = np.stack([-np.sin(yaw), np.cos(yaw), 0 * yaw], -1) * speed * np.gradient(t)[:, None]
    path = np.cumsum(step, 0)
    return (path - path[len(t) // 2] + spot).astype(np.float32), yaw
