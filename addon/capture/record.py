# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a shot frame by frame into its temporary folder, then the small files and the manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.conditioning.depth import measure_range
from ...inference.shot.images import to_uint8, write_exr, write_png
from ...inference.shot.model import (
    ENVIRONMENT,
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
from ...inference.shot.store import write_atomic
from .gbuffer import FrameSurfaces
from .geometry import Instances
from .layers import Actor
from .pose import PoseTrack
from .raster import Surface

# samples of inverse depth kept for the shot's range: at most this many over the shot, 4 MB whatever its length
_RANGE_SAMPLES = 1_000_000
_FEWEST, _MOST = 64, 4096
# files are compressed and written beside the drawing of the next frame; zlib, NumPy and fsync let other threads run
_WRITERS = 4
_MOST_WAITING = 64
_AXES = ("X", "Y", "Z")


class Recorder:
    """Takes frames in order, inside :meth:`writing`; ``track`` measures the poses."""

    def __init__(self, folder: Path, frames: Frames, actors: Sequence[Actor], track: PoseTrack,
                 instances: Instances) -> None:
        self._folder, self._frames, self._actors, self._instances = folder, frames, tuple(actors), instances
        self._track = track
        self._intrinsics: list[NDArray[np.float64]] = []
        self._cameras: list[NDArray[np.float64]] = []
        self._inverse: list[NDArray[np.float32]] = []
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

    def add(self, surfaces: FrameSurfaces, depsgraph: bpy.types.Depsgraph) -> None:
        """Write every image of one frame and remember its camera, poses and a few inverse depths."""
        self._write_surface("passes/{0}/{0}", surfaces.frame, surfaces.full)
        self._write("passes/id/id.####.exr", surfaces.frame, {"id": surfaces.full.id})
        self._write_surface(f"layers/{ENVIRONMENT}/{{0}}", surfaces.frame, surfaces.environment)
        for actor, surface, matte in zip(self._actors, surfaces.actors, surfaces.mattes, strict=True):
            self._write_surface(f"layers/{actor.folder}/{{0}}", surfaces.frame, surface)
            path = self._folder / frame_path(f"layers/{actor.folder}/matte.####.png", surfaces.frame)
            self._later(write_png, path, to_uint8(matte))
        self._intrinsics.append(surfaces.view.K)
        self._cameras.append(surfaces.view.world_from_camera)
        self._orthographic |= surfaces.view.orthographic
        budget = min(max(_RANGE_SAMPLES // len(self._frames), _FEWEST), _MOST)
        step = max(surfaces.full.depth.size // budget, 1)
        self._inverse.append(1.0 / surfaces.full.depth.ravel()[::step])
        ids = self._ids()
        self._track.add(surfaces, depsgraph, [np.array(ids[a], np.uint32) for a in range(len(self._actors))])

    def finish(self, *, name: str, rate: Rate, size: Size, pixel_aspect: float, camera: str, prompt: str,
               source: Mapping[str, str]) -> Shot:
        """Write camera.npz and pose.npz and return the shot, not yet sealed. Raises SCENE_EMPTY."""
        span = measure_range(self._inverse)
        self._write_arrays("camera.npz", {"frame": np.array(self._frames.numbers, np.int32),
                                          "K": np.stack(self._intrinsics),
                                          "world_from_camera": np.stack(self._cameras)})
        self._write_arrays("pose.npz", self._track.arrays(self._actors))
        details = dict(source)
        details["projection"] = "orthographic" if self._orthographic else "perspective"
        if self._instances.notes:
            details["notes"] = "; ".join(self._instances.notes)
        passes = tuple(pass_sequence(name) for name in ("depth", "normal", "id"))
        return Shot(name=name, rate=rate, frames=self._frames, size=size, pixel_aspect=pixel_aspect, depth_range=span,
                    camera=camera, passes=passes, layers=self._layers(), instances=self._instances.names(),
                    prompt=prompt, source=details)

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
        for number, actor in sorted(self._instances.actors.items()):
            if actor in ids:
                ids[actor].append(number)
        return ids

    def _write_surface(self, pattern: str, frame: int, surface: Surface) -> None:
        self._write(pattern.format("depth") + ".####.exr", frame, {"Z": surface.depth})
        normal = {axis: np.ascontiguousarray(surface.normal[..., i]) for i, axis in enumerate(_AXES)}
        self._write(pattern.format("normal") + ".####.exr", frame, normal)

    def _write(self, pattern: str, frame: int, channels: Mapping[str, NDArray[Any]]) -> None:
        self._later(write_exr, self._folder / frame_path(pattern, frame), channels)

    def _later(self, write: Callable[..., None], path: Path, content: Any) -> None:
        assert self._writers is not None, "frames are recorded inside writing()"
        self._waiting.append(self._writers.submit(write, path, content))
        self._wait(_MOST_WAITING)

    def _wait(self, most: int) -> None:
        """Raise the error of a file that failed; keep no more than ``most`` files in memory."""
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            self._waiting.pop(0).result()

    def _write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        write_atomic(self._folder / name, stream.getvalue())


def _sequences(kind: Kind, folder: str, names: Sequence[str]) -> tuple[ImageSequence, ...]:
    return tuple(layer_sequence(kind, folder, name) for name in names)
