# SPDX-License-Identifier: GPL-3.0-or-later
"""Marches volumes on the GPU: what is left of the light behind them, what they emit, and how far away they are.

Per channel c, along a pixel's ray with the length s from the near plane to the first surface, the end of the volumes or
the camera's far plane:

    transmittance T(s) = exp(-int_0^s sigma ds)     emission = int T e ds     depth = int T sigma z ds / int T sigma ds

sigma and e are sums over all grids, so that volumes that overlap are one medium. The ray is cut wherever it enters or
leaves a grid; within a piece the steps are half the smallest voxel there, sigma and e are sampled in a step's middle and
hold over the step, whose integrals are closed forms. So a homogeneous medium is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gpu
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.model import Size
from .camera import CameraView
from .shading import SHADERS

MOST_VOXELS = 1 << 26               # of one frame: 256 MiB as float32
WIDE = 4096                         # of the texture that holds all grids, one after the other
CURVE = 1024
_TEXELS_PER_GRID = 6


@dataclass(frozen=True, eq=False)
class VolumeGrid:
    """One scalar grid in the world, and what it does to light.

    ``values`` (X, Y, Z) float32 stand at whole numbers of the index and are interpolated trilinearly, towards 0 beyond
    the outermost; below 0 they count as 0. ``world_from_index`` (4, 4) float64 gives metres. ``extinction`` (3,) and
    ``emission`` (3,) are what a value of 1 takes from light and gives, per metre of the world, scene-linear RGB. With a
    ``curve`` (CURVE, 3) float32 a voxel gives ``emission`` times the curve at its value; the rows go evenly from 0, which
    gives nothing, to ``reach``.
    """

    values: NDArray[np.float32]
    world_from_index: NDArray[np.float64]
    extinction: tuple[float, float, float] = (0.0, 0.0, 0.0)
    emission: tuple[float, float, float] = (0.0, 0.0, 0.0)
    curve: NDArray[np.float32] | None = None
    reach: float = 0.0


@dataclass(frozen=True)
class VolumeSurface:
    """What the volumes do in front of the first surface, top row first, float32: ``transmittance`` (H, W) in [0, 1], the
    mean of the channels (as Cycles's alpha); ``emission`` (H, W, 3) scene-linear, not scattered; ``depth`` (H, W), the
    expected depth in metres along z of what they take away, +inf where the transmittance is 1."""

    transmittance: NDArray[np.float32]
    emission: NDArray[np.float32]
    depth: NDArray[np.float32]


class Marcher:
    """Marches one frame after the other at one size. It lives inside one render() call, whose GPU context it uses."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._shader = _shader()
        self._batch = _triangle()
        self._kept: tuple[NDArray[np.float32], ...] = ()
        kinds = ("RGBA32F", "R32F")
        self._targets = [gpu.types.GPUTexture((size.width, size.height), format=kind) for kind in kinds]
        self._frame = gpu.types.GPUFrameBuffer(color_slots=self._targets)

    def march(self, volumes: Sequence[VolumeGrid], view: CameraView, surface_depth: NDArray[np.float32]) -> VolumeSurface:
        """``surface_depth`` (H, W) metres along z, +inf where nothing is. Raises VOLUME_SIZE when the grids together have
        more than MOST_VOXELS voxels."""
        width, height = self._size.width, self._size.height
        if not volumes:
            return clear_air(self._size)
        rows = self._load(tuple(volume.values for volume in volumes))
        table = np.stack([_texels(volume, view, row) for volume, row in zip(volumes, rows, strict=True)])
        curves = np.zeros((len(volumes), CURVE, 4), np.float32)
        for volume, curve in zip(volumes, curves, strict=True):
            if volume.curve is not None:
                curve[:, :3] = volume.curve
        stop = np.minimum(np.asarray(surface_depth, np.float32)[::-1], np.float32(view.far))
        with self._frame.bind():
            self._draw(view, len(volumes), table=_texture(table, _TEXELS_PER_GRID, len(volumes)),
                       curves=_texture(curves, CURVE, len(volumes)), stop=_texture(stop, width, height))
            colour = np.array(self._frame.read_color(0, 0, width, height, 4, 0, "FLOAT"), np.float32)
            depth = np.array(self._frame.read_color(0, 0, width, height, 1, 1, "FLOAT"), np.float32)
        colour = colour.reshape(height, width, 4)[::-1]
        return VolumeSurface(np.ascontiguousarray(colour[..., 3]), np.ascontiguousarray(colour[..., :3]),
                             np.ascontiguousarray(depth.reshape(height, width)[::-1]))

    def _load(self, grids: tuple[NDArray[np.float32], ...]) -> list[int]:
        """Upload what the last frame did not have; returns the row of the texture in which each grid begins."""
        unique = tuple({id(grid): grid for grid in grids}.values())
        lengths = [-(-grid.size // WIDE) for grid in unique]
        starts = np.cumsum([0, *lengths])
        if starts[-1] * WIDE > MOST_VOXELS or starts[-1] > gpu.capabilities.max_texture_size_get():
            raise LucidError("VOLUME_SIZE", f"the volumes of one frame have more than {MOST_VOXELS >> 20} million voxels",
                             "hide some of them, or make their voxels larger")
        if [id(grid) for grid in unique] != [id(grid) for grid in self._kept]:
            texels = np.zeros((starts[-1], WIDE), np.float32)
            for grid, start, length in zip(unique, starts, lengths, strict=False):
                texels[start:start + length].reshape(-1)[:grid.size] = grid.reshape(-1)
            self._grids, self._kept = _texture(texels, WIDE, int(starts[-1])), unique
        row_of = {id(grid): int(start) for grid, start in zip(unique, starts, strict=False)}
        return [row_of[id(grid)] for grid in grids]

    def _draw(self, view: CameraView, count: int, **samplers: gpu.types.GPUTexture) -> None:
        # never trust what the context holds
        gpu.state.blend_set("NONE")
        gpu.state.face_culling_set("NONE")
        gpu.state.depth_test_set("NONE")
        gpu.state.depth_mask_set(False)
        gpu.state.color_mask_set(True, True, True, True)
        K = view.K
        self._shader.bind()
        self._shader.uniform_float("camera", (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        self._shader.uniform_float("near", near_plane(view))
        self._shader.uniform_int("orthographic", int(view.orthographic))
        self._shader.uniform_int("height", self._size.height)
        self._shader.uniform_int("count", count)
        for name, texture in {"grids": self._grids, **samplers}.items():
            self._shader.uniform_sampler(name, texture)
        self._batch.draw(self._shader)


def clear_air(size: Size) -> VolumeSurface:
    """No volume at all."""
    shape = size.height, size.width
    return VolumeSurface(np.ones(shape, np.float32), np.zeros((*shape, 3), np.float32), np.full(shape, np.inf, np.float32))


def near_plane(view: CameraView) -> float:
    """Metres along z at which the camera begins to see, read off its projection (OpenGL's frustum and ortho matrices)."""
    scale, offset = view.projection[2, 2], view.projection[2, 3]
    return float((offset + 1.0) / scale if view.orthographic else offset / (scale - 1.0))


def _texels(volume: VolumeGrid, view: CameraView, row: int) -> NDArray[np.float32]:
    """(6, 4): rows of index_from_camera (OpenCV axes; inverted and multiplied in float64, so that far from the world's
    origin nothing is lost), the grid's shape and first row, extinction, emission and the reach of its curve (0: none)."""
    texels = np.zeros((_TEXELS_PER_GRID, 4), np.float32)
    texels[:3] = (np.linalg.inv(volume.world_from_index) @ view.world_from_camera)[:3]
    texels[3] = (*volume.values.shape, row)
    texels[4, :3] = volume.extinction
    texels[5] = (*volume.emission, volume.reach if volume.curve is not None else 0.0)
    return texels


def _texture(texels: NDArray[np.float32], width: int, height: int) -> gpu.types.GPUTexture:
    flat = np.ascontiguousarray(texels, np.float32).reshape(-1)
    kind = "R32F" if flat.size == width * height else "RGBA32F"
    return gpu.types.GPUTexture((width, height), format=kind, data=gpu.types.Buffer("FLOAT", flat.size, flat))


def _shader() -> gpu.types.GPUShader:
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC2", "position")
    for slot, name in enumerate(("grids", "table", "curves", "stop")):
        info.sampler(slot, "FLOAT_2D", name)
    info.push_constant("VEC4", "camera")
    info.push_constant("FLOAT", "near")
    for name in ("orthographic", "height", "count"):
        info.push_constant("INT", name)
    info.define("WIDE", str(WIDE))
    info.define("CURVE", str(CURVE))
    info.fragment_out(0, "VEC4", "light")
    info.fragment_out(1, "FLOAT", "depth")
    info.vertex_source((SHADERS / "volume.vert.glsl").read_text(encoding="utf-8"))
    info.fragment_source((SHADERS / "volume.frag.glsl").read_text(encoding="utf-8"))
    return gpu.shader.create_from_info(info)


def _triangle() -> gpu.types.GPUBatch:
    """One triangle that covers the picture."""
    layout = gpu.types.GPUVertFormat()
    layout.attr_add(id="position", comp_type="F32", len=2, fetch_mode="FLOAT")
    buffer = gpu.types.GPUVertBuf(format=layout, len=3)
    buffer.attr_fill("position", np.array([[-1.0, -1.0], [3.0, -1.0], [-1.0, 3.0]], np.float32))
    return gpu.types.GPUBatch(type="TRIS", buf=buffer)
