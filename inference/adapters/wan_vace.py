# SPDX-License-Identifier: GPL-3.0-or-later
"""Wan-VACE through diffusers' stock WanVACEPipeline: the embedded model and Wan2.1-VACE-1.3B and 14B alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVACEPipeline
from diffusers.utils import logging as diffusers_logging
from numpy.typing import NDArray
from PIL import Image
from transformers.utils import logging as transformers_logging

from ..errors import LucidError
from . import checkpoint
from .base import ALONE, DEPTH, GEOMETRY, LINES, NONE, Correspondence, Profile, StepDone
from .clean import CleanWanVACETransformer
from .consensus import consensus
from .windows import WindowPlan, joint_windows, plan_windows

VAE_CHUNK = 4
NEGATIVE_PROMPT = ""
# Wan2.1-VACE's published settings (diffusers WanVACEPipeline example; models were trained on up to 81 frames)
DEFAULTS: dict[str, Any] = {"steps": 30, "guidance": 5.0, "text_length": 512, "max_frames": 81, "mask_grow": 24,
                            "mask_box": True, "pose_grow": 8, "pose_reversed": True, "control": DEPTH,
                            "skeleton": ALONE, "max_pixels": 0, "window": 0, "overlap": 0, "last_sigma": None,
                            "memory": 0.0}


class WanVACE:
    """A WanVACEPipeline with its profile. ``weights`` maps the checkpoint's files to their hashes."""

    def __init__(self, pipeline: Any, profile: Profile, weights: dict[str, str]) -> None:
        self.pipeline = pipeline
        self.profile = profile
        self.weights = weights

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
            _place_on_gpu(pipeline, folder)
        try:
            profile = make_profile(pipeline, checkpoint.profile(folder))
        except (ValueError, TypeError) as error:
            raise LucidError("WEIGHTS_INVALID", f"{folder / checkpoint.PROFILE} cannot be used: {error}",
                             "get that file again, or delete it: the family's defaults hold then") from error
        return cls(pipeline, profile, hashes)

    def generate(self, control: NDArray[np.float32], mask: NDArray[np.bool_], prompt: str, seed: int, steps: int,
                 step_done: StepDone, references: Sequence[NDArray[np.float32]] = (),
                 correspondence: Correspondence | None = None) -> NDArray[np.float32]:
        """See :class:`~lucid.inference.adapters.base.Adapter`."""
        frames, height, width = mask.shape
        self._check(frames, height, width)
        # the last level is reached by stretching the others, of which a single step has none
        self.pipeline.scheduler.register_to_config(shift_terminal=self.profile.last_sigma if steps > 1 else None)

        def after_step(_pipeline: Any, index: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            step_done(index + 1, steps)
            return tensors

        try:
            with ExitStack() as stack:
                stack.enter_context(joint_windows(self.pipeline, self._windows(frames), references=len(references)))
                if correspondence is not None and self.profile.memory > 0.0:
                    stack.enter_context(consensus(self.pipeline, correspondence, self.profile.memory,
                                                  references=len(references)))
                output = self.pipeline(
                    prompt=prompt,
                    negative_prompt=NEGATIVE_PROMPT,
                    video=torch.from_numpy(np.ascontiguousarray(control.transpose(0, 3, 1, 2)))[None],
                    mask=torch.from_numpy(mask.astype(np.float32))[None, :, None],
                    height=height,
                    width=width,
                    num_frames=frames if self._temporal_factor > 1 else frames - 1,   # the pipeline adds one when t = 1
                    num_inference_steps=steps,
                    guidance_scale=self.profile.guidance,
                    reference_images=[_picture(reference) for reference in references] or None,
                    latents=self._noise(frames, height, width, seed, len(references)),
                    output_type="np",
                    callback_on_step_end=after_step,
                    max_sequence_length=self.profile.text_length,
                )
        except torch.OutOfMemoryError as error:
            raise LucidError("GPU_MEMORY", f"the GPU has no room for {frames} frames of {width}x{height}",
                             "capture fewer frames or a smaller size, or close what else uses the GPU") from error
        video = np.asarray(output.frames[0], np.float32)
        if video.shape != (frames, height, width, 3):
            raise LucidError("MODEL_SHAPE", f"asked for {(frames, height, width, 3)}, the model gave {video.shape}",
                             "these weights do not follow Wan-VACE's rules")
        if not np.isfinite(video).all():
            raise LucidError("MODEL_NAN", "the model gave values that are not numbers", "try another seed")
        return video

    def _windows(self, frames: int) -> WindowPlan:
        return plan_windows(frames, self.profile.window or frames, self.profile.overlap, self.profile.legal_frames,
                            factor=self._temporal_factor)

    @property
    def _temporal_factor(self) -> int:
        return int(self.pipeline.vae_scale_factor_temporal)

    def _noise(self, frames: int, height: int, width: int, seed: int, references: int) -> torch.Tensor:
        """White noise (1, z, R + T, H/8, W/8) from a CPU generator: the same on every machine. The video's part does not
        depend on the number of references, whose latent frames the pipeline puts first."""
        factor = int(self.pipeline.vae_scale_factor_spatial)
        channels = int(self.pipeline.transformer.config.in_channels)
        generator = torch.Generator("cpu").manual_seed(seed)
        parts = [torch.randn((1, channels, length, height // factor, width // factor), generator=generator,
                             dtype=torch.float32)
                 for length in ((frames - 1) // self._temporal_factor + 1, references)]
        return torch.cat(parts[::-1], dim=2)

    def _check(self, frames: int, height: int, width: int) -> None:
        """The pipeline accepts wrong sizes silently and misaligns the control, so they are refused here."""
        profile = self.profile
        if frames not in profile.legal_frames or height % profile.multiple or width % profile.multiple:
            raise LucidError("MODEL_SHAPE", f"{frames} frames of {width}x{height} are not legal for these weights",
                             f"multiples of {profile.multiple}; frames: {', '.join(map(str, profile.legal_frames))}")


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


def _picture(reference: NDArray[np.float32]) -> Image.Image:
    """(h, w, 3) sRGB in [0, 1] as the 8-bit image that the pipeline takes."""
    return Image.fromarray((np.clip(reference, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def make_profile(pipeline: Any, own: dict[str, Any]) -> Profile:
    """Rules from the components' configuration, habits from the checkpoint's profile over the family's defaults."""
    habits = {**DEFAULTS, **own}
    for habit, known in (("control", (DEPTH, GEOMETRY)), ("skeleton", (ALONE, LINES, NONE))):
        if habits[habit] not in known:
            raise ValueError(f"there is no {habit} '{habits[habit]}'")
    patch_time, patch_height, _ = pipeline.transformer.config.patch_size
    factor = int(pipeline.vae_scale_factor_temporal)
    # the VAE encodes one frame, then chunks of four; the DiT's patches must tile the latent frames
    legal = tuple(f for f in range(1 + VAE_CHUNK, habits["max_frames"] + 1, VAE_CHUNK)
                  if ((f - 1) // factor + 1) % patch_time == 0)
    return Profile(legal_frames=legal, multiple=int(pipeline.vae_scale_factor_spatial) * int(patch_height),
                   steps=int(habits["steps"]), guidance=float(habits["guidance"]),
                   text_length=int(habits["text_length"]), mask_grow=int(habits["mask_grow"]),
                   mask_box=bool(habits["mask_box"]), pose_grow=int(habits["pose_grow"]),
                   pose_reversed=bool(habits["pose_reversed"]), control=habits["control"],
                   skeleton=habits["skeleton"], max_pixels=int(habits["max_pixels"]),
                   window=int(habits["window"]), overlap=int(habits["overlap"]),
                   last_sigma=None if habits["last_sigma"] is None else float(habits["last_sigma"]),
                   memory=float(habits["memory"]))


def _place_on_gpu(pipeline: Any, folder: Path) -> None:
    """All on the GPU when it fits with room for activations, else component by component."""
    needed = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) * 1.5
    free, _total = torch.cuda.mem_get_info()
    if needed < free:
        pipeline.to("cuda")
    else:
        pipeline.enable_model_cpu_offload()
