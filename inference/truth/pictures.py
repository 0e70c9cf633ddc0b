# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: the final of a take, or the captured beauty, frame by frame as sRGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..conditioning.transfer import to_srgb
from ..errors import LucidError
from ..shot.images import read_planes, read_png, to_unit
from ..shot.model import Shot
from ..shot.paths import frame_path
from ..shot.takes import State, Take
from .ground import Array
from .watch import Pictures


def final_pictures(take: Take, shot: Shot) -> Pictures:
    """The finals of a take that is done: (H, W, 3) float32 sRGB in [0, 1] by frame, counted from 0.

    Raises TAKE_NOT_DONE; reading a frame raises PNG_INVALID, also for one of another size than the shot's.
    """
    if take.state() is not State.DONE:
        raise LucidError("TAKE_NOT_DONE", f"take {take.number} is {take.state().value}", "measure a take that is done")

    def picture(index: int) -> Array:
        path = take.folder / frame_path(take.final_pattern, shot.frames.numbers[index])
        codes = read_png(path)
        if codes.shape[:2] != (shot.size.height, shot.size.width) or codes.ndim != 3 or codes.shape[2] < 3:
            raise LucidError("PNG_INVALID", f"{path} is not a colour picture of {shot.size}", "generate a new take")
        return to_unit(codes[..., :3])

    return picture


def beauty_pictures(folder: Path, shot: Shot) -> Pictures:
    """The captured beauty, of any shot that has it, as :func:`final_pictures`; what is brighter than white is clipped.

    Raises PASS_MISSING; reading a frame raises EXR_INVALID.
    """
    sequence = shot.sequence("beauty")

    def picture(index: int) -> Array:
        linear = read_planes(folder, sequence.path(shot.frames.numbers[index]), shot.size, ("R", "G", "B"))
        return np.asarray(np.clip(to_srgb(np.maximum(linear.astype(np.float32), 0.0)), 0.0, 1.0), np.float32)

    return picture


def has_beauty(shot: Shot) -> bool:
    return any(sequence.name == "beauty" for sequence in shot.passes)
