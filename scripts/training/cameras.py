# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves as world_from_camera matrices, OpenCV axes (x right, y down, z forward), metres, world Z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motion import Actor
from .sets import Stage
from .shapes import Array

Floats = NDArray[np.floating]

#: move -> (weight, the most it goes over a clip: radians, log of the focal length, or parts of the distance)
MOVES: dict[str, tuple[float, float]] = {
    "static": (0.10, 0.0),
    "pan": (0.12, 0.6),
    "tilt": (0.07, 0.3),
    "zoom": (0.09, 0.7),
    "dolly": (0.12, 0.5),
    "truck": (0.10, 0.5),
    "pedestal": (0.06, 0.25),
    "tracking": (0.08, 0.0),
    "orbit": (0.10, 0.7),
    "crane": (0.06, 0.5),
    "handheld": (0.06, 0.0),
    "dolly zoom": (0.04, 0.5),
}
#: what a move is called by its sign
SIGNS = {"pan": ("left", "right"), "tilt": ("down", "up"), "zoom": ("out", "in"), "dolly": ("out", "in"),
         "truck": ("left", "right"), "pedestal": ("down", "up"), "orbit": ("left", "right"), "crane": ("down", "up")}
_PIXELS = (0.4, 3.2)  # the motion aimed at, per frame at a width of 256
_FILLED = (0.16, 0.8)  # of the picture's height, by the tallest actor
_MARGIN = 0.6  # metres beside the outermost actor
_LOWEST = 0.3  # metres above the ground
_STANDS = 0.1  # metres: a subject that goes no further stands still


@dataclass
class CameraPath:
    """`poses` (F, 4, 4), `focal` (F,) pixels, and the move's name, with its sign where it has one ("pan left")."""

    poses: Array
    focal: Floats
    move: str


@dataclass
class _Start:
    """Where a shot begins: the eye, what it looks at (3,), the focal length in pixels, and where the subject goes (F, 3)."""

    eye: Floats
    target: Floats
    focal: float
    subject: Floats


def look_at(eye: Floats, target: Floats) -> Array:
    """(F, 4, 4) from eye and target positions (F, 3)."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    out = np.tile(np.eye(4), (len(eye), 1, 1))
    out[:, :3, 0], out[:, :3, 1], out[:, :3, 2], out[:, :3, 3] = right, np.cross(forward, right), forward, eye
    return out.astype(np.float32)


def _turned(offset: Floats, yaw: Floats, lift: Floats) -> Floats:
    """(F, 3): a vector (3,) turned by `yaw` (F,) about Z, to the right, after being raised by `lift` (F,) radians."""
    flat, rise = float(np.hypot(offset[0], offset[1])), np.arctan2(offset[2], np.hypot(offset[0], offset[1])) + lift
    heading, length = np.arctan2(offset[0], offset[1]) + yaw, np.linalg.norm(offset)
    assert flat > 0, "a camera looks straight up or down"
    return np.stack([np.sin(heading) * np.cos(rise), np.cos(heading) * np.cos(rise), np.sin(rise)], -1) * length


def _moved(move: str, d: Floats, start: _Start) -> tuple[Floats, Floats, Floats]:
    """Eye (F, 3), target (F, 3) and focal length (F,) of a move by `d` (F,): radians, log zoom, or parts of the distance."""
    zero = 0.0 * d
    offset = start.target - start.eye
    distance = float(np.linalg.norm(offset))
    ahead = np.array([*offset[:2], 0.0]) / np.hypot(*offset[:2])
    side, up = np.array([ahead[1], -ahead[0], 0.0]), np.array([0.0, 0.0, 1.0])
    eye, target = np.tile(start.eye, (len(d), 1)), np.tile(start.target, (len(d), 1))
    focal = np.full(len(d), start.focal)
    step = (d * distance)[:, None]
    if move in ("pan", "tilt"):
        target = eye + _turned(offset, d if move == "pan" else zero, d if move == "tilt" else zero)
    elif move == "zoom":
        focal = start.focal * np.exp(d)
    elif move in ("dolly", "dolly zoom"):
        eye = eye + step * ahead
        if move == "dolly zoom":
            focal = start.focal * np.linalg.norm(target - eye, axis=1) / distance
    elif move in ("truck", "pedestal"):
        along = step * (side if move == "truck" else up)
        eye, target = eye + along, target + along
    elif move == "orbit":
        eye = target - _turned(offset, -d, zero)
    elif move == "crane":
        eye = eye + step * up
    elif move == "tracking":
        walk = start.subject - start.subject[len(d) // 2]
        eye, target = eye + walk, target + walk
    eye[:, 2] = np.maximum(eye[:, 2], _LOWEST)
    return eye, target, focal


def _pixel_motion(poses: Floats, focal: Floats, size: Sequence[int], distance: float) -> float:
    """Mean motion in pixels per frame of points spread over the picture at the distance and three times behind it."""
    x, y = np.meshgrid(np.linspace(-0.4, 0.4, 5) * size[0], np.linspace(-0.4, 0.4, 5) * size[1])
    rays = np.stack([x, y, 0 * x], -1).reshape(-1, 3) / focal[0] + [0, 0, 1.0]
    total = 0.0
    for depth in (distance, 3 * distance):
        world = rays * depth @ poses[0, :3, :3].T + poses[0, :3, 3]
        local = (world[None] - poses[:, None, :3, 3]) @ poses[:, :3, :3]
        seen = local[..., :2] / np.maximum(local[..., 2:], 0.05) * focal[:, None, None]
        total += float(np.linalg.norm(np.diff(seen, axis=0), axis=-1).mean()) / 2
    return total


def _begin(rng: np.random.Generator, stage: Stage, actors: list[Actor], frames: int, size: Sequence[int]) -> _Start:
    """An eye on the stage's arc such that the tallest actor fills _FILLED of the picture's height, as far as there is room,
    and all of them are in the picture."""
    focal = max(size) / 2 / np.tan(rng.uniform(0.75, 1.2) / 2)
    subject = actors[0].path.astype(np.float64) if actors else np.zeros((frames, 3))
    tall = max((actor.height for actor in actors), default=1.7)
    spots = np.array([actor.path[frames // 2] for actor in actors] or [[0.0, 0.0, 0.0]], np.float64)
    middle, reach = spots.mean(0), float(np.linalg.norm((spots - spots.mean(0))[:, :2], axis=1).max())
    part = np.exp(rng.uniform(*np.log(_FILLED)))
    nearest = max(stage.near, 1.3 * tall + reach, (reach + _MARGIN) * 2 * focal / size[0] if reach > 0 else 0.0)
    radius = float(np.clip(focal * tall / (part * size[1]), nearest, max(stage.far, nearest)))
    azimuth = rng.uniform(-stage.arc, stage.arc)
    height = float(rng.choice([rng.uniform(0.5, 1.1), rng.uniform(1.1, 1.8), rng.uniform(1.8, 3.2)], p=[0.3, 0.45, 0.25]))
    eye = np.array([np.sin(azimuth) * radius, -np.cos(azimuth) * radius, height * min(1.0, 0.4 + radius / 8)])
    spread = (0.22 if len(actors) < 2 else 0.06) * radius * np.array(size) / focal  # metres: how far off the middle
    side = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    target = middle * [1, 1, 0] + [0, 0, middle[2] * 0.5 + tall * 0.45] + side * rng.uniform(-1, 1) * spread[0]
    target = target + [0, 0, rng.uniform(-0.5, 0.7) * spread[1]]
    return _Start(eye, target, float(focal), subject)


def _handheld(rng: np.random.Generator, t: Floats, amount: float) -> Floats:
    """(F, 2) radians of yaw and lift: slow sway and a little trembling."""
    out = np.zeros((len(t), 2))
    for hertz, weight in ((0.4, 1.0), (0.9, 0.5), (2.1, 0.15)):
        out += weight * np.sin(2 * np.pi * hertz * t[:, None] * rng.uniform(0.7, 1.3, 2) + rng.uniform(0, 6.3, 2))
    return out * amount


def shoot(rng: np.random.Generator, stage: Stage, t: Floats, actors: list[Actor], size: Sequence[int]) -> CameraPath:
    """A camera path for the times `t` (F,) seconds, on the first actor; `size` is (width, height) in pixels.

    Its speed is such that what is seen moves by some 0.4 to 3 pixels a frame, and none of it goes beyond MOVES' bounds.
    """
    move = str(rng.choice(list(MOVES), p=[weight for weight, _ in MOVES.values()]))
    start = _begin(rng, stage, actors, len(t), size)
    if move == "tracking" and np.ptp(start.subject, axis=0).max() < _STANDS:
        move = "static"  # there is nothing to follow
    sign = int(rng.choice([-1, 1]))
    if move in ("dolly", "crane") and start.eye[2] < 0.8:
        sign = 1  # there is no room below or behind
    goal = np.exp(rng.uniform(*np.log(_PIXELS))) * size[0] / 256
    wobble, smooth = _handheld(rng, t, 0.012), bool(rng.random() < 0.3)
    s = (t - t[0]) / max(float(t[-1] - t[0]), 1e-6)
    s = s * s * (3 - 2 * s) if smooth and len(t) > 9 else s
    d = (s - 0.5) * sign * MOVES[move][1]
    distance = float(np.linalg.norm(start.target - start.eye))
    if MOVES[move][1] > 0:
        eye, target, focal = _moved(move, d, start)
        d = d * min(1.0, goal / max(_pixel_motion(look_at(eye, target), focal, size, distance), 1e-6))
    eye, target, focal = _moved(move, d, start)
    if move == "handheld":
        offset = start.target - start.eye
        target = eye + _turned(offset, wobble[:, 0], wobble[:, 1])
    name = f"{move} {SIGNS[move][sign > 0]}" if move in SIGNS else move
    return CameraPath(look_at(eye, target), focal, name)
