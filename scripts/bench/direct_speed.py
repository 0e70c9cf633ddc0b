# SPDX-License-Identifier: GPL-3.0-or-later
"""What directing costs: Lucid's run of the pipeline against a bare one, agreement along surfaces, windows against one."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lucid.inference.adapters.base import Clip, Order, Source, Video
from lucid.inference.adapters.wan_vace import NEGATIVE_PROMPT, WanVACE
from lucid.inference.generation.source import LayerSource, Noise
from lucid.scripts.bench.direct_views import Captured

PROMPT = "a street of brick houses, bright daylight"
SEED = 3


def speed(walk: Captured, adapter: WanVACE, repeats: int) -> dict[str, float]:
    """All figures; the two of a pair take turns and their medians are compared."""
    plain = WanVACE(adapter.pipeline, replace(adapter.profile, memory=0.0), adapter.weights)
    window = adapter.windows(walk.fit.count).window         # frames: the embedded model's latents are single frames
    whole = control(walk)
    short = clip(whole[:window])
    directed, alone = median_times([lambda: painted(plain, short), lambda: bare(adapter, short)], repeats)
    apart = float(np.abs(painted(plain, short) - bare(adapter, short)).max())
    seconds, other = median_times([lambda: painted(plain, surfaces(walk, window)),
                                   lambda: painted(adapter, surfaces(walk, window))], repeats)
    one, many = median_times([lambda: painted(plain, short), lambda: painted(plain, clip(whole))], max(repeats // 2, 2))
    stretch = window / (window - adapter.windows(len(whole)).overlap)
    return {"overhead": directed / alone, "overhead_difference": apart, "overhead_consensus": other / seconds,
            "seconds_bare": alone,
            "window_cost": (many / len(whole)) / (one / window) / stretch}


def median_times(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median wall seconds of each of ``runs``, which alternate, after one round that is not counted."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, found in zip(runs, seconds, strict=True):
            begun = time.perf_counter()
            run()
            found.append(time.perf_counter() - begun)
    return [statistics.median(found[1:]) for found in seconds]


def control(walk: Captured) -> Video:
    """(F, H, W, 3) what the environment is painted from."""
    return walk.paintable(walk.shot.environment, Noise(SEED)).painting(0, walk.fit.frames).control


def clip(control: Video) -> Clip:
    """A source that is painted everywhere, of white noise; nothing is known of its motion."""
    return Clip(control, np.ones(control.shape[:3], bool))


def surfaces(walk: Captured, frames: int) -> Source:
    """The environment's first frames with their motion, white noise."""
    first = replace(walk, fit=replace(walk.fit, count=frames, frames=frames))
    return LayerSource(first.paintable(first.shot.environment, Noise(SEED, anchored=False)), Path(tempfile.mkdtemp()))


def painted(adapter: WanVACE, source: Source) -> Video:
    """(F, H, W, 3) by Lucid: conditions, windows, hooks, decoding."""
    with tempfile.TemporaryDirectory() as scratch:
        order = Order(PROMPT, SEED, adapter.profile.steps)
        result = adapter.paint(source, order, Path(scratch), lambda _done, _of: None)
        frames = np.concatenate([frames for _, frames in result.frames()])
    if isinstance(source, LayerSource):
        source.close()
        source.scratch.rmdir()
    return frames


def bare(adapter: WanVACE, clip: Clip) -> Video:
    """The same by diffusers' own pipeline alone, as its documentation calls it."""
    pipe, profile, frames = adapter.pipeline, adapter.profile, clip.frames
    pipe.scheduler.register_to_config(shift_terminal=profile.last_sigma)
    temporal, spatial = int(pipe.vae_scale_factor_temporal), int(pipe.vae_scale_factor_spatial)
    shape = (1, int(pipe.transformer.config.in_channels), (frames - 1) // temporal + 1, clip.height // spatial,
             clip.width // spatial)
    latents = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(SEED))
    video = torch.from_numpy(np.ascontiguousarray(clip.control.transpose(0, 3, 1, 2)))[None]
    shown = pipe(prompt=PROMPT, negative_prompt=NEGATIVE_PROMPT, video=video, mask=torch.ones_like(video[:, :, :1]),
                 height=clip.height, width=clip.width, num_frames=frames if temporal > 1 else frames - 1,
                 num_inference_steps=profile.steps, guidance_scale=profile.guidance, latents=latents, output_type="np",
                 max_sequence_length=profile.text_length).frames[0]
    return np.asarray(shown, np.float32)
