# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots longer than a model's length: overlapping windows denoised jointly, step by step, as one run that can resume.

Every window is predicted from the same latents and the predictions are blended before the scheduler steps (MultiDiffusion,
arXiv 2302.08113, in time), so nothing is decoded and encoded again and no window waits for another's picture. Only one
window's activations live at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..conditioning.windows import WindowPlan
from ..errors import LucidError
from .hooks import Forward, wrapped


@dataclass(frozen=True)
class Place:
    """One prediction of a run: its step, the transformer's ``call`` in that step (0 with the prompt, 1 without, under
    guidance), ``window`` of ``windows``."""

    step: int
    call: int
    window: int
    windows: int


class Predictions(Protocol):
    """Where the predictions of an unfinished step are kept."""

    def prediction(self, place: Place) -> Tensor | None:
        ...

    def save_prediction(self, place: Place, prediction: Tensor) -> None:
        ...


Control = Callable[[int, int], Tensor]
Watch = Callable[[Place, bool], None]


@contextmanager
def joint_windows(pipeline: Any, plan: WindowPlan, *, references: int = 0, control: Control | None = None,
                  kept: Predictions | None = None, watch: Watch | None = None) -> Iterator[None]:
    """One run of ``pipeline`` inside this context predicts window by window. Its ``num_frames`` are the plan's ``frames``,
    its latents have ``references`` frames before the plan's ``length``: these stay in front of every window.

    ``control(start, stop)`` reads the control of these latent frames, (1, C, references + stop - start, h, w) with the
    references in front, in place of the pipeline's own, so that no shot's is ever held. ``watch`` hears of every window that
    is ready, and whether it was predicted just now, and may raise to stop; ``kept`` holds them until the step is done, so
    that a run that was killed does not predict them again. Raises MODEL_SHAPE, WINDOW_CACHE.
    """
    models = [model for name in ("transformer", "transformer_2") if (model := getattr(pipeline, name, None)) is not None]
    with ExitStack() as stack:
        for model in models:
            if plan.length > plan.window and model.is_cache_enabled:
                raise LucidError("WINDOW_CACHE", "a cache between steps would carry one window's activations into the next",
                                 "switch the transformer's cache off for a shot of several windows")
            run = _Windows(pipeline.scheduler, tuple(model.config.patch_size), plan, references, control, kept, watch)
            stack.enter_context(wrapped(model, run.wrap))
        yield


class _Windows:
    """The stand-in for one transformer's forward during one run."""

    def __init__(self, scheduler: Any, patch: tuple[int, ...], plan: WindowPlan, references: int, control: Control | None,
                 kept: Predictions | None, watch: Watch | None) -> None:
        if (references + plan.window) % patch[0]:
            raise LucidError("MODEL_SHAPE", f"{references} references and {plan.window} latent frames are not a multiple of "
                             f"the model's patches of {patch[0]}", "use other windows, or references that fill a patch")
        self.scheduler, self.patch, self.plan, self.references = scheduler, patch, plan, references
        self.control, self.kept, self.watch = control, kept, watch
        self.step = self.call = -1

    def wrap(self, stock: Forward) -> Forward:
        def forward(hidden_states: Tensor, *, control_hidden_states: Tensor, return_dict: bool = True, **rest: Any) -> Any:
            """As WanVACETransformer3DModel.forward; the prediction is float32: the scheduler casts the latents to its type,
            and half precision would round them at every step."""
            if return_dict:
                raise ValueError("pipelines ask for a tuple")
            return (self._predict(stock, hidden_states, control_hidden_states, rest),)

        return forward

    def _predict(self, stock: Forward, latents: Tensor, control: Tensor, rest: dict[str, Any]) -> Tensor:
        length = self.references + self.plan.length
        if latents.shape[2] != length or control.shape[2] != length:
            raise LucidError("MODEL_SHAPE", f"{length} latent frames were planned, the run has {latents.shape[2]} and "
                             f"controls for {control.shape[2]}", "run the pipeline with the plan's number of frames")
        step, call = self._where()
        starts, weights = self.plan.starts(step), self.plan.weights(step)
        blend = torch.zeros(latents.shape, dtype=torch.float32, device=latents.device)
        for window, (start, weight) in enumerate(zip(starts, weights, strict=True)):
            place = Place(step, call, window, len(starts))
            prediction = self._window(stock, place, start, latents, control, rest)
            if len(starts) == 1:
                return prediction
            scale = torch.from_numpy(weight).to(blend.device).view(-1, 1, 1)
            blend[:, :, :self.references] += prediction[:, :, :self.references] / len(starts)
            first = self.references + start
            blend[:, :, first:first + self.plan.window] += prediction[:, :, self.references:] * scale
        return blend

    def _window(self, stock: Forward, place: Place, start: int, latents: Tensor, control: Tensor,
                rest: dict[str, Any]) -> Tensor:
        prediction: Tensor | None = None if self.kept is None else self.kept.prediction(place)
        fresh = prediction is None
        if prediction is None:
            scale = self._scale(rest.get("control_hidden_states_scale"), latents, start)
            states = self._slice(latents, start)
            told = (self._slice(control, start) if self.control is None
                    else self.control(start, start + self.plan.window).to(states))
            prediction = stock(hidden_states=states, control_hidden_states=told, return_dict=False,
                               **{**rest, "control_hidden_states_scale": scale})[0].float()
            if self.kept is not None:
                self.kept.save_prediction(place, prediction)
        if self.watch is not None:
            self.watch(place, fresh)
        return prediction.to(latents.device)

    def _slice(self, states: Tensor, start: int) -> Tensor:
        """References and one window of (B, C, R + L, h, w)."""
        if self.plan.window == self.plan.length:
            return states
        first = self.references + start
        return torch.cat([states[:, :, :self.references], states[:, :, first:first + self.plan.window]], dim=2)

    def _scale(self, scale: Tensor | None, latents: Tensor, start: int) -> Tensor | None:
        """The control's strength: one number per layer is every window's; (layers, B, tokens, 1) is cut like the latents."""
        if scale is None or scale.ndim != 4 or scale.shape[2] == 1:
            return scale
        if self.patch[0] != 1:
            raise LucidError("MODEL_SHAPE", "a map of strengths cannot be cut where patches span frames",
                             "use one strength for the whole shot")
        cells = (latents.shape[3] // self.patch[1]) * (latents.shape[4] // self.patch[2])
        return self._slice(scale.unflatten(2, (-1, cells)), start).flatten(2, 3)

    def _where(self) -> tuple[int, int]:
        """Step and call: the scheduler knows the step, calls are counted within it."""
        index = self.scheduler.step_index
        step = int(index if index is not None else self.scheduler.begin_index or 0)
        self.call = self.call + 1 if step == self.step else 0
        self.step = step
        return step, self.call
