# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's passes as arrays, fitted to a model: what the layers are generated from, read some frames at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..conditioning.fit import Fit
from ..conditioning.pose import draw_openpose, drawn
from ..errors import LucidError
from ..shot.images import read_planes, read_png, to_unit
from ..shot.model import Layer, Sequence, Shot
from .noise import View, named_ids, world_directions


@dataclass(frozen=True, eq=False)
class Surface:
    """``depth`` (F, H, W) float32 metres, +inf where nothing is; ``normal`` (F, H, W, 2) float32: x and y in camera space,
    OpenCV axes, 0 where nothing is; ``ids`` (F, H, W) uint32 of the shot's instances, 0 where nothing is; ``rest`` (F, H, W, 3)
    metres. What the shot does not have, or generation does not ask for, is None."""

    depth: NDArray[np.float32]
    normal: NDArray[np.float32] | None = None
    ids: NDArray[np.uint32] | None = None
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
    """Some frames of one actor, of the model's size.

    ``matte`` (F, H, W) float32 visible coverage; ``surface`` amodal, +inf where it is not;
    ``joints`` (F, N, 2) pixels and ``shown`` (F, N), or None for an actor without a skeleton; N is 18, or 128 with hands
    and face.
    """

    layer: Layer
    matte: NDArray[np.float32]
    surface: Surface
    joints: NDArray[np.float32] | None
    shown: NDArray[np.bool_] | None

    def pose_video(self, *, reverse_channels: bool) -> NDArray[np.float32]:
        """The skeleton drawn on black, (F, H, W, 3) in [0, 1]."""
        assert self.joints is not None and self.shown is not None
        height, width = self.matte.shape[1:]
        return np.stack([draw_openpose(xy[None], ok[None], height, width, reverse_channels=reverse_channels)
                         for xy, ok in zip(self.joints, self.shown, strict=True)])


class Footage:
    """The passes of a verified shot. Frames are the fit's, counted from 0; [start, stop) are read.

    ``normals`` and ``points`` (ids and rest positions, where the shot has them) say what is asked for beside depth. Every
    method raises EXR_INVALID, PNG_INVALID, PASS_MISSING or SHOT_INVALID.
    """

    def __init__(self, folder: Path, shot: Shot, fit: Fit, *, normals: bool, points: bool = False) -> None:
        self.folder, self.shot, self.fit, self.normals = folder, shot, fit, normals
        layers = (shot.environment, *shot.actors)
        self.points = points and all(layer.has("id") and layer.has("rest") for layer in layers)
        self._poses: dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]] = {
            layer.name: _skeleton(folder, layer, layer.pose) for layer in shot.actors if layer.pose is not None}
        self._camera = _read_camera(folder) if self.points else None

    def numbers(self, start: int, stop: int) -> list[int]:
        """The scene's frames that stand for these; the shot's last one for those of the padding."""
        return [self.shot.frames.numbers[self.fit.shot_frame(index)] for index in range(start, stop)]

    def environment(self, start: int, stop: int) -> Surface:
        """The clean plate."""
        return self._surface(self.shot.environment, start, stop)

    def actor(self, layer: Layer, start: int, stop: int) -> Actor:
        joints, shown = None, None
        if layer.name in self._poses:
            indices = [self.fit.shot_frame(index) for index in range(start, stop)]
            joints, shown = self._poses[layer.name][0][indices], self._poses[layer.name][1][indices]
        return Actor(layer, self.matte(layer, start, stop), self._surface(layer, start, stop), joints, shown)

    def matte(self, layer: Layer, start: int, stop: int) -> NDArray[np.float32]:
        """(F, H, W) visible coverage in [0, 1]."""
        sequence, size = layer.sequence("matte"), self.shot.size
        coverage = np.stack([read_png(self.folder / sequence.path(frame)) for frame in self.numbers(start, stop)])
        if coverage.shape[1:] != (size.height, size.width) or coverage.dtype != np.uint8:
            raise LucidError("SHOT_INVALID", f"the mattes of '{layer.name}' are not {size} of 8 bits", "capture the shot again")
        return self.fit.pad(to_unit(coverage))

    def depth(self, layer: Layer, start: int, stop: int) -> NDArray[np.float32]:
        """(F, H, W) metres along z of the layer's own surface, +inf where it is not."""
        return self._planes(layer.sequence("depth"), ("Z",), start, stop)[..., 0].astype(np.float32)

    def views(self, surface: Surface, start: int) -> list[View] | None:
        """What a surface shows from frame ``start`` on, as points that can be told apart; None in a shot that does not say."""
        if surface.ids is None or surface.rest is None or self._camera is None:
            return None
        height, width = surface.depth.shape[1:]
        K, poses = self._camera
        indices = [self.fit.shot_frame(start + offset) for offset in range(len(surface.depth))]
        ids = named_ids(surface.ids, self.shot.instances)
        return [View(names, rest, world_directions(K[index], poses[index], height, width))
                for names, rest, index in zip(ids, surface.rest, indices, strict=True)]

    def _surface(self, layer: Layer, start: int, stop: int) -> Surface:
        def read(name: str, *channels: str) -> NDArray[Any]:
            return self._planes(layer.sequence(name), channels, start, stop)

        return Surface(self.depth(layer, start, stop),
                       read("normal", "X", "Y").astype(np.float32) if self.normals else None,
                       read("id", "id")[..., 0] if self.points else None,
                       read("rest", "X", "Y", "Z").astype(np.float32) if self.points else None)

    def _planes(self, sequence: Sequence, channels: tuple[str, ...], start: int, stop: int) -> NDArray[Any]:
        """These channels of a pass, (F, H, W, C), padded."""
        return self.fit.pad(np.stack([read_planes(self.folder, sequence.path(frame), self.shot.size, channels)
                                      for frame in self.numbers(start, stop)]))


def _read_camera(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        with np.load(folder / "camera.npz", allow_pickle=False) as data:
            return data["K"], data["world_from_camera"]
    except (OSError, ValueError, KeyError) as error:
        raise LucidError("SHOT_INVALID", f"camera.npz cannot be read: {error}", "capture the shot again") from error


def _skeleton(folder: Path, layer: Layer, person: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(F, N, 2) pixels and (F, N) of all frames of the shot."""
    try:
        with np.load(folder / "pose.npz", allow_pickle=False) as data:
            image, visibility = (_points(data, name, person) for name in ("image", "visibility"))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise LucidError("SHOT_INVALID", f"pose.npz has no skeleton for '{layer.name}': {error}",
                         "capture the shot again") from error
    return image.astype(np.float32), drawn(visibility)


def _points(data: Mapping[str, NDArray[Any]], name: str, person: int) -> NDArray[Any]:
    """Body, hands and face of one skeleton as (F, N, ...); older shots hold the body alone."""
    parts = [data[name][person]]
    if f"hands_{name}" in data:
        hands = data[f"hands_{name}"][person]
        parts += [hands.reshape(len(hands), -1, *hands.shape[3:]), data[f"face_{name}"][person]]
    return np.concatenate(parts, axis=1)
