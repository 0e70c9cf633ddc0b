# SPDX-License-Identifier: GPL-3.0-or-later
"""Strengths against closed forms, and what a map of them does in a real Wan-VACE transformer of tiny size."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.conditioning.strength import (
    Strength,
    from_json,
    parse,
    strength_map,
    to_json,
    token_map,
)
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import SHADOW, Kind, Layer

VALUES = st.floats(0.0, 1.0)
FRAMES = st.integers(-10**6, 10**6)
KEYS = st.dictionaries(FRAMES, VALUES, min_size=1, max_size=5).map(lambda keys: tuple(sorted(keys.items())))
STRENGTHS = st.one_of(VALUES.map(Strength.constant), KEYS.map(Strength))
WRONG: list[Any] = [-0.1, 1.0000001, math.nan, math.inf, -math.inf, "0.5", None, True, 10**400]

IDS = np.array([[0, 1, 1, 2], [3, 4, 5, 9]], np.uint32)
NAMES = {1: "Ball", 2: "Body", 3: "Hat", 4: "Lamp", 5: "Bench"}
LAYERS = (Layer("environment", "environment", (), (), kind=Kind.ENVIRONMENT), Layer("Ball", "Ball", (1,), ()),
          Layer("Crowd", "Crowd", (2, 3), ()), Layer(SHADOW, SHADOW, (), (), kind=Kind.SHADOW))


# ---- a strength over the frames

def test_a_strength_is_linear_between_its_keys_and_constant_outside() -> None:
    strength = Strength(((-2, 0.25), (2, 0.75), (3, 0.0)))
    assert [strength.at(frame) for frame in (-100, -2, -1, 0, 1, 2, 3, 100)] == [.25, .25, .375, .5, .625, .75, 0, 0]


@given(STRENGTHS, FRAMES)
def test_a_strength_never_leaves_its_range_and_meets_its_keys(strength: Strength, frame: int) -> None:
    values = [value for _, value in strength.keys]
    assert 0.0 <= strength.at(frame) <= 1.0
    assert min(values) - 1e-15 <= strength.at(frame) <= max(values) + 1e-15
    assert all(strength.at(key) == value for key, value in strength.keys)


@given(VALUES, FRAMES)
def test_a_constant_is_the_same_everywhere(value: float, frame: int) -> None:
    assert Strength.constant(value).at(frame) == value


@pytest.mark.parametrize("value", WRONG)
def test_what_is_no_number_from_0_to_1_is_refused(value: Any) -> None:
    for make in (Strength.constant, lambda wrong: Strength(((1, 0.5), (2, wrong))), from_json,
                 lambda wrong: from_json([[1, wrong]]), lambda wrong: strength_map(IDS, {}, {}, 1, wrong)):
        with pytest.raises(LucidError, match="STRENGTH_INVALID"):
            make(value)


@pytest.mark.parametrize("keys", [(), ((1, 0.5), (1, 0.6)), ((2, 0.5), (1, 0.6)), ((1.0, 0.5),), ((True, 0.5),), (("1", 0.5),)])
def test_frames_that_are_none_or_do_not_ascend_are_refused(keys: Any) -> None:
    for make in (Strength, lambda wrong: from_json([list(key) for key in wrong])):
        with pytest.raises(LucidError, match="STRENGTH_INVALID"):
            make(keys)


# ---- as text and as JSON

@pytest.mark.parametrize("text, name, strength", [
    ("Ball=0.5", "Ball", Strength.constant(0.5)), ("Ball=0", "Ball", Strength.constant(0.0)),
    ("Ball=0.2@1,0.8@24", "Ball", Strength(((1, 0.2), (24, 0.8)))), ("Ball=1@-5", "Ball", Strength(((-5, 1.0),))),
    (" Red Ball = 0.2 @ 1 , 1 @ 2 ", "Red Ball", Strength(((1, 0.2), (2, 1.0)))),
    ("a=b@c,d=1e-1", "a=b@c,d", Strength.constant(0.1)), ("Forest/Tree[1.2]=1", "Forest/Tree[1.2]", Strength.constant(1.0))])
def test_strengths_as_people_write_them(text: str, name: str, strength: Strength) -> None:
    assert parse(text) == (name, strength)


@pytest.mark.parametrize("text", ["", "Ball", "Ball=", "=0.5", " =0.5", "Ball=strong", "Ball=0.5,0.6", "Ball=0.5@", "Ball=@1",
                                  "Ball=0.5@1.5", "Ball=0.5@1,0.6", "Ball=0.5@1,", "Ball=0.5@1@2", "Ball=0.5@" + "9" * 5000])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(LucidError, match="^USAGE"):
        parse(text)


@pytest.mark.parametrize("text", ["Ball=1.5", "Ball=-0.1", "Ball=nan", "Ball=inf", "Ball=0.5@2,0.6@1", "Ball=0.5@1,0.6@1",
                                  "Ball=0.5@1,2@2"])
def test_values_and_frames_that_are_no_strength_are_refused(text: str) -> None:
    with pytest.raises(LucidError, match="^STRENGTH_INVALID"):
        parse(text)


@given(STRENGTHS)
def test_a_strength_comes_back_from_json_and_from_text(strength: Strength) -> None:
    assert from_json(json.loads(json.dumps(to_json(strength), allow_nan=False))) == strength
    assert parse("A=" + ",".join(f"{value!r}@{frame}" for frame, value in strength.keys)) == ("A", strength)


def test_equal_strengths_are_equal_bytes() -> None:
    assert to_json(Strength.constant(0.5)) == 0.5 and to_json(Strength(((3, 0.5),))) == [[3, 0.5]]
    for one, other in ((Strength.constant(1), Strength(((0, 1.0),))), (Strength.constant(-0.0), Strength(((0, 0),))),
                       (Strength(((1, 0), (2, 1))), Strength(((1, -0.0), (2, 1.0))))):
        assert one == other and json.dumps(to_json(one)) == json.dumps(to_json(other))


@pytest.mark.parametrize("data", [{}, {"1": 0.5}, [], [0.5], [[1]], [[1, 0.5, 2]], [[0.5, 0.5]], ["1a"], [(1, 0.5)]])
def test_other_json_is_refused(data: Any) -> None:
    with pytest.raises(LucidError, match="STRENGTH_INVALID"):
        from_json(data)


# ---- per pixel

def mapped(frame: int = 1, default: float = 1.0, **strengths: float) -> list[list[float]]:
    made = strength_map(IDS, NAMES, {name: Strength.constant(value) for name, value in strengths.items()}, frame, default,
                        layers=LAYERS)
    assert made.dtype == np.float32 and made.shape == IDS.shape
    found: list[list[float]] = made.tolist()
    return found


def test_an_object_a_layer_and_the_rest() -> None:
    assert mapped() == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert mapped(default=0.5) == [[.5, .5, .5, .5], [.5, .5, .5, .5]]
    assert mapped(Lamp=0.25) == [[1, 1, 1, 1], [1, .25, 1, 1]]
    assert mapped(Crowd=0.25) == [[1, 1, 1, .25], [.25, 1, 1, 1]]
    assert mapped(Ball=0.25) == [[1, .25, .25, 1], [1, 1, 1, 1]]


def test_the_environment_is_all_that_is_no_actors_with_the_background() -> None:
    assert mapped(environment=0.25) == [[.25, 1, 1, 1], [1, .25, .25, .25]]


def test_an_objects_own_strength_beats_its_layers() -> None:
    assert mapped(Crowd=0.25, Hat=0.75) == mapped(Hat=0.75, Crowd=0.25) == [[1, 1, 1, .25], [.75, 1, 1, 1]]
    assert mapped(environment=0.0, Lamp=0.5, default=0.75) == [[0, .75, .75, .75], [.75, .5, 0, 0]]


def test_a_map_is_of_its_frame() -> None:
    keyed = {"Ball": Strength(((1, 0.0), (5, 1.0)))}
    assert [strength_map(IDS, NAMES, keyed, frame)[0, 1] for frame in (0, 1, 2, 4, 5, 6)] == [0, 0, .25, .75, 1, 1]


@pytest.mark.parametrize("name, hint", [("ball", "did you mean Ball?"), (SHADOW, "the shot has: environment, Ball, Crowd")])
def test_a_name_that_stands_for_nothing_is_refused(name: str, hint: str) -> None:
    with pytest.raises(LucidError, match="OBJECT_UNKNOWN") as failure:
        mapped(**{name: 0.5})
    assert hint in failure.value.hint


# ---- per token

def test_a_token_is_the_mean_of_its_pixels_in_order_of_frame_row_column() -> None:
    maps = np.zeros((2, 4, 6), np.float32)
    maps[0, 0, 0], maps[0, 3, 4:], maps[1, 2:, 2:4] = 1.0, 0.5, 1.0
    assert token_map(maps, 2).tolist() == [.25, 0, 0, 0, 0, .25, 0, 0, 0, 0, 1, 0]
    assert token_map(maps, 2, references=1).tolist() == [1] * 6 + token_map(maps, 2).tolist()


def test_a_latent_frame_is_the_mean_of_the_frames_up_to_it() -> None:
    maps = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32) / 8
    assert (token_map(maps, 2, 4) * 8).tolist() == [0, 2.5, 6.5]


@given(st.floats(0.0, 1.0, width=32), st.integers(0, 2), st.integers(1, 4), st.sampled_from([1, 3, 16]))
def test_one_strength_everywhere_is_that_of_every_token_exactly(value: float, later: int, temporal: int, cell: int) -> None:
    tokens = token_map(np.full((1 + later * temporal, 2 * cell, cell), value, np.float32), cell, temporal)
    assert tokens.dtype == np.float32 and tokens.shape == ((1 + later) * 2,) and (tokens == np.float32(value)).all()


@pytest.mark.parametrize("shape, temporal", [((0, 4, 4), 1), ((3, 4, 4), 4), ((1, 3, 4), 1), ((1, 4, 5), 1)])
def test_pixels_that_do_not_fill_the_tokens_are_refused(shape: tuple[int, ...], temporal: int) -> None:
    with pytest.raises(ValueError, match="does not fall"):
        token_map(np.ones(shape, np.float32), 2, temporal)


# ---- in the model

@pytest.fixture(scope="module")
def transformer() -> Any:
    """Random weights in the geometry of Wan2.1-VACE, with two VACE layers."""
    torch = pytest.importorskip("torch")
    from diffusers import WanVACETransformer3DModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return WanVACETransformer3DModel(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16, in_channels=16,
                                     out_channels=16, text_dim=32, freq_dim=16, ffn_dim=32, num_layers=2,
                                     vace_layers=[0, 1], vace_in_channels=96).eval()


def predicted(transformer: Any, scale: Any) -> Any:
    """(1, 16, 3, 4, 6): of nine frames of 32 x 48 pixels, so of 3 x 2 x 3 tokens."""
    import torch

    torch.manual_seed(1)
    latents, control = torch.randn((1, 16, 3, 4, 6)), torch.randn((1, 96, 3, 4, 6))
    with torch.no_grad():
        return transformer(hidden_states=latents, timestep=torch.tensor([700.0]), encoder_hidden_states=torch.randn((1, 8, 32)),
                           control_hidden_states=control, control_hidden_states_scale=scale, return_dict=False)[0]


def scale_of(maps: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(token_map(maps, 16, 4)).view(1, 1, -1, 1).expand(2, -1, -1, -1)


@pytest.mark.torch
def test_in_the_model_a_map_of_one_value_is_the_number_bit_for_bit(transformer: Any) -> None:
    import torch

    predictions = [predicted(transformer, torch.full((2,), value)) for value in (0.0, 0.5, 1.0)]
    for value, prediction in zip((0.0, 0.5, 1.0), predictions, strict=True):
        assert torch.equal(predicted(transformer, scale_of(np.full((9, 32, 48), value, np.float32))), prediction)
    assert not torch.allclose(predictions[0], predictions[2], atol=1e-3)


@pytest.mark.torch
def test_in_the_model_a_map_that_is_1_in_part_acts_there(transformer: Any) -> None:
    """Without self-attention in the main branch no token hears of another: the change is there and nowhere else."""
    import torch

    maps = np.zeros((9, 32, 48), np.float32)
    maps[1:5, 16:, 32:] = 1.0                                       # latent frame 1, row 1, column 2
    free, obeying = predicted(transformer, scale_of(maps * 0)), predicted(transformer, scale_of(maps))
    assert not torch.equal(free, obeying) and not torch.equal(obeying, predicted(transformer, torch.ones(2)))
    whole = {name: value.clone() for name, value in transformer.state_dict().items()}
    try:
        with torch.no_grad():
            for block in transformer.blocks:
                block.attn1.to_out[0].weight.zero_()
                block.attn1.to_out[0].bias.zero_()
        free, everywhere = predicted(transformer, torch.zeros(2)), predicted(transformer, torch.ones(2))
        there = torch.zeros((3, 4, 6), dtype=torch.bool)
        there[1, 2:, 4:] = True
        torch.testing.assert_close(predicted(transformer, scale_of(maps)), torch.where(there, everywhere, free))
        assert not torch.allclose(free, everywhere, atol=1e-3)
    finally:
        transformer.load_state_dict(whole)


@pytest.mark.torch
def test_the_stock_pipeline_hands_a_map_to_the_transformer_as_it_is(transformer: Any) -> None:
    import torch
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanVACEPipeline
    from lucid.inference.adapters.hooks import wrapped

    vae = AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                           temperal_downsample=[False, True, True]).eval()
    pipeline = WanVACEPipeline(tokenizer=None, text_encoder=None, vae=vae, transformer=transformer,
                               scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0))
    pipeline.set_progress_bar_config(disable=True)
    seen = []

    def wrap(stock: Any) -> Any:
        def forward(**arguments: Any) -> Any:
            seen.append(arguments["control_hidden_states_scale"])
            return stock(**arguments)
        return forward

    def run(scale: Any) -> Any:
        texts = torch.ones((2, 1, 8, 32))
        video = torch.linspace(0.0, 1.0, 9).view(1, -1, 1, 1, 1).expand(1, -1, 3, 32, 48)
        return pipeline(prompt_embeds=texts[0], negative_prompt_embeds=-texts[1], height=32, width=48, num_frames=9,
                        num_inference_steps=2, guidance_scale=2.0, video=video, mask=torch.ones((1, 9, 1, 32, 48)),
                        generator=torch.Generator().manual_seed(2), output_type="latent", conditioning_scale=scale).frames

    scale = scale_of(np.linspace(0.0, 1.0, 9 * 32 * 48, dtype=np.float32).reshape(9, 32, 48))
    with wrapped(transformer, wrap):
        graded = run(scale)
    assert len(seen) == 4 and all(torch.equal(found, scale) for found in seen)        # two steps, with and without the prompt
    whole = run(1.0)
    assert torch.equal(run(scale_of(np.ones((9, 32, 48), np.float32))), whole) and not torch.equal(graded, whole)
    assert torch.equal(run(scale_of(np.zeros((9, 32, 48), np.float32))), run(0.0))
