# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model can take against what a shot has: frame counts and sizes, by padding that is cut off again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shot.model import Size


@dataclass(frozen=True)
class Fit:
    """``frames`` and ``size`` are the model's; the shot's own are ``count`` and ``shown``, in the top left corner."""

    count: int
    shown: Size
    frames: int
    size: Size

    @property
    def padded(self) -> bool:
        return self.shown != self.size

    def shot_frame(self, index: int) -> int:
        """The shot's frame that stands at ``index`` of the model's: its last one is repeated."""
        return min(index, self.count - 1)

    def pad(self, frames: NDArray[Any]) -> NDArray[Any]:
        """(F, H, W, ...) of the shot's size to the model's: the last row and column are repeated."""
        extra = [(0, 0), (0, self.size.height - self.shown.height), (0, self.size.width - self.shown.width)]
        return np.pad(frames, extra + [(0, 0)] * (frames.ndim - 3), mode="edge")

    def crop(self, frames: NDArray[Any]) -> NDArray[Any]:
        """The inverse of :meth:`pad`."""
        return frames[:, :self.shown.height, :self.shown.width]


def fit(count: int, shown: Size, *, frames: int, multiple: int) -> Fit:
    """A shot of ``count`` frames as ``frames`` (at least as many) of the smallest legal size that holds it."""
    assert frames >= count
    size = Size(-(-shown.width // multiple) * multiple, -(-shown.height // multiple) * multiple)
    return Fit(count, shown, frames, size)
