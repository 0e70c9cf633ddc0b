# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the picture the scene's depth? Motion in the pictures, seen from the exact cameras, says how far away things are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .epipolar import fundamental, sampson, through, triangulate, turning
from .figures import Bar, Figure, unmeasured
from .ground import Array, Double, Ground
from .points import Cloud, follow, sample
from .tracks import worst_frames
from .watch import Observed

#: measured: clean pictures 0.002 to 0.004, a push-in of 8 % 0.13 to 0.18
ABS_REL = Bar(highest=0.05)
#: %, either way: with less motion than the scene's, all is farther; measured: clean pictures 0.1, pictures 3 % too large 3
BIAS = Bar(-1.0, 1.0)
#: share of the points within a quarter; measured: clean pictures 0.99 to 1, a push-in of 8 % 0.63 to 0.75
WITHIN = Bar(lowest=0.95)
#: px; measured: clean pictures 0.03 to 0.07, a texture that slides 5.2
DISTANCE = Bar(highest=1.0)
#: frames over which motion is looked at, and between two looks
SPAN, EVERY = 12, 4
#: degrees between two views of a point, below which its depth is not asked for
PARALLAX = 1.0
#: points of which a pair of pictures is judged, and px between them
FEWEST, SPACING = 100, 6
#: px by which flow there and back may miss a point, and part of the points that must not: else it is not followed but lost
RETURN, FOLLOWED = 1.0, 0.25
#: px that the camera's way must move a point by, or it has only turned
_BASELINE = 0.25
_QUARTER = 1.25

#: intrinsics (3, 3) and world_from_camera (4, 4)
View = tuple[Double, Double]


@dataclass(frozen=True)
class Pair:
    """What two pictures say: ``abs_rel`` is the median of |depth / exact - 1|, at most 1, ``bias`` that of depth / exact - 1,
    %, and ``within`` the share of depths within a quarter, of the ``deep`` points that have parallax, NaN without any;
    ``distance`` px the median over all ``points``."""

    abs_rel: float
    bias: float
    within: float
    deep: int
    distance: float
    points: int


@dataclass(frozen=True, eq=False)
class _Held:
    index: int
    number: int
    view: tuple[Double, Double]
    grey: NDArray[np.uint8]
    cloud: Cloud


class DepthFromMotion:
    """Optical flow over SPAN frames on still surfaces (dense inverse search), triangulated with the exact cameras and
    compared with the exact depth; and, also without parallax, how far it leads from where the cameras allow it
    ("epipolar").

    The later picture is first turned and zoomed back as the exact camera was, so that a fast pan leaves the search no
    longer way than the parallax, which holds what is asked for.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._actors = [number for layer in ground.actors for number in layer.ids]
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._held: list[_Held] = []
        self._pairs: list[tuple[int, Pair]] = []
        self._most = self._lost = 0

    def see(self, recent: Sequence[Observed]) -> None:
        newest = recent[-1]
        moment = newest.moment
        if self._held and self._held[0].index + SPAN == moment.index:
            self._compare(self._held.pop(0), newest)
        if moment.index % EVERY == 0 and moment.index + SPAN < len(self._ground):
            cloud = sample(moment, SPACING, ~moment.covered(self._actors))
            self._held.append(_Held(moment.index, moment.number, (moment.K, moment.world_from_camera), newest.grey, cloud))

    def _compare(self, held: _Held, newest: Observed) -> None:
        moment = newest.moment
        found = follow(held.cloud, moment)
        keep = found.visible & found.still
        cloud = held.cloud.where(keep)
        self._most = max(self._most, len(cloud))
        if len(cloud) < FEWEST:
            return
        views = held.view, (moment.K, moment.world_from_camera)
        there, back = self._moved(held.grey, newest.grey, turning(*_by_kind(views)), cloud.at)
        followed = back < RETURN
        if followed.mean() < FOLLOWED or followed.sum() < FEWEST:
            self._lost += 1
            return
        self._pairs.append((held.number, judge(cloud.where(followed), there[followed], found.at[keep][followed], views)))

    def _moved(self, one: NDArray[np.uint8], other: NDArray[np.uint8], turn: Double, at: Array) -> tuple[Double, Array]:
        """Where the points ``at`` (N, 2) px, at pixels' centres, of the picture ``one`` are in the ``other``, and how many px
        the way back leads beside them (N,)."""
        centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])      # OpenCV puts it at whole numbers
        back = cv2.warpPerspective(other, np.linalg.inv(centre) @ turn @ centre, one.shape[::-1],
                                   flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
        flow, again = self._search.calc(one, back, None), self._search.calc(back, one, None)
        x, y = at.astype(int).T
        there = at + flow[y, x]
        place = (there - 0.5).astype(np.float32)[None]
        home = cv2.remap(again, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return through(turn, there), np.linalg.norm(flow[y, x] + home, axis=-1)

    def figures(self) -> Sequence[Figure]:
        if len(self._ground) <= SPAN:
            reason = f"the shot has {len(self._ground)} frames, more than {SPAN} are needed"
        else:
            reason = f"{self._most} points of still surfaces are seen for {SPAN} frames, {FEWEST} are needed"
            if self._lost and not self._pairs:
                reason = f"surfaces cannot be followed over {SPAN} frames: they have too little texture, or change too much"
        deep = [(number, pair) for number, pair in self._pairs if pair.deep >= FEWEST]
        flat = f"no parallax: nothing is seen from two sides {PARALLAX:g}° apart within {SPAN} frames"
        flat = flat if self._pairs else reason
        return [_figure("depth_from_motion", "abs_rel", "", ABS_REL, [(n, p.abs_rel, p.deep) for n, p in deep], flat),
                _figure("depth_from_motion", "bias", "%", BIAS, [(n, p.bias, p.deep) for n, p in deep], flat),
                _figure("depth_from_motion", "within", "", WITHIN, [(n, p.within, p.deep) for n, p in deep], flat),
                _figure("epipolar", "distance", "px", DISTANCE, [(n, p.distance, p.points) for n, p in self._pairs], reason)]


def judge(cloud: Cloud, there: Double, exact: Array, views: tuple[View, View]) -> Pair:
    """Hold the places ``there`` (N, 2) px, at which the points of ``cloud`` were found in a second picture, against their
    depth and against where the two cameras allow them to be.

    ``views`` are those of the pictures; ``exact`` (N, 2) px is where the points are in the second one, which tells whether
    the camera's way moved them: where it did not, they are held against a place instead of a line.
    """
    intrinsics, cameras = _by_kind(views)
    depth, _ = triangulate(cloud.at, there, intrinsics, cameras)
    _, angle = triangulate(cloud.at, exact, intrinsics, cameras)
    deep = angle > PARALLAX
    abs_rel = bias = within = float("nan")
    if deep.any():
        error = np.nan_to_num(np.clip(depth[deep] / cloud.depth[deep] - 1.0, -1.0, 1.0), nan=1.0)
        abs_rel, bias = float(np.median(np.abs(error))), 100 * float(np.median(error))
        within = float(((error < _QUARTER - 1) & (error > 1 / _QUARTER - 1)).mean())
    pivot = through(turning(intrinsics, cameras), cloud.at)
    if np.nanmedian(np.linalg.norm(exact - pivot, axis=-1)) < _BASELINE:
        distance = np.linalg.norm(there - pivot, axis=-1)
    else:
        distance = sampson(fundamental(intrinsics, cameras), cloud.at, there)
    return Pair(abs_rel, bias, within, int(deep.sum()), float(np.nanmedian(distance)), len(cloud))


def _by_kind(views: tuple[View, View]) -> tuple[tuple[Double, Double], tuple[Double, Double]]:
    """The intrinsics of both views, and the cameras of both."""
    (one, first), (other, second) = views
    return (one, other), (first, second)


def _figure(metric: str, key: str, unit: str, bar: Bar, pairs: Sequence[tuple[int, float, int]], reason: str) -> Figure:
    """The median over pairs of pictures (scene frame of the first, value, points)."""
    if not pairs:
        return unmeasured(metric, key, unit, reason, bar=bar)
    series = [(float(number), value) for number, value, _ in pairs]
    value = float(np.median([value for _, value in series]))
    return Figure(metric, key, value, unit, bar, series=tuple(series), worst=worst_frames(series, bar),
                  counts={"pairs": len(pairs), "points": sum(points for _, _, points in pairs)})
