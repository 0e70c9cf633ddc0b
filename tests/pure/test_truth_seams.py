# SPDX-License-Identifier: GPL-3.0-or-later
"""Seams and jumps: found where pictures jump, and not where the camera does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.seams import SeamRatio, jump_ratios
from lucid.inference.truth.watch import Pictures, watch
from lucid.tests.raycast import World, pictures, write

WORLD = World(frames=14)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("seams") / "a.lucid"
    return Ground(folder, write(WORLD, folder))


@pytest.fixture(scope="module")
def clean() -> Pictures:
    return pictures(WORLD)


def measured(ground: Ground, shown: Pictures, joins: tuple[int, ...] = (6,)) -> dict[str, Figure]:
    ratio = SeamRatio(ground, joins)
    watch(ground, shown, [ratio])
    return {figure.name: figure for figure in ratio.figures()}


def test_clean_pictures_have_no_seam(ground: Ground, clean: Pictures) -> None:
    found = measured(ground, clean)
    assert found["seam_ratio"].value == pytest.approx(1.0, abs=0.25) and found["seam_ratio"].outcome is Outcome.PASS
    assert found["frame_jump"].outcome is Outcome.PASS and found["frame_jump"].counts["pairs"] == 13


def test_a_step_in_light_is_a_seam_where_the_windows_join(ground: Ground, clean: Pictures) -> None:
    found = measured(ground, lambda index: clean(index) + np.float32(0.02 * (index >= 6)))
    assert found["seam_ratio"].value > 2 and found["seam_ratio"].outcome is Outcome.FAIL
    assert found["seam_ratio"].worst[0].first == found["seam_ratio"].worst[0].last == 7         # the scene's frame of index 6
    elsewhere = measured(ground, lambda index: clean(index) + np.float32(0.02 * (index >= 9)))
    assert elsewhere["seam_ratio"].outcome is Outcome.PASS and elsewhere["frame_jump"].outcome is Outcome.FAIL
    assert elsewhere["frame_jump"].worst[0].first == 10


def test_exchanged_frames_jump(ground: Ground, clean: Pictures) -> None:
    assert measured(ground, lambda index: clean({6: 7, 7: 6}.get(index, index)))["frame_jump"].value > 3


def test_one_window_has_no_join_and_one_frame_no_pair(ground: Ground, clean: Pictures, tmp_path: Path) -> None:
    found = measured(ground, clean, ())
    assert found["seam_ratio"].outcome is Outcome.NOT_MEASURABLE and found["seam_ratio"].reason == "the take is one window"
    assert found["frame_jump"].value is not None
    world = World(frames=1, actors=())
    alone = measured(Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid")), pictures(world), (0,))
    assert {figure.outcome for figure in alone.values()} == {Outcome.NOT_MEASURABLE}
    assert "the shot has 1 frame, too few" in alone["frame_jump"].reason


def test_without_exact_motion_nothing_is_said(tmp_path: Path) -> None:
    world = World(width=96, height=64, frames=8, actors=())
    shot = write(world, tmp_path / "a.lucid", hide_flow=True)
    found = measured(Ground(tmp_path / "a.lucid", shot), pictures(world), (4,))
    assert {figure.outcome for figure in found.values()} == {Outcome.NOT_MEASURABLE}
    assert "motion is known" in found["seam_ratio"].reason


def test_a_jump_is_held_against_its_neighbours() -> None:
    """A camera that speeds up changes the picture more and more; only the fourth pair jumps."""
    ratios = jump_ratios([0.010, 0.011, 0.012, 0.048, 0.014, 0.015], [True, True, True, False, True, True])
    assert ratios[3] == pytest.approx(0.048 / 0.012)
    assert all(ratio is not None and ratio < 1.5 for place, ratio in enumerate(ratios) if place != 3)
    assert jump_ratios([0.01, 0.02, 0.01], [True] * 3) == [None] * 3                           # nothing is usual yet
    assert jump_ratios([0.0, 0.0, 0.0, 0.0, 0.0002], [True] * 5)[4] < 0.2                       # less than 8 bits show
