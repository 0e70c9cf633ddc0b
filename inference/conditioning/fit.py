# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model can take against what a shot has: legal frame counts and sizes, by padding that is cut off again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
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

    def pad(self, video: NDArray[Any]) -> NDArray[Any]:
        """(F, H, W, ...) of the shot to the model's frames and size: the last frame, row and column are repeated."""
        extra = [(0, self.frames - self.count), (0, self.size.height - self.shown.height),
                 (0, self.size.width - self.shown.width)]
        return np.pad(video, extra + [(0, 0)] * (video.ndim - 3), mode="edge")

    def crop(self, video: NDArray[Any]) -> NDArray[Any]:
        """The inverse of :meth:`pad`."""
        return video[:self.count, :self.shown.height, :self.shown.width]


def fit(count: int, shown: Size, *, legal_frames: tuple[int, ...], multiple: int) -> Fit:
    """The smallest legal frame count and size that hold the shot. Raises SHOT_TOO_LONG past the longest."""
    frames = next((legal for legal in legal_frames if legal >= count), None)
    if frames is None:
        raise LucidError("SHOT_TOO_LONG", f"the shot has {count} frames, these weights take up to {legal_frames[-1]}",
                         "capture fewer frames, or every second one with --frames A:B:2")
    size = Size(-(-shown.width // multiple) * multiple, -(-shown.height // multiple) * multiple)
    return Fit(count, shown, frames, size)
