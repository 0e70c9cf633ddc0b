# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's passes as arrays, fitted to a model: what the layers are generated from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..conditioning.fit import Fit
from ..conditioning.pose import draw_openpose, drawn
from ..errors import LucidError
from ..shot.images import read_exr, read_png
from ..shot.model import Layer, Sequence, Shot
from .noise import View, named_ids, world_directions


@dataclass(frozen=True, eq=False)
class Surface:
    """``depth`` (F, H, W) float32 metres, +inf where nothing is; ``normal`` (F, H, W, 2) float32: x and y in camera space,
    OpenCV axes, 0 where nothing is; ``ids`` (F, H, W) uint64 of instances by name, 0 where nothing is; ``rest`` (F, H, W, 3)
    metres. What the shot does not have, or generation does not ask for, is None."""

    depth: NDArray[np.float32]
    normal: NDArray[np.float32] | None = None
    ids: NDArray[np.uint64] | None = None
    rest: NDArray[np.float32] | None = None

    def before(self, other: Surface) -> Surface:
        """What is seen of the two: the nearer one in each pixel."""
        nearer = self.depth <= other.depth

        def seen(mine: NDArray[Any] | None, theirs: NDArray[Any] | None) -> NDArray[Any] | None:
            if mine is None or theirs is None:
                return None
            return np.where(nearer.reshape(nearer.shape + (1,) * (mine.ndim - nearer.ndim)), mine, theirs)

        return Surface(np.minimum(self.depth, other.depth), seen(self.normal, other.normal), seen(self.ids, other.ids),
                       seen(self.rest, other.rest))


@dataclass(frozen=True, eq=False)
class Actor:
    """One actor over the shot, padded to the model's frames and size.

    ``matte`` (F, H, W) float32 visible coverage; ``surface`` amodal, +inf where it is not;
    ``joints`` (F, N, 2) pixels and ``shown`` (F, N), or None for an actor without a skeleton; N is 18, or 128 with hands
    and face.
    """

    layer: Layer
    matte: NDArray[np.float32]
    surface: Surface
    joints: NDArray[np.float32] | None
    shown: NDArray[np.bool_] | None

    @property
    def distance(self) -> float:
        """Median depth of what is seen of it, metres; +inf for an actor that is never in the picture."""
        depth = self.surface.depth
        values = depth[(self.matte > 0.5) & np.isfinite(depth)]
        return float(np.median(values)) if values.size else float("inf")

    def pose_video(self, *, reverse_channels: bool) -> NDArray[np.float32]:
        """The skeleton drawn on black, (F, H, W, 3) in [0, 1]."""
        assert self.joints is not None and self.shown is not None
        height, width = self.matte.shape[1:]
        return np.stack([draw_openpose(xy[None], ok[None], height, width, reverse_channels=reverse_channels)
                         for xy, ok in zip(self.joints, self.shown, strict=True)])


@dataclass(frozen=True)
class Footage:
    """``environment``: the clean plate; ``actors`` from the farthest to the nearest; ``directions`` (F, H, W, 3): where in the
    world each pixel looks, None when no points were asked for."""

    environment: Surface
    actors: tuple[Actor, ...]
    directions: NDArray[np.float32] | None = None

    def views(self, surface: Surface) -> list[View] | None:
        """What a surface shows, frame by frame, as points that can be told apart; None in a shot that does not say."""
        if surface.ids is None or surface.rest is None or self.directions is None:
            return None
        return [View(*frame) for frame in zip(surface.ids, surface.rest, self.directions, strict=True)]


def load_footage(folder: Path, shot: Shot, fit: Fit, *, normals: bool, points: bool = False) -> Footage:
    """Read what generation needs of a verified shot: depth, with ``normals`` and, where the shot has them, ``points``
    (ids and rest positions). Raises EXR_INVALID, PNG_INVALID, PASS_MISSING, SHOT_INVALID."""
    actors = [_actor(folder, shot, layer, fit, normals, points) for layer in shot.actors]
    environment = _surface(folder, shot, shot.environment, fit, normals, points)
    return Footage(environment, tuple(sorted(actors, key=lambda actor: -actor.distance)),
                   _directions(folder, fit) if points else None)


def _actor(folder: Path, shot: Shot, layer: Layer, fit: Fit, normals: bool, points: bool) -> Actor:
    matte = layer.sequence("matte")
    coverage = np.stack([read_png(folder / matte.path(frame)) for frame in shot.frames.numbers])
    if coverage.shape[1:] != (shot.size.height, shot.size.width) or coverage.dtype != np.uint8:
        raise LucidError("SHOT_INVALID", f"the mattes of '{layer.name}' are not {shot.size} of 8 bits",
                         "capture the shot again")
    joints, shown = _skeleton(folder, layer, fit)
    return Actor(layer, fit.pad(coverage.astype(np.float32) / 255.0),
                 _surface(folder, shot, layer, fit, normals, points), joints, shown)


def _surface(folder: Path, shot: Shot, layer: Layer, fit: Fit, normals: bool, points: bool) -> Surface:
    def read(name: str, channels: str) -> NDArray[Any]:
        return np.stack(_planes(folder, shot, layer.sequence(name), channels, fit), axis=-1)

    known = points and layer.has("id") and layer.has("rest")
    return Surface(_planes(folder, shot, layer.sequence("depth"), ["Z"], fit)[0].astype(np.float32),
                   read("normal", "XY").astype(np.float32) if normals else None,
                   named_ids(_planes(folder, shot, layer.sequence("id"), ["id"], fit)[0], shot.instances) if known else None,
                   read("rest", "XYZ").astype(np.float32) if known else None)


def _directions(folder: Path, fit: Fit) -> NDArray[np.float32]:
    try:
        with np.load(folder / "camera.npz", allow_pickle=False) as data:
            K, poses = data["K"], data["world_from_camera"]
    except (OSError, ValueError, KeyError) as error:
        raise LucidError("SHOT_INVALID", f"camera.npz cannot be read: {error}", "capture the shot again") from error
    frames = [world_directions(k, pose, fit.size.height, fit.size.width) for k, pose in zip(K, poses, strict=True)]
    return np.pad(np.stack(frames), [(0, fit.frames - fit.count), (0, 0), (0, 0), (0, 0)], mode="edge")


def _planes(folder: Path, shot: Shot, sequence: Sequence, names: Iterable[str], fit: Fit) -> list[NDArray[Any]]:
    """The named channels of a pass, each (F, H, W), padded."""
    frames = []
    for frame in shot.frames.numbers:
        channels = read_exr(folder / sequence.path(frame))
        for name in names:
            if name not in channels or channels[name].shape != (shot.size.height, shot.size.width):
                raise LucidError("EXR_INVALID", f"{sequence.path(frame)} has no {name} channel of {shot.size}",
                                 "capture the shot again")
        frames.append([channels[name] for name in names])
    return [fit.pad(np.stack(plane)) for plane in zip(*frames, strict=True)]


def _skeleton(folder: Path, layer: Layer,
              fit: Fit) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    if layer.pose is None:
        return None, None
    try:
        with np.load(folder / "pose.npz", allow_pickle=False) as data:
            image, visibility = (_points(data, name, layer.pose) for name in ("image", "visibility"))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise LucidError("SHOT_INVALID", f"pose.npz has no skeleton for '{layer.name}': {error}",
                         "capture the shot again") from error
    extra = [(0, fit.frames - fit.count), (0, 0)]
    return (np.pad(image, [*extra, (0, 0)], mode="edge").astype(np.float32),
            np.pad(drawn(visibility), extra, mode="edge"))


def _points(data: Mapping[str, NDArray[Any]], name: str, person: int) -> NDArray[Any]:
    """Body, hands and face of one skeleton as (F, N, ...); older shots hold the body alone."""
    parts = [data[name][person]]
    if f"hands_{name}" in data:
        hands = data[f"hands_{name}"][person]
        parts += [hands.reshape(len(hands), -1, *hands.shape[3:]), data[f"face_{name}"][person]]
    return np.concatenate(parts, axis=1)
