# SPDX-License-Identifier: GPL-3.0-or-later
"""Gravity found in pictures of a thrown ball, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import raycast
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.flight import UP, fall, flights
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.physics import Physics
from lucid.inference.truth.trajectories import Fix

WORLD = raycast.World(width=288, height=166, frames=18, actors=(raycast.BALL,))
DT = 1 / 24


def measured(ground: Ground, pictures: Callable[[int], np.ndarray]) -> dict[str, Figure]:
    return raycast.judged(Physics(ground), ground, pictures)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("shots") / "a.lucid"
    return Ground(folder, raycast.write(WORLD, folder))


@pytest.mark.parametrize("gravity", [9.81, 8.83, 6.87])
def test_the_pictures_own_gravity_is_found_to_two_percent(ground: Ground, gravity: float) -> None:
    found = measured(ground, raycast.pictures(replace(WORLD, gravity=gravity), 2))
    assert found["gravity.g.Ball"].value == pytest.approx(gravity, rel=0.02)
    assert found["gravity.g_scene.Ball"].value == pytest.approx(9.81, rel=1e-3)
    error = found["gravity.error.Ball"]
    assert error.value == pytest.approx(100 * abs(gravity / 9.81 - 1), abs=2)
    assert error.outcome is (Outcome.PASS if gravity == 9.81 else Outcome.FAIL)
    assert error.counts["frames"] == 18 and [spot.object for spot in error.worst] == ["Ball"] * (gravity != 9.81)


def test_a_ball_that_is_lost_is_untrackable(ground: Ground) -> None:
    clean = raycast.pictures(WORLD, 1)
    empty = raycast.picture(WORLD, 0, hidden=(raycast.BALL,), side=1)
    error = measured(ground, lambda index: clean(index) if index % 6 < 4 else empty)["gravity.error.Ball"]
    assert error.outcome is Outcome.NOT_MEASURABLE and error.reason.startswith("untrackable")


def test_a_short_or_small_flight_is_not_judged(tmp_path: Path) -> None:
    short = replace(WORLD, frames=8, width=96, height=56)
    found = measured(Ground(tmp_path / "a.lucid", raycast.write(short, tmp_path / "a.lucid")), raycast.pictures(short, 1))
    assert found["gravity.error"].reason == "nothing flies freely for long enough"
    low = replace(WORLD, gravity=2.0, frames=12)
    found = measured(Ground(tmp_path / "b.lucid", raycast.write(low, tmp_path / "b.lucid")), raycast.pictures(low, 1))
    assert "px high in the picture" in found["gravity.error.Ball"].reason


def test_free_flight_is_told_from_other_motion() -> None:
    t = np.arange(60) * DT
    thrown = np.stack([2 * t, -t, 1 + 3 * t - 0.5 * 9.81 * t * t], 1)
    assert flights(thrown, DT) == [range(60)]
    bounced = thrown.copy()
    bounced[30:, 2] = bounced[29, 2] + 4 * (t[30:] - t[29]) - 0.5 * 9.81 * (t[30:] - t[29]) ** 2
    assert sorted(flights(bounced, DT), key=lambda span: span.start) == [range(30), range(29, 60)]
    assert flights(np.stack([2 * t, 0 * t, 1 + 0 * t], 1), DT) == []                       # rolls
    assert flights(np.stack([np.cos(t), np.sin(t), -0.5 * 9.81 * t * t], 1), DT) == []     # spirals
    assert flights(np.stack([t, t, -np.exp(t)], 1), DT) == []                              # falls faster and faster
    assert flights(thrown[:9], DT) == [] and flights(np.full((30, 3), np.nan), DT) == []
    gap = thrown.copy()
    gap[20] = np.nan
    assert flights(gap, DT) == [range(21, 60), range(20)]


def test_the_parabola_is_fitted_and_doubted() -> None:
    t = np.arange(20) * DT
    exact = fall(t, 1 + 2 * t - 0.5 * 6.87 * t * t)
    assert exact.g == pytest.approx(6.87) and exact.residual < 1e-6 and exact.error < 1e-6
    rng = np.random.default_rng(0)
    found = [fall(t, 1 + 2 * t - 0.5 * 6.87 * t * t + 2e-3 * rng.standard_normal(20)) for _ in range(300)]
    assert np.std([one.g for one in found]) == pytest.approx(np.mean([one.error for one in found]), rel=0.15)
    assert np.mean([one.residual for one in found]) == pytest.approx(2.0 * np.sqrt(17 / 20), rel=0.1)


def test_pixels_become_metres_along_a_direction_for_any_camera() -> None:
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    K = np.array([[700.0, 0, 400], [0, 720, 230], [0, 0, 1]])
    centre, up = np.array([0.4, -0.3, 5.0]), UP @ turn
    moved = centre + 0.6 * up
    was, now = ((K @ point / point[2])[:2] for point in (centre, moved))
    fix = Fix(0, 1, 20, 1, now - was, 0.0, centre, K, turn, np.zeros(3))
    assert fix.off(UP) == pytest.approx(0.6) and fix.off(-UP) == pytest.approx(-0.6)
    step = centre + 1e-6 * up
    assert fix.tracked and replace(fix, deviation=np.zeros(2)).pixels(UP) == pytest.approx(
        1e6 * np.linalg.norm((K @ step / step[2])[:2] - was), rel=1e-4)
