# SPDX-License-Identifier: GPL-3.0-or-later
"""From ``Scene.lucid`` to what capture is asked for, and where shots lie; shared by operators and panels."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import Frames, Size
from ..inference.shot.paths import folder_name
from ..inference.shot.store import SUFFIX
from .capture import CaptureSpec, default_size
from .capture.sequence import free_folder
from .capture.show import PASS_TEXTS
from .settings import OUTPUT_DEFAULT


def has_camera(scene: bpy.types.Scene) -> bool:
    """Whether the settings, the scene or a marker names a camera."""
    return bool(scene.lucid.camera or scene.camera or any(marker.camera for marker in scene.timeline_markers))


def capture_spec(scene: bpy.types.Scene, *, frames: Frames | None = None, size: Size | None = None,
                 camera: str | None = None, actors: tuple[str, ...] | None = None, prompt: str | None = None,
                 passes: tuple[str, ...] | None = None, samples: int | None = None) -> CaptureSpec:
    """What the settings say, overruled by what is given. Raises RANGE_EMPTY, ACTOR_UNKNOWN for an entry of the list
    whose object was deleted, and ACTOR_NAME."""
    settings = scene.lucid
    if camera is None and settings.camera:
        camera = settings.camera.name
    return CaptureSpec(frames=frames or settings.frames(scene), size=size or settings.size() or default_size(scene),
                       camera=camera, actors=_listed_actors(scene) if actors is None else actors,
                       prompt=(settings.prompt if prompt is None else prompt).strip(),
                       passes=passes if passes is not None else tuple(name for name in PASS_TEXTS if name in settings.passes),
                       samples=samples or settings.samples)


def _listed_actors(scene: bpy.types.Scene) -> tuple[str, ...]:
    """Their names. An object goes before a collection of its name, so that a listed one of these could not be told."""
    targets = [actor.target for actor in scene.lucid.actors]
    if None in targets:
        raise LucidError("ACTOR_UNKNOWN", "an actor in the list was deleted from the file", "remove it from the list")
    for target in targets:
        if isinstance(target, bpy.types.Collection) and target.name in scene.objects:
            raise LucidError("ACTOR_NAME", f"a collection and an object are both called '{target.name}'", "rename one of them")
    return tuple(target.name for target in targets)


def output_folder(scene: bpy.types.Scene) -> Path:
    """Where new shots go. Raises BLEND_UNSAVED when that is relative to a file that was never saved."""
    path = scene.lucid.output or OUTPUT_DEFAULT
    if path.startswith("//") and not bpy.data.filepath:
        raise LucidError("BLEND_UNSAVED", "the shot's folder is relative to this .blend, which was never saved",
                         "save the .blend, or choose another folder")
    return Path(bpy.path.abspath(path)).resolve()


def blend_name() -> str:
    """The file's name without its suffix, safe in a path."""
    return folder_name(Path(bpy.data.filepath).stem, set(), "untitled")


def free_shot_folder(folder: Path, name: str) -> Path:
    """``folder/name.lucid``, or the first of ``name_2.lucid``, ... that is not there: a sealed shot is never changed."""
    return free_folder(folder, name, (SUFFIX, ".blend"))


def active_shot(scene: bpy.types.Scene) -> Path | None:
    """The shot that Generate works on; None before the first capture."""
    return Path(bpy.path.abspath(scene.lucid.shot)).resolve() if scene.lucid.shot else None


def move_paths(folder: Path) -> None:
    """Before the file is saved in ``folder``: shots, references and weights that it names by relative paths stay the same ones.
    Blender does this for its own paths alone."""
    for settings in (scene.lucid for scene in bpy.data.scenes):
        settings.shot, settings.weights = _moved(settings.shot, folder), _moved(settings.weights, folder)
        for reference in (reference for _name, wish in settings.layers() for reference in wish.references):
            reference.filepath = _moved(reference.filepath, folder)


def _moved(path: str, folder: Path) -> str:
    if not path.startswith("//"):
        return path
    found = Path(bpy.path.abspath(path))
    moved = bpy.path.relpath(str(found), start=str(folder)).replace(os.sep, "/") if found.drive == folder.drive else str(found)
    return moved + ("/" if path.endswith("/") else "")
