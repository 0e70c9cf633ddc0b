# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a reserved take to its end: events while it runs, frames as they come, result.json last."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import GEOMETRY, Adapter, Profile, load, versions
from ..conditioning.fit import Fit, fit
from ..errors import LucidError
from ..shot.images import to_uint8, write_png
from ..shot.model import Layer, Shot, TakeRequest, frame_path
from ..shot.store import open_shot
from ..shot.takes import State, Take, check_prompts
from .correspondence import correspondence
from .footage import Footage, Surface, load_footage
from .layers import Painting, Video, actor_painting, environment_painting, over, over_alphas

Listener = Callable[[dict[str, Any]], None]


class Cancelled(Exception):
    """Somebody asked the take to stop."""


class TakeRun:
    """One execution of one take. ``listener`` hears each event as it is written; ``cancelled`` is polled every step."""

    def __init__(self, shot_folder: Path, take: Take, listener: Listener, cancelled: Callable[[], bool]) -> None:
        self.shot_folder = shot_folder
        self.take = take
        self.listener = listener
        self.cancelled = cancelled
        self.started = time.monotonic()

    def run(self) -> State:
        """Returns DONE or CANCELLED; any failure is written into the result and raised: INTERNAL where nobody foresaw it."""
        self._emit("started")
        try:
            facts = self._generate()
        except Cancelled:
            self._finish(State.CANCELLED)
            return State.CANCELLED
        except LucidError as error:
            self._finish(State.FAILED, error=error.to_json())
            raise
        except Exception as error:
            unforeseen = LucidError("INTERNAL", " ".join(repr(error).split()),
                                    f"the traceback is in {self.take.folder / 'result.json'}; please report it")
            self._finish(State.FAILED, error=unforeseen.to_json(), traceback=traceback.format_exc())
            raise unforeseen from error
        self._finish(State.DONE, **facts)
        return State.DONE

    def _generate(self) -> dict[str, Any]:
        shot = open_shot(self.shot_folder)
        request = self.take.request()
        check_prompts(request, (layer.name for layer in shot.layers))
        self._progress(0, 1, "loading the weights")
        adapter = load(request.weights)
        plan = fit(len(shot.frames), shot.size, legal_frames=adapter.profile.legal_frames,
                   multiple=adapter.profile.multiple)
        self._tell_fit(plan, adapter.profile)
        footage = load_footage(self.shot_folder, shot, plan, normals=adapter.profile.control == GEOMETRY,
                               points=adapter.profile.memory > 0.0)
        layers = Layers(shot, request, adapter, plan, footage, self._step)
        pictures = layers.paint(self._note)
        self._write(shot, plan, pictures)
        return {"layers": {layer.name: self.take.layer_pattern(layer.folder) for layer, _, _ in pictures},
                "final": self.take.final_pattern,
                "frames": {"start": shot.frames.start, "end": shot.frames.end, "step": shot.frames.step},
                "steps": layers.steps, "profile": asdict(adapter.profile), "weights": adapter.weights,
                "versions": versions()}

    def _write(self, shot: Shot, plan: Fit, pictures: list[tuple[Layer, Video, NDArray[np.float32]]]) -> None:
        """PNG frames of each layer (straight alpha) and of the final, which is their *over*, rounded once."""
        final: Video | None = None
        for layer, video, alpha in pictures:
            rgba = to_uint8(np.concatenate([plan.crop(video), plan.crop(alpha)[..., None]], axis=-1))
            self._write_frames(shot, self.take.layer_pattern(layer.folder), rgba)
            shown = rgba.astype(np.float32) / 255.0
            final = shown[..., :3] if final is None else over(final, shown[..., :3], shown[..., 3])
        assert final is not None
        self._write_frames(shot, self.take.final_pattern, to_uint8(final))

    def _write_frames(self, shot: Shot, pattern: str, frames: NDArray[np.uint8]) -> None:
        for frame, pixels in zip(shot.frames.numbers, frames, strict=True):
            self._stop_if_asked()
            write_png(self.take.folder / frame_path(pattern, frame), pixels)

    def _tell_fit(self, plan: Fit, profile: Profile) -> None:
        if plan.padded:
            self._note(f"{plan.shown} is not a multiple of {profile.multiple}: generated at {plan.size}, cropped back")
        if plan.frames != plan.count:
            self._note(f"{plan.count} frames: generated as {plan.frames}, the rest cut off again")
        pixels = plan.size.width * plan.size.height
        if 0 < profile.max_pixels < pixels:
            self._note(f"{plan.size} is {pixels / profile.max_pixels:.1f} times the largest picture these weights learnt: "
                       "slow, and softer than it could be")

    def _step(self, done: int, total: int, text: str) -> None:
        self._stop_if_asked()
        self._progress(done, total, text)

    def _stop_if_asked(self) -> None:
        if self.cancelled() or self.take.cancel_asked:
            raise Cancelled

    def _progress(self, done: int, total: int, text: str) -> None:
        elapsed = time.monotonic() - self.started
        left = elapsed / done * (total - done) if done else None
        self._emit("progress", done=done, total=total, text=text, seconds_left=left)

    def _note(self, text: str) -> None:
        self._emit("note", text=text)

    def _finish(self, state: State, **fields: Any) -> None:
        fields = {"error": None, **fields, "seconds": round(time.monotonic() - self.started, 3)}
        self.take.finish(state, **fields)
        self.listener({"event": "ended", "state": state.value})

    def _emit(self, event: str, **fields: Any) -> None:
        self.take.emit(event, **fields)
        self.listener({"event": event, **fields})


class Layers:
    """Environment first, then each actor from the farthest to the nearest, with all before it as kept context."""

    def __init__(self, shot: Shot, request: TakeRequest, adapter: Adapter, plan: Fit, footage: Footage,
                 step: Callable[[int, int, str], None]) -> None:
        self.shot = shot
        self.request = request
        self.adapter = adapter
        self.plan = plan
        self.footage = footage
        self.step = step
        self.steps = request.steps or adapter.profile.steps
        self.seen = [actor for actor in footage.actors if bool((actor.matte > 0.0).any())]

    def paint(self, note: Callable[[str], None]) -> list[tuple[Layer, Video, NDArray[np.float32]]]:
        """(layer, picture (F, H, W, 3), alpha (F, H, W)) from the farthest to the nearest."""
        for actor in self.footage.actors:
            if actor not in self.seen:
                note(f"'{actor.layer.name}' is never in the picture: its layer is left out")
        behind, profile = self.footage.environment, self.adapter.profile
        if profile.memory > 0.0 and self.footage.views(behind) is None:
            note("the shot does not say which points of a surface are the same from frame to frame, so its colours may "
                 "flicker: capture it again, with the rest pass")
        picture = self._paint(self.shot.environment, environment_painting(behind, self.shot.depth_range, profile), behind, 0)
        painted = [(self.shot.environment, picture, np.ones(behind.depth.shape, np.float32))]
        alphas = over_alphas([actor.matte for actor in self.seen])
        for index, (actor, alpha) in enumerate(zip(self.seen, alphas, strict=True), start=1):
            painting = actor_painting(actor, behind, picture, self.shot.depth_range, profile)
            behind = actor.surface.before(behind)
            colour = self._paint(actor.layer, painting, behind, index)
            painted.append((actor.layer, colour, alpha))
            picture = over(picture, colour, actor.matte)
        return painted

    def _paint(self, layer: Layer, painting: Painting, surface: Surface, index: int) -> Video:
        total = (1 + len(self.seen)) * self.steps

        def step_done(done: int, _of: int) -> None:
            self.step(index * self.steps + done, total, f"{layer.name}, step {done} of {self.steps}")

        prompt = self.request.layer_prompts.get(layer.name) or self.request.prompt
        views = self.footage.views(surface) if self.adapter.profile.memory > 0.0 else None
        return self.adapter.generate(painting.control, painting.mask, prompt, layer_seed(self.request.seed, layer.name),
                                     self.steps, step_done,
                                     correspondence=None if views is None else correspondence(views))


def layer_seed(seed: int, layer: str) -> int:
    """A layer's own noise seed, so that adding an actor leaves the others' noise as it was (63 bits of sha256)."""
    digest = hashlib.sha256(f"{seed}\0{layer}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
