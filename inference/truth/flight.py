# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what is thrown fall as it should? The acceleration of a free flight, in metres, from the picture's points alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figures import Bar, Figure, Spot, unmeasured
from .trajectories import Fix, Track, unbroken

Double = NDArray[np.float64]

#: % of the scene's own; measured: floor 0.1 to 0.3, faults 10 and 30
ERROR = Bar(highest=2.0)
#: frames that a flight must last
FEWEST = 10
#: mm by which points may leave the parabola; measured: 0.04 to 3 when tracked, 130 to 160 when tracking broke
RESIDUAL = 20.0
#: px by which the parabola must leave its chord, so that a fifth of a pixel is 2 %
_SAG = 10.0
UP = np.array([0.0, 0.0, 1.0])

# m/s²: what falls does so faster, goes straight on otherwise, and keeps its acceleration (beside a share of it)
_FALLS, _STRAIGHT, _STEADY, _SHARE = 1.0, 0.3, 0.1, 0.05


@dataclass(frozen=True)
class Fall:
    """A parabola through heights: ``g`` m/s², downwards, ``residual`` the root mean square distance in mm, ``error`` the
    standard error of ``g``, m/s², as far as the residual tells."""

    g: float
    residual: float
    error: float


def flights(places: Double, seconds: float) -> list[range]:
    """The spans of frames in which something flies freely, the longest first. ``places`` (F, 3) metres, z up, NaN where unknown,
    ``seconds`` apart: its horizontal velocity is constant and so is its acceleration downwards, for 10 frames or more."""
    bend = np.diff(places, n=2, axis=0) / seconds**2
    with np.errstate(invalid="ignore"):
        across = np.linalg.norm(bend[:, :2], axis=1)
        falls = (bend[:, 2] < -_FALLS) & (across < _STRAIGHT + _SHARE * np.abs(bend[:, 2]))
    spans: list[range] = []
    start = 0
    for index in range(len(bend) + 1):
        steady = index < len(bend) and falls[index] and (
            index == start or abs(bend[index, 2] - np.mean(bend[start:index, 2])) < _STEADY - _SHARE * bend[index, 2])
        if steady:
            continue
        if index > start and index + 2 - start >= FEWEST:
            spans.append(range(start, index + 2))
        start = index if index < len(bend) and falls[index] and index > start else index + 1
    return sorted(spans, key=len, reverse=True)


def fall(times: Double, heights: Double) -> Fall:
    """The least-squares parabola of ``heights`` (N,) metres at ``times`` (N,) seconds, N of 4 or more."""
    middle = times.mean()
    design = np.stack([np.ones_like(times), times - middle, (times - middle) ** 2], 1)
    values, *_ = np.linalg.lstsq(design, heights, rcond=None)
    rest = heights - design @ values
    variance = float(rest @ rest) / max(len(times) - 3, 1)
    return Fall(float(-2 * values[2]), 1e3 * float(np.sqrt(np.mean(rest**2))),
                2 * float(np.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2])))


def gravity_figures(item: Track, seconds: float) -> list[Figure]:
    """"gravity.g", found and, as "gravity.g_scene", the scene's, and "gravity.error" in % of the scene's, of the longest flight
    of a thing that can be told; nothing of what does not fly."""
    fixes = item.fixes
    start = fixes[0].index if fixes else 0
    reasons = []
    for span in flights(np.array([fix.place for fix in fixes]).reshape(-1, 3), seconds):
        part, reason = unbroken([fixes[index] for index in span]), ""
        if len(part) < FEWEST:
            reason = f"untrackable: only {len(part)} of the flight's {len(span)} frames are tracked in one go"
        else:
            times = np.array([(fix.index - start) * seconds for fix in part])
            found = fall(times, np.array([fix.place[2] + fix.off(UP) for fix in part]))
            true = fall(times, np.array([fix.place[2] for fix in part]))
            reason = _doubt(part, found, true, seconds)
        if not reason:
            return _figures(item.name, part, found, true)
        reasons.append(reason)
    return [unmeasured("gravity", "error", "%", reasons[0], bar=ERROR, object=item.name)] if reasons else []


def _doubt(part: Sequence[Fix], found: Fall, true: Fall, seconds: float) -> str:
    """Why what was found says nothing, or ""."""
    sag = true.g * ((len(part) - 1) * seconds) ** 2 / 8 * float(np.median([fix.pixels(UP) for fix in part]))
    if sag < _SAG:
        return f"the flight's arc is only {sag:.1f} px high in the picture"
    if found.residual > RESIDUAL:
        return f"untrackable: the points leave the parabola by {found.residual:.0f} mm"
    if 3 * found.error > ERROR.highest / 100 * true.g:
        return f"untrackable: the points tell gravity to {3 * found.error:.2f} m/s² only"
    return ""


def _figures(name: str, part: Sequence[Fix], found: Fall, true: Fall) -> list[Figure]:
    error = 100 * abs(found.g / true.g - 1)
    worst = () if ERROR.holds(error) else (Spot(name, part[0].number, part[-1].number, error, part[0].pixel),)
    counts = {"frames": len(part), "residual_um": round(1e3 * found.residual)}
    return [Figure("gravity", "g", found.g, "m/s²", None, name, counts=counts,
                   series=tuple((float(fix.number), fix.place[2] + fix.off(UP)) for fix in part)),
            Figure("gravity", "g_scene", true.g, "m/s²", None, name),
            Figure("gravity", "error", error, "%", ERROR, name, worst=worst, counts=counts)]
