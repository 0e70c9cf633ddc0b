# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline's VAE in chunks: a shot of any length is encoded and decoded in the memory of one chunk, to the same values.

Wan's VAE is causal in time. It takes the first frame alone and then four at a time, and every convolution keeps the last
frames it saw. Those are carried from chunk to chunk here, as the VAE itself carries them from four frames to the next four
within one call, so there are no seams. Chunks that start anew, some latent frames early, would need 28 of them in Wan2.1's
encoder and 38 in its decoder: as far as their convolutions look back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import (
    WanCausalConv3d,
    WanResidualBlock,
    patchify,
    unpatchify,
)
from numpy.typing import NDArray
from torch import Tensor

Frames = Callable[[int, int], NDArray[np.float32]]
Latents = Callable[[int, int], Tensor]
GROUP = 4               # frames that the encoder takes at a time, after the first (AutoencoderKLWan._encode)


class Codec:
    """Encodes and decodes a shot chunk by chunk. ``temporal`` and ``spatial`` are the pixels of a latent cell (1, 2 or 4
    frames, 8 rows and columns), ``chunk`` the most latent frames that are held at once.

    A VAE that joins no frames (``temporal`` 1, and no convolution has weights for earlier frames) is given a chunk's
    frames as a batch, which is faster and the same up to rounding. Of any other, a shot of one chunk is the same to the
    bit; a longer one up to rounding, because the 1x1x1 convolutions around the latents run on a chunk at a time.

    Raises ValueError for another ``temporal`` than the VAE's and for chunks that hold no group of frames; encoding and
    decoding raise it for a VAE that works in tiles.
    """

    def __init__(self, vae: Any, *, temporal: int, spatial: int, chunk: int = 8) -> None:
        if GROUP % temporal or chunk < GROUP // temporal or temporal != 2 ** sum(vae.config.temperal_downsample):
            raise ValueError(f"chunks of {chunk} latent frames of {temporal} frames each")
        self.vae, self.temporal, self.spatial, self.chunk = vae, temporal, spatial, chunk
        self.apart = temporal == 1 and not _looks_back(vae)
        # WanVACEPipeline multiplies by the reciprocal where it encodes and divides by it where it decodes
        self.mean = torch.tensor(vae.config.latents_mean, dtype=torch.float32).view(1, -1, 1, 1, 1)
        self.gain = 1.0 / torch.tensor(vae.config.latents_std, dtype=torch.float32).view(1, -1, 1, 1, 1)

    def encode(self, frames: Frames, count: int) -> Iterator[tuple[int, Tensor]]:
        """Latents of ``count`` frames, in order: the first latent frame of a chunk and the chunk, (z, n, h, w) float32 on the
        CPU, the posterior's mode, normalised as WanVACEPipeline.prepare_video_latents does.

        ``frames(start, stop)`` gives (n, H, W, 3) float32 in [-1, 1] and is asked for each frame once, in order, for the
        first 1 + temporal * k of them: there are (count - 1) // temporal + 1 latent frames. Raises ValueError for another
        number of frames, or pictures that are not whole cells.
        """
        length, memory = (count - 1) // self.temporal + 1, _memory(self.vae.encoder)
        for start, stop in self._encoded_chunks(length):
            first, last = self._frame(start), self._frame(stop)
            yield start, self._encode(self._checked(frames(first, last), last - first), memory)

    def decode(self, latents: Latents, length: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Frames of ``length`` latent frames, in order: a chunk's first frame and the chunk, (n, H, W, 3) float32 in
        [-1, 1], 1 + temporal * (length - 1) of them in all.

        ``latents(start, stop)`` gives (z, n, h, w), normalised, and is asked for each latent frame once, in order. Raises
        ValueError for another number of them.
        """
        memory = _memory(self.vae.decoder)
        for start in range(0, length, self.chunk):
            stop = min(start + self.chunk, length)
            given = latents(start, stop)
            if given.ndim != 4 or given.shape[1] != stop - start:
                raise ValueError(f"latent frames {start} to {stop} were asked for, {tuple(given.shape)} came")
            yield self._frame(start), self._decode(given, memory, self._frame(stop) - self._frame(start))

    def _frame(self, latent: int) -> int:
        """The first frame of a latent frame, which is how many frames those before it stand for."""
        return max(0, 1 + (latent - 1) * self.temporal)

    def _encoded_chunks(self, length: int) -> Iterator[tuple[int, int]]:
        """Latent frames of the chunks: whole groups, as many as fit, so that the groups are those of one call."""
        if self.apart:
            yield from ((start, min(start + self.chunk, length)) for start in range(0, length, self.chunk))
            return
        group, start = GROUP // self.temporal, 0
        while start < length:
            alone = int(start == 0)
            stop = min(start + alone + (self.chunk - alone) // group * group, length)
            yield start, stop
            start = stop

    def _checked(self, frames: NDArray[np.float32], count: int) -> Tensor:
        """The frames as (3, n, H, W), a view."""
        if frames.ndim != 4 or frames.shape[0] != count or frames.shape[3] != 3:
            raise ValueError(f"{count} frames were asked for, {frames.shape} came")
        if frames.shape[1] % self.spatial or frames.shape[2] % self.spatial:
            raise ValueError(f"pictures of {frames.shape[2]}x{frames.shape[1]} are not whole cells of {self.spatial}")
        return torch.from_numpy(frames).permute(3, 0, 1, 2)

    def _encode(self, frames: Tensor, memory: list[Any]) -> Tensor:
        device, patch = _ready(self.vae), self.vae.config.patch_size
        with torch.no_grad():
            if self.apart:
                batch = frames.transpose(0, 1)[:, :, None].contiguous().to(device, self.vae.dtype)
                found = self.vae.encode(batch).latent_dist.mode()[:, :, 0].transpose(0, 1)[None]
                return self._normalised(found)
            parts, at = [], 0
            while at < frames.shape[1]:
                stop = at + (1 if memory[0] is None else GROUP)
                group = frames[None, :, at:stop].contiguous().to(device, self.vae.dtype)
                group = group if patch is None else patchify(group, patch_size=patch)
                parts.append(self.vae.encoder(group, feat_cache=memory, feat_idx=[0]))
                at = stop
            moments = self.vae.quant_conv(torch.cat(parts, dim=2))
            return self._normalised(moments.chunk(2, dim=1)[0])     # mean, log variance (DiagonalGaussianDistribution)

    def _normalised(self, found: Tensor) -> Tensor:
        return ((found.float().cpu() - self.mean) * self.gain)[0]

    def _decode(self, latents: Tensor, memory: list[Any], count: int) -> NDArray[np.float32]:
        device, patch = _ready(self.vae), self.vae.config.patch_size
        shown = np.empty((count, latents.shape[2] * self.spatial, latents.shape[3] * self.spatial, 3), np.float32)
        with torch.no_grad():
            values = (latents[None].float().cpu() / self.gain + self.mean).to(device, self.vae.dtype)
            if self.apart:
                batch = self.vae.decode(values[0].transpose(0, 1)[:, :, None].contiguous(), return_dict=False)[0]
                shown[:] = batch[:, :, 0].permute(0, 2, 3, 1).float().cpu().numpy()
                return shown
            values, at = self.vae.post_quant_conv(values), 0
            for latent in range(values.shape[2]):
                first = {"first_chunk": True} if memory[0] is None else {}
                part = self.vae.decoder(values[:, :, latent:latent + 1], feat_cache=memory, feat_idx=[0], **first)
                part = (part if patch is None else unpatchify(part, patch_size=patch)).clamp(min=-1.0, max=1.0)
                shown[at:at + part.shape[2]] = part[0].permute(1, 2, 3, 0).float().cpu().numpy()
                at += part.shape[2]
        return shown


def _memory(half: Any) -> list[Any]:
    """What the causal convolutions of the encoder or the decoder remember: nothing yet (AutoencoderKLWan.clear_cache)."""
    return [None] * sum(isinstance(module, WanCausalConv3d) for module in half.modules())


def _looks_back(vae: Any) -> bool:
    """Whether any convolution whose result counts has weights for frames before the newest one.

    A residual block whose second convolution is all zero adds its bias alone, whatever the first one sees.
    """
    idle = {block.conv1 for block in vae.modules()
            if isinstance(block, WanResidualBlock) and not bool(block.conv2.weight.any())}
    return any(bool(module.weight[:, :, :-1].any()) for module in vae.modules()
               if isinstance(module, WanCausalConv3d) and module not in idle)


def _ready(vae: Any) -> torch.device:
    """Where the VAE is, once offloading has fetched it, which it does by itself for encode and decode only.

    Raises ValueError for a VAE that cuts pictures into tiles: its halves are called directly here and would not.
    """
    if vae.use_tiling:
        raise ValueError("a VAE that works in tiles cannot be read in chunks of time")
    fetch = getattr(getattr(vae, "_hf_hook", None), "pre_forward", None)
    if fetch is not None:
        fetch(vae)
    device: torch.device = vae.device
    return device
