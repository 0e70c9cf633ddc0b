# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the picture push in where the camera does not? The scale that pictures gain beyond what the camera gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Figure, Spot, unmeasured
from .geometry import project
from .ground import Double, Ground
from .tracks import Tracker, trust
from .watch import Observed

#: % between any two frames that are at most LONGEST apart; measured: clean pictures 0.01, a push-in of 8 % 8.1
EXCESS = Bar(-1.0, 1.0)
LONGEST = 96
#: corners of which the scale of a frame is found, and the share of the frames in which there must be as many
FEWEST, _FRAMES = 30, 0.9
_ROUNDS = 6


class ZoomHonesty:
    """From frame to frame, corners of still surfaces move in the picture, and the exact camera moves them: what is left over
    is fitted by a scale, a turn and a shift, and the scales are added up.

    "excess" is the largest growth (below 0: shrinkage) between two frames: slow camera moves that are measured a little too
    short do not add up over long shots, which is why the two are at most LONGEST frames apart.
    """

    def __init__(self, ground: Ground, tracker: Tracker | None = None) -> None:
        self._ground, self._tracker = ground, tracker or Tracker(ground)
        self._frames: list[int] = []
        self._sums = [0.0]
        self._most = 0

    def see(self, recent: Sequence[Observed]) -> None:
        corners = self._tracker.see(recent)
        self._most = max(self._most, len(corners))
        if len(corners) < FEWEST:
            return
        old, new = recent[-2].moment, recent[-1].moment
        here, there = (project(corners.world, moment.K, moment.world_from_camera)[0] for moment in (old, new))
        height, width = new.size
        grown = growth(corners.before - (width / 2, height / 2), corners.at - corners.before - (there - here))
        self._sums.append(self._sums[-1] + grown)
        self._frames.append(new.number)

    def figures(self) -> Sequence[Figure]:
        pairs = len(self._ground) - 1
        if pairs < 1:
            return [unmeasured("zoom", "excess", "%", "a single frame", bar=EXCESS)]
        if len(self._frames) < _FRAMES * pairs:
            reason = f"{FEWEST} corners of still surfaces could be followed in {len(self._frames)} of {pairs} frames"
            return [unmeasured("zoom", "excess", "%", reason, bar=EXCESS)]
        first, last = widest(np.array(self._sums), LONGEST)
        value = _percent(self._sums[last] - self._sums[first])
        spot = Spot("", self._frames[first], self._frames[last - 1], value)
        series = tuple((float(number), _percent(total)) for number, total in zip(self._frames, self._sums[1:], strict=True))
        return [Figure("zoom", "excess", value, "%", EXCESS, series=series, worst=() if EXCESS.holds(value) else (spot,),
                       counts={"frames": len(self._frames), "corners": self._most})]


def growth(at: NDArray[np.floating[Any]], shift: Double) -> float:
    """The natural logarithm of the scale by which ``shift`` (N, 2) px enlarges the places ``at`` (N, 2) px.

    A similarity (scale, turn, shift), fitted by least squares in which each place counts as much as it is trusted, again
    and again.
    """
    places, shifts = (np.asarray(values, np.float64) @ np.array([1.0, 1j]) for values in (at, shift))
    weight = np.ones(len(places))
    slope = 0j
    for _ in range(_ROUNDS):
        middle, mean = (weight @ values / weight.sum() for values in (places, shifts))
        away = places - middle
        square = float(weight @ np.abs(away) ** 2)
        slope = complex((weight * np.conj(away)) @ (shifts - mean)) / square if square > 0 else 0j
        weight = trust(np.abs(shifts - mean - slope * away))
    return float(np.log1p(slope.real))


def widest(sums: Double, longest: int) -> tuple[int, int]:
    """The places first < last of ``sums`` (N,), at most ``longest`` apart, that differ most; N is at least 2."""
    gaps = [(abs(float(sums[last] - sums[first])), first, last) for step in range(1, min(longest, len(sums) - 1) + 1)
            for first in [int(np.abs(sums[step:] - sums[:-step]).argmax())] for last in [first + step]]
    _, first, last = max(gaps)
    return first, last


def _percent(logarithm: float) -> float:
    return 100.0 * float(np.expm1(logarithm))
