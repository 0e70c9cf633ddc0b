# SPDX-License-Identifier: GPL-3.0-or-later
"""Where instances are in the neighbouring frames, how the background moves, and whether a point is seen there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .camera import CameraView
from .geometry import Mesh
from .instances import Group

if TYPE_CHECKING:
    from .frames import FrameScene
    from .raster import Surface

# a point counts as what is seen at a pixel when it is not behind it by more than this part of its depth
_DEPTH_TOLERANCE = 1e-3
# an orthographic camera that turns sweeps an infinitely far background infinitely fast: none of this and it stands still
_SAME_DIRECTION = 1e-9


@dataclass(frozen=True)
class Known:
    """One instance of a group with what is known of it in the neighbouring frames; its own matrix where nothing is."""

    index: int
    next_matrix: NDArray[np.float64]
    previous_matrix: NDArray[np.float64]
    in_next: bool
    in_previous: bool


class Neighbours:
    """The frames around one, as far as its points can be followed there: None at the ends of a shot and at cuts."""

    def __init__(self, here: FrameScene, following: FrameScene | None, previous: FrameScene | None) -> None:
        self._next, self._previous = (other if other is not None and other.camera == here.camera else None
                                      for other in (following, previous))
        self._counts = here.counts
        self.next_view: CameraView = (self._next or here).view
        self.previous_view: CameraView = (self._previous or here).view
        self.has_next, self.has_previous = self._next is not None, self._previous is not None

    def split(self, group: Group) -> Iterator[tuple[tuple[Mesh, Mesh] | None, list[Known]]]:
        """The group's instances by the meshes they are (in the next, in the previous frame); None where these are the
        group's own, so that nothing deforms."""
        found: dict[tuple[Mesh, Mesh] | None, list[Known]] = {}
        for index, (number, matrix) in enumerate(zip(group.ids, group.matrices, strict=True)):
            after, after_mesh = self._followed(group.mesh, number, self._next)
            before, before_mesh = self._followed(group.mesh, number, self._previous)
            moves = None if after_mesh is group.mesh is before_mesh else (after_mesh, before_mesh)
            found.setdefault(moves, []).append(Known(index, matrix if after is None else after,
                                                     matrix if before is None else before,
                                                     after is not None, before is not None))
        yield from found.items()

    def _followed(self, mesh: Mesh, number: int, frame: FrameScene | None) -> tuple[NDArray[np.float64] | None, Mesh]:
        """The matrix and the mesh of an instance in another frame; (None, its own mesh) where it cannot be followed."""
        place = frame.places.get(number) if frame is not None else None
        if frame is None or place is None or not mesh.moves_into(place[0]):
            return None, mesh
        here, there = self._counts.get(number), frame.counts.get(number)
        if here is not None and there is not None and here != there:
            return None, mesh
        return place[1], place[0]


def background_step(here: CameraView, there: CameraView,
                    pixels: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How an infinitely far background moves from one camera to another where it is seen at ``pixels`` (N, 2): (N, 2)
    float32 pixels, and (N,) whether it is in front of the other camera.

    A perspective camera sees the direction K^-1 (u, v, 1), so the move is the homography K' R'^T R K^-1 (Hartley and
    Zisserman, section 8.4.2). An orthographic one sees a single direction: nothing moves unless it turns.
    """
    turn = there.world_from_camera[:3, :3].T @ here.world_from_camera[:3, :3]
    if here.orthographic or there.orthographic:
        still = bool(here.orthographic and there.orthographic and np.abs(turn - np.eye(3)).max() < _SAME_DIRECTION)
        return np.zeros(pixels.shape, np.float32), np.full(len(pixels), still)
    if np.array_equal(turn, np.eye(3)) and np.array_equal(here.K, there.K):
        return np.zeros(pixels.shape, np.float32), np.ones(len(pixels), bool)
    homography = there.K @ turn @ np.linalg.inv(here.K)
    x, y, z = (row[0] * pixels[:, 0] + row[1] * pixels[:, 1] + row[2] for row in homography)
    ahead = z > 0.0
    divisor = np.where(ahead, z, 1.0)
    step = np.stack([x / divisor, y / divisor], axis=-1) - pixels
    return np.where(ahead[:, None], step, 0.0).astype(np.float32), ahead


def seen_there(step: NDArray[np.float32], depth: NDArray[np.float32], valid: NDArray[np.bool_], ids: NDArray[np.uint32],
               there: Surface) -> NDArray[np.bool_]:
    """Whether the camera sees in ``there`` the points that move by ``step`` to ``depth``: (H, W) bool.

    A point is seen when one of the four pixel centres around it shows its instance not nearer than the point (on slanted
    surfaces a single one may be nearer), and the pixel it falls into does not show something else in front of it.
    """
    height, width = depth.shape
    x = step[..., 0] + np.arange(width, dtype=np.float32) + np.float32(0.5)
    y = step[..., 1] + (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, None]
    inside = np.flatnonzero(valid & (x >= 0.0) & (x < width) & (y >= 0.0) & (y < height))
    # from here on only the points that can be seen, and in pictures with a border of one pixel, so that no index is clipped
    column = np.floor(x.ravel()[inside] + np.float32(0.5)).astype(np.int32)
    row = np.floor(y.ravel()[inside] + np.float32(0.5)).astype(np.int32)
    first = row * (width + 2) + column
    nearest, own = depth.ravel()[inside] * np.float32(1.0 - _DEPTH_TOLERANCE), ids.ravel()[inside]
    depths, names = (np.pad(picture, 1, mode="edge").ravel() for picture in (there.depth, there.id))
    hit = np.zeros(len(inside), bool)
    for offset in (0, 1, width + 2, width + 3):
        at = first + offset
        hit |= (names[at] == own) & (depths[at] >= nearest)
    fallen_into = (y.ravel()[inside].astype(np.int32) + 1) * (width + 2) + x.ravel()[inside].astype(np.int32) + 1
    hit &= (names[fallen_into] == own) | (depths[fallen_into] >= nearest)
    seen = np.zeros(height * width, bool)
    seen[inside] = hit
    return seen.reshape(height, width)
