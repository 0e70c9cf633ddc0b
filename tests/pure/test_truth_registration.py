# SPDX-License-Identifier: GPL-3.0-or-later
"""Offset, scale and lag of outlines: from votes in closed form, and of a set's outlines in a ray-cast scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from lucid.inference.truth.backdrop import BackdropRegistration, outlines, sides, tiles
from lucid.inference.truth.boundary import contour
from lucid.inference.truth.explain import box_around
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.registration import REACH, Scores, offset_scores, registration_figures, without_border
from lucid.inference.truth.watch import Pictures, watch
from raycast import World, picture, write

WORLD = World(width=320, height=184, frames=13)


def blob(x: float = 50.0, y: float = 60.0, larger: float = 1.0) -> np.ndarray:
    """An egg 60 px tall with its lowest point at (x, y + 30), as a matte of 120x100."""
    at = np.stack(np.meshgrid(np.arange(100.0), np.arange(120.0)), -1)
    foot = np.array([x, y + 30])
    local = (at - foot) / larger + foot - (x, y)
    return np.asarray((local[..., 0] / (18 + 0.1 * local[..., 1])) ** 2 + (local[..., 1] / 30) ** 2 <= 1)


def votes(matte: np.ndarray, noise: float = 0.4) -> np.ndarray:
    clean = np.where(matte, 0.6, -0.6)
    return np.clip(clean + noise * np.random.default_rng(0).standard_normal(matte.shape), -1, 1).astype(np.float32)


def scored(shown: np.ndarray, *, frames: int = 4, matte: np.ndarray | None = None) -> Scores:
    matte, scores = blob() if matte is None else matte, Scores()
    for _ in range(frames):
        scores.add(votes(shown), matte, contour(matte))
    return scores


def test_the_score_is_the_sum_of_votes_inside() -> None:
    matte, given = blob(), votes(blob())
    table = offset_scores(given, matte)
    for dx, dy in ((0, 0), (3, -2), (-8, 8)):
        assert table[REACH + dy, REACH + dx] == pytest.approx(given[np.roll(matte, (dy, dx), (0, 1))].sum(), rel=1e-3)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (4, 0), (-5, 2), (0, 6)])
def test_a_displaced_outline_is_found_where_it_is(x: int, y: int) -> None:
    found = scored(blob(50 + x, 60 + y)).registered()
    assert np.abs(np.array(found.offset) - (x, y)).max() <= 1 and abs(found.scale) <= 1.5


@pytest.mark.parametrize("percent", [-6.0, -4.5, 4.5, 6.0])
def test_a_larger_outline_is_found_larger(percent: float) -> None:
    """About its lowest point: 60 px tall, so that 4.5 % are 2.7 px at the top."""
    found = scored(blob(larger=1 + percent / 100)).registered()
    assert found.scale == pytest.approx(percent, abs=1.6) and np.hypot(*found.offset) <= 1.0


def test_what_fits_but_little_better_is_no_displacement() -> None:
    scores = scored(blob())
    scores.offsets[:, :, REACH + 5] = scores.offsets[scores.scales.index(0.0), REACH, REACH] + 0.2 * scores.cost
    assert scores.registered().offset == (0.0, 0.0) and scores.registered().short == pytest.approx(0.2, abs=0.01)


def test_an_edge_of_one_direction_is_displaced_the_least_way() -> None:
    """A long vertical edge, off by 4 px: up and down nothing can be told."""
    left = np.zeros((120, 100), bool)
    left[:, :46] = True
    scores = scored(np.roll(left, 4, 1), matte=left)
    assert scores.registered().offset == (4.0, 0.0)


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_lag_is_the_frame_whose_outline_fits(late: int) -> None:
    """An outline that goes 3 px a frame to the right, seen where it was ``late`` frames ago."""
    scores = scored(blob())
    scores.add_lags(votes(blob(50 - 3 * late)), [blob(50 - 3 * lag) for lag in (-2, -1, 0, 1, 2)])
    assert scores.lag() is None                         # it hardly moves against its own outline's length
    for _ in range(9):
        scores.add_lags(votes(blob(50 - 3 * late)), [blob(50 - 3 * lag) for lag in (-2, -1, 0, 1, 2)])
    assert scores.lag() == pytest.approx(late, abs=0.2)


def test_an_outline_that_is_too_short_or_that_stays_is_no_answer() -> None:
    few = scored(blob(), frames=1)
    assert few.registered() is None and few.lag() is None
    assert {figure.outcome for figure in registration_figures(few, "Hero", "")} == {Outcome.NOT_MEASURABLE}
    stays = scored(blob())
    stays.add_lags(votes(blob()), [blob()] * 5)
    figures = {figure.key: figure for figure in registration_figures(stays, "Hero", "")}
    assert figures["offset"].value == 0.0 and figures["scale"].value == 0.0
    assert "changes too little" in figures["lag"].reason
    assert registration_figures(stays, "Hero", "it is gone")[0].reason == "it is gone"


def test_votes_at_the_pictures_border_do_not_count() -> None:
    left = without_border(np.ones((40, 50), np.float32), (0, 40, 60, 110), (100, 110))
    assert left[REACH:, :-REACH].all() and not left[:REACH].any() and not left[:, -REACH:].any()


# -- the set ---------------------------------------------------------------------------------------------------------------


class Set:
    """The ray-cast scene, its sphere and ball taken for parts of the set."""

    def __init__(self, folder: Path, world: World = WORLD) -> None:
        shot = write(world, folder)
        self.world, self.whole = world, Ground(folder, shot)
        self.ground = Ground(folder, replace(shot, layers=tuple(layer for layer in shot.layers if layer.is_environment)))
        self._made: dict[int, np.ndarray] = {}

    def clean(self, index: int) -> np.ndarray:
        if index not in self._made:
            self._made[index] = picture(self.world, index, side=2)
        return self._made[index]

    def judged(self, pictures: Pictures) -> dict[str, Figure]:
        metric = BackdropRegistration(self.ground, every=2)
        watch(self.ground, pictures, [metric])
        return {figure.key: figure for figure in metric.figures()}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Set:
    return Set(tmp_path_factory.mktemp("backdrop") / "a.lucid")


def test_the_sets_own_outlines_are_in_place(room: Set) -> None:
    figures = room.judged(room.clean)
    assert [figures[key].outcome for key in ("offset", "scale", "lag")] == [Outcome.PASS, Outcome.PASS, Outcome.INFO]
    assert figures["offset"].value == 0.0 and figures["scale"].value == 0.0 and abs(figures["lag"].value) < 0.25


def test_a_picture_to_one_side_is_displaced(room: Set) -> None:
    figures = room.judged(lambda index: np.roll(room.clean(index), 4, 1))
    assert figures["offset"].value == pytest.approx(4.0, abs=1.1) and figures["offset"].outcome is Outcome.FAIL


def test_late_pictures_are_late(room: Set) -> None:
    figures = room.judged(lambda index: room.clean(max(index - 1, 0)))
    assert figures["lag"].value == pytest.approx(1.0, abs=0.35)         # it has no bar: the set's outlines tell it roughly


def test_enlarged_pictures_are_enlarged(room: Set) -> None:
    def enlarged(index: int) -> np.ndarray:
        way = cv2.getRotationMatrix2D((159.5, 91.5), 0.0, 1.06)
        return cv2.warpAffine(room.clean(index), way, (320, 184), borderMode=cv2.BORDER_REPLICATE)

    figures = room.judged(enlarged)
    assert Outcome.FAIL in (figures["scale"].outcome, figures["offset"].outcome)


def test_near_and_far_sides_of_a_box_before_a_wall() -> None:
    depth = np.full((80, 100), 5.0, np.float32)
    depth[30:50, 40:60] = 3.0
    near, far, edge = sides(depth, np.zeros(depth.shape, bool))
    assert (near == (depth == 3.0)).all() and edge.sum() == 4 * 20 - 4
    assert far[28, 50] and not far[0, 50] and not (far & near).any()
    assert not sides(depth, depth == 3.0)[2].any()              # an actor's outline is not the set's
    slanted = (1 / np.linspace(0.1, 0.5, 80)[:, None] * np.ones((1, 100))).astype(np.float32)
    assert not sides(slanted, np.zeros(depth.shape, bool))[2].any()


def test_outlines_of_actors_and_outlines_without_parallax_do_not_count(room: Set, tmp_path: Path) -> None:
    moment = room.ground.moment(4)
    assert outlines(moment, np.zeros(moment.size, bool)).sum() > 50
    assert not outlines(moment, moment.covered([3, 4])).any()
    assert not outlines(replace(moment, flow=np.zeros_like(moment.flow)), np.zeros(moment.size, bool)).any()


def test_the_fullest_tiles_are_taken() -> None:
    found = np.zeros((300, 420), bool)
    found[10:20, 10:20], found[140:160, 140:160], found[290:, 400:], found[5:8, 300:303] = True, True, True, True
    assert tiles(found) == [(128, 256, 128, 256), (256, 300, 384, 420), (0, 128, 0, 128)]
    assert tiles(np.zeros((90, 90), bool)) == []


def test_a_set_without_parallax_is_not_measurable(tmp_path: Path) -> None:
    still = Set(tmp_path / "a.lucid", replace(WORLD, width=160, height=96, frames=5, actors=()))
    assert all("no parallax" in figure.reason for figure in still.judged(still.clean).values())
    one = Set(tmp_path / "b.lucid", replace(WORLD, width=160, height=96, frames=1))
    assert all("fewer than 5" in figure.reason for figure in one.judged(one.clean).values())


def test_a_box_around_nothing_is_none_and_keeps_to_the_picture() -> None:
    mask = np.zeros((40, 50), bool)
    assert box_around(mask, 5) is None
    mask[3:6, 45:48] = True
    assert box_around(mask, 5) == (0, 11, 40, 50)
