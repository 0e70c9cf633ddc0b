# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a place in the world keep its colour? The same static points followed through a shot by exact geometry."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .colour import delta_e, srgb_to_lab
from .geometry import pixel_centres, project, unproject

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

PATCH = 5
_MARGIN = 3           # px to the picture's border: a patch fits
_DEPTH_TOLERANCE = 0.02


@dataclass(frozen=True)
class Tracks:
    """Points of the world in the picture: ``at`` (F, P, 2) px (centres at +0.5), NaN where not ``visible`` (F, P)."""

    at: Array
    visible: Mask


@dataclass(frozen=True)
class Drift:
    """How the points' colours leave those of the first frame, in CIE76.

    ``end`` is the median over points in the last frame, ``slope`` the growth of that median per frame, ``bias`` the
    length of the median signed change (all points going the same way), ``flicker`` the median second difference of L*
    from frame to frame, ``points`` how many points the last frame still shows.
    """

    end: float
    slope: float
    bias: float
    flicker: float
    points: int


def track_static(depth: Array, ids: NDArray[np.integer], static: Mask, intrinsics: Array, world_from_camera: Array,
                 *, spacing: int = 6) -> Tracks:
    """Follow a grid of static surface points of the first frame, one every ``spacing`` pixels.

    ``depth`` (F, H, W) metres, ``ids`` (F, H, W) of surfaces, ``static`` (F, H, W) where a surface does not move,
    ``intrinsics`` (F, 3, 3), ``world_from_camera`` (F, 4, 4). A point is visible where it lies 3 px inside the picture,
    its distance agrees with the depth there to 2 %, and the id is its own.
    """
    frames, height, width = depth.shape
    grid = np.zeros((height, width), bool)
    grid[_MARGIN:-_MARGIN:spacing, _MARGIN:-_MARGIN:spacing] = True
    start = grid & static[0] & np.isfinite(depth[0])
    points = unproject(pixel_centres(height, width)[start], depth[0][start], intrinsics[0], world_from_camera[0])
    own = ids[0][start]
    at, visible = np.full((frames, len(points), 2), np.nan, np.float32), np.zeros((frames, len(points)), bool)
    for frame in range(frames):
        where, distance = project(points, intrinsics[frame], world_from_camera[frame])
        inside = (where >= _MARGIN).all(-1) & (where[:, 0] <= width - _MARGIN) & (where[:, 1] <= height - _MARGIN)
        x, y = (np.where(inside, where[:, axis], 0).astype(int) for axis in (0, 1))
        near = np.abs(depth[frame, y, x] - distance) < _DEPTH_TOLERANCE * distance
        visible[frame] = inside & near & (ids[frame, y, x] == own)
        at[frame] = np.where(visible[frame][:, None], where, np.nan)
    return Tracks(at, visible)


def track_colours(frames: Array, tracks: Tracks) -> Array:
    """(F, P, 3) L*a*b* of the tracks in ``frames`` (F, H, W, 3) sRGB: means over 5x5 px, NaN where not visible."""
    out = np.full((*tracks.visible.shape, 3), np.nan, np.float32)
    for index, (frame, at, seen) in enumerate(zip(frames, tracks.at, tracks.visible, strict=True)):
        if not seen.any():
            continue
        smooth = cv2.blur(srgb_to_lab(frame), (PATCH, PATCH))
        place = (at[seen] - 0.5).astype(np.float32)[None]
        out[index, seen] = cv2.remap(smooth, place[..., 0], place[..., 1], cv2.INTER_LINEAR)[0]
    return out


def measure_drift(frames: Array, tracks: Tracks, *, fewest: int = 20) -> Drift:
    """Drift and flicker of ``frames`` (F, H, W, 3) sRGB along ``tracks``.

    A frame that shows fewer than ``fewest`` points is not judged; without enough points in the last frame the drift is
    NaN, not a guess. Definitions: world-point drift and static flicker by exact tracks instead of estimated ones.
    """
    colours = track_colours(frames, tracks)
    enough = tracks.visible.sum(1) >= fewest
    flicker = _flicker(colours, fewest)
    if len(frames) < 2 or not enough[-1] or not enough[0]:
        return Drift(float("nan"), float("nan"), float("nan"), flicker, int(tracks.visible[-1].sum()))
    times = np.flatnonzero(enough)[1:]
    medians = np.array([np.nanmedian(delta_e(colours[t], colours[0])) for t in times])
    slope = float(np.polyfit(times, medians, 1)[0]) if len(times) > 1 else float("nan")
    bias = float(np.linalg.norm(np.nanmedian(colours[-1] - colours[0], axis=0)))
    return Drift(float(medians[-1]), slope, bias, flicker, int(tracks.visible[-1].sum()))


def _flicker(colours: Array, fewest: int) -> float:
    """Median over points and frames of ``|L[t+1] - 2 L[t] + L[t-1]|``."""
    light = colours[..., 0]
    bends = np.abs(light[2:] - 2 * light[1:-1] + light[:-2])
    bends = bends[np.isfinite(bends)]
    return float(np.median(bends)) if bends.size >= fewest else float("nan")
