# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera paths made from closed forms, with the subjects they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from lucid.inference.conditioning.framing import Subject
from lucid.inference.conditioning.moves import Stage, stages_of
from lucid.inference.conditioning.words import camera_words
from lucid.inference.shot.model import Size
from scipy.spatial.transform import Rotation

SIZE = Size(640, 360)
FOCAL = 700.0       # px: a horizontal field of view of 49 degrees
UP = np.array([0.0, 0.0, 1.0])
HERO_HEIGHT = 1.8


@dataclass(frozen=True)
class Take:
    """A path ready to be told; ``up`` follows the world when that is turned."""

    K: np.ndarray
    poses: np.ndarray
    fps: float = 24.0
    subjects: tuple[Subject, ...] = ()
    up: tuple[float, ...] = (0.0, 0.0, 1.0)

    def stages(self) -> tuple[Stage, ...]:
        return stages_of(self.K, self.poses, SIZE, self.fps, self.subjects, up=self.up).stages

    def moves(self) -> list[str]:
        return [stage.move for stage in self.stages()]

    def words(self) -> str:
        return camera_words(self.K, self.poses, SIZE, self.fps, self.subjects, up=self.up)


def ease(seconds: float, fps: float, kind: str = "smooth") -> np.ndarray:
    t = np.linspace(0.0, 1.0, round(seconds * fps) + 1)
    return {"linear": t, "smooth": t * t * (3.0 - 2.0 * t), "sine": 0.5 - 0.5 * np.cos(np.pi * t)}[kind]


def take(at: np.ndarray, *, pan: np.ndarray | float = 0.0, tilt: np.ndarray | float = 0.0, roll: np.ndarray | float = 0.0,
         focal: np.ndarray | float = FOCAL, fps: float = 24.0, subjects: tuple[Subject, ...] = ()) -> Take:
    """A camera at ``at`` (F, 3) that looks along +y, then turned: degrees to the right, up, and clockwise."""
    count = len(at)
    pan, tilt, roll, focal = (np.broadcast_to(value, count) for value in (pan, tilt, roll, focal))
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])     # columns: right, down, forward
    turns = (Rotation.from_euler("z", -pan[:, None], degrees=True) * Rotation.from_euler("x", tilt[:, None], degrees=True)
             * Rotation.from_euler("y", roll[:, None], degrees=True))
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turns.as_matrix() @ level, at
    K = np.tile(np.eye(3), (count, 1, 1))
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, 0, 2], K[:, 1, 2] = SIZE.width / 2, SIZE.height / 2
    return Take(K, poses, fps, subjects)


def still(count: int, at: Sequence[float] = (0.0, 0.0, 1.0)) -> np.ndarray:
    return np.tile(np.array(at, float), (count, 1))


def hero(points: np.ndarray, name: str = "HERO", height: float = HERO_HEIGHT) -> Subject:
    return Subject(name, points, height)


def standing(count: int, at: Sequence[float] = (0.0, 0.0, 1.0), name: str = "HERO") -> Subject:
    return hero(still(count, at), name)


def circling(angle: np.ndarray, radius: np.ndarray | float = 5.0, **settings: object) -> Take:
    """Around the origin at a height of 1 m, facing it: ``angle`` degrees to the camera's right from straight south."""
    turn = np.radians(angle)
    at = np.stack([np.sin(turn) * radius, -np.cos(turn) * radius, np.ones_like(turn)], axis=1)
    return take(at, pan=-angle, **settings)


def jitter(count: int, size: float, fps: float, seed: int = 0) -> np.ndarray:
    """(3, count) of trembling at 2 to 6 Hz with about this amplitude."""
    random = np.random.default_rng(seed)
    t = np.arange(count) / fps
    hertz, phase = random.uniform(2.0, 6.0, (3, 5, 1)), random.uniform(0.0, 6.3, (3, 5, 1))
    return size * np.sin(2.0 * np.pi * hertz * t + phase).sum(axis=1) / 5**0.5


def perturbed(shot: Take, size: float, seed: int = 0) -> Take:
    """With noise of this many degrees, and as many centimetres, in every frame."""
    random = np.random.default_rng(seed)
    poses = shot.poses.copy()
    poses[:, :3, :3] = (Rotation.from_rotvec(random.normal(0.0, size, (len(poses), 3)), degrees=True)
                        * Rotation.from_matrix(poses[:, :3, :3])).as_matrix()
    poses[:, :3, 3] += random.normal(0.0, size * 0.01, (len(poses), 3))
    return replace(shot, poses=poses)


RIGHT, AHEAD = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def simple(move: str, sign: float, s: np.ndarray, fps: float) -> Take:
    """One elementary move along the eased ``s`` (times AMOUNTS), 5 m from a hero for those that go somewhere."""
    n = len(s)
    d = sign * s
    near = {"fps": fps, "subjects": (standing(n, (0.0, 5.0, 1.0)),)}
    return {
        "pan": lambda: take(still(n), pan=40.0 * d, fps=fps),
        "tilt": lambda: take(still(n), tilt=25.0 * d, fps=fps),
        "roll": lambda: take(still(n), roll=30.0 * d, fps=fps),
        "zoom": lambda: take(still(n), focal=FOCAL * 2.0**d, fps=fps),
        "dolly": lambda: take(still(n) + 2.5 * d[:, None] * AHEAD, **near),
        "truck": lambda: take(still(n) + 1.5 * d[:, None] * RIGHT, **near),
        "pedestal": lambda: take(still(n) + 1.2 * d[:, None] * UP, **near),
    }[move]()


NAMES = {"pan": ("right", "left"), "tilt": ("up", "down"), "roll": ("clockwise", "counterclockwise"), "zoom": ("in", "out"),
         "dolly": ("in", "out"), "truck": ("right", "left"), "pedestal": ("up", "down")}
AMOUNTS = {"pan": (40.0, "degrees"), "tilt": (25.0, "degrees"), "roll": (30.0, "degrees"), "zoom": (2.0, "times"),
           "dolly": (2.5, "m"), "truck": (1.5, "m"), "pedestal": (1.2, "m")}


def arrays(shot: Take) -> tuple[np.ndarray, np.ndarray, Size, float]:
    return shot.K, shot.poses, SIZE, shot.fps


def joined(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def example(fps: float = 24.0) -> Take:
    """A dolly from 12 m to 2.2 m, then a quarter of a circle to the left."""
    dolly, arc = ease(3.0, fps), ease(3.0, fps)
    radius = joined(12.0 - 9.8 * dolly, np.full_like(arc, 2.2))
    angle = joined(np.zeros_like(dolly), -90.0 * arc)
    return circling(angle, radius, fps=fps, focal=1300.0, subjects=(standing(len(angle)),))


SHOTS = {
    "example": example(), "orbit": circling(90.0 * ease(2.0, 24.0), subjects=(standing(49),)),
    "crane": take(np.stack([np.zeros(49), np.full(49, -5.0), 1.0 + 2.0 * ease(2.0, 24.0)], 1),
                  tilt=-np.degrees(np.arctan2(2.0 * ease(2.0, 24.0), 5.0)), subjects=(standing(49),)),
    "follow": take(still(60) + np.linspace(0.0, 3.0, 60)[:, None] * AHEAD,
                   subjects=(hero(np.linspace(0.0, 3.0, 60)[:, None] * AHEAD + [0.0, 4.0, 1.0]),)),
    **{move: simple(move, 1.0, ease(2.0, 24.0), 24.0) for move in ("dolly", "truck", "pedestal")},
}
