# SPDX-License-Identifier: GPL-3.0-or-later
"""Seams in time: how much more a picture changes where two windows of a take join than elsewhere, and its worst jump at all.

What the scene's own motion changes is taken away first, by exact flow, so that a fast camera does not hide a seam.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .colour import colours_at
from .figures import Bar, Figure, unmeasured
from .ground import Ground
from .spots import Mark, Marks, Owners, worst_place, worst_spots
from .watch import Observed

SEAM, JUMP = "seam_ratio", "frame_jump"
#: users' figures for chained windows are 10 and more
SEAM_BAR = Bar(highest=1.3)
#: measured: floors 1.05 to 1.08, a gain that is off by 2 % in each frame 4, two frames exchanged 12 and 21
JUMP_BAR = Bar(highest=1.5)
#: frame pairs before and after one that say what is usual there: few, because a camera may speed up
AROUND = 4
#: points of a pair below which nothing is said of it
FEWEST = 200
#: sRGB: what 8 bits change by rounding alone is no less than this
_ROUNDING = 0.5 / 255
_SPACING, _MARGIN = 6, 4


def jump_ratios(changes: Sequence[float], usual: Sequence[bool]) -> list[float | None]:
    """Each frame pair's change over the median of the ``usual`` ones among up to AROUND pairs before and after it, itself left
    out; None with fewer than 3 of them."""
    out: list[float | None] = []
    for place, change in enumerate(changes):
        near = [changes[other] for other in range(max(place - AROUND, 0), min(place + AROUND + 1, len(changes)))
                if usual[other] and other != place]
        out.append(change / max(float(np.median(near)), _ROUNDING) if len(near) >= 3 else None)
    return out


class SeamRatio:
    """The mean absolute difference of neighbouring frames along exact motion, sRGB: at the worst of the ``joins`` over the
    median around it; and at the worst frame of all.

    A join is the index of a window's first frame that its predecessor does not show, counted from 0.
    """

    def __init__(self, ground: Ground, joins: Sequence[int] = ()) -> None:
        self._frames, self._joins, self._owners = len(ground), frozenset(joins), Owners(ground.shot)
        numbers = ground.shot.frames.numbers
        self._starts = frozenset(numbers[join] for join in joins)
        self._marks = Marks()

    def see(self, recent: Sequence[Observed]) -> None:
        if len(recent) < 2:
            return
        before, now = recent[-2], recent[-1]
        inner = cv2.erode(before.moment.flows.astype(np.uint8), np.ones((3, 3), np.uint8))
        start = _MARGIN + _SPACING // 2
        pick = (slice(start, -_MARGIN, _SPACING),) * 2
        y, x = np.nonzero(inner[pick])
        y, x = y * _SPACING + start, x * _SPACING + start
        if len(x) < FEWEST:
            return
        at = np.stack([x, y], -1) + np.float32(0.5) + before.moment.flow[y, x]
        change = np.abs(colours_at(now.picture, at, cubic=True) - before.picture[y, x]).mean(-1)
        pixel, instance = worst_place(change, at, before.moment.ids[y, x])
        self._marks.add(Mark(now.moment.number, float(change.mean()), len(x), pixel, self._owners.name(instance)))

    def figures(self) -> Sequence[Figure]:
        return [self._figure(SEAM, SEAM_BAR), self._figure(JUMP, JUMP_BAR)]

    def _figure(self, metric: str, bar: Bar) -> Figure:
        marks, seam = self._marks.marks, metric == SEAM
        ratios = jump_ratios([mark.value for mark in marks], [not seam or mark.number not in self._starts for mark in marks])
        judged = [Mark(mark.number, ratio, mark.points, mark.at, mark.object) for mark, ratio in zip(marks, ratios, strict=True)
                  if ratio is not None and (not seam or mark.number in self._starts)]
        if seam and not self._joins:
            return unmeasured(metric, "", "x", "the take is one window", bar=bar)
        if not judged:
            short = f"the shot has {self._frames} frame{'s' * (self._frames > 1)}, too few to say what is usual"
            reason = short if self._frames <= 4 else "too few pairs of frames whose motion is known"
            return unmeasured(metric, "", "x", reason, bar=bar)
        return Figure(metric, "", max(mark.value for mark in judged), "x", bar, series=self._marks.series,
                      worst=worst_spots(judged), counts={"pairs": len(judged)})
