# SPDX-License-Identifier: GPL-3.0-or-later
"""The eyes of the layers: what is hidden in the panel is not seen in the cut, nor in the compositor.

The final has all layers in it. Where one is hidden, the cut shows the take's layers without it, alpha over each other, in
place of the final; shadows and volumes, which are in the final alone, are then missing. A compositor group hides each alone.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import bpy

from ..inference.shot.model import Shot
from ..inference.shot.store import open_shot
from .compositor import show_layers
from .cut import seen_take
from .shots import active_shot
from .strips import mentions, shot_strips, take_of
from .timeline import COMPOSITING, source_scene

_FINAL, _LAYERS = "final", "layers/"
_REPLACED = "lucid_replaced"        # on the strip of a final that layers are shown for


def apply(scene: bpy.types.Scene) -> None:
    """What is on timelines and in the compositor of the active shot of ``scene`` follows its eyes. Raises what opening the shot
    does, where something is hidden; then nothing has been changed."""
    scene = source_scene(scene)
    folder = active_shot(scene)
    cuts = [cut for cut in bpy.data.scenes if not cut.get(COMPOSITING) and mentions(cut, scene.lucid.shot)]
    if folder is None or not (cuts or bpy.data.node_groups):
        return
    hidden = scene.lucid.hidden()
    folders = _folders(open_shot(folder, verify=False), hidden) if hidden else frozenset()
    for cut in cuts:
        _show(cut, folder, folders)
    show_layers(folder, hidden)


def _folders(shot: Shot, hidden: Collection[str]) -> frozenset[str]:
    """The folders of those of the hidden layers that the shot has."""
    return frozenset(layer.folder for layer in shot.layers if layer.name in hidden)


def _show(cut: bpy.types.Scene, shot_folder: Path, hidden: Collection[str]) -> None:
    """Of the take that is seen: the final, or its layers without the ``hidden`` folders. Other takes stay as they are."""
    shown = [(strip, *take_of(strip)) for strip in shot_strips(cut, shot_folder)]
    painted = [(strip, take.number, part) for strip, take, part in shown if part == _FINAL or part.startswith(_LAYERS)]
    take = seen_take(cut, shot_folder) or max((number for strip, number, _part in painted if strip.get(_REPLACED)), default=0)
    finals = [strip for strip, number, part in painted if number == take and part == _FINAL]
    standing = [strip for strip in finals if not strip.mute or strip.get(_REPLACED)] or finals
    for strip, number, part in painted:
        strip.pop(_REPLACED, None)
        if number == take and part != _FINAL:
            strip.mute = not hidden or part.removeprefix(_LAYERS) in hidden
    for strip in standing:
        strip.mute = bool(hidden)
        if hidden:
            strip[_REPLACED] = True
