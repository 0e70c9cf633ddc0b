# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth from the pictures' motion: two views in closed form, true and false depth, and shots that show none."""

from dataclasses import replace
from functools import lru_cache, partial

import cv2
import numpy as np
import pytest
from lucid.inference.shot.images import write_exr
from lucid.inference.truth.epipolar import fundamental, sampson, through, triangulate, turning
from lucid.inference.truth.figures import Outcome
from lucid.inference.truth.geometry import project
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.parallax import PARALLAX, SPAN, DepthFromMotion
from lucid.inference.truth.watch import watch
from lucid.tests import raycast as rc

WORLD = rc.World(frames=SPAN + 5)
PAN = replace(WORLD, truck=0.0, dolly=0.0, yaw=0.3)


def a_clip(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("parallax") / "room.lucid"
    return Ground(folder, rc.write(world, folder)), lru_cache(None)(partial(rc.picture, world, side=2))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return a_clip(tmp_path_factory, WORLD)


@pytest.fixture(scope="module")
def pan(tmp_path_factory):
    return a_clip(tmp_path_factory, PAN)


def measured(ground, pictures):
    metric = DepthFromMotion(ground)
    watch(ground, pictures, [metric])
    return {figure.name: figure for figure in metric.figures()}


def views(place=(0.6, -0.1, 0.2), angle=(0.02, -0.05, 0.01)):
    """Two cameras, of which the second zooms, and points that they see: intrinsics, cameras, world (N, 3), image (2, N, 2)."""
    intrinsics = tuple(np.array([[f, 0, 400], [0, f, 230], [0, 0, 1.0]]) for f in (700.0, 760.0))
    first, second = np.eye(4), np.eye(4)
    second[:3, :3], second[:3, 3] = cv2.Rodrigues(np.array(angle, float))[0], place
    rng = np.random.default_rng(0)
    world = np.stack([rng.uniform(-3, 3, 80), rng.uniform(-2, 2, 80), rng.uniform(5, 15, 80)], -1)
    image = [project(world, k, pose)[0] for k, pose in zip(intrinsics, (first, second), strict=True)]
    return intrinsics, (first, second), world, image


def test_points_of_two_views_lie_on_each_others_lines():
    intrinsics, cameras, _, (one, two) = views()
    matrix = fundamental(intrinsics, cameras)
    assert sampson(matrix, one, two).max() < 1e-9
    lines = np.concatenate([one, np.ones((80, 1))], -1) @ matrix.T
    across = lines[:, :2] / np.linalg.norm(lines[:, :2], axis=-1, keepdims=True)
    along = across[:, ::-1] * (1, -1)
    assert sampson(matrix, one, two + 3 * along).max() < 1e-6
    assert 0.3 < np.median(sampson(matrix, one, two + 0.5 * across)) < 0.5


def test_sampsons_distance_beside_a_sideways_step():
    intrinsics, cameras, _, (one, two) = views((0.5, 0, 0), (0, 0, 0))
    intrinsics = (intrinsics[0],) * 2
    two = one + (two - one) * 0 - np.array([0.0, 0.4])
    assert np.allclose(sampson(fundamental(intrinsics, cameras), one, two), 0.4 / np.sqrt(2))


def test_a_camera_that_only_turns_and_zooms_is_a_homography():
    intrinsics, cameras, _, (one, two) = views(place=(0, 0, 0))
    assert np.abs(through(turning(intrinsics, cameras), one) - two).max() < 1e-9
    assert not fundamental(intrinsics, cameras).any()
    assert np.isnan(through(turning(intrinsics, views(angle=(0, 3.0, 0))[1]), one)).all()


def test_depth_and_angle_of_two_rays():
    intrinsics, cameras, world, (one, two) = views()
    depth, angle = triangulate(one, two, intrinsics, cameras)
    assert np.allclose(depth, world[:, 2])
    away = [world - camera[:3, 3] for camera in cameras]
    cosine = (away[0] * away[1]).sum(-1) / np.prod([np.linalg.norm(a, axis=-1) for a in away], axis=0)
    assert np.allclose(angle, np.degrees(np.arccos(cosine)))
    same = (intrinsics[0],) * 2
    depth, angle = triangulate(one, one, same, views((0.5, 0, 0), (0, 0, 0))[1])
    assert np.isnan(depth).all() and not angle.any()
    assert (triangulate(one, one + (5.0, 0.0), same, views((0.5, 0, 0), (0, 0, 0))[1])[0] < 0).all()


def test_clean_pictures_have_the_scenes_depth(clip):
    found = measured(*clip)
    assert {figure.outcome for figure in found.values()} == {Outcome.PASS}
    assert found["depth_from_motion.abs_rel"].value < 0.02 and found["depth_from_motion.within"].value > 0.98
    assert abs(found["depth_from_motion.bias"].value) < 0.5
    assert found["epipolar.distance"].value < 0.1
    assert [frame for frame, _ in found["epipolar.distance"].series] == [1.0, 5.0]


def test_pictures_of_a_smaller_parallax_have_another_depth(clip):
    ground, pictures = clip
    near = partial(rc.picture, replace(WORLD, truck=0.4), side=1)
    found = measured(ground, lambda index: near(index) if index else pictures(0))
    assert found["depth_from_motion.abs_rel"].outcome is Outcome.FAIL
    assert found["depth_from_motion.within"].outcome is Outcome.FAIL and found["depth_from_motion.within"].worst
    assert found["depth_from_motion.bias"].outcome is Outcome.FAIL and found["depth_from_motion.bias"].value > 20


def test_a_picture_that_is_too_large_is_nearer_than_the_scene(tmp_path_factory):
    world = replace(WORLD, frames=SPAN + 1, truck=0.9, dolly=0.0, yaw=0.0, actors=())
    ground, pictures = a_clip(tmp_path_factory, world)
    by = np.array([[1.03, 0, -0.03 * 103.5], [0, 1.03, -0.03 * 59.5]])
    found = measured(ground, lambda index: cv2.warpAffine(pictures(index), by, (208, 120), flags=cv2.INTER_CUBIC))
    assert found["depth_from_motion.bias"].outcome is Outcome.FAIL
    assert found["depth_from_motion.bias"].value == pytest.approx(100 * (1 / 1.03 - 1), abs=0.8)


def test_a_pan_shows_no_depth_but_where_points_must_be(pan):
    found = measured(*pan)
    for name in ("depth_from_motion.abs_rel", "depth_from_motion.bias", "depth_from_motion.within"):
        assert found[name].outcome is Outcome.NOT_MEASURABLE and f"{PARALLAX:g}°" in found[name].reason
    assert found["epipolar.distance"].outcome is Outcome.PASS and found["epipolar.distance"].value < 0.15


def test_a_pan_of_another_speed_leaves_its_places(pan):
    ground, _ = pan
    found = measured(ground, partial(rc.picture, replace(PAN, yaw=0.27), side=1))["epipolar.distance"]
    assert found.outcome is Outcome.FAIL
    assert found.value == pytest.approx(PAN.focal * PAN.width * 0.03 * SPAN / rc.FPS, rel=0.2)


def test_a_locked_off_camera_has_no_depth_and_passes_if_nothing_moves(tmp_path_factory):
    world = replace(WORLD, truck=0.0, dolly=0.0, yaw=0.0, frames=SPAN + 1, actors=())
    ground, pictures = a_clip(tmp_path_factory, world)
    found = measured(ground, lambda index: pictures(0))
    assert found["depth_from_motion.abs_rel"].outcome is Outcome.NOT_MEASURABLE
    assert found["epipolar.distance"].value < 0.01
    slid = measured(ground, lambda index: np.roll(pictures(0), index // 4, axis=1))["epipolar.distance"]
    assert slid.outcome is Outcome.FAIL and slid.value == pytest.approx(3.0, abs=0.2)


def test_short_shots_and_shots_without_rest_are_not_measurable(tmp_path_factory):
    for frames in (1, SPAN):
        ground, pictures = a_clip(tmp_path_factory, replace(WORLD, width=104, height=60, frames=frames))
        found = measured(ground, pictures)
        assert {figure.outcome for figure in found.values()} == {Outcome.NOT_MEASURABLE}
        assert all(f"the shot has {frames} frames" in figure.reason for figure in found.values())
    small = replace(WORLD, width=104, height=60, frames=SPAN + 1)
    ground, _ = a_clip(tmp_path_factory, small)
    for number in ground.shot.frames.numbers:
        path = ground.folder / ground.shot.sequence("rest").path(number)
        write_exr(path, {axis: np.full((60, 104), np.nan, np.float32) for axis in "XYZ"})
    restless = measured(ground, partial(rc.picture, small, side=1))
    assert all("0 points" in figure.reason for figure in restless.values())
