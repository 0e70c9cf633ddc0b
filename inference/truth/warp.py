# SPDX-License-Identifier: GPL-3.0-or-later
"""Warp error: does a point of the scene look the same 1, 4, 12 and 36 frames later, followed by exact geometry?

After Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018), with exact motion in place of estimated motion.
Near frames tell of boiling and sliding, distant ones of slow change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .colour import colours_at
from .figures import Bar, Figure, unmeasured
from .geometry import project
from .ground import Array, Ground, Ids, Moment
from .heat import HeatMap
from .points import MARGIN, Cloud, sample
from .spots import Mark, Marks, Median, Owners, clear, seen_clearly, spacing_of, worst_place
from .watch import Observed

METRIC, MEDIAN, UNIT = "warp_error", "warp_median", "1e-3"
LAGS = (1, 4, 12, 36)
#: fewer points of an object over all frames say nothing of it
FEWEST = 100
#: of the environment; measured: floors to 0.02, 0.03, 0.04 and 0.05 (path-traced, moving cameras and shadows)
BARS = {1: Bar(highest=0.2), 4: Bar(highest=0.3), 12: Bar(highest=0.4), 36: Bar(highest=0.5)}
#: of actors, whose light changes as they turn, which moves the mean, hardly the median; measured: floors to 0.17, 0.31 and 0.50;
#: a mirrored actor 7, 17 and 16, a frozen one 2.8, 11 and 18, one 4 px beside itself 0.26, 0.96 and 2.8
MEDIAN_BARS = {1: Bar(highest=0.6), 4: Bar(highest=1.0), 12: Bar(highest=1.5)}

#: of a frame's errors, left out of its mean: where shadows move
LARGEST = 0.05
#: times as large
ALIKE = 1.15
#: that a frame begins: a part of those that lie this many px apart each way, in every frame another part
POINTS, _SPACING = 1600, 4
#: actors are small: of theirs at least a quarter
_ACTORS = 2


def squared_error(then: Array, now: Array) -> Array:
    """(N,) mean over the channels of the squared differences of colours (N, C), sRGB in [0, 1], times 1000."""
    return np.asarray(1e3 * np.square(now - then).mean(-1), np.float32)


def usual(values: Array) -> float:
    """The mean of all but the LARGEST part of ``values`` (N,): a shadow that moves over a surface is no fault of it."""
    kept = max(len(values) - int(len(values) * LARGEST), 1)
    return float(np.partition(values, kept - 1)[:kept].mean())


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """Points of several frames as one cloud, to be followed in one go; its ``index`` is the first one's."""
    arrays = (np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in ("at", "ids", "rest", "world", "depth"))
    return Cloud(clouds[0].index, *arrays)


@dataclass(frozen=True, eq=False)
class _Birth:
    """The points that one frame began, their colours there (N, 3), and how many px a metre across the view is (N,)."""

    cloud: Cloud
    colours: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class _Errors:
    """The errors (N,) of the points that a frame shows at ``at`` (N, 2), of instances ``ids``, after ``lags`` frames (N,)."""

    at: Array
    ids: Ids
    lags: NDArray[np.intp]
    values: Array


class WarpError:
    """The mean of ``(I_g(u) - I_f)^2`` over points of frame f that are seen in frame g = f + lag, at u, in sRGB; times 1000; in
    each frame without its largest twentieth.

    Every 4th pixel each way is a point, in turns; one that is seen ALIKE times as large, or as small, is left out, because a
    finer or coarser view of a surface differs. I_g is sampled by cubic interpolation: what is left on clean pictures is their
    aliasing and moving shadows. ``heat`` is given the root of each error, in sRGB.
    """

    def __init__(self, ground: Ground, lags: Sequence[int] = LAGS, heat: HeatMap | None = None) -> None:
        self._frames, self._lags, self._heat = len(ground), tuple(lags), heat
        self._owners = Owners(ground.shot)
        self._births: deque[_Birth] = deque(maxlen=max(lags))
        self._actors = frozenset(one for layer in ground.actors for one in layer.ids)
        keys = [(lag, owner) for lag in lags for owner in range(-1, len(self._owners))]
        self._marks, self._medians = {key: Marks() for key in keys}, {key: Median() for key in keys}

    def see(self, recent: Sequence[Observed]) -> None:
        moment, picture = recent[-1].moment, recent[-1].picture
        errors = self._errors(moment, picture)
        for lag in self._lags:
            self._mark(lag, moment.number, errors)
        if self._heat:
            self._heat.write(moment, errors.at, errors.ids, np.sqrt(errors.values / 1e3))
        side = max(1, round(spacing_of(moment.size, POINTS) / _SPACING))
        turn = np.where(moment.covered(self._actors), _turn(moment, min(side, _ACTORS)), _turn(moment, side))
        cloud = sample(moment, _SPACING, turn & clear(moment))
        x, y = cloud.at.astype(int).T
        self._births.append(_Birth(cloud, picture[y, x], np.float32(moment.K[0, 0]) / cloud.depth))

    def _errors(self, moment: Moment, picture: Array) -> _Errors:
        old = [(lag, self._births[-lag]) for lag in self._lags if lag <= len(self._births)]
        if not old:
            return _Errors(np.zeros((0, 2), np.float32), np.zeros(0, np.uint32), np.zeros(0, np.intp), np.zeros(0, np.float32))
        cloud = joined([birth.cloud for _, birth in old])
        found = seen_clearly(cloud, moment)
        scale = moment.K[0, 0] / project(found.world, moment.K, moment.world_from_camera)[1]
        with np.errstate(invalid="ignore"):
            larger = np.abs(np.log(scale / np.concatenate([birth.scale for _, birth in old])))
            seen = found.visible & (larger < np.log(ALIKE))
        at = found.at[seen]
        then = np.concatenate([birth.colours for _, birth in old])[seen]
        lags = np.repeat([lag for lag, _ in old], [len(birth.cloud) for _, birth in old])[seen]
        return _Errors(at, cloud.ids[seen], lags, squared_error(then, colours_at(picture, at, cubic=True)))

    def _mark(self, lag: int, number: int, errors: _Errors) -> None:
        late = errors.lags == lag
        values, at, ids = errors.values[late], errors.at[late], errors.ids[late]
        owner = self._owners.of(ids)
        for place in range(-1, len(self._owners)):
            mine = owner == place if place >= 0 else np.ones(len(ids), bool)
            if mine.any():
                pixel, instance = worst_place(values[mine], at[mine], ids[mine])
                self._medians[lag, place].add(values[mine])
                mean, count, name = usual(values[mine]), int(mine.sum()), self._owners.name(instance)
                self._marks[lag, place].add(Mark(number, mean, count, pixel, name))

    def figures(self) -> Sequence[Figure]:
        """For every lag: the mean over everything, of the environment, of every actor; and the median of every actor."""
        everything = [self._figure(METRIC, lag, owner) for lag in self._lags for owner in range(-1, len(self._owners))]
        return everything + [self._figure(MEDIAN, lag, owner) for lag in self._lags for owner in range(1, len(self._owners))]

    def _figure(self, metric: str, lag: int, owner: int) -> Figure:
        name, marks = self._owners.names[owner] if owner >= 0 else "", self._marks[lag, owner]
        bar = MEDIAN_BARS.get(lag) if metric == MEDIAN else BARS.get(lag) if not owner else None
        if self._frames <= lag:
            return unmeasured(metric, str(lag), UNIT, f"{lag + 1} frames are needed, the shot has {self._frames}", bar=bar,
                              object=name)
        if marks.points < FEWEST:
            return unmeasured(metric, str(lag), UNIT, f"{marks.points} points are seen again {lag} frame{'s' * (lag > 1)} later, "
                              f"{FEWEST} are needed", bar=bar, object=name)
        value = self._medians[lag, owner].value if metric == MEDIAN else marks.mean
        return Figure(metric, str(lag), value, UNIT, bar, name, series=marks.series, worst=marks.worst,
                      counts={"points": marks.points})


def heat_map(folder: Path, ground: Ground) -> HeatMap:
    """Of the warp error, as the root of its square: up to 0.1, a tenth of the way from black to white."""
    size = ground.shot.size
    return HeatMap(folder, METRIC, 0.1, "sRGB", spacing_of((size.height, size.width), POINTS))


def _turn(moment: Moment, side: int) -> NDArray[np.bool_]:
    """(H, W) the one of ``side`` x ``side`` parts of the grid whose turn it is in this frame."""
    # a step that has no factor in common with the number of parts, so that the next frame's lie apart from this one's
    row, column = divmod(moment.index * (side + 1) % side ** 2, side)
    first, pitch = MARGIN + _SPACING // 2, _SPACING * side
    out = np.zeros(moment.size, bool)
    out[first + row * _SPACING::pitch, first + column * _SPACING::pitch] = True
    return out
