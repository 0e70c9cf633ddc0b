# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that prepares no video: with the true control put in place it is the stock run, and the pipeline is itself again."""

from contextlib import ExitStack, contextmanager

import pytest
import torch
from lucid.inference.adapters.hooks import wrapped
from lucid.inference.adapters.prepared import prepared
from lucid.inference.adapters.windows import joint_windows
from lucid.inference.conditioning.windows import WindowPlan
from lucid.inference.errors import LucidError
from lucid.tests import tiny_wan
from PIL import Image

pytestmark = pytest.mark.torch
FRAMES, HEIGHT, WIDTH = 13, 16, 32
METHODS = ("preprocess_conditions", "prepare_video_latents", "prepare_masks")


@pytest.fixture(scope="module")
def large():
    return tiny_wan.large()


@pytest.fixture(scope="module", params=["large", "every_frame"])
def pipeline(request):
    return getattr(tiny_wan, request.param)()


def length(pipeline):
    return (FRAMES - 1) // pipeline.vae_scale_factor_temporal + 1


def conditions(references):
    """What a stock run is given: a ramp, half of it to be painted, and pictures of the subject."""
    video = torch.linspace(0.0, 1.0, FRAMES).view(1, -1, 1, 1, 1).expand(1, -1, 3, HEIGHT, WIDTH)
    mask = torch.zeros((1, FRAMES, 1, HEIGHT, WIDTH))
    mask[..., :WIDTH // 2] = 1.0
    return {"video": video, "mask": mask,
            "reference_images": [Image.new("RGB", (20, 12), (200, 90 * n, 30)) for n in range(references)] or None}


def run(pipeline, references, *, output="latent", height=HEIGHT, frames=FRAMES, **given):
    each = pipeline.vae_scale_factor_temporal
    channels, number = pipeline.transformer.config.in_channels, (frames - 1) // each + 1
    noise = torch.Generator().manual_seed(1)
    texts = torch.randn((2, 1, 8, 32), generator=noise)
    return pipeline(prompt_embeds=texts[0], negative_prompt_embeds=texts[1], height=height, width=WIDTH, guidance_scale=2.0,
                    num_frames=frames if each > 1 else frames - 1, num_inference_steps=3, output_type=output,
                    latents=torch.randn((1, channels, references + number, height // 8, WIDTH // 8), generator=noise),
                    **given).frames


def true_control(pipeline, references):
    """(1, C, R + L, h, w), by the pipeline's own methods."""
    given, device = conditions(references), torch.device("cpu")
    with torch.no_grad():
        video, mask, shown = pipeline.preprocess_conditions(given["video"], given["mask"], given["reference_images"], 1, HEIGHT,
                                                            WIDTH, FRAMES, torch.float32, device)
        latents = pipeline.prepare_video_latents(video, mask, shown, None, device)
        return torch.cat([latents, pipeline.prepare_masks(mask, shown)], dim=1)


@contextmanager
def put_in_place(pipeline, control):
    """The true control for the one the pipeline made; yields the shapes of those."""
    shapes = []

    def wrap(stock):
        def forward(*, control_hidden_states, **rest):
            shapes.append((tuple(control_hidden_states.shape), control_hidden_states.untyped_storage().nbytes()))
            return stock(control_hidden_states=control, **rest)
        return forward

    with wrapped(pipeline.transformer, wrap):
        yield shapes


@pytest.mark.parametrize("references", [0, 2])
def test_with_the_true_control_in_place_it_is_the_stock_run(pipeline, references):
    control = true_control(pipeline, references)
    with (prepared(pipeline, length(pipeline), HEIGHT // 8, WIDTH // 8, references),
          put_in_place(pipeline, control) as shapes):
        latents, shown = (run(pipeline, references, output=output) for output in ("latent", "np"))
    assert torch.equal(latents, run(pipeline, references, **conditions(references)))
    assert shown.shape[1] == FRAMES                                     # without the references
    assert shown.tobytes() == run(pipeline, references, output="np", **conditions(references)).tobytes()
    assert not torch.equal(latents, run(pipeline, references, **{**conditions(references), "mask": None}))
    assert set(shapes) == {((1, 0, references + length(pipeline), HEIGHT // 8, WIDTH // 8), 0)}


def test_windows_may_stand_between(pipeline):
    plan = WindowPlan(FRAMES, length(pipeline), length(pipeline) - 1, 1)
    control = true_control(pipeline, 1)

    def windowed(ready, **given):
        with ExitStack() as stack:
            stack.enter_context(joint_windows(pipeline, plan, references=1))
            if ready:
                stack.enter_context(prepared(pipeline, plan.length, HEIGHT // 8, WIDTH // 8, 1))
                stack.enter_context(put_in_place(pipeline, control))
            return run(pipeline, 1, **given)

    assert torch.equal(windowed(True), windowed(False, **conditions(1)))


def test_nothing_is_encoded(large, monkeypatch):
    calls, encode = [], large.vae.encode
    monkeypatch.setattr(large.vae, "encode", lambda *given: calls.append(given) or encode(*given))
    control = true_control(large, 1)
    assert len(calls) == 3                                              # what stays, what is painted, the reference
    with prepared(large, 4, HEIGHT // 8, WIDTH // 8, 1), put_in_place(large, control):
        run(large, 1)
    assert len(calls) == 3


def test_a_run_into_which_nobody_puts_a_control_does_not_go_unnoticed(large):
    with pytest.raises(RuntimeError, match="channels"), prepared(large, 4, HEIGHT // 8, WIDTH // 8, 0):
        run(large, 0)


def test_the_pipeline_is_itself_again_also_after_an_error(large):
    before = run(large, 1, **conditions(1))
    with pytest.raises(RuntimeError, match="stop"), prepared(large, 4, HEIGHT // 8, WIDTH // 8, 1):
        assert set(METHODS) <= set(vars(large))
        raise RuntimeError("stop")
    assert not set(METHODS) & set(vars(large))
    assert torch.equal(run(large, 1, **conditions(1)), before)


def test_another_stand_in_stays_where_it_was(large):
    def own(*_given):
        raise RuntimeError("mine")

    large.prepare_masks = own
    try:
        with prepared(large, 4, HEIGHT // 8, WIDTH // 8, 0):
            assert large.prepare_masks is not own
        assert vars(large)["prepare_masks"] is own
    finally:
        del large.prepare_masks


@pytest.mark.parametrize("given", ["video", "mask", "reference_images"])
def test_conditions_that_would_be_dropped_are_refused(large, given):
    asked = {name: value for name, value in conditions(1).items() if name == given or (name, given) == ("video", "mask")}
    with pytest.raises(ValueError, match="elsewhere"), prepared(large, 4, HEIGHT // 8, WIDTH // 8, 1):
        run(large, 1, **asked)


@pytest.mark.parametrize("other", [{"frames": 17}, {"height": 32}])
def test_a_run_of_another_size_is_refused(large, other):
    with pytest.raises(LucidError) as caught, prepared(large, 4, HEIGHT // 8, WIDTH // 8, 0):
        run(large, 0, **other)
    assert caught.value.code == "MODEL_SHAPE"
