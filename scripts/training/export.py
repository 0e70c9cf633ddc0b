# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the folder that `WanVACEPipeline.from_pretrained` loads: bfloat16 transformer and text encoder, float16 VAE."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanVACEPipeline

from .model import Mini


def make_scheduler() -> UniPCMultistepScheduler:
    """The transformer predicts the clean latents: UniPC's "sample"."""
    return UniPCMultistepScheduler(
        prediction_type="sample", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
    )


def export(mini: Mini, weights: dict[str, Any] | None, folder: Path) -> int:
    """Saves beside `folder`, then moves file by file into it, so that a reader always finds whole files.

    `weights` holds "transformer" and "text_encoder" state dicts (the averaged ones); None takes the parts as they are.
    Returns the size in bytes.
    """
    transformer, text_encoder = copy.deepcopy(mini.transformer), copy.deepcopy(mini.text_encoder)
    if weights is not None:
        transformer.load_state_dict(weights["transformer"])
        text_encoder.load_state_dict(weights["text_encoder"])
    vae = AutoencoderKLWan.from_config(mini.vae.config)
    vae.load_state_dict(mini.vae.state_dict())
    pipeline = WanVACEPipeline(
        tokenizer=mini.tokenizer,
        text_encoder=text_encoder.eval().to(torch.bfloat16),
        vae=vae.half(),
        scheduler=make_scheduler(),
        transformer=transformer.eval().to(torch.bfloat16),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".mini-") as scratch:
        pipeline.save_pretrained(scratch)
        _portable(Path(scratch))
        for source in sorted(p for p in Path(scratch).rglob("*") if p.is_file()):
            target = folder / source.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.chmod(0o644)
            os.replace(source, target)
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _portable(folder: Path) -> None:
    """Names transformers 4 knows too, and no trace of where the parts were loaded from."""

    def edit(name: str, change: dict[str, Any], drop: tuple[str, ...] = ()) -> None:
        path = folder / name
        values = {k: v for k, v in json.loads(path.read_text()).items() if k not in drop} | change
        path.write_text(json.dumps(values, indent=2) + "\n")

    edit("model_index.json", {"tokenizer": ["transformers", "PreTrainedTokenizerFast"]}, ("_name_or_path",))
    edit(
        "tokenizer/tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        ("backend", "is_local", "local_files_only", "name_or_path"),
    )
    for part in ("vae", "transformer", "text_encoder"):
        edit(f"{part}/config.json", {}, ("_name_or_path",))
