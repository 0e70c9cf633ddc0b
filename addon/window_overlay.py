# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows that a shot is denoised in, as thin bars at the top of timelines (``Scene.lucid.show_windows`` shows them).

Neighbouring windows lie in two rows; below them is what they share, and a line where the picture passes from one to the next, so
that an artist sees before Generate where a join may show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from ..inference.conditioning.windows import WindowPlan
from ..inference.shot.model import Frames
from . import estimate
from .timeline import source_scene

_ROW, _GAP, _TOP = 4, 1, 5  # pixels at a scale of 1
_SCRUB = 24                 # where Blender draws the frame numbers (UI_TIME_SCRUB_MARGIN_Y)
WINDOW, OVERLAP, JOIN = "window", "overlap", "join"
_COLOURS = {WINDOW: (0.25, 0.62, 0.85, 0.9), OVERLAP: (0.75, 0.42, 0.08, 0.9), JOIN: (1.0, 1.0, 1.0, 0.9)}
_SHARED = 2                 # the row of what windows share
_MODES = ("TIMELINE", "DOPESHEET", "ACTION")


class Piece(NamedTuple):
    """``kind`` from the scene's frame ``first`` up to ``stop``, which is after its last; in a row from the top, or (None) across
    all of them."""

    kind: str
    first: int
    stop: int
    row: int | None = None


def pieces(plan: WindowPlan, frames: Frames) -> list[Piece]:
    """What is drawn of a plan for a shot of these frames, in this order: windows, what neighbours share, and in the middle of
    that the joins."""

    def at(index: int) -> int:
        return frames.start + min(index, len(frames)) * frames.step

    spans = [(at(first), at(stop)) for first, stop in plan.spans() if first < len(frames)]
    found = [Piece(WINDOW, first, stop, number % 2) for number, (first, stop) in enumerate(spans)]
    shared = [(after[0], before[1]) for before, after in zip(spans, spans[1:], strict=False) if after[0] < before[1]]
    found += [Piece(OVERLAP, first, stop, _SHARED) for first, stop in shared]
    return found + [Piece(JOIN, middle, middle) for middle in ((first + stop) // 2 for first, stop in shared)]


def _draw() -> None:
    """Into the dope sheet, timeline or sequencer that is being drawn."""
    context = bpy.context
    space, region = context.space_data, context.region
    sequencer = space.type == "SEQUENCE_EDITOR"
    if not sequencer and space.mode not in _MODES:
        return
    shown = context.sequencer_scene if sequencer else context.scene
    if shown is None or not source_scene(shown).lucid.show_windows:
        return
    found = estimate.windows(source_scene(shown))
    if found is None:
        return
    scale = context.preferences.system.ui_scale
    shift = 0.0 if sequencer else -0.5      # a strip lies from its frame to the next, a key on its frame

    def across(frame: float) -> float:
        return float(region.view2d.view_to_region(frame + shift, 0.0, clip=False)[0])

    _fill(pieces(*found), across, region.height - (_SCRUB + _TOP) * scale, scale)


def _fill(found: list[Piece], across: Callable[[float], float], top: float, scale: float) -> None:
    places: list[tuple[float, float]] = []
    colours: list[tuple[float, float, float, float]] = []
    step, height = (_ROW + _GAP) * scale, _ROW * scale
    for kind, first, stop, row in found:
        left, right = across(first), across(stop) - _GAP * scale        # windows that touch are two
        upper = top - (row or 0) * step
        lower = upper - height
        if row is None:
            left, right, lower = left - scale, left + scale, top - _SHARED * step - height
        places += [(left, lower), (right, lower), (right, upper), (left, lower), (right, upper), (left, upper)]
        colours += [_COLOURS[kind]] * 6
    if not places:
        return
    shader = gpu.shader.from_builtin("FLAT_COLOR")
    gpu.state.blend_set("ALPHA")
    batch_for_shader(shader, "TRIS", {"pos": places, "color": colours}).draw(shader)
    gpu.state.blend_set("NONE")


_handles: list[tuple[Any, Any]] = []


def register() -> None:
    for space in (bpy.types.SpaceDopeSheetEditor, bpy.types.SpaceSequenceEditor):
        _handles.append((space, space.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")))


def unregister() -> None:
    while _handles:
        space, handle = _handles.pop()
        space.draw_handler_remove(handle, "WINDOW")
    estimate.forget()
