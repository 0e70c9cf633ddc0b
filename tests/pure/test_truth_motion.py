# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow, tracks, drift and flicker against closed forms: known translations, cameras and gains."""

import cv2
import numpy as np
import pytest
from lucid.inference.truth.colour import srgb_to_lab
from lucid.inference.truth.drift import measure_drift, track_static
from lucid.inference.truth.geometry import pixel_centres, project, static_flow, unproject
from lucid.inference.truth.motion import dis_flow, dynamic_degree, end_point_error, measurable

HEIGHT, WIDTH, FOCAL = 72, 96, 80.0
K = np.float32([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def texture(seed=0, height=HEIGHT, width=WIDTH):
    noise = np.random.default_rng(seed).random((height // 4, width // 4, 3)).astype(np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def sliding(speed, frames=6):
    """A camera that trucks right past a wall at 4 m so that the picture moves ``speed`` px a frame to the left."""
    cameras = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    cameras[:, 0, 3] = np.arange(frames) * speed * 4.0 / FOCAL
    wide = texture(0, HEIGHT, WIDTH + 48)
    pictures = [cv2.warpAffine(wide, np.float32([[1, 0, -speed * f], [0, 1, 0]]), (WIDTH, HEIGHT)) for f in range(frames)]
    return np.stack(pictures), np.full((frames, HEIGHT, WIDTH), 4.0, np.float32), np.tile(K, (frames, 1, 1)), cameras


def turned(angle):
    """Camera turned by ``angle`` radians to its right (about y, which points down)."""
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    return pose


def test_unprojecting_and_projecting_are_inverse():
    rng = np.random.default_rng(0)
    at, depth, pose = rng.random((50, 2)) * (WIDTH, HEIGHT), 1 + 9 * rng.random(50), turned(0.3)
    pose[:3, 3] = (1, -2, 3)
    again, distance = project(unproject(at, depth, K, pose), K, pose)
    assert np.abs(again - at).max() < 1e-4 and np.abs(distance - depth).max() < 1e-5


def test_the_optical_axis_is_forward():
    assert np.allclose(unproject(np.array([WIDTH / 2, HEIGHT / 2]), np.array(5.0), K, np.eye(4)), (0, 0, 5))
    assert np.isnan(project(np.array([0, 0, -1.0]), K, np.eye(4))[0]).all()


def test_the_flow_of_a_sliding_camera_is_focal_times_shift_over_depth():
    _, depth, lenses, cameras = sliding(2.0)
    flow = static_flow(depth, lenses, cameras)
    assert flow.shape == (5, HEIGHT, WIDTH, 2)
    assert np.abs(flow - np.float32([-2, 0])).max() < 1e-3


def test_the_sky_turns_with_the_camera_and_ignores_its_place():
    angle, depth = 0.02, np.full((2, HEIGHT, WIDTH), np.inf, np.float32)
    cameras = np.stack([turned(0.0), turned(angle)])
    cameras[1, :3, 3] = (3, 0, 1)
    flow = static_flow(depth, np.stack([K, K]), cameras)[0]
    x = (pixel_centres(HEIGHT, WIDTH)[..., 0] - WIDTH / 2) / FOCAL
    assert np.abs(flow[..., 0] - (FOCAL * np.tan(np.arctan(x) - angle) - FOCAL * x)).max() < 1e-3


@pytest.mark.parametrize("speed", [1.0, 2.5])
def test_optical_flow_finds_a_known_translation(speed):
    pictures, depth, lenses, cameras = sliding(speed)
    exact, flow = static_flow(depth, lenses, cameras), dis_flow(pictures)
    inner = np.zeros(flow.shape[:3], bool)
    inner[:, 8:-8, 8:-8] = True
    error = end_point_error(flow, exact, inner)
    assert error.median < 0.15 and error.over_one < 0.02 and error.count == inner.sum()
    assert dynamic_degree(flow, exact, inner) == pytest.approx(1.0, abs=0.05)


def test_a_still_does_not_move_and_its_error_is_the_motion_itself():
    pictures, depth, lenses, cameras = sliding(2.0)
    exact, flow = static_flow(depth, lenses, cameras), dis_flow(np.repeat(pictures[:1], len(pictures), 0))
    everywhere = np.ones(flow.shape[:3], bool)
    assert end_point_error(flow, exact, everywhere).median == pytest.approx(2.0, abs=0.02)
    assert dynamic_degree(flow, exact, everywhere) < 0.02


def test_what_is_flat_is_not_measurable():
    """The right half of the wall has no texture: there the flow of the true picture is not found, and not judged."""
    pictures, depth, lenses, cameras = sliding(2.5)
    pictures = pictures.copy()
    pictures[:, :, 48:] = 0.5
    exact, flow = static_flow(depth, lenses, cameras), dis_flow(pictures)
    everywhere = np.ones(flow.shape[:3], bool)
    known = measurable(flow, exact, everywhere)
    assert known[:, 8:-8, 8:36].mean() > 0.95 and known[:, :, 72:].mean() < 0.2
    assert not measurable(flow, exact, ~everywhere).any()


def test_no_motion_in_the_scene_is_no_answer():
    nothing = np.zeros((2, 4, 4, 2), np.float32)
    assert np.isnan(dynamic_degree(nothing, nothing, np.ones((2, 4, 4), bool)))
    assert np.isnan(end_point_error(nothing, nothing, np.zeros((2, 4, 4), bool)).median)


def test_tracks_follow_the_points_and_lose_what_leaves_or_is_hidden():
    _, depth, lenses, cameras = sliding(3.0, 9)
    ids = np.ones(depth.shape, np.uint8)
    depth, ids = depth.copy(), ids.copy()
    depth[4, 20:40, 20:40], ids[4, 20:40, 20:40] = 2.0, 2         # something passes before the wall in frame 4
    tracks = track_static(depth, ids, ids == 1, lenses, cameras)
    assert tracks.visible[0].all()
    kept = tracks.visible[8]
    assert 0 < kept.sum() < len(kept)
    assert np.allclose(tracks.at[8, kept, 0], tracks.at[0, kept, 0] - 24, atol=0.01)
    assert (tracks.at[0, ~kept, 0] < 24 + 3).all()
    start = tracks.at[0, :] - np.float32([12, 0])
    behind = (start > 20).all(-1) & (start < 40).all(-1)
    assert behind.any() and not tracks.visible[4, behind].any() and tracks.visible[5, behind].any()


def test_moving_surfaces_are_not_tracked():
    _, depth, lenses, cameras = sliding(0.0)
    ids = np.ones(depth.shape, np.uint8)
    ids[:, :, 48:] = 2
    tracks = track_static(depth, ids, ids == 1, lenses, cameras)
    assert (tracks.at[0, :, 0] < 48).all()


def test_a_steady_world_has_no_drift():
    pictures, depth, lenses, cameras = sliding(2.0)
    ids = np.ones(depth.shape, np.uint8)
    drift = measure_drift(pictures, track_static(depth, ids, ids == 1, lenses, cameras))
    assert drift.end < 0.2 and drift.flicker < 0.1 and drift.points > 50


def test_drift_is_what_the_gain_does_to_a_grey():
    """A wall that gets brighter by 0.01 a frame: end, bias and slope follow L* of the ramp."""
    _, depth, lenses, cameras = sliding(0.0, 9)
    ids = np.ones(depth.shape, np.uint8)
    levels = 0.4 + 0.01 * np.arange(9, dtype=np.float32)
    pictures = levels[:, None, None, None] * np.ones((9, HEIGHT, WIDTH, 3), np.float32)
    drift = measure_drift(pictures, track_static(depth, ids, ids == 1, lenses, cameras))
    light = srgb_to_lab(np.repeat(levels[:, None], 3, 1))[:, 0]
    assert drift.end == pytest.approx(light[-1] - light[0], abs=0.02)
    assert drift.bias == pytest.approx(drift.end, abs=0.02)
    assert drift.slope == pytest.approx(drift.end / 8, rel=0.05)
    assert drift.flicker < 0.05


def test_flicker_is_the_second_difference():
    """L* alternates by d: each second difference is 2 d; the drift at an even frame is none."""
    _, depth, lenses, cameras = sliding(0.0, 9)
    ids = np.ones(depth.shape, np.uint8)
    levels = np.where(np.arange(9) % 2, 0.52, 0.5).astype(np.float32)
    pictures = levels[:, None, None, None] * np.ones((9, HEIGHT, WIDTH, 3), np.float32)
    drift = measure_drift(pictures, track_static(depth, ids, ids == 1, lenses, cameras))
    low, high = srgb_to_lab(np.float32([[0.5] * 3, [0.52] * 3]))[:, 0]
    assert drift.flicker == pytest.approx(2 * (high - low), abs=0.05)
    assert drift.end < 0.01


def test_opposite_changes_have_drift_but_no_bias():
    _, depth, lenses, cameras = sliding(0.0, 3)
    ids = np.ones(depth.shape, np.uint8)
    sign = (np.arange(WIDTH) // 6 % 3 - 1).astype(np.float32)[None, :, None]        # a third each darker, steady, brighter
    pictures = np.stack([0.5 + 0.03 * f * sign * np.ones((HEIGHT, WIDTH, 3), np.float32) for f in range(3)])
    drift = measure_drift(pictures, track_static(depth, ids, ids == 1, lenses, cameras))
    assert drift.end > 4 and drift.bias < 0.1


def test_too_few_points_are_no_answer():
    pictures, depth, lenses, cameras = sliding(0.0)
    ids = np.ones(depth.shape, np.uint8)
    static = np.zeros(depth.shape, bool)
    static[:, 30:34, 30:34] = True
    drift = measure_drift(pictures, track_static(depth, ids, static, lenses, cameras))
    assert np.isnan(drift.end) and np.isnan(drift.flicker) and drift.points <= 1
