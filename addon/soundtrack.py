# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's sound on the timeline: one strip for all of its takes, which no change of take touches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import Shot
from ..inference.shot.store import sha256_file
from .strips import blend_path, overlaps

_SHOT_SOUND = re.compile(r"\.lucid/audio/[^/]+$")
_COLOUR = "COLOR_07"


def sound_file(shot_folder: Path, shot: Shot) -> Path | None:
    """The mix of the shot's sound, as it was captured; None where it has none. Raises SHOT_CORRUPT."""
    if not shot.audio:
        return None
    path = shot_folder.resolve() / shot.audio
    if not path.is_file() or sha256_file(path) != shot.files.get(shot.audio):
        raise LucidError("SHOT_CORRUPT", f"{path} is missing or not what was captured", "capture the shot again")
    return path


def sound_strip(timeline: bpy.types.Scene, path: Path) -> bpy.types.SoundStrip | None:
    """The strip that plays the file; None while there is none."""
    return next((strip for strip in _lucid_sounds(timeline) if _file(strip) == path), None)


def add_sound(timeline: bpy.types.Scene, shot: Shot, path: Path, channel: int) -> bpy.types.SoundStrip:
    """The shot's sound at the shot's frames."""
    strip = timeline.sequence_editor.strips.new_sound(name=f"lucid {shot.name} · sound", filepath=str(path), channel=channel,
                                                      frame_start=shot.frames.start)
    strip.sound.filepath = blend_path(path)
    strip.right_handle = shot.frames.end + 1        # a sample more or less must not make it a frame longer
    strip.color_tag, strip.select = _COLOUR, False
    return strip


def hear(timeline: bpy.types.Scene, shot: Shot, shot_folder: Path) -> None:
    """Where another shot sounds in the same range this one takes its place. Otherwise what the user muted stays muted."""
    folder = shot_folder.resolve() / "audio"
    sounds = [strip for strip in _lucid_sounds(timeline) if overlaps(strip, shot.frames)]
    others = [strip for strip in sounds if _file(strip).parent != folder and not strip.mute]
    for strip in others:
        strip.mute = True
    for strip in sounds if others else ():
        strip.mute = _file(strip).parent != folder


def _lucid_sounds(timeline: bpy.types.Scene) -> Iterator[bpy.types.SoundStrip]:
    editor = timeline.sequence_editor
    for strip in editor.strips_all if editor is not None else ():
        if strip.type == "SOUND" and strip.sound is not None and _SHOT_SOUND.search(_file(strip).as_posix()):
            yield strip


def _file(strip: bpy.types.SoundStrip) -> Path:
    return Path(bpy.path.abspath(strip.sound.filepath)).resolve()
