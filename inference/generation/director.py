# SPDX-License-Identifier: GPL-3.0-or-later
"""One take from one shot, layer by layer: each is painted, found again under the same key, or kept from the parent."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import GEOMETRY, Adapter, Begin, Order, Video, device, versions
from ..adapters.kept import RunStore, read_latents, write_latents
from ..conditioning.fit import Fit, fit
from ..conditioning.strength import from_json
from ..conditioning.transfer import linear_to_codes
from ..errors import LucidError
from ..shot.images import read_planes, read_png, to_uint16, to_unit, write_png
from ..shot.lineage import painter
from ..shot.model import Layer, Shot, TakeRequest
from ..shot.paths import frame_path
from ..shot.sealed import KEPT, copy_layer, latents_path, layer_path, seal_layer, sealed_layer, verify
from ..shot.store import disk_error
from ..shot.takes import Take, get_take
from .composite import alphas, composite, mean_linear, read_shadow, read_volume
from .footage import Footage
from .graph import Action, Step, keys_of, plan
from .source import LayerSource, Noise, Paintable

Codes = NDArray[np.uint16]
PIECE = 8               # frames in memory at a time


class Director:
    """``progress(done, total, text)`` is called after each prediction of the model and may raise to stop; ``note`` hears what
    people should know."""

    def __init__(self, folder: Path, shot: Shot, take: Take, adapter: Adapter, progress: Callable[[int, int, str], None],
                 note: Callable[[str], None]) -> None:
        self.folder, self.shot, self.take, self.adapter, self.note = folder, shot, take, adapter, note
        self.request: TakeRequest = take.request()
        self.progress = progress
        profile = adapter.profile
        self.steps = self.request.steps or profile.steps
        self.versions = versions() | {"device": device()}
        count = len(shot.frames)
        self.fit: Fit = fit(count, shot.size, frames=adapter.windows(count).frames, multiple=profile.multiple)
        self.footage = Footage(folder, shot, self.fit, normals=profile.control == GEOMETRY, points=True)
        self.made: dict[str, tuple[int, float]] = {}        # what this process painted: calls of the model, seconds
        self.parent = None if self.request.parent is None else get_take(folder, self.request.parent)

    def direct(self) -> dict[str, Any]:
        """Make every layer and the final; what the take's result says of it."""
        self._tell_fit()
        layers = [self.shot.environment, *self._seen()]
        self._check_parent(layers)
        keys = keys_of(self.shot, self.request, layers, self.parent, steps=self.steps, weights=self.adapter.weights,
                       profile=asdict(self.adapter.profile), versions=self.versions)
        steps, notes = plan(self.folder, self.shot, self.request, keys, self.parent, kept=self.take.folder / KEPT)
        for text in notes:
            self.note(text)
        wanted = sum(step.action is Action.GENERATE for step in steps)
        for layer, step in zip(layers, steps, strict=True):
            if step.source is None:
                self._paint(layer, step.key, wanted)
            else:
                copy_layer(step.source.folder, self.take, layer.folder)
        self._compose(layers)
        shutil.rmtree(self.take.folder / "windows", ignore_errors=True)
        return self._facts(layers, keys, steps)

    def _facts(self, layers: list[Layer], keys: dict[str, str], steps: list[Step]) -> dict[str, Any]:
        frames = self.shot.frames
        graph: dict[str, dict[str, Any]] = {name: {"key": key} for name, key in keys.items()}
        for layer, step in zip(layers, steps, strict=True):
            calls, seconds = self.made.get(layer.name, (0, 0.0))
            graph[layer.name] |= {"action": step.action.value, "from": step.take, "calls": calls, "seconds": round(seconds, 3)}
        return {"layers": {layer.name: self.take.layer_pattern(layer.folder) for layer in layers},
                "final": self.take.final_pattern,
                "frames": {"start": frames.start, "end": frames.end, "step": frames.step}, "graph": graph,
                "joins": [join for join in self.adapter.windows(len(frames)).joins() if join < len(frames)],
                "steps": self.steps, "profile": asdict(self.adapter.profile), "weights": self.adapter.weights,
                "versions": self.versions}

    def _check_parent(self, layers: list[Layer]) -> None:
        """What stays of the parent is whole, before anything is painted; an edit goes on from all of it, with the model that
        painted what it changes. Raises WEIGHTS_DIFFER, LAYER_CHANGED, TAKE_MISSING, TAKE_INVALID."""
        edit = self.request.edit
        if self.parent is None:
            return
        if edit is not None:
            before = painter(self.folder, self.parent, edit.layer, edit.instances)
            if (before.result() or {}).get("weights") != self.adapter.weights:
                raise LucidError("WEIGHTS_DIFFER", f"take {before.number} was made with other weights than "
                                 f"'{self.request.weights}'", "edit with the weights of the parent, or generate a new take")
        for layer in (layer for layer in layers if edit is not None or self.request.keeps(layer.name)):
            sealed = sealed_layer(self.parent, layer.folder)
            if sealed is not None:
                verify(sealed)

    def _seen(self) -> list[Layer]:
        """The actors that are in the picture at all, from the farthest to the nearest."""
        ranked = []
        for layer in self.shot.actors:
            medians = []
            for start, stop in self._pieces():
                matte = self.footage.matte(layer, start, stop) > 0.5
                if not bool(matte.any()):
                    continue
                depth = self.footage.depth(layer, start, stop)[matte]
                if bool(np.isfinite(depth).any()):
                    medians.append(float(np.median(depth[np.isfinite(depth)])))
            if medians:
                ranked.append((float(np.median(medians)), layer))
            else:
                self.note(f"'{layer.name}' is never in the picture: its layer is left out")
        return [layer for _, layer in sorted(ranked, key=lambda pair: -pair[0])]

    # ---- painting

    def _paint(self, layer: Layer, key: str, wanted: int) -> None:
        """One layer of ``wanted``, which all take the same number of predictions."""
        started, before, work = time.monotonic(), len(self.made), self.take.folder / "windows" / layer.folder
        _fresh(work / "scratch")

        def progress(done: int, of: int) -> None:
            self.progress(before * of + done, wanted * of, f"{layer.name}, {done} of {of}")

        source = LayerSource(self._paintable(layer), work / "scratch")
        try:
            painted = self.adapter.paint(source, self._order(layer), work / "scratch", progress, RunStore(work, key))
        finally:
            source.close()
        for start, frames in painted.frames():
            for offset, codes in enumerate(to_uint16(self.fit.crop(frames))):
                if start + offset < self.fit.count:
                    self._write(layer, start + offset, codes)
        write_latents(latents_path(layer_path(self.take.folder, layer.folder)), painted.latents, key)
        seal_layer(self.take, layer.folder, key)
        self.made[layer.name] = painted.calls, time.monotonic() - started
        shutil.rmtree(work, ignore_errors=True)

    def _paintable(self, layer: Layer) -> Paintable:
        request, edit = self.request, self.request.edit
        only = edit.instances if edit is not None and layer.name == edit.layer else ()
        context = None
        if not layer.is_environment:
            context = self._context(self.take)
        elif only:
            assert self.parent is not None
            context = self._context(self.parent)
        noise = Noise(self._seed(layer), request.noise == "surface", request.stickiness)
        strengths = {name: from_json(value) for name, value in request.strengths.items()}
        return Paintable(self.footage, layer, self.adapter.profile, noise, strengths, context, only)

    def _context(self, take: Take) -> Callable[[int, int], Video]:
        """The environment as it was painted."""
        pattern = take.layer_pattern(self.shot.environment.folder)

        def read(start: int, stop: int) -> Video:
            codes = np.stack([read_png(take.folder / frame_path(pattern, number))[..., :3]
                              for number in self.footage.numbers(start, stop)])
            return self.fit.pad(to_unit(codes))

        return read

    def _order(self, layer: Layer) -> Order:
        references = tuple(_on_white(read_png(path)) for path in self.take.reference_files().get(layer.name, []))
        return Order(self.request.prompt_of(layer.name), self._seed(layer), self.steps, references, self._begin(layer),
                     self.request.pull)

    def _seed(self, layer: Layer) -> int:
        return layer_seed(self.request.seed_of(layer.name), layer.name)

    def _begin(self, layer: Layer) -> Begin | None:
        edit = self.request.edit
        if edit is None or edit.layer != layer.name:
            return None
        if edit.start == "beauty":
            return Begin(self.adapter.encode(self._beauty(layer), self.fit.frames), edit.change)
        assert self.parent is not None
        path = latents_path(layer_path(self.parent.folder, layer.folder))
        if not path.is_file():
            raise LucidError("LATENTS_MISSING", f"take {self.parent.number} has no latents of '{layer.name}'",
                             "generate a new take, and edit that")
        sealed = sealed_layer(self.parent, layer.folder)
        assert sealed is not None
        latents, _ = read_latents(path, sealed.key)
        return Begin(latents, edit.change if edit.start == "parent" else 1.0, locked=True)

    def _beauty(self, layer: Layer) -> Callable[[int, int], Video]:
        """The captured render as a picture (F, H, W, 3) in [0, 1]: sRGB of its scene-linear light."""
        sequence = layer.sequence("beauty")

        def read(start: int, stop: int) -> Video:
            shown = np.stack([read_planes(self.folder, sequence.path(number), self.shot.size, "RGB")
                              for number in self.footage.numbers(start, stop)])
            return self.fit.pad(to_unit(linear_to_codes(shown.astype(np.float32))))

        return read

    # ---- pictures

    def _write(self, layer: Layer, index: int, codes: Codes) -> None:
        """One frame of a layer, RGBA of 16 bits: straight colour, visible coverage."""
        number = self.shot.frames.numbers[index]
        if layer.is_environment:
            alpha = np.ones(codes.shape[:2], np.float32)
            edit = self.request.edit
            if edit is not None and edit.instances:
                assert self.parent is not None
                old = read_png(self.parent.folder / frame_path(self.take.layer_pattern(layer.folder), number))[..., :3]
                codes = composite([(old, alpha), (codes, self._object(edit.instances, index))], None, None)
        else:
            alpha = self.fit.crop(self.footage.matte(layer, index, index + 1))[0]
        rgba = np.concatenate([codes, to_uint16(alpha)[..., None]], axis=-1)
        write_png(self.take.folder / frame_path(self.take.layer_pattern(layer.folder), number), rgba)

    def _object(self, instances: tuple[int, ...], index: int) -> Video:
        """(H, W) coverage of objects of the environment, softened inwards: their own pixels alone are replaced."""
        ids = self.footage.environment(index, index + 1).ids
        assert ids is not None
        inside = np.pad(np.isin(self.fit.crop(ids)[0], instances), 1, mode="edge")
        near = sum(inside[1 + dy:inside.shape[0] - 1 + dy, 1 + dx:inside.shape[1] - 1 + dx].astype(np.float32)
                   for dy in (-1, 0, 1) for dx in (-1, 0, 1))
        return np.asarray(np.where(inside[1:-1, 1:-1], near / np.float32(9.0), np.float32(0.0)), np.float32)

    def _compose(self, layers: list[Layer]) -> None:
        ambient = self._ambient()
        for number in self.shot.frames.numbers:
            pictures = [read_png(self.take.folder / frame_path(self.take.layer_pattern(layer.folder), number))
                        for layer in layers]
            covers = [to_unit(picture[..., 3]) for picture in pictures]
            stack = [covers[0], *alphas(np.stack(covers[1:]))] if covers[1:] else covers
            final = composite([(picture[..., :3], alpha) for picture, alpha in zip(pictures, stack, strict=True)],
                              read_shadow(self.folder, self.shot, number), read_volume(self.folder, self.shot, number), ambient)
            write_png(self.take.folder / frame_path(self.take.final_pattern, number), final)

    def _ambient(self) -> Video | None:
        """The light that volumes scatter towards the camera, where the shot has some."""
        if read_volume(self.folder, self.shot, self.shot.frames.start) is None:
            return None
        pattern = self.take.layer_pattern(self.shot.environment.folder)
        return mean_linear(read_png(self.take.folder / frame_path(pattern, number))[..., :3]
                           for number in self.shot.frames.numbers)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.fit.count, PIECE):
            yield start, min(start + PIECE, self.fit.count)

    def _tell_fit(self) -> None:
        plan, profile = self.fit, self.adapter.profile
        if plan.padded:
            self.note(f"{plan.shown} is not a multiple of {profile.multiple}: generated at {plan.size}, cropped back")
        if plan.frames != plan.count:
            self.note(f"{plan.count} frames: generated as {plan.frames}, the rest cut off again")
        pixels = plan.size.width * plan.size.height
        if 0 < profile.max_pixels < pixels:
            self.note(f"{plan.size} is {pixels / profile.max_pixels:.1f} times the largest picture these weights learnt: "
                      "slow, and softer than it could be")
        if not self.footage.points and (profile.memory > 0.0 or self.request.noise == "surface"):
            self.note("the shot does not say which points of a surface are the same from frame to frame, so colours may "
                      "flicker and noise is not anchored: capture it again, with the rest pass")


def _on_white(picture: NDArray[np.uint8]) -> Video:
    """(h, w, 3 or 4) with straight alpha as (h, w, 3) in [0, 1]."""
    shown = to_unit(picture)
    return np.asarray(shown if shown.shape[2] == 3 else 1.0 - (1.0 - shown[..., :3]) * shown[..., 3:], np.float32)


def _fresh(folder: Path) -> None:
    """An empty folder, whatever an unfinished run left there. Raises DISK_WRITE."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise disk_error(folder, error) from error


def layer_seed(seed: int, layer: str) -> int:
    """A layer's own noise seed, so that adding an actor leaves the others' noise as it was (63 bits of sha256)."""
    digest = hashlib.sha256(f"{seed}\0{layer}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
