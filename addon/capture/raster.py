# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws instances into depth, normal and id on the GPU. Data is one sample at the pixel centre, never averaged."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import bpy
import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.model import Size
from .camera import CameraView
from .geometry import Group, Triangles

SHADERS = Path(__file__).resolve().parents[2] / "shaders"
_EGL_PLATFORM_SURFACELESS = 0x31DD     # EGL_MESA_platform_surfaceless

_TEXELS_WIDE = 2048
_TEXELS_PER_INSTANCE = 4

# Mattes: 2 x 2 samples of each of four draws moved by a rotated grid, in sub-pixels: 16 samples of a pixel, eight
# different columns and eight different rows, so that edges along an axis keep eight steps.
_SPLIT = 2
_SHIFTS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))
MATTE_SAMPLES = _SPLIT * _SPLIT * len(_SHIFTS)


@dataclass(frozen=True)
class Surface:
    """What the camera sees first, top row first: ``depth`` (H, W) float32 metres along z, +inf where nothing is;
    ``normal`` (H, W, 3) float32, OpenCV camera axes, 0 where nothing is; ``id`` (H, W) uint32, 0 where nothing is."""

    depth: NDArray[np.float32]
    normal: NDArray[np.float32]
    id: NDArray[np.uint32]


@dataclass(frozen=True)
class _Draw:
    batch: gpu.types.GPUBatch
    runs: dict[int, tuple[int, int]]     # actor -> (first instance, how many)


class _Targets:
    """A frame buffer with its textures: the frame buffer itself does not keep them alive."""

    def __init__(self, size: Size, formats: tuple[str, ...]) -> None:
        self._depth = _texture(size, "DEPTH_COMPONENT32F")
        self._colours = [_texture(size, kind) for kind in formats]
        self.frame = gpu.types.GPUFrameBuffer(depth_slot=self._depth, color_slots=self._colours)

    def clear(self, values: tuple[tuple[str, tuple[float, ...]], ...]) -> None:
        """Clear each colour texture with its (format, value), and depth to the far plane; the frame buffer is bound."""
        for texture, (kind, value) in zip(self._colours, values, strict=True):
            texture.clear(format=kind, value=value)
        self.frame.clear(depth=1.0)


class Rasteriser:
    """Draws one frame after the other at one size. It lives inside one render() call, whose GPU context it uses."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._surface_shader = _shader("gbuffer.frag.glsl", surface=True)
        self._identity_shader = _shader("identity.frag.glsl", surface=False)
        self._targets = _Targets(size, ("RGBA32F", "R32UI"))
        self._fine_size = Size(size.width * _SPLIT, size.height * _SPLIT)
        self._fine: _Targets | None = None
        self._batches: dict[Triangles, gpu.types.GPUBatch] = {}
        self._draws: list[_Draw] = []

    def load(self, groups: list[Group], view: CameraView) -> None:
        """Upload what changed since the last frame, and every instance's matrix and id."""
        batches = {group.triangles: self._batches.get(group.triangles) or _batch(group.triangles) for group in groups}
        self._batches = batches
        self._view = view
        self._draws = []
        rows: list[NDArray[np.float32]] = []
        first = 0
        for group in groups:
            order = np.argsort(group.actors, kind="stable")
            rows.append(_instance_texels(group, order, view))
            runs: dict[int, tuple[int, int]] = {}
            actors, counts = np.unique(np.asarray(group.actors), return_counts=True)
            for actor, count in zip(actors.tolist(), counts.tolist(), strict=True):
                runs[actor] = (first, count)
                first += count
            self._draws.append(_Draw(batches[group.triangles], runs))
        self._instances = _instance_texture(rows)

    def surface(self, actors: Collection[int]) -> Surface:
        """Depth, normal and id of the instances that belong to ``actors`` (the environment has its own index)."""
        width, height = self._size.width, self._size.height
        frame = self._targets.frame
        with frame.bind():
            self._targets.clear((("FLOAT", (0.0, 0.0, 0.0, np.inf)), ("UINT", (0,))))
            self._draw(self._surface_shader, _projection(self._view, 0.0, 0.0), actors)
            colour = np.array(frame.read_color(0, 0, width, height, 4, 0, "FLOAT"), np.float32)[::-1]
            identity = np.array(frame.read_color(0, 0, width, height, 1, 1, "UINT"), np.uint32)[::-1]
        return Surface(np.ascontiguousarray(colour[..., 3]), np.ascontiguousarray(colour[..., :3]),
                       np.ascontiguousarray(identity.reshape(height, width)))

    def coverage(self, actors: Collection[int], actor_of_id: NDArray[np.int32], count: int) -> NDArray[np.float32]:
        """Antialiased visible coverage of actors 0 .. ``count`` - 1: (count, H, W) float32 in [0, 1].

        ``actors`` are drawn (they hide each other); ``actor_of_id`` maps an id to its actor.
        """
        fine = self._fine_size
        self._fine = self._fine or _Targets(fine, ("R32UI",))
        hits = np.zeros((count, self._size.height, self._size.width), np.uint8)
        for x, y in _SHIFTS:
            with self._fine.frame.bind():
                self._fine.clear((("UINT", (0,)),))
                self._draw(self._identity_shader, _projection(self._view, 2.0 * x / fine.width, 2.0 * y / fine.height),
                           actors)
                identity = np.array(self._fine.frame.read_color(0, 0, fine.width, fine.height, 1, 0, "UINT"), np.uint32)
            owner = actor_of_id[identity.reshape(fine.height, fine.width)[::-1]]
            for actor in range(count):
                hit = (owner == actor).view(np.uint8)
                for i in range(_SPLIT * _SPLIT):
                    hits[actor] += hit[i // _SPLIT::_SPLIT, i % _SPLIT::_SPLIT]
        return hits / np.float32(MATTE_SAMPLES)

    def _draw(self, shader: gpu.types.GPUShader, projection: Matrix, actors: Collection[int]) -> None:
        # never trust what the context holds
        gpu.state.blend_set("NONE")
        gpu.state.face_culling_set("NONE")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        gpu.state.color_mask_set(True, True, True, True)
        shader.bind()
        shader.uniform_float("projection", projection)
        shader.uniform_float("inverse_far", 1.0 / self._view.far)
        shader.uniform_sampler("instances", self._instances)
        for draw in self._draws:
            for actor, (first, count) in draw.runs.items():
                if actor in actors:
                    shader.uniform_int("first", first)
                    draw.batch.draw_instanced(shader, instance_start=0, instance_count=count)
        gpu.state.depth_test_set("NONE")
        gpu.state.depth_mask_set(False)


def ensure_gpu() -> None:
    """Make a GPU context where there is no window. Raises GPU_MISSING."""
    if not bpy.app.background:
        return
    missing = LucidError("GPU_MISSING", "no graphics context can be made here",
                         "install a graphics driver; Mesa's software driver will do (libegl1, libgl1-mesa-dri)")
    if sys.platform == "linux" and bpy.context.preferences.system.gpu_backend == "OPENGL" and not _egl_starts():
        raise missing
    try:
        gpu.init()
    except SystemError as error:
        raise missing from error


def _egl_starts() -> bool:
    """Whether EGL works here, with a display or without one. Blender 5.2 dies of a segmentation fault where it does not,
    so it is asked first."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetPlatformDisplay.restype = ctypes.c_void_p
    egl.eglGetPlatformDisplay.argtypes = [ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
    egl.eglGetDisplay.restype = ctypes.c_void_p
    egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    displays = (egl.eglGetPlatformDisplay(_EGL_PLATFORM_SURFACELESS, None, None), egl.eglGetDisplay(None))
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def _shader(fragment: str, *, surface: bool) -> gpu.types.GPUShader:
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC3", "position")
    info.vertex_in(1, "VEC3", "normal")
    info.sampler(0, "FLOAT_2D", "instances")
    info.push_constant("MAT4", "projection")
    info.push_constant("FLOAT", "inverse_far")
    info.push_constant("INT", "first")
    info.define("TEXELS_WIDE", str(_TEXELS_WIDE))
    between = gpu.types.GPUStageInterfaceInfo("lucid_surface" if surface else "lucid_identity")
    between.smooth("VEC3", "out_normal")
    between.smooth("FLOAT", "out_distance")
    between.flat("FLOAT", "out_handedness")
    between.flat("UINT", "out_id")
    info.vertex_out(between)
    if surface:
        info.fragment_out(0, "VEC4", "surface")
    info.fragment_out(1 if surface else 0, "UINT", "id")
    info.depth_write("ANY")
    info.vertex_source((SHADERS / "instances.vert.glsl").read_text(encoding="utf-8"))
    info.fragment_source((SHADERS / fragment).read_text(encoding="utf-8"))
    return gpu.shader.create_from_info(info)


def _texture(size: Size, kind: str) -> gpu.types.GPUTexture:
    return gpu.types.GPUTexture((size.width, size.height), format=kind)


def _batch(triangles: Triangles) -> gpu.types.GPUBatch:
    layout = gpu.types.GPUVertFormat()
    for name in ("position", "normal"):
        layout.attr_add(id=name, comp_type="F32", len=3, fetch_mode="FLOAT")
    buffer = gpu.types.GPUVertBuf(format=layout, len=len(triangles.position))
    buffer.attr_fill("position", triangles.position)
    buffer.attr_fill("normal", triangles.normal)
    return gpu.types.GPUBatch(type="TRIS", buf=buffer)


def _instance_texels(group: Group, order: NDArray[np.intp], view: CameraView) -> NDArray[np.float32]:
    """(N, 4, 4): rows of camera_from_object, multiplied in float64 so that far from the world's origin nothing is lost,
    then the id in two halves."""
    matrices = np.matmul(view.camera_from_world, np.stack(group.matrices)[order])
    ids = np.asarray(group.ids, np.uint32)[order]
    texels = np.zeros((len(order), _TEXELS_PER_INSTANCE, 4), np.float32)
    texels[:, :3] = matrices[:, :3]
    texels[:, 3, 0] = ids & 0xFFFF
    texels[:, 3, 1] = ids >> 16
    return texels


def _instance_texture(rows: list[NDArray[np.float32]]) -> gpu.types.GPUTexture:
    texels = np.concatenate([row.reshape(-1, 4) for row in rows]) if rows else np.zeros((1, 4), np.float32)
    height = -(-len(texels) // _TEXELS_WIDE)
    padded = np.zeros((height * _TEXELS_WIDE, 4), np.float32)
    padded[:len(texels)] = texels
    data = gpu.types.Buffer("FLOAT", padded.size, padded.ravel())
    return gpu.types.GPUTexture((_TEXELS_WIDE, height), format="RGBA32F", data=data)


def _projection(view: CameraView, x: float, y: float) -> Matrix:
    """The camera's projection moved by (x, y) in normalised device coordinates, which holds for both camera types."""
    moved = np.eye(4)
    moved[0, 3], moved[1, 3] = x, y
    return Matrix((moved @ view.projection).tolist())
