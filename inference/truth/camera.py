# SPDX-License-Identifier: GPL-3.0-or-later
"""Was the picture taken by the scene's camera? The camera solved from corners of known places, against the exact one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Figure, unmeasured
from .geometry import project
from .ground import Double, Ground, Mask
from .tracks import Corners, Tracker, trust, worst_frames
from .watch import Observed

Points = NDArray[np.floating[Any]]

#: degrees; measured: clean pictures 0.006 to 0.03, a texture that slides 1.1
ROTATION = Bar(highest=0.3)
#: % of the distance to the scene; measured: clean pictures 0.01 to 0.06, a push-in of 8 % 4.5
POSITION = Bar(highest=1.0)
#: frames; measured: clean pictures 0.015, pictures that are one frame late or have changed places 1
LAG = Bar(-0.25, 0.25)
#: corners of which a camera is solved
FEWEST = 30
#: px by which a corner may lie beside its place and count for a camera
_BESIDE = 1.5
#: frames in either direction in which a picture's moment is looked for
_REACH = 6
#: px that the corners move by in a frame, below which a moment cannot be told from the next
_SLOWEST = 0.5
#: an answer's standard error must be below this share of the bar
_SURE = 0.25
#: percentile of the frames that must obey, and the share of the frames in which there must be an answer
_OBEY, _FRAMES = 95, 0.5
_ROUNDS = 6

Series = list[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Solved:
    """A camera found in a picture: ``world_from_camera`` (4, 4); ``inliers`` (N,) the corners that agree; the standard
    errors of its ``angle``, degrees, and ``place``, metres."""

    world_from_camera: Double
    inliers: Mask
    angle: float
    place: float


@dataclass
class _Found:
    """(scene frame, value) of what was found, and the most corners in a frame."""

    rotation: Series = field(default_factory=list)
    position: Series = field(default_factory=list)
    metres: Series = field(default_factory=list)
    lag: Series = field(default_factory=list)
    corners: int = 0
    solved: int = 0
    moving: int = 0


class CameraError:
    """Rotation and position of each frame's camera, found from the oldest corners (perspective n points): the corners'
    places are known, so that metres are metres. The figures hold for 95 % of the frames.

    "lag" is by how many frames a picture is later than it should be, in the frame where that is worst. Corners begin where
    the scene had them in the frame of their start, so that pictures that are late from the first one on show only in how
    the camera's motion changes.
    """

    def __init__(self, ground: Ground, tracker: Tracker | None = None) -> None:
        self._ground, self._tracker = ground, tracker or Tracker(ground)
        self._found = _Found()

    def see(self, recent: Sequence[Observed]) -> None:
        corners, found = self._tracker.see(recent).oldest(FEWEST), self._found
        found.corners = max(found.corners, len(corners))
        moment = recent[-1].moment
        solved = solve(corners.world, corners.at, moment.K) if len(corners) >= FEWEST else None
        if solved is None:
            return
        found.solved += 1
        depth = float(np.median(project(corners.world, moment.K, moment.world_from_camera)[1]))
        angle, metres = apart(solved.world_from_camera, moment.world_from_camera)
        if solved.angle < _SURE * ROTATION.highest:
            found.rotation.append((moment.number, angle))
        if 100 * solved.place / depth < _SURE * POSITION.highest:
            found.position.append((moment.number, 100 * metres / depth))
            found.metres.append((moment.number, metres))
        self._time(corners.where(solved.inliers), moment.index, moment.number)

    def _time(self, corners: Corners, index: int, number: int) -> None:
        """Note by how many frames the picture is late, where that can be told."""
        first, last = max(0, index - _REACH), min(len(self._ground) - 1, index + _REACH)
        paths = np.stack([project(corners.world, self._ground.K[other], self._ground.world_from_camera[other])[0]
                          for other in range(first, last + 1)])
        speed = np.linalg.norm(np.diff(paths, axis=0), axis=-1)
        if float(np.sqrt(np.nanmean(speed**2))) < _SLOWEST:
            return
        self._found.moving += 1
        where, error = moment_of(corners.at, paths)
        if error < _SURE * LAG.highest:
            self._found.lag.append((number, index - first - where))

    def figures(self) -> Sequence[Figure]:
        found, pairs = self._found, len(self._ground) - 1
        if pairs < 1:
            reason = "a single frame"
        elif found.corners < FEWEST:
            reason = f"{found.corners} corners of still surfaces could be followed, {FEWEST} are needed"
        else:
            reason = "a camera could be found in {} of " + f"{pairs} frames"
        still = f"the camera moves the picture by less than {_SLOWEST} px a frame"
        return [self._obeyed("rotation", "°", ROTATION, found.rotation, reason),
                self._obeyed("position", "% of the depth", POSITION, found.position, reason),
                self._obeyed("distance", "m", None, found.metres, reason),
                self._worst(still if found.solved and not found.moving else reason)]

    def _obeyed(self, key: str, unit: str, bar: Bar | None, series: Series, reason: str) -> Figure:
        if not series or len(series) < _FRAMES * (len(self._ground) - 1):
            return unmeasured("camera", key, unit, reason.format(len(series)), bar=bar)
        value = float(np.percentile([value for _, value in series], _OBEY))
        return Figure("camera", key, value, unit, bar, series=tuple(series),
                      worst=worst_frames(series, bar) if bar else (),
                      counts={"frames": len(series), "corners": self._found.corners})

    def _worst(self, reason: str) -> Figure:
        series = self._found.lag
        if not series:
            return unmeasured("camera", "lag", "frames", reason.format(len(series)), bar=LAG)
        value = max((late for _, late in series), key=abs)
        return Figure("camera", "lag", value, "frames", LAG, series=tuple(series), worst=worst_frames(series, LAG),
                      counts={"frames": len(series)})


def solve(world: Points, at: Points, intrinsics: Double) -> Solved | None:
    """The camera that sees the points ``world`` (N, 3), metres, ``at`` (N, 2) px with ``intrinsics`` (3, 3).

    RANSAC over few points, then :func:`refine` over those within 1.5 px. None where fewer than FEWEST agree on a camera.
    """
    middle = np.asarray(world, np.float64).mean(0)      # far from the origin, a turn is hardly told from a shift
    points, image = np.asarray(world, np.float64) - middle, np.ascontiguousarray(at, np.float64)
    try:
        done, turn, shift, inner = cv2.solvePnPRansac(points, image, intrinsics, None, iterationsCount=200,
                                                      confidence=0.999, reprojectionError=_BESIDE)
    except cv2.error:                                   # all on a line, or nothing in front of the camera
        return None
    if not done or inner is None or len(inner) < FEWEST:
        return None
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(turn)[0].T
    pose[:3, 3] = -pose[:3, :3] @ shift[:, 0]
    inner = inner[:, 0]
    pose, angle, place = refine(points[inner], image[inner], intrinsics, pose)
    with np.errstate(invalid="ignore"):
        inliers = np.asarray(np.linalg.norm(project(points, intrinsics, pose)[0] - image, axis=-1) < _BESIDE)
    if inliers.sum() < FEWEST:
        return None
    pose[:3, 3] += middle
    return Solved(pose, inliers, angle, place)


def refine(world: Double, at: Double, intrinsics: Double, world_from_camera: Double) -> tuple[Double, float, float]:
    """The camera near ``world_from_camera`` (4, 4) that sees ``world`` (N, 3) best ``at`` (N, 2) px, and the standard errors
    of its rotation, degrees, and its place, metres.

    Gauss and Newton's method, in which each corner counts as much as it is trusted; the errors from the residuals and the
    projection's derivatives (Hartley and Zisserman, 2nd edition, 5.2).
    """
    pose = world_from_camera.copy()
    for _ in range(_ROUNDS):
        slopes, residual = slopes_of(world, at, intrinsics, pose)
        length = np.linalg.norm(residual, axis=-1)
        weight = trust(length)
        heavy = slopes * weight[:, None, None]
        inverse = np.linalg.pinv(np.einsum("nij,nik->jk", heavy, slopes), hermitian=True)
        step = inverse @ np.einsum("nij,ni->j", heavy, residual)
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(step[:3])[0].T
        pose[:3, 3] += step[3:]
    spread = float((weight * length**2).sum()) / max(2.0 * float(weight.sum()) - 6, 1.0)
    variance = spread * np.diag(inverse)
    return pose, float(np.degrees(np.sqrt(variance[:3].sum()))), float(np.sqrt(variance[3:].sum()))


def slopes_of(world: Double, at: Double, intrinsics: Double, world_from_camera: Double) -> tuple[Double, Double]:
    """What is left, (N, 2) px, between ``at`` (N, 2) and where the camera sees ``world`` (N, 3), and how the latter changes,
    (N, 2, 6), with a small turn of the world about the camera's axes, radians, and a step of the camera in the world,
    metres."""
    rotation = world_from_camera[:3, :3].T
    x, y, z = ((world - world_from_camera[:3, 3]) @ rotation.T).T
    one, none = 1.0 / z, np.zeros_like(z)
    lens = np.stack([np.stack([one, none, -x * one**2], -1), np.stack([none, one, -y * one**2], -1)], 1)
    lens = intrinsics[:2, :2] @ lens
    cross = np.stack([np.stack([none, z, -y], -1), np.stack([-z, none, x], -1), np.stack([y, -x, none], -1)], 1)
    return np.concatenate([lens @ cross, -(lens @ rotation)], -1), at - project(world, intrinsics, world_from_camera)[0]


def apart(one: Double, other: Double) -> tuple[float, float]:
    """The angle, degrees, and the distance, metres, between two cameras ``world_from_camera`` (4, 4)."""
    turn, _ = cv2.Rodrigues(one[:3, :3].T @ other[:3, :3])
    return float(np.degrees(np.linalg.norm(turn))), float(np.linalg.norm(one[:3, 3] - other[:3, 3]))


def moment_of(at: Points, paths: Double) -> tuple[float, float]:
    """When points that go along ``paths`` (T, N, 2) px are ``at`` (N, 2): frames after the first of the T, and the standard
    error of that.

    Least squares over the straight parts between the T, of which the first and the last go on beyond them.
    """
    best, where, error = np.inf, 0.0, np.inf
    for index, (here, there) in enumerate(zip(paths, paths[1:], strict=False)):
        ends = (-np.inf if index == 0 else 0.0, np.inf if index == len(paths) - 2 else 1.0)
        step, gap = there - here, at - here
        length = float(np.nansum(step * step))
        if length <= 0:
            continue
        share = float(np.clip(np.nansum(gap * step) / length, *ends))
        left = float(np.nansum((gap - share * step) ** 2))
        if left < best:
            best, where, error = left, index + share, float(np.sqrt(left / max(2 * len(at) - 1, 1) / length))
    return where, error
