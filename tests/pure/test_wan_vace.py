# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter on real diffusers classes at tiny size: the embedded geometry and that of the 1.3B and 14B weights."""

import numpy as np
import pytest
import torch
from lucid.inference.adapters.checkpoint import MINI
from lucid.inference.adapters.wan_vace import WanVACE, make_profile
from lucid.inference.errors import LucidError
from lucid.tests import tiny_wan
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

HABITS = {"steps": 2, "guidance": 1.0, "text_length": 16}


@pytest.fixture(scope="module")
def wan():
    """Random weights in the geometry of Wan2.1-VACE: VAE f8 t4 z16, patches (1, 2, 2)."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "tokenizer")
    text = UMT5EncoderModel(UMT5Config(vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2,
                                       feed_forward_proj="gated-gelu", dropout_rate=0.0)).eval()
    pipeline = tiny_wan.large(tokenizer=tokenizer, text_encoder=text)
    return WanVACE(pipeline, make_profile(pipeline, HABITS), {})


def paint(adapter, frames=5, size=(32, 48), seed=1, level=0.8, steps_seen=None):
    control = np.full((frames, *size, 3), level, np.float32)
    seen = steps_seen if steps_seen is not None else []
    return adapter.generate(control, np.ones((frames, *size), bool), "a red man", seed, 2,
                            lambda done, total: seen.append((done, total)))


def test_rules_of_the_large_checkpoints(wan):
    assert wan.profile.legal_frames[:3] == (5, 9, 13) and wan.profile.legal_frames[-1] == 81
    assert wan.profile.multiple == 16 and wan.profile.pose_reversed and wan.profile.mask_box


def test_rules_of_the_embedded_checkpoint():
    from lucid.inference.adapters.base import load

    profile = load("mini").profile
    assert profile.legal_frames == tuple(range(5, 50, 4)) and profile.multiple == 16
    assert profile.control == "geometry" and profile.skeleton == "none" and profile.max_pixels == 384 * 224


def test_the_large_geometry_generates_and_tells_its_steps(wan):
    steps: list[tuple[int, int]] = []
    video = paint(wan, steps_seen=steps)
    assert video.shape == (5, 32, 48, 3) and video.dtype == np.float32
    assert 0.0 <= video.min() and video.max() <= 1.0
    assert steps == [(1, 2), (2, 2)]


def test_same_request_same_bytes_other_seed_other_picture(wan):
    first, again, other = paint(wan), paint(wan), paint(wan, seed=2)
    assert first.tobytes() == again.tobytes()
    assert np.abs(first - other).mean() > 1e-3


def test_the_control_reaches_the_model(wan):
    """Weights are random, so the difference is small; the same call twice differs by exactly nothing (above)."""
    assert np.abs(paint(wan) - paint(wan, level=0.2)).mean() > 1e-5


@pytest.mark.parametrize("frames, size", [(6, (32, 48)), (5, (24, 48)), (5, (32, 40)), (84, (32, 48))])
def test_sizes_the_pipeline_would_silently_misalign_are_refused(wan, frames, size):
    with pytest.raises(LucidError) as caught:
        paint(wan, frames, size)
    assert caught.value.code == "MODEL_SHAPE"


def test_a_step_that_raises_stops_the_run_and_leaves_the_model_usable(wan):
    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    control, mask = np.zeros((5, 32, 48, 3), np.float32), np.ones((5, 32, 48), bool)
    before = paint(wan)
    with pytest.raises(Stop):
        wan.generate(control, mask, "x", 0, 2, stop)
    assert paint(wan).tobytes() == before.tobytes()
