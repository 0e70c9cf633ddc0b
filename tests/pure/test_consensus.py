# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours brought together along the motion: the filter against closed forms, and what it does to the embedded model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.adapters.base import Correspondence, load
from lucid.inference.adapters.consensus import agree, consensus
from lucid.inference.errors import LucidError
from lucid.tests.pure.test_wan_vace import wan  # noqa: F401

SHAPE = (7, 12, 16)


def moving(frames: int, height: int, width: int, step: float) -> Correspondence:
    """Everything moves right by `step` pixels a frame."""
    y, x = np.mgrid[:height, :width].astype(np.float32)

    def at(shift: float) -> np.ndarray:
        inside = (x + shift >= 0) & (x + shift <= width - 1)
        return np.where(inside[..., None], np.stack([x + shift, y], -1), np.nan)

    before, after = (np.repeat(at(shift)[None], frames, 0).astype(np.float32) for shift in (-step, step))
    before[0] = after[-1] = np.nan
    return Correspondence(before, after)


@given(st.floats(0.0, 0.95), st.integers(0, 2**32 - 1))
def test_a_still_scene_is_averaged_with_weights_that_fall_by_the_memory(memory, seed):
    video = np.random.default_rng(seed).random((*SHAPE, 3)).astype(np.float32)
    agreed = agree(video, moving(*SHAPE, 0.0), memory)
    frames = np.arange(SHAPE[0])
    # a frame's share in the first frame's past is the whole rest of the series
    past = (1 - memory) * memory ** np.abs(frames[:, None] - frames)
    past[:, 0] = memory ** frames
    past = np.tril(past)
    weights = (past + past[::-1, ::-1] - (1 - memory) * np.eye(SHAPE[0])) / (1 + memory)
    assert np.allclose(weights.sum(1), 1.0)
    assert np.abs(agreed - np.einsum("fg,ghwc->fhwc", weights, video)).max() < 1e-5


def test_what_moves_as_the_scene_does_stays_as_it_is():
    wide = np.random.default_rng(0).random((SHAPE[1], 64, 3)).astype(np.float32)
    video = np.stack([wide[:, 40 - 3 * f:40 - 3 * f + SHAPE[2]] for f in range(SHAPE[0])])
    assert np.abs(agree(video, moving(*SHAPE, 3.0), 0.8) - video).max() < 1e-5


def test_what_is_seen_nowhere_else_stays_as_it_is():
    video = np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
    nowhere = np.full((*SHAPE, 2), np.nan, np.float32)
    assert np.abs(agree(video, Correspondence(nowhere, nowhere), 0.8) - video).max() < 1e-6


@pytest.fixture(scope="module")
def mini():
    return load("mini")


def paint(adapter, memory: float, correspondence: Correspondence | None) -> np.ndarray:
    adapter.profile = dataclasses.replace(adapter.profile, memory=memory)
    y = np.linspace(0, 1, 64, dtype=np.float32)[:, None, None]
    control = np.broadcast_to(np.concatenate([y, y * 0 + 0.5, 1 - y / 2], -1), (9, 64, 96, 3)).copy()
    return adapter.generate(control, np.ones(control.shape[:3], bool), "a grey street, bright daylight", 1, 4,
                            lambda _done, _total: None, correspondence=correspondence)


def test_a_still_world_is_painted_still(mini):
    still = moving(9, 64, 96, 0.0)
    free, agreed = paint(mini, 0.0, still), paint(mini, 0.7, still)
    change = [np.abs(np.diff(video, axis=0)).mean() for video in (free, agreed)]
    assert change[1] < 0.25 * change[0]
    assert agreed.tobytes() == paint(mini, 0.7, still).tobytes()
    assert paint(mini, 0.7, None).tobytes() == free.tobytes()


def test_without_any_correspondence_only_the_last_bits_change(mini):
    nowhere = np.full((9, 64, 96, 2), np.nan, np.float32)
    free, agreed = paint(mini, 0.0, None), paint(mini, 0.7, Correspondence(nowhere, nowhere))
    assert np.abs(free - agreed).max() < 1e-3


def test_a_vae_that_joins_frames_is_refused(wan):  # noqa: F811
    with pytest.raises(LucidError) as caught, consensus(wan.pipeline, moving(5, 32, 48, 0.0), 0.7):
        pass
    assert caught.value.code == "MODEL_SHAPE"
