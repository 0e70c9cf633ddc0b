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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import LucidError
from .hooks import Forward, wrapped

CHUNK = 4               # Wan's VAE takes one frame, then four at a time, also where it keeps every frame
_BITS = 32


@dataclass(frozen=True)
class WindowPlan:
    """``frames``: the shot's, padded to what the VAE takes; the rest in latent frames: the shot's ``length``, that of one
    ``window``, the least ``overlap`` of two. ``vary`` moves the windows from step to step, so that no frame is always at
    a join; it costs one window more per step."""

    frames: int
    length: int
    window: int
    overlap: int
    vary: bool = False

    def starts(self, step: int) -> tuple[int, ...]:
        """First latent frames of the windows of a step, ascending: the first 0, the last aligned to the end."""
        slack, stride = self.length - self.window, self.window - self.overlap
        if slack == 0:
            return (0,)
        offset = _radical_inverse(step) * stride >> _BITS if self.vary else 0
        if offset == 0:
            gaps = -(-slack // stride)
            return tuple((2 * index * slack + gaps) // (2 * gaps) for index in range(gaps + 1))
        return (0, *range(offset, slack, stride), slack)

    def joins(self) -> tuple[int, ...]:
        """The frames, ascending from 1, that are not in the same windows as the frame before, in the first step's windows."""
        if self.length < 2:
            return ()
        factor = (self.frames - 1) // (self.length - 1)
        ends = {end for start in self.starts(0) for end in (start, start + self.window) if 0 < end < self.length}
        return tuple(factor * (end - 1) + 1 for end in sorted(ends))

    def weights(self, step: int) -> NDArray[np.float32]:
        """(windows, window): what each window's prediction counts for. They rise from both ends over the overlap
        (trapezoids; triangles where windows overlap by half or more) and add up to 1 in every latent frame."""
        starts = self.starts(step)
        ramp = self.window - min((b - a for a, b in zip(starts, starts[1:], strict=False)), default=0) + 1
        shape = np.minimum(np.arange(1, self.window + 1), np.arange(self.window, 0, -1)).clip(max=ramp).astype(np.float64)
        total = np.zeros(self.length)
        for start in starts:
            total[start:start + self.window] += shape
        return np.stack([shape / total[start:start + self.window] for start in starts]).astype(np.float32)


def _radical_inverse(step: int) -> int:
    """Van der Corput's sequence in base 2 as a fraction of 2^32: 0, 1/2, 1/4, 3/4, ...; near steps are far apart."""
    return int(f"{step:0{_BITS}b}"[::-1], 2)


def plan_windows(count: int, window: int, overlap: int, legal: tuple[int, ...], *, factor: int,
                 vary: bool = False) -> WindowPlan:
    """Windows for a shot of ``count`` frames. ``window`` is one of the ``legal`` frame counts (ascending), ``overlap`` in
    frames, ``factor`` the frames of a latent frame (4, or 1 for the embedded model).

    A shot that fits one window gets the smallest legal count that holds it, a longer one the next 4k + 1. Raises
    WINDOW_INVALID.
    """
    if window not in legal:
        raise LucidError("WINDOW_INVALID", f"these weights take no windows of {window} frames",
                         f"one of {', '.join(map(str, legal))}")
    latent, least = (window - 1) // factor + 1, -(-overlap // factor)
    if count <= window:
        frames = next(frames for frames in legal if frames >= count)
        length = (frames - 1) // factor + 1
        return WindowPlan(frames, length, length, 0)
    if not 0 < least < latent:
        raise LucidError("WINDOW_INVALID", f"windows of {window} frames cannot overlap by {overlap}",
                         f"an overlap of 1 to {factor * (latent - 1)} frames; a quarter of the window is a good one")
    frames = 1 + -(-(count - 1) // CHUNK) * CHUNK
    return WindowPlan(frames, (frames - 1) // factor + 1, latent, least, vary)


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
