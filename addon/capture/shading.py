# SPDX-License-Identifier: GPL-3.0-or-later
"""The G-buffer's shaders and what they read: batches of triangles, instance and image textures, one frame's camera."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import gpu
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from .geometry import Mesh
from .materials import Cutout, Invisible

SHADERS = Path(__file__).resolve().parents[2] / "shaders"
_EGL_PLATFORM_SURFACELESS = 0x31DD     # EGL_MESA_platform_surfaceless
TEXELS_WIDE = 2560
TEXELS_PER_INSTANCE = 10
# half the size in pixels (y down), 1 / far, 1 where the camera is orthographic
_FRAME = "struct Frame { mat4 projection; vec4 half_size; };"
_EXTENSIONS = {"REPEAT": "REPEAT", "EXTEND": "EXTEND", "CLIP": "CLAMP_TO_BORDER", "MIRROR": "MIRRORED_REPEAT"}


@dataclass(frozen=True)
class Variant:
    """Which shader: ``surface`` writes depth, normal and id, else the id alone; ``rest`` rest position and material beside,
    ``motion`` (with rest) everything else; ``deforming`` meshes bring their points of the neighbouring frames; ``cutout``
    looks at an image's alpha."""

    surface: bool
    rest: bool = False
    motion: bool = False
    deforming: bool = False
    cutout: bool = False


@dataclass(frozen=True)
class Part:
    """The triangles of a mesh that one shader draws; ``cutout`` is the material id whose image cuts them, or None."""

    batch: gpu.types.GPUBatch
    cutout: int | None


def shader_of(variant: Variant) -> gpu.types.GPUShader:
    info = gpu.types.GPUShaderCreateInfo()
    inputs = [("VEC3", "position"), *([("VEC3", "normal")] if variant.surface else []),
              *([("VEC2", "image_uv")] if variant.cutout else []),
              *([("VEC3", "rest"), ("FLOAT", "material")] if variant.rest else []),
              *([("VEC2", "uv")] if variant.motion else []),
              *([("VEC3", "next_position"), ("VEC3", "previous_position")] if variant.deforming else [])]
    for place, (kind, name) in enumerate(inputs):
        info.vertex_in(place, kind, name)
    for name, on in (("SURFACE", variant.surface), ("REST", variant.rest), ("MOTION", variant.motion),
                     ("DEFORMING", variant.deforming), ("CUTOUT", variant.cutout)):
        if on:
            info.define(name)
    info.define("TEXELS_WIDE", str(TEXELS_WIDE))
    info.typedef_source(_FRAME)
    info.uniform_buf(0, "Frame", "frame")
    info.sampler(0, "FLOAT_2D", "instances")
    info.push_constant("INT", "first")
    info.push_constant("VEC2", "offset")
    if variant.cutout:
        info.sampler(1, "FLOAT_2D", "image")
        for kind, name in (("VEC4", "uv_to_u"), ("VEC4", "uv_to_v"), ("FLOAT", "threshold")):
            info.push_constant(kind, name)
    info.vertex_out(_between(variant))
    outputs = [*([("VEC4", "surface")] if variant.surface else []), ("UINT", "name"),
               *([("VEC4", "rest_position")] if variant.rest else []),
               *([("VEC4", "forward_flow"), ("VEC4", "backward_flow")] if variant.motion else [])]
    for slot, (kind, name) in enumerate(outputs):
        info.fragment_out(slot, kind, name)
    info.depth_write("ANY")
    info.vertex_source(_source("instances.vert.glsl"))
    fragment = _source("gbuffer.frag.glsl" if variant.surface else "identity.frag.glsl")
    info.fragment_source(_source("cutout.glsl") + fragment if variant.cutout else fragment)
    return gpu.shader.create_from_info(info)


def _between(variant: Variant) -> gpu.types.GPUStageInterfaceInfo:
    """What vertices hand to pixels; an interface needs a name of its own for each layout."""
    flags = (variant.surface, variant.rest, variant.motion, variant.deforming, variant.cutout)
    between = gpu.types.GPUStageInterfaceInfo("lucid_" + "".join(str(int(flag)) for flag in flags))
    between.smooth("FLOAT", "out_distance")
    between.flat("UINT", "out_id")
    if variant.surface:
        between.smooth("VEC3", "out_normal")
        between.flat("FLOAT", "out_handedness")
    if variant.rest:
        between.smooth("VEC3", "out_rest")
        between.flat("FLOAT", "out_material")
    if variant.motion:
        for name in ("out_here", "out_next", "out_previous"):
            between.smooth("VEC3", name)
        between.flat("VEC2", "out_known")
        between.smooth("VEC2", "out_uv")
    if variant.cutout:
        between.smooth("VEC2", "out_image_uv")
    return between


def _source(name: str) -> str:
    return (SHADERS / name).read_text(encoding="utf-8")


def parts_of(mesh: Mesh, materials: Sequence[int], looks: Mapping[int, Cutout | Invisible],
             moves: tuple[Mesh, Mesh] | None, *, detailed: bool) -> list[Part]:
    """Upload a mesh: its solid triangles, then those of each material that an image cuts. ``moves`` are the meshes it
    is in the next and in the previous frame, None where it stays as it is."""
    table = np.array([*materials, 0], np.int32)
    slots = np.zeros(len(mesh.faces), np.int32) if mesh.slot is None else mesh.slot
    # Blender takes the last slot for one that is not there
    owner = table[np.clip(slots, 0, max(len(materials) - 1, 0))]
    special = {number: looks[number] for number in np.unique(owner).tolist() if number in looks}
    values = _values(mesh, owner, moves, detailed=detailed)
    if not special:
        return [Part(_batch(values, mesh.triangles), None)]
    of_triangle = owner[mesh.triangles[:, 0]]
    solid = ~np.isin(of_triangle, list(special))
    parts = [Part(_batch(values, mesh.triangles[solid]), None)] if solid.any() else []
    for number, look in special.items():
        if isinstance(look, Cutout):
            cut = {**values, "image_uv": mesh.uv_map(look.uv_map)}
            parts.append(Part(_batch(cut, mesh.triangles[of_triangle == number]), number))
    return parts


def _values(mesh: Mesh, material: NDArray[np.int32], moves: tuple[Mesh, Mesh] | None, *,
            detailed: bool) -> dict[str, NDArray[np.float32]]:
    """What each corner of a face brings, (L, ...)."""
    values = {"position": mesh.corner_points, "normal": mesh.normal}
    if detailed:
        count = len(mesh.faces)
        values["uv"] = np.full((count, 2), np.nan, np.float32) if mesh.uv is None else mesh.uv
        values["rest"] = np.full((count, 3), np.nan, np.float32) if mesh.rest is None else mesh.rest[mesh.faces]
        values["material"] = material.astype(np.float32)
    if moves is not None:
        values["next_position"], values["previous_position"] = (other.corner_points for other in moves)
    return values


def _batch(values: Mapping[str, NDArray[np.float32]], triangles: NDArray[np.int32]) -> gpu.types.GPUBatch:
    layout = gpu.types.GPUVertFormat()
    for name, array in values.items():
        layout.attr_add(id=name, comp_type="F32", len=1 if array.ndim == 1 else array.shape[1], fetch_mode="FLOAT")
    buffer = gpu.types.GPUVertBuf(format=layout, len=len(values["position"]))
    for name, array in values.items():
        buffer.attr_fill(name, np.ascontiguousarray(array))
    return gpu.types.GPUBatch(type="TRIS", buf=buffer, elem=gpu.types.GPUIndexBuf(type="TRIS", seq=triangles))


class CutoutImage:
    """What cuts one material, on the GPU."""

    def __init__(self, cutout: Cutout) -> None:
        """Raises IMAGE_MISSING."""
        self._cutout = cutout
        texels = cutout.texels()
        height, width = texels.shape
        data = gpu.types.Buffer("FLOAT", texels.size, np.ascontiguousarray(texels, np.float32).ravel())
        self._texture = gpu.types.GPUTexture((width, height), format="R32F", data=data)
        self._texture.filter_mode(cutout.interpolation != "Closest")
        self._texture.extend_mode(_EXTENSIONS[cutout.extension])

    def bind(self, shader: gpu.types.GPUShader) -> None:
        """To the bound shader."""
        shader.uniform_sampler("image", self._texture)
        for name, row in zip(("uv_to_u", "uv_to_v"), self._cutout.transform, strict=True):
            shader.uniform_float(name, (*row, 0.0))
        shader.uniform_float("threshold", self._cutout.threshold)


def instance_texture(rows: Sequence[NDArray[np.float32]]) -> gpu.types.GPUTexture:
    """A texture of (N, TEXELS_PER_INSTANCE, 4) texels, one after the other."""
    texels = np.concatenate([row.reshape(-1, 4) for row in rows]) if rows else np.zeros((1, 4), np.float32)
    height = -(-len(texels) // TEXELS_WIDE)
    padded = np.zeros((height * TEXELS_WIDE, 4), np.float32)
    padded[:len(texels)] = texels
    data = gpu.types.Buffer("FLOAT", padded.size, padded.ravel())
    return gpu.types.GPUTexture((TEXELS_WIDE, height), format="RGBA32F", data=data)


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
