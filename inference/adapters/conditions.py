# SPDX-License-Identifier: GPL-3.0-or-later
"""What VACE reads beside the latents, encoded piece by piece and kept on disk: what stays, the control, the mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..conditioning.strength import token_map
from ..shot.images import to_uint8
from .base import Painting, Source, Video
from .codec import Codec
from .hooks import latent_mask
from .reel import Reel


class Conditions:
    """For each latent frame of a source the control channels of WanVACEPipeline: the latents of what is kept, of the control
    inside the mask, and the mask's pixels. Reference pictures are frames in front, as the pipeline has them.

    ``free`` (1, 1, R + L, h, w) is where a cell has a pixel to paint; ``strength`` (layers, 1, tokens, 1) how closely the
    control is followed, 1.0 where no source says.
    """

    def __init__(self, pipeline: Any, codec: Codec, source: Source, references: Sequence[Video], scratch: Path) -> None:
        self.pipeline, self.codec, self.source = pipeline, codec, source
        self.length = (source.frames - 1) // codec.temporal + 1
        self.height, self.width = source.height // codec.spatial, source.width // codec.spatial
        self.front = self._front(references)
        self._last: tuple[tuple[int, int], Painting] | None = None
        self._cells = np.zeros((source.frames, self.height, self.width), bool)
        self._followed = np.ones(self._cells.shape, np.float32)
        self.reel = Reel(scratch / "conditions.reel", self.length, (self.front.shape[1], self.height, self.width), np.float32)
        self._fill()

    @property
    def references(self) -> int:
        return int(self.front.shape[2])

    @property
    def shown(self) -> Tensor:
        """(1, z, R, h, w): the latents of the references."""
        return self.front[:, :int(self.pipeline.vae.config.z_dim)]

    def read(self, start: int, stop: int) -> Tensor:
        """(1, C, R + stop - start, h, w) of the latent frames [start, stop) behind the references."""
        frames = torch.from_numpy(self.reel.read(start, stop)).transpose(0, 1)[None]
        return torch.cat([self.front, frames], dim=2) if self.references else frames

    @property
    def free(self) -> Tensor:
        return latent_mask(self._cells, self.codec.temporal, 1, references=self.references)

    @property
    def strength(self) -> Tensor | float:
        if bool((self._followed == 1.0).all()):
            return 1.0
        patch = int(self.pipeline.transformer.config.patch_size[1])
        tokens = token_map(self._followed, patch, self.codec.temporal, references=self.references)
        layers = len(self.pipeline.transformer.config.vace_layers)
        return torch.from_numpy(tokens).view(1, 1, -1, 1).expand(layers, -1, -1, -1)

    def _front(self, references: Sequence[Video]) -> Tensor:
        """The references' control frames, by the pipeline's own preparation of a clip of one frame."""
        pictures = [_picture(reference) for reference in references]
        video, mask, shown = self.pipeline.preprocess_conditions(
            None, None, [pictures] if pictures else None, 1, self.source.height, self.source.width, 1, torch.float32,
            self.pipeline._execution_device)
        with torch.no_grad():
            latents = self.pipeline.prepare_video_latents(video, mask, shown, None, self.pipeline._execution_device)
        front = latents[:, :, :len(pictures)].float().cpu()     # the pipeline's mask of a reference is zero
        return torch.cat([front, front.new_zeros((1, self.codec.spatial ** 2, *front.shape[2:]))], dim=1)

    def _fill(self) -> None:
        frames = self.source.frames
        kept, told = (self.codec.encode(read, frames) for read in (self._outside, self._inside))
        for (start, outside), (_, inside) in zip(kept, told, strict=True):
            masks = self._masks(start, start + outside.shape[1])
            self.reel.write(start, torch.cat([outside, inside, masks]).transpose(0, 1).numpy())
        self._last = None

    def _painting(self, start: int, stop: int) -> Painting:
        if self._last is None or self._last[0] != (start, stop):
            painting = self.source.painting(start, stop)
            self._last = (start, stop), painting
            cells = (stop - start, self.height, self.codec.spatial, self.width, self.codec.spatial)
            self._cells[start:stop] = painting.mask.reshape(cells).any((2, 4))
            if painting.strength is not None:
                followed = np.where(painting.mask, painting.strength, np.float32(1.0))     # what is kept is always told
                self._followed[start:stop] = followed.reshape(cells).mean((2, 4))
        return self._last[1]

    def _outside(self, start: int, stop: int) -> Video:
        painting = self._painting(start, stop)
        return np.where(painting.mask[..., None], np.float32(0.0), 2.0 * painting.control - 1.0).astype(np.float32)

    def _inside(self, start: int, stop: int) -> Video:
        painting = self._painting(start, stop)
        return np.where(painting.mask[..., None], 2.0 * painting.control - 1.0, np.float32(0.0)).astype(np.float32)

    def _masks(self, start: int, stop: int) -> Tensor:
        """(s * s, n, h, w): the mask's pixels of the frame that stands for each latent frame, as ``prepare_masks`` takes it
        (nearest-exact)."""
        shown = [int((k + 0.5) * self.source.frames / self.length) for k in range(start, stop)]
        first = shown[0]
        masks: NDArray[np.bool_] = self._painting(first, shown[-1] + 1).mask[[frame - first for frame in shown]]
        side = self.codec.spatial
        blocks = masks.reshape(len(shown), self.height, side, self.width, side).transpose(2, 4, 0, 1, 3)
        return torch.from_numpy(blocks.reshape(side * side, *blocks.shape[2:]).astype(np.float32))


def _picture(reference: Video) -> Image.Image:
    """(h, w, 3) sRGB in [0, 1] as the 8-bit image that the pipeline takes."""
    return Image.fromarray(to_uint8(reference))
