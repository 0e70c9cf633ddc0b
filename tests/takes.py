# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished take made of noise: 16-bit colours at every alpha, for tests of what happens to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lucid.inference.generation.composite import composite
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Shot, TakeRequest
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.takes import State, Take, new_take


def make_take(folder: Path, shot: Shot, seed: int = 0) -> Take:
    """Reserve and finish a take whose final is the *over* of its layers, as the worker's is."""
    take = new_take(folder.resolve(), TakeRequest("noise", seed=seed))
    take.emit("started")
    noise = np.random.default_rng(seed)
    for frame in shot.frames.numbers:
        stack = []
        for layer in shot.layers:
            rgba = noise.integers(0, 65536, (shot.size.height, shot.size.width, 4), dtype=np.uint16)
            if layer.is_environment:
                rgba[..., 3] = 65535
            write_png(take.folder / frame_path(take.layer_pattern(layer.folder), frame), rgba)
            stack.append((rgba[..., :3], rgba[..., 3].astype(np.float32) / np.float32(65535.0)))
        write_png(take.folder / frame_path(take.final_pattern, frame), composite(stack, None, None))
    take.finish(State.DONE, error=None, layers={layer.name: take.layer_pattern(layer.folder) for layer in shot.layers},
                final=take.final_pattern, seconds=0.0,
                frames={"start": shot.frames.start, "end": shot.frames.end, "step": shot.frames.step})
    return take
