# SPDX-License-Identifier: GPL-3.0-or-later
"""How a shot longer than a model's length is cut into overlapping windows, and what each counts for where they overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError

CHUNK = 4               # Wan's VAE takes one frame, then four at a time, also where it keeps every frame
_BITS = 32


@dataclass(frozen=True)
class WindowPlan:
    """``frames``: the shot's, padded to what the VAE takes; the rest in latent frames: the shot's ``length``, that of one
    ``window``, the least ``overlap`` of two. ``vary`` moves the windows from step to step, so that no frame is always at
    a join; it costs one window more per step."""

    frames: int
    length: int
    window: int
    overlap: int
    vary: bool = False

    def starts(self, step: int) -> tuple[int, ...]:
        """First latent frames of the windows of a step, ascending: the first 0, the last aligned to the end."""
        slack, stride = self.length - self.window, self.window - self.overlap
        if slack == 0:
            return (0,)
        offset = _radical_inverse(step) * stride >> _BITS if self.vary else 0
        if offset == 0:
            gaps = -(-slack // stride)
            return tuple((2 * index * slack + gaps) // (2 * gaps) for index in range(gaps + 1))
        return (0, *range(offset, slack, stride), slack)

    def joins(self) -> tuple[int, ...]:
        """The frames, ascending from 1, that are not in the same windows as the frame before, in the first step's windows."""
        ends = {end for start in self.starts(0) for end in (start, start + self.window) if 0 < end < self.length}
        return tuple(self._first_frame(end) for end in sorted(ends))

    def spans(self) -> tuple[tuple[int, int], ...]:
        """The frames [first, stop) of the first step's windows, ascending."""
        return tuple((self._first_frame(start), self._first_frame(start + self.window)) for start in self.starts(0))

    def weights(self, step: int) -> NDArray[np.float32]:
        """(windows, window): what each window's prediction counts for. They rise from both ends over the overlap
        (trapezoids; triangles where windows overlap by half or more) and add up to 1 in every latent frame."""
        starts = self.starts(step)
        ramp = self.window - min((b - a for a, b in zip(starts, starts[1:], strict=False)), default=0) + 1
        shape = np.minimum(np.arange(1, self.window + 1), np.arange(self.window, 0, -1)).clip(max=ramp).astype(np.float64)
        total = np.zeros(self.length)
        for start in starts:
            total[start:start + self.window] += shape
        return np.stack([shape / total[start:start + self.window] for start in starts]).astype(np.float32)

    def _first_frame(self, latent: int) -> int:
        """The first frame of a latent frame: the first of these holds one frame, the others as many as there are left for
        each."""
        factor = (self.frames - 1) // max(self.length - 1, 1)
        return 0 if latent == 0 else factor * (latent - 1) + 1


def _radical_inverse(step: int) -> int:
    """Van der Corput's sequence in base 2 as a fraction of 2^32: 0, 1/2, 1/4, 3/4, ...; near steps are far apart."""
    return int(f"{step:0{_BITS}b}"[::-1], 2)


def plan_windows(count: int, window: int, overlap: int, legal: tuple[int, ...], *, factor: int,
                 vary: bool = False) -> WindowPlan:
    """Windows for a shot of ``count`` frames. ``window`` is one of the ``legal`` frame counts (ascending), ``overlap`` in
    frames, ``factor`` the frames of a latent frame (4, or 1 for the embedded model).

    A shot that fits one window gets the smallest legal count that holds it, a longer one the next 4k + 1. Raises
    WINDOW_INVALID.
    """
    if window not in legal:
        raise LucidError("WINDOW_INVALID", f"these weights take no windows of {window} frames",
                         f"one of {', '.join(map(str, legal))}")
    latent, least = (window - 1) // factor + 1, -(-overlap // factor)
    if count <= window:
        frames = next(frames for frames in legal if frames >= count)
        length = (frames - 1) // factor + 1
        return WindowPlan(frames, length, length, 0)
    if not 0 < least < latent:
        raise LucidError("WINDOW_INVALID", f"windows of {window} frames cannot overlap by {overlap}",
                         f"an overlap of 1 to {factor * (latent - 1)} frames; a quarter of the window is a good one")
    frames = 1 + -(-(count - 1) // CHUNK) * CHUNK
    return WindowPlan(frames, (frames - 1) // factor + 1, latent, least, vary)


def plan_for(count: int, legal: tuple[int, ...], window: int, overlap: int, *, factor: int) -> WindowPlan:
    """:func:`plan_windows` as a checkpoint's habits have it: a ``window`` of 0 is the longest legal one, an ``overlap`` of 0 a
    quarter of the window. Raises WINDOW_INVALID."""
    window = window or legal[-1]
    return plan_windows(count, window, overlap or window // 4, legal, factor=factor)
