# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays and texts of camera paths against closed forms and against what their readers do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference import cli
from lucid.inference.conditioning.camera import (
    check_perspective,
    clip_unit,
    parse_realestate10k,
    pluecker,
    realestate10k,
    relative_to_first,
)
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size
from lucid.tests.shots import FOCAL, make_shot
from scipy.spatial.transform import Rotation

SIZE = Size(64, 48)


def _pose(rotation: np.ndarray, at: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, at
    return pose


def _path(seed: int, count: int = 5, size: Size = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """A zooming camera with shifted centre and pixels that are not square, on a random path."""
    random = np.random.default_rng(seed)
    K = np.tile(np.eye(3), (count, 1, 1))
    K[:, 0, 0], K[:, 1, 1] = size.width * random.uniform(0.5, 3.0, count), size.width * random.uniform(0.5, 3.0, count)
    K[:, 0, 2], K[:, 1, 2] = size.width * random.uniform(0.3, 0.7, count), size.height * random.uniform(0.3, 0.7, count)
    poses = np.stack([_pose(Rotation.random(random_state=int(random.integers(1 << 30))).as_matrix(),
                            random.uniform(-9.0, 9.0, 3)) for _ in range(count)])
    return K, poses


def test_the_first_camera_looks_along_z_from_the_origin() -> None:
    K = np.array([[[50.0, 0.0, 32.0], [0.0, 40.0, 24.0], [0.0, 0.0, 1.0]]])
    rays = pluecker(K, np.eye(4)[None], SIZE)
    assert rays.shape == (1, 48, 64, 6) and rays.dtype == np.float32
    assert not rays[..., :3].any()
    expected = np.array([(10.5 - 32.0) / 50.0, (7.5 - 24.0) / 40.0, 1.0])
    assert np.allclose(rays[0, 7, 10, 3:], expected / np.linalg.norm(expected), atol=1e-7)


@given(st.integers(0, 10_000))
def test_points_along_a_ray_fall_on_its_pixels_centre(seed: int) -> None:
    K, poses = _path(seed, 3)
    rays = pluecker(K, poses, SIZE, relative=False).astype(np.float64)
    assert np.allclose(np.linalg.norm(rays[..., 3:], axis=-1), 1.0, atol=1e-6)
    for k, pose, frame in zip(K, poses, rays, strict=True):
        for row, column in ((0, 0), (47, 63), (20, 31)):
            moment, direction = frame[row, column, :3], frame[row, column, 3:]
            nearest = np.cross(direction, moment)       # the line's point nearest to the origin
            assert np.allclose(np.cross(pose[:3, 3] - nearest, direction), 0.0, atol=2e-5)
            point = np.linalg.inv(pose) @ np.append(pose[:3, 3] + 3.0 * direction, 1.0)
            pixel = k @ (point[:3] / point[2])
            assert np.allclose(pixel[:2], [column + 0.5, row + 0.5], atol=1e-3)


def test_the_moment_of_a_camera_that_moved() -> None:
    """Two metres to the right of the first camera, looking ahead: o x d = (2, 0, 0) x (0, 0, 1) = (0, -2, 0)."""
    K = np.tile([[50.0, 0.0, 32.5], [0.0, 50.0, 24.5], [0.0, 0.0, 1.0]], (2, 1, 1))
    first = _pose(Rotation.from_euler("xyz", [0.3, -1.0, 2.0]).as_matrix(), np.array([4.0, -3.0, 1.0]))
    second = first @ _pose(np.eye(3), np.array([2.0, 0.0, 0.0]))
    centre = pluecker(K, np.stack([first, second]), SIZE)[:, 24, 32]
    assert np.allclose(centre, [[0, 0, 0, 0, 0, 1], [0, -2, 0, 0, 0, 1]], atol=1e-6)
    assert np.allclose(pluecker(K, np.stack([first, second]), SIZE, unit=0.5)[1, 24, 32, :3], [0, -4, 0], atol=1e-6)


@given(st.integers(0, 10_000))
def test_the_text_says_what_it_was_given(seed: int) -> None:
    K, poses = _path(seed)
    seconds, K_back, poses_back = parse_realestate10k(realestate10k(K, poses, SIZE, 24.0, relative=False), SIZE)
    assert np.allclose(seconds, np.arange(5) / 24.0, atol=1e-6)
    assert np.allclose(K_back, K, rtol=1e-7)
    assert np.allclose(poses_back, poses, atol=1e-6)
    relative = parse_realestate10k(realestate10k(K, poses, SIZE, 24.0), SIZE)[2]
    assert np.allclose(relative[0], np.eye(4)) and np.allclose(relative, relative_to_first(poses), atol=1e-6)


def test_a_line_of_the_text() -> None:
    """As the example of Wan-Fun-Camera: time, focal lengths and centre over the size, two zeros, camera from world."""
    K = np.array([[[34.0, 0.0, 32.0], [0.0, 34.0, 24.0], [0.0, 0.0, 1.0]]] * 2)
    poses = np.stack([np.eye(4), _pose(np.eye(3), np.array([0.0, 0.0, 0.5]))])
    assert realestate10k(K, poses, SIZE, 25.0, title="walk").splitlines() == [
        "walk", "0 0.53125 0.708333333 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0",
        "40000 0.53125 0.708333333 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 -0.5"]


def test_a_near_plane_comes_to_where_the_data_set_has_it() -> None:
    K, poses = _path(3, 2)
    poses[1] = poses[0] @ _pose(np.eye(3), np.array([0.0, 0.0, 5.0]))      # as far as the near plane
    text = realestate10k(K, poses, SIZE, 24.0, unit=clip_unit(5.0))
    assert np.allclose(parse_realestate10k(text, SIZE)[2][1][:3, 3], [0.0, 0.0, 1.25], atol=1e-6)


@pytest.mark.parametrize("size", [Size(64, 48), Size(48, 64), Size(160, 64), Size(128, 72)])
def test_readers_that_undo_a_crop_get_the_focal_length(size: Size) -> None:
    """Wan-Fun-Camera's own arithmetic (``process_pose_file``, which takes every clip for 1280x720)."""
    K, poses = _path(7, 2, size)
    rows = [line.split() for line in realestate10k(K, poses, size, 24.0, reader=Size(1280, 720)).splitlines()[1:]]
    pose_ratio = 1280 / 720
    for row, k in zip(rows, K, strict=True):
        fx, fy = float(row[1]), float(row[2])
        if pose_ratio > size.width / size.height:
            fx = size.height * pose_ratio * fx / size.width
        else:
            fy = size.width / pose_ratio * fy / size.height
        assert (fx * size.width, fy * size.height) == pytest.approx((k[0, 0], k[1, 1]), rel=1e-7)


@pytest.mark.parametrize("text", ["title\n1 2 3\n", "title\n" + "x " * 19, "title\n", ""])
def test_what_is_no_such_text_is_told(text: str) -> None:
    with pytest.raises(LucidError, match="CAMERA_TEXT"):
        parse_realestate10k(text, SIZE)


def test_an_orthographic_camera_is_refused(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "street.lucid", frames=Frames(1, 1), size=SIZE)
    check_perspective(shot)
    with pytest.raises(LucidError, match="CAMERA_ORTHOGRAPHIC"):
        check_perspective(replace(shot, source={"projection": "orthographic"}))


def test_the_verb_writes_what_models_read(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "street.lucid", frames=Frames(1, 3), size=SIZE)
    assert cli.main(["camera", str(tmp_path / "street.lucid"), "--format", "re10k", "--out", str(tmp_path / "a.txt")]) == 0
    seconds, K, poses = parse_realestate10k((tmp_path / "a.txt").read_text(), SIZE)
    assert np.allclose(seconds, np.arange(3) / shot.rate.fps) and np.allclose(poses, np.eye(4))
    assert np.allclose(K[:, 0, 0], FOCAL * 64)
    assert cli.main(["camera", str(tmp_path / "street.lucid"), "--format", "pluecker", "--unit", "2",
                     "--out", str(tmp_path / "a.npz")]) == 0
    with np.load(tmp_path / "a.npz") as data:
        assert data["rays"].shape == (3, 48, 64, 6) and data["frame"].tolist() == [1, 2, 3]


def test_the_verb_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_shot(tmp_path / "street.lucid", frames=Frames(1, 3), size=SIZE)
    flags = ["camera", str(tmp_path / "street.lucid"), "--out", str(tmp_path / "a.txt")]
    assert cli.main([*flags, "--format", "re10k", "--unit", "0"]) == 2
    assert "USAGE" in capsys.readouterr().err
    assert cli.main([*flags[:2], "--format", "words", "--out", str(tmp_path / "no" / "words.txt")]) == 2
    assert "CAMERA_WORDS" in capsys.readouterr().err      # this shot was captured without
    assert not (tmp_path / "a.txt").exists()
