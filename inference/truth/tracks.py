# SPDX-License-Identifier: GPL-3.0-or-later
"""Corners of still surfaces followed through the pictures: where each is seen, and where in the world it was taken to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Spot
from .ground import Array, Double, Ground, Mask, Moment
from .points import Cloud, follow, sample
from .watch import Observed

Grey = NDArray[np.uint8]

#: frames after which new corners are looked for, and for which each is followed
EVERY, LIFE = 12, 24
#: corners below which new ones are looked for at once, but not before this many frames
FEW, SOON = 60, 4
#: corners of one start at most, and px between them
MOST, APART = 400, 6
#: px by which a corner may miss its start when it is followed there and back
RETURN = 0.5
#: px kept from outlines at a start: half the window in which a corner is looked for
_CLEAR = 7
_WINDOW, _LEVELS = (13, 13), 3
#: window in which a corner is compared with its start, and px by which that may move it
_FINE, _NEAR = (9, 9), 0.5
#: how sharply inverse depth may bend from pixel to pixel, as a share of itself, on one surface
_BEND = 0.02
#: reach of Tukey's biweight, in standard deviations: on normal errors it is 95 % as good as least squares
_TUKEY = 4.685
#: the median length of a normal error in the plane, in standard deviations
_MEDIAN = 1.1774
#: px of typical error below which corners are not trusted less
_LEAST = 0.02


@dataclass(frozen=True, eq=False)
class Corners:
    """The corners that the newest two pictures show, of still surfaces.

    ``born`` (N,) is the frame of each one's start, ``world`` (N, 3) metres where the scene had it there; ``before`` and
    ``at`` (N, 2) px are where the previous and the newest picture show it (a pixel's centre at +0.5).
    """

    born: NDArray[np.intp]
    world: Array
    before: Array
    at: Array

    def __len__(self) -> int:
        return len(self.born)

    def where(self, mask: Mask) -> Corners:
        return Corners(self.born[mask], self.world[mask], self.before[mask], self.at[mask])

    def oldest(self, fewest: int) -> Corners:
        """Those of the earliest start of which at least ``fewest`` are left: the longer a way, the more an error shows.
        All of them where no start has as many."""
        for born in np.unique(self.born):
            mine = self.born == born
            if mine.sum() >= fewest:
                return self.where(mine)
        return self


@dataclass(frozen=True, eq=False)
class _Start:
    """Corners that began in one picture, ``grey``, and where they are ``at`` (N, 2) px now."""

    cloud: Cloud
    grey: Grey
    at: Array


class Tracker:
    """Corners by Shi and Tomasi (CVPR 1994), followed from picture to picture by Lucas and Kanade's method in pyramids
    (Bouguet 2000), there and back. Measures share one: it takes a frame in once, whoever asks first.

    They start in every EVERY-th picture, and sooner when few are left, at pixels that show the environment away from
    outlines. Each step's place is made precise in the picture of the start, or steps would add up their errors (a hundredth
    of a pixel each way is a tenth of a slow camera's frame). A corner ends when the scene says that its point is hidden or
    has moved, when it does not come back within RETURN px, and after LIFE frames.
    """

    def __init__(self, ground: Ground) -> None:
        self._actors = tuple(number for layer in ground.actors for number in layer.ids)
        self._starts: list[_Start] = []
        self._corners = _none()
        self._index = -1
        self._started = -EVERY

    def see(self, recent: Sequence[Observed]) -> Corners:
        """The corners in ``recent[-1]``, the newest frame; frames are shown in order."""
        newest = recent[-1]
        index = newest.moment.index
        if index != self._index:
            self._index = index
            self._corners = self._advance(recent) if self._starts else _none()
            age = index - self._started
            if age >= EVERY or (age >= SOON and len(self._corners) < FEW):
                self._started = index
                cloud = start(newest.moment, newest.grey, self._actors)
                self._starts += [_Start(cloud, newest.grey, cloud.at)] if len(cloud) else []
        return self._corners

    def _advance(self, recent: Sequence[Observed]) -> Corners:
        moment, grey, starts = recent[-1].moment, recent[-1].grey, self._starts
        before = np.concatenate([one.at for one in starts])
        after, sure = moved(recent[-2].grey, grey, before)
        ends = np.cumsum([len(one.cloud) for one in starts])[:-1]
        places = [refined(one.grey, grey, one.cloud.at, at) for one, at in zip(starts, np.split(after, ends), strict=True)]
        keep = sure & np.concatenate([_there(one.cloud, moment) for one in starts])
        left = [_Start(one.cloud.where(mine), one.grey, at[mine])
                for one, mine, at in zip(starts, np.split(keep, ends), places, strict=True)]
        self._starts = [one for one in left if len(one.cloud) and moment.index - one.cloud.index < LIFE]
        born = np.concatenate([np.full(len(one.cloud), one.cloud.index) for one in starts])
        world = np.concatenate([one.cloud.world for one in starts])
        return Corners(born, world, before, np.concatenate(places)).where(keep)


def moved(one: Grey, other: Grey, before: Array) -> tuple[Array, Mask]:
    """Where the points ``before`` (N, 2) px of the picture ``one`` (H, W) are in the ``other``, and where that is sure (N,):
    followed there and back they come within RETURN px of their start."""
    old = (before - 0.5)[:, None]               # OpenCV puts pixels' centres at whole numbers
    new, there, _ = cv2.calcOpticalFlowPyrLK(one, other, old, None, winSize=_WINDOW, maxLevel=_LEVELS)
    again, back, _ = cv2.calcOpticalFlowPyrLK(other, one, new, None, winSize=_WINDOW, maxLevel=_LEVELS)
    near = np.linalg.norm((again - old)[:, 0], axis=-1) < RETURN
    height, width = one.shape
    inside = (new[:, 0] >= 0).all(-1) & (new[:, 0] <= (width - 1, height - 1)).all(-1)
    sure = near & inside & (there[:, 0] > 0) & (back[:, 0] > 0)
    return np.asarray(new[:, 0] + 0.5, np.float32), np.asarray(sure)


def refined(one: Grey, other: Grey, first: Array, guess: Array) -> Array:
    """Where the points ``first`` (N, 2) px of the picture ``one`` (H, W) are in the ``other``, near the ``guess`` (N, 2); the
    guess itself where nothing alike is within half a pixel of it."""
    old, new = (np.ascontiguousarray(at - 0.5).reshape(-1, 1, 2) for at in (first, guess))
    place, found, _ = cv2.calcOpticalFlowPyrLK(one, other, old, new, winSize=_FINE, maxLevel=0,
                                               flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
    at = np.asarray(place[:, 0] + 0.5, np.float32)
    near = (found[:, 0] > 0) & (np.linalg.norm(at - guess, axis=-1) < _NEAR)
    return np.where(near[:, None], at, guess)


def start(moment: Moment, grey: Grey, actors: Sequence[int]) -> Cloud:
    """Corners of the picture ``grey`` (H, W) on surfaces that do not deform and are not of the ``actors``, away from
    outlines: at pixels' centres, so that the frame's passes say exactly where they are in the world."""
    mask = (moment.ids > 0) & ~_outlines(moment, actors)
    corners = cv2.goodFeaturesToTrack(grey, MOST, 0.01, APART, mask=mask.astype(np.uint8))
    where = np.zeros(moment.size, bool)
    if corners is not None:
        x, y = corners[:, 0].astype(int).T
        where[y, x] = True
    cloud = sample(moment, 1, where)
    _, stiff = moment.motions.of(cloud.ids)
    return cloud.where(stiff)


def _outlines(moment: Moment, actors: Sequence[int]) -> Mask:
    """(H, W) what actors cover and where depth jumps, and _CLEAR px around: on a plane, inverse depth is linear."""
    near = np.where(np.isfinite(moment.depth), 1.0 / np.maximum(moment.depth, 1e-6), 0.0).astype(np.float32)
    kernel = np.array([[1, -2, 1]], np.float32)
    bend = sum(np.abs(cv2.filter2D(near, -1, one, borderType=cv2.BORDER_REFLECT_101)) for one in (kernel, kernel.T))
    edge = (np.asarray(bend) > _BEND * near) | moment.covered(actors)
    side = 2 * _CLEAR + 1
    return np.asarray(cv2.dilate(edge.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _there(cloud: Cloud, moment: Moment) -> Mask:
    """(N,) whose points the scene shows in ``moment`` where they were in the world."""
    _, stiff = moment.motions.of(cloud.ids)
    there = np.zeros(len(cloud), bool)
    found = follow(cloud.where(stiff), moment)
    there[stiff] = found.visible & found.still
    return there


def _none() -> Corners:
    return Corners(np.zeros(0, np.intp), *(np.zeros((0, size), np.float32) for size in (3, 2, 2)))


def trust(errors: Double) -> Double:
    """(N,) weights in [0, 1] for corners with ``errors`` (N,) px: Tukey's biweight by the median error (Huber, Robust
    Statistics, 1981). What has slid away counts nothing."""
    reach = _TUKEY * max(float(np.median(errors)) / _MEDIAN, _LEAST)
    return np.asarray(np.maximum(1 - (errors / reach) ** 2, 0.0) ** 2)


def worst_frames(series: Sequence[tuple[float, float]], bar: Bar, *, most: int = 5) -> tuple[Spot, ...]:
    """The worst spots of the picture: runs of neighbours in ``series`` (scene frame, value) that ``bar`` does not hold,
    each with its worst value, the worst first."""
    def beyond(value: float) -> float:
        return max(bar.lowest - value, value - bar.highest)

    spots: list[Spot] = []
    run = False
    for frame, value in series:
        over = not bar.holds(value)
        if over and run:
            last = spots[-1]
            spots[-1] = Spot("", last.first, int(frame), max(last.value, value, key=beyond))
        elif over:
            spots.append(Spot("", int(frame), int(frame), value))
        run = over
    return tuple(sorted(spots, key=lambda spot: -beyond(spot.value))[:most])
