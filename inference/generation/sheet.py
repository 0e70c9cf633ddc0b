# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of a take: what the model was told, what it made of each layer, the final."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..adapters.base import DEPTH, GEOMETRY, Profile
from ..conditioning.compose import dilate
from ..conditioning.fit import fit
from ..errors import LucidError
from ..shot.images import read_png, to_uint8, to_unit, write_png
from ..shot.model import Layer, Shot
from ..shot.paths import frame_path
from ..shot.store import open_shot
from ..shot.takes import State, Take, get_take
from .footage import Footage
from .layers import surface_control, with_skeleton

COLUMNS = 4
CELL_WIDTH = 384
LABEL_HEIGHT = 22
CHECKER = (0.30, 0.38)
CONTROLS = {DEPTH: "control: pose in the actors, depth elsewhere", GEOMETRY: "control: depth and surface directions"}


def contact_sheet(shot_folder: Path, number: int, out: Path) -> None:
    """Write a PNG whose rows are the composed control, each layer and the final, at up to four frames.

    Raises TAKE_UNFINISHED for a take that is not done, TAKE_INVALID, and what reading the shot raises.
    """
    shot = open_shot(shot_folder, verify=False)
    take = get_take(shot_folder, number)
    if take.state() is not State.DONE:
        raise LucidError("TAKE_UNFINISHED", f"take {number} is {take.state().value}", "choose a take that is done")
    frames = list(shot.frames.numbers)
    chosen = sorted({round(i) for i in np.linspace(0, len(frames) - 1, min(COLUMNS, len(frames)))})
    profile = _profile(take)
    rows = [(CONTROLS[profile.control], list(to_uint8(_controls(shot_folder, shot, profile, chosen))))]
    for layer in shot.layers:
        if (take.folder / take.layer_pattern(layer.folder)).parent.is_dir():
            rows.append((f"layer: {layer.name}", [_layer(take, layer, frames[i]) for i in chosen]))
    rows.append(("final", [to_uint8(_shown(take, take.final_pattern, frames[i])) for i in chosen]))
    write_png(out, np.concatenate([_row(label, cells) for label, cells in rows]))


def _profile(take: Take) -> Profile:
    """The rules of the model that made the take."""
    try:
        return Profile(**(take.result() or {})["profile"])
    except (KeyError, TypeError) as error:
        raise LucidError("TAKE_INVALID", f"take {take.number} does not say what its model's rules were",
                         "generate a new take") from error


def _controls(folder: Path, shot: Shot, profile: Profile, chosen: list[int]) -> NDArray[np.float32]:
    """The composed control of the whole picture."""
    plan = fit(len(shot.frames), shot.size, frames=len(shot.frames), multiple=profile.multiple)
    footage = Footage(folder, shot, plan, normals=profile.control == GEOMETRY)
    return np.concatenate([plan.crop(_control(footage, profile, index)) for index in chosen])


def _control(footage: Footage, profile: Profile, index: int) -> NDArray[np.float32]:
    """Of one frame, (1, H, W, 3)."""
    shot, span = footage.shot, footage.shot.depth_range
    seen = footage.environment(index, index + 1)
    control = surface_control(seen, span, profile)
    for layer in shot.actors:
        actor = footage.actor(layer, index, index + 1)
        seen = actor.surface.before(seen)
        visible = actor.matte > 0.0
        posed = with_skeleton(surface_control(seen, span, profile), actor, visible, profile)
        control = np.where(dilate(visible, profile.pose_grow)[..., None], posed, control)
    return control


def _shown(take: Take, pattern: str, frame: int) -> NDArray[np.float32]:
    """A frame of a take in [0, 1], of 16 bits or, in older takes, 8."""
    return to_unit(read_png(take.folder / frame_path(pattern, frame)))


def _layer(take: Take, layer: Layer, frame: int) -> NDArray[np.uint8]:
    rgba = _shown(take, take.layer_pattern(layer.folder), frame)
    ys, xs = np.mgrid[:rgba.shape[0], :rgba.shape[1]] // 8
    board = np.where((xs + ys) % 2, *CHECKER)[..., None]
    return to_uint8(board + (rgba[..., :3] - board) * rgba[..., 3:])


def _row(label: str, cells: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Cells scaled to one width side by side under a label."""
    height, width = cells[0].shape[:2]
    size = (CELL_WIDTH, round(height * CELL_WIDTH / width))
    strip = np.concatenate([cv2.resize(cell, size, interpolation=cv2.INTER_CUBIC) for cell in cells], axis=1)
    bar = np.full((LABEL_HEIGHT, strip.shape[1], 3), 24, np.uint8)
    cv2.putText(bar, label, (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (225, 225, 225), 1, cv2.LINE_AA)
    return np.concatenate([bar, strip])
