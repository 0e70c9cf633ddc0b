# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a thing go where the simulation takes it? Points of the picture tracked from frame to frame, held against the exact paths
of the very points of the surface on which they were seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Figure, Spot, unmeasured
from .ground import Array, Double, Mask, Moment
from .points import Cloud, follow, sample
from .templates import HALF, Templates, joined, refine, templates, track, turned
from .watch import Observed

Grey = NDArray[np.uint8]

#: mean deviation in px; measured: floor 0.06 to 0.25; a picture one frame late 1.3 to 12, a frozen figure 25, gravity 10 % low 9
DEVIATION = Bar(highest=1.0)
#: live points without which a frame is not judged
FEWEST = 8
#: live points below which new ones are seeded, and how many there are at most
_TOP_UP, _MOST = 16, 60
#: px by which a point may deviate from how the others do, beside three times their spread
_ASTRAY = 2.0
#: frames for which the scene may not show a point that is still tracked
_PATIENCE = 2
#: a corner's strength, of that of the strongest one
_QUALITY = 0.01
#: the standard deviation of grey levels of what has a texture
_TEXTURE = 2.0


@dataclass(frozen=True)
class Seeding:
    """Where points are seeded: ``where`` (H, W) of a frame, ``edge`` px or more from the outline, on what is seen of it with
    ``smallest`` px² or more; looked for in windows that reach ``half`` px each way."""

    where: Callable[[Moment], Mask] | None = None
    edge: int = 3
    smallest: int = 64
    half: int = HALF


@dataclass(frozen=True, eq=False)
class Fix:
    """What is known of a thing in one frame, counted from 0: ``live`` points tracked, their median ``deviation`` (2,) px from
    where they should be and its median ``length``; ``centre`` (3,) metres, where they should be in the camera's space;
    ``K`` (3, 3) and ``turn`` (3, 3), world from camera; ``place`` (3,) metres, where the scene has the origin of a stiff thing,
    else NaN. Fixes of one ``run`` are of one unbroken track."""

    index: int
    number: int
    live: int
    run: int
    deviation: Double
    length: float
    centre: Double
    K: Double
    turn: Double
    place: Double

    @property
    def tracked(self) -> bool:
        return self.live >= FEWEST

    @property
    def pixel(self) -> tuple[int, int]:
        """(x, y) where the scene has it."""
        x, y = (self.K @ (self.centre / self.centre[2]))[:2].astype(int)
        return int(x), int(y)

    def slope(self, direction: Double) -> tuple[Double, Double]:
        """(2,) and (2,): ``a`` and ``b`` of the two equations a s = b that the picture gives for the metres ``s`` by which the
        thing is off along ``direction`` (3,), a unit vector of the world. From u (Z + s n_z) = f (X + s n_x), the deviated
        pixel's ray through the displaced point, and v alike."""
        n = np.asarray(direction, np.float64) @ self.turn
        ray = np.linalg.solve(self.K, self.K @ (self.centre / self.centre[2]) + [*self.deviation, 0.0])
        f = self.K[[0, 1], [0, 1]]
        return f * (n[:2] - ray[:2] * n[2]), f * (ray[:2] * self.centre[2] - self.centre[:2])

    def pixels(self, direction: Double) -> float:
        """px in the picture per metre along a direction of the world."""
        return float(np.linalg.norm(self.slope(direction)[0]) / self.centre[2])

    def off(self, direction: Double) -> float:
        """Metres by which the thing in the picture is off the scene's along ``direction``, nothing being known of its depth but
        that it is the scene's: the least squares of :meth:`slope`."""
        a, b = self.slope(direction)
        return float(a @ b / max(float(a @ a), 1e-12))


class Track:
    """One thing followed through the pictures: ``name`` and the instances that it consists of.

    Points are seeded inside the exact mask; when few are left, new ones
    are seeded where the picture has the thing: at the exact mask displaced by the deviation so far, which so stays known.
    """

    def __init__(self, name: str, ids: Sequence[int], seeding: Seeding | None = None) -> None:
        self.name, self.ids, self._seeding = name, tuple(ids), seeding or Seeding()
        self.fixes: list[Fix] = []
        self.reasons: dict[str, int] = {}
        self._main = self.ids[0] if self.ids else 0
        self._run = 0
        self._clear()

    def _clear(self) -> None:
        nothing = np.zeros((0, 2), np.float32)
        self._cloud: Cloud | None = None
        self._looks: Templates | None = None
        self._at, self._exact, self._step, self._world = nothing, nothing, nothing, np.zeros((0, 3), np.float32)
        self._lost, self._alike = np.zeros(0, int), np.zeros(0, bool)

    def see(self, recent: Sequence[Observed]) -> None:
        now = recent[-1]
        if self._cloud is not None:
            self._advance(recent[-2], now)
        if len(self._at) < _TOP_UP:
            self._seed(now)
        self._fix(now.moment)

    def _advance(self, before: Observed, now: Observed) -> None:
        cloud, looks = self._cloud, self._looks
        assert cloud is not None and looks is not None and now.flow is not None
        every, count = follow(joined(cloud, looks.around), now.moment), len(cloud)
        exact, visible = every.at[:count], every.visible[:count]
        guesses = [self._at + self._step, self._at + _sampled(now.flow, self._at),
                   self._at + np.nan_to_num(exact - self._exact)]
        at, live = track(before.grey, now.grey, self._at, guesses)
        at, alike = refine(looks.patches, turned(every.at[count:], looks.same), now.grey, at, self._seeding.half)
        lost = np.where(visible, 0, self._lost + 1)
        live &= (lost <= _PATIENCE) & ~_astray(at - exact, live & visible)
        self._step = (at - self._at)[live]
        self._cloud, self._looks, self._at, self._exact = cloud.where(live), looks.where(live), at[live], exact[live]
        self._world, self._lost, self._alike = every.world[:count][live], lost[live], alike[live]

    def _seed(self, now: Observed) -> None:
        known = self._judged()
        chained = int(known.sum()) >= FEWEST // 2
        shift = np.median((self._at - self._exact)[known], axis=0) if chained else np.zeros(2, np.float32)
        fresh, reason = _seeds(now, self.ids, shift, self._seeding)
        if reason:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if not chained:
            self._clear()
            self._run += 1
        step = np.median(self._step, axis=0) if len(self._step) else np.full(2, np.nan, np.float32)
        fresh = fresh.where(np.arange(len(fresh)) < _MOST - len(self._at))
        if not len(fresh):
            return
        at = (fresh.at + shift).astype(np.float32)
        looks = templates(fresh, at, now.grey, now.moment)
        if self._cloud is None or self._looks is None:
            self._main = int(np.bincount(fresh.ids.astype(np.intp)).argmax())
            self._cloud, self._looks = fresh, looks
        else:
            self._cloud, self._looks = joined(self._cloud, fresh), self._looks.and_(looks)
        self._at, self._exact = np.concatenate([self._at, at]), np.concatenate([self._exact, fresh.at])
        self._step = np.concatenate([self._step, np.tile(step, (len(fresh), 1)).astype(np.float32)])
        self._world = np.concatenate([self._world, fresh.world])
        self._lost = np.concatenate([self._lost, np.zeros(len(fresh), int)])
        self._alike = np.concatenate([self._alike, np.ones(len(fresh), bool)])

    def _judged(self) -> Mask:
        """The points that tell where the thing is: those that the scene shows and that look as they did. What does not may have
        slid off the thing, or along it."""
        return np.asarray((self._lost == 0) & self._alike)

    def _fix(self, moment: Moment) -> None:
        place, stiff = moment.motions.of(np.array([self._main], np.uint32))
        origin = moment.motions.maps[place[0], :, 3] if stiff[0] else np.full(3, np.nan)
        known, pose = self._judged(), moment.world_from_camera
        away, centre = np.full((1, 2), np.nan), np.full(3, np.nan)
        if known.any():
            away = (self._at - self._exact)[known].astype(np.float64)
            centre = np.median((self._world[known] - pose[:3, 3]) @ pose[:3, :3], axis=0)
        self.fixes.append(Fix(moment.index, moment.number, int(known.sum()), self._run, np.median(away, axis=0),
                              float(np.median(np.linalg.norm(away, axis=1))), centre, moment.K, pose[:3, :3], origin))

    @property
    def reason(self) -> str:
        """Why there is nothing to say."""
        worst = max(self.reasons, key=lambda reason: self.reasons[reason], default="")
        return worst or "untrackable: its points get lost from frame to frame"


def _astray(away: Array, known: Mask) -> Mask:
    """Which points (N,) deviate otherwise than most of the ``known`` ones do; ``away`` (N, 2) px."""
    if not known.any():
        return np.zeros(len(away), bool)
    apart = np.linalg.norm(away - np.median(away[known], axis=0), axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(apart > _ASTRAY + 3 * np.median(apart[known]))


def _seeds(now: Observed, ids: Sequence[int], shift: Array, how: Seeding) -> tuple[Cloud, str]:
    """Corners of the picture on the instances, whose mask is moved by ``shift`` (2,) px: a cloud of exact points of the surface
    at pixel centres, and why there are none."""
    moment, whole = now.moment, np.rint(shift).astype(int)
    mask = (moment.covered(ids) & (True if how.where is None else how.where(moment))).astype(np.uint8)
    nothing = sample(moment, 1, np.zeros(moment.size, bool))
    if int(mask.sum()) < how.smallest:
        return nothing, "too small in the picture, or hidden"
    y, x = np.nonzero(mask)
    box = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
    grey = _moved(now.grey, whole)[box]
    inner = cv2.erode(np.pad(mask[box], 1), np.ones((2 * how.edge + 1,) * 2, np.uint8), borderValue=0)[1:-1, 1:-1]
    if not inner.any():
        return nothing, "too small in the picture, or hidden"
    if grey[inner > 0].std() < _TEXTURE:
        return nothing, "untrackable: it has no texture"
    where = np.zeros(moment.size, bool)
    where[box] = _corners(np.ascontiguousarray(grey), inner)
    fresh = sample(moment, 1, where)
    return fresh, "" if len(fresh) else "no rest positions are known of it"


def _corners(grey: Grey, mask: NDArray[np.uint8]) -> Mask:
    """(H, W) up to 60 pixels of the mask that can be told from those around; where there are few of them, a grid."""
    chosen = np.zeros(grey.shape, bool)
    corners = cv2.goodFeaturesToTrack(grey, _MOST, _QUALITY, 3, mask=mask)
    if corners is not None and len(corners) >= _TOP_UP:
        x, y = corners[:, 0].astype(int).T
        chosen[y, x] = True
    else:
        step = max(3, int(np.sqrt(mask.sum() / _MOST)) + 1)
        chosen[step // 2::step, step // 2::step] = mask[step // 2::step, step // 2::step] > 0
    return chosen


def _moved(grey: Grey, shift: NDArray[np.integer[Any]]) -> Grey:
    """The picture displaced by whole pixels, so that what is ``shift`` (x, y) off comes to where it should be."""
    if not shift.any():
        return grey
    moved = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float32)
    return np.asarray(cv2.warpAffine(grey, moved, grey.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))


def _sampled(flow: Array, at: Array) -> Array:
    height, width = flow.shape[:2]
    return np.asarray(flow[np.clip(at[:, 1].astype(int), 0, height - 1), np.clip(at[:, 0].astype(int), 0, width - 1)])


def unbroken(fixes: Sequence[Fix]) -> list[Fix]:
    """The longest part in which enough points live in one unbroken track."""
    best: list[Fix] = []
    part: list[Fix] = []
    for fix in fixes:
        part = part if part and part[-1].run == fix.run else []
        part = [*part, fix] if fix.tracked else []
        best = part if len(part) > len(best) else best
    return best


def deviation_figure(item: Track) -> Figure:
    """"trajectory.deviation" of a thing: the mean over frames of its points' median distance, px, from where they should be."""
    first = {fix.run: fix.index for fix in reversed(item.fixes)}
    judged = [fix for fix in item.fixes if fix.tracked and fix.index > first[fix.run]]
    seen = len(item.fixes)
    if not judged or len(judged) < seen // 4:
        return unmeasured("trajectory", "deviation", "px", item.reason, bar=DEVIATION, object=item.name)
    series = tuple((float(fix.number), fix.length) for fix in judged)
    return Figure("trajectory", "deviation", float(np.mean([value for _, value in series])), "px", DEVIATION, item.name,
                  series=series, worst=_worst(item.name, judged),
                  counts={"frames": len(judged), "of": seen, "runs": len({fix.run for fix in judged})})


def _worst(name: str, fixes: Sequence[Fix], most: int = 5) -> tuple[Spot, ...]:
    """The spans of frames that deviate by more than the bar allows, the worst first."""
    spans: list[list[Fix]] = []
    for fix in fixes:
        if fix.length > DEVIATION.highest:
            if spans and spans[-1][-1].index == fix.index - 1:
                spans[-1].append(fix)
            else:
                spans.append([fix])
    spans.sort(key=lambda span: -max(fix.length for fix in span))
    return tuple(Spot(name, span[0].number, span[-1].number, max(fix.length for fix in span), span[0].pixel)
                 for span in spans[:most])
