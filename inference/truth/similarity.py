# SPDX-License-Identifier: GPL-3.0-or-later
"""Long similarity: how alike patches of the standing world stay, 2 to 50 frames later and over the whole shot.

Zero-mean normalised cross-correlation (ZNCC) does not see light or colour, but what is drawn: a texture that is another one when
the camera comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .colour import colours_at
from .constancy import BIRTHS
from .figures import Figure, unmeasured
from .geometry import unproject
from .ground import Array, Ground, Mask, Moment
from .points import Cloud, follow, sample
from .spots import Mark, Marks, spacing_of
from .warp import joined
from .watch import Observed

METRIC = "long_similarity"
AGES = (2, 5, 10, 20, 50)
#: patches of a frame; the spacing follows from it
PATCHES = 400
#: patches of an age without which nothing is said of it
FEWEST = 50
#: px from a patch's middle to its edge
REACH = 3
#: standard deviation of 8-bit luma below which a patch shows nothing
_FLAT = 3.0


def zncc(one: Array, other: Array) -> Array:
    """(N,) correlation in [-1, 1] of patches (N, P) of luma in [0, 255], each without its mean; NaN where the first is flat."""
    a, b = (values - values.mean(-1, keepdims=True) for values in (one, other))
    size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    shows = np.sqrt((a * a).mean(-1)) >= _FLAT
    return np.where(shows, (a * b).sum(-1) / np.maximum(size, 1e-6), np.nan).astype(np.float32)


def patches_at(grey: NDArray[np.uint8], at: Array, right: Array, down: Array) -> Array:
    """(N, 49) luma of patches of 7x7 places around ``at`` (N, 2) px in ``grey`` (H, W), whose steps are ``right`` and ``down``
    (N, 2) px: a patch that was upright in another frame, as its plane lies now."""
    steps = np.arange(-REACH, REACH + 1, dtype=np.float32)
    across, along = (steps[:, None] * way[:, None] for way in (right, down))
    place = at[:, None, None] + across[:, None] + along[:, :, None]
    return colours_at(grey[..., None].astype(np.float32), place.reshape(-1, 2)).reshape(len(at), len(steps) ** 2)


@dataclass(frozen=True, eq=False)
class _Birth:
    """A frame's patches: their middles, and the points REACH px to the right of them and below them, one after the other; what
    the patches (N, 49) show."""

    index: int
    cloud: Cloud
    luma: Array


class LongSimilarity:
    """The median ZNCC of patches with themselves later, at several ages in frames and, as "full", from the first frame to the
    last; "slope" is its change a second, least squares over the ages. Points that stand still and are of no actor."""

    def __init__(self, ground: Ground) -> None:
        self._frames, self._seconds = len(ground), ground.seconds
        self._actors = frozenset(one for layer in ground.actors for one in layer.ids)
        self._starts = {place * len(ground) // BIRTHS for place in range(BIRTHS)}
        self._births: list[_Birth] = []
        self._marks = {age: Marks() for age in sorted({*AGES, self._frames - 1}) if 0 < age < self._frames}

    def see(self, recent: Sequence[Observed]) -> None:
        newest = recent[-1]
        for birth in self._births:
            age = newest.moment.index - birth.index
            if age in self._marks:
                alike = _alike(birth, newest)
                if len(alike) >= FEWEST:
                    self._marks[age].add(Mark(newest.moment.number, float(np.median(alike)), len(alike)))
        if newest.moment.index in self._starts:
            self._births.append(_begin(newest, newest.moment.covered(self._actors)))

    def figures(self) -> Sequence[Figure]:
        found = [self._at(str(age), age) for age in AGES]
        return [*found, self._at("full", self._frames - 1), self._slope()]

    def _at(self, key: str, age: int) -> Figure:
        if age not in self._marks:
            return unmeasured(METRIC, key, "", f"{max(age, 1) + 1} frames are needed, the shot has {self._frames}")
        marks = self._marks[age]
        if not marks.marks:
            return unmeasured(METRIC, key, "", f"fewer than {FEWEST} patches that show something and stand still are seen again")
        return Figure(METRIC, key, marks.mean, "", series=marks.series, counts={"age": age, "patches": marks.points})

    def _slope(self) -> Figure:
        curve = [(age * self._seconds, marks.mean, marks.points) for age, marks in self._marks.items() if marks.marks]
        if len(curve) < 3:
            return unmeasured(METRIC, "slope", "1/s", "fewer than three ages could be measured")
        times, alike, weights = np.array(curve).T
        rise = np.polyfit(times, alike, 1, w=np.sqrt(weights))[0]
        return Figure(METRIC, "slope", float(rise), "1/s", series=tuple((time, value) for time, value, _ in curve))


def _begin(newest: Observed, actors: Mask) -> _Birth:
    moment = newest.moment
    spacing = spacing_of(moment.size, PATCHES)
    middle = sample(moment, spacing, ~actors)
    x, y = middle.at.astype(int).T
    whole = np.ones(len(middle), bool)
    for dx, dy in ((REACH, 0), (-REACH, 0), (0, REACH), (0, -REACH)):
        whole &= (moment.ids[y + dy, x + dx] == middle.ids) & np.isfinite(moment.rest[y + dy, x + dx]).all(-1)
    middle, x, y = middle.where(whole), x[whole], y[whole]
    right, down = (np.tile(np.array(way, np.float32), (len(x), 1)) for way in ((1, 0), (0, 1)))
    cloud = joined([middle, _points(moment, x + REACH, y), _points(moment, x, y + REACH)])
    return _Birth(moment.index, cloud, patches_at(newest.grey, middle.at, right, down))


def _points(moment: Moment, x: NDArray[np.int_], y: NDArray[np.int_]) -> Cloud:
    """The points of these pixels."""
    at = np.stack([x, y], -1) + np.float32(0.5)
    depth = moment.depth[y, x]
    world = unproject(at, depth, moment.K, moment.world_from_camera).astype(np.float32)
    return Cloud(moment.index, at.astype(np.float32), moment.ids[y, x], moment.rest[y, x], world, depth)


def _alike(birth: _Birth, newest: Observed) -> Array:
    """The correlations of those patches that are seen, stand still and show something."""
    found = follow(birth.cloud, newest.moment)
    middle, right, down = found.at.reshape(3, -1, 2)
    known = np.isfinite(found.at).reshape(3, -1, 2).all((0, 2))
    clear = known & found.visible[:len(middle)] & found.still[:len(middle)]
    middle, right, down = middle[clear], right[clear], down[clear]
    luma = patches_at(newest.grey, middle, (right - middle) / np.float32(REACH), (down - middle) / np.float32(REACH))
    alike = zncc(birth.luma[clear], luma)
    return alike[np.isfinite(alike)]
