# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a shot frame by frame into its temporary folder, then the small files and the manifest."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.conditioning.framing import Subject
from ...inference.conditioning.words import camera_words
from ...inference.shot.images import exr_bytes, png_bytes, to_uint8
from ...inference.shot.model import (
    ENVIRONMENT,
    LAYER_PASSES,
    PASSES,
    SHADOW,
    VOLUME,
    DepthRange,
    Frames,
    Kind,
    Layer,
    Marker,
    Rate,
    Shot,
    Size,
    layer_sequence,
    pass_sequence,
)
from ...inference.shot.model import Sequence as ImageSequence
from ...inference.shot.paths import frame_path
from ...inference.shot.store import Stop, seal, write_part
from .frames import Flow, FrameScene, FrameSurfaces
from .instances import Registry
from .layers import Actor
from .lit import LitFrame
from .pose import PoseReading, PoseTrack
from .raster import Surface
from .volume import VolumeSurface, clear_air

# samples of inverse depth kept for the shot's range: at most this many over the shot, 4 MB whatever its length
_RANGE_SAMPLES = 1_000_000
_FEWEST, _MOST = 64, 4096
# files are compressed and written beside the drawing of the next frame; zlib, NumPy and fsync let other threads run
_WRITERS = 4
_MOST_WAITING = 256 << 20       # bytes, as arrays


@dataclass(frozen=True)
class Readings:
    """What was read of an evaluated frame beside its surfaces."""

    pose: PoseReading
    boxes: NDArray[np.float64]


class Recorder:
    """Takes frames in order, inside :meth:`writing`; ``track`` measures the poses."""

    def __init__(self, folder: Path, frames: Frames, actors: Sequence[Actor], track: PoseTrack, registry: Registry,
                 passes: Collection[str]) -> None:
        self._folder, self._frames, self._actors, self._registry = folder, frames, tuple(actors), registry
        self._track, self._passes = track, frozenset(passes)
        # of the environment and of each actor, whatever the shot itself has; rest positions take some switching on
        self._of_layers = ("depth", "normal", "id", *(("rest",) if "rest" in passes else ()))
        self._volume_frames: set[int] = set()
        self._owners: dict[int, int] = {}       # of this shot; by the time of sealing the registry has the next one's
        self._boxes: list[NDArray[np.float64]] = []
        self._intrinsics: list[NDArray[np.float64]] = []
        self._cameras: list[NDArray[np.float64]] = []
        self.inverse: list[NDArray[np.float32]] = []
        self._orthographic = False
        self._waiting: list[tuple[Future[None], int]] = []
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
                for future, _size in self._waiting:
                    future.cancel()
                self._waiting.clear()

    def read(self, depsgraph: bpy.types.Depsgraph, scene: FrameScene) -> Readings:
        """What is needed of the evaluated scene beside its surfaces."""
        return Readings(self._track.read(depsgraph, scene.view), scene.boxes(len(self._actors)))

    def add(self, surfaces: FrameSurfaces) -> None:
        """Write every image of one frame and remember its camera, poses and a few inverse depths."""
        self._owners |= self._registry.actors
        # without actors the clean plate is the whole scene: compressed once, written twice
        same = LAYER_PASSES[Kind.ENVIRONMENT] if surfaces.environment is surfaces.full else ()
        for name, channels in self._channels(surfaces):
            plate = [layer_sequence(Kind.ENVIRONMENT, ENVIRONMENT, name).pattern] if name in same else []
            self._later(surfaces.frame, (pass_sequence(name).pattern, *plate), exr_bytes, channels)
        if surfaces.alpha is not None and "alpha" in self._passes:
            self._later(surfaces.frame, (pass_sequence("alpha").pattern,), png_bytes, to_uint8(surfaces.alpha))
        self._write_layer(Kind.ENVIRONMENT, ENVIRONMENT, surfaces.frame, surfaces.environment,
                          [name for name in self._of_layers if not same or name not in self._passes])
        for actor, surface, matte in zip(self._actors, surfaces.actors, surfaces.mattes, strict=True):
            self._write_layer(Kind.ACTOR, actor.folder, surfaces.frame, surface, self._of_layers)
            self._later(surfaces.frame, (layer_sequence(Kind.ACTOR, actor.folder, "matte").pattern,), png_bytes,
                        to_uint8(matte))
        if surfaces.volume is not None:
            self.add_volume(surfaces.frame, surfaces.volume)
        self._intrinsics.append(surfaces.view.K)
        self._cameras.append(surfaces.view.world_from_camera)
        self._orthographic |= surfaces.view.orthographic
        self.inverse.append(self._range_samples(surfaces.full.depth))
        self._boxes.append(surfaces.scene.readings.boxes)
        ids = self._ids()
        self._track.add(surfaces, surfaces.scene.readings.pose,
                        [np.array(ids[a], np.uint32) for a in range(len(self._actors))])

    def add_lit(self, lit: LitFrame) -> None:
        """Write what Cycles lit of one frame."""
        pictures = [(pass_sequence("beauty"), lit.beauty)] if lit.beauty is not None else []
        if lit.beauty is not None and lit.plate is not None:
            pictures.append((layer_sequence(Kind.ENVIRONMENT, ENVIRONMENT, "beauty"), lit.plate))
        pictures += [(layer_sequence(Kind.ACTOR, actor.folder, "beauty"), picture)
                     for actor, picture in zip(self._actors, lit.actors, strict=False)]
        if lit.ratio is not None and lit.difference is not None:
            pictures += [(layer_sequence(Kind.SHADOW, SHADOW, "ratio"), lit.ratio),
                         (layer_sequence(Kind.SHADOW, SHADOW, "difference"), lit.difference)]
        for sequence, picture in pictures:
            self._image(lit.frame, sequence, _planes(picture))

    def add_volume(self, frame: int, volume: VolumeSurface) -> None:
        """Write what the volumes of one frame do."""
        self._volume_frames.add(frame)
        for name, planes in (("transmittance", [volume.transmittance]), ("emission", _planes(volume.emission)),
                             ("depth", [volume.depth])):
            self._image(frame, layer_sequence(Kind.VOLUME, VOLUME, name), planes)

    def complete(self, size: Size) -> None:
        """Write clear air for the frames without volumes, where others have some; inside :meth:`writing`."""
        missing = [frame for frame in self._frames.numbers if self._volume_frames and frame not in self._volume_frames]
        for frame in missing:
            self.add_volume(frame, clear_air(size))

    def _range_samples(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Some of a frame's inverse depths, from every column of the picture; the nearest where all of these miss."""
        budget = min(max(_RANGE_SAMPLES // len(self._frames), _FEWEST), _MOST)
        step = max(depth.size // budget, 1)
        while math.gcd(step, depth.shape[1]) > 1:
            step += 1
        samples = 1.0 / depth.ravel()[::step]
        hit = depth[np.isfinite(depth)]
        if hit.size and not samples.any():
            samples[0] = 1.0 / hit.min()
        return samples

    def _channels(self, surfaces: FrameSurfaces) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """The EXR passes that were asked for, each with its channels."""
        full = surfaces.full
        made: dict[str, Callable[[], Sequence[NDArray[Any]]]] = {
            **{name: partial(_surface_planes, full, name) for name in ("depth", "normal", "id", "rest")},
            "normal_world": lambda: _planes(surfaces.world_normal()),
            "material": lambda: [full.detail.material] if full.detail else [],
            "flow_forward": lambda: _flow_planes(surfaces.forward),
            "flow_backward": lambda: _flow_planes(surfaces.backward),
            "uv": lambda: _planes(full.detail.uv) if full.detail else [],
        }
        for name, planes in made.items():
            if name in self._passes:
                yield name, dict(zip(PASSES[name], planes(), strict=True))

    def seal(self, stop: Stop | None = None, *, name: str, rate: Rate, size: Size, span: DepthRange,
             pixel_aspect: float, camera: str, prompt: str, source: Mapping[str, str], audio: str,
             markers: tuple[Marker, ...], notes: Sequence[str]) -> Shot:
        """Write camera.npz and pose.npz, then hash everything and write the manifest, unless ``stop`` ends it before.
        Raises DISK_WRITE, CANCELLED."""
        self._write_arrays("camera.npz", {"frame": np.array(self._frames.numbers, np.int32),
                                          "K": np.stack(self._intrinsics),
                                          "world_from_camera": np.stack(self._cameras)})
        self._write_arrays("pose.npz", self._track.arrays(self._actors))
        details = dict(source)
        details["projection"] = "orthographic" if self._orthographic else "perspective"
        if notes:
            details["notes"] = "; ".join(notes)
        passes = tuple(pass_sequence(name) for name in PASSES if name in self._passes)
        return seal(self._folder, Shot(
            name=name, rate=rate, frames=self._frames, size=size, pixel_aspect=pixel_aspect, depth_range=span,
            camera=camera, passes=passes, layers=self._layers(), instances=self._registry.names(),
            materials={number: name for name, number in self._registry.materials.items()}, prompt=prompt, source=details,
            camera_words=self._words(size, rate), audio=audio, markers=markers), stop)

    def _words(self, size: Size, rate: Rate) -> str:
        """The camera's move, told about the actors."""
        boxes = np.array(self._boxes).reshape(len(self._boxes), len(self._actors), 2, 3)
        heights = boxes[:, :, 1, 2] - boxes[:, :, 0, 2]
        subjects = [Subject(actor.name, boxes[:, index].mean(axis=1), float(np.nanmedian(heights[:, index])))
                    for index, actor in enumerate(self._actors) if np.isfinite(heights[:, index]).any()]
        # of what is seen; NaN in frames that show nothing
        distances = np.array([1.0 / np.median(hit) if (hit := samples[samples > 0.0]).size else np.nan
                              for samples in self.inverse])
        seen = np.isfinite(distances)
        distance = np.where(seen, distances, np.median(distances[seen])) if seen.any() else None
        return camera_words(np.stack(self._intrinsics), np.stack(self._cameras), size, rate.fps / self._frames.step,
                            subjects, distance=distance, orthographic=self._orthographic)

    def _layers(self) -> tuple[Layer, ...]:
        ids = self._ids()
        poses = {skeleton.actor: index for index, skeleton in enumerate(self._track.skeletons)}
        lit = ("beauty",) if "beauty" in self._passes else ()
        layers = [Layer(ENVIRONMENT, ENVIRONMENT, (),
                        _sequences(Kind.ENVIRONMENT, ENVIRONMENT, (*self._of_layers, *lit)), kind=Kind.ENVIRONMENT)]
        layers += [Layer(actor.name, actor.folder, tuple(ids[index]),
                         _sequences(Kind.ACTOR, actor.folder, ("matte", *self._of_layers, *lit)), poses.get(index))
                   for index, actor in enumerate(self._actors)]
        if self._actors and "shadow" in self._passes:
            layers.append(_whole_layer(Kind.SHADOW, SHADOW))
        if self._volume_frames:
            layers.append(_whole_layer(Kind.VOLUME, VOLUME))
        return tuple(layers)

    def _ids(self) -> dict[int, list[int]]:
        ids: dict[int, list[int]] = {index: [] for index in range(len(self._actors))}
        for number, actor in sorted(self._owners.items()):
            if actor in ids:
                ids[actor].append(number)
        return ids

    def _write_layer(self, kind: Kind, folder: str, frame: int, surface: Surface, names: Sequence[str]) -> None:
        for name in names:
            self._image(frame, layer_sequence(kind, folder, name), _surface_planes(surface, name))

    def _image(self, frame: int, sequence: ImageSequence, planes: Sequence[NDArray[Any]]) -> None:
        """An EXR file of the sequence: one plane (H, W) for each of its channels."""
        self._later(frame, (sequence.pattern,), exr_bytes, dict(zip(sequence.channels, planes, strict=True)))

    def _later(self, frame: int, patterns: Sequence[str], encode: Callable[[Any], bytes], content: Any) -> None:
        assert self._writers is not None, "frames are recorded inside writing()"
        paths = [self._folder / frame_path(pattern, frame) for pattern in patterns]
        arrays = content.values() if isinstance(content, Mapping) else (content,)
        self._waiting.append((self._writers.submit(_write, paths, encode, content), sum(array.nbytes for array in arrays)))
        self._wait(_MOST_WAITING)

    def _wait(self, most: int) -> None:
        """Raise the error of a file that failed; keep no more than ``most`` bytes in memory."""
        while self._waiting and (sum(size for _future, size in self._waiting) > most or self._waiting[0][0].done()):
            self._waiting.pop(0)[0].result()

    def _write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        write_part(self._folder / name, stream.getvalue())


def _write(paths: Sequence[Path], encode: Callable[[Any], bytes], content: Any) -> None:
    data = encode(content)
    for path in paths:
        write_part(path, data)


def _whole_layer(kind: Kind, name: str) -> Layer:
    return Layer(name, name, (), _sequences(kind, name, tuple(LAYER_PASSES[kind])), kind=kind)


def _planes(values: NDArray[Any]) -> list[NDArray[Any]]:
    """(H, W, C) as C arrays (H, W)."""
    return [np.ascontiguousarray(values[..., index]) for index in range(values.shape[-1])]


def _surface_planes(surface: Surface, name: str) -> list[NDArray[Any]]:
    """The planes of a pass that the shot and its layers have: depth, normal, id or rest."""
    values: NDArray[Any] | None = getattr(surface, name)
    assert values is not None, f"{name} was not drawn"
    return _planes(values) if values.ndim == 3 else [values]


def _flow_planes(flow: Flow | None) -> list[NDArray[Any]]:
    assert flow is not None, "flow was not drawn"
    return [*_planes(flow.step), flow.valid.astype(np.float16), flow.visible.astype(np.float16)]


def _sequences(kind: Kind, folder: str, names: Sequence[str]) -> tuple[ImageSequence, ...]:
    return tuple(layer_sequence(kind, folder, name) for name in names)
