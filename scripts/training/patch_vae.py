# SPDX-License-Identifier: GPL-3.0-or-later
"""A linear autoencoder (PCA of 8x8 RGB patches) written exactly into the weights of a stock AutoencoderKLWan.

silu(x) - silu(-x) = x, so every coefficient rides a (+c, -c) channel pair through norm and SiLU unchanged; one constant
channel makes the RMS norm a constant gain; all residual branches are zero. Training needs only the matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanAttentionBlock, WanResidualBlock, patchify
from numpy.typing import NDArray
from torch import Tensor

PATCH, LATENTS = 8, 24
_GAIN, _CONSTANT = 0.05, 1000.0


@dataclass
class LinearCodec:
    """`basis` (192, 24), `offset` (24,), `std` (24,): latents = (basis^T patch - offset) / std, as the pipeline's."""

    basis: Tensor
    offset: Tensor
    std: Tensor

    def encode(self, video: Tensor) -> Tensor:
        """(B, F, H, W, 3) in [-1, 1] -> (B, 24, F, H/8, W/8)."""
        patches = patchify(video.permute(0, 4, 1, 2, 3), PATCH)
        latents = torch.einsum("bcthw,cz->bzthw", patches, self.basis / self.std)
        return latents - (self.offset / self.std).view(1, -1, 1, 1, 1)


def codec_of(vae: AutoencoderKLWan) -> LinearCodec:
    """The matrix inside the encoder of a VAE made by `build_vae`."""
    head = vae.encoder.conv_in
    centre = head.weight.detach().float()[:, :, -1, head.weight.shape[3] // 2, head.weight.shape[4] // 2]
    basis = (centre[: 2 * LATENTS : 2].T / _GAIN).contiguous()
    return LinearCodec(
        basis, -head.bias.detach().float()[: 2 * LATENTS : 2] / _GAIN, torch.tensor(vae.config.latents_std)
    )


def set_decoder(vae: AutoencoderKLWan, taps: Tensor, mean: Tensor) -> None:
    """Makes the decoder a 3x3 linear filter over latent cells: `taps` (192, 24, 3, 3) on unscaled latents, `mean` (192,)."""
    head = vae.decoder.conv_out
    width = head.weight.shape[1]
    with torch.no_grad():
        head.weight.zero_()
        for y in range(3):
            for x in range(3):
                head.weight[:, :, -1, y, x] = _gather(taps[:, :, y, x], width)
        head.bias.copy_(mean)


def principal_axes(patches: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (192,), axes (192, 192) by falling variance, and the variances of patches (N, 192) in [-1, 1]."""
    mean = patches.mean(0)
    values, vectors = np.linalg.eigh(((patches - mean).T @ (patches - mean) / len(patches)).astype(np.float64))
    return (
        torch.from_numpy(mean).float(),
        torch.from_numpy(vectors[:, ::-1].copy()).float(),
        torch.from_numpy(values[::-1].copy()).float(),
    )


def build_vae(mean: Tensor, axes: Tensor, variances: Tensor) -> AutoencoderKLWan:
    """The stock VAE that computes the first LATENTS axes; latents are half whitened (std = variance ** 1/4)."""
    width = 2 * LATENTS + 1 + (-(2 * LATENTS + 1)) % 8
    channels = 3 * PATCH * PATCH
    vae = AutoencoderKLWan(
        base_dim=width,
        z_dim=LATENTS,
        dim_mult=[1],
        num_res_blocks=0,
        temperal_downsample=[False] * 3,
        patch_size=PATCH,
        in_channels=channels,
        out_channels=channels,
        scale_factor_spatial=PATCH,
        scale_factor_temporal=1,
        latents_mean=[0.0] * LATENTS,
        latents_std=variances[:LATENTS].clamp_min(1e-8).pow(0.25).tolist(),
    )
    basis = axes[:, :LATENTS]
    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, WanResidualBlock):
                module.conv2.weight.zero_(), module.conv2.bias.zero_()
            elif isinstance(module, WanAttentionBlock):
                module.proj.weight.zero_(), module.proj.bias.zero_()
        _set(vae.encoder.conv_in, *_spread(basis.T, -(basis.T @ mean), width))
        pick = torch.zeros(2 * LATENTS, width)
        pick[:LATENTS] = _gather(torch.eye(LATENTS), width)
        _set(vae.encoder.conv_out, pick, torch.cat([torch.zeros(LATENTS), torch.full((LATENTS,), -20.0)]))
        _set(vae.quant_conv, torch.eye(2 * LATENTS), torch.zeros(2 * LATENTS))
        _set(vae.post_quant_conv, torch.eye(LATENTS), torch.zeros(LATENTS))
        _set(vae.decoder.conv_in, *_spread(torch.eye(LATENTS), torch.zeros(LATENTS), width))
        _set(vae.decoder.conv_out, _gather(basis, width), mean)
        for norm in (vae.encoder.norm_out, vae.decoder.norm_out):
            norm.gamma.fill_(_CONSTANT / width**0.5)
    return vae.eval()


def _set(conv: torch.nn.Module, matrix: Tensor, bias: Tensor) -> None:
    """A convolution that is the matrix at its newest, centre tap."""
    conv.weight.zero_()
    conv.weight[:, :, -1, conv.weight.shape[3] // 2, conv.weight.shape[4] // 2] = matrix
    conv.bias.copy_(bias)


def _spread(matrix: Tensor, bias: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(z, n) -> (width, n): +/- pairs and the constant channel."""
    out, offset = torch.zeros(width, matrix.shape[1]), torch.zeros(width)
    out[0 : 2 * LATENTS : 2], out[1 : 2 * LATENTS : 2] = _GAIN * matrix, -_GAIN * matrix
    offset[0 : 2 * LATENTS : 2], offset[1 : 2 * LATENTS : 2] = _GAIN * bias, -_GAIN * bias
    offset[2 * LATENTS] = _CONSTANT
    return out, offset


def _gather(matrix: Tensor, width: int) -> Tensor:
    """(n, z) -> (n, width): the inverse of `_spread` after SiLU."""
    out = torch.zeros(matrix.shape[0], width)
    out[:, 0 : 2 * LATENTS : 2], out[:, 1 : 2 * LATENTS : 2] = matrix / _GAIN, -matrix / _GAIN
    return out
