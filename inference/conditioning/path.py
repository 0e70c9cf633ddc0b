# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's path as signals over time, one per elementary move, and the runs in which each of them goes one way.

Every signal exists twice. ``amount`` is in people's units (degrees, metres, log of focal length); ``seen`` is what it
does to the picture: parts of the picture's width for turns and sideways moves, log of the magnification for zoom and dolly,
radians for roll. Only ``seen`` decides, so that neither the scene's scale nor its place matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shot.model import Size

CHANNELS = ("pan", "tilt", "roll", "zoom", "dolly", "truck", "pedestal")
LEAST = 0.04            # seen: what moves less is no move
SLOWEST = 0.002         # seen per second
EDGE = 0.1              # a move starts and ends at this part of its highest speed
TAIL = 0.15             # of its duration: how much longer an ease may be on either side
SHORTEST = 0.25         # seconds: shorter pieces are no stage
_STEEP = 0.97           # sine of the camera's elevation (75 degrees) above which "up" is the picture's own
_ORTHOGRAPHIC_VIEW = 0.7    # radians: turns of an orthographic camera are measured like those of a normal lens
# Handheld: acceleration changes its sign faster than 2 Hz with a visible swing (0.4 px of 1280), for half of the time.
_SHAKE_SWING, _SHAKE_HALF_PERIOD, _SHAKE_SHARE = 3e-4, 0.27, 0.5
_SOFT, _SOFT_SHAKEN = 0.04, 0.3     # seconds: standard deviation of the smoothing, without and with shake

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """``position``, ``right``, ``ahead``, ``axis`` (F, 3): the camera, its level right and forward, its optical axis;
    ``seen`` and ``amount`` (7, F) by CHANNELS; ``up`` (3,)."""

    position: Array
    right: Array
    ahead: Array
    axis: Array
    up: Array
    seen: Array
    amount: Array
    fps: float
    handheld: bool

    def moved(self, channel: str, start: int, end: int) -> float:
        """How far ``amount`` of a channel went between two frames."""
        signal = self.amount[CHANNELS.index(channel)]
        return float(signal[end] - signal[start])


@dataclass(frozen=True)
class Run:
    """A channel going one way from frame ``start`` to ``end``; ``seen`` and ``amount`` are signed."""

    channel: str
    start: int
    end: int
    seen: float
    amount: float


def camera_path(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], size: Size, fps: float,
                distance: NDArray[np.floating[Any]], up: Sequence[float], orthographic: bool) -> Path:
    """The path of ``K`` (F, 3, 3) px and ``world_from_camera`` (F, 4, 4), OpenCV axes, metres; ``distance`` (F,) is
    that of what the picture is about, ``up`` the world's vertical."""
    poses, lens = np.asarray(world_from_camera, np.float64), np.asarray(K, np.float64)
    x, y, axis, position = (poses[:, :3, column] for column in range(4))
    vertical = np.asarray(up, np.float64) / np.linalg.norm(up)
    if np.abs(axis @ vertical).max() > _STEEP:
        vertical = -y.mean(axis=0) / np.linalg.norm(y.mean(axis=0))
    right = _unit(np.cross(axis, vertical))
    ahead = np.cross(vertical, right)
    elevation = np.arcsin(np.clip(axis @ vertical, -1.0, 1.0))
    turns = np.stack([np.unwrap(np.arctan2(ahead @ right[0], ahead @ ahead[0])), elevation,
                      np.unwrap(np.arctan2(-np.sum(x * np.cross(right, axis), 1), np.sum(x * right, 1)))])
    zoom = np.log(lens[:, 1, 1])
    steps = np.diff(position, axis=0)
    ways = np.stack([np.sum(steps * _unit(way[1:] + way[:-1]), axis=1)
                     for way in (ahead, right, np.broadcast_to(vertical, ahead.shape))])
    view = size.width / lens[:, 0, 0]
    angle = np.full(len(lens), _ORTHOGRAPHIC_VIEW) if orthographic else 2.0 * np.arctan(0.5 * view)
    width, depth = (view, np.full(len(lens), np.inf)) if orthographic else (view * distance, distance)
    per = np.stack([angle / np.maximum(np.cos(elevation), 1e-3), angle, np.ones_like(angle)])
    seen = np.concatenate([_sum(np.diff(turns, axis=1) / _middle(per)), zoom[None],
                           _sum(ways / _middle(np.stack([depth, width, width])))])
    amount = np.concatenate([np.degrees(turns), zoom[None], _sum(ways)])
    handheld = _shaken(seen, fps)
    soft = _SOFT_SHAKEN if handheld else _SOFT
    return Path(position, right, ahead, axis, vertical, _smooth(seen, soft * fps), _smooth(amount, soft * fps), fps,
                handheld)


def runs_of(path: Path) -> list[Run]:
    """Every channel's moves, in order of their start; each one is visible, goes one way and takes SHORTEST or longer."""
    found = [run for channel in CHANNELS for run in _runs(path, channel)]
    return sorted(found, key=lambda run: (run.start, -abs(run.seen)))


def _runs(path: Path, channel: str) -> list[Run]:
    index = CHANNELS.index(channel)
    seen, amount = path.seen[index], path.amount[index]
    rate = np.diff(seen) * path.fps
    shortest = max(round(SHORTEST * path.fps), 1)
    found = []
    for sign in (1.0, -1.0):
        for start, end in _spans(sign * rate > SLOWEST, shortest):
            if abs(seen[end] - seen[start]) < LEAST:
                continue
            fast = np.zeros(len(rate), bool)
            fast[start:end] = sign * rate[start:end] > EDGE * (sign * rate[start:end]).max()
            pieces = _spans(fast, shortest)
            # what is slow between two moves is shared by them
            cuts = [start, *((one[1] + other[0]) // 2 for one, other in zip(pieces, pieces[1:], strict=False)), end]
            for piece, first, last in zip(pieces, cuts[:-1], cuts[1:], strict=True):
                if piece[1] - piece[0] >= shortest and abs(seen[last] - seen[first]) >= LEAST:
                    tail = round(TAIL * (piece[1] - piece[0]))
                    found.append(Run(channel, max(first, piece[0] - tail), min(last, piece[1] + tail),
                                     float(seen[last] - seen[first]), float(amount[last] - amount[first])))
    return found


def _spans(mask: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Frames (first, last) of the stretches of steps where ``mask`` (F - 1,) holds; breaks below ``gap`` are bridged."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    spans: list[tuple[int, int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if spans and start - spans[-1][1] < gap:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _shaken(seen: Array, fps: float) -> bool:
    """Whether one of the signals trembles: a swing of amplitude A and half period T has an acceleration of A (pi / T)^2."""
    if seen.shape[1] < 3:
        return False
    for signal in np.diff(seen, n=2, axis=1) * fps**2:
        sign = np.sign(np.where(np.abs(signal) < 1e-9, 0.0, signal))
        bounds = [0, *(np.flatnonzero(np.diff(sign)) + 1).tolist(), len(signal)]
        shaken = 0.0
        for start, end in zip(bounds, bounds[1:], strict=False):
            half = (end - start) / fps
            if half <= _SHAKE_HALF_PERIOD and np.abs(signal[start:end]).max() * (half / np.pi) ** 2 >= _SHAKE_SWING:
                shaken += half
        if shaken >= _SHAKE_SHARE * len(signal) / fps and len(bounds) > 3:
            return True
    return False


def _smooth(signals: Array, deviation: float) -> Array:
    """Gaussian, by frames; the ends are mirrored through their points, which keeps a steady move steady."""
    reach = min(int(3.0 * deviation) + 1, signals.shape[1] - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    before = 2.0 * signals[:, :1] - signals[:, reach:0:-1]
    after = 2.0 * signals[:, -1:] - signals[:, -2:-reach - 2:-1]
    padded = np.concatenate([before, signals, after], axis=1)
    return np.stack([np.convolve(row, kernel / kernel.sum(), "valid") for row in padded])


def _sum(steps: Array) -> Array:
    return np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)


def _middle(values: Array) -> Array:
    return 0.5 * (values[:, 1:] + values[:, :-1])


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0.0, length, 1.0)
