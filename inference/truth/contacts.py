# SPDX-License-Identifier: GPL-3.0-or-later
"""Do things hit when they should, and bounce as high? Jumps of velocity in the picture against those in the scene."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from .figures import Bar, Figure, Spot, unmeasured
from .trajectories import Fix, Track

Double = NDArray[np.float64]

#: frames by which a contact may come late or early; measured: floor 0.01
TIME = Bar(highest=1.0)
#: % by which the bounce's height over the fall's may be off; measured: floor 0.3
BOUNCE = Bar(highest=10.0)
#: frames around a contact in which the picture's is looked for: what is farther is none
WINDOW = 8
#: frames on each side without which a contact is not judged, and px a frame by which the velocity must jump to be seen
_SIDE, _SEEN = 3, 2.0
#: of the jump in the scene, what the picture's must at least be
_SHARE = 0.3
#: m/s by which a velocity jumps in a contact, and by how much more than it does around it
_LEAST, _ABOVE = 0.3, 4.0
#: frames by which a cue may lie beside the jump that it names
_BESIDE = 1.5


@dataclass(frozen=True)
class Jump:
    """Where a velocity jumps: ``at``, in frames from the first, by ``change`` (3,) m/s."""

    at: float
    change: Double


@dataclass(frozen=True)
class Hit:
    """A contact in the picture: ``late`` frames after the scene's, and how high it bounces, over the height it fell from, in the
    picture, ``found``, and in the scene, ``true``; NaN where it does not."""

    number: int
    pixel: tuple[int, int]
    late: float
    found: float
    true: float


def jumps(places: Double, seconds: float) -> list[Jump]:
    """The jumps of velocity in ``places`` (F, 3) metres, NaN where unknown, ``seconds`` apart.

    From one step to the next the mean velocity changes by what the forces do; in a contact by more: by 0.3 m/s and by four times
    what it does in the frames around. A contact inside a step shows in the two changes around it; its time among them
    goes by their shares.
    """
    change = np.diff(places, n=2, axis=0) / seconds
    found: list[Jump] = []
    index = _SIDE - 1
    while index + _SIDE <= len(change):
        part = change[max(index - 2, 0):index + 4]
        at, size = _share(change, index)
        around = np.concatenate([change[index - 2:index], change[index + 2:index + 4]])
        usual = float(np.linalg.norm(around - around.mean(0), axis=1).max()) if len(around) else 0.0
        usual = max(usual, 0.25 * float(np.linalg.norm(around.mean(0))))
        strength = float(np.linalg.norm(size))
        if np.isfinite(part).all() and strength > max(_LEAST, _ABOVE * usual) and _is_peak(change, index):
            found.append(Jump(at, size))
            index += 2
        index += 1
    return found


def _share(change: Double, index: int) -> tuple[float, Double]:
    """Of the changes of velocity (C, ...) around steps, where between the frames of those at ``index`` and the next it jumps, and
    what they have more than those before and after."""
    one = change[index] - change[max(index - 2, 0):index].mean(0) if index else change[index] * 0
    other = change[index + 1] - change[index + 2:index + 4].mean(0) if index + 2 < len(change) else change[index] * 0
    a, b = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    return index + 1 + b / max(a + b, 1e-12), one + other


def _is_peak(change: Double, index: int) -> bool:
    """Whether the pair of changes at ``index`` is larger than the pair one later."""
    return index + 4 > len(change) or float(np.linalg.norm(_share(change, index)[1])) >= float(
        np.linalg.norm(_share(change, index + 1)[1])) - 1e-9


def bounce(heights: Double, at: float, reach: int = WINDOW) -> float:
    """How high it bounces over how high it fell: the squared ratio of the speeds after and before ``at`` (in frames) in
    ``heights`` (F,), fitted with one acceleration on up to ``reach`` frames each side. NaN where it does not fall or bounce."""
    t = np.arange(len(heights)) - at
    near = (np.abs(t) <= reach) & np.isfinite(heights)
    before, after = near & (t < 0), near & (t >= 0)
    if before.sum() < _SIDE or after.sum() < _SIDE:
        return float("nan")
    use = before | after
    design = np.stack([np.ones(len(t)), np.where(before, t, 0), np.where(after, t, 0), t * t], 1)[use]
    _, falling, rising, _ = np.linalg.lstsq(design, heights[use], rcond=None)[0]
    return float((rising / falling) ** 2) if falling < 0 < rising else float("nan")


def cues_of(folder: Path, start: int, step: int) -> list[tuple[float, frozenset[str]]] | None:
    """The contacts that the shot's audio/cues.json tells of: when, in captured frames counted from 0, and of what objects; None
    where it tells nothing of contacts. Raises SHOT_INVALID."""
    path = folder / "audio" / "cues.json"
    if not path.is_file():
        return None
    try:
        contacts = json.loads(path.read_text(encoding="utf-8")).get("contacts", [])
        return [((float(contact["frame"]) - start) / step, frozenset(contact["objects"])) for contact in contacts] or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LucidError("SHOT_INVALID", f"{path} cannot be read: {error}", "capture the shot again") from error


def contact_figures(item: Track, names: set[str], seconds: float,
                    cues: Sequence[tuple[float, frozenset[str]]] | None = None) -> list[Figure]:
    """"contact.error" and "contact.bounce" of a thing, the worst of its contacts; nothing of what hits nothing. ``names`` are
    its own and its instances'; with ``cues``, what these do not tell of is none."""
    places = np.array([fix.place for fix in item.fixes]).reshape(-1, 3)
    first = item.fixes[0].index if item.fixes else 0
    hits, reasons = [], []
    for jump in jumps(places, seconds):
        told = cues is None or any(abs(at - first - jump.at) <= _BESIDE and names & objects for at, objects in cues)
        if told:
            hit, reason = _judge(item.fixes, places, jump, seconds)
            hits.extend([hit] if hit else [])
            reasons.extend([reason] if reason else [])
    if not hits:
        return [unmeasured("contact", "error", "frames", reasons[0], bar=TIME, object=item.name)] if reasons else []
    counts = {"contacts": len(hits), "untrackable": len(reasons)}
    return [_late_figure(item.name, hits, counts), *_bounce_figure(item.name, hits, counts)]


def _late_figure(name: str, hits: Sequence[Hit], counts: dict[str, int]) -> Figure:
    late = sorted(hits, key=lambda hit: -abs(hit.late))
    return Figure("contact", "error", abs(late[0].late), "frames", TIME, name, counts=counts,
                  series=tuple((float(hit.number), hit.late) for hit in hits),
                  worst=tuple(Spot(name, hit.number, hit.number, hit.late, hit.pixel)
                              for hit in late[:5] if not TIME.holds(abs(hit.late))))


def _bounce_figure(name: str, hits: Sequence[Hit], counts: dict[str, int]) -> list[Figure]:
    off = [(100 * abs(hit.found / hit.true - 1), hit) for hit in hits if np.isfinite(hit.found) and hit.true > 0.05]
    if not off:
        return []
    off.sort(key=lambda pair: -pair[0])
    return [Figure("contact", "bounce", off[0][0], "%", BOUNCE, name, counts=counts,
                   worst=tuple(Spot(name, hit.number, hit.number, value, hit.pixel)
                               for value, hit in off[:5] if not BOUNCE.holds(value)))]


def _judge(fixes: Sequence[Fix], places: Double, jump: Jump, seconds: float) -> tuple[Hit | None, str]:
    """The contact in the picture, or why it cannot be told."""
    middle = round(jump.at)
    direction = jump.change / np.linalg.norm(jump.change)
    here = fixes[middle]
    low, high = _unbroken(fixes, middle)
    if middle - low < _SIDE or high - middle < _SIDE:
        return None, f"untrackable: the points are lost at the contact in frame {here.number}"
    if here.pixels(direction) * float(np.linalg.norm(jump.change)) * seconds < _SEEN:
        return None, f"the contact in frame {here.number} moves less than {_SEEN:g} px a frame in the picture"
    part = slice(max(low, middle - WINDOW - 3), min(high, middle + WINDOW + 3) + 1)
    true = places[part] @ direction
    found = true + [fix.off(direction) for fix in fixes[part]]
    at, size = _strongest(found, seconds)
    exact, whole = _strongest(true, seconds)
    pixel = here.pixel
    if size < _SHARE * whole:
        return Hit(here.number, pixel, float(WINDOW), float("nan"), float("nan")), ""
    return Hit(here.number, pixel, at - exact, bounce(found, at), bounce(true, exact)), ""


def _strongest(heights: Double, seconds: float) -> tuple[float, float]:
    """When, in frames, and by how many m/s the velocity along a direction jumps most in ``heights`` (F,)."""
    change = np.diff(heights, n=2)[:, None] / seconds
    pairs = [_share(change, index) for index in range(len(change) - 1)]
    at, size = max(pairs, key=lambda pair: float(pair[1][0]))
    return at, float(size[0])


def _unbroken(fixes: Sequence[Fix], middle: int) -> tuple[int, int]:
    """The first and last fix around one of an unbroken track; an empty range where that one is not tracked."""
    low = high = middle
    if not fixes[middle].tracked:
        return middle, middle
    while low > 0 and fixes[low - 1].tracked and fixes[low - 1].run == fixes[middle].run:
        low -= 1
    while high + 1 < len(fixes) and fixes[high + 1].tracked and fixes[high + 1].run == fixes[middle].run:
        high += 1
    return low, high
