# SPDX-License-Identifier: GPL-3.0-or-later
"""Is every actor where the scene has it, as large, and there at all? Its outline as motion shows it, against the exact one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from .boundary import contour
from .explain import LEAST_MOTION, Box, Evidence, box_around, crop, evidence
from .figures import Bar, Figure, Spot, unmeasured
from .ground import Array, Ground, Mask
from .registration import LAGS, Scores, registration_figures, without_border
from .watch import HISTORY, Observed

#: every this many frames one is judged
EVERY = 4
#: px that an outline may lie beside the exact one
TOLERANCE = 3.0
#: boundary F at TOLERANCE over all frames, and in the three worst neighbours (measured: floor 0.97, 4 px aside 0.62 to 0.85);
#: area over the exact one (floors 0.99 to 1.04)
F = Bar(lowest=0.9)
F_WORST = Bar(lowest=0.85)
AREA = Bar(0.8, 1.25)
#: px around an actor within which it is looked for
BAND = 16
#: px of outline in one frame that are needed
SHORTEST = 40
#: mean vote of a window below which neither motion is preferred
_UNSURE = 0.08
_WINDOW = 5


@dataclass(frozen=True)
class Outline:
    """One frame's silhouette against the exact one: IoU and boundary F where they can be judged, area over the true one's, the
    ``judged`` pixels of outline, and the ``worst`` pixel (x, y)."""

    iou: float
    f: float
    area: float
    judged: int
    worst: tuple[int, int]


def silhouette(votes: Array, apart: Array, matte: Mask) -> tuple[Mask, Mask]:
    """Which pixels move like what is inside the ``matte`` (h, w), by the ``votes`` of a window; and where that can be told.
    Elsewhere the matte is given back."""
    mean = cv2.boxFilter(votes, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE)
    sure = (np.abs(mean) > _UNSURE) & (apart >= LEAST_MOTION)
    found = np.where(sure, mean > 0, matte)
    return np.asarray(cv2.medianBlur(found.astype(np.uint8), 3) > 0), sure


def compare(found: Mask, matte: Mask, sure: Mask, tolerance: float = TOLERANCE) -> Outline | None:
    """The ``found`` silhouette against the ``matte``, both (h, w), near outlines that are ``sure``; None with too few of them.

    The boundary F is that of Perazzi et al. (DAVIS, CVPR 2016) with a disc for the matching; both contours count where the
    silhouette was told from the pictures.
    """
    near = cv2.dilate(sure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    exact, measured = contour(matte), contour(found)
    ours, theirs = exact & near, measured & near
    if ours.sum() < SHORTEST:
        return None
    to_exact, to_found = _distance(exact), _distance(measured)
    precision = float((to_exact[theirs] <= tolerance).mean()) if theirs.any() else 0.0
    recall = float((to_found[ours] <= tolerance).mean())
    union = float(((found | matte) & sure).sum())
    iou = float((found & matte & sure).sum()) / union if union else 0.0
    y, x = np.unravel_index(int(np.where(ours, to_found, -1.0).argmax()), matte.shape)
    return Outline(iou, 2 * precision * recall / max(precision + recall, 1e-9),
                   float((found & sure).sum()) / max(float((matte & sure).sum()), 1.0), int(ours.sum()), (int(x), int(y)))


def _distance(edge: Mask) -> Array:
    return np.asarray(cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


@dataclass
class _Actor:
    """What is kept of an actor: a few numbers for each judged frame."""

    name: str
    ids: tuple[int, ...]
    scores: Scores = field(default_factory=Scores)
    outlines: list[tuple[int, Outline]] = field(default_factory=list)
    seen: int = 0

    def why_not(self, frames: int) -> str:
        """The reason why nothing can be said, or ""."""
        if self.outlines:
            return ""
        if frames < HISTORY:
            return f"the shot has fewer than {HISTORY} frames"
        if not self.seen:
            return "it is never in the picture"
        return f"it moves less than {LEAST_MOTION:g} px against what is around it, or has no texture"


class MotionSilhouette:
    """Silhouette, permanence and registration of every actor, in every fourth frame, as its motion shows them."""

    def __init__(self, ground: Ground) -> None:
        self._frames = len(ground)
        self._size = (ground.shot.size.height, ground.shot.size.width)
        self._actors = [_Actor(layer.name, layer.ids) for layer in ground.actors]

    def see(self, recent: Sequence[Observed]) -> None:
        if len(recent) < HISTORY or (recent[-1].moment.index + 1 - HISTORY) % EVERY:
            return
        now = recent[HISTORY // 2]
        for actor in self._actors:
            matte = now.moment.covered(actor.ids)
            box = box_around(matte, BAND)
            if box is None:
                continue
            actor.seen += 1
            found = evidence(now, (recent[0], recent[-1]), matte, box)
            if found is not None:
                self._judge(actor, now.moment.number, found, [_covered(recent[HISTORY // 2 - lag], actor, box)
                                                              for lag in LAGS])

    def _judge(self, actor: _Actor, number: int, found: Evidence, mattes: list[Mask]) -> None:
        matte = mattes[LAGS.index(0)]
        shape, sure = silhouette(found.votes, found.apart, matte)
        outline = compare(shape, matte, sure)
        if outline is None:
            return
        y0, _, x0, _ = found.box
        actor.outlines.append((number, replace(outline, worst=(outline.worst[0] + x0, outline.worst[1] + y0))))
        votes = without_border(found.votes, found.box, self._size)
        actor.scores.add(votes, matte, contour(matte) & (found.apart >= LEAST_MOTION))
        actor.scores.add_lags(votes, mattes)

    def figures(self) -> Sequence[Figure]:
        if not self._actors:
            reason = "the shot has no actor"
            return [*_outline_figures("", (), reason), *registration_figures(Scores(), "", reason)]
        out: list[Figure] = []
        for actor in self._actors:
            reason = actor.why_not(self._frames)
            out += _outline_figures(actor.name, actor.outlines, reason)
            out += registration_figures(actor.scores, actor.name, reason)
        return out


def _covered(one: Observed, actor: _Actor, box: Box) -> Mask:
    return np.isin(crop(one.moment.ids, box), np.array(actor.ids, np.uint32))


def _outline_figures(name: str, outlines: Sequence[tuple[int, Outline]], reason: str) -> list[Figure]:
    if reason:
        return [unmeasured(metric, key, "", reason, bar=bar, object=name)
                for metric, key, bar in (("silhouette", "f", F), ("silhouette", "f_worst", F_WORST), ("silhouette", "iou", None),
                                         ("permanence", "area", AREA))]
    counts = {"frames": len(outlines), "outline": sum(outline.judged for _, outline in outlines)}

    def figure(metric: str, key: str, bar: Bar | None, values: list[float], badness: list[float]) -> Figure:
        numbers = [number for number, _ in outlines]
        order = sorted(range(len(values)), key=lambda place: -badness[place])[:5]
        spots = tuple(Spot(name, numbers[i], numbers[i], values[i], outlines[i][1].worst) for i in order)
        return Figure(metric, key, values[_worst_three(badness)], "", bar, name, worst=spots, counts=counts,
                      series=tuple((float(number), value) for number, value in zip(numbers, values, strict=True)))

    f, iou, area = ([getattr(outline, key) for _, outline in outlines] for key in ("f", "iou", "area"))
    whole = figure("silhouette", "f", F, f, [-value for value in f])
    return [replace(whole, value=float(np.mean(f))), replace(whole, key="f_worst", bar=F_WORST, series=()),
            figure("silhouette", "iou", None, iou, [-value for value in iou]),
            figure("permanence", "area", AREA, area, [abs(float(np.log(max(value, 1e-3)))) for value in area])]


def _worst_three(badness: list[float]) -> int:
    """The place of the median of the three neighbours whose median is the worst: one frame alone does not decide."""
    width = min(3, len(badness))
    medians = []
    for first in range(len(badness) - width + 1):
        order = sorted(range(first, first + width), key=badness.__getitem__)
        medians.append(order[width // 2] if width % 2 else order[0])
    return max(medians, key=badness.__getitem__)
