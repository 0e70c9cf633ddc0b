# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of a shot, judged before anything is written: in Blender, on the command line, and when a take runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import LucidError
from ..shot.images import check_rgb_png
from ..shot.model import Edit, Shot, TakeRequest
from ..shot.requests import check_fields, check_layers, check_prompts
from ..shot.sealed import LATENTS, layer_path, sealed_layer
from ..shot.takes import State, Take, get_take
from .strength import check_names, from_json, known_names, parse, to_json


def check_request(request: TakeRequest, shot: Shot, folder: Path) -> None:
    """A take of the shot in ``folder`` can be this.

    Raises USAGE, PROMPT_EMPTY, LAYER_UNKNOWN, OBJECT_UNKNOWN, STRENGTH_INVALID, EDIT_INVALID, KEEP_INVALID, KEEP_ALL,
    PASS_MISSING, TAKE_MISSING, TAKE_NOT_DONE, TAKE_FOREIGN, TAKE_INVALID, LAYER_MISSING, LAYER_CHANGED, LATENTS_MISSING.
    """
    check_fields(request)
    check_prompts(request, (layer.name for layer in shot.layers))
    painted = [layer.name for layer in shot.painted]
    check_layers((*request.layer_seeds, *request.references, *request.keep), painted)
    check_names(request.strengths, shot.instances, shot.layers)
    for data in request.strengths.values():
        from_json(data)
    parent = None if request.parent is None else get_take(folder, request.parent)
    if parent is not None:
        parent.check_shot()
        if parent.state() is not State.DONE:
            raise LucidError("TAKE_NOT_DONE", f"take {parent.number} is {parent.state().value}",
                             "only a finished take can be changed, or layers of it kept")
        _check_kept(parent, request, shot)
    if parent is not None and request.edit is not None:
        _check_edit(request.edit, shot, painted)
        _check_parent(parent, request.edit, shot.layer(request.edit.layer).folder)


def strength_flag(text: str) -> tuple[str, float | list[list[float]]]:
    """``NAME=0.5`` or ``NAME=0.2@1,0.8@24`` as a request holds it: (name, JSON form). Raises USAGE, STRENGTH_INVALID."""
    name, strength = parse(text)
    return name, to_json(strength)


def check_reference(path: Path) -> None:
    """It is a PNG picture with 8 bits of red, green and blue. Raises REFERENCE_INVALID."""
    try:
        check_rgb_png(path)
    except LucidError as error:
        raise LucidError("REFERENCE_INVALID", error.text, error.hint) from error


def like(request: TakeRequest, shot: Shot) -> tuple[TakeRequest, list[str]]:
    """The same wishes for another shot: no edit, nothing kept, its references not named yet; and the names, wished about, that
    it does not have: they are left out."""
    painted = {layer.name for layer in shot.painted}
    known = set(known_names(shot.instances, shot.layers))
    gone = [name for name in (*request.layer_prompts, *request.layer_seeds, *request.references) if name not in painted]
    gone += [name for name in request.strengths if name not in known]
    return replace(
        request, parent=None, edit=None, keep=(), references={},
        layer_prompts={name: text for name, text in request.layer_prompts.items() if name in painted},
        layer_seeds={name: seed for name, seed in request.layer_seeds.items() if name in painted},
        strengths={name: data for name, data in request.strengths.items() if name in known}), list(dict.fromkeys(gone))


def _check_edit(edit: Edit, shot: Shot, painted: list[str]) -> None:
    check_layers([edit.layer], painted)
    layer = shot.layer(edit.layer)
    if edit.instances and not layer.is_environment:
        raise LucidError("EDIT_INVALID", f"'{edit.layer}' is changed as a whole", "only the environment has parts of its own")
    known = shot.environment_ids
    for number in edit.instances:
        if number not in known:
            raise LucidError("OBJECT_UNKNOWN", f"the environment has no object with the id {number}", "name the object")
    if edit.start == "beauty":
        layer.sequence("beauty")


def _check_kept(parent: Take, request: TakeRequest, shot: Shot) -> None:
    """The take has the layers that stay, and something is left to paint. The hashes are for who reads them."""
    for name in request.keep:
        if sealed_layer(parent, shot.layer(name).folder) is None:
            raise LucidError("LAYER_MISSING", f"take {parent.number} has no layer '{name}' that says what it was made from",
                             "unlock it: it is never in the picture, or an older Lucid painted it")
    there = {layer.name for layer in shot.painted if layer_path(parent.folder, layer.folder).is_dir()}
    if request.keep and there <= set(request.keep):
        raise LucidError("KEEP_ALL", f"every layer of take {parent.number} stays: nothing is left to paint",
                         "unlock what is to change")


def _check_parent(parent: Take, edit: Edit, name: str) -> None:
    """The take has the layer with the folder name ``name``, and what it was painted from. The hashes are for who reads them."""
    hint = "generate a new take of the shot and change that one"
    sealed = sealed_layer(parent, name)
    if sealed is None:
        raise LucidError("LAYER_MISSING", f"take {parent.number} has no layer '{edit.layer}' that says what it was made from",
                         f"it is never in the picture, or an older Lucid painted it: {hint}")
    if edit.start != "beauty" and LATENTS not in sealed.files:
        raise LucidError("LATENTS_MISSING", f"take {parent.number} has no latents of '{edit.layer}'", hint)
