# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves as world_from_camera matrices, OpenCV axes (x right, y down, z forward), metres, world Z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sets import Stage
from .shapes import Array

MOVES = ("static", "dolly", "orbit", "pan", "truck", "crane", "handheld")


def look_at(eye: NDArray[np.floating], target: NDArray[np.floating]) -> Array:
    """(F, 4, 4) from eye and target positions (F, 3)."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    out = np.tile(np.eye(4), (len(eye), 1, 1))
    out[:, :3, 0], out[:, :3, 1], out[:, :3, 2], out[:, :3, 3] = right, np.cross(forward, right), forward, eye
    return out.astype(np.float32)


def intrinsics(width: int, height: int, fov: float) -> Array:
    """3x3 pixel intrinsics for a horizontal field of view in radians."""
    focal = width / 2 / np.tan(fov / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)


def shoot(
    rng: np.random.Generator, stage: Stage, t: NDArray[np.floating], focus: NDArray[np.floating]
) -> tuple[Array, str]:
    """A camera path (F, 4, 4) for the times `t`, aimed near `focus` (F, 3), and the name of its move."""
    move = str(rng.choice(MOVES))
    s = t - t.mean()
    azimuth = rng.uniform(-stage.arc, stage.arc) + (rng.uniform(-0.35, 0.35) * s if move == "orbit" else 0 * s)
    radius = rng.uniform(stage.near, stage.far) + (rng.uniform(-0.9, 0.9) * s if move == "dolly" else 0 * s)
    height = rng.choice([rng.uniform(0.5, 1.2), rng.uniform(1.2, 2.0), rng.uniform(2.0, 3.4)])
    height = height + (rng.uniform(-0.7, 0.7) * s if move == "crane" else 0 * s)
    eye = np.stack([np.sin(azimuth) * radius, -np.cos(azimuth) * radius, np.maximum(height, 0.35)], -1)
    aim = rng.choice([0.0, 0.5, 1.0])  # follow the actor not at all, half, wholly
    target = focus.mean(0) * (1 - aim) + focus * aim
    target = target + [rng.uniform(-0.7, 0.7), 0, rng.uniform(-0.25, 0.45)]
    side = np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth], -1)
    if move == "pan":
        target = target + side * (rng.uniform(-0.9, 0.9) * s)[:, None]
    elif move == "truck":
        step = side * (rng.uniform(-0.8, 0.8) * s)[:, None]
        eye, target = eye + step, target + step
    elif move == "handheld":
        sway = sum(np.sin(rng.uniform(1, 6) * t[:, None] + rng.uniform(0, 6, 3)) for _ in range(3))
        eye, target = eye + 0.03 * sway, target + 0.04 * sway[:, ::-1]
    return look_at(eye, target), move
