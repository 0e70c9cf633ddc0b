# SPDX-License-Identifier: GPL-3.0-or-later
"""Does everything move as in the scene, as fast, in every frame? Optical flow of the pictures against the exact flow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Figure, Spot, unmeasured
from .ground import Array, Ground, Ids, Mask, Moment
from .watch import Observed

#: px. Measured on clean Cycles pictures: floor 0.045, textures that swim by 0.6 px a frame 0.66
MEDIAN = Bar(highest=0.3)
#: % of the pixels. Measured: floor 0.5, swimming textures 5.8
OVER_ONE = Bar(highest=5.0)
#: 1 = as much motion as in the scene, 0 = a still
DYNAMIC = Bar(0.8, 1.2)
#: px, the worst frame's median. Measured: floors 0.05 for a set, 0.52 for a walking figure; two frames exchanged: the motion
#: over two frames
WORST_FRAME, WORST_FRAME_ACTOR = Bar(highest=0.3), Bar(highest=1.0)
#: % of the picture. Measured: floors 0.1 to 0.4, one ball that is gone 1.3
STRAY = Bar(highest=1.0)
#: px of exact motion in a frame below which its amount says nothing
SLOW = 0.5
#: pixels of an instance over all frames' grids that are needed for a number of its own
FEWEST = 400
#: every this many pixels each way one is compared
STRIDE = 2
#: px of difference in exact motion within :data:`_NEAR` grid steps: across such an edge the search smooths
_EDGE = 1.0
_NEAR = 4
_BORDER = 8
#: of the picture's width: motion beyond this part of it in one frame the search does not find (28 of 832 px it does not)
_FASTEST = 40
#: lesser eigenvalue of the luma's structure tensor (OpenCV's cornerMinEigenVal, luma 0..1), below which motion is not seen
_TEXTURE = 2e-4
_BINS, _FINEST, _PER_OCTAVE = 512, 0.01, 32
_ENVIRONMENT = "environment"


class Histograms:
    """Distributions of lengths, one per group, in memory that does not grow: bins of a hundredth of a unit and 2.2 %."""

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros((groups, _BINS), np.int64)

    def add(self, lengths: NDArray[np.floating], group: NDArray[np.integer]) -> None:
        """``lengths`` (N,), 0 or more, of the groups (N,)."""
        place = np.minimum(_PER_OCTAVE * np.log2(1.0 + lengths / _FINEST), _BINS - 1).astype(np.int64)
        self.counts += np.bincount(group * _BINS + place, minlength=self.counts.size).reshape(self.counts.shape)

    def median(self, group: int) -> float:
        """NaN of an empty group."""
        counts = self.counts[group]
        if not counts.any():
            return float("nan")
        bins = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2.0))
        return float(_FINEST * (2.0 ** ((bins + 0.5) / _PER_OCTAVE) - 1.0))

    def share_above(self, group: int, length: float) -> float:
        """The share of the group's lengths above ``length``, to the bin."""
        first = int(_PER_OCTAVE * np.log2(1.0 + length / _FINEST)) + 1
        return float(self.counts[group, first:].sum() / max(self.counts[group].sum(), 1))


def comparable(moment: Moment, grey: NDArray[np.uint8]) -> Mask:
    """(H / STRIDE, W / STRIDE) the grid's pixels at which flow found in pictures can be held against the exact one: the scene
    says where the point goes and it is seen there, nothing else moves close by, and the picture ``grey`` has texture."""
    exact = np.ascontiguousarray(moment.flow[::STRIDE, ::STRIDE])
    window = np.ones((2 * _NEAR + 1,) * 2, np.uint8)
    spread = cv2.dilate(exact, window) - cv2.erode(exact, window)
    fastest = moment.size[1] / _FASTEST
    good = moment.flows[::STRIDE, ::STRIDE] & textured(grey)
    good &= (np.maximum(spread[..., 0], spread[..., 1]) <= _EDGE) & (np.hypot(exact[..., 0], exact[..., 1]) <= fastest)
    edge = _BORDER // STRIDE
    inner = np.zeros_like(good)
    inner[edge:-edge, edge:-edge] = True
    return np.asarray(good & inner)


def textured(grey: NDArray[np.uint8]) -> Mask:
    """(H / STRIDE, W / STRIDE) where luma (H, W) changes in both directions enough for its motion to be seen (Shi and Tomasi,
    CVPR 1994)."""
    height, width = (-(-side // STRIDE) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cornerMinEigenVal(small, 7, ksize=3) > _TEXTURE)


def stray_share(error: Array, known: Mask) -> tuple[float, tuple[int, int]]:
    """The largest patch that moves otherwise: its share of the picture, and its middle (x, y) on the grid.

    ``error`` (h, w) px, ``known`` (h, w). A patch is connected, over 1 px wrong, and 5 grid steps wide at least.
    """
    wrong = cv2.morphologyEx(((error > 1.0) & known).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, _, stats, middles = cv2.connectedComponentsWithStats(wrong, connectivity=4)
    if count < 2:
        return 0.0, (0, 0)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x, y = middles[largest]
    return float(stats[largest, cv2.CC_STAT_AREA] / wrong.size), (int(x), int(y))


def _ratios(found: Array, exact: Array, place: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """How much of the ``exact`` motion (N, 2) is in the one ``found`` (N, 2), along it: 1 = all, 0 = none, or backwards; and the
    places (N,), of the points that move at all."""
    length = (exact * exact).sum(-1)
    moving = length >= SLOW**2
    along = (found[moving] * exact[moving]).sum(-1) / length[moving]
    return np.maximum(along, 0.0), place[moving]


class MotionFidelity:
    """Motion error, dynamic degree and the worst frame of the environment and of each actor's layer."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._instances = np.array(sorted(ground.shot.instances), np.uint32)
        self._owners = [_ENVIRONMENT, *(layer.name for layer in ground.actors)]
        owner = np.zeros(len(self._instances) + 1, np.int64)            # the last place is the background's
        for number, layer in enumerate(ground.actors, 1):
            owner[:-1][np.isin(self._instances, np.array(layer.ids, np.uint32))] = number
        self._owner = owner
        places = len(owner)
        self._errors, self._ratios = Histograms(places), Histograms(places)
        self._tracks: list[list[tuple[int, float]]] = [[] for _ in self._owners]
        self._stray: list[tuple[int, float, tuple[int, int]]] = []

    def see(self, recent: Sequence[Observed]) -> None:
        if len(recent) < 2 or recent[-1].flow is None:
            return
        moment = recent[-2].moment
        known = comparable(moment, recent[-2].grey)
        found, exact = recent[-1].flow[::STRIDE, ::STRIDE], moment.flow[::STRIDE, ::STRIDE]
        error = np.hypot(found[..., 0] - exact[..., 0], found[..., 1] - exact[..., 1])
        place = self._places(moment.ids[::STRIDE, ::STRIDE][known])
        errors = error[known]
        self._errors.add(errors, place)
        self._ratios.add(*_ratios(found[known], exact[known], place))
        owners = self._owner[place]
        for number, track in enumerate(self._tracks):
            mine = errors[owners == number]
            if len(mine) >= FEWEST // STRIDE**2:
                track.append((moment.number, float(np.median(mine))))
        if len(errors) >= FEWEST // STRIDE**2:
            share, at = stray_share(error, known)
            self._stray.append((moment.number, 100.0 * share, (at[0] * STRIDE, at[1] * STRIDE)))

    def _places(self, ids: Ids) -> NDArray[np.int64]:
        place = np.searchsorted(self._instances, ids)
        safe = np.minimum(place, max(len(self._instances) - 1, 0))
        hit = self._instances[safe] == ids if len(self._instances) else np.zeros(len(ids), bool)
        return np.where(hit, safe, len(self._instances)).astype(np.int64)

    def figures(self) -> Sequence[Figure]:
        out: list[Figure] = []
        for number, name in enumerate(self._owners):
            out += self._group(number, name)
        out += [self._worst_instance(), self._stray_figure()]
        return out

    def _group(self, number: int, name: str) -> list[Figure]:
        errors, ratios = (self._pooled(histograms, number) for histograms in (self._errors, self._ratios))
        track, frame_bar = self._tracks[number], WORST_FRAME_ACTOR if number else WORST_FRAME
        if len(self._ground) < 2 or errors.counts.sum() < FEWEST or not track:
            reason = "one frame has no motion" if len(self._ground) < 2 else "nothing of it can be followed from frame to frame"
            return [unmeasured("motion", key, unit, reason, bar=bar, object=name)
                    for key, unit, bar in (("epe", "px", MEDIAN), ("over_one", "%", OVER_ONE), ("worst_frame", "px", frame_bar),
                                           ("dynamic", "", DYNAMIC))]
        counts = {"pixels": int(errors.counts.sum()), "frames": len(track)}
        worst = tuple(Spot(name, frame, frame, value) for frame, value in sorted(track, key=lambda one: -one[1])[:5])
        series = tuple((float(frame), value) for frame, value in track)
        out = [Figure("motion", "epe", errors.median(0), "px", MEDIAN, name, series=series, worst=worst, counts=counts),
               Figure("motion", "over_one", 100.0 * errors.share_above(0, 1.0), "%", OVER_ONE, name, counts=counts),
               Figure("motion", "worst_frame", worst[0].value, "px", frame_bar, name, worst=worst)]
        moving = int(ratios.counts.sum())
        if moving < FEWEST:
            out.append(unmeasured("motion", "dynamic", "", f"it moves less than {SLOW:g} px a frame", bar=DYNAMIC, object=name))
        else:
            out.append(Figure("motion", "dynamic", ratios.median(0), "", DYNAMIC, name, counts={"pixels": moving}))
        return out

    def _pooled(self, histograms: Histograms, number: int) -> Histograms:
        pooled = Histograms(1)
        pooled.counts[0] = histograms.counts[self._owner == number].sum(0)
        return pooled

    def _worst_instance(self) -> Figure:
        counts = self._errors.counts[:-1].sum(1)
        judged = np.flatnonzero(counts >= FEWEST)
        if not len(judged):
            return unmeasured("motion", "worst_instance", "px", "nothing can be followed from frame to frame", bar=None)
        values = {int(place): self._errors.median(int(place)) for place in judged}
        order = sorted(values, key=lambda place: -values[place])[:5]
        numbers = self._ground.shot.frames.numbers
        worst = tuple(Spot(self._ground.shot.instances[int(self._instances[place])], numbers[0], numbers[-1], values[place])
                      for place in order)
        return Figure("motion", "worst_instance", values[order[0]], "px", None, worst=worst, counts={"instances": len(judged)})

    def _stray_figure(self) -> Figure:
        if not self._stray:
            reason = "one frame has no motion" if len(self._ground) < 2 else "nothing can be followed from frame to frame"
            return unmeasured("motion", "stray", "%", reason, bar=STRAY)
        values = np.array([share for _, share, _ in self._stray])
        order = np.argsort(-values, kind="stable")[:5]
        worst = tuple(Spot("", self._stray[i][0], self._stray[i][0], self._stray[i][1], self._stray[i][2]) for i in order)
        return Figure("motion", "stray", float(values.max()), "%", STRAY, worst=worst,
                      series=tuple((float(frame), share) for frame, share, _ in self._stray))
