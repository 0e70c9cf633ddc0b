# SPDX-License-Identifier: GPL-3.0-or-later
"""From ``Scene.lucid`` to what capture and the worker are asked for; shared by operators and panels."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..inference.console import check_prompts
from ..inference.errors import LucidError
from ..inference.shot.model import Shot, TakeRequest, folder_name
from ..inference.shot.store import SUFFIX
from .capture import CaptureSpec, default_size


def capture_spec(scene: bpy.types.Scene) -> CaptureSpec:
    """Raises RANGE_EMPTY, and ACTOR_UNKNOWN for an entry whose object was deleted."""
    settings = scene.lucid
    if any(actor.target is None for actor in settings.actors):
        raise LucidError("ACTOR_UNKNOWN", "an actor in the list was deleted from the file", "remove it from the list")
    return CaptureSpec(frames=settings.frames(scene), size=settings.size() or default_size(scene),
                       camera=settings.camera.name if settings.camera else None,
                       actors=tuple(actor.target.name for actor in settings.actors), prompt=settings.prompt.strip())


def output_folder(scene: bpy.types.Scene) -> Path:
    """Where new shots go. Raises BLEND_UNSAVED when that is relative to a file that was never saved."""
    path = scene.lucid.output
    if path.startswith("//") and not bpy.data.filepath:
        raise LucidError("BLEND_UNSAVED", "the shot's folder is relative to this .blend, which was never saved",
                         "save the .blend, or choose another folder")
    return Path(bpy.path.abspath(path)).resolve()


def blend_name() -> str:
    """The file's name without its suffix, safe in a path."""
    return folder_name(Path(bpy.data.filepath).stem or "untitled", set())


def free_shot_folder(folder: Path, name: str) -> Path:
    """``folder/name.lucid``, or the first of ``name_2.lucid``, ... that is not there: a sealed shot is never changed."""
    candidate, number = folder / f"{name}{SUFFIX}", 2
    while candidate.exists() or candidate.with_suffix(".blend").exists():
        candidate, number = folder / f"{name}_{number}{SUFFIX}", number + 1
    return candidate


def active_shot(scene: bpy.types.Scene) -> Path | None:
    """The shot that Generate works on; None before the first capture."""
    return Path(bpy.path.abspath(scene.lucid.shot)).resolve() if scene.lucid.shot else None


def take_request(scene: bpy.types.Scene, shot: Shot) -> TakeRequest:
    """What the settings ask for. Raises PROMPT_EMPTY and LAYER_UNKNOWN."""
    settings = scene.lucid
    prompts = {shot.layer(name).name: text for name, text in settings.layer_prompts().items()}
    weights = settings.weights.strip()
    if weights.startswith("//") or Path(weights).is_absolute():
        weights = bpy.path.abspath(weights)
    request = TakeRequest(settings.prompt.strip() or shot.prompt, prompts, settings.seed, settings.steps or None, weights)
    check_prompts(request, shot)
    return request
