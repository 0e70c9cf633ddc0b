# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of encoded samples, and the loss on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .dataset import Clip, Clips
from .model import Mini
from .patch_vae import LATENTS, PATCH, LinearCodec
from .references import can_refer
from .tasks import draw

SHIFT = 3.0
TOKEN_BUDGET = 1000  # per batch and process; one token is 16 x 16 pixels of one frame
REFERENCED = 0.15  # of the batches carry a reference image
REFERENCE_WEIGHT = 0.1

#: (until this part of the run, {(frames, height, width): weight}): stills teach shape and colour words cheaply, clips
#: then teach what lasts from frame to frame; the last phase sees the lengths and shapes the model is used at
PHASES: tuple[tuple[float, dict[tuple[int, int, int], float]], ...] = (
    (0.40, {(1, 96, 128): 0.35, (1, 144, 256): 0.45, (5, 96, 128): 0.20}),
    (0.70, {(1, 144, 256): 0.35, (1, 192, 192): 0.05, (5, 96, 128): 0.15, (5, 144, 256): 0.30, (9, 96, 128): 0.15}),
    (
        math.inf,
        {
            (1, 144, 256): 0.20,
            (1, 224, 384): 0.06,
            (1, 256, 144): 0.05,
            (1, 192, 192): 0.05,
            (5, 144, 256): 0.34,
            (9, 144, 256): 0.18,
            (9, 96, 160): 0.06,
            (17, 96, 160): 0.06,
        },
    ),
)


@dataclass
class Batch:
    """`latents` (B, 24, F, h, w), `control` (B, 112, F, h, w), `weight` (B, 1, F, h, w), `pictures` (B, F, H, W, 3)."""

    latents: Tensor
    control: Tensor
    weight: Tensor
    pictures: Tensor
    prompts: list[str]


def make_batch(
    clips: Clips, codec: LinearCodec, rng: np.random.Generator, size: tuple[int, int, int], referenced: bool = False
) -> Batch:
    """As many samples of (frames, height, width) as the token budget holds, encoded. A reference image is one more
    frame in front, as in WanVACEPipeline: its latents in the inactive half, zeros in the reactive half and the mask."""
    frames, height, width = size
    count = max(1, round(TOKEN_BUDGET / (frames * height * width / 256)))
    able = _able(clips, size, referenced)
    samples = [
        draw(rng, able[rng.integers(len(able))], frames, height, width, referenced=referenced) for _ in range(count)
    ]
    target, control, mask, weight = (
        torch.from_numpy(np.stack([np.ascontiguousarray(getattr(s, name), np.float32) for s in samples]))
        for name in ("target", "control", "mask", "weight")
    )
    h, w = height // PATCH, width // PATCH
    blocks = (
        mask.view(count, frames, h, PATCH, w, PATCH)
        .permute(0, 3, 5, 1, 2, 4)
        .reshape(count, PATCH * PATCH, frames, h, w)
    )
    inactive, reactive = codec.encode(control * (1 - mask[..., None])), codec.encode(control * mask[..., None])
    weight = weight.view(count, 1, frames, h, PATCH, w, PATCH).mean((4, 6))
    controls, latents = torch.cat([inactive, reactive, blocks], 1), codec.encode(target)
    if referenced:
        subjects = codec.encode(torch.from_numpy(np.stack([s.reference for s in samples if s.reference is not None]))[:, None])
        first = torch.cat([subjects, torch.zeros(count, controls.shape[1] - LATENTS, 1, h, w)], 1)
        controls, latents = torch.cat([first, controls], 2), torch.cat([subjects, latents], 2)
        weight = torch.cat([torch.full_like(weight[:, :, :1], REFERENCE_WEIGHT), weight], 2)
    return Batch(latents, controls, weight, target, [s.prompt for s in samples])


def _able(clips: Clips, size: tuple[int, int, int], referenced: bool) -> list[Clip]:
    """The clips that are long and large enough for a sample of this size."""
    frames, height, width = size
    return [
        clip
        for clip in clips.clips
        if clip.frames >= frames
        and clip.slot.shape[1] >= height
        and clip.slot.shape[2] >= width
        and (not referenced or can_refer(clip))
    ]


def noise_levels(count: int) -> Tensor:
    """t in (0, 1): logit-normal, shifted as the sampler shifts, one in ten at the very start of sampling."""
    t = torch.sigmoid(torch.randn(count))
    t = SHIFT * t / (1 + (SHIFT - 1) * t)
    return torch.where(torch.rand(count) < 0.1, torch.full_like(t, 0.999), t)


def loss_of(mini: Mini, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted loss, and per sample the plain error and t."""
    t = noise_levels(len(batch.prompts))
    level = t.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * batch.latents + level * torch.randn_like(batch.latents)
    with torch.autocast("cpu", torch.bfloat16):
        clean = mini.transformer(noisy, t * 1000, mini.embed(batch.prompts), control_hidden_states=batch.control).sample
    error = (clean.float() - batch.latents) ** 2
    weighted = (error * batch.weight).mean((1, 2, 3, 4)) / t.clamp_min(0.25)
    return weighted.mean(), error.detach().mean((1, 2, 3, 4)), t


def _sizes(rng: np.random.Generator, progress: float, clips: Clips) -> tuple[int, int, int]:
    mix = next(mix for until, mix in PHASES if progress < until)
    able = {size: weight for size, weight in mix.items() if _able(clips, size, False)}
    weights = np.array(list(able.values()))
    return list(able)[int(rng.choice(len(able), p=weights / weights.sum()))]


def batches(
    clips: Clips, codec: LinearCodec, rng: np.random.Generator, shared: np.random.Generator, progress: Any
) -> Iterator[Batch]:
    """Batches made one ahead in a thread; `shared` draws the same sizes in every process."""

    def make() -> Batch:
        size, referenced = _sizes(shared, progress(), clips), shared.random() < REFERENCED
        return make_batch(clips, codec, rng, size, referenced)

    with ThreadPoolExecutor(1) as pool:
        ahead: Future[Batch] = pool.submit(make)
        while True:
            batch = ahead.result()
            ahead = pool.submit(make)
            yield batch
