# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished take made of noise: every 8-bit value, at every alpha, for tests of what happens to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lucid.inference.shot.images import to_uint8, write_png
from lucid.inference.shot.model import Shot, TakeRequest, frame_path
from lucid.inference.shot.takes import State, Take, new_take


def make_take(folder: Path, shot: Shot, seed: int = 0) -> Take:
    """Reserve and finish a take whose final is the *over* of its layers, as the worker's is."""
    take = new_take(folder.resolve(), TakeRequest("noise", seed=seed))
    take.emit("started")
    noise = np.random.default_rng(seed)
    for frame in shot.frames.numbers:
        final = np.zeros((shot.size.height, shot.size.width, 3), np.float32)
        for layer in shot.layers:
            rgba = noise.integers(0, 256, (*final.shape[:2], 4), dtype=np.uint8)
            if layer.is_environment:
                rgba[..., 3] = 255
            write_png(take.folder / frame_path(take.layer_pattern(layer.folder), frame), rgba)
            shown = rgba.astype(np.float32) / 255.0
            final += (shown[..., :3] - final) * shown[..., 3:]
        write_png(take.folder / frame_path(take.final_pattern, frame), to_uint8(final))
    take.finish(State.DONE, error=None, layers={layer.name: take.layer_pattern(layer.folder) for layer in shot.layers},
                final=take.final_pattern, seconds=0.0,
                frames={"start": shot.frames.start, "end": shot.frames.end, "step": shot.frames.step})
    return take
