# SPDX-License-Identifier: GPL-3.0-or-later
"""From what failed in a take to edits that may mend it: the object, the frames, and the arguments of ``lucid edit``."""

from __future__ import annotations

import math
import shlex
import zlib
from collections.abc import Iterable
from pathlib import Path

from ..conditioning.strength import Strength, from_json
from ..shot.model import Layer, Shot, TakeRequest
from ..shot.verdicts import Outcome, Repair
from .figures import Figure, Spot
from .meaning import Cure, allowed, amount, label, meaning

#: a list that is read, not a queue of work
MOST = 3
#: frames over which a strength rises before the worst ones and falls after them: Wan's latent frame holds 4
RAMP = 4
#: of the denoising done again where only the look is wrong
REPAINT = 0.4
_OBEYED = 1.0 - 1e-6
_SEEDS = 1_000_000


def suggest(figures: Iterable[Figure], shot: Shot, number: int, request: TakeRequest) -> tuple[Repair, ...]:
    """Up to MOST edits of take ``number``, made by ``request``, the worst failure first, one for each object.

    What does not follow the scene gets strength 1 in its worst frames, or another seed where it has that already; what changes
    its look is painted again over itself. What fails for the whole picture is mended in the environment. Raises
    STRENGTH_INVALID for a request that is none.
    """
    repairs: dict[str, Repair] = {}
    failed = [figure for figure in figures if figure.outcome is Outcome.FAIL and meaning(figure.metric).cure is not Cure.NONE]
    for figure in sorted(failed, key=lambda figure: (-(figure.excess or 0.0), figure.name)):
        spot = figure.worst[0] if figure.worst else _everywhere(figure, shot)
        found = _target(shot, spot.object or figure.object)
        if found is None or found[1] in repairs:
            continue
        layer, name = found
        arguments = ("--take", str(number), "--object", name, *_change(figure, spot, layer, name, number, request))
        repairs[name] = Repair(name, (spot.first, spot.last), _reason(figure, spot), arguments)
        if len(repairs) == MOST:
            break
    return tuple(repairs.values())


def command(repair: Repair, folder: Path) -> str:
    """The repair as a line for a shell."""
    return shlex.join(["lucid", "edit", str(folder), *repair.arguments])


def raised(strength: Strength, first: int, last: int, ramp: int = RAMP) -> Strength:
    """The same strength with 1 in the scene frames ``first`` to ``last``, reached and left over ``ramp`` frames."""
    keys = {frame: value for frame, value in strength.keys if frame < first - ramp or frame > last + ramp} \
        if len(strength.keys) > 1 else {}
    keys |= {frame: strength.at(frame) for frame in (first - ramp, last + ramp)} | {first: 1.0, last: 1.0}
    return Strength(tuple(sorted(keys.items())))


def _change(figure: Figure, spot: Spot, layer: Layer, name: str, number: int, request: TakeRequest) -> tuple[str, ...]:
    if meaning(figure.metric).cure is Cure.LOOK:
        return "--start", "parent", "--change", f"{REPAINT:g}"
    strength = from_json(request.strengths.get(name, request.strengths.get(layer.name, 1.0)))
    if min(map(strength.at, range(spot.first, spot.last + 1))) < _OBEYED:
        keys = raised(strength, spot.first, spot.last).keys
        return "--strength", ",".join(f"{round(value, 3):g}@{frame}" for frame, value in keys)
    seed = request.seed_of(layer.name)       # not the next one: that is another take of a --best-of
    return "--seed", str(zlib.crc32(f"{number} {name} {seed}".encode()) % _SEEDS)


def _target(shot: Shot, name: str) -> tuple[Layer, str] | None:
    """The layer and the name that an edit takes for what a figure is of: an actor as a whole, an object of the environment, the
    environment for the picture; None for what is none of these."""
    if name in ("", shot.environment.name):
        return shot.environment, shot.environment.name
    numbers = {number for number, called in shot.instances.items() if called == name}
    for actor in shot.actors:
        if name == actor.name or numbers & set(actor.ids):
            return actor, actor.name
    return (shot.environment, name) if numbers else None


def _everywhere(figure: Figure, shot: Shot) -> Spot:
    return Spot(figure.object, shot.frames.numbers[0], shot.frames.numbers[-1], figure.value or 0.0)


def _reason(figure: Figure, spot: Spot) -> str:
    excess = figure.excess or 0.0
    times = f", {excess:.1f} times what is allowed" if 1.0 < excess < math.inf else ""
    frames = f"frame {spot.first}" if spot.first == spot.last else f"frames {spot.first} to {spot.last}"
    value = amount(figure.value or 0.0, figure.unit)
    return f"{label(figure)} is {value} where {allowed(figure.bar, figure.unit)} holds{times}; worst in {frames}"
