# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a shot frame by frame into its temporary folder, then the small files and the manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.shot.images import exr_bytes, png_bytes, to_uint8
from ...inference.shot.model import (
    ENVIRONMENT,
    PASSES,
    DepthRange,
    Frames,
    Kind,
    Layer,
    Rate,
    Shot,
    Size,
    frame_path,
    layer_sequence,
    pass_sequence,
)
from ...inference.shot.model import Sequence as ImageSequence
from ...inference.shot.store import seal, write_atomic
from .frames import Flow, FrameScene, FrameSurfaces
from .instances import Registry
from .layers import Actor
from .pose import PoseReading, PoseTrack
from .raster import Surface

# samples of inverse depth kept for the shot's range: at most this many over the shot, 4 MB whatever its length
_RANGE_SAMPLES = 1_000_000
_FEWEST, _MOST = 64, 4096
# files are compressed and written beside the drawing of the next frame; zlib, NumPy and fsync let other threads run
_WRITERS = 4
_MOST_WAITING = 64


@dataclass(frozen=True)
class Readings:
    """What was read of an evaluated frame beside its surfaces."""

    pose: PoseReading


class Recorder:
    """Takes frames in order, inside :meth:`writing`; ``track`` measures the poses."""

    def __init__(self, folder: Path, frames: Frames, actors: Sequence[Actor], track: PoseTrack, registry: Registry,
                 passes: Collection[str]) -> None:
        self._folder, self._frames, self._actors, self._registry = folder, frames, tuple(actors), registry
        self._track, self._passes = track, frozenset(passes)
        self._intrinsics: list[NDArray[np.float64]] = []
        self._cameras: list[NDArray[np.float64]] = []
        self.inverse: list[NDArray[np.float32]] = []
        self._orthographic = False
        self._waiting: list[Future[None]] = []
        self._writers: ThreadPoolExecutor | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until this ends, files are written in threads that touch no Blender data; then all are done, or one's error
        is raised. No thread outlives it: Blender does not want any between its own turns."""
        with ThreadPoolExecutor(_WRITERS, "lucid-write") as self._writers:
            try:
                yield
                self._wait(0)
            finally:
                for future in self._waiting:
                    future.cancel()
                self._waiting.clear()

    def read(self, depsgraph: bpy.types.Depsgraph, scene: FrameScene) -> Readings:
        """What is needed of the evaluated scene beside its surfaces."""
        return Readings(self._track.read(depsgraph, scene.view))

    def add(self, surfaces: FrameSurfaces) -> None:
        """Write every image of one frame and remember its camera, poses and a few inverse depths."""
        for name, channels in self._channels(surfaces):
            self._later(surfaces.frame, pass_sequence(name).pattern, exr_bytes, channels)
        if surfaces.alpha is not None and "alpha" in self._passes:
            self._later(surfaces.frame, pass_sequence("alpha").pattern, png_bytes, to_uint8(surfaces.alpha))
        self._write_layer(Kind.ENVIRONMENT, ENVIRONMENT, surfaces.frame, surfaces.environment)
        for actor, surface, matte in zip(self._actors, surfaces.actors, surfaces.mattes, strict=True):
            self._write_layer(Kind.ACTOR, actor.folder, surfaces.frame, surface)
            self._later(surfaces.frame, layer_sequence(Kind.ACTOR, actor.folder, "matte").pattern, png_bytes,
                        to_uint8(matte))
        self._intrinsics.append(surfaces.view.K)
        self._cameras.append(surfaces.view.world_from_camera)
        self._orthographic |= surfaces.view.orthographic
        budget = min(max(_RANGE_SAMPLES // len(self._frames), _FEWEST), _MOST)
        step = max(surfaces.full.depth.size // budget, 1)
        self.inverse.append(1.0 / surfaces.full.depth.ravel()[::step])
        ids = self._ids()
        self._track.add(surfaces, surfaces.scene.readings.pose,
                        [np.array(ids[a], np.uint32) for a in range(len(self._actors))])

    def _channels(self, surfaces: FrameSurfaces) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """The EXR passes that were asked for, each with its channels."""
        full = surfaces.full
        made: dict[str, Callable[[], Sequence[NDArray[Any]]]] = {
            "depth": lambda: [full.depth],
            "normal": lambda: _planes(full.normal),
            "normal_world": lambda: _planes(surfaces.world_normal()),
            "id": lambda: [full.id],
            "material": lambda: [full.detail.material] if full.detail else [],
            "flow_forward": lambda: _flow_planes(surfaces.forward),
            "flow_backward": lambda: _flow_planes(surfaces.backward),
            "rest": lambda: _planes(full.detail.rest) if full.detail else [],
            "uv": lambda: _planes(full.detail.uv) if full.detail else [],
        }
        for name, planes in made.items():
            if name in self._passes:
                yield name, dict(zip(PASSES[name], planes(), strict=True))

    def seal(self, *, name: str, rate: Rate, size: Size, span: DepthRange, pixel_aspect: float, camera: str, prompt: str,
             source: Mapping[str, str]) -> Shot:
        """Write camera.npz and pose.npz, then hash everything and write the manifest."""
        self._write_arrays("camera.npz", {"frame": np.array(self._frames.numbers, np.int32),
                                          "K": np.stack(self._intrinsics),
                                          "world_from_camera": np.stack(self._cameras)})
        self._write_arrays("pose.npz", self._track.arrays(self._actors))
        details = dict(source)
        details["projection"] = "orthographic" if self._orthographic else "perspective"
        if self._registry.notes:
            details["notes"] = "; ".join(self._registry.notes)
        passes = tuple(pass_sequence(name) for name in PASSES if name in self._passes)
        return seal(self._folder, Shot(
            name=name, rate=rate, frames=self._frames, size=size, pixel_aspect=pixel_aspect, depth_range=span,
            camera=camera, passes=passes, layers=self._layers(), instances=self._registry.names(),
            materials={number: name for name, number in self._registry.materials.items()}, prompt=prompt, source=details))

    def _layers(self) -> tuple[Layer, ...]:
        ids = self._ids()
        poses = {skeleton.actor: index for index, skeleton in enumerate(self._track.skeletons)}
        layers = [Layer(ENVIRONMENT, ENVIRONMENT, (), _sequences(Kind.ENVIRONMENT, ENVIRONMENT, ("depth", "normal")),
                        kind=Kind.ENVIRONMENT)]
        layers += [Layer(actor.name, actor.folder, tuple(ids[index]),
                         _sequences(Kind.ACTOR, actor.folder, ("matte", "depth", "normal")), poses.get(index))
                   for index, actor in enumerate(self._actors)]
        return tuple(layers)

    def _ids(self) -> dict[int, list[int]]:
        ids: dict[int, list[int]] = {index: [] for index in range(len(self._actors))}
        for number, actor in sorted(self._registry.actors.items()):
            if actor in ids:
                ids[actor].append(number)
        return ids

    def _write_layer(self, kind: Kind, folder: str, frame: int, surface: Surface) -> None:
        for name, planes in (("depth", [surface.depth]), ("normal", _planes(surface.normal))):
            sequence = layer_sequence(kind, folder, name)
            self._later(frame, sequence.pattern, exr_bytes, dict(zip(sequence.channels, planes, strict=True)))

    def _later(self, frame: int, pattern: str, encode: Callable[[Any], bytes], content: Any) -> None:
        assert self._writers is not None, "frames are recorded inside writing()"
        path = self._folder / frame_path(pattern, frame)
        self._waiting.append(self._writers.submit(lambda: write_atomic(path, encode(content))))
        self._wait(_MOST_WAITING)

    def _wait(self, most: int) -> None:
        """Raise the error of a file that failed; keep no more than ``most`` files in memory."""
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            self._waiting.pop(0).result()

    def _write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        write_atomic(self._folder / name, stream.getvalue())


def _planes(values: NDArray[Any]) -> list[NDArray[Any]]:
    """(H, W, C) as C arrays (H, W)."""
    return [np.ascontiguousarray(values[..., index]) for index in range(values.shape[-1])]


def _flow_planes(flow: Flow | None) -> list[NDArray[Any]]:
    assert flow is not None, "flow was not drawn"
    return [*_planes(flow.step), flow.valid.astype(np.float16), flow.visible.astype(np.float16)]


def _sequences(kind: Kind, folder: str, names: Sequence[str]) -> tuple[ImageSequence, ...]:
    return tuple(layer_sequence(kind, folder, name) for name in names)
