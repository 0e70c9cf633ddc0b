# SPDX-License-Identifier: GPL-3.0-or-later
"""Shot sizes and sentences, whatever the world looks like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lucid.inference.conditioning.framing import Subject
from lucid.inference.conditioning.words import camera_words, shot_size
from lucid.tests.paths import (
    AHEAD,
    FOCAL,
    HERO_HEIGHT,
    RIGHT,
    SHOTS,
    SIZE,
    UP,
    Take,
    arrays,
    ease,
    example,
    joined,
    standing,
    still,
    take,
)
from scipy.spatial.transform import Rotation


@pytest.mark.parametrize("fps", [12.0, 24.0, 30.0])
def test_the_sentence(fps: float) -> None:
    assert example(fps).words() == \
        "starts on a wide shot, dollies in to a medium close-up on HERO, then orbits 90 degrees left"
    assert [stage.move for stage in example(fps).stages()] == ["dolly in", "orbit left"]
    assert abs(example(fps).stages()[0].end - 3 * fps) <= 0.15 * fps


def test_rests_between_moves_are_told_when_they_are_long() -> None:
    move, long, short = ease(1.5, 24.0), np.zeros(36), np.zeros(8)
    pan = 30.0 * joined(move, 1.0 + long, 1.0 + move)
    assert take(still(len(pan)), pan=pan).moves() == ["pan right", "static", "pan right"]
    assert take(still(len(pan)), pan=pan).words() == "pans 30 degrees right, then holds, then pans 30 degrees right"
    tilt = 12.0 * joined(short, move, 1.0 + short)
    assert take(still(len(tilt)), tilt=tilt).words() == "tilts 10 degrees up"


@pytest.mark.parametrize(("height", "name"), [
    (0.05, "extreme wide shot"), (0.4, "wide shot"), (0.9, "full shot"), (1.3, "medium wide shot"), (2.0, "medium shot"),
    (3.0, "medium close-up"), (5.0, "close-up"), (9.0, "extreme close-up")])
def test_sizes(height: float, name: str) -> None:
    """A hero of 1.8 m that is so many times as high as the picture."""
    distance = FOCAL * HERO_HEIGHT / (height * SIZE.height)
    assert shot_size(height) == name
    assert take(still(5), subjects=(standing(5, (0.0, distance, 1.0)),)).words() == f"static {name} of HERO"


def test_sizes_without_a_subject_come_from_the_view() -> None:
    shot = take(still(30))
    tall = SIZE.height / FOCAL
    for metres, name in ((0.5, "close shot"), (2.0, "medium shot"), (30.0, "wide shot")):
        assert camera_words(*arrays(shot), distance=metres / tall) == f"static {name}"
    assert camera_words(*arrays(shot)) == "static shot"


def test_a_view_that_opens_without_a_subject() -> None:
    """Backwards out of a room; somebody walks through the picture at the end."""
    s = ease(3.0, 24.0)
    distance = 3.0 + 9.0 * s
    distance[-3:] = 0.5
    shot = take(still(len(s)) - 9.0 * s[:, None] * AHEAD)
    assert camera_words(*arrays(shot), distance=distance) == "starts on a medium shot, dollies out to a wide shot"


def test_an_orthographic_camera_has_no_dolly() -> None:
    s = ease(2.0, 24.0)
    along = take(still(len(s)) + 3.0 * s[:, None] * AHEAD, focal=60.0)
    across = take(still(len(s)) + 3.0 * s[:, None] * RIGHT, focal=60.0, subjects=(standing(len(s), (0.0, 9.0, 1.0)),))
    assert camera_words(*arrays(along), orthographic=True) == "static shot"
    assert camera_words(*arrays(across), across.subjects, orthographic=True) == "starts on a wide shot of HERO, trucks right"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SHOTS)), st.integers(0, 10_000), st.floats(-2.0, 2.0))
def test_the_words_do_not_depend_on_where_the_world_is(name: str, seed: int, log_scale: float) -> None:
    """Turned any way (with its vertical), moved and scaled: distances scale, words stay."""
    shot = SHOTS[name]
    scale, turn = 10.0**log_scale, Rotation.random(random_state=seed).as_matrix()
    shift = np.random.default_rng(seed).uniform(-50.0, 50.0, 3)
    poses = shot.poses.copy()
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    poses[:, :3, 3] = scale * poses[:, :3, 3] @ turn.T + shift
    subjects = tuple(Subject(s.name, scale * s.points @ turn.T + shift, scale * s.height_m) for s in shot.subjects)
    other = Take(shot.K, poses, shot.fps, subjects, tuple(turn @ UP))
    assert other.words() == shot.words()
    for one, two in zip(shot.stages(), other.stages(), strict=True):
        assert two.amount == pytest.approx(one.amount * (scale if one.unit == "m" else 1.0), rel=1e-3)
