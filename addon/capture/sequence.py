# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence of shots: timeline markers that bind cameras cut the scene's range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy

from ...inference.errors import LucidError
from ...inference.shot.model import Frames, Marker
from ...inference.shot.paths import folder_name
from ...inference.shot.store import SUFFIX
from .spec import CaptureSpec


def has_shots(scene: bpy.types.Scene) -> bool:
    """Whether a marker binds a camera that renders."""
    return bool(_bound(scene))


def shots_of(scene: bpy.types.Scene, frames: Frames | None = None) -> list[tuple[str, Frames, str]]:
    """Name, frames and camera of each shot in ``frames`` (the scene's own range), in order.

    A marker that binds a camera starts a shot up to the frame before the next one. As in Blender, the first one's camera
    holds before it, of two on one frame the older one counts, and a camera hidden in renders does not. Shots without a
    frame are dropped; names are the markers', safe in a path and unique. Raises MARKERS_MISSING.
    """
    frames = frames or Frames(scene.frame_start, scene.frame_end, scene.frame_step)
    bound = _bound(scene)
    if not bound:
        raise LucidError("MARKERS_MISSING", f"no timeline marker of the scene '{scene.name}' binds a camera",
                         "bind cameras to markers (Marker > Bind Camera to Markers), or capture one shot")
    shots: list[tuple[str, Frames, str]] = []
    ends = [marker.frame - 1 for marker in bound[1:]] + [frames.end]
    for index, (marker, end) in enumerate(zip(bound, ends, strict=True)):
        start = frames.start if index == 0 else marker.frame
        inside = [number for number in frames.numbers if start <= number <= end]
        if inside:
            name = folder_name(marker.name, {taken for taken, _frames, _camera in shots}, "shot")
            shots.append((name, Frames(inside[0], inside[-1], frames.step), marker.camera.name))
    return shots


def planned(scene: bpy.types.Scene, spec: CaptureSpec, folder: Path) -> list[tuple[CaptureSpec, Path]]:
    """``spec`` cut into the scene's shots, NAME.lucid below ``folder`` each, for ``capture_sequence``.

    Raises MARKERS_MISSING, and SHOT_EXISTS before anything is captured.
    """
    shots = [(replace(spec, frames=frames, camera=camera), folder / f"{name}{SUFFIX}")
             for name, frames, camera in shots_of(scene, spec.frames)]
    for _spec, target in shots:
        if target.exists():
            raise LucidError("SHOT_EXISTS", f"{target} is there already and a sealed shot is never changed",
                             "choose another folder, or delete that one first")
    return shots


def free_folder(parent: Path, name: str, suffixes: Sequence[str] = ("",)) -> Path:
    """``parent/name`` with the first suffix, or the first of ``name_2``, ... of which nothing is there with any of them."""
    stem, number = name, 2
    while any((parent / f"{stem}{suffix}").exists() for suffix in suffixes):
        stem, number = f"{name}_{number}", number + 1
    return parent / f"{stem}{suffixes[0]}"


def markers_of(scene: bpy.types.Scene, frames: Frames) -> tuple[Marker, ...]:
    """The timeline markers inside the range, in order of their frames."""
    inside = [marker for marker in scene.timeline_markers if frames.start <= marker.frame <= frames.end]
    return tuple(Marker(marker.frame, marker.name, marker.camera.name if marker.camera else "")
                 for marker in sorted(inside, key=lambda marker: marker.frame))


def _bound(scene: bpy.types.Scene) -> list[bpy.types.TimelineMarker]:
    """The markers that switch cameras, by frame, one for each."""
    first: dict[int, bpy.types.TimelineMarker] = {}
    for marker in scene.timeline_markers:
        if marker.camera is not None and not marker.camera.hide_render:
            first.setdefault(marker.frame, marker)
    return [first[frame] for frame in sorted(first)]
