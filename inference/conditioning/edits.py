# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a finished take shows and a wish for one thing in it to the request of the next take."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..errors import LucidError
from ..shot.lineage import painter
from ..shot.model import Edit, Shot, TakeRequest
from ..shot.takes import Take, list_takes
from .strength import from_json, to_json
from .target import Target

T = TypeVar("T")
CHANGE = 0.6        # of the denoising that is done again, unless said, where an edit starts from a picture


def settled(folder: Path, take: Take, layer: str, instances: tuple[int, ...] = ()) -> TakeRequest:
    """A take's request as it holds for these ``instances`` of a layer: the layer's prompt and seed are those of the nearest take
    in its line that painted them all. What was asked for one object of the environment is not meant for the others.

    ``folder`` is the shot's. Raises TAKE_MISSING, TAKE_INVALID.
    """
    request, here = take.request(), painter(folder, take, layer, instances).request()
    prompt = here.prompt_of(layer) if layer in here.layer_prompts or here.prompt != request.prompt else None
    seed = here.seed_of(layer) if layer in here.layer_seeds or here.seed != request.seed else None
    return replace(request, layer_prompts=_with(request.layer_prompts, layer, prompt),
                   layer_seeds=_with(request.layer_seeds, layer, seed))


def edited(folder: Path, shot: Shot, parent: Take, target: Target, *, prompt: str | None = None, seed: int | None = None,
           strength: float | list[list[float]] | None = None, start: str = "noise",
           change: float | None = None) -> TakeRequest:
    """The request of a take with changes of ``target`` alone; what is None stays, and ``change`` is then CHANGE. Model, steps and
    noise are those that painted the target, be it in a take whose layer the ``parent`` keeps.

    ``folder`` is the shot's, ``strength`` in conditioning.strength's JSON form. Raises EDIT_EMPTY where nothing would change,
    PROMPT_EMPTY, STRENGTH_INVALID, USAGE for a change from noise, TAKE_MISSING, TAKE_INVALID.
    """
    layer, instances = target.layer, target.parts(shot)
    request = settled(folder, parent, layer, instances)
    if prompt is not None and not prompt.strip():
        raise LucidError("PROMPT_EMPTY", "the prompt is empty", f"write what '{target.label}' shows, or leave it as it is")
    before = painter(folder, parent, layer, instances).request()
    child = replace(
        request, parent=None, edit=None, keep=(), steps=before.steps, weights=before.weights, noise=before.noise,
        stickiness=before.stickiness, pull=before.pull,
        layer_prompts=request.layer_prompts | ({layer: prompt.strip()} if prompt is not None else {}),
        layer_seeds=request.layer_seeds | ({layer: seed} if seed is not None else {}),
        strengths=request.strengths | ({target.label: to_json(from_json(strength))} if strength is not None else {}))
    if start == "noise":
        if change is not None:
            raise LucidError("USAGE", "a change says how much of a picture is painted again, and noise is none",
                             "start from the parent or from the beauty")
        old, new = ((one.prompt_of(layer), one.seed_of(layer), one.strengths) for one in (request, child))
        if old == new:
            raise LucidError("EDIT_EMPTY", f"nothing about '{target.label}' would change",
                             "give another prompt, seed or strength, or a picture to start from")
        return replace(child, parent=parent.number, edit=Edit(layer, instances))
    return replace(child, parent=parent.number, edit=Edit(layer, instances, start, CHANGE if change is None else change))


def unused_seed(folder: Path, layer: str) -> int:
    """One above every seed that a take of the shot in ``folder`` was asked to paint the layer with. Of a damaged take
    nobody knows what it was asked."""
    seeds = [-1]
    for take in list_takes(folder):
        with suppress(LucidError):
            seeds.append(take.request().seed_of(layer))
    return max(seeds) + 1


def _with(table: dict[str, T], name: str, value: T | None) -> dict[str, T]:
    """The table with this entry ``name``, without one where it is None."""
    rest = {other: known for other, known in table.items() if other != name}
    return rest if value is None else rest | {name: value}
