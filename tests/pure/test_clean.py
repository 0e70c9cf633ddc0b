# SPDX-License-Identifier: GPL-3.0-or-later
"""Predictions of clean latents, stepped by flow matching's own scheduler, against closed forms."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVACETransformer3DModel
from lucid.inference.adapters.clean import CleanWanVACETransformer
from lucid.inference.adapters.wan_vace import WanVACE

GEOMETRY = {"patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4,
            "out_channels": 4, "text_dim": 8, "freq_dim": 16, "ffn_dim": 32, "num_layers": 1, "vace_layers": [0],
            "vace_in_channels": 12}


@pytest.fixture(scope="module")
def pair():
    """The same random weights as the stock class and as Lucid's."""
    torch.manual_seed(0)
    stock = WanVACETransformer3DModel(**GEOMETRY).eval()
    clean = CleanWanVACETransformer(**GEOMETRY).eval()
    clean.load_state_dict(stock.state_dict())
    return stock, clean


def inputs(sigma):
    generator = torch.Generator().manual_seed(1)
    return {"hidden_states": torch.randn(1, 4, 2, 4, 6, generator=generator), "timestep": torch.tensor([sigma * 1000]),
            "encoder_hidden_states": torch.randn(1, 3, 8, generator=generator),
            "control_hidden_states": torch.randn(1, 12, 2, 4, 6, generator=generator)}


@pytest.mark.parametrize("sigma", [1.0, 0.5, 0.01])
def test_velocity_is_noise_minus_the_clean_latents(pair, sigma):
    stock, clean = pair
    given = inputs(sigma)
    with torch.no_grad():
        x0, velocity = stock(**given).sample, clean(**given).sample
        (again,) = clean(**given, return_dict=False)
    torch.testing.assert_close(given["hidden_states"] - sigma * velocity, x0, rtol=1e-4, atol=1e-4)
    assert torch.equal(velocity, again)


def test_one_euler_step_from_any_level_lands_on_the_prediction(pair):
    stock, clean = pair
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(4)
    last = float(scheduler.sigmas[-2])
    given = inputs(last)
    with torch.no_grad():
        velocity, x0 = clean(**given).sample, stock(**given).sample
    scheduler.set_begin_index(3)
    landed = scheduler.step(velocity, scheduler.timesteps[-1], given["hidden_states"], return_dict=False)[0]
    torch.testing.assert_close(landed, x0, rtol=1e-4, atol=1e-4)


def test_the_embedded_pipeline_steps_with_euler_and_its_last_step_is_a_real_one():
    adapter = WanVACE.load("mini")
    scheduler = adapter.pipeline.scheduler
    assert isinstance(scheduler, FlowMatchEulerDiscreteScheduler)
    assert isinstance(adapter.pipeline.transformer, CleanWanVACETransformer)
    control, levels = np.full((5, 32, 32, 3), 0.5, np.float32), {}
    for steps in (1, 3):                                    # one step has no last level that differs from the first
        adapter.generate(control, np.ones((5, 32, 32), bool), "a ball", 0, steps, lambda *_: None)
        levels[steps] = scheduler.sigmas.tolist()
    assert levels[1] == [1.0, 0.0]
    assert levels[3][0] == 1.0 and levels[3][-2:] == [pytest.approx(adapter.profile.last_sigma), 0.0]
