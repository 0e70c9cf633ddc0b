# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scene says of each frame of a shot, read one frame at a time: the ground truth that pictures are held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from ..shot.images import read_planes
from ..shot.model import Layer, Shot
from ..surfaces import Samples, samples
from .affine import Motions, fit_motions
from .geometry import pixel_centres, unproject

Array = NDArray[np.float32]
Double = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ids = NDArray[np.uint32]

#: every this many pixels each way a sample takes part in finding how an instance moved
_STRIDE = 4


@dataclass(frozen=True, eq=False)
class Soft:
    """The samples, by rest position, of the part of a picture that holds all that deforms: it is ``width`` px wide and begins at
    the pixel ``corner`` (x, y)."""

    surface: Samples
    width: int
    corner: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame: ``index`` in the shot, counted from 0, and ``number``, the scene's frame.

    ``depth`` (H, W) metres, +inf for the background; ``ids`` (H, W); ``rest`` (H, W, 3) metres in the object's space, NaN where
    unknown; ``flow`` (H, W, 2) px to the next captured frame, ``flows`` (H, W) where that is known and seen there, nowhere in
    the last frame; ``K`` (3, 3) and ``world_from_camera`` (4, 4).
    """

    index: int
    number: int
    depth: Array
    ids: Ids
    rest: Array
    flow: Array
    flows: Mask
    K: Double
    world_from_camera: Double

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.depth.shape
        return height, width

    @cached_property
    def world(self) -> Array:
        """(H, W, 3) float32 metres: where each pixel's point lies; NaN for the background."""
        there = np.isfinite(self.depth)
        points = unproject(pixel_centres(*self.size), np.where(there, self.depth, 1.0), self.K, self.world_from_camera)
        return np.where(there[..., None], points, np.nan).astype(np.float32)

    def world_at(self, y: NDArray[np.integer[Any]], x: NDArray[np.integer[Any]]) -> Double:
        """(N, 3) metres: where the points of some pixels lie; nowhere near anything for the background."""
        at = np.stack([x, y], -1) + 0.5
        depth = self.depth[y, x]
        points = unproject(at, np.where(np.isfinite(depth), depth, 1.0), self.K, self.world_from_camera)
        return np.where(np.isfinite(depth)[:, None], points, np.inf)

    @cached_property
    def motions(self) -> Motions:
        """How each instance lies in the world now: the affine map from its rest positions."""
        pick = (slice(_STRIDE // 2, None, _STRIDE),) * 2
        depth = self.depth[pick]
        known = np.isfinite(depth) & np.isfinite(self.rest[pick]).all(-1) & (self.ids[pick] > 0)
        points = unproject(pixel_centres(*self.size)[pick][known], depth[known], self.K, self.world_from_camera)
        tolerance = 0.1 * depth[known] / self.K[0, 0]           # of a tenth of a pixel
        return fit_motions(self.ids[pick][known], self.rest[pick][known], points, tolerance)

    @cached_property
    def soft(self) -> Soft:
        """What deforms, in which its points are found again by their rest position."""
        deforms = np.isin(self.ids, self.motions.ids[~self.motions.stiff])
        rows, columns = np.flatnonzero(deforms.any(1)), np.flatnonzero(deforms.any(0))
        if not len(rows):
            return Soft(samples(self.rest[:1, :1], np.zeros((1, 1), np.uint32)), 1, (0, 0))
        top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
        part = (slice(top, int(rows[-1]) + 2), slice(left, int(columns[-1]) + 2))
        found = samples(np.where(deforms[part][..., None], self.rest[part], np.nan), self.ids[part])
        return Soft(found, self.ids[part].shape[1], (left, top))

    def covered(self, instances: Iterable[int]) -> Mask:
        """(H, W) where one of the instances is seen in front."""
        return np.isin(self.ids, np.fromiter(instances, np.uint32))


class Ground:
    """The passes depth, id, rest and flow_forward of a shot, and its camera; frames are counted from 0.

    Raises PASS_MISSING when one of these was not captured, EXR_INVALID, SHOT_INVALID, and CAMERA_PERSPECTIVE for a camera that
    is not a perspective one.
    """

    def __init__(self, folder: Path, shot: Shot) -> None:
        if shot.source.get("projection", "perspective") != "perspective":
            raise LucidError("CAMERA_PERSPECTIVE", f"the camera of '{shot.name}' is not a perspective one",
                             "measure a shot of a perspective camera")
        self.folder, self.shot = folder, shot
        self._sequences = {name: shot.sequence(name) for name in ("depth", "id", "rest", "flow_forward")}
        try:
            with np.load(folder / "camera.npz") as data:
                self.K, self.world_from_camera = data["K"].astype(np.float64), data["world_from_camera"].astype(np.float64)
        except (OSError, ValueError, KeyError) as error:
            raise LucidError("SHOT_INVALID", f"{folder / 'camera.npz'} cannot be read: {error}",
                             "capture the shot again") from error

    def __len__(self) -> int:
        return len(self.shot.frames)

    @property
    def actors(self) -> tuple[Layer, ...]:
        return self.shot.actors

    @property
    def seconds(self) -> float:
        """From one captured frame to the next."""
        return self.shot.frames.step / self.shot.rate.fps

    def moment(self, index: int) -> Moment:
        """Raises EXR_INVALID."""
        number = self.shot.frames.numbers[index]
        flow = self._planes("flow_forward", number, ("X", "Y", "visible"))
        return Moment(index, number, self._planes("depth", number)[..., 0], self._planes("id", number)[..., 0],
                      self._planes("rest", number), flow[..., :2], np.asarray(flow[..., 2] > 0.5), self.K[index],
                      self.world_from_camera[index])

    def _planes(self, name: str, number: int, channels: tuple[str, ...] = ()) -> NDArray[Any]:
        sequence = self._sequences[name]
        return read_planes(self.folder, sequence.path(number), self.shot.size, channels or sequence.channels)
