# SPDX-License-Identifier: GPL-3.0-or-later
"""Wishes that need more than the request to be judged: an edit of what a finished take shows, pictures as references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..conditioning.asked import strength_flag
from ..errors import LucidError
from ..shot.images import PNG_SIGNATURE, read_png
from ..shot.model import Edit, TakeRequest
from ..shot.takes import Take, get_take
from .target import Target

T = TypeVar("T")
CHANGE = 0.6        # of the denoising that is done again, unless said, where an edit starts from a picture


def settled(folder: Path, take: Take, layer: str, instances: tuple[int, ...] = ()) -> TakeRequest:
    """A take's request as it holds for these ``instances`` of a layer: the layer's prompt and seed are those of the nearest take
    in its line that painted them all. What was asked for one object of the environment is not meant for the others.

    ``folder`` is the shot's. Raises TAKE_MISSING, TAKE_INVALID.
    """
    request = here = take.request()
    number = take.number
    while here.edit is not None and (here.edit.layer != layer or here.edit.instances not in ((), instances)):
        if here.parent is None or here.parent >= number:
            raise LucidError("TAKE_INVALID", f"take {number} is a change of a take that came after it", "generate a new take")
        number = here.parent
        here = get_take(folder, number).request()
    return replace(request, layer_prompts=_as_in(here.layer_prompts, request.layer_prompts, layer),
                   layer_seeds=_as_in(here.layer_seeds, request.layer_seeds, layer))


def edited(folder: Path, parent: Take, target: Target, *, environment: str, prompt: str | None = None,
           seed: int | None = None, strength: str | None = None, start: str = "noise",
           change: float | None = None) -> TakeRequest:
    """The request of a take with changes of ``target`` alone; ``strength`` as NAME=STRENGTH has it after the "=".

    ``folder`` is the shot's, ``environment`` that layer's name. Raises USAGE where nothing would change, STRENGTH_INVALID,
    TAKE_MISSING, TAKE_INVALID.
    """
    layer = target.layer
    instances = target.instances if layer == environment else ()        # an actor is changed as a whole
    request = settled(folder, parent, layer, instances)
    if prompt is not None and not prompt.strip():
        raise LucidError("USAGE", "--prompt is empty", f"write what '{target.label}' shows, or leave it out")
    child = replace(
        request, parent=None, edit=None,
        layer_prompts=request.layer_prompts | ({layer: prompt.strip()} if prompt is not None else {}),
        layer_seeds=request.layer_seeds | ({layer: seed} if seed is not None else {}),
        strengths=request.strengths | (dict([strength_flag(f"{target.label}={strength}")]) if strength is not None else {}))
    if start == "noise":
        if change is not None:
            raise LucidError("USAGE", "--change says how much of a picture is painted again, and noise is none",
                             "write --start parent or --start beauty")
        before, after = ((one.prompt_of(layer), one.seed_of(layer), one.strengths) for one in (request, child))
        if before == after:
            raise LucidError("USAGE", f"nothing about '{target.label}' would change",
                             "give another --prompt, --seed or --strength, or a picture to --start from")
    amount = CHANGE if change is None else change
    return replace(child, parent=parent.number, edit=Edit(layer, instances, start, 1.0 if start == "noise" else amount))


def _as_in(here: dict[str, T], table: dict[str, T], name: str) -> dict[str, T]:
    """The table with the entry ``name`` as it is ``here``, also where there is none."""
    rest = {other: value for other, value in table.items() if other != name}
    return rest | ({name: here[name]} if name in here else {})


def check_reference(path: Path) -> None:
    """It is a PNG picture with 8 bits of red, green and blue. Raises REFERENCE_INVALID."""
    hint = "save it as a PNG with 8 bits of RGB"
    try:
        with path.open("rb") as stream:
            named = stream.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
        pixels = read_png(path)
    except (OSError, LucidError) as error:
        raise LucidError("REFERENCE_INVALID", f"{path} cannot be read as a picture: {error}", hint) from error
    if not named or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise LucidError("REFERENCE_INVALID", f"{path} is no PNG with 8 bits of RGB", hint)
