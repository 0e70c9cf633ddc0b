# SPDX-License-Identifier: GPL-3.0-or-later
"""A small shot made from closed forms, for tests without Blender: a road, a ball and a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lucid.inference.conditioning.depth import measure_range
from lucid.inference.conditioning.pose import JOINTS, SEEN
from lucid.inference.shot import store
from lucid.inference.shot.images import write_exr, write_png
from lucid.inference.shot.model import (
    ENVIRONMENT,
    Frames,
    Kind,
    Layer,
    Rate,
    Sequence,
    Shot,
    Size,
)

FOCAL = 1.1          # in widths
EYE = 1.6            # metres above the road
ROAD = 3             # its instance
# a standing figure seen from the front, in metres: x to the right of its middle, y above the road
FIGURE = {"nose": (0, 1.62), "neck": (0, 1.42),
          "r_shoulder": (-.2, 1.4), "r_elbow": (-.28, 1.12), "r_wrist": (-.3, .86),
          "l_shoulder": (.2, 1.4), "l_elbow": (.28, 1.12), "l_wrist": (.3, .86), "r_hip": (-.11, .92),
          "r_knee": (-.12, .5), "r_ankle": (-.12, .08), "l_hip": (.11, .92), "l_knee": (.12, .5), "l_ankle": (.12, .08),
          "r_eye": (-.03, 1.66), "l_eye": (.03, 1.66), "r_ear": (-.08, 1.64), "l_ear": (.08, 1.64)}


def make_shot(target: Path, *, frames: Frames | None = None, size: Size | None = None, figure: bool = True,
              ball_x: float = 0.9, prompt: str = "a grey street, bright daylight") -> Shot:
    """Write a sealed shot at ``target``: the environment, the actor 'Ball' and, with ``figure``, the actor 'Walker'."""
    frames, size = frames or Frames(1, 9), size or Size(64, 48)
    passes = tuple(Sequence(n, f"passes/{n}/{n}.####.exr", c)
                   for n, c in (("depth", ("Z",)), ("normal", ("X", "Y", "Z")), ("id", ("id",))))
    layers = [_layer(ENVIRONMENT, "environment", (), None), _layer("Ball", "Ball", (1,), None)]
    if figure:
        layers.append(_layer("Walker", "Walker", (2,), 0))
    samples = []
    with store.new_shot_folder(target) as folder:
        for index, frame in enumerate(frames.numbers):
            samples.append(_write_frame(folder, passes, layers, frame, index / max(len(frames) - 1, 1), size, ball_x))
        _write_camera_and_pose(folder, frames, size, figure)
        shot = Shot(target.stem, Rate(12), frames, size, 1.0, measure_range(samples), "Camera", passes,
                    tuple(layers), {1: "Ball", 2: "Walker", 3: "Road"}, prompt, {"blend": "street.blend"})
        return store.seal(folder, shot)


def _layer(name: str, folder: str, ids: tuple[int, ...], pose: int | None) -> Layer:
    kinds = [("depth", "exr", ("Z",)), ("normal", "exr", ("X", "Y", "Z")), ("id", "exr", ("id",)),
             ("rest", "exr", ("X", "Y", "Z"))]
    if name != ENVIRONMENT:
        kinds.append(("matte", "png", ("A",)))
    return Layer(name, folder, ids, tuple(Sequence(n, f"layers/{folder}/{n}.####.{e}", c) for n, e, c in kinds), pose,
                 Kind.ENVIRONMENT if name == ENVIRONMENT else Kind.ACTOR)


def _write_frame(folder: Path, passes: tuple[Sequence, ...], layers: list[Layer], frame: int, t: float, size: Size,
                 ball_x: float) -> np.ndarray:
    ys, xs = np.mgrid[:size.height, :size.width] + 0.5
    dx, dy = (xs - size.width / 2) / (FOCAL * size.width), (ys - size.height / 2) / (FOCAL * size.width)
    road = np.where(dy > 1e-4, EYE / np.maximum(dy, 1e-4), np.inf)
    road = np.where(road < 80.0, road, np.inf)
    origins = {"environment": (0.0, 0.0, 0.0), "Ball": (ball_x - 0.5 * t, EYE - 0.5, 4.0),
               "Walker": (-0.9 + 0.6 * t, EYE, 5.0)}
    depths = {"environment": road, "Ball": _sphere(dx, dy, origins["Ball"], 0.5)}
    if any(layer.name == "Walker" for layer in layers):
        z = 5.0
        x, y = dx * z - (-0.9 + 0.6 * t), EYE - dy * z
        body = (np.abs(x) < 0.22) & (y > 0.75) & (y < 1.45) | (np.hypot(x, y - 1.6) < 0.14) | (
            (np.abs(np.abs(x) - 0.12) < 0.08) & (y > 0.0) & (y <= 0.75))
        depths["Walker"] = np.where(body, z, np.inf)
    ids = np.where(np.isfinite(road), np.uint32(ROAD), np.uint32(0))
    nearest = road
    for layer in layers[1:]:
        front = depths[layer.name] < nearest
        nearest = np.where(front, depths[layer.name], nearest)
        ids = np.where(front, np.uint32(layer.ids[0]), ids)
    flat = np.zeros(road.shape, np.float32)
    for sequence, channels in zip(passes, ({"Z": nearest.astype(np.float32)}, {"X": flat, "Y": flat, "Z": flat - 1},
                                           {"id": ids}), strict=True):
        write_exr(folder / sequence.path(frame), channels)
    for layer in layers:
        write_exr(folder / layer.sequence("depth").path(frame), {"Z": depths[layer.name].astype(np.float32)})
        write_exr(folder / layer.sequence("normal").path(frame), {"X": flat, "Y": flat, "Z": flat - 1})
        there, origin = np.isfinite(depths[layer.name]), origins[layer.name]
        number = layer.ids[0] if layer.ids else ROAD
        write_exr(folder / layer.sequence("id").path(frame), {"id": np.where(there, np.uint32(number), np.uint32(0))})
        z = np.where(there, depths[layer.name], 0.0)
        write_exr(folder / layer.sequence("rest").path(frame),
                  {axis: np.where(there, place - start, 0.0).astype(np.float32)
                   for axis, place, start in zip("XYZ", (dx * z, dy * z, z), origin, strict=True)})
        if layer.name != ENVIRONMENT:
            matte = np.where(ids == layer.ids[0], 255, 0).astype(np.uint8)
            write_png(folder / layer.sequence("matte").path(frame), matte)
    with np.errstate(divide="ignore"):
        return (1.0 / nearest).astype(np.float32)


def _sphere(dx: np.ndarray, dy: np.ndarray, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Depth along z of the ray (dx, dy, 1) z: the nearer root of |z d - c|^2 = r^2."""
    a = dx * dx + dy * dy + 1.0
    b = dx * centre[0] + dy * centre[1] + centre[2]
    c = sum(v * v for v in centre) - radius * radius
    inside = b * b - a * c
    return np.where(inside > 0.0, (b - np.sqrt(np.maximum(inside, 0.0))) / a, np.inf)


def _write_camera_and_pose(folder: Path, frames: Frames, size: Size, figure: bool) -> None:
    count, focal = len(frames), FOCAL * size.width
    k = np.array([[focal, 0, size.width / 2], [0, focal, size.height / 2], [0, 0, 1.0]])
    np.savez(folder / "camera.npz", frame=np.array(frames.numbers, np.int32), K=np.repeat(k[None], count, 0),
             world_from_camera=np.repeat(np.eye(4)[None], count, 0))
    people = 1 if figure else 0
    t = np.linspace(0.0, 1.0, count)
    points = np.array([FIGURE[name] for name in JOINTS])
    world = np.zeros((people, count, 18, 3), np.float32)
    world[..., 0] = points[:, 0] + (-0.9 + 0.6 * t)[:, None]
    world[..., 1], world[..., 2] = EYE - points[:, 1], 5.0
    image = (world[..., :2] / world[..., 2:] * focal + [size.width / 2, size.height / 2]).astype(np.float32)
    np.savez(folder / "pose.npz", actors=np.array(["Walker"] * people), joints=np.array(JOINTS), world=world,
             image=image, depth=world[..., 2], visibility=np.full((people, count, 18), SEEN, np.uint8))
