# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact projection of static points, in the conventions of :mod:`lucid.inference.shot.model`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Double = NDArray[np.float64]


def unproject(at: NDArray[np.floating[Any]], depth: NDArray[np.floating[Any]], intrinsics: NDArray[np.floating[Any]],
              world_from_camera: NDArray[np.floating[Any]]) -> Double:
    """World points (..., 3) in metres of image positions ``at`` (..., 2) px (a pixel's centre lies at +0.5) with
    ``depth`` (...) metres along the camera's z; ``intrinsics`` (3, 3), ``world_from_camera`` (4, 4)."""
    rays = np.concatenate([np.asarray(at, np.float64), np.ones((*at.shape[:-1], 1))], -1)
    rays = rays @ np.linalg.inv(np.asarray(intrinsics, np.float64)).T
    pose = np.asarray(world_from_camera, np.float64)
    return rays * np.asarray(depth, np.float64)[..., None] @ pose[:3, :3].T + pose[:3, 3]


def project(points: NDArray[np.floating[Any]], intrinsics: NDArray[np.floating[Any]],
            world_from_camera: NDArray[np.floating[Any]]) -> tuple[Double, Double]:
    """World points (..., 3) to image positions (..., 2) px and depth (...) metres; NaN positions behind the camera."""
    pose = np.linalg.inv(np.asarray(world_from_camera, np.float64))
    local = points @ pose[:3, :3].T + pose[:3, 3]
    depth = local[..., 2]
    image = local @ np.asarray(intrinsics, np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        at = image[..., :2] / depth[..., None]
    return np.where(depth[..., None] > 0, at, np.nan), depth


def pixel_centres(height: int, width: int) -> Double:
    """(H, W, 2) positions of the pixels' centres."""
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)


def static_flow(depth: Array, intrinsics: Array, world_from_camera: Array) -> Array:
    """(F-1, H, W, 2) float32 flow to the next frame, px, of a world that stands still: what the camera alone does.

    ``depth`` (F, H, W) metres, +inf for the background, whose flow is that of the camera's rotation; ``intrinsics``
    (F, 3, 3) and ``world_from_camera`` (F, 4, 4). NaN for points that come to lie behind the next camera.
    """
    centres = pixel_centres(*depth.shape[1:])
    flows = []
    for index in range(len(depth) - 1):
        far = ~np.isfinite(depth[index])
        points = unproject(centres, np.where(far, 1.0, depth[index]), intrinsics[index], world_from_camera[index])
        # a direction: the point at one metre, moved along with the camera's position
        shift = np.asarray(world_from_camera[index + 1], np.float64)[:3, 3] - world_from_camera[index][:3, 3]
        points = points + far[..., None] * shift
        at, _ = project(points, intrinsics[index + 1], world_from_camera[index + 1])
        flows.append(at - centres)
    return np.stack(flows).astype(np.float32)
