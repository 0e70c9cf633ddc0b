# SPDX-License-Identifier: GPL-3.0-or-later
"""What Generate is going to do: how the shot is cut into windows, how long that takes and in how much memory.

Panels and overlays are drawn from what is in memory. What lies on the disk (the checkpoint's habits, the captured shot, what
earlier takes took) is looked at by a timer that a drawing asks for, at most every two seconds, and read where it changed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import bpy

from ..inference.conditioning.estimate import (
    FILE,
    Speed,
    estimate,
    read_speeds,
    told,
    weights_id,
    work_of,
    work_of_take,
)
from ..inference.conditioning.habits import Habits, habit_files, local_folder, read_habits
from ..inference.conditioning.windows import WindowPlan
from ..inference.errors import LucidError
from ..inference.home import lucid_home
from ..inference.shot.model import Frames, Shot, Size
from ..inference.shot.store import MANIFEST, open_shot
from .capture import default_size
from .redraw import redraw, redraw_timelines
from .translation import iface_
from .wishes import locked, panel_request
from .worker import worker_python

_PAUSE = 2.0            # seconds between two looks
_KEPT = 8               # scenes that are remembered

Stamps = tuple[int, ...]


class Place(NamedTuple):
    """What is looked at: the weights as they are asked for, and the shot's folder or ""."""

    weights: str
    shot: str


@dataclass(frozen=True)
class Facts:
    """What the disk says of a place. ``habits`` are None for weights that are not on this machine; ``weights`` is their name in
    records; ``error``: what could not be read."""

    weights: str
    habits: Habits | None = None
    shot: Shot | None = None
    speeds: tuple[Speed, ...] = ()
    worker: bool = True
    error: str = ""


class _Mirror:
    def __init__(self) -> None:
        self.known: dict[Place, tuple[Stamps, Facts]] = {}
        self.wanted: dict[Place, None] = {}      # in the order of asking; several windows may show several scenes
        self.looked = 0.0


_mirror = _Mirror()


def facts(scene: bpy.types.Scene) -> Facts | None:
    """What is known of the scene that shots are captured from; None before the first look, which this asks for."""
    place = _place(scene)
    _mirror.wanted[place] = None
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        pause = 0.0 if place not in _mirror.known else _mirror.looked + _PAUSE - time.monotonic()
        bpy.app.timers.register(_tick, first_interval=max(0.0, pause))
    return _mirror.known[place][1] if place in _mirror.known else None


def lines(scene: bpy.types.Scene) -> tuple[list[str], str]:
    """For people: what is painted, how it is cut and how long it takes; and a warning, or "". Never from the disk."""
    known = facts(scene)
    if known is None:
        return [], ""
    if known.error:
        return [], known.error
    try:
        return _lines(scene, known)
    except LucidError as error:
        return [], error.text


def _lines(scene: bpy.types.Scene, known: Facts) -> tuple[list[str], str]:
    """Raises RANGE_EMPTY, WINDOW_INVALID."""
    request, references = panel_request(scene, "")
    request = replace(request, keep=tuple(locked(scene)))
    shot, habits = known.shot, known.habits
    frames, size = _wished(scene) if shot is None else (shot.frames, shot.size)
    what = iface_("to capture: {frames} frames, {size}") if shot is None else iface_("the captured shot: {frames} frames, {size}")
    what = what.format(frames=len(frames), size=size)
    if habits is None:
        return [what, *told(None, None, None, iface_)], ""
    if shot is None:
        pictures = [len(references.get(name, ())) for name, _ in scene.lucid.layers() if name not in request.keep]
        work = work_of(habits, known.weights, len(frames), size, request.steps or 0, pictures)
    else:
        work = work_of_take(habits, known.weights, shot, request, references)
    found = estimate(work, known.speeds)
    warnings = (_stale(scene, shot), found.warn(iface_) if found is not None else "")
    return [what, *told(habits, work, found, iface_)], "; ".join(filter(None, warnings))


def _stale(scene: bpy.types.Scene, shot: Shot | None) -> str:
    """Why the captured shot is no longer what the panel says, as far as names and numbers tell; "" where it is."""
    if shot is None:
        return ""
    try:
        same = _wished(scene) == (shot.frames, shot.size)
    except LucidError:      # an empty range
        same = False
    layers = {name for name, _wishes in scene.lucid.layers()}
    if same and layers == {layer.name for layer in shot.painted}:
        return ""
    return iface_("the shot was captured with other frames, another size or other actors: capture again to have these")


def windows(scene: bpy.types.Scene) -> tuple[WindowPlan, Frames] | None:
    """The plan, and the scene's frames that it is for; None while that is not known. Never from the disk."""
    known = facts(scene)
    if known is None or known.habits is None:
        return None
    try:
        frames = known.shot.frames if known.shot is not None else _wished(scene)[0]
        return known.habits.windows(len(frames)), frames
    except LucidError:      # an empty range: the panel says so
        return None


def _wished(scene: bpy.types.Scene) -> tuple[Frames, Size]:
    """Of the shot that would be captured. Raises RANGE_EMPTY."""
    settings = scene.lucid
    return settings.frames(scene), settings.size() or default_size(scene)


def _place(scene: bpy.types.Scene) -> Place:
    return Place(panel_request(scene, "")[0].weights, bpy.path.abspath(scene.lucid.shot) if scene.lucid.shot else "")


def _tick() -> None:
    """The timer's function, once: everything that was asked for since the last look."""
    _mirror.looked = time.monotonic()
    wanted, _mirror.wanted = _mirror.wanted, {}
    if sum(_look(place)[1] for place in wanted):
        redraw()
        redraw_timelines()


def _look(place: Place) -> tuple[Facts, bool]:
    """What the disk says, and whether it said anything else before."""
    folder = local_folder(place.weights)
    shot = Path(place.shot) / MANIFEST if place.shot else None
    worker = _has_worker()
    files = [lucid_home() / FILE, *(habit_files(folder) if folder is not None else ()), *([shot] if shot is not None else [])]
    stamps = (int(worker), *map(_stamp, files))
    if place in _mirror.known and _mirror.known[place][0] == stamps:
        return _mirror.known[place][1], False
    found = _read(place, folder, worker)
    while len(_mirror.known) >= _KEPT:
        _mirror.known.pop(next(iter(_mirror.known)))
    _mirror.known[place] = stamps, found
    return found, True


def _read(place: Place, folder: Path | None, worker: bool) -> Facts:
    found = Facts(weights_id(place.weights), speeds=read_speeds(lucid_home() / FILE), worker=worker)
    try:
        found = replace(found, habits=None if folder is None else read_habits(folder))
        return replace(found, shot=open_shot(Path(place.shot), verify=False) if place.shot else None)
    except LucidError as error:
        return replace(found, error=str(error))


def _has_worker() -> bool:
    try:
        worker_python()
    except LucidError:
        return False
    return True


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def forget() -> None:
    """No timer stays, and nothing that was read."""
    global _mirror
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _mirror = _Mirror()
