# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces keep their colour while they are painted: what every step predicts is brought together along exact motion.

The model predicts each frame's picture with detail of its own. Before a late step is taken, the predicted clean picture is
decoded, every surface point's colour is averaged with what the frames around it show of the same point, and the change goes
back into the prediction. Detail that a surface keeps survives the average, detail that flickers does not, and the next step
builds on it. (Synchronised diffusion: Liu et al. 2023, arXiv 2311.12891, through a texture; Geyer et al. 2023, TokenFlow,
arXiv 2307.10373, through features matched by likeness. Here the scene says which point is which.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import LucidError
from .base import Correspondence
from .hooks import Forward, wrapped

Video = NDArray[np.float32]
#: the noise level above which a prediction is too blurred to disagree: steps up there are left alone
BELOW = 0.7


def agree(video: Video, correspondence: Correspondence, memory: float) -> Video:
    """(F, H, W, C) averaged along the motion: each frame back in time and onward weighs ``memory`` times the last.

    A first-order recursive filter over the frames in both directions; a point starts anew where it comes into sight.
    """
    past, future = video.copy(), video.copy()
    for frame in range(1, len(video)):
        past[frame] = _blend(video[frame], past[frame - 1], correspondence.before[frame], memory)
    for frame in range(len(video) - 2, -1, -1):
        future[frame] = _blend(video[frame], future[frame + 1], correspondence.after[frame], memory)
    return (past + future - (1.0 - memory) * video) / np.float32(1.0 + memory)


def _blend(own: Video, other: Video, at: Video, memory: float) -> Video:
    """``own`` (H, W, C), moved by ``memory`` towards ``other`` at the positions ``at`` (H, W, 2), where it is seen there."""
    seen = np.isfinite(at[..., :1])
    place = np.where(seen, at, 0.0).astype(np.float32)
    theirs = cv2.remap(other, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(seen, own + np.float32(memory) * (theirs - own), own)


@contextmanager
def consensus(pipeline: Any, correspondence: Correspondence, memory: float, *, references: int = 0) -> Iterator[None]:
    """One run of ``pipeline`` inside this context agrees along the motion in the steps from BELOW on. It goes around the
    windows (:func:`~lucid.inference.adapters.windows.joint_windows`), so that frames of different windows agree as well.

    Raises MODEL_SHAPE for a VAE that joins frames: what one decoded frame shows would be the business of four.
    """
    if int(pipeline.vae_scale_factor_temporal) != 1:
        raise LucidError("MODEL_SHAPE", "surfaces cannot agree with a VAE that puts several frames into one latent",
                         "set the profile's memory to 0")
    codec = _Codec(pipeline.vae)

    def wrap(stock: Forward) -> Forward:
        def forward(hidden_states: Tensor, timestep: Tensor, return_dict: bool = True, **rest: Any) -> Any:
            if return_dict:
                raise ValueError("pipelines ask for a tuple")
            velocity = stock(hidden_states=hidden_states, timestep=timestep, return_dict=False, **rest)[0].float()
            sigma = float(pipeline.scheduler.sigmas[pipeline.scheduler.step_index or pipeline.scheduler.begin_index or 0])
            if sigma > BELOW:
                return (velocity,)
            clean = (hidden_states.float() - sigma * velocity)[:, :, references:]
            shown = codec.decode(clean)
            change = codec.encode(agree(shown, correspondence, memory)) - codec.encode(shown)
            velocity[:, :, references:] -= change.to(velocity) / sigma
            return (velocity,)

        return forward

    with wrapped(pipeline.transformer, wrap):
        yield


class _Codec:
    """The pipeline's VAE, frame by frame."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.mean, self.std = (torch.tensor(values).view(1, -1, 1, 1, 1)
                               for values in (vae.config.latents_mean, vae.config.latents_std))

    def decode(self, latents: Tensor) -> Video:
        """(1, z, F, h, w), normalised, to (F, H, W, 3) in [-1, 1]."""
        values = latents.cpu() * self.std + self.mean
        frames = values[0].transpose(0, 1)[:, :, None].to(self.vae.device, self.vae.dtype)
        shown = self.vae.decode(frames, return_dict=False)[0]
        return np.ascontiguousarray(shown[:, :, 0].permute(0, 2, 3, 1).float().cpu().numpy())

    def encode(self, video: Video) -> Tensor:
        frames = torch.from_numpy(video).permute(0, 3, 1, 2)[:, :, None].to(self.vae.device, self.vae.dtype)
        latents = self.vae.encode(frames).latent_dist.mode()[:, :, 0].transpose(0, 1)[None]
        return (latents.float().cpu() - self.mean) / self.std
