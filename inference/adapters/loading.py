# SPDX-License-Identifier: GPL-3.0-or-later
"""A Wan-VACE folder as the stock pipeline and the profile that says how it wants to be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVACEPipeline

from ..conditioning.habits import DEFAULTS, legal_frames
from . import checkpoint
from .base import ALONE, DEPTH, GEOMETRY, LINES, NONE, Profile
from .clean import CleanWanVACETransformer


def load_pipeline(folder: Path, dtype: Any) -> Any:
    """The stock pipeline of a folder, with the scheduler whose latents hooks may edit: flow matching's Euler steps.

    (UniPC, which Wan's folders name, recomputes each step from its own copy of the latents and drops edits.)
    """
    saved = checkpoint.read_json(folder, "scheduler/scheduler_config.json")
    parts: dict[str, Any] = {}
    if saved.get("prediction_type") == "sample":
        parts["transformer"] = CleanWanVACETransformer.from_pretrained(
            folder / "transformer", local_files_only=True, use_safetensors=True,
            dtype=dtype["default"] if isinstance(dtype, dict) else dtype)
    # checkpoint.find has fetched what was missing: from_pretrained itself never connects
    pipeline = WanVACEPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype, **parts)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=int(saved.get("num_train_timesteps", 1000)),
        shift=float(saved.get("flow_shift", saved.get("shift", 1.0))))
    return pipeline


def make_profile(pipeline: Any, own: dict[str, Any]) -> Profile:
    """Rules from the components' configuration, habits from the checkpoint's profile over the family's defaults."""
    habits = {**DEFAULTS, **own}
    for habit, known in (("control", (DEPTH, GEOMETRY)), ("skeleton", (ALONE, LINES, NONE))):
        if habits[habit] not in known:
            raise ValueError(f"there is no {habit} '{habits[habit]}'")
    patch_time, patch_height, _ = pipeline.transformer.config.patch_size
    legal = legal_frames(habits["max_frames"], int(pipeline.vae_scale_factor_temporal), patch_time)
    return Profile(legal_frames=legal, multiple=int(pipeline.vae_scale_factor_spatial) * int(patch_height),
                   steps=int(habits["steps"]), guidance=float(habits["guidance"]),
                   text_length=int(habits["text_length"]), mask_grow=int(habits["mask_grow"]),
                   mask_box=bool(habits["mask_box"]), pose_grow=int(habits["pose_grow"]),
                   pose_reversed=bool(habits["pose_reversed"]), control=habits["control"],
                   skeleton=habits["skeleton"], max_pixels=int(habits["max_pixels"]),
                   window=int(habits["window"]), overlap=int(habits["overlap"]),
                   last_sigma=None if habits["last_sigma"] is None else float(habits["last_sigma"]),
                   memory=float(habits["memory"]))


def place_on_gpu(pipeline: Any, folder: Path) -> None:
    """All on the GPU when it fits with room for activations, else component by component."""
    needed = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) * 1.5
    free, _total = torch.cuda.mem_get_info()
    if needed < free:
        pipeline.to("cuda")
    else:
        pipeline.enable_model_cpu_offload()
