# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene to shot. ``capture_shot`` is an iterator, so that whoever drives it keeps the interface alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ...inference.conditioning.depth import measure_range
from ...inference.errors import LucidError
from ...inference.shot.model import PASSES, Frames, Rate, Size
from ...inference.shot.store import new_shot_folder
from .camera import camera_at, check_camera
from .gbuffer import LucidPasses, Walk, Wanted, render_some
from .instances import Registry
from .layers import Actor, actor_index, resolve_actors
from .physics import first_unbaked_frame, walk_through
from .pose import PoseTrack, skeletons_of
from .record import Recorder
from .restore import PLAIN_RENDER, rest_positions, restored
from .shading import ensure_gpu

CLASSES = (LucidPasses,)
# what the engine draws, all of it cheap
GBUFFER_PASSES = tuple(name for name in PASSES if name != "beauty")

_DEFAULT_AREA = 256 * 144
_MULTIPLE = 16
_LARGEST = 8192


@dataclass(frozen=True)
class CaptureSpec:
    """What to capture. ``camera`` None is the scene's camera (markers that bind cameras count); ``actors`` are names of
    objects or collections, each of which becomes a layer; ``passes`` are names of the shot model's PASSES."""

    frames: Frames
    size: Size
    camera: str | None = None
    actors: tuple[str, ...] = ()
    prompt: str = ""
    passes: tuple[str, ...] = GBUFFER_PASSES


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` frames, and what to tell the user."""

    done: int
    total: int
    text: str


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def capture_shot(scene: bpy.types.Scene, spec: CaptureSpec, target: Path) -> Iterator[Progress]:
    """Capture the shot ``spec`` of ``scene`` into the new folder ``target``, about a second of work per step.

    Between steps every touched setting is as the user has it. The shot is sealed once the iterator is exhausted;
    closing it early, or an error, leaves nothing behind. Raises LucidError: CAMERA_MISSING, CAMERA_UNSUPPORTED,
    ACTOR_UNKNOWN, ACTOR_EMPTY, ACTOR_NAME, SIZE_INVALID, PASS_UNKNOWN, SCENE_EMPTY, GPU_MISSING, IMAGE_MISSING,
    RENDER_FAILED, RENDER_BUSY, CAPTURE_CANCELLED, and store's SHOT_NAME, SHOT_EXISTS and DISK_WRITE.
    """
    yield from capture_sequence(scene, [(spec, target)])


def capture_sequence(scene: bpy.types.Scene, shots: Sequence[tuple[CaptureSpec, Path]]) -> Iterator[Progress]:
    """Capture several shots of one scene: an object has the same id in all of them, and they share one depth range.

    All of them are written, or none. Raises what :func:`capture_shot` does.
    """
    view_layer = next((layer.name for layer in scene.view_layers if layer.use), scene.view_layers[0].name)
    prepared = [_prepared(scene, spec) for spec, _target in shots]
    ensure_gpu()
    registry, total, before = Registry(), sum(len(spec.frames) for spec, _target in shots), 0
    with ExitStack() as folders:
        recorders = []
        for (spec, target), (camera, actors) in zip(shots, prepared, strict=True):
            folder = folders.enter_context(new_shot_folder(target))
            registry.actors.clear()     # of the shot before
            recorder = Recorder(folder, spec.frames, actors, PoseTrack(skeletons_of(actors), partial(actor_index, actors)),
                                registry, spec.passes)
            for step in _walked(scene, view_layer, spec, camera, actors, recorder, registry):
                yield Progress(before + step.done, total, step.text)
            before += len(spec.frames)
            recorders.append(recorder)
        span = measure_range(sample for recorder in recorders for sample in recorder.inverse)
        for recorder, (spec, target) in zip(recorders, shots, strict=True):
            recorder.seal(name=target.stem, rate=frame_rate(scene), size=spec.size, span=span,
                          pixel_aspect=scene.render.pixel_aspect_x / scene.render.pixel_aspect_y,
                          camera=_camera_names(scene, spec), prompt=spec.prompt, source=_source(scene, view_layer))
    for note in registry.notes:
        yield Progress(total, total, note)


def _prepared(scene: bpy.types.Scene, spec: CaptureSpec) -> tuple[bpy.types.Object | None, tuple[Actor, ...]]:
    """Everything that can be told before a minute is spent."""
    camera = _checked_camera(scene, spec)
    _check_size(spec.size)
    unknown = [name for name in spec.passes if name not in PASSES]
    if unknown:
        raise LucidError("PASS_UNKNOWN", f"there is no pass '{unknown[0]}'", f"the passes are: {', '.join(PASSES)}")
    return camera, resolve_actors(scene, spec.actors)


def _walked(scene: bpy.types.Scene, view_layer: str, spec: CaptureSpec, camera: bpy.types.Object | None,
            actors: tuple[Actor, ...], recorder: Recorder, registry: Registry) -> Iterator[Progress]:
    """Draw every frame of a shot into ``recorder``."""
    yield from _settle_physics(scene, spec.frames)
    flow = bool({"flow_forward", "flow_backward"} & set(spec.passes))
    walk = Walk(deque(spec.frames.numbers), spec.size, camera, recorder.add, registry,
                Wanted(flow or bool({"material", "rest", "uv"} & set(spec.passes)), flow, "alpha" in spec.passes),
                len(actors), partial(actor_index, actors), recorder.read)
    while walk.pending:
        with restored(scene), recorder.writing(), rest_positions("rest" in spec.passes):
            for name, value in PLAIN_RENDER.items():
                setattr(scene.render, name, value)
            # Blender renders nothing for a scene without a camera, even when markers bring theirs later
            scene.camera = camera_at(scene, walk.pending[0], camera)
            render_some(scene, view_layer, walk)
        done = len(spec.frames) - len(walk.pending)
        yield Progress(done, len(spec.frames), f"captured frame {done} of {len(spec.frames)}")


def default_size(scene: bpy.types.Scene) -> Size:
    """The aspect of the scene's render resolution at about 256x144 pixels of area, in multiples of 16."""
    aspect = scene.render.resolution_x / scene.render.resolution_y
    height = (_DEFAULT_AREA / aspect) ** 0.5
    return Size(_rounded(height * aspect), _rounded(height))


def frame_rate(scene: bpy.types.Scene) -> Rate:
    """fps / fps_base as the exact rational it stands for: 24 / 1.001 is 24000/1001, although fps_base is a float32
    (its shortest decimal form is what the user typed)."""
    rate = Fraction(scene.render.fps) / Fraction(str(np.float32(scene.render.fps_base)))
    return Rate(rate.numerator, rate.denominator)


def _settle_physics(scene: bpy.types.Scene, frames: Frames) -> Iterator[Progress]:
    """Walk through unbaked simulations once; meanwhile the scene's frame moves, afterwards it is back."""
    first = first_unbaked_frame(scene)
    if first is None or first >= frames.end:
        return
    with restored(scene):
        for frame in walk_through(scene, first, frames.end):
            yield Progress(0, len(frames), f"simulating physics, frame {frame} of {frames.end}")


def _checked_camera(scene: bpy.types.Scene, spec: CaptureSpec) -> bpy.types.Object | None:
    """The camera named by ``spec``, or None for the scene's own; every camera that will be used is checked."""
    chosen = None
    if spec.camera is not None:
        chosen = scene.objects.get(spec.camera)
        if chosen is None or chosen.type != "CAMERA":
            known = ", ".join(item.name for item in scene.objects if item.type == "CAMERA")
            raise LucidError("CAMERA_MISSING", f"the scene has no camera called '{spec.camera}'",
                             f"its cameras: {known}" if known else "add a camera")
    for frame in spec.frames.numbers:
        camera = camera_at(scene, frame, chosen)
        if camera is None:
            raise LucidError("CAMERA_MISSING", f"the scene '{scene.name}' has no camera",
                             "add one and make it the scene's camera, or name one")
        check_camera(camera)
    return chosen


def _check_size(size: Size) -> None:
    if not (1 <= size.width <= _LARGEST and 1 <= size.height <= _LARGEST):
        raise LucidError("SIZE_INVALID", f"a picture of {size} cannot be made", f"use 1 to {_LARGEST} pixels each way")


def _camera_names(scene: bpy.types.Scene, spec: CaptureSpec) -> str:
    used = (camera_at(scene, frame, None) for frame in spec.frames.numbers)
    return spec.camera or ", ".join(dict.fromkeys(camera.name for camera in used if camera is not None))


def _source(scene: bpy.types.Scene, view_layer: str) -> dict[str, str]:
    return {"blend": Path(bpy.data.filepath).name, "scene": scene.name, "view_layer": view_layer,
            "blender": bpy.app.version_string, "engine": LucidPasses.bl_label}


def _rounded(value: float) -> int:
    return max(round(value / _MULTIPLE), 1) * _MULTIPLE
