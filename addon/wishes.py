# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the panel wishes of a take to the request for one, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import bpy

from ..inference.conditioning.asked import check_reference, check_request
from ..inference.conditioning.edits import edited, settled, unused_seed
from ..inference.conditioning.target import whole
from ..inference.errors import LucidError
from ..inference.shot.lineage import keeping
from ..inference.shot.model import Shot, TakeRequest
from ..inference.shot.requests import check_layers
from ..inference.shot.store import write_atomic
from ..inference.shot.takes import REFERENCES, Take
from .layer_settings import LayerWishes
from .pointing import chosen_take
from .shots import active_shot
from .strips import blend_path
from .translation import rpt_

SEEDS = 1 << 31             # a property's whole numbers

Files = dict[str, list[Path]]


def take_request(scene: bpy.types.Scene, shot: Shot) -> tuple[TakeRequest, Files]:
    """What the panel asks for of the active shot, and the reference pictures of its layers.

    Raises LOCK_EMPTY for a lock without a take that is done, REFERENCE_INVALID, and what :func:`check_request` does.
    """
    folder = active_shot(scene)
    request, references = panel_request(scene, scene.lucid.prompt.strip() or shot.prompt)
    if locks := locked(scene):
        try:
            take = chosen_take(bpy.context, folder)
        except LucidError as error:
            if error.code != "TAKE_NOT_DONE":
                raise
            raise no_take_to_lock(locks) from error
        request, references = keeping(folder, shot, request, take.number, locks, references)
    check_request(request, shot, folder)
    check_references(references, (layer.name for layer in shot.painted))
    return request, references


def panel_request(scene: bpy.types.Scene, prompt: str, layers: Collection[str] | None = None) -> tuple[TakeRequest, Files]:
    """What the panel asks for, whatever the shot and the locks; of layers, what it wishes of those named ``layers`` alone."""
    settings = scene.lucid
    wishes = [(name, wish) for name, wish in settings.layers() if layers is None or name in layers]
    return TakeRequest(
        prompt, {name: text for name, wish in wishes if (text := wish.prompt.strip())}, settings.seed, settings.steps or None,
        _weights(settings.weights), layer_seeds={name: wish.seed for name, wish in wishes if wish.use_seed},
        strengths={name: strength for name, wish in wishes if (strength := _rounded(wish.strength)) != 1.0},
        noise=settings.noise, stickiness=_rounded(settings.stickiness), pull=_rounded(settings.pull),
    ), {name: wish.reference_paths() for name, wish in wishes if wish.references}


def locked(scene: bpy.types.Scene) -> list[str]:
    """The layers that stay as the chosen take has them."""
    return [name for name, wish in scene.lucid.layers() if wish.locked]


def no_take_to_lock(names: Sequence[str]) -> LucidError:
    """The error for locks on a shot that has no finished take."""
    return LucidError("LOCK_EMPTY", f"'{names[0]}' is locked, and no take of the shot is done whose layer could stay",
                      "unlock it, and lock it once a take is done")


def check_references(references: Mapping[str, Sequence[Path]], layers: Iterable[str]) -> None:
    """They are pictures, for some of ``layers``. Raises LAYER_UNKNOWN, REFERENCE_INVALID."""
    check_layers(references, layers)
    for path in (path for paths in references.values() for path in paths):
        check_reference(path)


def another_seed(scene: bpy.types.Scene, shot: Shot, name: str) -> tuple[Take, TakeRequest, Files]:
    """The chosen take, and what asks for it with the layer ``name`` painted from a seed that no take has used for it.

    Raises TAKE_NOT_DONE, LAYER_UNKNOWN, TAKE_INVALID and what :func:`check_request` does.
    """
    folder = active_shot(scene)
    take = chosen_take(bpy.context, folder)
    request = edited(folder, shot, take, whole(shot, name), seed=unused_seed(folder, name))
    check_request(request, shot, folder)
    return take, request, take.reference_files()


def restore_request(scene: bpy.types.Scene, take: Take) -> list[str]:
    """Put what ``take`` was asked for back into the panel: Generate then asks for the same. Returns what the panel cannot hold.

    The layers that it kept are locked. Raises TAKE_MISSING, TAKE_INVALID, DISK_WRITE; then no setting has been changed.
    """
    settings, request, files = scene.lucid, take.request(), take.reference_files()
    layers = dict(settings.layers())
    files = {name: [_kept(take, path) for path in paths] for name, paths in files.items() if name in layers}
    was = {name: settled(take.folder.parents[1], take, name) for name in layers}
    settings.prompt, settings.weights, settings.steps = request.prompt, request.weights, request.steps or 0
    settings.noise, settings.stickiness, settings.pull = request.noise, request.stickiness, request.pull
    if request.seed < SEEDS:
        settings.seed = request.seed
    for name, wish in layers.items():
        _restore_layer(name, wish, was[name], files.get(name, []))
    return _lost(request, layers)


def _kept(take: Take, path: Path) -> Path:
    """A copy of a take's reference beside the takes, where it outlives the take; its name is that of its bytes. Raises
    DISK_WRITE."""
    copy = take.folder.parents[1] / REFERENCES / path.name
    if not copy.is_file():
        write_atomic(copy, path.read_bytes())
    return copy


def _restore_layer(name: str, wish: LayerWishes, request: TakeRequest, files: Iterable[Path]) -> None:
    seed, strength = request.layer_seeds.get(name), request.strengths.get(name, 1.0)
    wish.prompt, wish.locked = request.layer_prompts.get(name, ""), name in request.keep
    wish.use_seed = seed is not None and seed < SEEDS
    if wish.use_seed:
        wish.seed = seed
    wish.strength = 1.0 if isinstance(strength, list) else strength
    wish.references.clear()
    for path in files:
        wish.references.add().filepath = blend_path(path)
    wish.reference_index = 0


def _lost(request: TakeRequest, layers: Collection[str]) -> list[str]:
    """What a request has and the panel has no place for, in words."""
    names = (*request.layer_prompts, *request.layer_seeds, *request.references, *request.keep)
    lost = [rpt_("the layer '{name}', which the scene does not have").format(name=name)
            for name in dict.fromkeys(names) if name not in layers]
    lost += [(rpt_("the strength of '{name}' by frame") if name in layers else rpt_("the strength of '{name}'")).format(name=name)
             for name, strength in request.strengths.items() if name not in layers or isinstance(strength, list)]
    seeds = {"": request.seed} | request.layer_seeds
    lost += [rpt_("the seed {seed}, which is too large").format(seed=seed) for seed in seeds.values() if seed >= SEEDS]
    if request.edit is not None and (request.edit.instances or request.edit.start != "noise"):
        lost.append(rpt_("what it changes of take {number}, which is for Point at a Take").format(number=request.parent))
    return lost


def _weights(text: str) -> str:
    text = text.strip()
    return bpy.path.abspath(text) if text.startswith("//") or Path(text).is_absolute() else text


def _rounded(value: float) -> float:
    """As it was typed: a property has 32 bits."""
    return round(value, 3)
