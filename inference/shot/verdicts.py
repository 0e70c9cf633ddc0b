# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's verdict: what its pictures measure against the scene, each number with its bar or the reason why there is none. A
guess is not an answer, and what cannot be measured never counts as right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

#: a value this many times nearer to the best one than its bar allows scores 100, this many times farther 0, the bar itself 50
FULL_SCORE = 4.0


class Outcome(Enum):
    PASS = "pass"
    FAIL = "fail"
    NOT_MEASURABLE = "not measurable"
    #: a number without a bar
    INFO = "info"


class Measured(Enum):
    """Whose pictures were measured: the take's, or what Cycles rendered of the scene, which says how near right is."""

    FINAL = "final"
    BEAUTY = "beauty"


@dataclass(frozen=True)
class Bar:
    """What is held to be right: ``lowest`` <= value <= ``highest``."""

    lowest: float = -math.inf
    highest: float = math.inf

    def holds(self, value: float) -> bool:
        return self.lowest <= value <= self.highest

    def excess(self, value: float) -> float:
        """How far a value is from the best one, in the distance that the bar allows: 0 is best, 1 is the bar, +inf is possible.

        The best is the middle of two ends, 0 under a highest one, and above a lowest one 1, as for shares, where that is less
        than 1; else more is better without an end.
        """
        if math.isfinite(self.lowest) and math.isfinite(self.highest):
            return _over(abs(value - (self.lowest + self.highest) / 2.0), (self.highest - self.lowest) / 2.0)
        if math.isfinite(self.highest):
            return _over(max(value, 0.0), self.highest)
        if math.isfinite(self.lowest):
            return _over(max(1.0 - value, 0.0), 1.0 - self.lowest) if self.lowest < 1.0 else _over(self.lowest, value)
        return 0.0


@dataclass(frozen=True)
class Spot:
    """Where a measure is worst: an object, or "" for the picture, scene frames ``first`` to ``last``, and the value there; ``at``
    is a pixel (x, y) of frame ``first``, or None."""

    object: str
    first: int
    last: int
    value: float
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class Figure:
    """One measure of pictures against a shot.

    ``metric`` names it, ``key`` one of its numbers ("warp_error", "12"), ``object`` what it is of, "" for the whole picture;
    ``value`` is None where it is not measurable, and ``reason`` says why; ``unit`` is printed behind it. ``series`` are (scene
    frame, value) for a plot, ``worst`` the worst spots, the worst first. ``beauty`` is the same value of the captured beauty.

    Raises ValueError for a figure that is neither a number nor a reason, and for numbers that are not finite.
    """

    metric: str
    key: str
    value: float | None
    unit: str
    bar: Bar | None = None
    object: str = ""
    reason: str = ""
    series: tuple[tuple[float, float], ...] = ()
    worst: tuple[Spot, ...] = ()
    beauty: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason) or (self.value is not None and not math.isfinite(self.value)):
            raise ValueError(f"{self.name}: a figure is a finite number, or a reason why there is none")
        numbers = [number for point in self.series for number in point] + [spot.value for spot in self.worst]
        if not all(map(math.isfinite, numbers if self.beauty is None else [*numbers, self.beauty])):
            raise ValueError(f"{self.name}: its series, spots and beauty are finite; leave out what is not known")

    @property
    def name(self) -> str:
        """Unique in a verdict: metric, key and object."""
        return ".".join(part for part in (self.metric, self.key, self.object) if part)

    @property
    def outcome(self) -> Outcome:
        if self.value is None:
            return Outcome.NOT_MEASURABLE
        if self.bar is None:
            return Outcome.INFO
        return Outcome.PASS if self.bar.holds(self.value) else Outcome.FAIL

    @property
    def excess(self) -> float | None:
        """:meth:`Bar.excess` of the value; None without a value or a bar."""
        return None if self.value is None or self.bar is None else self.bar.excess(self.value)

    @property
    def ratio(self) -> float | None:
        """The value over the beauty's; None without one, or where that is 0 or next to it."""
        ratio = self.value / self.beauty if self.value is not None and self.beauty else math.inf
        return ratio if math.isfinite(ratio) else None


@dataclass(frozen=True)
class Repair:
    """A change of a take that may mend what failed: of an object, because of scene ``frames`` (first, last), by
    ``lucid edit SHOT *arguments``."""

    object: str
    frames: tuple[int, int]
    reason: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Total:
    """All figures together; ``failed`` are the names of those beyond their bars, ``score`` is in [0, 100], None without a
    figure that has both a value and a bar."""

    outcome: Outcome
    failed: tuple[str, ...]
    score: float | None


@dataclass(frozen=True)
class Verdict:
    """What was found in a take of the shot whose manifest has the sha256 ``shot``; ``take`` is None for the beauty alone.

    ``seconds`` are those that each metric took. Raises ValueError where two figures have one name.
    """

    shot: str
    take: int | None
    measured: Measured
    figures: tuple[Figure, ...]
    total: Total
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    repairs: tuple[Repair, ...] = ()

    def __post_init__(self) -> None:
        names = [figure.name for figure in self.figures]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two figures are called {twice[0]}")

    def of(self, outcome: Outcome) -> tuple[Figure, ...]:
        return tuple(figure for figure in self.figures if figure.outcome is outcome)


def judge(figures: Iterable[Figure]) -> Total:
    """What figures come to.

    A verdict fails with its first failed figure, and passes when something with a bar was measured and all of that holds.
    Each figure scores 100 at a quarter of the distance its bar allows (:meth:`Bar.excess`) or less, 50 at the bar, 0 at four
    times it, linearly in the logarithm. The score is the mean over metrics of the mean over their keys of the mean over
    objects, so that a metric with many objects weighs no more than another.
    """
    judged = [figure for figure in figures if figure.outcome in (Outcome.PASS, Outcome.FAIL)]
    failed = tuple(figure.name for figure in judged if figure.outcome is Outcome.FAIL)
    if not judged:
        return Total(Outcome.NOT_MEASURABLE, (), None)
    metrics: dict[str, dict[str, list[float]]] = {}
    for figure in judged:
        metrics.setdefault(figure.metric, {}).setdefault(figure.key, []).append(_score(figure.excess or 0.0))
    score = _mean(_mean(map(_mean, keys.values())) for keys in metrics.values())
    return Total(Outcome.FAIL if failed else Outcome.PASS, failed, round(score, 1))


def brief(total: Total) -> str:
    """A total in a few words: "fail (2), 83"."""
    failed = f" ({len(total.failed)})" if total.failed else ""
    return total.outcome.value + failed + ("" if total.score is None else f", {total.score:.0f}")


def _score(excess: float) -> float:
    if not 0.0 < excess < math.inf:
        return 0.0 if excess else 100.0
    return 50.0 * (1.0 - min(max(math.log(excess, FULL_SCORE), -1.0), 1.0))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)


def _over(distance: float, allowed: float) -> float:
    if distance <= 0.0:
        return 0.0
    return distance / allowed if allowed > 0.0 else math.inf
