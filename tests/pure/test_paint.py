# SPDX-License-Identifier: GPL-3.0-or-later
"""Painting a layer piece by piece, on real classes: the stock pipeline's own bytes, and what edits and kept runs do to them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from lucid.inference.adapters.base import Begin, Correspondence, Order, Painted, Painting
from lucid.inference.adapters.kept import RunStore
from lucid.inference.adapters.wan_vace import WanVACE
from lucid.inference.errors import LucidError
from lucid.tests.pure.test_wan_vace import wan  # noqa: F401
from PIL import Image

HEIGHT, WIDTH, STEPS = 32, 48, 3


class Street:
    """A control that moves, with a kept left half; frames beyond what is read are never made."""

    def __init__(self, frames: int, strength: float | None = None, known: bool = True) -> None:
        self.frames, self.height, self.width = frames, HEIGHT, WIDTH
        self.strength, self.known = strength, known
        self.reads: list[tuple[int, int]] = []

    def painting(self, start: int, stop: int) -> Painting:
        self.reads.append((start, stop))
        t = np.arange(start, stop)[:, None, None]
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        wave = (0.5 + 0.5 * np.sin(0.3 * x + 0.2 * y + 0.4 * t)).astype(np.float32)
        mask = np.zeros(wave.shape, bool)
        mask[..., WIDTH // 2:] = True
        strength = None if self.strength is None else np.full(wave.shape, self.strength, np.float32)
        return Painting(np.stack([wave, 1 - wave, wave * wave], -1), mask, strength)

    def noise(self, _frame: int, _channels: int, _cell: int) -> None:
        return None

    def correspondence(self, _start: int, _stop: int) -> Correspondence | None:
        return None

    def owners(self, _frame: int, cell: int) -> np.ndarray | None:
        return np.ones((HEIGHT // cell, WIDTH // cell), np.uint32) if self.known else None


@pytest.fixture
def cat() -> np.ndarray:
    return np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)


def paint(adapter: WanVACE, source: Street, folder: Path, kept: RunStore | None = None, stop_at: int = 0,
          **order: object) -> Painted:
    class Stopped(Exception):
        pass

    def progress(done: int, _total: int) -> None:
        if done == stop_at:
            raise Stopped

    try:
        return adapter.paint(source, Order(**{"prompt": "a red man", "seed": 1, "steps": STEPS, **order}), folder, progress, kept)
    except Stopped:
        return Painted(torch.empty(0), lambda: iter(()), stop_at)


def pictures(painted: Painted) -> np.ndarray:
    return np.concatenate([frames for _, frames in painted.frames()])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_window_is_the_stock_pipelines_own_call(wan, cat, tmp_path, count):  # noqa: F811
    """The same latents and the same picture, to the bit, with and without references."""
    source = Street(9)
    references = (cat, cat[::-1])[:count]
    painted = paint(wan, source, tmp_path, references=references)
    asked = source.painting(0, 9)
    order = Order("a red man", 1, STEPS, references)
    stock = wan.pipeline(
        prompt="a red man", negative_prompt="", video=torch.from_numpy(asked.control.transpose(0, 3, 1, 2))[None],
        mask=torch.from_numpy(asked.mask.astype(np.float32))[None, :, None], height=HEIGHT, width=WIDTH, num_frames=9,
        num_inference_steps=STEPS, guidance_scale=1.0, latents=wan._noise(source, order), max_sequence_length=16,
        reference_images=[Image.fromarray((r * 255.0 + 0.5).astype(np.uint8)) for r in references] or None,
        output_type="np").frames[0]
    assert painted.calls == STEPS
    assert np.array_equal(pictures(painted), stock.astype(np.float32))


def test_a_long_shot_is_read_in_pieces_and_painted_in_windows(wan, tmp_path):  # noqa: F811
    source = Street(97)
    short = dataclasses.replace(wan.profile, window=33, overlap=8)
    adapter = WanVACE(wan.pipeline, short, {})
    painted = paint(adapter, source, tmp_path)
    shown = pictures(painted)
    assert shown.shape == (97, HEIGHT, WIDTH, 3) and np.isfinite(shown).all()
    assert max(stop - start for start, stop in source.reads) <= 64 < source.frames
    assert painted.calls == STEPS * len(adapter.windows(97).starts(0)) > STEPS
    assert not list(tmp_path.iterdir())                                 # nothing is left behind


def test_an_edit_keeps_what_lies_outside_its_mask(wan, tmp_path):  # noqa: F811
    source = Street(9)
    parent = paint(wan, source, tmp_path)
    edited = paint(wan, source, tmp_path, prompt="a blue man", seed=2, begin=Begin(parent.latents, locked=True))
    half = parent.latents.shape[-1] // 2
    assert torch.equal(edited.latents[..., :half], parent.latents[..., :half])
    assert not torch.equal(edited.latents[..., half:], parent.latents[..., half:])


def test_the_smaller_the_change_the_nearer_to_the_parent(wan, tmp_path):  # noqa: F811
    source = Street(9)
    parent = paint(wan, source, tmp_path)
    gaps, calls = [], []
    for change in (1 / 3, 2 / 3, 1.0):
        edited = paint(wan, source, tmp_path, seed=2, begin=Begin(parent.latents, change))
        gaps.append(float((edited.latents - parent.latents).abs().mean()))
        calls.append(edited.calls)
    assert calls == [1, 2, 3] and gaps[0] < gaps[1] < gaps[2]


def test_a_picture_can_be_the_start(wan, tmp_path):  # noqa: F811
    picture = Street(9).painting(0, 9).control
    latents = wan.encode(lambda start, stop: picture[start:stop], 9)
    assert latents.shape == (1, 16, 3, HEIGHT // 8, WIDTH // 8)
    assert paint(wan, Street(9), tmp_path, begin=Begin(latents, 1 / 3)).calls == 1


def test_strength_is_how_far_the_control_counts(wan, tmp_path):  # noqa: F811
    whole, half, plain = (pictures(paint(wan, Street(9, strength), tmp_path)) for strength in (1.0, 0.5, None))
    assert np.array_equal(whole, plain) and not np.array_equal(half, plain)


def test_a_pull_holds_an_objects_statistics_where_it_is_first_seen(wan, tmp_path):  # noqa: F811
    """One object that fills the picture: its mean colour, held over 9 latent frames, moves less from one to the next."""
    free, held = (paint(wan, Street(33), tmp_path, pull=factor).latents for factor in (0.0, 1.0))
    gaps = [(latents.mean((3, 4))[..., 1:] - latents.mean((3, 4))[..., :1]).abs().mean() for latents in (free, held)]
    assert gaps[1] < 0.9 * gaps[0]
    with pytest.raises(LucidError, match="PASS_MISSING"):
        paint(wan, Street(9, known=False), tmp_path, pull=0.5)


@pytest.mark.parametrize("stop_at", [1, 4, 7, 9])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(wan, tmp_path, stop_at):  # noqa: F811
    short = WanVACE(wan.pipeline, dataclasses.replace(wan.profile, window=9, overlap=4), {})
    whole = paint(short, Street(25), tmp_path)
    kept = RunStore(tmp_path / "kept", "run")
    paint(short, Street(25), tmp_path, kept, stop_at=stop_at)
    again = paint(short, Street(25), tmp_path, kept)
    assert torch.equal(again.latents, whole.latents)
    assert again.calls + stop_at == whole.calls         # no window is predicted twice


def test_a_stopped_edit_goes_on_too(wan, tmp_path):  # noqa: F811
    source = Street(9)
    parent = paint(wan, source, tmp_path)
    begin = Begin(parent.latents, 2 / 3, locked=True)
    whole = paint(wan, source, tmp_path, seed=3, begin=begin)
    kept = RunStore(tmp_path / "kept", "edit")
    paint(wan, source, tmp_path, kept, stop_at=STEPS - 1, seed=3, begin=begin)
    assert torch.equal(paint(wan, source, tmp_path, kept, seed=3, begin=begin).latents, whole.latents)


def test_frames_that_are_not_legal_are_refused_before_anything_is_read(wan, tmp_path):  # noqa: F811
    source = Street(8)
    with pytest.raises(LucidError, match="MODEL_SHAPE"):
        paint(wan, source, tmp_path)
    assert source.reads == []
