# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a place in the world keep its colour: drift over the shot, and flicker from frame to frame.

Neighbouring frames are blind to drift: three thousandths a frame are nothing in the warp error of two frames and 10 dE after two
seconds. So points are followed by exact geometry for as long as the shot lasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .colour import delta_e, lab_at
from .figures import Bar, Figure, unmeasured
from .ground import Array, Ground, Mask, Moment
from .heat import HeatMap
from .points import Cloud, Found, sample
from .spots import REACH, Mark, Marks, Owners, clear, seen_clearly, spacing_of, worst_place
from .warp import joined
from .watch import Observed

DRIFT, FLICKER = "drift", "flicker"
#: frames that begin points, spread over the shot
BIRTHS = 8
#: of a frame's points, and of those of each actor; their spacing follows from it
POINTS, ACTOR_POINTS = 1600, 200
#: points of an age without which it is not the shot's end
FEWEST = 500
#: points of a frame or an object below which it has no median
FEW = 50
#: seconds over which colours must be followed to speak of a slope
LEAST_SPAN = 0.5
#: px: the mean of a patch is a point's colour
PATCH = 5

#: measured: floors 0.07, 0.12 and 0.29 (a crane over rough ground), a drift of 0.3 % a frame 4.5, a texture that slides 5.9
SLOPE_BAR = Bar(highest=0.5)
#: CIE76, about one just noticeable difference; measured: floor 0.01, that drift 6.8
BIAS_BAR = Bar(highest=2.3)
#: measured: floors 0.07 and 0.10, a gain that is off by 2 % in each frame 1.1, noise of 15 % 4.7
FLICKER_BAR = Bar(highest=0.3)
_DRIFTS = (("end", "dE"), ("slope", "dE/s"), ("bias", "dE"))


@dataclass(frozen=True)
class Age:
    """The points that began in frame ``birth``, ``age`` frames later: how many were seen, the median dE, and the median signed
    change of L*, a*, b*."""

    birth: int
    age: int
    points: int
    change: float
    signed: tuple[float, float, float]


def ages_of(birth: NDArray[np.intp], now: int, change: Array) -> list[Age]:
    """How far the colours of points begun in frames ``birth`` (N,) are in frame ``now`` from where they began: ``change`` (N, 3)
    of L*a*b*. One for every birth of at least FEW points, the first first."""
    out = []
    for frame in np.unique(birth).tolist():
        own = change[birth == frame]
        if len(own) >= FEW:
            lightness, a, b = (float(value) for value in np.median(own, axis=0))
            out.append(Age(frame, now - frame, len(own), float(np.median(np.linalg.norm(own, axis=-1))), (lightness, a, b)))
    return out


def slope(ages: Sequence[Age], seconds: float) -> float | None:
    """dE a second: least squares over the ages, weighted by points, with an offset for each birth, so that it does not count when
    another frame's points differ more from the first. ``seconds`` are a frame's. None below LEAST_SPAN."""
    if not ages or (max(one.age for one in ages) - min(one.age for one in ages)) * seconds < LEAST_SPAN - 1e-6:
        return None
    births = np.array([one.birth for one in ages])
    times = np.array([one.age for one in ages]) * seconds
    change, weight = np.array([one.change for one in ages]), np.array([one.points for one in ages], np.float64)
    _, group = np.unique(births, return_inverse=True)
    total = np.bincount(group, weight)
    times, change = (values - (np.bincount(group, weight * values) / total)[group] for values in (times, change))
    return float((weight * times * change).sum() / (weight * times * times).sum())


def oldest(ages: Sequence[Age], fewest: int = FEWEST) -> tuple[int, int, float, float] | None:
    """The largest age of at least ``fewest`` points over all births: (frames, points, dE, bias), each the mean of the births'
    medians by their points; bias is the length of the signed change. None when there is no such age."""
    for age in sorted({one.age for one in ages}, reverse=True):
        now = [one for one in ages if one.age == age]
        points = sum(one.points for one in now)
        if points >= fewest:
            change = sum(one.change * one.points for one in now) / points
            signed = sum(np.array(one.signed) * one.points for one in now) / points
            return age, points, change, float(np.linalg.norm(signed))
    return None


def bends(light: Sequence[Array]) -> Array:
    """(N,) ``|L*(t+1) - 2 L*(t) + L*(t-1)|`` of three frames' L* (N,) each, NaN where one is: 0 for light that changes evenly."""
    before, now, after = light
    return np.asarray(np.abs(after - 2 * now + before), np.float32)


@dataclass(eq=False)
class _Live:
    """All points so far: ``birth`` (N,) their frames, ``owner`` (N,) their objects, ``first`` (N, 3) L*a*b* at birth, ``light``
    L* (N,) in up to three frames, the newest last, NaN where not seen."""

    cloud: Cloud
    birth: NDArray[np.intp]
    owner: NDArray[np.intp]
    first: Array
    light: list[Array]

    def grown(self, more: _Live) -> _Live:
        """With the points that the newest frame began."""
        nothing = np.full(len(more.cloud), np.nan, np.float32)
        light = [np.concatenate([mine, nothing]) for mine in self.light[:-1]]
        return _Live(joined([self.cloud, more.cloud]), np.concatenate([self.birth, more.birth]),
                     np.concatenate([self.owner, more.owner]), np.concatenate([self.first, more.first]),
                     [*light, np.concatenate([self.light[-1], more.light[-1]])])


class Constancy:
    """World-point drift and static flicker, from the same points: 5x5 px means followed from up to 8 frames to the shot's end.

    Held against bars are points of the world that stand still and are of no actor; an actor's colours change with its light, so
    its figures have none and are for comparison with the beauty's. Drift is CIE76 against the point's own colour where it began;
    ``heat`` is given that.
    """

    def __init__(self, ground: Ground, heat: HeatMap | None = None) -> None:
        self._frames, self._seconds, self._heat = len(ground), ground.seconds, heat
        self._owners = Owners(ground.shot)
        self._actors = tuple(layer.ids for layer in ground.actors)
        self._births = {place * len(ground) // BIRTHS for place in range(BIRTHS)}
        self._live: _Live | None = None
        self._ages: list[list[Age]] = [[] for _ in self._owners.names]
        self._drift = [Marks() for _ in self._owners.names]
        self._flicker = [Marks() for _ in self._owners.names]

    def see(self, recent: Sequence[Observed]) -> None:
        moment, picture = recent[-1].moment, recent[-1].picture
        if self._live:
            self._look(self._live, moment, picture)
        if moment.index in self._births:
            begun = self._begun(moment, picture)
            if self._heat and not self._live:
                self._heat.write(moment, begun.cloud.at, begun.cloud.ids, np.zeros(len(begun.cloud), np.float32))
            self._live = self._live.grown(begun) if self._live else begun

    def _begun(self, moment: Moment, picture: Array) -> _Live:
        spacing, clean = spacing_of(moment.size, POINTS), clear(moment)
        clouds = [sample(moment, spacing, clean & ~moment.covered([one for ids in self._actors for one in ids]))]
        for ids in self._actors:
            mine = clean & moment.covered(ids)
            dense = round(math.sqrt(np.count_nonzero(mine) / ACTOR_POINTS))
            clouds.append(sample(moment, min(max(dense, 2), spacing), mine))
        cloud = joined(clouds)
        lab = lab_at(picture, cloud.at, PATCH)
        return _Live(cloud, np.full(len(cloud), moment.index), self._owners.of(cloud.ids), lab, [lab[:, 0]])

    def _look(self, live: _Live, moment: Moment, picture: Array) -> None:
        found = seen_clearly(live.cloud, moment)
        lab = np.full((len(live.cloud), 3), np.nan, np.float32)
        lab[found.visible] = lab_at(picture, found.at[found.visible], PATCH)
        live.light = [*live.light[-2:], lab[:, 0]]
        change, judged = delta_e(lab, live.first), found.visible & (found.still | (live.owner > 0))
        for owner in range(len(self._owners)):
            mine = judged & (live.owner == owner)
            ages = ages_of(live.birth[mine], moment.index, (lab - live.first)[mine])
            self._ages[owner] += ages
            if ages:
                eldest = mine & (live.birth == ages[0].birth)
                self._drift[owner].add(_mark(moment, change, eldest, found, live.cloud, self._owners))
            if len(live.light) == 3:
                bent = bends(live.light)
                steady = mine & np.isfinite(bent)
                if steady.sum() >= FEW:
                    self._flicker[owner].add(_mark(moment, bent, steady, found, live.cloud, self._owners))
        if self._heat:
            self._heat.write(moment, found.at[judged], live.cloud.ids[judged], change[judged])

    def figures(self) -> Sequence[Figure]:
        """Drift at the end, its slope and bias, and flicker: of the world that stands still, then of every actor."""
        return [figure for owner in range(len(self._owners)) for figure in (*self._drifts(owner), self._flickers(owner))]

    def _drifts(self, owner: int) -> list[Figure]:
        name, barred = self._owners.names[owner] if owner else "", not owner
        ages, marks = self._ages[owner], self._drift[owner]
        end, rise = oldest(ages, FEW if owner else FEWEST), slope(ages, self._seconds)
        bars = {"end": None, "slope": SLOPE_BAR if barred else None, "bias": BIAS_BAR if barred else None}
        lacks = self._lacks(owner, 2)
        if not lacks and not end:
            lacks = f"fewer than {FEW if owner else FEWEST} points are seen again"
        if lacks or not end:
            return [unmeasured(DRIFT, key, unit, lacks, bar=bars[key], object=name) for key, unit in _DRIFTS]
        age, points, change, bias = end
        counts = {"age": age, "points": points}
        found: list[Figure] = []
        for key, unit in _DRIFTS:
            value = {"end": change, "slope": rise, "bias": bias}[key]
            found.append(unmeasured(DRIFT, key, unit, f"colours can be followed for less than {LEAST_SPAN} s", bar=bars[key],
                                    object=name) if value is None else
                         Figure(DRIFT, key, value, unit, bars[key], name, series=marks.series, worst=marks.worst, counts=counts))
        return found

    def _flickers(self, owner: int) -> Figure:
        name, marks = self._owners.names[owner] if owner else "", self._flicker[owner]
        bar = None if owner else FLICKER_BAR
        lacks = self._lacks(owner, 3)
        if lacks or not marks.marks:
            return unmeasured(FLICKER, "", "L*", lacks or f"fewer than {FEW} points are seen in three frames on end", bar=bar,
                              object=name)
        return Figure(FLICKER, "", float(np.median([mark.value for mark in marks.marks])), "L*", bar, name, series=marks.series,
                      worst=marks.worst, counts={"points": marks.points})

    def _lacks(self, owner: int, frames: int) -> str:
        """Why nothing can be said, or ""."""
        if self._frames < frames:
            return f"{frames} frames are needed, the shot has {self._frames}"
        if not self._ages[owner]:
            return f"fewer than {FEW} points of {'it' if owner else 'what stands still'} stay in sight"
        return ""


def heat_map(folder: Path, ground: Ground) -> HeatMap:
    """Of drift: up to 10 dE, where nobody calls it the same colour any more."""
    size = ground.shot.size
    return HeatMap(folder, DRIFT, 10.0, "dE", spacing_of((size.height, size.width), POINTS) + REACH)


def _mark(moment: Moment, values: Array, where: Mask, found: Found, cloud: Cloud, owners: Owners) -> Mark:
    """The median of the ``values`` (N,) ``where`` (N,) there is at least one, and their worst place."""
    pixel, instance = worst_place(values[where], found.at[where], cloud.ids[where])
    return Mark(moment.number, float(np.median(values[where])), int(where.sum()), pixel, owners.name(instance))
