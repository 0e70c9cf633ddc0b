# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints that predict the clean latents, behind the velocity that flow matching's own scheduler wants."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import WanVACETransformer3DModel

TIMESTEPS = 1000.0


class CleanWanVACETransformer(WanVACETransformer3DModel):  # type: ignore[misc]  # diffusers has no types
    """A Wan-VACE transformer whose network predicts x0; ``forward`` gives v = (x_t - x0) / sigma.

    With x_t = (1 - sigma) x0 + sigma noise (flow matching, sigma = timestep / 1000) that is noise - x0, which
    FlowMatchEulerDiscreteScheduler integrates; UniPC takes x0 itself, but drops what hooks do to the latents.
    A small network predicts x0 far better than the noise, which has as many dimensions as a token.
    """

    def forward(self, hidden_states: torch.Tensor, timestep: torch.Tensor, *args: Any, return_dict: bool = True,
                **kwargs: Any) -> Any:
        """As the base class; ``timestep`` (B,) in (0, 1000]."""
        output = super().forward(hidden_states, timestep, *args, return_dict=True, **kwargs)
        sigma = (timestep.to(torch.float32) / TIMESTEPS).view(-1, 1, 1, 1, 1)
        velocity = ((hidden_states.float() - output.sample.float()) / sigma).to(output.sample.dtype)
        if not return_dict:
            return (velocity,)
        output.sample = velocity
        return output
