# SPDX-License-Identifier: GPL-3.0-or-later
"""Where two exact cameras allow a still point to be: on a line of the second picture, at one place if they share an eye."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Double = NDArray[np.float64]
Points = NDArray[np.floating[Any]]


def fundamental(intrinsics: tuple[Double, Double], cameras: tuple[Double, Double]) -> Double:
    """F (3, 3) with ``x2 F x1 = 0`` for homogeneous px of one still point in two pictures; ``intrinsics`` (3, 3) and
    ``cameras`` world_from_camera (4, 4) of the two (Hartley and Zisserman, 2nd edition, 9.6). 0 for cameras at one place."""
    second_from_first = np.linalg.inv(cameras[1]) @ cameras[0]
    x, y, z = second_from_first[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.linalg.inv(intrinsics[1]).T @ cross @ second_from_first[:3, :3] @ np.linalg.inv(intrinsics[0]))


def sampson(fundamental: Double, first: Points, second: Points) -> Double:
    """(N,) px by which the points ``first`` and ``second`` (N, 2) miss each other's lines: the distance to the nearest pair
    that agrees, to first order (Sampson 1982; Hartley and Zisserman, 11.4.3)."""
    one, two = _homogeneous(first), _homogeneous(second)
    lines, back = one @ fundamental.T, two @ fundamental
    slope = np.sqrt((lines[:, :2] ** 2).sum(-1) + (back[:, :2] ** 2).sum(-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs((two * lines).sum(-1)) / slope)


def turning(intrinsics: tuple[Double, Double], cameras: tuple[Double, Double]) -> Double:
    """The homography (3, 3) ``K2 R K1^-1`` that takes homogeneous px of the first camera to where the second one would see
    the points if it had only turned and zoomed (Hartley and Zisserman, 2nd edition, 8.4)."""
    rotation = cameras[1][:3, :3].T @ cameras[0][:3, :3]
    return np.asarray(intrinsics[1] @ rotation @ np.linalg.inv(intrinsics[0]))


def through(homography: Double, at: Points) -> Double:
    """(N, 2) px where a homography takes the points ``at`` (N, 2); NaN for what comes to lie behind the camera."""
    seen = _homogeneous(at) @ homography.T
    front = seen[:, 2:] > 0
    return np.where(front, seen[:, :2] / np.where(front, seen[:, 2:], 1.0), np.nan)


def triangulate(first: Points, second: Points, intrinsics: tuple[Double, Double],
                cameras: tuple[Double, Double]) -> tuple[Double, Double]:
    """(N,) depth, metres along the first camera's z, of the places in which the rays through ``first`` and ``second`` (N, 2)
    px come nearest to each other (the closest point of approach of two lines), and (N,) the angle between the rays, degrees.
    Rays that part have a negative depth, parallel ones NaN."""
    one, two = (_homogeneous(at) @ (camera[:3, :3] @ np.linalg.inv(k)).T
                for at, k, camera in zip((first, second), intrinsics, cameras, strict=True))
    base = cameras[0][:3, 3] - cameras[1][:3, 3]
    aa, ab, bb = ((a * b).sum(-1) for a, b in ((one, one), (one, two), (two, two)))
    square = aa * bb - ab * ab
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = (ab * (two @ base) - bb * (one @ base)) / square
        angle = np.degrees(np.arctan2(np.sqrt(np.maximum(square, 0.0)), ab))
    return np.where(square > 0, depth, np.nan), angle


def _homogeneous(at: Points) -> Double:
    return np.concatenate([np.asarray(at, np.float64), np.ones((len(at), 1))], -1)
