# SPDX-License-Identifier: GPL-3.0-or-later
"""Wan-VACE through diffusers' stock WanVACEPipeline: the embedded model and Wan2.1-VACE-1.3B and 14B alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers.utils import logging as transformers_logging

from ..conditioning.windows import WindowPlan, plan_for
from ..errors import LucidError
from . import checkpoint
from .base import Begin, Clip, Correspondence, Mask, Order, Painted, Profile, Source, StepDone, Video
from .codec import Codec
from .conditions import Conditions
from .consensus import consensus
from .hooks import Hook, HookStack, RegionLock, StatisticsPull, noise_levels, noised, starting_at
from .kept import RunStore
from .loading import load_pipeline, make_profile, place_on_gpu
from .prepared import prepared
from .windows import Place, joint_windows

NEGATIVE_PROMPT = ""
PULL_SPAN = 9           # latent frames over which an object's colours are taken


class WanVACE:
    """A WanVACEPipeline with its profile. ``weights`` maps the checkpoint's files to their hashes."""

    def __init__(self, pipeline: Any, profile: Profile, weights: dict[str, str]) -> None:
        self.pipeline = pipeline
        self.profile = profile
        self.weights = weights
        self.codec = Codec(pipeline.vae, temporal=int(pipeline.vae_scale_factor_temporal),
                           spatial=int(pipeline.vae_scale_factor_spatial))

    @classmethod
    def load(cls, weights: str) -> WanVACE:
        """Load onto the GPU when there is one (bf16, VAE in float32), else onto the CPU in float32."""
        folder = checkpoint.find(weights)
        hashes = checkpoint.hashes(folder)
        checkpoint.check_pinned(folder, hashes)
        for logging in (diffusers_logging, transformers_logging):      # the take's events say what is going on
            logging.set_verbosity_error()
            logging.disable_progress_bar()
        cuda = torch.cuda.is_available()
        dtype: Any = {"default": torch.bfloat16, "vae": torch.float32} if cuda else torch.float32
        try:
            pipeline = load_pipeline(folder, dtype)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise LucidError("WEIGHTS_INVALID", f"the weights in {folder} cannot be loaded: {reason}",
                             "get the checkpoint again, whole") from error
        pipeline.set_progress_bar_config(disable=True)
        if cuda:
            place_on_gpu(pipeline, folder)
        try:
            profile = make_profile(pipeline, checkpoint.profile(folder))
        except (ValueError, TypeError) as error:
            raise LucidError("WEIGHTS_INVALID", f"{folder / checkpoint.PROFILE} cannot be used: {error}",
                             "get that file again, or delete it: the family's defaults hold then") from error
        return cls(pipeline, profile, hashes)

    def paint(self, source: Source, order: Order, scratch: Path, progress: StepDone, kept: RunStore | None = None) -> Painted:
        """See :class:`~lucid.inference.adapters.base.Adapter`."""
        self._check(source)
        try:
            latents, calls = self._denoise(source, order, scratch, progress, kept)
        except torch.OutOfMemoryError as error:
            raise LucidError("GPU_MEMORY", f"the GPU has no room for {self.windows(source.frames).window} latent frames of "
                             f"{source.width}x{source.height}", "take a smaller size, or close what else uses the GPU") from error
        if not bool(torch.isfinite(latents).all()):
            raise LucidError("MODEL_NAN", "the model gave values that are not numbers", "try another seed")
        return Painted(latents, lambda: self._frames(latents), calls)

    def generate(self, control: Video, mask: Mask, prompt: str, seed: int, steps: int, step_done: StepDone,
                 references: Sequence[Video] = (), correspondence: Correspondence | None = None) -> Video:
        """See :class:`~lucid.inference.adapters.base.Adapter`."""
        clip = Clip(control, mask, correspondence)
        with tempfile.TemporaryDirectory() as scratch:
            painted = self.paint(clip, Order(prompt, seed, steps, tuple(references)), Path(scratch), step_done)
            return np.concatenate([frames for _, frames in painted.frames()])

    def encode(self, read: Callable[[int, int], Video], frames: int) -> Tensor:
        """See :class:`~lucid.inference.adapters.base.Adapter`."""
        pieces = self.codec.encode(lambda start, stop: 2.0 * read(start, stop) - 1.0, frames)
        return torch.cat([latents for _, latents in pieces], dim=1)[None]

    def windows(self, frames: int) -> WindowPlan:
        """How a shot of so many frames is cut."""
        profile = self.profile
        return plan_for(frames, profile.legal_frames, profile.window, profile.overlap, factor=self.codec.temporal)

    def _denoise(self, source: Source, order: Order, scratch: Path, progress: StepDone,
                 kept: RunStore | None) -> tuple[Tensor, int]:
        plan, pipe = self.windows(source.frames), self.pipeline
        # the last level is reached by stretching the others, of which a single step has none
        pipe.scheduler.register_to_config(shift_terminal=self.profile.last_sigma if order.steps > 1 else None)
        conditions = Conditions(pipe, self.codec, source, order.references, scratch)
        run = _Run(order, noise_levels(pipe.scheduler, order.steps), conditions.shown)
        done, *begun = run.start(self._noise(source, order), conditions.free, kept)
        watch = _Watch(plan, order.steps, 2 if self.profile.guidance > 1.0 else 1, progress)
        hooks: list[Hook] = [*run.hooks, *self._pulls(source, order, conditions.references),
                             *([kept] if kept is not None else [])]
        with ExitStack() as stack:
            stack.callback(conditions.reel.remove)
            stack.enter_context(prepared(pipe, plan.length, conditions.height, conditions.width, conditions.references))
            stack.enter_context(joint_windows(pipe, plan, references=conditions.references, control=conditions.read, kept=kept,
                                              watch=watch))
            if self.profile.memory > 0.0:
                stack.enter_context(consensus(pipe, self.codec, source, self.profile.memory, scratch,
                                              references=conditions.references))
            stack.enter_context(starting_at(pipe.scheduler, done))
            latents = pipe(
                prompt=order.prompt,
                negative_prompt=NEGATIVE_PROMPT,
                conditioning_scale=conditions.strength,
                height=source.height,
                width=source.width,
                num_frames=plan.frames if self.codec.temporal > 1 else plan.frames - 1,   # the pipeline adds one when t = 1
                num_inference_steps=order.steps,
                guidance_scale=self.profile.guidance,
                latents=begun.pop(),            # not held here while the run goes on: it is as long as the shot
                output_type="latent",
                callback_on_step_end=HookStack(pipe, hooks),
                max_sequence_length=self.profile.text_length,
            ).frames
        return latents[:, :, conditions.references:].float().cpu(), watch.calls

    def _pulls(self, source: Source, order: Order, references: int) -> list[Hook]:
        """The hold on each object's colours. Raises PASS_MISSING where the source knows of no objects."""
        if order.pull == 0.0:
            return []
        factor = self.codec.temporal
        seen = [source.owners(index * factor, self.codec.spatial) for index in range((source.frames - 1) // factor + 1)]
        if any(owners is None for owners in seen):
            raise LucidError("PASS_MISSING", "the shot does not say which object a pixel belongs to",
                             "capture it again, with the rest pass, or generate without a pull")
        owners = torch.from_numpy(np.stack([frame for frame in seen if frame is not None]).astype(np.int64))
        front = torch.zeros((1, 1, references, *owners.shape[1:]), dtype=torch.bool)
        objects = [torch.cat([front, (owners == number)[None, None]], dim=2) for number in owners.unique().tolist() if number]
        return [StatisticsPull(tuple(objects), order.pull, PULL_SPAN)]

    def _frames(self, latents: Tensor) -> Iterator[tuple[int, Video]]:
        for start, shown in self.codec.decode(lambda first, last: latents[0, :, first:last], latents.shape[2]):
            yield start, np.clip(shown / 2.0 + 0.5, 0.0, 1.0)

    def _noise(self, source: Source, order: Order) -> Tensor:
        """White noise (1, z, R + L, H/8, W/8): the source's own, or from a CPU generator, the same on every machine. The
        video's part does not depend on the number of references, whose latent frames the pipeline puts first."""
        channels, cell, factor = int(self.pipeline.transformer.config.in_channels), self.codec.spatial, self.codec.temporal
        generator = torch.Generator("cpu").manual_seed(order.seed)

        def white(length: int) -> Tensor:
            return torch.randn((1, channels, length, source.height // cell, source.width // cell), generator=generator)

        video = white((source.frames - 1) // factor + 1)
        for index in range(video.shape[2]):
            own = source.noise(index * factor, channels, cell)
            if own is not None:
                video[0, :, index] = torch.from_numpy(own)
        return torch.cat([white(len(order.references)), video], dim=2)

    def _check(self, source: Source) -> None:
        """The pipeline accepts wrong sizes silently and misaligns the control, so they are refused here."""
        multiple, frames = self.profile.multiple, source.frames
        if self.windows(frames).frames != frames or source.height % multiple or source.width % multiple:
            raise LucidError("MODEL_SHAPE", f"{frames} frames of {source.width}x{source.height} are not legal for these weights",
                             f"multiples of {multiple}; frames: {', '.join(map(str, self.profile.legal_frames))}, longer: 4k + 1")


class _Run:
    """Where a run starts and what holds it."""

    def __init__(self, order: Order, levels: tuple[float, ...], references: Tensor) -> None:
        self.order, self.levels, self.references = order, levels, references
        self.hooks: list[RegionLock] = []

    def start(self, noise: Tensor, free: Tensor, kept: RunStore | None) -> tuple[int, Tensor]:
        """How many steps are done, and the latents they left."""
        begin = self.order.begin
        done, latents = 0, noise
        if begin is not None:
            done, latents = self._edited(begin, noise, free)
        newest = None if kept is None else kept.newest()
        if kept is not None and newest is None:
            kept.save(done, self.levels[done], latents)
        elif kept is not None and newest is not None:
            done, latents = newest, kept.state(newest, self.levels[newest])
        return done, latents

    def _edited(self, begin: Begin, noise: Tensor, free: Tensor) -> tuple[int, Tensor]:
        steps = len(self.levels) - 1
        done = steps - max(1, round(begin.change * steps))
        clean = torch.cat([self.references, begin.latents], dim=2)
        latents = noised(clean, noise, self.levels[done]) if done else noise
        if begin.locked:
            lock = RegionLock(free, lambda _done, sigma: noised(clean, noise, sigma))
            self.hooks.append(lock)
            latents = torch.where(free, latents, noised(clean, noise, self.levels[done]))
        return done, latents


class _Watch:
    """Counts predictions as they come and tells how many there are to be."""

    def __init__(self, plan: WindowPlan, steps: int, calls: int, progress: StepDone) -> None:
        self.counts = [len(plan.starts(step)) * calls for step in range(steps)]
        self.progress, self.calls = progress, 0

    def __call__(self, place: Place, fresh: bool) -> None:
        self.calls += fresh
        done = sum(self.counts[:place.step]) + place.call * place.windows + place.window + 1
        self.progress(done, sum(self.counts))
