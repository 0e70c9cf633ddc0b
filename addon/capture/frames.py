# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame after its evaluation, as host data that outlives the next evaluation: drawing it needs its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import CameraView
from .geometry import Mesh
from .instances import Group
from .motion import background_step, seen_there
from .raster import Motion, Surface
from .volume import VolumeGrid, VolumeSurface


@dataclass
class FrameScene:
    """What is to be drawn in ``frame``: ``camera`` names the camera object, ``counts`` is as :func:`.instances.gather` has
    it, ``readings`` holds what was read of the evaluated scene beside its surfaces."""

    frame: int
    camera: str
    view: CameraView
    groups: list[Group]
    counts: dict[int, int] = field(default_factory=dict)
    volumes: list[VolumeGrid] = field(default_factory=list)
    readings: Any = None

    @cached_property
    def places(self) -> dict[int, tuple[Mesh, NDArray[np.float64]]]:
        """The mesh and the world matrix of each instance, by its id."""
        return {number: (group.mesh, matrix) for group in self.groups
                for number, matrix in zip(group.ids, group.matrices, strict=True)}

    def boxes(self, actors: int) -> NDArray[np.float64]:
        """(actors, 2, 3): the least and the greatest corner of what each actor shows, along the world's axes; NaN for one
        that shows nothing."""
        found = np.full((actors, 2, 3), np.nan)
        for group in self.groups:
            for matrix, actor in zip(group.matrices, group.actors, strict=True):
                if actor >= 0:
                    corners = group.mesh.corners_of_box @ matrix[:3, :3].T + matrix[:3, 3]
                    found[actor, 0] = np.fmin(found[actor, 0], corners.min(axis=0))
                    found[actor, 1] = np.fmax(found[actor, 1], corners.max(axis=0))
        return found


@dataclass(frozen=True)
class Flow:
    """``step`` (H, W, 2) float32 pixels to the same point in a neighbouring frame, x right, y down, ``valid`` (H, W)
    where it is known there, ``visible`` where the camera sees it there."""

    step: NDArray[np.float32]
    valid: NDArray[np.bool_]
    visible: NDArray[np.bool_]


@dataclass(frozen=True)
class FrameSurfaces:
    """Everything drawn for one frame: all of it, the clean plate, each actor alone, each actor's visible matte and the
    coverage of everything; ``forward`` and ``backward`` are there where they were asked for."""

    scene: FrameScene
    full: Surface
    environment: Surface
    actors: tuple[Surface, ...]
    mattes: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    forward: Flow | None = None
    backward: Flow | None = None
    volume: VolumeSurface | None = None

    @property
    def frame(self) -> int:
        return self.scene.frame

    @property
    def view(self) -> CameraView:
        return self.scene.view

    def world_normal(self) -> NDArray[np.float32]:
        """(H, W, 3): the normals along the world's axes; 0 where nothing is."""
        turn = self.view.world_from_camera[:3, :3].astype(np.float32)
        x, y, z = (self.full.normal[..., axis] for axis in range(3))
        # column by column: a threaded matrix product of many thin rows is far slower on a busy machine
        return np.stack([turn[axis, 0] * x + turn[axis, 1] * y + turn[axis, 2] * z for axis in range(3)], axis=-1)

    def with_flow(self, following: FrameSurfaces | None, previous: FrameSurfaces | None) -> FrameSurfaces:
        """The same with its flows, now that the neighbouring frames are drawn."""
        assert self.full.detail is not None, "flow was not drawn"
        return replace(self, forward=self._flow(self.full.detail.forward, following),
                       backward=self._flow(self.full.detail.backward, previous))

    def _flow(self, motion: Motion, there: FrameSurfaces | None) -> Flow:
        height, width = self.full.depth.shape
        if there is None or there.scene.camera != self.scene.camera:
            nowhere = np.zeros((height, width), bool)
            return Flow(np.zeros((height, width, 2), np.float32), nowhere, nowhere)
        step, valid, depth = motion.step, motion.valid, motion.depth
        behind = self.full.id == 0
        if behind.any():
            step, valid, depth = step.copy(), valid.copy(), depth.copy()
            step[behind], valid[behind] = background_step(self.view, there.view, np.argwhere(behind)[:, ::-1] + 0.5)
            depth[behind] = np.inf
        return Flow(step, valid, seen_there(step, depth, valid, self.full.id, there.full))
