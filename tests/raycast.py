# SPDX-License-Identifier: GPL-3.0-or-later
"""A ray-cast scene on disk and its pictures, for tests of what measures them: a floor, a wall, a turning sphere, a thrown ball.

Everything is known in closed form. The world is Blender's (z up); the camera trucks, moves in and turns. Textures are sums of
sines of the rest position, so that they can be sampled anywhere; pictures are averages of 3x3 samples a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from lucid.inference.shot import store
from lucid.inference.shot.images import to_uint8, to_uint16, write_exr, write_png
from lucid.inference.shot.model import (
    ENVIRONMENT,
    DepthRange,
    Frames,
    Kind,
    Rate,
    Shot,
    Size,
    TakeRequest,
    layer_sequence,
    pass_sequence,
)
from lucid.inference.shot.model import Layer as ShotLayer
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.takes import State, Take, new_take
from lucid.inference.shot.verdicts import Figure
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lucid.inference.truth.ground import Ground
    from lucid.inference.truth.watch import Metric

Array = NDArray[np.float64]
FLOOR, WALL, SPHERE, BALL = 1, 2, 3, 4
NAMES = {FLOOR: "Floor", WALL: "Wall", SPHERE: "Sphere", BALL: "Ball"}
FPS = 24.0
GRAVITY = 9.81


@dataclass(frozen=True)
class World:
    """What moves how: metres, seconds, radians. ``truck``, ``dolly`` and ``yaw`` are the camera's speeds."""

    width: int = 208
    height: int = 120
    frames: int = 14
    focal: float = 0.9              # in widths
    truck: float = 0.6
    dolly: float = 0.5
    yaw: float = 0.06
    spin: float = 1.5
    gravity: float = GRAVITY
    actors: tuple[int, ...] = (SPHERE, BALL)

    @property
    def K(self) -> Array:
        f = self.focal * self.width
        return np.array([[f, 0, self.width / 2], [0, f, self.height / 2], [0, 0, 1.0]])

    def camera(self, frame: float) -> Array:
        """world_from_camera, OpenCV axes; at first it looks along +y."""
        t = frame / FPS
        c, s = np.cos(self.yaw * t), np.sin(self.yaw * t)
        pose = np.eye(4)
        pose[:3, :3] = np.array([[c, 0, s], [-s, 0, c], [0, -1, 0]])
        pose[:3, 3] = (self.truck * t, -6 + self.dolly * t, 1.6)
        return pose

    def ball(self, frame: float) -> Array:
        t = frame / FPS
        return np.array([-2.0 + 1.6 * t, 0.0, 0.6 + 4.2 * t - 0.5 * self.gravity * t * t])

    def object(self, number: int, frame: float) -> Array:
        """4x4 world from rest position of an instance."""
        pose = np.eye(4)
        if number == SPHERE:
            a = self.spin * frame / FPS
            pose[:3, :3] = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
            pose[:3, 3] = (0.8, 0.5, 1.0)
        elif number == BALL:
            pose[:3, 3] = self.ball(frame)
        return pose


def cast(world: World, frame: float, at: Array, hidden: tuple[int, ...] = ()) -> tuple[NDArray[np.uint32], Array, Array]:
    """ids (...), depth (...) along z and rest positions (..., 3) at image positions ``at`` (..., 2) px; 0 and +inf where nothing
    is."""
    pose = world.camera(frame)
    rays = np.concatenate([at, np.ones((*at.shape[:-1], 1))], -1) @ np.linalg.inv(world.K).T @ pose[:3, :3].T
    eye = pose[:3, 3]
    depth, ids = np.full(at.shape[:-1], np.inf), np.zeros(at.shape[:-1], np.uint32)

    def hit(distance: Array, number: int) -> None:
        nearer = (distance > 0) & (distance < np.minimum(depth, 40.0)) & (number not in hidden)
        depth[nearer], ids[nearer] = distance[nearer], number

    with np.errstate(all="ignore"):
        hit(-eye[2] / rays[..., 2], FLOOR)
        hit((6 - eye[1]) / rays[..., 1], WALL)
        for number, radius in ((SPHERE, 1.0), (BALL, 0.35)):
            if number in world.actors:
                away = eye - world.object(number, frame)[:3, 3]
                a, b = (rays * rays).sum(-1), 2 * rays @ away
                inside = b * b - 4 * a * (away @ away - radius * radius)
                hit(np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / (2 * a), np.inf), number)
    points = eye + rays * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    rest = np.zeros_like(points)
    for number in NAMES:
        pose = world.object(number, frame)
        mine = ids == number
        rest[mine] = (points[mine] - pose[:3, 3]) @ pose[:3, :3]
    return ids, depth, rest


def centres(world: World) -> Array:
    return np.stack(np.meshgrid(np.arange(world.width) + 0.5, np.arange(world.height) + 0.5), -1)


def texture(ids: NDArray[np.uint32], rest: Array, seed: int = 0) -> Array:
    """sRGB (..., 3) of places on surfaces: waves of 0.15 to 1.2 m, finer on the ball."""
    rng = np.random.default_rng(seed)
    out = np.full((*ids.shape, 3), 0.6)
    for number in NAMES:
        mine, place = ids == number, None
        fine = {SPHERE: 1.6, BALL: 3.0}.get(number, 1.0)
        waves = rng.standard_normal((24, 3)) * np.geomspace(1.0, 9.0, 24)[:, None] * fine
        phases, mixes = rng.random(24) * 2 * np.pi, rng.standard_normal((24, 3)) / np.geomspace(1.0, 2.5, 24)[:, None]
        place = rest[mine]
        out[mine] = 0.5 + 0.075 * (np.sin(place @ waves.T + phases) @ mixes)
    return np.clip(out, 0.0, 1.0)


def picture(world: World, frame: float, *, hidden: tuple[int, ...] = (), side: int = 3,
            shade: Callable[[NDArray[np.uint32], Array], Array] = texture) -> NDArray[np.float32]:
    """(H, W, 3) float32 sRGB of a frame, counted from 0, averaged over ``side`` x ``side`` samples a pixel."""
    steps = (np.arange(side) + 0.5) / side - 0.5
    total = np.zeros((world.height, world.width, 3))
    for dx in steps:
        for dy in steps:
            ids, _, rest = cast(world, frame, centres(world) + (dx, dy), hidden)
            total += shade(ids, rest)
    return (total / side**2).astype(np.float32)


def pictures(world: World, side: int = 3) -> Callable[[int], NDArray[np.float32]]:
    """Every frame's picture, made once; ``side`` is that of :func:`picture`."""
    return cache(lambda index: picture(world, index, side=side))


def judged(metric: Metric, ground: Ground, of: Callable[[int], NDArray[np.float32]]) -> dict[str, Figure]:
    """What one measure says of the pictures ``of`` a shot's frames, by the figures' names."""
    from lucid.inference.truth.watch import (
        watch,  # Blender's Python, which writes such shots too, has not what it needs
    )

    watch(ground, of, [metric])
    return {figure.name: figure for figure in metric.figures()}


def flow(world: World, frame: int, ids: NDArray[np.uint32], rest: Array, to: int) -> tuple[Array, NDArray[np.bool_]]:
    """Exact flow (H, W, 2) px of the points of ``frame`` to frame ``to``, and where they are seen there."""
    points = np.zeros_like(rest)
    for number in NAMES:
        pose, mine = world.object(number, to), ids == number
        points[mine] = rest[mine] @ pose[:3, :3].T + pose[:3, 3]
    back = np.linalg.inv(world.camera(to))
    local = points @ back[:3, :3].T + back[:3, 3]
    with np.errstate(all="ignore"):
        at = (local @ world.K.T)[..., :2] / local[..., 2:]
    at = np.where((ids > 0)[..., None], at, -1.0)
    seen_ids, seen_depth, _ = cast(world, to, at)
    inside = (at >= 0).all(-1) & (at[..., 0] < world.width) & (at[..., 1] < world.height)
    seen = inside & (ids > 0) & (seen_ids == ids) & (np.abs(seen_depth - local[..., 2]) < 1e-3 * local[..., 2])
    return np.where(inside[..., None], at - centres(world), 0.0), seen


def write(world: World, target: Path, *, hide_flow: bool = False) -> Shot:
    """A sealed shot of the world with passes depth, id, rest, flow_forward; each actor is a layer with
    a matte, depth, id and rest."""
    names = ("depth", "id", "rest", "flow_forward")
    passes = tuple(pass_sequence(name) for name in names)
    layers = [ShotLayer(ENVIRONMENT, "environment", (), tuple(layer_sequence(Kind.ENVIRONMENT, "environment", name)
                                                              for name in ("depth", "id", "rest")), None, Kind.ENVIRONMENT)]
    for number in world.actors:
        name = NAMES[number]
        layers.append(ShotLayer(name, name, (number,), tuple(layer_sequence(Kind.ACTOR, name, kind)
                                                             for kind in ("matte", "depth", "id", "rest"))))
    size = Size(world.width, world.height)
    shot = Shot(target.stem, Rate(int(FPS)), Frames(1, world.frames), size, 1.0, DepthRange(2.0, 14.0), "Camera", passes,
                tuple(layers), dict(NAMES), "a room", {"blend": "raycast"})
    with store.new_shot_folder(target) as folder:
        for index in range(world.frames):
            _write_frame(world, folder, shot, index, hide_flow)
        np.savez(folder / "camera.npz", frame=np.arange(1, world.frames + 1, dtype=np.int32),
                 K=np.repeat(world.K[None], world.frames, 0),
                 world_from_camera=np.stack([world.camera(index) for index in range(world.frames)]))
        return store.seal(folder, replace(shot))


def make_take(folder: Path, shot: Shot, of: Callable[[int], NDArray[np.float32]], *, request: TakeRequest | None = None) -> Take:
    """A take of the shot in ``folder`` that is done, whose finals are the pictures ``of`` its frames, counted from 0."""
    take = new_take(folder, request or TakeRequest("a room"))
    take.emit("started")
    for index, number in enumerate(shot.frames.numbers):
        write_png(take.folder / frame_path(take.final_pattern, number), to_uint16(of(index)))
    take.finish(State.DONE, error=None, seconds=1.0)
    return take


def _write_frame(world: World, folder: Path, shot: Shot, index: int, hide_flow: bool) -> None:
    number = shot.frames.numbers[index]
    everything = cast(world, index, centres(world))
    ids, _, rest = everything
    last = index == world.frames - 1 or hide_flow
    moved, seen = (np.zeros((*ids.shape, 2)), np.zeros(ids.shape, bool)) if last else flow(world, index, ids, rest, index + 1)
    _write_surface(folder, {s.name: s.path(number) for s in shot.passes}, everything)
    write_exr(folder / shot.sequence("flow_forward").path(number),
              {"X": moved[..., 0].astype(np.float32), "Y": moved[..., 1].astype(np.float32),
               "valid": (seen | (moved != 0).any(-1)).astype(np.float32), "visible": seen.astype(np.float32)})
    for layer in shot.layers:
        others = tuple(set(NAMES) - set(layer.ids)) if layer.ids else world.actors
        own = cast(world, index, centres(world), others)
        _write_surface(folder, {s.name: s.path(number) for s in layer.sequences}, own)
        if layer.ids:
            write_png(folder / layer.sequence("matte").path(number), to_uint8(np.isin(ids, layer.ids).astype(np.float32)))


def _write_surface(folder: Path, paths: dict[str, str], surface: tuple[NDArray[np.uint32], Array, Array]) -> None:
    ids, depth, rest = surface
    write_exr(folder / paths["depth"], {"Z": depth.astype(np.float32)})
    write_exr(folder / paths["id"], {"id": ids})
    write_exr(folder / paths["rest"], {axis: rest[..., i].astype(np.float32) for i, axis in enumerate("XYZ")})
