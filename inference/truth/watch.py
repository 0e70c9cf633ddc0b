# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and scene side by side, frame after frame: what is needed by several measures is computed once, nothing is kept
for longer than it is needed, so that memory does not grow with the shot."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ..shot.images import to_uint8
from .figures import Figure
from .ground import Array, Ground, Moment

#: frames that every measure can look back on, the newest one included
HISTORY = 5

#: the picture of a frame, counted from 0: (H, W, 3) float32 sRGB in [0, 1]
Pictures = Callable[[int], Array]


@dataclass(frozen=True, eq=False)
class Observed:
    """One frame: what the scene says and what the picture shows.

    ``picture`` (H, W, 3) float32 sRGB in [0, 1], ``grey`` (H, W) uint8 its luma; ``flow`` (H, W, 2) px found from the previous
    frame's picture to this one's, at the previous frame's pixels (dense inverse search), None in the first frame.
    """

    moment: Moment
    picture: Array
    grey: NDArray[np.uint8]
    flow: Array | None


class Metric(Protocol):
    """A measure that is fed the frames of a shot in order."""

    def see(self, recent: Sequence[Observed]) -> None:
        """Take in the newest frame, ``recent[-1]``; before it up to HISTORY - 1 earlier ones, the oldest first."""

    def figures(self) -> Sequence[Figure]:
        """What was found, once all frames were seen."""


def observe(ground: Ground, pictures: Pictures) -> Iterator[Sequence[Observed]]:
    """The newest frames of the shot, once for each frame; the last of them is new. Raises EXR_INVALID and what ``pictures``
    does."""
    recent: deque[Observed] = deque(maxlen=HISTORY)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for index in range(len(ground)):
        picture = pictures(index)
        grey = luma(picture)
        flow = np.asarray(search.calc(recent[-1].grey, grey, None), np.float32) if recent else None
        recent.append(Observed(ground.moment(index), picture, grey, flow))
        yield recent


def luma(picture: Array) -> NDArray[np.uint8]:
    """(H, W) 8-bit luma of sRGB in [0, 1], in which motion is looked for."""
    return to_uint8(cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2GRAY))


def watch(ground: Ground, pictures: Pictures, metrics: Sequence[Metric], *,
          progress: Callable[[int, int], Any] = lambda *_: None) -> dict[str, float]:
    """Show every frame to every measure. Returns the CPU seconds that each took, by its class's name, and "observe" for what they
    share. ``progress`` is told (frames done, of how many)."""
    seconds = {"observe": 0.0, **{type(metric).__name__: 0.0 for metric in metrics}}
    begun = time.process_time()
    for done, recent in enumerate(observe(ground, pictures), 1):
        seconds["observe"] += time.process_time() - begun
        for metric in metrics:
            begun = time.process_time()
            metric.see(recent)
            seconds[type(metric).__name__] += time.process_time() - begun
        progress(done, len(ground))
        begun = time.process_time()
    return seconds
