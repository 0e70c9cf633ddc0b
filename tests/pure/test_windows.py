# SPDX-License-Identifier: GPL-3.0-or-later
"""Joint windows: the planner on its own, then the stock pipeline with real classes at tiny size."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import FirstBlockCacheConfig
from lucid.inference.adapters.hooks import HookStack, RegionLock, noise_levels, starting_at, wrapped
from lucid.inference.adapters.kept import RunStore, read_latents, write_latents
from lucid.inference.adapters.windows import Place, joint_windows
from lucid.inference.conditioning.windows import WindowPlan, plan_windows
from lucid.inference.errors import LucidError
from lucid.tests import tiny_wan
from PIL import Image

pytestmark = pytest.mark.torch
LEGAL = tuple(range(5, 82, 4))
HEIGHT, WIDTH, STEPS = 16, 32, 3
SHORT = WindowPlan(frames=17, length=5, window=5, overlap=0)
LONG = WindowPlan(frames=25, length=7, window=3, overlap=1)


# ---- the planner

@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize("window, overlap", [(3, 1), (3, 2), (5, 1), (21, 6), (21, 15)])
def test_every_frame_is_covered_and_weights_add_up_to_one(window, overlap, vary):
    for length in [*range(window, 2 * window + 3), 3 * window + 2, 361]:
        plan = WindowPlan(4 * length - 3, length, window, overlap, vary)
        for step in range(3):
            starts, weights = plan.starts(step), plan.weights(step)
            assert starts[0] == 0 and starts[-1] == length - window
            assert all(0 < b - a <= window - overlap for a, b in pairwise(starts))
            total = np.zeros(length)
            for start, weight in zip(starts, weights, strict=True):
                total[start:start + window] += weight
            assert weights.min() > 0.0 and np.abs(total - 1.0).max() < 1e-6


def test_windows_are_as_few_as_the_overlap_allows_and_spread_evenly():
    assert LONG.starts(0) == (0, 2, 4)
    assert WindowPlan(0, 8, 3, 1).starts(0) == (0, 2, 3, 5)
    starts = WindowPlan(0, 361, 21, 6).starts(0)
    assert len(starts) == -(-(361 - 21) // 15) + 1
    assert max(b - a for a, b in pairwise(starts)) - min(b - a for a, b in pairwise(starts)) <= 1


def test_joins_are_where_windows_begin_and_end():
    """Of independent frames, and of four frames in a latent one: latent frame k begins with frame 4k - 3."""
    assert WindowPlan(19, 19, 9, 4).starts(0) == (0, 5, 10)
    assert WindowPlan(19, 19, 9, 4).joins() == (5, 9, 10, 14)
    assert LONG.starts(0) == (0, 2, 4) and LONG.joins() == (5, 9, 13, 17)
    assert SHORT.joins() == () and WindowPlan(1, 1, 1, 0).joins() == ()


def test_weights_ramp_over_the_overlap_and_are_whole_elsewhere():
    first, last = WindowPlan(0, 14, 8, 2).weights(0)
    assert first == pytest.approx([1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3]) and last == pytest.approx(first[::-1])


def test_windows_that_vary_put_no_join_always_in_the_same_place():
    plan = WindowPlan(0, 41, 9, 1, vary=True)
    inner = [set(plan.starts(step)) - {0, 32} for step in range(8)]
    assert not set.intersection(*inner) and len(set.union(*inner)) >= 20
    assert [plan.starts(step) for step in range(8)] == [plan.starts(step) for step in range(8)]
    assert len({WindowPlan(0, 41, 9, 1).starts(step) for step in range(8)}) == 1


@pytest.mark.parametrize("count, factor, expected", [
    (3, 4, (5, 2, 2)), (30, 4, (33, 9, 9)), (81, 4, (81, 21, 21)), (82, 4, (85, 22, 21)), (1440, 4, (1441, 361, 21)),
    (30, 1, (33, 33, 33)), (82, 1, (85, 85, 81)), (240, 1, (241, 241, 81))])
def test_a_shot_is_padded_to_the_next_count_the_vae_takes(count, factor, expected):
    plan = plan_windows(count, 81, 20, LEGAL, factor=factor)
    assert (plan.frames, plan.length, plan.window) == expected
    assert plan.overlap == (0 if count <= 81 else 20 // factor)


@pytest.mark.parametrize("window, overlap", [(80, 20), (85, 20), (81, 81), (81, 0)])
def test_windows_the_model_does_not_take_are_refused(window, overlap):
    with pytest.raises(LucidError, match="WINDOW_INVALID"):
        plan_windows(200, window, overlap, LEGAL, factor=4)


# ---- the stock pipeline, window by window

@pytest.fixture(scope="module")
def pipeline():
    return tiny_wan.large()


@pytest.fixture(scope="module")
def every_frame():
    return tiny_wan.every_frame()


def noise(pipeline, plan, references=0):
    channels = pipeline.transformer.config.in_channels
    return torch.randn((1, channels, references + plan.length, HEIGHT // 8, WIDTH // 8),
                       generator=torch.Generator().manual_seed(1))


def run(pipeline, plan, *, references=0, guidance=1.0, output="latent", hooks=(), latents=None, **arguments):
    """A run of the pipeline as it ships over a moving grey ramp; latents (1, z, R + L, h, w)."""
    ramp = torch.linspace(0.0, 1.0, plan.frames).view(1, -1, 1, 1, 1).expand(1, -1, 3, HEIGHT, WIDTH)
    each = pipeline.vae_scale_factor_temporal
    texts = torch.randn((2, 1, 8, 32), generator=torch.Generator().manual_seed(2))
    return pipeline(prompt_embeds=texts[0], negative_prompt_embeds=texts[1], height=HEIGHT, width=WIDTH,
                    num_frames=plan.frames if each > 1 else plan.frames - 1, num_inference_steps=STEPS,
                    guidance_scale=guidance, video=ramp, mask=torch.ones((1, plan.frames, 1, HEIGHT, WIDTH)),
                    reference_images=[Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 30))] * references or None,
                    latents=noise(pipeline, plan, references) if latents is None else latents, output_type=output,
                    callback_on_step_end=HookStack(pipeline, hooks), **arguments).frames


def windowed(pipeline, plan, *, references=0, kept=None, watch=None, **arguments):
    with joint_windows(pipeline, plan, references=references, kept=kept, watch=watch):
        return run(pipeline, plan, references=references, **arguments)


def spy(calls):
    """What the transformer is given, call by call."""
    def wrap(stock):
        def forward(**arguments):
            calls.append({name: value.clone() for name, value in arguments.items() if torch.is_tensor(value)})
            return stock(**arguments)
        return forward
    return wrap


def test_one_window_is_the_stock_pipeline_bit_for_bit(pipeline):
    stock = run(pipeline, SHORT, guidance=2.0, references=1, output="np")
    assert windowed(pipeline, SHORT, guidance=2.0, references=1, output="np").tobytes() == stock.tobytes()
    assert "forward" not in vars(pipeline.transformer)


def test_where_time_does_not_matter_windows_change_nothing(pipeline):
    """Without self-attention no token sees another: blending the windows' predictions gives the whole's."""
    whole = {name: value.clone() for name, value in pipeline.transformer.state_dict().items()}
    try:
        with torch.no_grad():
            for block in [*pipeline.transformer.blocks, *pipeline.transformer.vace_blocks]:
                block.attn1.to_out[0].weight.zero_()
                block.attn1.to_out[0].bias.zero_()
        for plan in (LONG, WindowPlan(25, 7, 3, 2, vary=True)):
            assert torch.allclose(windowed(pipeline, plan, references=1), run(pipeline, plan, references=1), atol=1e-5)
    finally:
        pipeline.transformer.load_state_dict(whole)
    assert not torch.allclose(windowed(pipeline, LONG, references=1), run(pipeline, LONG, references=1), atol=1e-4)


def test_the_blend_is_the_weighted_mean_of_the_windows_own_predictions(pipeline):
    """One step against the sum written out, each window predicted by a pipeline of its own length."""
    latents = noise(pipeline, LONG)
    control = torch.randn((1, 96, LONG.length, *latents.shape[3:]), generator=torch.Generator().manual_seed(3))
    arguments = {"timestep": torch.tensor([700.0]), "encoder_hidden_states": torch.zeros((1, 8, 32))}
    expected = torch.zeros_like(latents)
    with torch.no_grad():
        for start, weight in zip(LONG.starts(0), LONG.weights(0), strict=True):
            part = slice(start, start + LONG.window)
            alone = pipeline.transformer(hidden_states=latents[:, :, part], control_hidden_states=control[:, :, part],
                                         return_dict=False, **arguments)[0]
            expected[:, :, part] += alone * torch.from_numpy(weight).view(-1, 1, 1)
        with joint_windows(pipeline, LONG):
            found = pipeline.transformer(hidden_states=latents, control_hidden_states=control, return_dict=False,
                                         **arguments)[0]
    assert torch.allclose(found, expected, atol=1e-6) and found.dtype == torch.float32


def test_no_call_is_longer_than_a_window_and_references_stay_in_front(pipeline):
    whole, calls, places = [], [], []
    with wrapped(pipeline.transformer, spy(whole)):
        run(pipeline, LONG, references=2)
    with wrapped(pipeline.transformer, spy(calls)):
        result = windowed(pipeline, LONG, references=2, watch=lambda place, _fresh: places.append(place))
    assert result.shape[2] == 2 + LONG.length
    assert places == [Place(step, 0, window, 3) for step in range(STEPS) for window in range(3)]
    for call, start in zip(calls[:3], LONG.starts(0), strict=True):
        for name in ("hidden_states", "control_hidden_states"):
            assert call[name].shape[2] == 2 + LONG.window
            assert torch.equal(call[name][:, :, :2], whole[0][name][:, :, :2])
            assert torch.equal(call[name][:, :, 2:], whole[0][name][:, :, 2 + start:2 + start + LONG.window])


def test_a_model_with_a_latent_frame_for_every_frame(every_frame):
    plan = plan_windows(18, 9, 3, (5, 9, 13), factor=every_frame.vae_scale_factor_temporal)
    assert (plan.frames, plan.length, plan.window, plan.overlap) == (21, 21, 9, 3)
    calls = []
    with wrapped(every_frame.transformer, spy(calls)):
        video = windowed(every_frame, plan, output="np")
    assert video.shape == (1, 21, HEIGHT, WIDTH, 3)
    assert len(calls) == STEPS * 3 and {call["hidden_states"].shape[2] for call in calls} == {9}


def test_a_map_of_strengths_is_cut_like_the_latents(pipeline):
    """Stock: a tensor (layers, 1, tokens, 1) scales the control per token; ones are the scalar 1."""
    tokens = (2 + LONG.length) * (HEIGHT // 16) * (WIDTH // 16)
    strengths = torch.arange(2 + LONG.length).repeat_interleave(tokens // (2 + LONG.length)).float()
    calls = []
    with wrapped(pipeline.transformer, spy(calls)):
        windowed(pipeline, LONG, references=2, conditioning_scale=strengths.view(1, 1, -1, 1))
    for call, start in zip(calls[:3], LONG.starts(0), strict=True):
        frames = call["control_hidden_states_scale"].view(-1, 2)[:, 0].tolist()
        assert frames == [0, 1, *range(2 + start, 2 + start + LONG.window)]
    plain = windowed(pipeline, LONG, references=2)
    for ones in (torch.ones((1, 1, tokens, 1)), torch.ones((1, 1, 1, 1))):
        assert torch.equal(windowed(pipeline, LONG, references=2, conditioning_scale=ones), plain)


def test_windows_that_vary_are_another_result_but_always_the_same(pipeline):
    varied = WindowPlan(25, 7, 3, 1, vary=True)
    first, again = windowed(pipeline, varied), windowed(pipeline, varied)
    assert torch.equal(first, again)
    assert not torch.equal(first, windowed(pipeline, LONG))


# ---- refusals

@pytest.mark.parametrize("plan", [SHORT, WindowPlan(29, 8, 3, 1)])
def test_a_run_of_another_length_than_planned_is_refused(pipeline, plan):
    with pytest.raises(LucidError, match="MODEL_SHAPE"), joint_windows(pipeline, plan):
        run(pipeline, LONG)
    assert "forward" not in vars(pipeline.transformer)


def test_patches_that_the_windows_do_not_fill_are_refused(pipeline):
    old, config = pipeline.transformer.config, {**pipeline.transformer.config, "patch_size": (3, 2, 2)}
    pipeline.transformer.register_to_config(**config)
    try:
        with pytest.raises(LucidError, match="MODEL_SHAPE"), joint_windows(pipeline, LONG, references=1):
            pass
    finally:
        pipeline.transformer.register_to_config(**old)


def test_a_cache_between_steps_is_refused_where_there_are_several_windows(pipeline):
    pipeline.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    try:
        with pytest.raises(LucidError, match="WINDOW_CACHE"), joint_windows(pipeline, LONG):
            pass
    finally:
        pipeline.transformer.disable_cache()


# ---- a run that stops and goes on

class Killed(Exception):
    pass


class Shift:
    """An edit, so that a resumed run has to repeat it."""

    edits = True

    def __call__(self, step, latents):
        return latents + 0.1 * (step.index + 1)


def resumable(pipeline, plan, folder, calls, stop_after=None):
    """As a take does it: from the newest state, what is ready of the step at hand is not predicted again."""
    store = RunStore(folder, "request")
    done = store.newest()
    if done is None:
        done = 0
        store.save(0, noise_levels(pipeline.scheduler, STEPS)[0], noise(pipeline, plan))
    seen = []

    def watch(place, _fresh):
        seen.append(place)
        if len(seen) == stop_after:
            raise Killed

    with wrapped(pipeline.transformer, spy(calls)), starting_at(pipeline.scheduler, done):
        return windowed(pipeline, plan, guidance=2.0, kept=store, watch=watch, hooks=[Shift(), store],
                        latents=store.state(done))


@pytest.mark.parametrize("stop_after", [1, 6, 8])
def test_a_killed_run_goes_on_at_its_window_and_ends_byte_identical(pipeline, tmp_path, stop_after):
    """Two calls of 3 or 4 windows a step."""
    plan = WindowPlan(25, 7, 3, 1, vary=True)
    whole, before, after = [], [], []
    unbroken = resumable(pipeline, plan, tmp_path / "whole", whole)
    with pytest.raises(Killed):
        resumable(pipeline, plan, tmp_path / "killed", before, stop_after)
    assert len(before) == stop_after
    resumed = resumable(pipeline, plan, tmp_path / "killed", after)
    assert resumed.numpy().tobytes() == unbroken.numpy().tobytes()
    assert len(before) + len(after) == len(whole)
    files = sorted(path.relative_to(tmp_path / "killed").as_posix() for path in (tmp_path / "killed").rglob("*.*"))
    assert files == [f"latents/state.{STEPS:04d}.safetensors"]


def test_a_run_whose_steps_are_all_done_is_only_decoded(pipeline, tmp_path):
    first, later = [], []
    result = resumable(pipeline, LONG, tmp_path, first)
    assert torch.equal(resumable(pipeline, LONG, tmp_path, later), result) and not later


def test_a_kept_run_holds_a_region_of_the_next_one(pipeline, tmp_path):
    """What an edit of one object does: the rest follows the states on disk."""
    store = RunStore(tmp_path, "request", keep=True)
    levels = noise_levels(pipeline.scheduler, STEPS)
    store.save(0, levels[0], noise(pipeline, LONG))
    before = windowed(pipeline, LONG, hooks=[store])
    assert len(list(tmp_path.rglob("state.*"))) == STEPS + 1
    free = torch.zeros((1, 1, LONG.length, HEIGHT // 8, WIDTH // 8), dtype=torch.bool)
    free[:, :, 2:4, :, 1:3] = True
    lock = RegionLock(free, store.state)
    fresh = lock.start(noise(pipeline, LONG).flip(2))
    edited = windowed(pipeline, LONG, hooks=[lock], latents=fresh)
    inside = free.expand(edited.shape)
    assert torch.equal(edited[~inside], before[~inside]) and not torch.equal(edited[inside], before[inside])
    with pytest.raises(LucidError, match="RUN_INVALID"):
        store.state(2, levels[1])


@pytest.mark.parametrize("tensor", [torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4).bfloat16(),
                                    torch.randn(1, 2, 4, 4, 3).permute(0, 1, 4, 2, 3)])
def test_states_and_predictions_come_back_as_they_were(tmp_path, tensor):
    store, place = RunStore(tmp_path, "run"), Place(2, 1, 0, 4)
    store.save(7, 0.25, tensor)
    store.save_prediction(place, tensor)
    assert store.newest() == 7
    for found in (store.state(7, 0.25), store.prediction(place)):
        assert torch.equal(found, tensor) and found.dtype == tensor.dtype
    assert store.prediction(Place(2, 0, 0, 4)) is None and RunStore(tmp_path / "none", "run").newest() is None


def test_files_of_another_run_and_broken_files_are_refused(tmp_path):
    store = RunStore(tmp_path, "run")
    store.save(1, 0.5, torch.zeros(1, 2, 3, 4, 4))
    path = next(tmp_path.rglob("state.*"))
    with pytest.raises(LucidError, match="another request"):
        RunStore(tmp_path, "other").state(1)
    whole = path.read_bytes()
    for broken in (whole[:-1] + b"\x01", whole[:40], b""):
        path.write_bytes(broken)
        with pytest.raises(LucidError, match="RUN_INVALID"):
            store.state(1)
    with pytest.raises(LucidError, match="RUN_INVALID"):
        store.state(5)


def test_a_disk_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "latents").write_text("a file")
    with pytest.raises(LucidError, match="DISK_WRITE"):
        RunStore(tmp_path, "run").save(0, 1.0, torch.zeros(1))


def test_the_same_latents_are_the_same_bytes(tmp_path):
    tensor = torch.arange(24.0).view(1, 2, 3, 2, 2)
    for number in range(8):
        write_latents(tmp_path / f"{number}.safetensors", tensor, "run", {"sigma": "0x1p0", "more": "facts", "and": "more"})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert torch.equal(read_latents(tmp_path / "0.safetensors", "run")[0], tensor)
