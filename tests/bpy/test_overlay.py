# SPDX-License-Identifier: GPL-3.0-or-later
"""The window plan on timelines: what is drawn where, and that switching Lucid off takes it away."""

from __future__ import annotations

import bpy
import lucid
from lucid.addon import window_overlay
from lucid.addon.window_overlay import JOIN, OVERLAP, WINDOW, Piece, pieces
from lucid.inference.conditioning.windows import WindowPlan
from lucid.inference.shot.model import Frames


def test_windows_overlaps_and_joins_lie_at_the_scenes_frames() -> None:
    plan = WindowPlan(17, 17, 9, 4)
    assert plan.spans() == ((0, 9), (4, 13), (8, 17))
    assert pieces(plan, Frames(101, 117)) == [
        Piece(WINDOW, 101, 110, 0), Piece(WINDOW, 105, 114, 1), Piece(WINDOW, 109, 118, 0),
        Piece(OVERLAP, 105, 110, 2), Piece(OVERLAP, 109, 114, 2), Piece(JOIN, 107, 107), Piece(JOIN, 111, 111)]


def test_padding_is_not_drawn_and_steps_are_wide() -> None:
    """15 frames, every second one, generated as 17."""
    found = pieces(WindowPlan(17, 17, 9, 4), Frames(1, 29, 2))
    assert [piece[1:3] for piece in found if piece.kind == WINDOW] == [(1, 19), (9, 27), (17, 31)]


def test_one_window_has_no_join() -> None:
    assert pieces(WindowPlan(9, 9, 9, 0), Frames(1, 9)) == [Piece(WINDOW, 1, 10, 0)]


def test_latent_frames_of_four() -> None:
    """The first holds one frame."""
    found = pieces(WindowPlan(33, 9, 5, 1), Frames(1, 33))
    assert [piece[1:3] for piece in found if piece.kind == WINDOW] == [(1, 18), (14, 34)]
    assert [piece[1:3] for piece in found if piece.kind == OVERLAP] == [(14, 18)]


def test_it_goes_with_lucid(scene: bpy.types.Scene) -> None:
    assert scene.lucid.show_windows is True and len(window_overlay._handles) == 2
    scene.lucid.show_windows = False
    lucid.unregister()
    try:
        assert not window_overlay._handles and not hasattr(bpy.types.Scene, "lucid")
    finally:
        lucid.register()
    assert len(window_overlay._handles) == 2
