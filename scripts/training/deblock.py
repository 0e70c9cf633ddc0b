# SPDX-License-Identifier: GPL-3.0-or-later
"""Softens the seams between latent cells: the decoder becomes the 3x3 linear filter that fits the pictures best.

The transformer's errors are independent from cell to cell, so a decoder that sees the neighbours can average them out.
Closed form: ridge regression of the picture on the latents the model predicts at half noise (there the prediction is
close enough to its target that colours are not pulled to their mean), and on the true latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import patchify
from torch import Tensor

from .batches import Batch
from .model import Mini
from .patch_vae import LATENTS, PATCH, set_decoder

CELLS = 9


def neighbours(latents: Tensor) -> Tensor:
    """(B, 24, F, h, w) -> (N, 24 * 9) rows of each cell's 3x3 neighbourhood, zero outside, for every frame."""
    frames = latents.transpose(1, 2).flatten(0, 1)
    return torch.nn.functional.unfold(frames, 3, padding=1).transpose(1, 2).reshape(-1, LATENTS * CELLS)


def predictions(mini: Mini, batch: Batch) -> Tensor:
    """The clean latents the transformer sees in the batch at t between 0.3 and 0.7."""
    t = torch.empty(len(batch.prompts)).uniform_(0.3, 0.7)
    level = t.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * batch.latents + level * torch.randn_like(batch.latents)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        text = mini.embed(batch.prompts)
        return mini.transformer(noisy, t * 1000, text, control_hidden_states=batch.control).sample.float()


def fit_decoder(
    mini: Mini, batches: Sequence[Batch], ridge: float = 0.002, true_share: float = 0.3
) -> tuple[float, float]:
    """Sets the decoder; returns the mean squared error of the predicted pictures before and after."""
    width = LATENTS * CELLS
    gram, cross, before, after, rows = torch.zeros(width, width), torch.zeros(width, 3 * PATCH * PATCH), 0.0, 0.0, 0
    centre = torch.zeros(LATENTS, CELLS)
    centre[:, CELLS // 2] = 1
    plain = torch.einsum("cz,zk->zkc", mini.codec.basis, centre).reshape(width, -1)
    mean = mini.vae.decoder.conv_out.bias.detach().float().clone()
    scale = mini.codec.std.view(1, -1, 1, 1, 1)
    pairs = []
    for batch in batches:
        goal = (
            patchify(batch.pictures.permute(0, 4, 1, 2, 3), PATCH).permute(0, 2, 3, 4, 1).reshape(-1, 3 * PATCH * PATCH)
            - mean
        )
        found = neighbours(predictions(mini, batch) * scale)
        pairs.append((found, goal))
        for features, share in ((found, 1.0), (neighbours(batch.latents * scale), true_share)):
            gram += share * features.T @ features
            cross += share * features.T @ (goal - features @ plain)
        rows += len(goal)
    change = torch.linalg.solve(gram + ridge * gram.diagonal().mean() * torch.eye(width), cross)
    for features, goal in pairs:
        before += float(((features @ plain - goal) ** 2).sum())
        after += float(((features @ (plain + change) - goal) ** 2).sum())
    taps = (plain + change).view(LATENTS, 3, 3, -1).permute(3, 0, 1, 2)
    set_decoder(mini.vae, taps, mean)
    return before / rows / (3 * PATCH * PATCH), after / rows / (3 * PATCH * PATCH)
