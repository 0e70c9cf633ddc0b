# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks around a stock diffusers pipeline: what may watch or edit the latents between two denoising steps, where a run
starts, and a stand-in for the transformer's ``forward``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from numpy.typing import NDArray
from torch import Tensor

from ..errors import LucidError

Forward = Callable[..., Any]
MIN_CELLS = 32          # fewer latent cells than this have no statistics worth following (mean +- 0.18 sigma)
TINY = 1e-6


@dataclass(frozen=True)
class Step:
    """Step ``index`` of ``total``, from noise level ``before`` to ``after``: flow matching's sigma, 1 = noise, 0 = clean.
    After it, ``index + 1`` steps are done."""

    index: int
    total: int
    before: float
    after: float


class Hook(Protocol):
    """Called after every step. ``edits`` says whether it changes the latents, which not every scheduler heeds.

    A hook is a function of its arguments alone, so that a resumed run repeats what an unbroken one did.
    """

    edits: ClassVar[bool]

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        """Latents (1, z, L, h, w) after the step, references first; returns as many. May raise to stop the run."""
        ...


class HookStack:
    """Hooks in order, as diffusers' ``callback_on_step_end``; each gets what the one before it returned."""

    def __init__(self, pipeline: Any, hooks: Sequence[Hook]) -> None:
        """Raises HOOK_SCHEDULER when a hook edits and the pipeline's scheduler would drop the edit."""
        self.hooks = tuple(hooks)
        self._check(pipeline.scheduler)

    def __call__(self, pipeline: Any, index: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        scheduler = pipeline.scheduler
        self._check(scheduler)
        done = index + (scheduler.begin_index or 0)     # the pipeline counts from where it started
        before, after = (float(sigma) for sigma in scheduler.sigmas[done:done + 2])
        step = Step(done, len(scheduler.sigmas) - 1, before, after)
        latents = tensors["latents"]
        for hook in self.hooks:
            changed = hook(step, latents)
            if changed.shape != latents.shape or changed.dtype != latents.dtype:
                raise ValueError(f"{hook} made {changed.dtype} {tuple(changed.shape)} of {latents.dtype} "
                                 f"{tuple(latents.shape)}")
            if not hook.edits and changed is not latents:
                raise ValueError(f"{hook} says that it does not edit the latents, but returned others")
            latents = changed
        return {**tensors, "latents": latents}

    def _check(self, scheduler: Any) -> None:
        if any(hook.edits for hook in self.hooks):
            check_scheduler(scheduler)


def check_scheduler(scheduler: Any) -> None:
    """Raises HOOK_SCHEDULER unless a step depends on nothing but the latents it is given: flow matching's Euler steps.

    Multistep schedulers (UniPC) correct each step from their own copy of the last latents, which undoes an edit.
    """
    if not isinstance(scheduler, FlowMatchEulerDiscreteScheduler) or scheduler.config.stochastic_sampling:
        raise LucidError("HOOK_SCHEDULER", f"{type(scheduler).__name__} would drop what is edited between its steps",
                         "give the pipeline a FlowMatchEulerDiscreteScheduler without stochastic sampling")


def noise_levels(scheduler: Any, steps: int) -> tuple[float, ...]:
    """The sigmas of a run, steps + 1 of them: before the first step, after each. The scheduler stays as it is."""
    # without diffusers' list of what was left to defaults: from_config would put the defaults back over later settings
    settings = {name: value for name, value in scheduler.config.items() if name != "_use_default_values"}
    probe = type(scheduler).from_config(settings)
    probe.set_timesteps(steps)
    return tuple(float(sigma) for sigma in probe.sigmas)


@contextmanager
def starting_at(scheduler: Any, done: int) -> Iterator[None]:
    """A run inside this context starts after ``done`` steps: its ``latents`` are those that the steps left, or a picture
    noised to that level (SDEdit, arXiv 2108.01073). With all steps done, the pipeline only decodes.

    Raises HOOK_SCHEDULER for a scheduler that remembers steps.
    """
    check_scheduler(scheduler)
    stock = scheduler.set_timesteps

    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        stock(*args, **kwargs)
        if not 0 <= done <= len(scheduler.timesteps):
            raise ValueError(f"{done} of {len(scheduler.timesteps)} steps cannot be done")
        scheduler.timesteps = scheduler.timesteps[done:]
        scheduler.set_begin_index(done)

    scheduler.set_timesteps = set_timesteps
    try:
        yield
    finally:
        del scheduler.set_timesteps


@contextmanager
def wrapped(module: Any, wrap: Callable[[Forward], Forward]) -> Iterator[None]:
    """Inside this context ``module`` runs ``wrap(its forward)``; it stays the same object with the same everything else.

    Under accelerate's offloading the stand-in goes where accelerate keeps the forward it calls: arguments have been moved
    already, and the hooks that a pipeline takes off and puts on after a run find the stand-in again.
    """
    place = "_old_forward" if "_old_forward" in vars(module) else "forward"
    own = "forward" in vars(module)
    stock = getattr(module, place)
    stand_in = wrap(stock)
    setattr(module, place, stand_in)
    try:
        yield
    finally:
        for name in ("forward", "_old_forward"):
            if vars(module).get(name) is stand_in:
                setattr(module, name, stock)
        if not own and vars(module).get("forward") is stock:
            del module.forward


def latent_mask(mask: NDArray[np.bool_], temporal: int, spatial: int, *, references: int = 0,
                share: float = 0.0) -> Tensor:
    """A mask of pixels (F, H, W) as one of latent cells (1, 1, R + L, H / spatial, W / spatial): true where more than
    ``share`` in [0, 1) of a cell's pixels are.

    Latent frame 0 is frame 0, latent frame k the ``temporal`` frames up to k * temporal (Wan's causal VAE). The latent
    frames of the references, which come first, are false. F - 1 and H, W are multiples of the factors.
    """
    frames, height, width = mask.shape
    if (frames - 1) % temporal or height % spatial or width % spatial:
        raise ValueError(f"{mask.shape} does not fall into cells of {temporal} x {spatial} x {spatial}")
    whole = np.concatenate([np.repeat(mask[:1], temporal - 1, axis=0), mask])
    cells = whole.reshape(-1, temporal, height // spatial, spatial, width // spatial, spatial)
    inside = cells.mean(axis=(1, 3, 5), dtype=np.float64) > share
    return torch.from_numpy(np.pad(inside, [(references, 0), (0, 0), (0, 0)]))[None, None]


def noised(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Flow matching's forward process: (1 - sigma) clean + sigma noise."""
    return (1.0 - sigma) * clean + sigma * noise


@dataclass(frozen=True)
class RegionLock:
    """Outside ``free`` (1, 1, L, h, w) the latents follow a run that was kept, bit for bit; inside, this one is free.

    ``kept(done, sigma)`` gives that run's latents (1, z, L, h, w) after ``done`` steps at noise level ``sigma``. Decoded
    pixels still differ outside, for the VAE looks around: it is the matte that keeps pixels.
    """

    free: Tensor
    kept: Callable[[int, float], Tensor]
    edits: ClassVar[bool] = True

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        return self._locked(latents, step.index + 1, step.after)

    def start(self, noise: Tensor, sigma: float = 1.0) -> Tensor:
        """What the run starts from: its own noise where it is free, the kept run's start elsewhere."""
        return self._locked(noise, 0, sigma)

    def _locked(self, latents: Tensor, done: int, sigma: float) -> Tensor:
        kept = self.kept(done, sigma)
        if kept.shape != latents.shape:
            raise ValueError(f"the kept latents are {tuple(kept.shape)}, these {tuple(latents.shape)}")
        return torch.where(self.free.to(latents.device), latents, kept.to(latents))


@dataclass(frozen=True)
class FollowReference:
    """Until ``steps`` steps are done the latents are ``reference``, noised by ``noise`` to the level of the step: in
    ``region`` (1, 1, L, h, w), or everywhere.

    Everywhere it is SDEdit; two of them, everywhere for a few steps and in a moving object's mask for some more, are
    Time-to-Move's dual clock (arXiv 2511.08633: 3 and 7 of 50 steps). ``reference`` and ``noise`` (1, z, L, h, w): the
    latents of a picture and the noise that the run started from.
    """

    reference: Tensor
    noise: Tensor
    steps: int
    region: Tensor | None = None
    edits: ClassVar[bool] = True

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        if step.index >= self.steps:
            return latents
        followed = noised(self.reference.to(latents), self.noise.to(latents), step.after)
        if followed.shape != latents.shape:
            raise ValueError(f"the reference is {tuple(followed.shape)}, the latents {tuple(latents.shape)}")
        return followed if self.region is None else torch.where(self.region.to(latents.device), followed, latents)


@dataclass(frozen=True)
class StatisticsPull:
    """Pulls each object's mean and spread, per channel, towards those it has where it is first seen (AdaIN, arXiv
    1703.06868, by ``factor`` in [0, 1]), so that its colours do not wander over a long shot.

    ``objects``: masks (1, 1, L, h, w). A latent frame's statistics are taken over the ``span`` (odd) frames around it.
    An object with fewer than MIN_CELLS cells there is left as it is. Steps that end above the noise level ``below`` are
    left alone: up there the statistics are the noise's. The look of a whole frame is nobody's: a pan changes it rightly.
    """

    objects: tuple[Tensor, ...]
    factor: float
    span: int
    below: float = 0.7
    edits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.factor <= 1.0 or self.span < 1 or self.span % 2 == 0:
            raise ValueError(f"a pull by {self.factor} over {self.span} frames")

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        if step.after > self.below:
            return latents
        for inside in self.objects:
            latents = self._pull(latents, inside.to(latents.device))
        return latents

    def _pull(self, latents: Tensor, inside: Tensor) -> Tensor:
        values = latents.double()
        zero = torch.where(inside, values, 0.0)
        count = self._around(inside.double().sum((3, 4)))               # (1, 1, L)
        mean = self._around(zero.sum((3, 4))) / count.clamp(min=1.0)    # (1, z, L)
        spread = (self._around((zero * zero).sum((3, 4))) / count.clamp(min=1.0) - mean * mean).clamp(min=TINY).sqrt()
        known = count[0, 0] >= MIN_CELLS
        if not bool(known.any()):
            return latents
        first = int(known.nonzero()[0])
        gain = torch.where(known, self.factor * (spread[..., first, None] / spread - 1.0), 0.0)[..., None, None]
        shift = torch.where(known, self.factor * (mean[..., first, None] - mean), 0.0)[..., None, None]
        pulled = values + gain * (values - mean[..., None, None]) + shift
        return torch.where(inside, pulled.to(latents.dtype), latents)

    def _around(self, sums: Tensor) -> Tensor:
        """(..., L) summed over the ``span`` frames around each, as many as there are."""
        length, half = sums.shape[-1], self.span // 2
        total = torch.nn.functional.pad(sums.cumsum(-1), (1, 0))
        frame = torch.arange(length, device=sums.device)
        return total[..., (frame + half + 1).clamp(max=length)] - total[..., (frame - half).clamp(min=0)]
