# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks on the stock pipeline, with real classes at tiny size: what an edit does, what it must not do, where a run starts."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from accelerate import cpu_offload_with_hook
from accelerate.hooks import remove_hook_from_module
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from lucid.inference.adapters.hooks import (
    FollowReference,
    HookStack,
    RegionLock,
    StatisticsPull,
    Step,
    latent_mask,
    noise_levels,
    noised,
    starting_at,
    wrapped,
)
from lucid.inference.errors import LucidError
from lucid.tests import tiny_wan

pytestmark = pytest.mark.torch
FRAMES, HEIGHT, WIDTH, STEPS = 9, 32, 48, 6
SHAPE = (1, 16, 3, 4, 6)
LATE = Step(5, STEPS, 0.4, 0.0)


def unipc():
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
                                   flow_shift=3.0)


@pytest.fixture(scope="module")
def large():
    return tiny_wan.large()


@pytest.fixture
def pipeline(large):
    large.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)       # some tests exchange it
    return large


def noise(seed=1):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def run(pipeline, hooks=(), *, latents=None, text=2, callback=None):
    """The latents (1, 16, 3, 4, 6) that a run of STEPS steps ends with."""
    with torch.no_grad():
        return pipeline(prompt_embeds=torch.randn((1, 8, 32), generator=torch.Generator().manual_seed(text)),
                        height=HEIGHT, width=WIDTH, num_frames=FRAMES, num_inference_steps=STEPS, guidance_scale=1.0,
                        video=torch.full((1, FRAMES, 3, HEIGHT, WIDTH), 0.7),
                        mask=torch.ones((1, FRAMES, 1, HEIGHT, WIDTH)), latents=noise() if latents is None else latents,
                        output_type="latent", callback_on_step_end=callback or HookStack(pipeline, hooks)).frames


@dataclass
class Record:
    """Every step and a copy of the latents after it."""

    steps: list[Step] = field(default_factory=list)
    latents: list[torch.Tensor] = field(default_factory=list)
    edits: ClassVar[bool] = False

    def __call__(self, step, latents):
        self.steps.append(step)
        self.latents.append(latents.clone())
        return latents

    def after(self, done, sigma):
        assert self.steps[done - 1].after == sigma
        return self.latents[done - 1]


@dataclass(frozen=True)
class Add:
    """An edit whose effect is known: a constant onto the latents after one step."""

    amount: float
    step: int = 2
    edits: ClassVar[bool] = True

    def __call__(self, step, latents):
        return latents + self.amount if step.index == self.step else latents


@pytest.fixture
def region():
    mask = torch.zeros((1, 1, 3, 4, 6), dtype=torch.bool)
    mask[..., 1:3, 2:5] = True
    return mask


# ---- an edit that is made is an edit that holds

def test_an_edit_reaches_the_result(pipeline):
    effect = float((run(pipeline, [Add(10.0)]) - run(pipeline)).mean())
    assert effect == pytest.approx(10.0, abs=1.0)


def test_unipc_discards_edits_so_a_stack_that_edits_refuses_it(pipeline):
    pipeline.scheduler = unipc()

    def edit(_pipeline, index, _timestep, tensors):
        return {"latents": tensors["latents"] + (10.0 if index == 2 else 0.0)}

    discarded = float((run(pipeline, callback=edit) - run(pipeline)).mean())
    assert abs(discarded) < 2.0, "UniPC keeps edits now: the rule can go"
    with pytest.raises(LucidError) as caught:
        run(pipeline, [Record(), Add(10.0)])
    assert caught.value.code == "HOOK_SCHEDULER"


def test_a_scheduler_exchanged_behind_the_stacks_back_is_refused_too(pipeline):
    stack = HookStack(pipeline, [Add(10.0)])
    pipeline.scheduler = unipc()
    with pytest.raises(LucidError, match="HOOK_SCHEDULER"):
        run(pipeline, callback=stack)


def test_euler_that_draws_its_own_noise_is_refused(pipeline):
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True)
    with pytest.raises(LucidError, match="HOOK_SCHEDULER"):
        HookStack(pipeline, [Add(1.0)])


def test_a_hook_that_only_watches_runs_on_any_scheduler_and_changes_nothing(pipeline):
    assert torch.equal(run(pipeline, [Record()]), run(pipeline))
    pipeline.scheduler = unipc()
    watched = Record()
    run(pipeline, [watched])
    assert len(watched.steps) == STEPS


# ---- the stack

def test_hooks_run_in_order_and_know_the_noise_level(pipeline):
    first, last = Record(), Record()
    result = run(pipeline, [first, Add(1.0, step=3), last])
    levels = noise_levels(pipeline.scheduler, STEPS)
    assert [(s.index, s.total) for s in first.steps] == [(index, STEPS) for index in range(STEPS)]
    assert [s.before for s in first.steps] == list(levels[:-1]) and [s.after for s in first.steps] == list(levels[1:])
    assert levels[0] == 1.0 and levels[-1] == 0.0
    differs = [float((b - a).mean()) for a, b in zip(first.latents, last.latents, strict=True)]
    assert differs == pytest.approx([0, 0, 0, 1, 0, 0], abs=1e-5)
    assert torch.equal(result, last.latents[-1])


@pytest.mark.parametrize("spoil", [lambda x: x[:, :, :2], lambda x: x.double()])
def test_a_hook_that_returns_other_latents_than_it_got_is_an_error(pipeline, spoil):
    class Spoil(Add):
        def __call__(self, step, latents):
            return spoil(super().__call__(step, latents))

    with pytest.raises(ValueError, match="made"):
        run(pipeline, [Spoil(1.0)])


def test_a_hook_that_edits_in_secret_is_an_error(pipeline):
    class Secret(Add):
        edits = False

    with pytest.raises(ValueError, match="does not edit"):
        run(pipeline, [Secret(1.0)])


# ---- region lock

def test_a_locked_region_is_bit_identical_and_the_free_one_is_not(pipeline, region):
    kept = Record()
    before = run(pipeline, [kept])
    lock = RegionLock(region, kept.after)
    fresh = torch.where(region, noise(seed=9), noise())
    edited, again = (run(pipeline, [lock], latents=fresh, text=5) for _ in range(2))
    outside = (~region).expand(SHAPE)
    assert torch.equal(edited[outside], before[outside])
    assert float((edited - before)[~outside].abs().mean()) > 1e-2
    assert edited.numpy().tobytes() == again.numpy().tobytes()


def test_a_locked_run_starts_from_the_kept_noise_outside(region):
    start = RegionLock(region, lambda done, sigma: noise() if (done, sigma) == (0, 1.0) else None).start(noise(9))
    inside = region.expand(SHAPE)
    assert torch.equal(start[~inside], noise()[~inside]) and torch.equal(start[inside], noise(9)[inside])


def test_kept_latents_of_another_shot_are_refused(region):
    with pytest.raises(ValueError, match="kept"):
        RegionLock(region, lambda done, sigma: noise()[:, :, :2])(LATE, noise())


# ---- SDEdit, Time-to-Move

def test_a_reference_followed_to_the_end_is_the_reference(pipeline, region):
    reference = noise(seed=7) * 0.3
    result = run(pipeline, [FollowReference(reference, noise(), STEPS, region)])
    inside = region.expand(SHAPE)
    assert torch.equal(result[inside], reference[inside])
    assert float((result - reference)[~inside].abs().mean()) > 0.1


def test_the_longer_a_reference_is_followed_the_nearer_the_result(pipeline, region):
    reference = noise(seed=7) * 0.3
    inside = region.expand(SHAPE)

    def distance(everywhere, within):
        result = run(pipeline, [FollowReference(reference, noise(), everywhere),
                                FollowReference(reference, noise(), within, region)])
        return float((result - reference)[inside].pow(2).mean().sqrt())

    free, some, more = distance(0, 0), distance(1, 3), distance(2, 5)
    assert free > 1.1 * some > 1.2 * more > 0.0


def test_a_followed_reference_has_the_noise_of_the_step():
    reference = torch.full(SHAPE, 2.0)
    followed = FollowReference(reference, noise(), 3)(Step(1, 6, 0.9, 0.75), torch.zeros(SHAPE))
    assert torch.equal(followed, noised(reference, noise(), 0.75))
    assert torch.allclose(followed, 0.5 + 0.75 * noise())
    latents = noise(3)
    assert FollowReference(reference, noise(), 3)(Step(3, 6, 0.75, 0.5), latents) is latents


# ---- statistics

@pytest.fixture
def drifting():
    """Latents (1, 2, 12, 8, 8) whose left half drifts in mean and spread from frame 4 on; the mask of that half."""
    values = torch.randn((1, 2, 12, 8, 8), generator=torch.Generator().manual_seed(3))
    for frame in range(4, 12):
        values[:, :, frame, :, :4] = values[:, :, frame, :, :4] * 1.8 + 2.0
    inside = torch.zeros((1, 1, 12, 8, 8), dtype=torch.bool)
    inside[..., :4] = True
    return values, inside


def test_a_full_pull_gives_every_frame_the_first_ones_statistics(drifting):
    values, inside = drifting
    pulled = StatisticsPull((inside,), 1.0, 1)(LATE, values)
    for channel in range(2):
        cells = pulled[0, channel, :, :, :4].reshape(12, -1)
        assert torch.allclose(cells.mean(1), cells[0].mean().expand(12), atol=1e-4)
        assert torch.allclose(cells.std(1, correction=0), cells[0].std(correction=0).expand(12), atol=1e-4)


def test_a_pull_changes_neither_the_first_frame_nor_the_outside(drifting):
    values, inside = drifting
    pulled = StatisticsPull((inside,), 1.0, 1)(LATE, values)
    assert torch.equal(pulled[..., 4:], values[..., 4:]) and torch.equal(pulled[:, :, 0], values[:, :, 0])


@pytest.mark.parametrize("span", [1, 5])
def test_a_pull_by_a_factor_is_adain(drifting, span):
    """Against the formula written out frame by frame."""
    values, inside = drifting
    pulled = StatisticsPull((inside,), 0.25, span)(LATE, values)
    half = span // 2
    for channel in range(2):
        x = values[0, channel, :, :, :4].double()
        blocks = [x[max(0, frame - half):frame + half + 1] for frame in range(12)]
        mean = torch.stack([block.mean() for block in blocks])
        spread = torch.stack([block.std(correction=0) for block in blocks])
        for frame in (0, 3, 5, 11):
            goal = (x[frame] - mean[frame]) / spread[frame] * spread[0] + mean[0]
            expected = 0.75 * x[frame] + 0.25 * goal
            assert torch.allclose(pulled[0, channel, frame, :, :4].double(), expected, atol=1e-5)


def test_a_pull_leaves_what_it_cannot_judge(drifting):
    values, inside = drifting
    few = inside.clone()
    few[..., 4:, :] = False
    few[..., 1:4] = False                                                           # 4 cells per frame
    assert torch.equal(StatisticsPull((few,), 1.0, 1)(LATE, values), values)
    assert torch.equal(StatisticsPull((inside,), 0.0, 1)(LATE, values), values)
    noisy = Step(0, STEPS, 1.0, 0.95)
    assert StatisticsPull((inside,), 1.0, 1)(noisy, values) is values
    late = inside.clone()
    late[:, :, :6] = False                                                          # first seen in frame 6
    pulled = StatisticsPull((late,), 1.0, 1)(LATE, values)
    assert torch.equal(pulled[:, :, :7], values[:, :, :7]) and not torch.equal(pulled[:, :, 8], values[:, :, 8])


@pytest.mark.parametrize("factor, span", [(1.5, 1), (-0.1, 1), (0.5, 2), (0.5, 0)])
def test_pulls_that_make_no_sense_are_refused(factor, span):
    with pytest.raises(ValueError, match="pull"):
        StatisticsPull((), factor, span)


# ---- masks

@pytest.mark.parametrize("frame, cell", [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_a_pixel_falls_into_the_cell_whose_frames_hold_it(frame, cell):
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    mask[frame, 17, 40] = True
    found = latent_mask(mask, 4, 8, references=2)
    assert found.shape == (1, 1, 2 + 3, 4, 6) and found.dtype == torch.bool
    assert found.nonzero().tolist() == [[0, 0, 2 + cell, 2, 5]]


def test_a_cell_may_ask_for_a_share_of_its_pixels():
    mask = np.zeros((5, 8, 16), bool)
    mask[1:, :5, :8] = True                                                         # 5/8 of one cell of latent frame 1
    assert latent_mask(mask, 4, 8, share=0.5).nonzero().tolist() == [[0, 0, 1, 0, 0]]
    assert not latent_mask(mask, 4, 8, share=0.625).any()
    assert latent_mask(mask, 1, 8).sum() == 4


@pytest.mark.parametrize("shape", [(8, 32, 48), (9, 30, 48), (9, 32, 44)])
def test_a_mask_that_does_not_fit_the_cells_is_refused(shape):
    with pytest.raises(ValueError, match="cells"):
        latent_mask(np.ones(shape, bool), 4, 8)


# ---- where a run starts

@pytest.mark.parametrize("done", [0, 2, 5, 6])
def test_a_run_that_starts_after_some_steps_ends_as_the_whole_one(pipeline, done):
    whole = Record()
    result = run(pipeline, [whole])
    rest = Record()
    with starting_at(pipeline.scheduler, done):
        later = run(pipeline, [rest], latents=([noise(), *whole.latents])[done])
    assert later.numpy().tobytes() == result.numpy().tobytes()
    assert rest.steps == whole.steps[done:]
    assert torch.equal(run(pipeline), result)                                       # the scheduler is itself again


def test_only_a_scheduler_without_memory_starts_in_the_middle(pipeline):
    with pytest.raises(LucidError, match="HOOK_SCHEDULER"), starting_at(unipc(), 2):
        pass
    with pytest.raises(ValueError, match="cannot be done"), starting_at(pipeline.scheduler, STEPS + 1):
        run(pipeline)
    assert len(run(pipeline)) == 1


# ---- the stand-in for forward

def counted(calls):
    def wrap(stock):
        def forward(*args, **kwargs):
            calls.append(kwargs["hidden_states"].shape[2])
            return stock(*args, **kwargs)
        return forward
    return wrap


def test_a_stand_in_comes_and_goes_and_the_rest_of_the_module_stays(pipeline):
    transformer, calls = pipeline.transformer, []
    before, components = run(pipeline), dict(pipeline.config)
    with wrapped(transformer, counted(calls)):
        assert pipeline.transformer is transformer and dict(pipeline.config) == components
        assert torch.equal(run(pipeline), before)
    assert calls == [3] * STEPS
    assert "forward" not in vars(transformer)
    with pytest.raises(RuntimeError, match="stop"), wrapped(transformer, counted(calls)):
        raise RuntimeError("stop")
    run(pipeline)
    assert len(calls) == STEPS and "forward" not in vars(transformer)


def test_a_stand_in_outlives_offloading_that_is_put_on_again_after_a_run(pipeline):
    """As ``maybe_free_model_hooks`` does at the end of every run under model offloading."""
    transformer, calls = pipeline.transformer, []
    before = run(pipeline)
    cpu_offload_with_hook(transformer, torch.device("cpu"))
    try:
        with wrapped(transformer, counted(calls)):
            for _ in range(2):
                assert torch.equal(run(pipeline), before)
                remove_hook_from_module(transformer, recurse=True)
                cpu_offload_with_hook(transformer, torch.device("cpu"))
        assert len(calls) == 2 * STEPS
        assert torch.equal(run(pipeline), before) and len(calls) == 2 * STEPS
    finally:
        remove_hook_from_module(transformer, recurse=True)
        vars(transformer).pop("forward", None)


def test_the_levels_of_a_run_follow_settings_made_later():
    """Diffusers remembers which settings were left to defaults, and would put the defaults back."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.register_to_config(shift_terminal=0.25)
    levels = noise_levels(scheduler, 8)
    scheduler.set_timesteps(8)
    assert levels == tuple(float(sigma) for sigma in scheduler.sigmas) and levels[-2] == pytest.approx(0.25)
