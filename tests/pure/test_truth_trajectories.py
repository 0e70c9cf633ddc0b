# SPDX-License-Identifier: GPL-3.0-or-later
"""Things tracked in pictures against their exact paths, in a ray-cast scene known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import raycast
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.physics import Physics, movers
from lucid.inference.truth.templates import refine, track

WORLD = raycast.World(width=320, height=184, frames=12)


def measured(ground: Ground, pictures: Callable[[int], np.ndarray]) -> dict[str, Figure]:
    return raycast.judged(Physics(ground), ground, pictures)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("shots") / "a.lucid"
    return Ground(folder, raycast.write(WORLD, folder))


@pytest.fixture(scope="module")
def clean() -> Callable[[int], np.ndarray]:
    return raycast.pictures(WORLD, 2)


def test_clean_pictures_go_where_the_scene_does(ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    found = measured(ground, clean)
    for name in ("Sphere", "Ball"):
        figure = found[f"trajectory.deviation.{name}"]
        assert figure.outcome is Outcome.PASS and figure.value is not None and figure.value < 0.5
        assert figure.counts["runs"] == 1 and [number for number, _ in figure.series] == list(range(2, 13))
    assert "trajectory.deviation.Floor" not in found           # stands still


def test_a_ball_that_falls_too_slowly_leaves_its_path_by_what_the_formula_says(ground: Ground) -> None:
    slow = replace(WORLD, gravity=8.0)
    found = measured(ground, raycast.pictures(slow, 2))
    figure = found["trajectory.deviation.Ball"]
    t = (WORLD.frames - 1) / raycast.FPS
    depth = (np.linalg.inv(WORLD.camera(WORLD.frames - 1)) @ [*WORLD.ball(WORLD.frames - 1), 1])[2]
    rise = 0.5 * (WORLD.gravity - slow.gravity) * t * t * WORLD.K[0, 0] / depth
    assert figure.outcome is Outcome.FAIL and figure.series[-1][1] == pytest.approx(rise, rel=0.1)
    worst = figure.worst[0]
    assert worst.object == "Ball" and worst.last == 12 and worst.value == max(value for _, value in figure.series)
    assert found["trajectory.deviation.Sphere"].outcome is Outcome.PASS


def test_a_frozen_picture_and_a_late_one_fail(ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    for pictures in (lambda index: clean(0), lambda index: clean(max(index - 1, 0))):
        assert measured(ground, pictures)["trajectory.deviation.Ball"].outcome is Outcome.FAIL


def test_what_shows_no_texture_is_not_judged(ground: Ground) -> None:
    grey = np.full((WORLD.height, WORLD.width, 3), 0.5, np.float32)
    figure = measured(ground, lambda index: grey)["trajectory.deviation.Ball"]
    assert figure.outcome is Outcome.NOT_MEASURABLE and figure.reason == "untrackable: it has no texture"


def test_pictures_that_have_nothing_to_do_with_each_other_are_untrackable(ground: Ground) -> None:
    def noise(index: int) -> np.ndarray:
        return cv2.blur(np.random.default_rng(index).random((WORLD.height, WORLD.width, 3)).astype(np.float32), (3, 3))

    for name in ("Sphere", "Ball"):
        figure = measured(ground, noise)[f"trajectory.deviation.{name}"]
        assert figure.outcome is Outcome.NOT_MEASURABLE and figure.reason.startswith("untrackable")


def test_one_frame_or_nobody_is_not_measurable(tmp_path: Path, clean: Callable[[int], np.ndarray]) -> None:
    one = replace(WORLD, frames=1)
    figures = measured(Ground(tmp_path / "a.lucid", raycast.write(one, tmp_path / "a.lucid")), clean)
    assert {figure.outcome for figure in figures.values()} == {Outcome.NOT_MEASURABLE}
    nobody = replace(WORLD, frames=2, actors=(), width=64, height=40)
    figures = measured(Ground(tmp_path / "b.lucid", raycast.write(nobody, tmp_path / "b.lucid")), raycast.pictures(nobody, 2))
    assert {figure.reason for figure in figures.values()} == {"there are no actors and nothing moves"}


def test_what_moves_without_being_an_actor_is_followed(tmp_path: Path, clean: Callable[[int], np.ndarray]) -> None:
    folder = tmp_path / "a.lucid"
    shot = raycast.write(replace(WORLD, frames=5), folder)
    ground = Ground(folder, replace(shot, layers=tuple(layer for layer in shot.layers if layer.name != "Ball")))
    before, now = ground.moment(0), ground.moment(1)
    assert movers(before, now, set()) == [raycast.SPHERE, raycast.BALL]        # the sphere turns
    assert movers(before, now, {raycast.SPHERE}) == [raycast.BALL] and movers(before, before, set()) == []
    figure = measured(ground, clean)["trajectory.deviation.Ball"]
    assert figure.outcome is Outcome.PASS and figure.counts["of"] == 4


def test_points_are_tracked_from_the_guess_that_leads_there() -> None:
    noise = np.random.default_rng(0).random((160, 240)).astype(np.float32)
    wide = sum(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), size), None, 0, 80, cv2.NORM_MINMAX) for size in (1.5, 4, 10))
    wide = np.rint(wide).astype(np.uint8)
    shift = (90, -20)
    moved = cv2.warpAffine(wide, np.array([[1, 0, 90], [0, 1, -20.0]]), (240, 160))
    at = np.float32([[60.5, 80.5], [70.5, 60.5], [80.0, 90.25]])
    nowhere = np.full_like(at, np.nan)
    to, live = track(wide, moved, at, [nowhere, at, at + (88, -19)])
    assert live.all() and np.abs(to - at - shift).max() < 0.05
    assert not track(wide, moved, at, [nowhere])[1].any()


def test_a_turned_and_brighter_template_is_found_to_a_twentieth_of_a_pixel() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(1).random((120, 120)).astype(np.float32), (0, 0), 2.5)
    grey = cv2.normalize(noise, None, 20, 160, cv2.NORM_MINMAX)
    angle, scale = 0.4, 1.2
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([60.0, 60.0])                     # of pixel (60, 60), in pixel indices
    warp = np.concatenate([turn, (middle - turn @ middle)[:, None]], 1)
    now = np.rint(cv2.warpAffine(grey, warp, (120, 120), flags=cv2.INTER_CUBIC) * 1.2 + 10).clip(0, 255).astype(np.uint8)
    patch = np.rint(grey).astype(np.uint8)[None, 60 - 21:60 + 22, 60 - 21:60 + 22]
    at = np.float32([[61.3, 59.4]])                     # the truth is (60.5, 60.5)
    to, found = refine(patch, turn[None], now, at)
    assert found[0] and np.abs(to[0] - 60.5).max() < 0.05
    assert not refine(patch, np.full((1, 2, 2), np.nan), now, at)[1][0]
    assert not refine(patch[:, ::-1], turn[None], now, at)[1][0]               # mirrored: it looks otherwise
