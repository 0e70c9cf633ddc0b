# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift, flicker and long similarity against closed forms: gains, ramps, textures that slide, and what cannot be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.shot.images import read_exr, write_exr
from lucid.inference.truth.colour import colours_at, lab_at, srgb_to_lab
from lucid.inference.truth.constancy import Age, Constancy, ages_of, bends, oldest, slope
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.similarity import LongSimilarity, patches_at, zncc
from lucid.inference.truth.watch import Pictures, watch
from lucid.tests.raycast import FLOOR, WALL, World, picture, pictures, texture, write

WORLD = World(frames=14)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("constancy") / "a.lucid"
    return Ground(folder, write(WORLD, folder))


@pytest.fixture(scope="module")
def clean() -> Pictures:
    return pictures(WORLD)


def measured(ground: Ground, shown: Pictures) -> dict[str, Figure]:
    metrics = [Constancy(ground), LongSimilarity(ground)]
    watch(ground, shown, metrics)
    return {figure.name: figure for metric in metrics for figure in metric.figures()}


def grey(level: Callable[[int], float]) -> Pictures:
    return lambda index: np.full((WORLD.height, WORLD.width, 3), level(index), np.float32)


def lightness(*levels: float) -> np.ndarray:
    return srgb_to_lab(np.repeat(np.float32(levels)[:, None], 3, 1))[:, 0]


def test_clean_pictures_pass(ground: Ground, clean: Pictures) -> None:
    found = measured(ground, clean)
    assert found["drift.end"].value < 0.3 and found["drift.end"].counts["age"] == 13
    assert abs(found["drift.slope"].value) < 0.2 and found["drift.bias"].value < 0.1 and found["flicker"].value < 0.05
    assert all(found[name].outcome is Outcome.PASS for name in ("drift.slope", "drift.bias", "flicker"))
    assert found["drift.slope.Sphere"].outcome is Outcome.INFO
    assert all(found[f"long_similarity.{age}"].value > 0.99 for age in ("2", "5", "10", "full"))
    assert abs(found["long_similarity.slope"].value) < 0.02


def test_drift_is_what_a_ramp_does_to_a_grey(ground: Ground) -> None:
    """End and bias are the change of L* since the oldest points began, the slope its rate; an even ramp does not flicker."""
    found = measured(ground, grey(lambda index: 0.4 + 0.01 * index))
    light = lightness(*(0.4 + 0.01 * np.arange(14)))
    end, age = light[-1] - light[0], found["drift.end"].counts["age"]
    assert age == 13 and found["drift.end"].value == pytest.approx(end, abs=0.01)
    assert found["drift.bias"].value == pytest.approx(end, abs=0.01)
    assert found["drift.slope"].value == pytest.approx(end * 24 / 13, rel=0.02) and found["drift.slope"].outcome is Outcome.FAIL
    assert found["drift.slope.Sphere"].value == pytest.approx(end * 24 / 13, rel=0.02)
    assert found["flicker"].value < 0.02
    assert found["drift.end"].worst[0].last == 14


def test_flicker_is_the_second_difference(ground: Ground) -> None:
    found = measured(ground, grey(lambda index: 0.5 + 0.02 * (index % 2)))
    low, high = lightness(0.5, 0.52)
    assert found["flicker"].value == pytest.approx(2 * (high - low), abs=0.01) and found["flicker"].outcome is Outcome.FAIL
    assert len(found["flicker"].series) == 12 and found["flicker"].series[0][0] == 3.0


def test_a_slow_gain_drifts_and_does_not_flicker(ground: Ground, clean: Pictures) -> None:
    """0.3 % a frame more red and 0.2 % less blue."""
    gain = np.float32([0.003, 0.0, -0.002])
    found = measured(ground, lambda index: np.clip(clean(index) * (1 + gain * index), 0, 1))
    assert found["drift.slope"].outcome is Outcome.FAIL and found["drift.bias"].outcome is Outcome.FAIL
    assert found["flicker"].outcome is Outcome.PASS
    assert found["long_similarity.full"].value > 0.99                       # it does not see light


def test_noise_in_the_gain_flickers(ground: Ground, clean: Pictures) -> None:
    gain = 1 + 0.02 * np.random.default_rng(0).standard_normal(14).astype(np.float32)
    found = measured(ground, lambda index: np.clip(clean(index) * gain[index], 0, 1))
    assert found["flicker"].outcome is Outcome.FAIL


def test_another_texture_is_not_alike(ground: Ground) -> None:
    def other(frame: int) -> np.ndarray:
        def shade(ids: np.ndarray, rest: np.ndarray) -> np.ndarray:
            return texture(ids, rest + np.isin(ids, (FLOOR, WALL))[..., None] * (0.03 * frame, 0.0, 0.0))
        return picture(WORLD, frame, side=2, shade=shade)

    found = measured(ground, other)
    assert found["long_similarity.full"].value < 0.9 and found["long_similarity.slope"].value < -0.1
    assert found["long_similarity.2"].value > found["long_similarity.10"].value > found["long_similarity.full"].value
    assert found["drift.slope"].outcome is Outcome.FAIL
    assert found["drift.bias"].value < 0.5 * found["drift.end"].value       # each place goes another way


@pytest.mark.parametrize(("frames", "reason"), [(1, "2 frames are needed, the shot has 1"), (2, "followed for less than 0.5 s")])
def test_what_is_too_short_says_so(tmp_path: Path, frames: int, reason: str) -> None:
    world = World(frames=frames, actors=())
    found = measured(Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid")), pictures(world))
    assert not [name for name in found if name.endswith("Sphere")]
    assert found["drift.slope"].outcome is Outcome.NOT_MEASURABLE and reason in found["drift.slope"].reason
    assert found["flicker"].outcome is Outcome.NOT_MEASURABLE and "3 frames are needed" in found["flicker"].reason
    assert found["long_similarity.10"].outcome is Outcome.NOT_MEASURABLE
    assert found["long_similarity.slope"].outcome is Outcome.NOT_MEASURABLE


def test_where_nothing_stands_still_there_is_no_drift(tmp_path: Path) -> None:
    """Floor and wall are an actor's: what is left stands behind no point."""
    world, folder = World(frames=4), tmp_path / "a.lucid"
    shot = write(world, folder)
    layers = tuple(replace(layer, ids=(FLOOR, WALL)) if layer.name == "Ball" else layer for layer in shot.layers)
    found = measured(Ground(folder, replace(shot, layers=layers)), pictures(world))
    for name in ("drift.end", "drift.slope", "drift.bias", "flicker"):
        assert found[name].outcome is Outcome.NOT_MEASURABLE and "points of what stands still stay in sight" in found[name].reason
    assert found["flicker.Ball"].value is not None
    assert found["long_similarity.2"].outcome is Outcome.NOT_MEASURABLE and "stand still" in found["long_similarity.2"].reason


def test_a_locked_camera_sees_no_change(tmp_path: Path) -> None:
    world = World(frames=14, truck=0, dolly=0, yaw=0, actors=())
    found = measured(Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid")), pictures(world))
    assert found["drift.end"].value == pytest.approx(0.0, abs=1e-3) and found["drift.slope"].outcome is Outcome.PASS
    assert found["long_similarity.full"].value == pytest.approx(1.0, abs=1e-4)


def test_ages_are_medians_of_births() -> None:
    birth = np.repeat([3, 5, 6], [60, 80, 10])
    change = np.zeros((150, 3), np.float32)
    change[:60], change[60:140, 1] = (3, 0, 4), np.linspace(-1, 1, 80)
    ages = ages_of(birth, 9, change)
    assert [(one.birth, one.age, one.points) for one in ages] == [(3, 6, 60), (5, 4, 80)]           # 10 are too few
    assert ages[0].change == pytest.approx(5.0) and ages[0].signed == (3.0, 0.0, 4.0)
    assert ages[1].change == pytest.approx(0.5, abs=0.02) and ages[1].signed[1] == pytest.approx(0.0, abs=1e-6)


def test_the_slope_does_not_count_what_sets_births_apart() -> None:
    """Two births, one 3 dE off the other at every age; each grows by 2 dE a second."""
    ages = [Age(birth, age, 100, offset + 2.0 * age / 24, (0.0, 0.0, 0.0))
            for birth, offset, last in ((0, 0.0, 24), (12, 3.0, 12)) for age in range(1, last + 1)]
    assert slope(ages, 1 / 24) == pytest.approx(2.0)
    assert slope(ages[:10], 1 / 24) is None and slope([], 1 / 24) is None


def test_the_end_is_the_oldest_age_with_enough_points() -> None:
    ages = [Age(0, 5, 300, 4.0, (4.0, 0.0, 0.0)), Age(2, 5, 300, 2.0, (-2.0, 0.0, 0.0)), Age(0, 9, 400, 9.0, (9.0, 0.0, 0.0))]
    assert oldest(ages) == (5, 600, pytest.approx(3.0), pytest.approx(1.0))
    assert oldest(ages[2:]) is None and oldest([]) is None


def test_an_even_change_does_not_bend() -> None:
    steps = [np.float32([10, 10, 10]), np.float32([11, 10, np.nan]), np.float32([12, 13, 10])]
    assert np.array_equal(bends(steps), np.float32([0, 3, np.nan]), equal_nan=True)


def test_correlation_does_not_see_light_and_has_a_sign() -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(0, 255, (4, 49)).astype(np.float32)
    other = np.stack([0.5 * one[0] + 20, 255 - one[1], rng.uniform(0, 255, 49), one[3]]).astype(np.float32)
    one[3] = 7.0 + 0.1 * rng.standard_normal(49)                            # flat: it shows nothing
    found = zncc(one, other)
    assert found[:2] == pytest.approx([1.0, -1.0], abs=1e-5) and abs(found[2]) < 0.5 and np.isnan(found[3])


def test_patches_are_sampled_along_their_axes() -> None:
    """On a ramp in x, a patch turned by 90 degrees and twice as large is the same ramp downwards, twice as steep."""
    ramp = np.tile(np.arange(80, dtype=np.uint8), (60, 1))
    at = np.float32([[30.5, 30.5], [30.5, 30.5]])
    upright, turned = patches_at(ramp, at, np.float32([[1, 0], [0, 2]]), np.float32([[0, 1], [2, 0]])).reshape(2, 7, 7)
    assert np.allclose(upright, 30 + np.arange(-3, 4)[None, :]) and np.allclose(turned, 30 + 2 * np.arange(-3, 4)[:, None])


def test_colours_are_sampled_at_centres_and_between() -> None:
    shown = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    y, x = np.mgrid[2:38, 2:48].reshape(2, -1)
    at = np.stack([x, y], -1) + np.float32(0.5)
    for cubic in (False, True):
        assert np.array_equal(colours_at(shown, at, cubic=cubic), shown[y, x])
    assert np.allclose(colours_at(shown, np.float32([[11.0, 20.5]])), shown[20, 10:12].mean(0), atol=1e-6)
    assert colours_at(shown, np.zeros((0, 2), np.float32)).shape == (0, 3)


def test_lab_of_patches_is_that_of_their_mean() -> None:
    shown = np.random.default_rng(0).random((20, 20, 3)).astype(np.float32)
    found = lab_at(shown, np.float32([[10.5, 8.5]]), 5)
    assert np.allclose(found[0], srgb_to_lab(shown[6:11, 8:13].mean((0, 1))), atol=1e-3)


def test_without_rest_positions_nothing_is_followed(tmp_path: Path) -> None:
    world, folder = World(width=96, height=64, frames=4), tmp_path / "a.lucid"
    shot = write(world, folder)
    for path in (folder / "passes/rest").iterdir():
        write_exr(path, {axis: np.full_like(plane, np.nan) for axis, plane in read_exr(path).items()})
    found = measured(Ground(folder, shot), pictures(world))
    assert {figure.outcome for figure in found.values()} == {Outcome.NOT_MEASURABLE}
