# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a take will be painted and in how much memory, from what takes of the same weights took on this machine.

A prediction of the transformer costs what its tokens cost, so painting is scaled by tokens x predictions (steps x windows x
layers); all the rest (reading controls, finding correspondences, decoding, writing, compositing) by frames x pixels x layers.
Loading is the longest that it took. Where sizes were measured on both sides of the wanted one, the costs of a
token and of a pixel are interpolated over the logarithm of the tokens; beyond them, those of the nearest hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..shot.model import Shot, Size, TakeRequest
from ..shot.store import write_json
from .habits import Habits, local_folder, read_habits

FILE = "speed.json"
SCHEMA = "lucid.speed/1"
KEPT, ALIKE = 16, 2     # records of one checkpoint on one device, and of those as many with as many tokens
UNMEASURED = "no estimate yet: the first take measures this machine"
_FAR = 4.0              # times more or fewer tokens than were ever measured: then it is a rough guess

Say = Callable[[str], str]      # tells a text in another language


@dataclass(frozen=True)
class Work:
    """What a take asks for: the model's ``frames``, ``width`` and ``height``, the ``tokens`` of its largest window, and its
    ``volume``, which is tokens x predictions over all painted ``layers``."""

    weights: str
    frames: int
    width: int
    height: int
    tokens: int
    volume: int
    layers: int

    @property
    def pixels(self) -> int:
        return self.frames * self.width * self.height * self.layers


@dataclass(frozen=True)
class Speed:
    """What painting the layers of a take took: seconds for ``loading`` the weights (0 where they were loaded already), in
    ``predictions`` and in all the ``rest``; in bytes, 0 where nobody knows, peak ``memory``, its ``base`` that the loaded weights
    take, and the device's ``capacity``."""

    work: Work
    device: str
    loading: float
    predictions: float
    rest: float
    memory: int
    base: int
    capacity: int


@dataclass(frozen=True)
class Estimate:
    """``seconds`` with loading; ``memory`` and ``capacity`` in bytes, 0 where nobody knows; ``rough`` where nothing near it was
    measured."""

    seconds: float
    memory: int
    capacity: int
    device: str
    rough: bool

    @property
    def text(self) -> str:
        """As :meth:`told`, in English."""
        return self.told()

    def told(self, say: Say = str) -> str:
        """Such as "about 2 min, 1.3 GB"."""
        memory = f", {self.memory / 1e9:.1f} GB" if self.memory else ""
        text = say("very roughly {time}") if self.rough else say("about {time}")
        return text.format(time=duration(self.seconds)) + memory

    @property
    def warning(self) -> str:
        """As :meth:`warn`, in English."""
        return self.warn()

    def warn(self, say: Say = str) -> str:
        """Why it may not fit; "" where it does or nobody knows."""
        if not 0 < self.capacity < self.memory:
            return ""
        text = say("it may need {needed:.1f} GB of memory, this machine has {there:.1f}: take a smaller size")
        return text.format(needed=self.memory / 1e9, there=self.capacity / 1e9)


def duration(seconds: float) -> str:
    """Two figures of it, for people."""
    if seconds < 90.0:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"


def weights_id(weights: str) -> str:
    """One name for one checkpoint on this machine: of a folder its absolute path."""
    folder = local_folder(weights)
    return str(folder.resolve()) if folder is not None and weights != "mini" and Path(weights).is_dir() else weights


def painted_layers(shot: Shot, request: TakeRequest) -> list[str]:
    """The layers that are painted at most: not what an edit or a lock keeps. A layer with a known key is not painted either, and
    an actor that is never in the picture, which only the worker can tell."""
    return [layer.name for layer in shot.painted if not request.keeps(layer.name)]


def work_of(habits: Habits, weights: str, frames: int, shown: Size, steps: int, references: Sequence[int]) -> Work:
    """``frames`` of the size ``shown`` in ``steps`` (0: the checkpoint's own), one layer for each number in ``references``: of
    its reference pictures. ``weights`` as :func:`weights_id` has them. Raises WINDOW_INVALID."""
    predictions = habits.predictions(habits.windows(frames), steps or habits.steps)
    return _work(habits, weights, frames, shown, [(predictions, number) for number in references])


def work_of_take(habits: Habits, weights: str, shot: Shot, request: TakeRequest, references: Mapping[str, Sized]) -> Work:
    """:func:`work_of` a request for a shot with these reference pictures by layer; an edit from a picture does only its share of
    the steps."""
    steps = request.steps or habits.steps
    if request.edit is not None:
        steps = max(1, round(request.edit.change * steps))
    pictures = [len(references.get(name, ())) for name in painted_layers(shot, request)]
    return work_of(habits, weights, len(shot.frames), shot.size, steps, pictures)


def painted_work(habits: Habits, shot: Shot, request: TakeRequest, calls: Mapping[str, int]) -> Work:
    """What was done where each painted layer took so many predictions. Raises WINDOW_INVALID."""
    layers = [(number, len(request.references.get(name, ()))) for name, number in calls.items()]
    return _work(habits, weights_id(request.weights), len(shot.frames), shot.size, layers)


def _work(habits: Habits, weights: str, frames: int, shown: Size, layers: Sequence[tuple[int, int]]) -> Work:
    """Of layers with so many (predictions, references)."""
    plan, size = habits.windows(frames), habits.size(shown)
    tokens = [habits.tokens(plan, size, references) for _, references in layers]
    volume = sum(number * one for (number, _), one in zip(layers, tokens, strict=True))
    return Work(weights, plan.frames, size.width, size.height, max(tokens, default=0), volume, len(layers))


def estimate(work: Work, speeds: Iterable[Speed]) -> Estimate | None:
    """What ``work`` takes on the device of the newest of ``speeds`` (in their order in time) that is of the same weights; None
    where none is."""
    same = [speed for speed in speeds if speed.work.weights == work.weights]
    if not same:
        return None
    newest = same[-1]
    mine = [speed for speed in same if speed.device == newest.device]
    if not work.layers:
        return Estimate(0.0, 0, newest.capacity, newest.device, False)
    token = _at(work.tokens, [(speed.work.tokens, speed.predictions / speed.work.volume) for speed in mine])
    pixel = _at(work.tokens, [(speed.work.tokens, speed.rest / speed.work.pixels) for speed in mine])
    loading = max(speed.loading for speed in mine)
    apart = min(abs(math.log(speed.work.tokens / work.tokens)) for speed in mine)
    return Estimate(loading + work.volume * token + work.pixels * pixel, _memory(work.tokens, mine), newest.capacity,
                    newest.device, apart > math.log(_FAR))


def _at(tokens: int, known: Sequence[tuple[int, float]]) -> float:
    """A cost at so many tokens: the newest of the nearest fewer and of the nearest more, interpolated over the logarithm."""
    below = max(((at, order, cost) for order, (at, cost) in enumerate(known) if at <= tokens), default=None)
    above = min(((at, -order, cost) for order, (at, cost) in enumerate(known) if at >= tokens), default=None)
    if below is None or above is None:
        only = below or above
        assert only is not None
        return only[2]
    if below[0] == above[0]:
        return below[2]
    part = math.log(tokens / below[0]) / math.log(above[0] / below[0])
    return (1.0 - part) * below[2] + part * above[2]


def _memory(tokens: int, known: Sequence[Speed]) -> int:
    """On the straight line through the smallest and the largest that were measured; with one size known, what is above its base
    grows as the tokens do. Never less than the least that was measured; 0 where nobody knows."""
    by_tokens = {speed.work.tokens: speed for speed in known if speed.memory}       # the newest of each
    if not by_tokens:
        return 0
    least, most = by_tokens[min(by_tokens)], by_tokens[max(by_tokens)]
    one = max(0, most.memory - most.base) / most.work.tokens
    if least is not most:
        one = max(0, most.memory - least.memory) / (most.work.tokens - least.work.tokens)
    return round(max(least.memory, most.memory + one * (tokens - most.work.tokens)))


# ---- on disk

def read_speeds(path: Path) -> tuple[Speed, ...]:
    """What is recorded there, the newest last. It is a cache that every take fills again: a file that is damaged or of another
    Lucid is as good as none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            return ()
        return tuple(_speed(record) for record in data["records"])
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def add_speed(path: Path, speed: Speed) -> None:
    """Record one more. Of its weights and device the newest KEPT stay, of those with its number of tokens the newest ALIKE. Where
    two processes write at once, one measurement is lost and no more. Raises DISK_WRITE."""
    known = [*read_speeds(path), speed]
    mine = [one for one in known if (one.work.weights, one.device) == (speed.work.weights, speed.device)]
    alike = [one for one in mine if one.work.tokens == speed.work.tokens]
    gone = set(map(id, (*mine[:-KEPT], *alike[:-ALIKE])))
    write_json(path, {"schema": SCHEMA, "records": [asdict(one) for one in known if id(one) not in gone]})


def _speed(record: dict[str, Any]) -> Speed:
    """Raises ValueError, TypeError, KeyError for what :func:`add_speed` does not write."""
    work = Work(**record["work"])
    speed = replace(Speed(**record), work=work)
    numbers = [getattr(one, field.name) for one in (work, speed) for field in fields(one)
               if field.name not in ("weights", "device", "work")]
    if not all(isinstance(number, (int, float)) and math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("not a measurement")
    if min(work.tokens, work.volume, work.pixels) < 1:
        raise ValueError("no work")
    return speed


# ---- in words

def told_of_take(shot: Shot, request: TakeRequest, references: Mapping[str, Sized], speeds: Iterable[Speed]) -> list[str]:
    """:func:`told` of a request for a shot, and what may not fit. Raises WEIGHTS_INVALID, WINDOW_INVALID."""
    folder = local_folder(request.weights)
    if folder is None:
        return told(None, None, None)
    habits = read_habits(folder)
    work = work_of_take(habits, weights_id(request.weights), shot, request, references)
    found = estimate(work, speeds)
    return [*told(habits, work, found), *([found.warning] if found is not None and found.warning else [])]


def told(habits: Habits | None, work: Work | None, found: Estimate | None, say: Say = str) -> list[str]:
    """For people: how the shot is cut, how long it takes and in how much memory. What may not fit is the estimate's warning."""
    if habits is None or work is None:
        return [say("windows: known once the weights are loaded"), say(UNMEASURED)]
    lines = [windows_text(habits, work.frames, say)]
    if found is None:
        return [*lines, say(UNMEASURED)]
    text = say("{guess} for {layers} layer on {device}") if work.layers == 1 else say("{guess} for {layers} layers on {device}")
    return [*lines, text.format(guess=found.told(say), layers=work.layers, device=found.device)]


def windows_text(habits: Habits, frames: int, say: Say = str) -> str:
    """Such as "5 windows of 9 frames, overlap 4". Raises WINDOW_INVALID."""
    spans = habits.windows(frames).spans()
    longest = spans[0][1]       # the model's own count: a later one begins with a latent frame that holds more than one
    if len(spans) == 1:
        return say("1 window of {frames} frames").format(frames=longest)
    shared = [before[1] - after[0] for before, after in zip(spans, spans[1:], strict=False)]
    text = say("{count} windows of {frames} frames, overlap {least}") if min(shared) == max(shared) else \
        say("{count} windows of {frames} frames, overlap {least} to {most}")
    return text.format(count=len(spans), frames=longest, least=min(shared), most=max(shared))
