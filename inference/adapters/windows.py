# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots longer than a model's length: overlapping windows denoised jointly, step by step, as one run that can resume.

Every window is predicted from the same latents and the predictions are blended before the scheduler steps (MultiDiffusion,
arXiv 2302.08113, in time), so nothing is decoded and encoded again and no window waits for another's picture. Only one
window's activations live at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import LucidError
from ..shot.store import disk_error, write_atomic
from .hooks import Forward, Step, wrapped

CHUNK = 4               # Wan's VAE takes one frame, then four at a time, also where it keeps every frame
SCHEMA = "lucid.latents/1"
TENSOR = "latents"
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


@contextmanager
def joint_windows(pipeline: Any, plan: WindowPlan, *, references: int = 0, kept: Predictions | None = None,
                  watch: Callable[[Place], None] | None = None) -> Iterator[None]:
    """One run of ``pipeline`` inside this context predicts window by window. Its ``num_frames`` are the plan's ``frames``,
    its latents have ``references`` frames before the plan's ``length``: these stay in front of every window.

    ``watch`` hears of every window that is ready and may raise to stop; ``kept`` holds them until the step is done, so
    that a run that was killed does not predict them again. Raises MODEL_SHAPE, WINDOW_CACHE.
    """
    models = [model for name in ("transformer", "transformer_2") if (model := getattr(pipeline, name, None)) is not None]
    with ExitStack() as stack:
        for model in models:
            if plan.length > plan.window and model.is_cache_enabled:
                raise LucidError("WINDOW_CACHE", "a cache between steps would carry one window's activations into the next",
                                 "switch the transformer's cache off for a shot of several windows")
            run = _Windows(pipeline.scheduler, tuple(model.config.patch_size), plan, references, kept, watch)
            stack.enter_context(wrapped(model, run.wrap))
        yield


class _Windows:
    """The stand-in for one transformer's forward during one run."""

    def __init__(self, scheduler: Any, patch: tuple[int, ...], plan: WindowPlan, references: int,
                 kept: Predictions | None, watch: Callable[[Place], None] | None) -> None:
        if (references + plan.window) % patch[0]:
            raise LucidError("MODEL_SHAPE", f"{references} references and {plan.window} latent frames are not a multiple of "
                             f"the model's patches of {patch[0]}", "use other windows, or references that fill a patch")
        self.scheduler, self.patch, self.plan, self.references = scheduler, patch, plan, references
        self.kept, self.watch = kept, watch
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
        if prediction is None:
            scale = self._scale(rest.get("control_hidden_states_scale"), latents, start)
            prediction = stock(hidden_states=self._slice(latents, start), control_hidden_states=self._slice(control, start),
                               return_dict=False, **{**rest, "control_hidden_states_scale": scale})[0].float()
            if self.kept is not None:
                self.kept.save_prediction(place, prediction)
        if self.watch is not None:
            self.watch(place)
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


class RunStore:
    """A run on disk, for :func:`~lucid.inference.adapters.hooks.starting_at` and for edits that keep a part of it.

    ``latents/state.####`` are the latents after so many steps (0: the noise it started from), ``windows/`` the predictions
    of the step at hand. ``run`` is a hash of all that decides the latents (request, weights, plan, settings): files of
    another run are refused. ``keep`` keeps every state, not only the newest. As a hook, after those that edit, it saves.
    Every method raises DISK_WRITE or RUN_INVALID.
    """

    edits: ClassVar[bool] = False

    def __init__(self, folder: Path, run: str, *, keep: bool = False) -> None:
        self.folder, self.run, self.keep = folder, run, keep

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        self.save(step.index + 1, step.after, latents)
        return latents

    def save(self, done: int, sigma: float, latents: Tensor) -> None:
        """The latents after ``done`` steps, at noise level ``sigma``; what led there is no longer needed."""
        self._write(self._state(done), latents, {"sigma": float(sigma).hex()})
        old = [] if self.keep else [path for path in self._states() if path != self._state(done)]
        for path in [*old, *(self.folder / "windows").glob("step.*.safetensors")]:
            _remove(path)

    def newest(self) -> int | None:
        """How many steps are done; None before the first state is saved."""
        return max((int(path.name.split(".")[1]) for path in self._states()), default=None)

    def state(self, done: int, sigma: float | None = None) -> Tensor:
        """The latents after ``done`` steps, on the CPU; with ``sigma``, only if that was the noise level."""
        latents, facts = self._read(self._state(done))
        if sigma is not None and facts.get("sigma") != float(sigma).hex():
            raise LucidError("RUN_INVALID", f"{self._state(done)} was made with other steps", "use the same steps as that run")
        return latents

    def prediction(self, place: Place) -> Tensor | None:
        path = self._prediction(place)
        return self._read(path)[0] if path.is_file() else None

    def save_prediction(self, place: Place, prediction: Tensor) -> None:
        self._write(self._prediction(place), prediction, {})

    def _state(self, done: int) -> Path:
        return self.folder / "latents" / f"state.{done:04d}.safetensors"

    def _states(self) -> list[Path]:
        return sorted((self.folder / "latents").glob("state.*.safetensors"))

    def _prediction(self, place: Place) -> Path:
        return self.folder / "windows" / f"step.{place.step:04d}.{place.call}.{place.window:04d}.safetensors"

    def _write(self, path: Path, tensor: Tensor, facts: dict[str, str]) -> None:
        tensor = tensor.detach().cpu().contiguous()
        metadata = {"schema": SCHEMA, "run": self.run, "sha256": _digest(tensor), **facts}
        write_atomic(path, save({TENSOR: tensor}, metadata=metadata))

    def _read(self, path: Path) -> tuple[Tensor, dict[str, str]]:
        try:
            with safe_open(path, framework="pt") as stream:
                facts, tensor = dict(stream.metadata() or {}), stream.get_tensor(TENSOR)
        except (OSError, SafetensorError) as error:
            raise LucidError("RUN_INVALID", f"{path} cannot be read: {error}", "generate a new take") from error
        if facts.get("schema") != SCHEMA or facts.get("sha256") != _digest(tensor):
            raise LucidError("RUN_INVALID", f"{path} is not what was written there", "generate a new take")
        if facts.get("run") != self.run:
            raise LucidError("RUN_INVALID", f"{path} belongs to a run with another request, other weights or settings",
                             "generate a new take")
        return tensor, facts


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise disk_error(path, error) from error
