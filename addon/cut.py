# SPDX-License-Identifier: GPL-3.0-or-later
"""Which take of a shot a cut shows: take turns between those that lie there, or put another one under a strip's edits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.takes import get_take
from ..inference.shot.verdict_file import HEAT
from .strips import blend_path, directory, mentions, shot_strips, take_of
from .timeline import COMPOSITING, source_scene, strip_name
from .verified import VerifiedTake

_FINAL = "final"


def is_cut(context: bpy.types.Context, shot: str) -> bool:
    """Whether strips name takes of the shot folder ``shot``, as far as their paths tell: for polls, which drawing asks."""
    return any(mentions(scene, shot) for scene in _cuts(context))


def cut_of(context: bpy.types.Context, shot_folder: Path) -> bpy.types.Scene:
    """The scene whose strips show the shot: the Sequencer's, else the one in front, else a timeline that Lucid made. Raises
    TAKE_ABSENT where no strip does."""
    found = next((scene for scene in _cuts(context) if shot_strips(scene, shot_folder)), None)
    if found is None:
        raise LucidError("TAKE_ABSENT", f"no take of {shot_folder.name} is on a timeline", "press To Timeline first")
    return found


def _cuts(context: bpy.types.Context) -> list[bpy.types.Scene]:
    source = source_scene(context.scene)
    timelines = [scene for scene in bpy.data.scenes if scene.lucid.source == source and not scene.get(COMPOSITING)]
    return [scene for scene in (getattr(context, "sequencer_scene", None), context.scene, *timelines) if scene is not None]


def show_take(cut: bpy.types.Scene, shot_folder: Path, number: int) -> None:
    """See this take's final, and no other strip of the shot's takes; other shots stay as they are. Raises TAKE_MISSING,
    TAKE_ABSENT."""
    take = get_take(shot_folder.resolve(), number)
    strips = shot_strips(cut, shot_folder)
    finals = [strip for strip in strips if directory(strip) == take.folder / _FINAL]
    if not finals:
        raise LucidError("TAKE_ABSENT", f"the final of take {number} is not on '{cut.name}'", "press To Timeline first")
    for strip in strips:
        strip.mute = strip not in finals


def seen_take(cut: bpy.types.Scene, shot_folder: Path) -> int | None:
    """The number of the shot's take that lies uppermost of those that are seen, as its final or its layers; None for none."""
    seen = [(strip.channel, *take_of(strip)) for strip in shot_strips(cut, shot_folder) if not strip.mute]
    finals = [(channel, take.number) for channel, take, part in seen if not part.startswith(f"{HEAT}/")]
    return max(finals)[1] if finals else None


def rivals(known: tuple[int, int], seen: int, chosen: int, parent: int, done: Sequence[int]) -> tuple[int, int]:
    """The takes A and B that are held against each other: the pair that is ``known`` as long as the take that is seen and the
    one that is chosen belong to it. Else A is seen and B is chosen; where that is one, B is the one it is a change of
    (``parent``), or the one before it, or after. Raises TAKE_ABSENT where no other take is done."""
    if {seen, chosen} <= set(known) <= set(done):
        return known
    if chosen != seen:
        return seen, chosen
    others = [number for number in done if number != seen]
    if not others:
        raise LucidError("TAKE_ABSENT", f"take {seen} is the only one that is done", "generate another one to compare it with")
    before = [number for number in others if number < seen]
    return seen, parent if parent in others else before[-1] if before else others[0]


def replaceable(cut: bpy.types.Scene, shot_folder: Path) -> list[bpy.types.ImageStrip]:
    """The shot's strips that are selected, else those that are seen."""
    strips = shot_strips(cut, shot_folder)
    return [strip for strip in strips if strip.select] or [strip for strip in strips if not strip.mute]


def shows_heat(strips: Sequence[bpy.types.ImageStrip]) -> bool:
    """Whether one of the strips shows heat maps."""
    return any(take_of(strip)[1].startswith(f"{HEAT}/") for strip in strips)


def replace_take(found: VerifiedTake, strips: Sequence[bpy.types.ImageStrip]) -> int:
    """Let strips of the shot's takes show the same part of another take; returns how many changed.

    Takes of a shot have the same frames under the same names, so only the folder changes: trims, transform, crop, colours,
    modifiers, retiming and keyframes stay. A strip that still has the name that Lucid gave it gets the new take's. Raises
    TAKE_CORRUPT where the take lacks what a strip shows; then nothing has been changed.
    """
    shot, take = found.shot, found.take
    shown = [(strip, *take_of(strip)) for strip in strips]
    shown = [(strip, old, part) for strip, old, part in shown if old.folder != take.folder]
    names = {pattern.rpartition("/")[0]: name for name, pattern in (*found.sequences, *found.maps)}
    lacking = [part for _, _, part in shown if part not in names]
    if lacking:
        raise LucidError("TAKE_CORRUPT", f"take {take.number} of {shot.name} has no {lacking[0]}", "generate a new take")
    for strip, old, part in shown:
        given, _, counted = strip.name.partition(".")
        if given == strip_name(shot, old, names[part]) and (not counted or counted.isdigit()):
            strip.name = strip_name(shot, take, names[part])
        strip.directory = blend_path(take.folder / part) + "/"
    return len(shown)
