# SPDX-License-Identifier: GPL-3.0-or-later
"""What to capture, and what can be told of it before a minute is spent."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ...inference.errors import LucidError
from ...inference.shot.model import PASSES, VOLUME, DepthRange, Frames, Size
from .camera import camera_at, check_camera
from .show import PASS_TEXTS

# what the engine draws, all of it cheap
GBUFFER_PASSES = (*(name for name in PASSES if name != "beauty"), VOLUME)
LARGEST = 8192


@dataclass(frozen=True)
class CaptureSpec:
    """What to capture. ``camera`` None is the scene's camera (markers that bind cameras count); ``actors`` are names of
    objects or collections, each of which becomes a layer; ``passes`` are names of the shot model's PASSES, and "shadow"
    and "volume" for these layers; ``samples`` is for what Cycles lights; ``depth_range`` of another shot makes the controls of
    both comparable, None measures this one's."""

    frames: Frames
    size: Size
    camera: str | None = None
    actors: tuple[str, ...] = ()
    prompt: str = ""
    passes: tuple[str, ...] = GBUFFER_PASSES
    samples: int = 16
    depth_range: DepthRange | None = None


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` frames, and what to tell the user; a ``note`` is to be read, the rest passes by."""

    done: int
    total: int
    text: str
    note: bool = False


def checked_camera(scene: bpy.types.Scene, spec: CaptureSpec) -> bpy.types.Object | None:
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


def check_size(size: Size) -> None:
    if not (1 <= size.width <= LARGEST and 1 <= size.height <= LARGEST):
        raise LucidError("SIZE_INVALID", f"a picture of {size} cannot be made", f"use 1 to {LARGEST} pixels each way")


def check_passes(names: tuple[str, ...]) -> None:
    """Raise PASS_UNKNOWN for a name that is no pass or layer to capture."""
    unknown = [name for name in names if name not in PASS_TEXTS]
    if unknown:
        raise LucidError("PASS_UNKNOWN", f"there is no pass '{unknown[0]}'", f"the passes are: {', '.join(PASS_TEXTS)}")
