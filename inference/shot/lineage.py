# SPDX-License-Identifier: GPL-3.0-or-later
"""How takes come of each other: who painted a layer, what is said of layers that stay, which takes need another one still."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import LucidError
from .model import Layer, Shot, TakeRequest
from .requests import check_layers
from .takes import State, Take, get_take, list_takes


def painter(folder: Path, take: Take, layer: str, instances: tuple[int, ...] = ()) -> Take:
    """The nearest take in the line of ``take`` that painted these ``instances`` of a layer, or all of it; perhaps itself. A take
    that edits another layer or other objects, and one that keeps this layer, did not.

    ``folder`` is the shot's. Raises TAKE_MISSING, TAKE_INVALID.
    """
    while _stays(take.request(), layer, instances):
        parent = take.request().parent
        if parent is None or parent >= take.number:
            raise LucidError("TAKE_INVALID", f"take {take.number} is a change of a take that came after it",
                             "generate a new take")
        take = get_take(folder, parent)
    return take


def keeping(folder: Path, shot: Shot, request: TakeRequest, number: int, names: Collection[str],
            references: Mapping[str, Sequence[Path]]) -> tuple[TakeRequest, dict[str, list[Path]]]:
    """The request for a take in which the painted layers ``names`` stay as take ``number`` has them, and its references.

    Of these layers it says what they were painted with, by layer and so whatever its other seeds and prompts become: a later edit
    goes on from there. ``folder`` is the shot's, ``references`` are the files by layer that were to go with ``request``.
    Raises LAYER_UNKNOWN, TAKE_MISSING, TAKE_INVALID. Whether the take has the layers is for conditioning.asked.check_request.
    """
    files = {layer: list(paths) for layer, paths in references.items()}
    if not names:
        return request, files
    check_layers(names, (layer.name for layer in shot.painted))
    parent, kept = get_take(folder, number), [layer for layer in shot.painted if layer.name in names]
    prompts, seeds, told = dict(request.layer_prompts), dict(request.layer_seeds), set[str]()
    for layer in kept:
        was = painter(folder, parent, layer.name).request()
        prompts[layer.name], seeds[layer.name] = was.prompt_of(layer.name), was.seed_of(layer.name)
        told |= told_by(shot, layer)
    strengths = {name: data for name, data in request.strengths.items() if name not in told}
    strengths |= {name: data for name, data in parent.request().strengths.items() if name in told}
    files = {layer: paths for layer, paths in files.items() if layer not in names}
    files |= {layer: paths for layer, paths in parent.reference_files().items() if layer in names}
    return replace(request, parent=number, edit=None, keep=tuple(layer.name for layer in kept), layer_prompts=prompts,
                   layer_seeds=seeds, strengths=strengths, references={}), files


def told_by(shot: Shot, layer: Layer) -> set[str]:
    """The names by which strengths are given to a layer: its own and those of its instances."""
    numbers = shot.environment_ids if layer.is_environment else layer.ids
    return {layer.name, *(shot.instances[number] for number in numbers if number in shot.instances)}


def dependants(folder: Path, number: int) -> list[int]:
    """The takes of the shot in ``folder`` that still need take ``number``, of which they are an edit or keep layers.

    One that waits, runs or can be resumed copies the layers from it. One that is done has its own copies, but a later edit asks
    here who painted a layer and with what, and a measure holds an edit against its parent. A failed one needs nothing more, and
    of a take whose files are damaged nobody can tell.
    """
    found = []
    for take in list_takes(folder):
        try:
            request = take.request()
            mine = request.parent == number and (request.edit is not None or bool(request.keep))
            if mine and take.state() is not State.FAILED:
                found.append(take.number)
        except LucidError:
            continue
    return found


def _stays(request: TakeRequest, layer: str, instances: tuple[int, ...]) -> bool:
    edit = request.edit
    return request.keeps(layer) or (edit is not None and edit.instances not in ((), instances))
