# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which object a point is, and when and where a measure is worst: what a repair begins with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..shot.model import ENVIRONMENT, Shot
from .figures import Spot
from .ground import Array, Ids, Mask, Moment
from .points import Cloud, Found, follow

Pixel = tuple[int, int]

#: spots of one figure
MOST = 5
#: px: points this near are judged together, one alone may lie on an outline
_CELL = 40
#: px from a point within which a picture must show the same surface
REACH = 2
#: share of the depth from which on a step hides something
_STEP = 0.004
#: share of the worst frame's value down to which its neighbours belong to the same spot
_SAME = 0.7


class Owners:
    """The objects that figures are of: number 0 is the environment, which is everything but the actors, and then each actor's
    layer, in the shot's order."""

    def __init__(self, shot: Shot) -> None:
        self.names = (ENVIRONMENT, *(layer.name for layer in shot.actors))
        self._layers = tuple(np.fromiter(layer.ids, np.uint32) for layer in shot.actors)
        self._instances = shot.instances

    def __len__(self) -> int:
        return len(self.names)

    def of(self, ids: Ids) -> NDArray[np.intp]:
        """(N,) the objects' numbers of instances (N,)."""
        out = np.zeros(len(ids), np.intp)
        for number, layer in enumerate(self._layers, 1):
            out[np.isin(ids, layer)] = number
        return out

    def name(self, instance: int) -> str:
        """An actor's layer, or the instance's own name; "" for what has none."""
        number = int(self.of(np.array([instance], np.uint32))[0])
        return self.names[number] if number else self._instances.get(instance, "")


def spacing_of(size: tuple[int, int], points: int) -> int:
    """px between points each way for about ``points`` of them in a picture (height, width)."""
    return max(2, round(math.sqrt(size[0] * size[1] / points)))


@lru_cache(maxsize=1)
def clear(moment: Moment) -> Mask:
    """:func:`one_surface` of a frame. The newest is kept, because several measures ask for it."""
    return one_surface(moment.ids, moment.depth)


def one_surface(ids: Ids, depth: Array) -> Mask:
    """(H, W) where the pixels up to REACH px away each way are of one of the instances ``ids`` (H, W) and the ``depth`` (H, W),
    metres, has no step there: so far reaches a patch.

    The inverse depth of a plane is linear in the picture, so its Laplacian is 0 there, however the plane slants; at a step it is
    as large as the step.
    """
    # exact below 2^24 instances
    values, box = ids.astype(np.float32), np.ones((2 * REACH + 1,) * 2, np.uint8)
    inverse = 1.0 / depth
    steps = np.abs(cv2.Laplacian(inverse, cv2.CV_32F, ksize=1)) > _STEP * inverse
    return np.asarray((cv2.erode(values, box) == cv2.dilate(values, box)) & (cv2.dilate(steps.astype(np.uint8), box) == 0))


def seen_clearly(cloud: Cloud, moment: Moment) -> Found:
    """:func:`follow`, where a point counts as visible only away from steps and outlines."""
    found = follow(cloud, moment)
    x, y = np.where(found.visible[:, None], found.at, 0.0).astype(int).T
    return replace(found, visible=found.visible & clear(moment)[y, x])


def worst_place(values: NDArray[np.floating[Any]], at: Array, ids: Ids) -> tuple[Pixel, int]:
    """The pixel (x, y) and the instance of the worst of some points: of the picture's cell with the highest mean of the
    ``values`` (N,) at ``at`` (N, 2) px, the highest. N is at least 1."""
    cells = (at // _CELL).astype(np.int64)
    _, cell, counts = np.unique(cells[:, 0] + 100_000 * cells[:, 1], return_inverse=True, return_counts=True)
    means = np.bincount(cell, values) / counts
    fewest = min(3, int(counts.max()))
    worst = int(np.where(counts >= fewest, means, -np.inf).argmax())
    place = int(np.where(cell == worst, values, -np.inf).argmax())
    return (int(at[place, 0]), int(at[place, 1])), int(ids[place])


@dataclass(frozen=True)
class Mark:
    """One frame's value of a measure, of how many points, and where it is worst."""

    number: int
    value: float
    points: int
    at: Pixel | None = None
    object: str = ""


@dataclass
class Marks:
    """A measure frame by frame, for its plot, its pooled value and its worst spots; a few numbers a frame are kept."""

    marks: list[Mark] = field(default_factory=list)

    def add(self, mark: Mark) -> None:
        self.marks.append(mark)

    @property
    def points(self) -> int:
        return sum(mark.points for mark in self.marks)

    @property
    def mean(self) -> float:
        """Over all points of all frames, when each frame's value is its points' mean."""
        return sum(mark.value * mark.points for mark in self.marks) / self.points

    @property
    def series(self) -> tuple[tuple[float, float], ...]:
        return tuple((float(mark.number), mark.value) for mark in self.marks)

    @property
    def worst(self) -> tuple[Spot, ...]:
        return worst_spots(self.marks)


class Median:
    """The median of any number of values above 0, to 4 %, in the memory of a histogram: 32 bins to a decade from 1e-6 to 1e4."""

    _LOWEST, _DECADES, _BINS = -6, 10, 32

    def __init__(self) -> None:
        self._counts = np.zeros(self._DECADES * self._BINS, np.int64)

    def add(self, values: NDArray[np.floating[Any]]) -> None:
        places = (np.log10(np.maximum(values, 10.0 ** self._LOWEST)) - self._LOWEST) * self._BINS
        self._counts += np.bincount(np.clip(places.astype(int), 0, len(self._counts) - 1), minlength=len(self._counts))

    @property
    def value(self) -> float:
        """The middle of the bin that holds the median; of no values, the lowest's."""
        place = int(np.searchsorted(self._counts.cumsum(), 0.5 * self._counts.sum()))
        return float(10.0 ** ((place + 0.5) / self._BINS + self._LOWEST))


def worst_spots(marks: Sequence[Mark], most: int = MOST) -> tuple[Spot, ...]:
    """Up to ``most`` runs of frames around the highest values, the worst first: from each peak as far as the values of the
    same object stay within 30 % of it. Frames of no error at all are no spot."""
    free = [mark.value > 0.0 for mark in marks]
    spots: list[Spot] = []
    for peak in sorted(range(len(marks)), key=lambda place: -marks[place].value):
        if free[peak] and len(spots) < most:
            before = _run(marks, free, peak, range(peak - 1, -1, -1))
            after = _run(marks, free, peak, range(peak + 1, len(marks)))
            free[before:after + 1] = [False] * (after + 1 - before)
            top = marks[peak]
            spots.append(Spot(top.object, marks[before].number, marks[after].number, top.value, marks[before].at))
    return tuple(spots)


def _run(marks: Sequence[Mark], free: Sequence[bool], peak: int, way: Iterable[int]) -> int:
    """The last place of the run from ``peak`` on this ``way``."""
    last = peak
    for place in way:
        if not free[place] or marks[place].object != marks[peak].object or marks[place].value < _SAME * marks[peak].value:
            break
        last = place
    return last
