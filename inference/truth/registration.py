# SPDX-License-Identifier: GPL-3.0-or-later
"""How far an outline lies from where the scene has it: the offset, scale and delay at which it parts two motions best."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .explain import Box
from .figures import Bar, Figure, unmeasured
from .ground import Array, Mask

Double = NDArray[np.float64]

#: px, %, frames. Measured: floors 0, 0 and 0.03 (of the set 0.22); 4 px aside 3 to 4, 3 % larger 3, one frame late 0.6 to 1.3
OFFSET, SCALE, LAG = Bar(highest=1.5), Bar(-1.5, 1.5), Bar(-0.5, 0.5)
#: px each way that are tried
REACH = 8
#: larger by these about the lowest point
SCALES = (-0.06, -0.045, -0.03, -0.015, 0.0, 0.015, 0.03, 0.045, 0.06)
#: frames late that are tried
LAGS = (-2, -1, 0, 1, 2)
#: in units of the score that a displacement of 1 px costs: what fits better by less than ``_NOTABLE`` is noise, and places that
#: differ by less than ``_SLACK`` are equal
_NOTABLE = 0.35
_SLACK = 0.08
#: px of outline, over all frames, that are needed
FEWEST = 300


def offset_scores(votes: Array, matte: Mask, scale: float = 0.0, about: tuple[float, float] | None = None) -> Double:
    """(2 REACH + 1, 2 REACH + 1): the sum of ``votes`` (h, w) inside the ``matte`` (h, w), made larger by ``scale`` about the
    place ``about`` (x, y), by default its lowest, and displaced by (row - REACH, column - REACH) px."""
    solid = matte.astype(np.float32)
    if scale:
        x, y = about or _lowest(matte)
        grown = np.array([[1 + scale, 0, -scale * x], [0, 1 + scale, -scale * y]], np.float32)
        solid = cv2.warpAffine(solid, grown, solid.shape[::-1], flags=cv2.INTER_LINEAR)
    padded = cv2.copyMakeBorder(votes, REACH, REACH, REACH, REACH, cv2.BORDER_CONSTANT, value=0.0)
    return np.asarray(cv2.matchTemplate(padded, solid, cv2.TM_CCORR), np.float64)


def without_border(votes: Array, box: Box, size: tuple[int, int]) -> Array:
    """``votes`` of the ``box`` with those within REACH px of the picture's border, ``size`` (H, W), taken out: an outline that
    is cut there cannot be displaced."""
    y0, y1, x0, x1 = box
    inner = np.zeros(size, bool)
    inner[REACH:-REACH, REACH:-REACH] = True
    return np.where(inner[y0:y1, x0:x1], votes, np.float32(0))


def _lowest(matte: Mask) -> tuple[float, float]:
    row = int(np.flatnonzero(matte.any(1))[-1])
    return float(np.flatnonzero(matte[row]).mean()), float(row)


@dataclass(frozen=True)
class Registered:
    """The smallest displacement that explains the votes: ``offset`` (x, y) px, ``scale`` in %, and by how much of the score at
    the best place the undisplaced one falls short."""

    offset: tuple[float, float]
    scale: float
    short: float


class Scores:
    """Scores of an outline, added up over frames, for each of the ``scales``, one of which is 0."""

    def __init__(self, scales: tuple[float, ...] = SCALES) -> None:
        side = 2 * REACH + 1
        self.scales = scales
        self.offsets = np.zeros((len(scales), side, side))
        self.lags = np.zeros(len(LAGS))
        self.lagged = np.zeros(len(LAGS))           # px of area by which the mattes differ from the present one's
        self.cost = 0.0                             # what 1 px of displacement costs
        self.outline = 0
        self.height = 0.0
        self.frames = 0

    def add(self, votes: Array, matte: Mask, outline: Mask, about: tuple[float, float] | None = None) -> None:
        """One frame: ``votes`` and ``matte`` (h, w), and the pixels of its ``outline`` (h, w) at which the motions differ;
        ``about`` as in :func:`offset_scores`."""
        for place, scale in enumerate(self.scales):
            self.offsets[place] += offset_scores(votes, matte, scale, about)
        near = cv2.dilate(outline.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        self.cost += float(outline.sum() * np.abs(votes[near]).mean()) * 2 / np.pi if outline.any() else 0.0
        self.outline += int(outline.sum())
        self.height += float(matte.any(1).sum())
        self.frames += 1

    def add_lags(self, votes: Array, mattes: list[Mask]) -> None:
        """One frame: the mattes (h, w) that the scene has at each of LAGS frames before."""
        now = mattes[LAGS.index(0)]
        for place, matte in enumerate(mattes):
            self.lags[place] += float(votes[matte].sum())
            self.lagged[place] += float((matte ^ now).sum())

    def registered(self) -> Registered | None:
        """None where the outline cannot be seen well enough. What fits but little better than no displacement is none."""
        if self.outline < FEWEST or self.cost <= 0:
            return None
        best, still = self.offsets.max(), self.offsets[self.scales.index(0.0), REACH, REACH]
        short = float((best - still) / self.cost)
        if short < _NOTABLE:
            return Registered((0.0, 0.0), 0.0, short)
        dy, dx = np.mgrid[-REACH:REACH + 1, -REACH:REACH + 1]
        away = (dx**2 + dy**2)[None] + (np.array(self.scales)[:, None, None] * self.height / self.frames) ** 2
        good = self.offsets >= best - _SLACK * self.cost
        place = np.unravel_index(int(np.where(good, away, np.inf).argmin()), away.shape)
        return Registered((float(dx[place[1:]]), float(dy[place[1:]])), 100.0 * self.scales[int(place[0])], short)

    def lag(self) -> float | None:
        """Frames by which the outline is late; None where a frame more or less could not be told apart."""
        moved = min(self.lagged[LAGS.index(-1)], self.lagged[LAGS.index(1)])
        if self.outline < FEWEST or moved < self.outline:
            return None
        place = int(self.lags.argmax())
        if place in (0, len(LAGS) - 1):
            return float(LAGS[place])
        before, peak, after = self.lags[place - 1:place + 2]
        return float(LAGS[place] + 0.5 * (before - after) / (before - 2 * peak + after))


def registration_figures(scores: Scores, name: str, reason: str, *, lag_bar: Bar | None = LAG) -> list[Figure]:
    """Offset, scale and lag of the object ``name``; not measurable for a ``reason``, or where the outline tells too little."""
    found, lag = scores.registered(), scores.lag()
    if found is None and not reason:
        reason = f"fewer than {FEWEST} px of its outline part two motions"
    counts = {"frames": scores.frames, "outline": scores.outline}
    if found is None or reason:
        return [unmeasured("registration", key, unit, reason, bar=bar, object=name)
                for key, unit, bar in (("offset", "px", OFFSET), ("scale", "%", SCALE), ("lag", "frames", lag_bar))]
    out = [Figure("registration", "offset", float(np.hypot(*found.offset)), "px", OFFSET, name, counts=counts),
           Figure("registration", "scale", found.scale, "%", SCALE, name, counts=counts)]
    if lag is None:
        why = "its outline changes too little from frame to frame"
        return [*out, unmeasured("registration", "lag", "frames", why, bar=lag_bar, object=name)]
    return [*out, Figure("registration", "lag", lag, "frames", lag_bar, name, counts=counts)]
