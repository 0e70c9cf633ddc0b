# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene to shot. ``capture_shot`` is an iterator, so that whoever drives it keeps the interface alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ...inference.errors import LucidError
from ...inference.shot.model import Frames, Rate, Size
from ...inference.shot.store import new_shot_folder, seal
from .camera import camera_at, check_camera
from .gbuffer import LucidPasses, Walk, render_some
from .geometry import Instances
from .layers import actor_index, resolve_actors
from .physics import first_unbaked_frame, walk_through
from .pose import PoseTrack, skeletons_of
from .raster import ensure_gpu
from .record import Recorder
from .restore import PLAIN_RENDER, restored

CLASSES = (LucidPasses,)

_DEFAULT_AREA = 256 * 144
_MULTIPLE = 16
_LARGEST = 8192


@dataclass(frozen=True)
class CaptureSpec:
    """What to capture. ``camera`` None is the scene's camera (markers that bind cameras count); ``actors`` are names of
    objects or collections, each of which becomes a layer."""

    frames: Frames
    size: Size
    camera: str | None = None
    actors: tuple[str, ...] = ()
    prompt: str = ""


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
    ACTOR_UNKNOWN, ACTOR_EMPTY, ACTOR_NAME, SIZE_INVALID, SCENE_EMPTY, GPU_MISSING, RENDER_FAILED, RENDER_BUSY,
    CAPTURE_CANCELLED, and store's SHOT_NAME, SHOT_EXISTS and DISK_WRITE.
    """
    camera = _checked_camera(scene, spec)
    _check_size(spec.size)
    actors = resolve_actors(scene, spec.actors)
    view_layer = next((layer.name for layer in scene.view_layers if layer.use), scene.view_layers[0].name)
    ensure_gpu()
    with new_shot_folder(target) as folder:
        yield from _settle_physics(scene, spec.frames)
        instances, actor_of = Instances(), partial(actor_index, actors)
        recorder = Recorder(folder, spec.frames, actors, PoseTrack(skeletons_of(actors), actor_of), instances)
        walk = Walk(deque(spec.frames.numbers), spec.size, camera, len(actors), actor_of, recorder.add, instances)
        while walk.pending:
            with restored(scene), recorder.writing():
                for name, value in PLAIN_RENDER.items():
                    setattr(scene.render, name, value)
                # Blender renders nothing for a scene without a camera, even when markers bring theirs later
                scene.camera = camera_at(scene, walk.pending[0], camera)
                render_some(scene, view_layer, walk)
            done = len(spec.frames) - len(walk.pending)
            yield Progress(done, len(spec.frames), f"captured frame {done} of {len(spec.frames)}")
        shot = recorder.finish(
            name=target.stem, rate=frame_rate(scene), size=spec.size,
            pixel_aspect=scene.render.pixel_aspect_x / scene.render.pixel_aspect_y,
            camera=_camera_names(scene, spec), prompt=spec.prompt, source=_source(scene, view_layer))
        seal(folder, shot)
    for note in instances.notes:
        yield Progress(len(spec.frames), len(spec.frames), note)


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
