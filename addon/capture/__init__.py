# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene to shot. ``capture_shot`` is an iterator, so that whoever drives it keeps the interface alive."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import bpy
import numpy as np

from ...inference.conditioning.depth import measure_range
from ...inference.errors import LucidError
from ...inference.shot.model import Frames, Rate, Size
from ...inference.shot.store import check_new, new_shot_folder
from ..beside import beside
from .audio import mixing
from .camera import camera_at
from .gbuffer import LucidPasses
from .instances import Registry
from .layers import resolve_actors
from .shading import ensure_gpu
from .shooting import Shooting
from .spec import GBUFFER_PASSES, CaptureSpec, Progress, check_passes, check_size, checked_camera

__all__ = ["GBUFFER_PASSES", "CaptureSpec", "Progress", "capture_sequence", "capture_shot", "default_size", "frame_rate",
           "register", "scene_now", "unregister"]

CLASSES = (LucidPasses,)
T = TypeVar("T")

_DEFAULT_AREA = 256 * 144
_MULTIPLE = 16


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
    SCENE_LINKED, SCENE_GONE, ACTOR_UNKNOWN, ACTOR_EMPTY, ACTOR_NAME, SIZE_INVALID, PASS_UNKNOWN, SCENE_EMPTY, GPU_MISSING,
    IMAGE_MISSING, SOUND_MISSING, SOUND_FAILED, VOLUME_UNREADABLE, VOLUME_SIZE, RENDER_FAILED, RENDER_BUSY, CAPTURE_CANCELLED, and
    store's SHOT_NAME, SHOT_EXISTS and DISK_WRITE.
    """
    yield from capture_sequence(scene, [(spec, target)])


def capture_sequence(scene: bpy.types.Scene, shots: Sequence[tuple[CaptureSpec, Path]]) -> Iterator[Progress]:
    """Capture several shots of one scene: an object has the same id in all of them, and they share one depth range.

    All of them are written, or none. Raises what :func:`capture_shot` does.
    """
    number = scene.session_uid
    with closing(_sequence(scene, shots)) as steps:
        for step in steps:
            yield step
            if scene_now(number) != scene:      # read anew: the steps hold handles of what was before
                raise _gone()


def scene_now(number: int) -> bpy.types.Scene:
    """The scene with this ``session_uid``: while somebody waits, another window may undo, or delete the scene. Raises
    SCENE_GONE."""
    found = next((scene for scene in bpy.data.scenes if scene.session_uid == number), None)
    if found is None:
        raise _gone()
    return found


def _gone() -> LucidError:
    return LucidError("SCENE_GONE", "the scene was deleted, or taken back by undo, meanwhile", "start again")


def _sequence(scene: bpy.types.Scene, shots: Sequence[tuple[CaptureSpec, Path]]) -> Iterator[Progress]:
    if scene.library is not None:       # a render finds scenes by their names, which a scene of this file may have
        raise LucidError("SCENE_LINKED", f"the scene '{scene.name}' is linked from another file", "open that file")
    view_layer = next((layer.name for layer in scene.view_layers if layer.use), scene.view_layers[0].name)
    prepared = []
    for spec, _target in shots:
        camera = checked_camera(scene, spec)
        check_size(spec.size)
        check_passes(spec.passes)
        prepared.append((camera, resolve_actors(scene, spec.actors)))
    for _spec, target in shots:
        check_new(target)
    ensure_gpu()
    # once: a Blender without a window mixes once and never again
    whole = Frames(min(spec.frames.start for spec, _ in shots), max(spec.frames.end for spec, _ in shots))
    registry, total, before = Registry(), sum(len(spec.frames) for spec, _target in shots), 0
    mix = yield from _told(mixing(scene, whole), Progress(0, total, "mixing the sound"))
    with ExitStack() as folders:
        taken = []
        for (spec, target), (camera, actors) in zip(shots, prepared, strict=True):
            folder = folders.enter_context(new_shot_folder(target))
            shooting = Shooting(scene, view_layer, spec, camera, actors, folder, registry)
            for step in shooting.steps():
                yield Progress(before + step.done, total, step.text)
            before += len(spec.frames)
            taken.append(shooting)
        samples = [sample for shooting in taken for sample in shooting.recorder.inverse]
        last = Progress(total, total, "sealing the shot")
        span = yield from _told(beside(lambda _stop: measure_range(samples)), last)
        for shooting, (spec, target) in zip(taken, shots, strict=True):
            yield from _told(shooting.sealing(
                name=target.stem, rate=frame_rate(scene), span=spec.depth_range or span, camera=_camera_names(scene, spec),
                source=_source(scene, view_layer), mix=mix), last)
    for note in dict.fromkeys(note for shooting in taken for note in shooting.notes):
        yield Progress(total, total, note, note=True)


def _told(steps: Generator[None, None, T], progress: Progress) -> Generator[Progress, None, T]:
    """The same steps, each told as ``progress``."""
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: T = end.value
                return found
            yield progress


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


def _camera_names(scene: bpy.types.Scene, spec: CaptureSpec) -> str:
    used = (camera_at(scene, frame, None) for frame in spec.frames.numbers)
    return spec.camera or ", ".join(dict.fromkeys(camera.name for camera in used if camera is not None))


def _source(scene: bpy.types.Scene, view_layer: str) -> dict[str, str]:
    return {"blend": Path(bpy.data.filepath).name, "scene": scene.name, "view_layer": view_layer,
            "blender": bpy.app.version_string, "engine": LucidPasses.bl_label}


def _rounded(value: float) -> int:
    return max(round(value / _MULTIPLE), 1) * _MULTIPLE
