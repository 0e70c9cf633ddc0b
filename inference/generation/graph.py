# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of a take as a graph: a key for each of all that its bytes depend on, and what is to be done for each.

The environment depends on nothing else that is generated, an actor on the environment alone: never on another actor. Two
layers with one key have the same bytes, so one of them need not be painted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..conditioning.strength import from_json, to_json
from ..errors import LucidError
from ..shot.model import Kind, Layer, Shot, TakeRequest
from ..shot.sealed import SealedLayer, find_layer, sealed_layer
from ..shot.takes import Take

GRAPH_VERSION = 1       # another one where the code makes other bytes of the same inputs
FINAL = "final"
_PLATE = ("depth", "normal", "id", "rest")      # what an actor's picture takes from the environment's passes


class Action(Enum):
    """What happens to a layer: it is painted; a whole one with the same key is copied; the parent's stays as it is, because
    another layer is edited or because the request keeps this one."""

    GENERATE = "generate"
    REUSE = "reuse"
    KEEP = "keep"


@dataclass(frozen=True)
class Step:
    """One painted layer of a take, its key and what happens to it; ``source`` is what is copied, ``take`` whose it is (None: of
    another shot, or nobody's)."""

    layer: str
    key: str
    action: Action
    source: SealedLayer | None = None
    take: int | None = None


def layer_key(shot: Shot, layer: Layer, request: TakeRequest, *, steps: int, weights: Mapping[str, str],
              profile: Mapping[str, Any], versions: Mapping[str, str], behind: str, parent: str = "") -> str:
    """The key of a painted layer: a sha256. ``weights`` are the files' hashes, ``behind`` the environment's key for an actor and
    "" for the environment, ``parent`` the key of the parent's layer where the request edits this one.

    Raises SHOT_INVALID for a pass without a hash, STRENGTH_INVALID.
    """
    edit = request.edit if request.edit is not None and request.edit.layer == layer.name else None
    plate = shot.environment
    seen = [layer] if layer.is_environment else [layer, plate]
    names = _instances(shot, seen)
    told = {layer.name, plate.name, *names.values()}
    return _digest({
        "graph": GRAPH_VERSION, "kind": layer.kind.value, "layer": layer.name, "ids": list(layer.ids), "pose": layer.pose,
        "files": _files(shot, _read_paths(shot, layer, edit is not None and edit.start == "beauty")),
        "frames": asdict(shot.frames), "size": asdict(shot.size), "depth": [shot.depth_range.near, repr(shot.depth_range.far)],
        "instances": {str(number): name for number, name in names.items()},
        "prompt": request.prompt_of(layer.name), "seed": request.seed_of(layer.name),
        "strengths": {name: to_json(from_json(value)) for name, value in request.strengths.items() if name in told},
        "noise": request.noise, "stickiness": float(request.stickiness), "pull": float(request.pull),
        "references": request.references.get(layer.name, []), "steps": steps, "weights": dict(weights),
        "profile": dict(profile), "versions": dict(versions), "behind": behind,
        "edit": None if edit is None else asdict(edit) | {"change": float(edit.change)}, "parent": parent if edit else "",
    })


def composite_key(shot: Shot, keys: Mapping[str, str], layer: Layer | None = None) -> str:
    """The key of what is not painted but put together of the pictures with ``keys``: the final, from the actors' mattes, the
    shadow and the volume too; or what the shadow or the volume ``layer`` does to them."""
    parts = [layer] if layer is not None else [one for one in shot.layers if not one.is_painted]
    sequences = [sequence for part in parts for sequence in part.sequences]
    if layer is None:
        sequences += [actor.sequence("matte") for actor in shot.actors if actor.name in keys]
    paths = [sequence.path(frame) for sequence in sequences for frame in shot.frames.numbers]
    return _digest({"graph": GRAPH_VERSION, "layer": FINAL if layer is None else layer.name, "files": _files(shot, paths),
                    "keys": dict(keys), "frames": asdict(shot.frames), "size": asdict(shot.size)})


def keys_of(shot: Shot, request: TakeRequest, painted: Iterable[Layer], parent: Take | None = None, *, steps: int,
            weights: Mapping[str, str], profile: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, str]:
    """The key of every layer: the environment, the actors in ``painted``, shadow and volume where the shot has them, and FINAL.

    Layers that stay are the ``parent``'s and so are their keys, whatever they would be over this environment. Raises
    LAYER_MISSING where it has none, LAYER_CHANGED, SHOT_INVALID, and ValueError for an edit or a keep without a parent.
    """
    if parent is None and (request.edit is not None or request.keep):
        raise ValueError("an edit, or a layer that stays, needs the take that it is of")
    keys: dict[str, str] = {}
    environment = shot.environment
    for layer in (environment, *(layer for layer in painted if layer.kind is Kind.ACTOR)):
        kept = request.keeps(layer.name)
        before = _parents(parent, layer).key if parent is not None and (kept or request.edit is not None) else ""
        if kept:
            keys[layer.name] = before
        else:
            behind = "" if layer.is_environment else keys[environment.name]
            keys[layer.name] = layer_key(shot, layer, request, steps=steps, weights=weights, profile=profile,
                                         versions=versions, behind=behind, parent=before)
    pictures = dict(keys)
    for layer in shot.layers:
        if not layer.is_painted:        # shadows lie on the environment alone
            of = {environment.name: pictures[environment.name]} if layer.kind is Kind.SHADOW else pictures
            keys[layer.name] = composite_key(shot, of, layer)
    keys[FINAL] = composite_key(shot, pictures)
    return keys


def plan(folder: Path, shot: Shot, request: TakeRequest, keys: Mapping[str, str], parent: Take | None = None, *,
         kept: Path | None = None) -> tuple[list[Step], list[str]]:
    """What happens to each painted layer in ``keys``, in their order, and notes about whole layers that turned out damaged.

    ``folder`` is the shot's, ``kept`` what a take keeps of another shot's. Raises LAYER_MISSING, LAYER_CHANGED.
    """
    layers = {layer.name: layer for layer in shot.painted}
    steps: list[Step] = []
    notes: list[str] = []
    for name, key in keys.items():
        if name not in layers:
            continue
        if parent is not None and request.keeps(name):
            steps.append(Step(name, key, Action.KEEP, _parents(parent, layers[name]), parent.number))
            continue
        found, said = find_layer(folder, key, layers[name].folder, kept=kept)
        notes += said
        steps.append(Step(name, key, Action.GENERATE) if found is None
                     else Step(name, key, Action.REUSE, found.layer, found.take))
    return steps, notes


def _parents(parent: Take, layer: Layer) -> SealedLayer:
    sealed = sealed_layer(parent, layer.folder)
    if sealed is None:
        raise LucidError("LAYER_MISSING", f"take {parent.number} says of its layer '{layer.name}' not what it was made from",
                         "generate a new take of the shot and change that one")
    return sealed


def _instances(shot: Shot, layers: Iterable[Layer]) -> dict[int, str]:
    """The names of the instances of these layers."""
    mine = {number for layer in layers for number in (shot.environment_ids if layer.is_environment else layer.ids)}
    return {number: shot.instances[number] for number in sorted(mine) if number in shot.instances}


def _read_paths(shot: Shot, layer: Layer, beauty: bool) -> list[str]:
    """Every file of the shot that a layer's picture is made from. Only an edit that starts from the beauty reads that."""
    sequences = [sequence for sequence in layer.sequences if beauty or sequence.name != "beauty"]
    if not layer.is_environment:
        sequences += [sequence for sequence in shot.environment.sequences if sequence.name in _PLATE]
    paths = [sequence.path(frame) for sequence in sequences for frame in shot.frames.numbers]
    return [*paths, "camera.npz", *(["pose.npz"] if layer.pose is not None else [])]


def _files(shot: Shot, paths: Iterable[str]) -> dict[str, str]:
    paths = list(paths)
    missing = [path for path in paths if path not in shot.files]
    if missing:
        raise LucidError("SHOT_INVALID", f"{missing[0]} has no hash in shot.json", "capture the shot again")
    return {path: shot.files[path] for path in paths}


def _digest(content: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON: sorted names, no spaces, no NaN."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
