# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons as generation reads them: with hands and faces, or the body alone from a shot that has no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lucid.inference.conditioning.fit import fit
from lucid.inference.conditioning.pose import ABSENT, HIDDEN_SELF, SEEN, draw_openpose
from lucid.inference.errors import LucidError
from lucid.inference.generation.footage import Actor, Footage
from lucid.inference.shot.model import Frames, Shot, Size
from lucid.inference.shot.store import seal
from lucid.tests.shots import make_shot

SIZE = Size(512, 384)


def resealed(folder: Path, shot: Shot, **arrays: np.ndarray) -> None:
    """Add ``arrays`` to pose.npz."""
    with np.load(folder / "pose.npz") as data:
        content = dict(data)
    np.savez(folder / "pose.npz", **{**content, **arrays})
    (folder / "shot.json").unlink()
    seal(folder, shot)


def walker(folder: Path, shot: Shot) -> Actor:
    plan = fit(len(shot.frames), shot.size, frames=3, multiple=16)
    return Footage(folder, shot, plan, normals=False).actor(shot.layer("Walker"), 0, 3)


def test_hands_and_face_are_drawn_where_they_are_known(tmp_path: Path) -> None:
    folder, rng = tmp_path / "a.lucid", np.random.default_rng(2)
    shot = make_shot(folder, frames=Frames(1, 2), size=SIZE)
    body = walker(folder, shot)
    assert body.joints is not None and body.joints.shape == (3, 18, 2)
    assert np.array_equal(body.pose_video(reverse_channels=False)[0], draw_openpose(body.joints[:1], body.shown[:1], 384, 512))
    hands, face = rng.uniform(50, 350, (1, 2, 2, 21, 2)), rng.uniform(50, 350, (1, 2, 68, 2))
    hand_codes, face_codes = np.full((1, 2, 2, 21), SEEN, np.uint8), np.full((1, 2, 68), ABSENT, np.uint8)
    hand_codes[0, :, 1] = HIDDEN_SELF                        # drawn, as detectors report it
    face_codes[0, :, 8], face_codes[0, :, 30] = SEEN, HIDDEN_SELF
    face[face_codes == ABSENT] = np.nan
    resealed(folder, shot, hands_image=hands.astype(np.float32), hands_visibility=hand_codes,
             face_image=face.astype(np.float32), face_visibility=face_codes)
    actor = walker(folder, shot)
    assert actor.joints is not None and actor.shown is not None and actor.joints.shape == (3, 128, 2)
    np.testing.assert_array_equal(actor.joints[1, 39:60], hands[0, 1, 1].astype(np.float32))
    np.testing.assert_array_equal(actor.joints[2], actor.joints[1])                       # padded by repeating
    assert actor.shown[:, 18:60].all() and np.flatnonzero(actor.shown[0, 60:]).tolist() == [8]
    video, bodies = actor.pose_video(reverse_channels=True), body.pose_video(reverse_channels=True)
    assert np.array_equal(video[0], draw_openpose(actor.joints[:1], actor.shown[:1], 384, 512, reverse_channels=True))
    x, y = hands[0, 0, 0, 4].astype(int)                     # a fingertip is a red disc, VACE's channels reversed
    assert video[0, y, x, 0] > 0.9 and not np.array_equal(video, bodies)


def test_depth_alone_is_that_of_the_actor_in_the_padded_frames(tmp_path: Path) -> None:
    folder = tmp_path / "a.lucid"
    shot = make_shot(folder, frames=Frames(3, 7, 2), size=Size(50, 40))
    footage = Footage(folder, shot, fit(3, shot.size, frames=5, multiple=16), normals=True, points=True)
    assert footage.numbers(1, 5) == [5, 7, 7, 7]
    depth, actor = footage.depth(shot.layer("Ball"), 1, 5), footage.actor(shot.layer("Ball"), 1, 5)
    assert depth.shape == (4, 48, 64) and depth.dtype == np.float32 and np.isfinite(depth).any() and np.isinf(depth).any()
    np.testing.assert_array_equal(depth, actor.surface.depth)


def test_hands_without_a_face_are_no_shot_of_lucids(tmp_path: Path) -> None:
    folder = tmp_path / "a.lucid"
    shot = make_shot(folder, frames=Frames(1, 2), size=SIZE)
    resealed(folder, shot, hands_image=np.zeros((1, 2, 2, 21, 2), np.float32))
    with pytest.raises(LucidError) as error:
        walker(folder, shot)
    assert error.value.code == "SHOT_INVALID"
