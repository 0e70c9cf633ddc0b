# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's path cut into stages, each with the name that a camera crew has for what happens in it.

pan, tilt, roll turn the camera in place; zoom changes the lens; dolly, truck, pedestal move it along its level axes; a
crane is a pedestal together with another move. What the picture is about tells the rest apart: an orbit circles it and keeps
facing it, tracking moves with a moving subject, which stays where it is in the picture, and a dolly zoom keeps its size while
distance and focal length change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shot.model import Size
from .framing import Framing, Subject, about, frame_subject
from .path import SHORTEST, Array, Path, Run, camera_path, runs_of

ROOM = 5.0              # metres: how far the picture's content is taken to be where nobody knows
_BESIDE = 0.35          # of the strongest move: weaker ones at the same time go without saying
_TOGETHER = 0.5         # intersection over union of what counts as one stage
_INSIDE = 0.8
_BALANCE = 0.35         # of the stronger one of zoom and dolly: more does not cancel out
_MOVED = 0.15           # of its distance: what a subject must move to be followed
_DRIFT = 0.25           # of its way: what it may drift in the picture
_LEAST_ORBIT = 10.0     # degrees
_SIGNS = {"pan": ("right", "left"), "tilt": ("up", "down"), "roll": ("clockwise", "counterclockwise"),
          "zoom": ("in", "out"), "dolly": ("in", "out"), "truck": ("right", "left"), "pedestal": ("up", "down"),
          "crane": ("up", "down"), "dolly zoom": ("in", "out"), "orbit": ("right", "left"), "track": ("right", "left")}
_UNITS = {"pan": "degrees", "tilt": "degrees", "roll": "degrees", "zoom": "times"}
_TRAVEL = {"dolly", "truck", "pedestal"}


@dataclass(frozen=True)
class Move:
    """``name`` such as "pan right" or "static"; ``amount`` in ``unit``: degrees, m, times (of focal length), or "" ."""

    name: str
    amount: float = 0.0
    unit: str = ""


@dataclass(frozen=True)
class Stage:
    """What the camera does from ``start`` to ``end`` (indices of frames, both included): ``move``, and ``beside`` it;
    ``target`` is the name of what it is about, or ""."""

    start: int
    end: int
    move: str
    amount: float
    unit: str
    target: str = ""
    beside: Move | None = None


@dataclass(frozen=True)
class Story:
    """A whole shot: its stages in order, who was framed how, and whether the camera is handheld throughout."""

    stages: tuple[Stage, ...]
    framings: tuple[Framing, ...]
    handheld: bool


def stages_of(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], size: Size, fps: float,
              subjects: Sequence[Subject] = (), *, distance: NDArray[np.floating[Any]] | float = ROOM,
              up: Sequence[float] = (0.0, 0.0, 1.0), orthographic: bool = False) -> Story:
    """Cut a path into stages.

    ``K`` (F, 3, 3) px, ``world_from_camera`` (F, 4, 4) with OpenCV axes, ``fps`` of these frames, ``distance`` the median
    depth of the picture in metres, a number or (F,), used where no subject is in it. For an orthographic camera ``K`` is in
    pixels per metre.
    """
    poses = np.asarray(world_from_camera, np.float64)
    framings = tuple(frame_subject(subject, K, poses, size, orthographic) for subject in subjects)
    main = about(framings, 0, len(poses) - 1)
    far = np.broadcast_to(np.asarray(distance, np.float64), len(poses))
    if main is not None:
        known = np.flatnonzero(np.isfinite(main.distance))
        far = np.interp(np.arange(len(poses)), known, main.distance[known])
    path = camera_path(K, poses, size, fps, np.maximum(far, 1e-9), up, orthographic)
    shortest = SHORTEST * fps
    stages = [_stage(path, group, about(framings, *_span(group))) for group in _groups(runs_of(path))]
    stages = _merged(_with_rests(sorted(stages, key=lambda stage: stage.start), len(poses), shortest, framings), shortest)
    return Story(tuple(stages), framings, path.handheld)


def _groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that happen together, the strongest first in each; weak ones during a stronger are left out."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: -abs(run.seen)):
        home = next((group for group in groups if _overlap(run, group) >= _TOGETHER), None)
        if home is not None:
            home.append(run)
        elif not any(_covered(run, group) and abs(run.seen) < _BESIDE * abs(group[0].seen) for group in groups):
            groups.append([run])
    return groups


def _span(group: Sequence[Run]) -> tuple[int, int]:
    return min(run.start for run in group), max(run.end for run in group)


def _overlap(run: Run, group: Sequence[Run]) -> float:
    start, end = _span(group)
    both = min(run.end, end) - max(run.start, start)
    return both / (max(run.end, end) - min(run.start, start))


def _covered(run: Run, group: Sequence[Run]) -> bool:
    start, end = _span(group)
    return min(run.end, end) - max(run.start, start) >= _INSIDE * (run.end - run.start)


def _stage(path: Path, group: Sequence[Run], framing: Framing | None) -> Stage:
    start, end = _span(group)
    runs = {run.channel: run for run in reversed(group)}
    target = framing.subject.name if framing is not None else ""
    found = _tracking(path, runs, start, end, framing) or _dolly_zoom(runs)
    if found is None:
        found, target = _orbit(path, runs, start, end, framing) or (None, target)
    if found is not None:
        return Stage(start, end, found.name, found.amount, found.unit, target)
    if {"dolly", "pedestal"} <= runs.keys() and _along_axis(path, start, end):
        del runs["pedestal"]
    strongest, *others = sorted(runs.values(), key=lambda run: -abs(run.seen))
    pair = [strongest, *(run for run in others if abs(run.seen) >= _BESIDE * abs(strongest.seen))][:2]
    pair.sort(key=lambda run: run.channel == "tilt")        # a crane that keeps something in sight is not a tilt first
    crane = len(pair) > 1 and "pedestal" in {run.channel for run in pair}
    first, *rest = (_plain(run, crane) for run in pair)
    return Stage(start, end, first.name, first.amount, first.unit, target, rest[0] if rest else None)


def _plain(run: Run, crane: bool) -> Move:
    channel = "crane" if run.channel == "pedestal" and crane else run.channel
    amount = float(np.exp(abs(run.amount))) if channel == "zoom" else abs(run.amount)
    return Move(_way(channel, run.seen), amount, _UNITS.get(channel, "m"))


def _way(name: str, amount: float) -> str:
    """The name with its direction, "pan" and -3 are "pan left"."""
    return f"{name} {_SIGNS[name][int(amount < 0.0)]}"


def _along_axis(path: Path, start: int, end: int) -> bool:
    """Whether the camera goes where it looks (within 15 degrees), so that its rise or fall is no move of its own."""
    way, axis = path.position[end] - path.position[start], path.axis[start] + path.axis[end]
    return abs(float(way @ axis)) > 0.966 * float(np.linalg.norm(way) * np.linalg.norm(axis))


def _tracking(path: Path, runs: dict[str, Run], start: int, end: int, framing: Framing | None) -> Move | None:
    """A subject moves, and the camera with it (or turns with it), so that it stays where it is in the picture."""
    if framing is None:
        return None
    points = np.asarray(framing.subject.points, np.float64)[start:end + 1]
    offset = points - path.position[start:end + 1]
    way = points[-1] - points[0]
    travel, far = float(np.linalg.norm(way)), float(np.median(framing.distance[start:end + 1]))
    if not travel >= _MOVED * far:      # also when it is not there
        return None
    level = np.stack([np.sum(offset * path.right[start:end + 1], axis=1),
                      np.sum(offset * path.ahead[start:end + 1], axis=1), offset @ path.up], axis=1)
    went = path.position[end] - path.position[start]
    stays = np.linalg.norm(level - level[0], axis=1).max() <= _DRIFT * min(travel, far)
    if stays and float(went @ way) >= 0.5 * travel**2:
        ahead, right = (path.moved(channel, start, end) for channel in ("dolly", "truck"))
        name = ("follow" if ahead > 0.0 else "lead") if abs(ahead) > abs(right) else _way("track", right)
        return Move(name, float(np.linalg.norm(went)), "m")
    if _TRAVEL.isdisjoint(runs) and "pan" in runs:
        bearing = np.degrees(np.unwrap(np.arctan2(level[:, 0], level[:, 1])))
        if np.ptp(bearing) <= _DRIFT * abs(runs["pan"].amount):
            move = _plain(runs["pan"], crane=False)
            return replace(move, name=f"{move.name} with")
    return None


def _orbit(path: Path, runs: dict[str, Run], start: int, end: int, framing: Framing | None) -> tuple[Move, str] | None:
    """The camera circles the subject, or else the point its axes meet in, and turns as much as it circles; and whose
    name that is."""
    if not {"pan", "truck"} <= runs.keys():
        return None
    position = path.position[start:end + 1]
    pivots = {"": np.broadcast_to(_meeting(position, path.axis[start:end + 1]), position.shape)}
    if framing is not None:
        pivots = {framing.subject.name: np.asarray(framing.subject.points, np.float64)[start:end + 1]} | pivots
    for name, pivot in pivots.items():
        arm = position - pivot
        flat = np.stack([arm @ path.right[start], arm @ path.ahead[start]], axis=1)
        radius = np.log(np.linalg.norm(flat, axis=1))
        if not np.isfinite(radius).all():
            continue
        angle = np.degrees(np.unwrap(np.arctan2(flat[:, 1], flat[:, 0])))
        turned = float(angle[-1] - angle[0])
        steady = radius - np.linspace(radius[0], radius[-1], len(radius))
        turns_along = abs(path.moved("pan", start, end) + turned) <= 0.3 * abs(turned)
        if abs(turned) >= _LEAST_ORBIT and turns_along and np.ptp(steady) < 0.2 and _bows(flat, abs(turned)):
            # the eased ends are outside the stage, but inside the move
            return Move(_way("orbit", turned), abs(runs["pan"].amount), "degrees"), name
    return None


def _meeting(position: Array, axis: Array) -> Array:
    """The point nearest to all the lines through ``position`` (N, 3) along ``axis`` (N, 3), by least squares; NaN where
    they are parallel."""
    across = np.eye(3) - axis[:, :, None] * axis[:, None]
    matrix = across.sum(axis=0)
    if np.linalg.cond(matrix) > 1e6:
        return np.full(3, np.nan)
    return np.asarray(np.linalg.solve(matrix, np.einsum("nij,nj->i", across, position)), np.float64)


def _bows(flat: Array, degrees: float) -> bool:
    """Whether a path (N, 2) is bent like an arc of so many degrees, at least half as much; a straight one is a truck."""
    if degrees >= 180.0:
        return True
    _, spread, ways = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    along = np.ptp(flat @ ways.T, axis=0)
    return spread[0] > 0.0 and float(along[1] / along[0]) >= 0.25 * float(np.tan(np.radians(degrees) / 4.0))


def _dolly_zoom(runs: dict[str, Run]) -> Move | None:
    zoom, dolly = runs.get("zoom"), runs.get("dolly")
    if zoom is None or dolly is None or abs(zoom.seen + dolly.seen) > _BALANCE * max(abs(zoom.seen), abs(dolly.seen)):
        return None
    return Move(_way("dolly zoom", dolly.seen), abs(dolly.amount), "m")


def _with_rests(stages: list[Stage], frames: int, shortest: float, framings: Sequence[Framing]) -> list[Stage]:
    """The stages and, between them, those in which the camera rests; short overlaps are shared out."""
    told: list[Stage] = []
    reached = 0
    for stage in stages:
        last = told[-1] if told else None
        if last is not None and 0 < last.end - stage.start < 0.5 * min(last.end - last.start, stage.end - stage.start):
            middle = (last.end + stage.start) // 2
            told[-1], stage = replace(last, end=middle), replace(stage, start=middle)
        elif stage.start - reached >= shortest:
            told.append(_rest(reached, stage.start, framings))
        told.append(stage)
        reached = max(reached, stage.end)
    if frames - 1 - reached >= shortest or not told:
        told.append(_rest(reached, frames - 1, framings))
    return told


def _rest(start: int, end: int, framings: Sequence[Framing]) -> Stage:
    framing = about(framings, start, end)
    return Stage(start, end, "static", 0.0, "", framing.subject.name if framing is not None else "")


def _merged(stages: Sequence[Stage], shortest: float) -> list[Stage]:
    merged: list[Stage] = []
    for stage in stages:
        last = merged[-1] if merged else None
        same = last is not None and (last.move, last.target, last.unit) == (stage.move, stage.target, stage.unit)
        if last is not None and same and stage.start - last.end < shortest and (last.beside is None) == (stage.beside is None):
            amount = last.amount * stage.amount if stage.unit == "times" else last.amount + stage.amount
            merged[-1] = replace(last, end=max(last.end, stage.end), amount=amount)
        else:
            merged.append(stage)
    return merged
