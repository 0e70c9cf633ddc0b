# SPDX-License-Identifier: GPL-3.0-or-later
"""Warp error against closed forms: clean pictures, a sliding texture, a gain, an actor of another place, nothing to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lucid.inference.shot.images import read_exr, write_exr
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.points import sample
from lucid.inference.truth.spots import Mark, Median, Owners, one_surface, worst_place, worst_spots
from lucid.inference.truth.warp import WarpError, joined, squared_error
from lucid.inference.truth.watch import Pictures, watch
from lucid.tests.raycast import FLOOR, SPHERE, WALL, World, picture, pictures, texture, write

WORLD = World(frames=14)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("warp") / "a.lucid"
    return Ground(folder, write(WORLD, folder))


@pytest.fixture(scope="module")
def clean() -> Pictures:
    return pictures(WORLD)


def measured(ground: Ground, shown: Pictures) -> dict[str, Figure]:
    error = WarpError(ground)
    watch(ground, shown, [error])
    return {figure.name: figure for figure in error.figures()}


def slid(frame: int) -> np.ndarray:
    """The textures of floor and wall go 6 cm to the side in a frame: 1 to 2 px."""
    def shade(ids: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return texture(ids, rest + np.isin(ids, (FLOOR, WALL))[..., None] * (0.06 * frame, 0.0, 0.0))
    return picture(WORLD, frame, side=2, shade=shade)


def test_the_error_is_the_mean_square_in_thousandths() -> None:
    one, other = np.float32([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3]]), np.float32([[0.6, 0.5, 0.5], [0.1, 0.2, 0.3]])
    assert squared_error(one, other) == pytest.approx([0.01 / 3 * 1e3, 0.0], rel=1e-5)


def test_clean_pictures_have_hardly_any(ground: Ground, clean: Pictures) -> None:
    found = measured(ground, clean)
    for lag in ("1", "4", "12"):
        figure = found[f"warp_error.{lag}.environment"]
        assert figure.outcome is Outcome.PASS and figure.value is not None and figure.value < 0.03
        assert figure.counts["points"] > 1000
    assert found["warp_error.4"].outcome is Outcome.INFO and found["warp_median.4.Sphere"].outcome is Outcome.PASS
    assert [number for number, _ in found["warp_error.4"].series] == list(range(5, 15))
    assert found["warp_error.1.Sphere"].value < 0.03 and found["warp_error.1.Ball"].value < 0.05


def test_a_gain_is_its_square(ground: Ground) -> None:
    """Grey that gets brighter by 0.005 a frame: the error at a lag is (0.005 lag)^2, exactly, on everything."""
    found = measured(ground, lambda index: np.full((WORLD.height, WORLD.width, 3), 0.4 + 0.005 * index, np.float32))
    for lag in (1, 4, 12):
        for name in ("", ".environment", ".Sphere"):
            assert found[f"warp_error.{lag}{name}"].value == pytest.approx(1e3 * (0.005 * lag) ** 2, rel=1e-3)
        assert found[f"warp_median.{lag}.Sphere"].value == pytest.approx(1e3 * (0.005 * lag) ** 2, rel=0.08)
    assert found["warp_error.12.environment"].outcome is Outcome.FAIL
    assert found["warp_median.12.Sphere"].outcome is Outcome.FAIL


def test_a_sliding_texture_grows_with_the_lag_and_leaves_the_actors_alone(ground: Ground, clean: Pictures) -> None:
    found, before = measured(ground, slid), measured(ground, clean)
    for lag, times in ((1, 20), (4, 50), (12, 50)):
        name = f"warp_error.{lag}"
        assert found[f"{name}.environment"].value > times * before[f"{name}.environment"].value
    assert found["warp_error.1"].value < found["warp_error.4"].value < found["warp_error.12"].value
    assert found["warp_error.4.environment"].outcome is Outcome.FAIL
    assert found["warp_error.4.Sphere"].value < 0.05
    assert found["warp_error.12"].worst[0].object in ("Floor", "Wall")


def test_a_part_of_one_frame_is_the_worst_spot(ground: Ground, clean: Pictures) -> None:
    def spoilt(index: int) -> np.ndarray:
        shown = clean(index).copy()
        if index == 7:
            shown[40:70, 100:150] = 1.0 - shown[40:70, 100:150]
        return shown

    spot = measured(ground, spoilt)["warp_error.1"].worst[0]
    assert (spot.first, spot.last) in ((8, 8), (8, 9)) and spot.at is not None
    assert 95 <= spot.at[0] < 155 and 35 <= spot.at[1] < 75 and spot.object in ("Sphere", "Wall")


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    world = World(frames=1, actors=())
    found = measured(Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid")), pictures(world))
    assert list(found) == [f"warp_error.{lag}{name}" for lag in (1, 4, 12, 36) for name in ("", ".environment")]
    assert {figure.outcome for figure in found.values()} == {Outcome.NOT_MEASURABLE}
    assert found["warp_error.12"].reason == "13 frames are needed, the shot has 1"


def test_without_rest_positions_there_are_no_points(tmp_path: Path) -> None:
    world, folder = World(frames=3), tmp_path / "a.lucid"
    shot = write(world, folder)
    for path in (folder / "passes/rest").iterdir():
        write_exr(path, {axis: np.full_like(plane, np.nan) for axis, plane in read_exr(path).items()})
    figure = measured(Ground(folder, shot), pictures(world))["warp_error.1"]
    assert figure.outcome is Outcome.NOT_MEASURABLE and figure.reason.startswith("0 points are seen again 1 frame later")


def test_the_same_without_motion(tmp_path: Path) -> None:
    world = World(width=96, height=64, frames=3, truck=0, dolly=0, yaw=0, actors=())
    found = measured(Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid")), pictures(world))
    assert found["warp_error.1"].value == pytest.approx(0.0, abs=1e-6)
    assert found["warp_error.1"].counts["points"] > 500


def test_clouds_are_joined_in_order(ground: Ground) -> None:
    moment = ground.moment(0)
    one, other = sample(moment, 20), sample(moment, 30)
    both = joined([one, other])
    assert len(both) == len(one) + len(other)
    assert np.array_equal(both.at, np.concatenate([one.at, other.at])) and np.array_equal(both.rest[:len(one)], one.rest)


def test_owners_are_the_environment_and_the_actors(ground: Ground) -> None:
    owners = Owners(ground.shot)
    assert owners.names == ("environment", "Sphere", "Ball") and len(owners) == 3
    assert owners.of(np.uint32([SPHERE, FLOOR, 0])).tolist() == [1, 0, 0]
    assert [owners.name(one) for one in (SPHERE, WALL, 0)] == ["Sphere", "Wall", ""]


def test_a_slanting_plane_has_no_step_and_a_step_is_one() -> None:
    depth = np.tile(1.0 / np.linspace(0.5, 0.05, 40, dtype=np.float32)[:, None], (1, 30))            # a floor to 20 m
    ids = np.ones(depth.shape, np.uint32)
    assert one_surface(ids, depth)[3:-3].all()
    depth[:, 15:] *= 1.02
    assert np.array_equal(one_surface(ids, depth)[20], [True] * 12 + [False] * 6 + [True] * 12)


def test_inside_an_instance_is_as_far_as_a_patch_reaches() -> None:
    ids = np.ones((9, 12), np.uint32)
    ids[:, 6:] = 70000
    assert np.array_equal(one_surface(ids, np.full(ids.shape, 4.0, np.float32))[4], [True] * 4 + [False] * 4 + [True] * 4)


def test_a_place_is_worst_by_its_neighbours_not_by_one_point() -> None:
    at = np.float32([[10, 10], [12, 10], [14, 10], [100, 50], [102, 50], [104, 50], [200, 5]])
    values = np.float32([1, 1, 1, 3, 5, 4, 9])
    assert worst_place(values, at, np.arange(7, dtype=np.uint32)) == ((102, 50), 4)


def test_the_median_of_a_histogram_is_the_median_to_a_bin() -> None:
    values, median = np.random.default_rng(0).lognormal(-2.0, 2.0, 4001), Median()
    for part in np.array_split(values, 7):
        median.add(part)
    assert median.value == pytest.approx(np.median(values), rel=0.04)
    median.add(np.zeros(9000))
    assert median.value < 1.1e-6


def test_spots_are_runs_around_peaks() -> None:
    values = [0.0, 1.0, 5.0, 4.0, 1.0, 3.0, 1.0]
    marks = [Mark(10 + place, value, 9, (place, 0), "Box") for place, value in enumerate(values)]
    spots = worst_spots(marks, 2)
    assert [(spot.first, spot.last, spot.value, spot.at) for spot in spots] == [(12, 13, 5.0, (2, 0)), (15, 15, 3.0, (5, 0))]
    assert worst_spots([Mark(1, 0.0, 9)]) == ()
