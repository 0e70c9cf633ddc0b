# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces keep their colour while they are painted: what a step predicts is brought together along exact motion.

The model predicts each frame's picture with detail of its own. Before a late step is taken, the predicted clean picture is
decoded, every surface point's colour is averaged with what the frames around it show of the same point, and the change goes
back into the prediction. Detail that a surface keeps survives the average, detail that flickers does not, and the next step
builds on it. (Synchronised diffusion: Liu et al. 2023, arXiv 2311.12891, through a texture; Geyer et al. 2023, TokenFlow,
arXiv 2307.10373, through features matched by likeness. Here the scene says which point is which.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import LucidError
from .base import Source, Video
from .codec import Codec
from .hooks import Forward, wrapped
from .reel import Reel

#: the noise level above which a prediction is too blurred to disagree: steps up there are left alone
BELOW = 0.7
CHUNK = 8          # frames in memory at a time


@contextmanager
def consensus(pipeline: Any, codec: Codec, source: Source, memory: float, scratch: Path, *,
              references: int = 0) -> Iterator[None]:
    """One run of ``pipeline`` inside this context agrees along the motion in the steps from BELOW on; a source that knows of
    no correspondence is left alone. It goes around the windows (:func:`~lucid.inference.adapters.windows.joint_windows`), so
    that frames of different windows agree as well.

    Raises MODEL_SHAPE for a VAE that joins frames: what one decoded frame shows would be the business of four.
    """
    if not codec.apart:
        raise LucidError("MODEL_SHAPE", "surfaces cannot agree with a VAE that puts several frames into one latent",
                         "set the profile's memory to 0")
    if source.correspondence(0, 1) is None:
        yield
        return

    def wrap(stock: Forward) -> Forward:
        def forward(hidden_states: Tensor, timestep: Tensor, return_dict: bool = True, **rest: Any) -> Any:
            if return_dict:
                raise ValueError("pipelines ask for a tuple")
            velocity = stock(hidden_states=hidden_states, timestep=timestep, return_dict=False, **rest)[0].float()
            sigma = float(pipeline.scheduler.sigmas[pipeline.scheduler.step_index or pipeline.scheduler.begin_index or 0])
            if sigma <= BELOW:
                agreement.reach(hidden_states[:, :, references:], velocity[:, :, references:], sigma)
            return (velocity,)

        return forward

    with Agreement(codec, source, memory, scratch) as agreement, wrapped(pipeline.transformer, wrap):
        yield


class Agreement:
    """A first-order recursive filter along the motion, over the frames in both directions: a frame further away weighs
    ``memory`` times the one before it, and a point starts anew where it comes into sight."""

    def __init__(self, codec: Codec, source: Source, memory: float, scratch: Path) -> None:
        self.codec, self.source, self.memory = codec, source, memory
        shape = (source.height, source.width, 3)
        self.shown, self.past = (Reel(scratch / f"{name}.reel", source.frames, shape, np.float32) for name in ("shown", "past"))

    def __enter__(self) -> Agreement:
        return self

    def __exit__(self, *_error: object) -> None:
        for reel in (self.shown, self.past):
            reel.remove()

    def reach(self, latents: Tensor, velocity: Tensor, sigma: float) -> None:
        """Changes ``velocity`` (1, z, F, h, w) in place so that the picture it predicts from ``latents`` agrees."""
        starts = range(0, self.source.frames, CHUNK)
        before: Video | None = None
        for start in starts:
            before = self._onward(latents, velocity, sigma, start, before)
        after: Video | None = None
        for start in reversed(starts):
            after = self._back(velocity, sigma, start, after)

    def _onward(self, latents: Tensor, velocity: Tensor, sigma: float, start: int, carried: Video | None) -> Video:
        """Decodes some frames and brings the past into them; returns the last one's past."""
        stop = min(start + CHUNK, self.source.frames)
        clean = (latents[0, :, start:stop].float() - sigma * velocity[0, :, start:stop]).cpu()
        shown = np.concatenate([frames for _, frames in self.codec.decode(lambda a, b: clean[:, a:b], stop - start)])
        past = shown.copy()
        moves = self.source.correspondence(start, stop)
        assert moves is not None
        for index in range(len(shown)):
            if carried is not None:
                past[index] = blend(shown[index], carried, moves.before[index], self.memory)
            carried = past[index]
        self.shown.write(start, shown)
        self.past.write(start, past)
        assert carried is not None
        return carried

    def _back(self, velocity: Tensor, sigma: float, start: int, carried: Video | None) -> Video:
        """Brings the future into some frames, joins it with their past, and puts the change into the prediction."""
        stop = min(start + CHUNK, self.source.frames)
        shown, past = self.shown.read(start, stop), self.past.read(start, stop)
        moves = self.source.correspondence(start, stop)
        assert moves is not None
        agreed = np.empty_like(shown)
        for index in reversed(range(len(shown))):
            own = shown[index]
            future = own if carried is None else blend(own, carried, moves.after[index], self.memory)
            agreed[index] = (past[index] + future - (1.0 - self.memory) * own) / (1.0 + self.memory)
            carried = future
        change = self._encoded(agreed) - self._encoded(shown)
        velocity[0, :, start:stop] -= change.to(velocity) / sigma
        assert carried is not None
        return carried

    def _encoded(self, frames: Video) -> Tensor:
        return torch.cat([latents for _, latents in self.codec.encode(lambda a, b: frames[a:b], len(frames))], dim=1)


def blend(own: Video, other: Video, at: Video, memory: float) -> Video:
    """``own`` (H, W, C), moved by ``memory`` towards ``other`` at the positions ``at`` (H, W, 2), where it is seen there."""
    seen = np.isfinite(at[..., :1])
    place = np.where(seen, at, 0.0).astype(np.float32)
    theirs = cv2.remap(other, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(seen, own + np.float32(memory) * (theirs - own), own)
