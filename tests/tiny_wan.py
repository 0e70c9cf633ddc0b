# SPDX-License-Identifier: GPL-3.0-or-later
"""The stock pipeline on real classes at tiny size, for tests: random weights in the two geometries that Lucid runs."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from lucid.inference.adapters.checkpoint import MINI


def large(**parts: Any) -> WanVACEPipeline:
    """That of Wan2.1-VACE: VAE f8 t4 z16, patches (1, 2, 2). ``parts``: a tokenizer and a text encoder, where prompts are
    not embedded already. The same weights at every call."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                           temperal_downsample=[False, True, True]).eval()
    return _pipeline(vae, parts, in_channels=16, out_channels=16, vace_in_channels=96)


def every_frame(**parts: Any) -> WanVACEPipeline:
    """That of the embedded model, with its VAE: a latent frame for every frame, f8 z24, patches (1, 2, 2)."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = AutoencoderKLWan.from_pretrained(MINI / "vae").float().eval()
    return _pipeline(vae, parts, in_channels=24, out_channels=24, vace_in_channels=112)


def _pipeline(vae: Any, parts: dict[str, Any], **config: int) -> WanVACEPipeline:
    transformer = WanVACETransformer3DModel(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16, text_dim=32,
                                            freq_dim=16, ffn_dim=32, num_layers=2, vace_layers=[0], **config).eval()
    made = WanVACEPipeline(**{"tokenizer": None, "text_encoder": None, **parts}, vae=vae, transformer=transformer,
                           scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0))
    made.set_progress_bar_config(disable=True)
    return made
