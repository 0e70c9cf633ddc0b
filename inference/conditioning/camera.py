# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera paths as camera-conditioned video models read them: RealEstate10K's text and Pluecker rays.

Both speak of directions and of *ratios* of distances. RealEstate10K was reconstructed from video, so that its unit is
arbitrary; each clip was scaled until the 10th percentile of its frames' near planes (the 5th percentile of depth) lay at
1.25 (Zhou et al. 2018, Stereo Magnification, section 4). Lucid writes metres; ``unit`` is how many metres one unit of
the model shall stand for, and :func:`clip_unit` is RealEstate10K's own choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from ..shot.model import Shot, Size

NEAR_PLANE = 1.25
_COLUMNS = 19

Array = NDArray[np.float64]


def check_perspective(shot: Shot) -> None:
    """Raise CAMERA_ORTHOGRAPHIC for a shot whose camera has no focal length."""
    if shot.source.get("projection") == "orthographic":
        raise LucidError("CAMERA_ORTHOGRAPHIC", f"the camera '{shot.camera}' is orthographic",
                         "camera-conditioned models know perspective cameras only: make it one, or use words")


def clip_unit(near: float) -> float:
    """Metres per unit that bring a near plane of ``near`` metres to where RealEstate10K has it."""
    return near / NEAR_PLANE


def relative_to_first(world_from_camera: NDArray[np.floating[Any]]) -> Array:
    """(F, 4, 4) camera poses in the first camera's axes: the first becomes the identity (CameraCtrl,
    ``get_relative_pose``)."""
    poses = np.asarray(world_from_camera, np.float64)
    return np.linalg.inv(poses[0]) @ poses


def realestate10k(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], size: Size, fps: float, *,
                  title: str = "lucid", relative: bool = True, unit: float = 1.0, reader: Size | None = None) -> str:
    """The text of a camera path: a title, then one line per frame with 19 numbers: microseconds, fx, fy, cx, cy, 0, 0
    and the camera-from-world 3x4 row by row (RealEstate10K; read by CameraCtrl, ``inference.py``, and Wan-Fun-Camera,
    ``process_pose_file``).

    ``K`` is (F, 3, 3) in pixels of ``size``, ``world_from_camera`` (F, 4, 4) with OpenCV axes in metres. Focal lengths
    and centres are divided by width and height. ``reader`` is the size those readers take every clip for (1280x720
    unless told otherwise): they undo a crop from its shape to the clip's, so that given it, the focal length in pixels
    comes out right for a picture of another shape.
    """
    poses = relative_to_first(world_from_camera) if relative else np.asarray(world_from_camera, np.float64)
    back = np.linalg.inv(poses)[:, :3]
    back[..., 3] /= unit
    intrinsics = np.asarray(K, np.float64)
    width, height = _whole(size, reader)
    lines = [title]
    for index, (k, matrix) in enumerate(zip(intrinsics, back, strict=True)):
        lens = (k[0, 0] / width, k[1, 1] / height, k[0, 2] / size.width, k[1, 2] / size.height, 0.0, 0.0)
        lines.append(f"{round(index / fps * 1e6)} " + " ".join(f"{value:.9g}" for value in (*lens, *matrix.ravel())))
    return "\n".join(lines) + "\n"


def parse_realestate10k(text: str, size: Size) -> tuple[Array, Array, Array]:
    """Back from the text: seconds (F,), ``K`` (F, 3, 3) in pixels of ``size`` and ``world_from_camera`` (F, 4, 4).

    Raises CAMERA_TEXT for what is not such a text.
    """
    try:
        rows = np.array([[float(word) for word in line.split()] for line in text.splitlines()[1:] if line.strip()])
    except ValueError as error:
        raise LucidError("CAMERA_TEXT", f"the camera text cannot be read: {error}", "give a RealEstate10K text") from error
    if rows.ndim != 2 or rows.shape[1] != _COLUMNS:
        raise LucidError("CAMERA_TEXT", f"a line of the camera text does not hold {_COLUMNS} numbers",
                         "give a RealEstate10K text")
    K = np.tile(np.eye(3), (len(rows), 1, 1))
    K[:, 0, 0], K[:, 1, 1] = rows[:, 1] * size.width, rows[:, 2] * size.height
    K[:, 0, 2], K[:, 1, 2] = rows[:, 3] * size.width, rows[:, 4] * size.height
    back = np.tile(np.eye(4), (len(rows), 1, 1))
    back[:, :3] = rows[:, 7:].reshape(-1, 3, 4)
    return rows[:, 0] * 1e-6, K, np.asarray(np.linalg.inv(back), np.float64)


def pluecker(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], size: Size, *,
             relative: bool = True, unit: float = 1.0) -> NDArray[np.float32]:
    """(F, H, W, 6) float32 rays through the pixel centres: moment o x d, then the unit direction d (CameraCtrl,
    ``ray_condition``; SANA-WM wants the halves swapped).

    Directions lie in the first camera's axes with ``relative``, else in the world's; moments are in ``unit`` metres.
    """
    poses = relative_to_first(world_from_camera) if relative else np.asarray(world_from_camera, np.float64)
    intrinsics = np.asarray(K, np.float64)
    u, v = np.arange(size.width) + 0.5, np.arange(size.height) + 0.5
    rays = np.empty((len(poses), size.height, size.width, 6), np.float32)
    for k, pose, out in zip(intrinsics, poses, rays, strict=True):
        x, y = np.meshgrid((u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1])
        direction = np.stack([x, y, np.ones_like(x)], axis=-1)
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        direction = np.einsum("ij,hwj->hwi", pose[:3, :3], direction)
        out[..., :3] = np.cross(pose[:3, 3] / unit, direction)
        out[..., 3:] = direction
    return rays


def _whole(size: Size, reader: Size | None) -> tuple[float, float]:
    """Width and height in pixels of the picture of the reader's shape that ``size`` was cropped from."""
    if reader is None:
        return size.width, size.height
    aspect = reader.width / reader.height
    if aspect > size.width / size.height:
        return size.height * aspect, size.height
    return size.width, size.width / aspect
