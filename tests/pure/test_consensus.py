# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours brought together along the motion: the filter against closed forms, and what it does to the embedded model."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lucid.inference.adapters.base import Correspondence, load
from lucid.inference.adapters.consensus import CHUNK, Agreement, consensus
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


class Pixels:
    """A codec whose latents are the picture."""

    temporal, apart = 1, True

    def encode(self, frames, count: int) -> Iterator[tuple[int, torch.Tensor]]:
        yield 0, torch.from_numpy(frames(0, count)).permute(3, 0, 1, 2)

    def decode(self, latents, length: int) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, np.ascontiguousarray(latents(0, length).permute(1, 2, 3, 0).numpy())


@dataclasses.dataclass
class Moving:
    """A source that knows nothing but how things move."""

    moves: Correspondence | None

    @property
    def frames(self) -> int:
        return len(self.moves.before)

    @property
    def height(self) -> int:
        return self.moves.before.shape[1]

    @property
    def width(self) -> int:
        return self.moves.before.shape[2]

    def correspondence(self, start: int, stop: int) -> Correspondence | None:
        return None if self.moves is None else Correspondence(self.moves.before[start:stop], self.moves.after[start:stop])


def agree(video: np.ndarray, moves: Correspondence, memory: float) -> np.ndarray:
    """What the velocity predicts after the agreement, from a velocity that predicted `video`."""
    sigma = 0.5
    latents = torch.from_numpy(video).permute(3, 0, 1, 2)[None].contiguous()
    velocity = torch.zeros_like(latents)
    with tempfile.TemporaryDirectory() as scratch, Agreement(Pixels(), Moving(moves), memory, Path(scratch)) as agreement:
        agreement.reach(latents, velocity, sigma)
    return (latents - sigma * velocity)[0].permute(1, 2, 3, 0).numpy()


@settings(max_examples=20)
@given(st.floats(0.0, 0.95), st.sampled_from([1, 2, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 3]), st.integers(0, 2**32 - 1))
def test_a_still_scene_is_averaged_with_weights_that_fall_by_the_memory(memory, count, seed):
    """Also over the seams of the chunks in which it is done."""
    video = np.random.default_rng(seed).random((count, 6, 8, 3)).astype(np.float32)
    agreed = agree(video, moving(count, 6, 8, 0.0), memory)
    frames = np.arange(count)
    past = (1 - memory) * memory ** np.abs(frames[:, None] - frames)
    past[:, 0] = memory ** frames           # a frame's share in the first frame's past is the whole rest of the series
    past = np.tril(past)
    weights = (past + past[::-1, ::-1] - (1 - memory) * np.eye(count)) / (1 + memory)
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


def test_a_vae_that_joins_frames_is_refused(wan, tmp_path):  # noqa: F811
    source = Moving(moving(5, 32, 48, 0.0))
    with pytest.raises(LucidError) as caught, consensus(wan.pipeline, wan.codec, source, 0.7, tmp_path):
        pass
    assert caught.value.code == "MODEL_SHAPE"
