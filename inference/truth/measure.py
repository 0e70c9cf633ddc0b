# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict: every measure of a take's pictures, and of the captured beauty's, which says how near right one can be."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..shot.images import read_planes, read_png
from ..shot.model import Layer, Shot
from ..shot.paths import frame_path
from ..shot.store import MANIFEST, sha256_file
from ..shot.takes import Take, get_take
from ..shot.verdicts import Figure, Measured, Verdict, judge
from . import constancy, warp
from .adherence import ControlAdherence
from .backdrop import BackdropRegistration
from .camera import CameraError
from .constancy import Constancy
from .feet import FootSlide
from .fidelity import MotionFidelity
from .ground import Ground, Mask
from .parallax import DepthFromMotion
from .physics import Physics
from .pictures import beauty_pictures, final_pictures, has_beauty
from .purity import Codes, layer_purity
from .repair import suggest
from .seams import SeamRatio
from .silhouette import MotionSilhouette
from .similarity import LongSimilarity
from .tracks import Tracker
from .warp import WarpError
from .watch import Metric, Pictures, watch
from .zoom import ZoomHonesty

#: told (frames done, of how many)
Progress = Callable[[int, int], Any]
HEAT = "heat"


@dataclass(frozen=True)
class Wanted:
    """What to do beside the numbers: compare with the captured ``beauty`` where the shot has it, and write ``heat`` maps below
    this folder."""

    beauty: bool = True
    heat: Path | None = None


def measures(ground: Ground, joins: Sequence[int] = (), heat: Path | None = None) -> list[Metric]:
    """Every measure, new, for one set of pictures. ``joins`` are the frames, counted from 0, before which windows of a take
    join."""
    tracker = Tracker(ground)
    return [WarpError(ground, heat=None if heat is None else warp.heat_map(heat, ground)),
            Constancy(ground, None if heat is None else constancy.heat_map(heat, ground)), LongSimilarity(ground),
            SeamRatio(ground, joins), MotionFidelity(ground), CameraError(ground, tracker), ZoomHonesty(ground, tracker),
            DepthFromMotion(ground), MotionSilhouette(ground), BackdropRegistration(ground), ControlAdherence(ground),
            Physics(ground), FootSlide(ground)]


def figures_of(ground: Ground, pictures: Pictures, *, joins: Sequence[int] = (), heat: Path | None = None,
               progress: Progress = lambda *_: None) -> tuple[list[Figure], dict[str, float]]:
    """The figures of a set of pictures, and the seconds that each measure took.

    OpenCV is held to one thread: the measures are many small steps, and several takes can be measured side by side. Raises
    what reading the passes and the pictures does.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        metrics = measures(ground, joins, heat)
        seconds = watch(ground, pictures, metrics, progress=progress)
        return [figure for metric in metrics for figure in metric.figures()], seconds
    finally:
        cv2.setNumThreads(threads)


def measure_take(folder: Path, shot: Shot, take: Take, wanted: Wanted, progress: Progress = lambda *_: None) -> Verdict:
    """The verdict of a take that is done. Raises TAKE_NOT_DONE, TAKE_FOREIGN, PASS_MISSING, CAMERA_PERSPECTIVE and what reading
    the files does."""
    take.check_shot()
    ground, pictures = Ground(folder, shot), final_pictures(take, shot)
    both = wanted.beauty and has_beauty(shot)
    of = len(ground) * (2 if both else 1)
    joins = (take.result() or {}).get("joins", ())
    found, seconds = figures_of(ground, pictures, joins=joins, heat=wanted.heat, progress=lambda done, _: progress(done, of))
    found += purity_of(folder, shot, take)
    if both:
        ideal, _ = figures_of(ground, beauty_pictures(folder, shot), progress=lambda done, _: progress(len(ground) + done, of))
        found = beside(found, ideal)
    repairs = suggest(found, shot, take.number, take.request())
    return Verdict(_hash(folder), take.number, Measured.FINAL, tuple(found), judge(found), versions(), seconds, repairs)


def measure_beauty(folder: Path, shot: Shot, progress: Progress = lambda *_: None) -> Verdict:
    """The verdict of what Cycles rendered: the floors of every measure for this shot. Raises PASS_MISSING and as above."""
    found, seconds = figures_of(Ground(folder, shot), beauty_pictures(folder, shot), progress=progress)
    return Verdict(_hash(folder), None, Measured.BEAUTY, tuple(found), judge(found), versions(), seconds)


def beside(found: Sequence[Figure], ideal: Sequence[Figure]) -> list[Figure]:
    """Figures with the values of the beauty's beside them."""
    values = {figure.name: figure.value for figure in ideal}
    return [replace(figure, beauty=values.get(figure.name)) for figure in found]


def purity_of(folder: Path, shot: Shot, take: Take) -> list[Figure]:
    """For an edit: that it changed no pixel outside of what it edits. Raises PNG_INVALID, EXR_INVALID, TAKE_MISSING."""
    request, numbers = take.request(), shot.frames.numbers
    edit = request.edit
    if edit is None or request.parent is None:
        return [layer_purity(None, _codes(take, shot), lambda _: np.ones((1, 1), bool), numbers)]
    layer, parent = shot.layer(edit.layer), get_take(folder, request.parent)

    def covered(index: int) -> Mask:
        return coverage(folder, shot, layer, edit.instances, numbers[index])

    return [layer_purity(_codes(parent, shot), _codes(take, shot), covered, numbers, layer=layer.name)]


def coverage(folder: Path, shot: Shot, layer: Layer, instances: Sequence[int], number: int) -> Mask:
    """(H, W) the pixels of scene frame ``number`` that an edit of ``layer`` may change: an actor's visible matte; of the
    environment the ``instances``, also where an actor is before them, or everything without any. Raises PNG_INVALID,
    EXR_INVALID."""
    if layer.has("matte"):
        return np.asarray(read_png(folder / layer.sequence("matte").path(number)) > 0)
    if not instances:
        return np.ones((shot.size.height, shot.size.width), bool)
    ids = read_planes(folder, layer.sequence("id").path(number), shot.size, ("id",))[..., 0]
    return np.isin(ids, instances)


def _codes(take: Take, shot: Shot) -> Codes:
    return lambda index: read_png(take.folder / frame_path(take.final_pattern, shot.frames.numbers[index]))


def versions() -> dict[str, str]:
    """What the numbers depend on beside the files."""
    return {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__,
            "machine": platform.machine()}


def _hash(folder: Path) -> str:
    return sha256_file(folder / MANIFEST)
