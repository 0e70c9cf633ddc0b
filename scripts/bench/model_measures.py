# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions the model bench asks: each paints with the model, measures against the truth, and measures the true
pictures the same way (keys that end in ``_truth``), which is the floor or ceiling of each measure."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from lucid.inference.adapters.base import NONE, Adapter
from lucid.inference.truth.boundary import appearance_silhouette, boundary_f, outline_threshold
from lucid.inference.truth.colour import delta_e, names_colour, region_colour, srgb_to_lab
from lucid.inference.truth.drift import measure_drift
from lucid.inference.truth.motion import dis_flow, dynamic_degree, end_point_error, measurable
from lucid.scripts.training.palette import MOODS

from .model_cases import DAYLIGHT, Case, Mask, Video, colour_prompt, scene_prompt, signature

WORDS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "gray")
MATERIALS = ("shiny", "metal", "matte")
TOLERANCE_PX = 3.0
#: an outline is measurable where the measure finds it in the true picture
MEASURABLE = 0.9
#: px a frame: below this a background does not move
LEAST_MOTION = 0.3
_DEGREE = {"background": "dynamic_degree", "actor": "dynamic_degree_actor"}
#: part of an actor's or a background's pixels whose motion can be measured, below which there is no answer
LEAST_MEASURABLE = 0.15


class Painter:
    """The model behind its adapter; tells on stderr how far the bench is."""

    def __init__(self, adapter: Adapter, planned: float) -> None:
        self.adapter, self.planned = adapter, planned
        self.done, self.start = 0.0, time.monotonic()

    def __call__(self, case: Case, control: Video, mask: Mask, prompt: str, references: Sequence[Video] = ()) -> Video:
        """The uncomposited picture (F, H, W, 3), seed 0, the profile's own steps."""
        frames = self.adapter.generate(control, mask, prompt, 0, self.adapter.profile.steps, _quiet, references,
                                       case.correspondence)
        self.done += len(control)
        left = (self.planned - self.done) * (time.monotonic() - self.start) / self.done
        sys.stderr.write(f"\r{self.done / self.planned:4.0%}, about {max(left, 0) / 60:.1f} min left  {prompt[:60]:60s}")
        sys.stderr.flush()
        return frames


def _quiet(_done: int, _total: int) -> None:
    """The painter tells the progress run by run."""


class Tally:
    """Figures to be averaged; what could not be measured (NaN) does not count. ``rows`` are strips of pictures."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self.rows: list[list[Video]] = []

    def add(self, name: str, value: float) -> None:
        if np.isfinite(value):
            self.values[name].append(float(value))

    def figures(self) -> dict[str, float]:
        return {name: float(np.mean(values)) for name, values in self.values.items()}


class ActorLayer:
    """One actor repainted in a kept daylight picture: colour words, outline, motion, what is kept."""

    def __init__(self, case: Case, words: Sequence[str]) -> None:
        self.case, self.words = case, words
        self.truths = {word: case.truth(case.look(DAYLIGHT, word)) for word in dict.fromkeys((*words, *WORDS[-3:]))}
        self.plate = case.plate(self.truths[words[0]])
        self.colours = {word: region_colour(frames[: case.judged], case.inside) for word, frames in self.truths.items()}
        self.mask = np.zeros(0, bool)
        self.found: dict[str, Mask] = {}

    def silhouette(self, frames: Video) -> Mask:
        shown, region = frames[: self.case.judged], self.mask[: self.case.judged]
        threshold = outline_threshold(shown, self.plate, self.case.inside)
        return appearance_silhouette(shown, self.plate, region, threshold=threshold)

    def measure(self, painter: Painter, tally: Tally) -> list[Video]:
        """Paints once for each word; keeps the silhouettes of the words whose true outline can be measured."""
        case, row = self.case, []
        for word in self.words:
            control, self.mask = case.painting(self.truths[word], painter.adapter.profile)
            painted = painter(case, control, self.mask, colour_prompt(case, word))
            row.append(painted)
            self._judge(word, painted, tally)
            kept = ((painted - control)[~self.mask] ** 2).mean()
            tally.add("kept_psnr", 10 * np.log10(1 / max(float(kept), 1e-10)))
        return row

    def _judge(self, word: str, painted: Video, tally: Tally) -> None:
        case, n = self.case, self.case.judged
        other = case.truth(case.look(DAYLIGHT, word, seed=1))           # the same word drawn once more
        for key, frames in (("", painted), ("_truth", other)):
            tally.add("colour_right" + key, names_colour(region_colour(frames[:n], case.inside), self.colours, word))
        ceiling = boundary_f(self.silhouette(self.truths[word]), case.matte, TOLERANCE_PX)
        if ceiling >= MEASURABLE:
            self.found[word] = self.silhouette(painted)
            tally.add("boundary_f", boundary_f(self.found[word], case.matte, TOLERANCE_PX))
            tally.add("boundary_f_truth", ceiling)
        if case.flow is not None:
            _motion("actor", painted, self.truths[word], case.flow, case.inside[:-1] & case.visible, tally)

    def without_skeleton(self, painter: Painter, tally: Tally) -> Video | None:
        """The same from surfaces alone, for an actor that has a skeleton, in the first word that can be measured."""
        if not self.case.has_skeleton or not self.found or painter.adapter.profile.skeleton == NONE:
            return None
        word = next(iter(self.found))
        control, mask = self.case.painting(self.truths[word], painter.adapter.profile, skeleton=False)
        painted = painter(self.case, control, mask, colour_prompt(self.case, word))
        tally.add("boundary_f_surfaces", boundary_f(self.silhouette(painted), self.case.matte, TOLERANCE_PX))
        return painted


def shuffled(layers: Sequence[ActorLayer], tally: Tally) -> None:
    """The control: what is found in the pictures of one scene against the matte of the next one."""
    for layer, other in zip(layers, [*layers[1:], layers[0]], strict=True):
        for found in layer.found.values() if other.case.clip is not layer.case.clip else ():
            tally.add("boundary_f_shuffled", boundary_f(found, other.case.matte, TOLERANCE_PX))


def references(case: Case, painter: Painter, tally: Tally) -> Video:
    """Paints the actor from a picture of it and no colour word: mean colour in L*a*b* against the truth's."""
    look = case.look(DAYLIGHT, seed=2)
    truth = case.truth(look)
    control, mask = case.painting(truth, painter.adapter.profile)
    painted = painter(case, control, mask, f"a {case.noun}", [case.reference(look)])
    took, asked = (srgb_to_lab(video[: case.judged][case.inside]).mean(0) for video in (painted, truth))
    tally.add("reference_de", float(delta_e(took, asked)))
    return painted


def materials(case: Case, painter: Painter, tally: Tally) -> list[Video]:
    """How much the picture changes with the material word alone: mean dE of each two of the takes."""
    plain = case.truth(case.look(DAYLIGHT, "red"))
    control, mask = case.painting(plain, painter.adapter.profile)
    painted = [painter(case, control, mask, f"a {word} {case.noun}") for word in MATERIALS]
    truths = [case.truth(case.look(DAYLIGHT, "red", word)) for word in MATERIALS]
    for key, videos in (("", painted), ("_truth", truths)):
        labs = [srgb_to_lab(video[: case.judged][case.inside]) for video in videos]
        gaps = [delta_e(labs[i], labs[j]).mean() for i in range(len(labs)) for j in range(i)]
        tally.add("material_de" + key, float(np.mean(gaps)))
    return painted


def scene(case: Case, painter: Painter, tally: Tally) -> list[Video]:
    """Everything painted from all surfaces, once in each mood: light, motion, flicker."""
    looks = [case.look(mood) for mood in MOODS]
    truths = [case.truth(look)[: case.judged] for look in looks]
    marks = [signature(truth) for truth in truths]
    where = case.static[:-1] & case.visible
    moves = where.any() and np.median(np.linalg.norm(case.camera_flow[where], axis=-1)) > LEAST_MOTION
    painted = []
    for index, look in enumerate(looks):
        video = _whole(case, painter, scene_prompt(case, look))
        painted.append(video)
        gaps = [np.abs(signature(video) - mark).sum() for mark in marks]
        tally.add("light_right", float(np.argmin(gaps) == index))
        if moves:
            _motion("background", video, truths[index], case.camera_flow, where, tally)
        for key, frames in (("", video), ("_truth", truths[index])):
            tally.add("flicker" + key, measure_drift(frames, case.tracks).flicker)
    return painted


def _whole(case: Case, painter: Painter, prompt: str) -> Video:
    control = case.shape(painter.adapter.profile)
    return painter(case, control, np.ones(control.shape[:3], bool), prompt)[: case.judged]


def _motion(name: str, painted: Video, truth: Video, exact: Video, where: Mask, tally: Tally) -> None:
    """Motion of a take against the exact flow, at the pixels of ``where`` whose motion is found in the true picture;
    ``_all`` and ``_truth`` are over all of ``where``."""
    flow, seen = dis_flow(painted[: len(exact) + 1]), dis_flow(truth[: len(exact) + 1])
    known = measurable(seen, exact, where)
    for key, found in (("_all", flow), ("_truth", seen)):
        tally.add(f"epe_{name}{key}", end_point_error(found, exact, where).median)
    share = float(known.sum() / max(int(where.sum()), 1))
    tally.add(f"measurable_{name}", share)
    if share >= LEAST_MEASURABLE:
        tally.add(f"epe_{name}", end_point_error(flow, exact, known).median)
        for key, found in (("", flow), ("_truth", seen)):
            tally.add(f"{_DEGREE[name]}{key}", dynamic_degree(found, exact, known))


def drift(case: Case, painter: Painter, tally: Tally) -> Video:
    """A long take: how far the colours of the same places in the world go."""
    look = case.look(DAYLIGHT)
    painted = _whole(case, painter, scene_prompt(case, look))
    for key, frames in (("", painted), ("_truth", case.truth(look)[: case.judged])):
        found = measure_drift(frames, case.tracks)
        tally.add("drift_de" + key, found.end)
        tally.add("drift_bias" + key, found.bias)
        tally.add("drift_slope" + key, found.slope)
    return painted


def check_flow(case: Case, tally: Tally) -> None:
    """Lucid's flow pass on what stands still against the closed form from depth and cameras, px (99th percentile)."""
    if case.flow is not None:
        where = case.static[:-1] & case.visible
        gap: Any = np.linalg.norm(case.flow - case.camera_flow, axis=-1)[where]
        tally.add("flow_check_px", float(np.percentile(gap, 99)))
