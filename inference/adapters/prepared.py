# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the stock pipeline that prepares no video: controls that are too long for memory are put in place window by
window, by whoever wraps the transformer, so the pipeline need not hold them whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import LucidError


@contextmanager
def prepared(pipeline: Any, length: int, h: int, w: int, references: int) -> Iterator[None]:
    """A run of ``pipeline`` (WanVACEPipeline) inside this context gives its transformer a control without channels and
    without data, (1, 0, references + length, h, w), to be replaced before the transformer's own forward sees it. ``length``,
    ``h``, ``w``: the video's latent frames, rows and columns. The rest of the run is the stock pipeline's: the first
    ``references`` latent frames are cut off before it decodes.

    The call is given neither video, mask nor references, which would be dropped: ValueError. A run of another size raises
    MODEL_SHAPE. The stand-ins are on the instance and come off again.
    """
    stand_ins = _StandIns(pipeline, (1, 0, references + length, h, w), length, references)
    names = ("preprocess_conditions", "prepare_video_latents", "prepare_masks")
    before = {name: vars(pipeline)[name] for name in names if name in vars(pipeline)}
    for name in names:
        setattr(pipeline, name, getattr(stand_ins, name))
    try:
        yield
    finally:
        for name in names:
            delattr(pipeline, name)
        for name, stock in before.items():
            setattr(pipeline, name, stock)


class _StandIns:
    """What WanVACEPipeline.__call__ asks for between its arguments and the transformer's control, without contents."""

    def __init__(self, pipeline: Any, shape: tuple[int, ...], length: int, references: int) -> None:
        self.shape, self.length, self.references = shape, length, references
        self.temporal, self.spatial = pipeline.vae_scale_factor_temporal, pipeline.vae_scale_factor_spatial

    def preprocess_conditions(self, video: Any, mask: Any, reference_images: Any, batch_size: int, height: int, width: int,
                              num_frames: int, dtype: torch.dtype, device: torch.device
                              ) -> tuple[Tensor, Tensor, list[list[None]]]:
        """Video and mask of no channels, in latent frames already; the references are counted, nothing more."""
        if video is not None or mask is not None or reference_images is not None:
            raise ValueError("the controls of this run are prepared elsewhere: the pipeline is given none")
        asked = (batch_size, 0, self.references + (num_frames - 1) // self.temporal + 1, height // self.spatial,
                 width // self.spatial)
        if asked != self.shape:
            raise LucidError("MODEL_SHAPE", f"latents {self.shape[2:]} were prepared, the run has {asked[2:]}",
                             "run the pipeline with the size and number of frames that were prepared")
        nothing = torch.empty(self.shape, dtype=dtype, device=device)
        return nothing, nothing, [[None] * self.references]

    def prepare_video_latents(self, video: Tensor, *_rest: Any) -> Tensor:
        return video

    def prepare_masks(self, mask: Tensor, *_rest: Any) -> Tensor:
        return mask
