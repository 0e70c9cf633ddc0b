# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera found in pictures: closed forms of the solution, clean pictures, late and swapped ones, and no answer."""

from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice

import cv2
import numpy as np
import pytest
from lucid.inference.shot.images import write_exr
from lucid.inference.truth.camera import FEWEST, LAG, CameraError, apart, moment_of, slopes_of, solve
from lucid.inference.truth.figures import Bar, Outcome
from lucid.inference.truth.geometry import project
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.tracks import EVERY, Tracker, moved, refined, start, trust, worst_frames
from lucid.inference.truth.watch import luma, observe, watch
from lucid.tests import raycast as rc

WORLD = rc.World(frames=18)
K = np.array([[700.0, 0, 400], [0, 710.0, 230], [0, 0, 1]])


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camera") / "room.lucid"
    return Ground(folder, rc.write(WORLD, folder))


@pytest.fixture(scope="module")
def pictures():
    return lru_cache(None)(partial(rc.picture, WORLD, side=2))


def measured(ground, pictures):
    metric = CameraError(ground)
    watch(ground, pictures, [metric])
    return {figure.key: figure for figure in metric.figures()}


def a_camera(angle=(0.1, -0.2, 0.05), place=(3.0, -20.0, 1.5)):
    pose = np.eye(4)
    pose[:3, :3] = rc.World().camera(0)[:3, :3] @ cv2.Rodrigues(np.array(angle))[0]
    pose[:3, 3] = place
    return pose


def some_points(pose, rng, count=120):
    local = np.stack([rng.uniform(-3, 3, count), rng.uniform(-2, 2, count), rng.uniform(5, 15, count)], -1)
    return local @ pose[:3, :3].T + pose[:3, 3]


def test_a_camera_is_found_from_points_of_which_a_fifth_is_wrong():
    rng, pose = np.random.default_rng(0), a_camera()
    points = some_points(pose, rng)
    at, _ = project(points, K, pose)
    at[:24] += rng.uniform(3, 40, (24, 2))
    found = solve(points, at, K)
    angle, metres = apart(found.world_from_camera, pose)
    assert angle < 1e-5 and metres < 1e-5
    assert found.inliers.sum() == 96 and not found.inliers[:24].any()


def test_corners_that_slid_by_a_pixel_do_not_pull():
    rng, pose = np.random.default_rng(1), a_camera()
    points = some_points(pose, rng)
    at = project(points, K, pose)[0] + rng.normal(0, 0.05, (120, 2))
    straight = apart(solve(points, at, K).world_from_camera, pose)
    at[:12] += (1.2, 0.0)
    slid = apart(solve(points, at, K).world_from_camera, pose)
    assert slid[0] < straight[0] + 0.005 and slid[1] < straight[1] + 0.002


def test_the_standard_errors_are_how_far_solutions_scatter():
    rng, pose = np.random.default_rng(2), a_camera()
    points = some_points(pose, rng, 60)
    exact, _ = project(points, K, pose)
    found = [solve(points, exact + rng.normal(0, 0.2, exact.shape), K) for _ in range(60)]
    away = np.array([apart(one.world_from_camera, pose) for one in found])
    said = np.median([(one.angle, one.place) for one in found], axis=0)
    assert (np.abs(np.sqrt((away**2).mean(0)) / said - 1) < 0.3).all()


def test_the_projections_derivatives_are_its_differences():
    rng, pose = np.random.default_rng(3), a_camera()
    points = some_points(pose, rng, 5)
    slopes, left = slopes_of(points, project(points, K, pose)[0], K, pose)
    assert np.abs(left).max() < 1e-9
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = 1e-6
        other = pose.copy()
        other[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(step[:3])[0].T
        other[:3, 3] += step[3:]
        change = (project(points, K, other)[0] - project(points, K, pose)[0]) / 1e-6
        assert np.allclose(change, slopes[..., axis], rtol=1e-4, atol=1e-2)


def test_too_few_points_or_points_that_agree_on_nothing_have_no_camera():
    rng, pose = np.random.default_rng(4), a_camera()
    points = some_points(pose, rng)
    assert solve(points, rng.uniform(0, 800, (120, 2)), K) is None
    few = FEWEST - 1
    assert solve(points[:few], project(points, K, pose)[0][:few], K) is None


def test_apart_is_the_angle_and_the_distance():
    one, other = a_camera(), a_camera()
    other[:3, :3] = one[:3, :3] @ cv2.Rodrigues(np.radians([0, 0.25, 0]))[0]
    other[:3, 3] += (0.03, 0, 0.04)
    assert apart(one, other) == pytest.approx((0.25, 0.05), abs=1e-6)


def test_the_moment_of_points_on_paths_also_beyond_their_ends():
    rng = np.random.default_rng(5)
    first, speed, bend = (rng.uniform(-4, 4, (40, 2)) for _ in range(3))
    times = np.arange(5.0)
    straight = first + times[:, None, None] * speed
    for when in (0.0, 1.3, 2.5, 4.0, 6.0, -1.5):
        assert moment_of(first + when * speed, straight)[0] == pytest.approx(when, abs=1e-9)
    bent = straight + 0.2 * times[:, None, None] ** 2 * bend
    assert moment_of(bent[3], bent)[0] == pytest.approx(3.0, abs=1e-9)
    noisy = [moment_of(straight[2] + rng.normal(0, 0.3, (40, 2)), straight) for _ in range(80)]
    assert np.std([where for where, _ in noisy]) == pytest.approx(np.median([error for _, error in noisy]), rel=0.3)


def test_corners_begin_on_still_surfaces_and_are_followed(ground, pictures):
    moment = ground.moment(0)
    cloud = start(moment, luma(pictures(0)), (rc.SPHERE, rc.BALL))
    assert len(cloud) > 60 and set(cloud.ids.tolist()) == {rc.FLOOR, rc.WALL}
    assert np.array_equal(cloud.at % 1, np.full_like(cloud.at, 0.5))
    tracker = Tracker(ground)
    for recent in observe(ground, pictures):
        corners = tracker.see(recent)
        assert tracker.see(recent) is corners
    now = recent[-1].moment
    exact, _ = project(corners.world, now.K, now.world_from_camera)
    assert set(corners.born.tolist()) == {0, EVERY} and len(corners.oldest(FEWEST)) == (corners.born == 0).sum()
    assert np.median(np.linalg.norm(corners.at - exact, axis=-1)) < 0.15


def test_a_corner_of_what_moves_ends(ground, pictures):
    unnamed = Ground(ground.folder, replace(ground.shot, layers=ground.shot.layers[:1]))
    born = start(ground.moment(0), luma(pictures(0)), ())
    tracker = Tracker(unnamed)
    for recent in islice(observe(unnamed, pictures), 4):
        corners = tracker.see(recent)
    moving = np.isin(born.ids, (rc.SPHERE, rc.BALL)).sum()
    assert moving > 10 and FEWEST < len(corners) <= len(born) - moving
    assert (np.abs(corners.world[:, 2]) < 1e-3).sum() + (np.abs(corners.world[:, 1] - 6) < 1e-3).sum() == len(corners)


def test_moved_follows_a_shift_and_distrusts_what_left_the_picture():
    rng = np.random.default_rng(6)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (120, 200), np.uint8), (0, 0), 2.0)
    grey = cv2.normalize(grey, None, 0, 255, cv2.NORM_MINMAX)
    before = np.array([[50.5, 40.5], [120.5, 80.5], [195.5, 60.5]], np.float32)
    after, sure = moved(grey, np.roll(grey, (3, 6), (0, 1)), before)
    assert sure.tolist() == [True, True, False]
    assert np.allclose(after[:2] - before[:2], (6, 3), atol=0.02)


def test_a_guess_is_made_precise_or_kept():
    rng = np.random.default_rng(8)
    one = cv2.GaussianBlur(rng.integers(0, 256, (80, 100), np.uint8), (0, 0), 2.0)
    one = cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX)
    other = cv2.warpAffine(one, np.array([[1, 0, 2.3], [0, 1, -1.4]]), (100, 80), flags=cv2.INTER_CUBIC)
    first = np.array([[40.5, 30.5], [60.5, 50.5]], np.float32)
    guess = first + np.array([[2.5, -1.2], [5.0, 2.0]], np.float32)
    found = refined(one, other, first, guess)
    assert np.allclose(found[0], first[0] + (2.3, -1.4), atol=0.03)
    assert np.linalg.norm(found[1] - guess[1]) < 0.5


def test_trust_ends_five_deviations_away():
    rng = np.random.default_rng(7)
    errors = np.hypot(*rng.normal(0, 0.1, (2, 500)))
    errors[:5] = 0.6
    weights = trust(errors)
    assert not weights[:5].any()
    share = 2 / 4.685**2                    # the mean of (error / reach)^2, which has an exponential distribution
    assert weights[5:].mean() == pytest.approx(1 - 2 * share + 2 * share**2, abs=0.02)
    assert trust(np.zeros(4)).tolist() == [1.0] * 4


def test_worst_frames_are_runs_beyond_the_bar():
    series = [(1.0, 0.1), (2.0, 0.6), (3.0, -0.9), (4.0, 0.2), (5.0, 1.5)]
    spots = worst_frames(series, Bar(-0.5, 0.5))
    assert [(spot.first, spot.last, spot.value) for spot in spots] == [(5, 5, 1.5), (2, 3, -0.9)]
    assert worst_frames([(1.0, 0.99), (2.0, 0.9)], Bar(lowest=0.95))[0].first == 2
    assert worst_frames(series, Bar(highest=2.0)) == ()


def test_clean_pictures_have_the_scenes_camera(ground, pictures):
    found = measured(ground, pictures)
    assert all(found[key].outcome is Outcome.PASS for key in ("rotation", "position", "lag"))
    assert found["rotation"].value < 0.15 and found["position"].value < 0.3 and abs(found["lag"].value) < 0.1
    assert found["distance"].outcome is Outcome.INFO and found["distance"].value < 0.03
    assert len(found["rotation"].series) == WORLD.frames - 1 and not found["lag"].worst


def test_pictures_of_another_camera_fail(ground, pictures):
    faster = partial(rc.picture, replace(WORLD, truck=0.9, yaw=0.0), side=1)
    found = measured(ground, lambda index: faster(index) if index else pictures(0))
    assert found["rotation"].outcome is Outcome.FAIL and found["position"].outcome is Outcome.FAIL
    exact = [replace(WORLD, truck=0.9, yaw=0.0).camera(17), WORLD.camera(17)]
    angle, metres = apart(*exact)
    assert found["rotation"].series[-1][1] == pytest.approx(angle, rel=0.1)
    assert found["distance"].series[-1][1] == pytest.approx(metres, rel=0.15)


def test_pictures_that_come_late_are_told(ground, pictures):
    found = measured(ground, lambda index: pictures(max(index - 1, 0)))["lag"]
    assert found.outcome is Outcome.FAIL and found.value == pytest.approx(1.0, abs=0.15)
    assert found.worst[0].first == 2


@pytest.mark.parametrize("gap", [1, 5])
def test_two_pictures_that_changed_places_are_told(ground, pictures, gap):
    order = list(range(WORLD.frames))
    order[8], order[8 + gap] = 8 + gap, 8
    found = measured(ground, lambda index: pictures(order[index]))["lag"]
    late = dict(found.series)
    assert found.outcome is Outcome.FAIL and abs(found.value) == pytest.approx(gap, abs=0.2 * gap)
    assert late[9] == pytest.approx(-gap, abs=0.2 * gap) and late[9 + gap] == pytest.approx(gap, abs=0.2 * gap)
    assert all(LAG.holds(value) for frame, value in late.items() if frame not in (9, 9 + gap))


def test_a_camera_that_stands_still_has_no_moments_to_tell_apart(tmp_path):
    world = replace(WORLD, frames=4, truck=0.0, dolly=0.0, yaw=0.0)
    ground = Ground(tmp_path / "still.lucid", rc.write(world, tmp_path / "still.lucid"))
    found = measured(ground, partial(rc.picture, world, side=2))
    assert found["rotation"].value < 0.03 and found["position"].value < 0.05
    assert found["lag"].outcome is Outcome.NOT_MEASURABLE and "moves" in found["lag"].reason


def test_without_actors_nothing_is_different(tmp_path):
    world = replace(WORLD, frames=4, actors=())
    ground = Ground(tmp_path / "empty.lucid", rc.write(world, tmp_path / "empty.lucid"))
    assert measured(ground, partial(rc.picture, world, side=2))["rotation"].outcome is Outcome.PASS


def test_one_frame_no_rest_and_grey_pictures_have_no_camera(tmp_path):
    world, single = replace(WORLD, frames=3), replace(WORLD, frames=1)
    shot = rc.write(world, tmp_path / "a.lucid")
    ground = Ground(tmp_path / "a.lucid", shot)
    flat = measured(ground, lambda index: np.full((120, 208, 3), 0.5, np.float32))
    alone = Ground(tmp_path / "b.lucid", rc.write(single, tmp_path / "b.lucid"))
    one = measured(alone, partial(rc.picture, single, side=2))
    for number in shot.frames.numbers:
        path = tmp_path / "a.lucid" / shot.sequence("rest").path(number)
        write_exr(path, {axis: np.full((120, 208), np.nan, np.float32) for axis in "XYZ"})
    restless = measured(ground, partial(rc.picture, world, side=2))
    for found, word in ((flat, "0 corners"), (one, "a single frame"), (restless, "0 corners")):
        assert {figure.outcome for figure in found.values()} == {Outcome.NOT_MEASURABLE}
        assert all(word in figure.reason for figure in found.values())
