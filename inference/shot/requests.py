# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's request to and from ``request.json``, and what its fields may hold whatever the shot is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from typing import Any

from ..errors import LucidError
from .model import Edit, TakeRequest

SCHEMA = "lucid.take/3"
STARTS = ("noise", "parent", "beauty")
NOISES = ("surface", "pixel")
SEEDS = 1 << 63         # how many there are
_REFERENCE = re.compile(r"[0-9a-f]{16}\.png")
_HEX = re.compile(r"(|[0-9a-f]{64})")


def _one_wish_for_all(data: dict[str, Any]) -> dict[str, Any]:
    """1 -> 2: seeds and strengths per layer, noise, references and edits are new. Nobody wrote down for which shot it was."""
    new = {"shot": "", "layer_seeds": {}, "strengths": {}, "noise": "surface", "stickiness": 0.0, "pull": 0.0, "references": {},
           "parent": None, "edit": None}
    if new.keys() & data.keys():
        raise ValueError(f"fields {sorted(new.keys() & data.keys())}")
    return {**data, **new, "schema": "lucid.take/2"}


def _nothing_kept(data: dict[str, Any]) -> dict[str, Any]:
    """2 -> 3: layers that stay as the parent has them are new."""
    if "keep" in data:
        raise ValueError("fields ['keep']")
    return {**data, "keep": [], "schema": "lucid.take/3"}


# version n -> the function that turns a request of version n into one of version n + 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _one_wish_for_all, 2: _nothing_kept}


def request_to_json(request: TakeRequest, shot: str) -> dict[str, Any]:
    """What ``request.json`` holds; ``shot`` is the sha256 of the manifest that the take is made for."""
    return {"schema": SCHEMA, "shot": shot, **asdict(request)}


def request_from_json(data: dict[str, Any]) -> tuple[TakeRequest, str]:
    """The inverse of :func:`request_to_json`, of older schemas too: the request, and the shot's sha256 or "".

    Raises ValueError for anything that no Lucid up to this one wrote.
    """
    family, current = SCHEMA.split("/")
    name, _, number = str(data.get("schema")).partition("/")
    if name != family or not number.isdecimal() or not 1 <= int(number) <= int(current):
        raise ValueError(f"schema {data.get('schema')!r}")
    for version in range(int(number), int(current)):
        data = UPGRADES[version](data)
    known = {field.name for field in fields(TakeRequest)}
    if data.keys() != known | {"schema", "shot"}:
        raise ValueError(f"fields {sorted(data.keys() ^ (known | {'schema', 'shot'}))}")
    shot = data["shot"]
    if not isinstance(shot, str) or not _HEX.fullmatch(shot):
        raise ValueError(f"shot {shot!r}")
    if not isinstance(data["keep"], list):
        raise ValueError(f"keep {data['keep']!r}")
    request = TakeRequest(**{key: data[key] for key in known}
                          | {"edit": _edit_from_json(data["edit"]), "keep": tuple(data["keep"])})
    lowest = -SEEDS if number == "1" else 0          # the first schema let seeds be negative
    try:
        check_fields(request, lowest_seed=lowest)
    except LucidError as error:
        raise ValueError(error.text) from error
    return request, shot


def check_fields(request: TakeRequest, *, lowest_seed: int = 0) -> None:
    """Every field is of its type and in its range, whatever the shot. Strengths are numbers or lists of pairs here; what they
    mean is for who knows strengths. Raises USAGE, STRENGTH_INVALID, EDIT_INVALID, KEEP_INVALID."""
    _texts("a prompt", [request.prompt, *request.layer_prompts.values()] if _table(request.layer_prompts) else [None])
    _texts("weights", [request.weights])
    seeds: list[Any] = [request.seed, *request.layer_seeds.values()] if _table(request.layer_seeds) else [None]
    for seed in seeds:
        if not _whole(seed) or not lowest_seed <= seed < SEEDS:
            raise LucidError("USAGE", f"{seed!r} is not a seed", "give a whole number from 0 on, below 2**63")
    if request.steps is not None and (not _whole(request.steps) or request.steps < 1):
        raise LucidError("USAGE", f"{request.steps!r} steps is not 1 or more", "leave it out for the model's own")
    if request.noise not in NOISES:
        raise LucidError("USAGE", f"{request.noise!r} is no kind of noise", f"it is {' or '.join(NOISES)}")
    for what, share in (("stickiness", request.stickiness), ("pull", request.pull)):
        if not _number(share) or not 0.0 <= share <= 1.0:
            raise LucidError("USAGE", f"{share!r} is not a {what}", "give a number from 0 (none) to 1 (all)")
    if not _table(request.strengths) or not all(map(_strength, request.strengths.values())):
        raise LucidError("STRENGTH_INVALID", f"{request.strengths!r} are no strengths by name",
                         "a strength is a number from 0 (free) to 1 (obey), or such numbers at ascending frames")
    if not _table(request.references) or not all(map(_reference_names, request.references.values())):
        raise LucidError("USAGE", f"{request.references!r} are no references by layer", "give PNG files")
    _check_edit(request)
    _check_keep(request)


def check_prompts(request: TakeRequest, layers: Iterable[str]) -> None:
    """Prompts are for ``layers`` and each of these has something to show. Raises LAYER_UNKNOWN, PROMPT_EMPTY."""
    names = list(layers)
    for name in request.layer_prompts:
        if name not in names:
            raise LucidError("LAYER_UNKNOWN", f"the shot has no layer '{name}'", "its layers are: " + ", ".join(names))
    for name in names:
        if not (request.layer_prompts.get(name) or request.prompt).strip():
            raise LucidError("PROMPT_EMPTY", f"nothing says what layer '{name}' shows",
                             "write --prompt 'a street in bright daylight'")


def check_layers(names: Iterable[str], layers: Iterable[str]) -> None:
    """Each name is one of these layers. Raises LAYER_UNKNOWN."""
    known = list(layers)
    for name in names:
        if name not in known:
            raise LucidError("LAYER_UNKNOWN", f"the shot has no layer '{name}' to paint", "its layers are: " + ", ".join(known))


def _check_edit(request: TakeRequest) -> None:
    if request.parent is not None and (not _whole(request.parent) or request.parent < 1):
        raise LucidError("EDIT_INVALID", f"{request.parent!r} is not the number of a take", "give one of the shot's takes")
    edit = request.edit
    if edit is None:
        return
    hint = "start from noise, or from parent or beauty with a change above 0, up to 1"
    if request.parent is None:
        raise LucidError("EDIT_INVALID", "an edit has no take that it changes", "name the take")
    if not isinstance(edit.layer, str) or not all(map(_whole, edit.instances)) or edit.start not in STARTS:
        raise LucidError("EDIT_INVALID", f"{edit!r} is no edit", hint)
    if not _number(edit.change) or not 0.0 < edit.change <= 1.0 or (edit.start == "noise" and edit.change != 1.0):
        raise LucidError("EDIT_INVALID", f"a change of {edit.change!r} from {edit.start} is none", hint)


def _check_keep(request: TakeRequest) -> None:
    if not all(isinstance(name, str) for name in request.keep) or len(set(request.keep)) < len(request.keep):
        raise LucidError("KEEP_INVALID", f"{request.keep!r} are no layers, each named once", "name the layers that stay")
    if request.keep and request.parent is None:
        raise LucidError("KEEP_INVALID", "no take is named whose layers stay", "name the take")
    if request.keep and request.edit is not None:
        raise LucidError("KEEP_INVALID", "an edit keeps every layer but its own", "edit, or keep layers: one of both")


def _edit_from_json(data: Any) -> Edit | None:
    if data is None:
        return None
    known = {field.name for field in fields(Edit)}
    if not isinstance(data, dict) or data.keys() != known or not isinstance(data["instances"], list):
        raise ValueError(f"edit {data!r}")
    return Edit(**data | {"instances": tuple(data["instances"])})


def _texts(what: str, values: list[Any]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise LucidError("USAGE", f"{value!r} is not {what}", "give a text")


def _table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _strength(value: Any) -> bool:
    return _number(value) or (isinstance(value, list) and bool(value) and all(
        isinstance(key, list) and len(key) == 2 and all(map(_number, key)) for key in value))


def _reference_names(value: Any) -> bool:
    """Content-addressed, each once: no name that could lead out of the take's folder."""
    return (isinstance(value, list) and bool(value) and len(set(map(str, value))) == len(value)
            and all(isinstance(name, str) and _REFERENCE.fullmatch(name) for name in value))
