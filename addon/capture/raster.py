# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the instances of a frame on the GPU. Data is one sample at the pixel centre, never averaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import gpu
import numpy as np
from numpy.typing import NDArray

from ...inference.shot.model import Size
from .camera import CameraView
from .geometry import Mesh
from .instances import Group, Registry
from .materials import Cutout
from .motion import Known, Neighbours
from .shading import (
    TEXELS_PER_INSTANCE,
    CutoutImage,
    Part,
    Variant,
    instance_texture,
    parts_of,
    shader_of,
)

# Mattes: 2 x 2 samples of each of four draws moved by a rotated grid, in sub-pixels: 16 samples of a pixel, eight
# different columns and eight different rows, so that edges along an axis keep eight steps.
_SPLIT = 2
_SHIFTS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))
MATTE_SAMPLES = _SPLIT * _SPLIT * len(_SHIFTS)

# Blender reads back whole numbers of one channel only
_PLAIN = ("RGBA32F", "R32UI")
_RESTING = (*_PLAIN, "RGBA32F")                 # rest with material
_DETAILED = (*_RESTING, "RGBA32F", "RGBA32F")   # forward and backward motion with u and v
_NOTHING = {"RGBA32F": ("FLOAT", (0.0, 0.0, 0.0, 0.0)), "R32UI": ("UINT", (0,))}
_NO_SURFACE = ("FLOAT", (0.0, 0.0, 0.0, np.inf))


@dataclass(frozen=True)
class Motion:
    """Where the points seen in a frame are in a neighbouring one, top row first: ``step`` (H, W, 2) float32 pixels, x
    right, y down; ``depth`` (H, W) float32 metres there; ``valid`` (H, W) bool: known there. 0 where not valid."""

    step: NDArray[np.float32]
    depth: NDArray[np.float32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Detail:
    """``material`` (H, W) uint32, 0 without one; ``forward`` and ``backward`` motion; ``uv`` (H, W, 2) float32, NaN where
    unknown, 0 where nothing is."""

    material: NDArray[np.uint32]
    forward: Motion
    backward: Motion
    uv: NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """What the camera sees first, top row first: ``depth`` (H, W) float32 metres along z, +inf where nothing is;
    ``normal`` (H, W, 3) float32, OpenCV camera axes, 0 where nothing is; ``id`` (H, W) uint32, 0 where nothing is; ``rest``
    (H, W, 3) float32 metres, NaN where unknown, 0 where nothing is. ``rest`` and ``detail`` are there where they were asked
    for."""

    depth: NDArray[np.float32]
    normal: NDArray[np.float32]
    id: NDArray[np.uint32]
    rest: NDArray[np.float32] | None = None
    detail: Detail | None = None


@dataclass(frozen=True)
class _Draw:
    parts: list[Part]
    deforming: bool
    runs: dict[int, tuple[int, int]]     # actor -> (first instance, how many)


class _Targets:
    """A frame buffer with its textures: the frame buffer itself does not keep them alive."""

    def __init__(self, size: Size, formats: tuple[str, ...]) -> None:
        self.size, self._formats = size, formats
        self._depth = _texture(size, "DEPTH_COMPONENT32F")
        self._colours = [_texture(size, kind) for kind in formats]
        self.frame = gpu.types.GPUFrameBuffer(depth_slot=self._depth, color_slots=self._colours)

    def clear(self) -> None:
        """Nothing anywhere, at an infinite depth; the frame buffer is bound."""
        for place, (texture, kind) in enumerate(zip(self._colours, self._formats, strict=True)):
            form, value = _NO_SURFACE if place == 0 and kind == "RGBA32F" else _NOTHING[kind]
            texture.clear(format=form, value=value)
        self.frame.clear(depth=1.0)

    def read(self, slot: int) -> NDArray[Any]:
        """One colour texture, (H, W, channels), bottom row first as OpenGL has it."""
        kind = self._formats[slot]
        whole = kind == "R32UI"
        count = 1 if whole else 4
        pixels = self.frame.read_color(0, 0, self.size.width, self.size.height, count, slot, "UINT" if whole else "FLOAT")
        return np.array(pixels, np.uint32 if whole else np.float32).reshape(self.size.height, self.size.width, count)


class Rasteriser:
    """Draws one frame after the other at one size. It lives inside one render() call, whose GPU context it uses.

    ``detailed`` meshes are uploaded with what rest positions and :class:`Detail` need.
    """

    def __init__(self, size: Size, registry: Registry, *, detailed: bool) -> None:
        self._size, self._registry, self._detailed = size, registry, detailed
        self._targets: dict[tuple[str, ...], _Targets] = {}
        self._fine: _Targets | None = None
        self._images: dict[int, CutoutImage] = {}
        self._shaders: dict[Variant, gpu.types.GPUShader] = {}
        self._uploaded: dict[tuple[Mesh, tuple[int, ...], tuple[Mesh, Mesh] | None], list[Part]] = {}
        self._draws: list[_Draw] = []

    def load(self, groups: Iterable[Group], view: CameraView, around: Neighbours) -> None:
        """Upload what changed since the last frame, and every instance's matrices and id."""
        self._draws, uploaded, rows, first = [], {}, [], 0
        for group in groups:
            for moves, members in around.split(group):
                key = (group.mesh, group.materials, moves)
                uploaded[key] = self._uploaded.get(key) or parts_of(
                    group.mesh, group.materials, self._registry.looks, moves, detailed=self._detailed)
                members = sorted(members, key=lambda member: group.actors[member.index])
                rows.append(_instance_texels(group, members, view, around))
                runs: dict[int, tuple[int, int]] = {}
                for member in members:
                    actor = group.actors[member.index]
                    begin, count = runs.get(actor, (first, 0))
                    runs[actor] = (begin, count + 1)
                    first += 1
                self._draws.append(_Draw(uploaded[key], moves is not None, runs))
        self._uploaded = uploaded
        self._instances = instance_texture(rows)
        self._camera = _uniforms(view, self._size)

    def surface(self, actors: Collection[int], *, rest: bool = False, detailed: bool = False) -> Surface:
        """Depth, normal and id of the instances that belong to ``actors`` (the environment has its own index), with ``rest``
        their rest positions, too, with ``detailed`` everything."""
        assert self._detailed or not (rest or detailed), "the rasteriser was not made for details"
        formats = _DETAILED if detailed else _RESTING if rest else _PLAIN
        targets = self._targets.get(formats)
        if targets is None:
            targets = self._targets[formats] = _Targets(self._size, formats)
        with targets.frame.bind():
            targets.clear()
            self._draw(actors, surface=True, rest=rest or detailed, motion=detailed)
            colour, name, *more = (targets.read(slot)[::-1] for slot in range(len(formats)))
        return Surface(np.ascontiguousarray(colour[..., 3]), np.ascontiguousarray(colour[..., :3]),
                       np.ascontiguousarray(name[..., 0]), np.ascontiguousarray(more[0][..., :3]) if more else None,
                       _detail(*more) if detailed else None)

    def coverage(self, actors: Collection[int], actor_of_id: NDArray[np.int32],
                 count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Antialiased visible coverage of actors 0 .. ``count`` - 1, (count, H, W), and of everything, (H, W), float32 in
        [0, 1].

        ``actors`` are drawn (they hide each other); ``actor_of_id`` maps an id to its actor.
        """
        self._fine = self._fine or _Targets(Size(self._size.width * _SPLIT, self._size.height * _SPLIT), ("R32UI",))
        fine = self._fine.size
        hits = np.zeros((count + 1, self._size.height, self._size.width), np.uint8)
        for x, y in _SHIFTS:
            with self._fine.frame.bind():
                self._fine.clear()
                self._draw(actors, offset=(2.0 * x / fine.width, 2.0 * y / fine.height))
                identity = self._fine.read(0)[::-1, :, 0]
            owner = actor_of_id[identity] if count else identity
            for index, hit in enumerate((*(owner == actor for actor in range(count)), identity > 0)):
                for i in range(_SPLIT * _SPLIT):
                    hits[index] += hit.view(np.uint8)[i // _SPLIT::_SPLIT, i % _SPLIT::_SPLIT]
        covered = hits / np.float32(MATTE_SAMPLES)
        return covered[:count], covered[count]

    def _draw(self, actors: Collection[int], *, surface: bool = False, rest: bool = False, motion: bool = False,
              offset: tuple[float, float] = (0.0, 0.0)) -> None:
        # never trust what the context holds
        gpu.state.blend_set("NONE")
        gpu.state.face_culling_set("NONE")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        gpu.state.color_mask_set(True, True, True, True)
        for draw in self._draws:
            wanted = [run for actor, run in draw.runs.items() if actor in actors]
            for part in draw.parts if wanted else ():
                variant = Variant(surface, rest, motion, draw.deforming and motion, part.cutout is not None)
                shader = self._bound(variant, offset)
                if part.cutout is not None:
                    self._image(part.cutout).bind(shader)
                for first, count in wanted:
                    shader.uniform_int("first", first)
                    part.batch.draw_instanced(shader, instance_start=0, instance_count=count)
        gpu.state.depth_test_set("NONE")
        gpu.state.depth_mask_set(False)

    def _image(self, material: int) -> CutoutImage:
        if material not in self._images:
            look = self._registry.looks[material]
            assert isinstance(look, Cutout), "only cut-outs have images"
            self._images[material] = CutoutImage(look)
        return self._images[material]

    def _bound(self, variant: Variant, offset: tuple[float, float]) -> gpu.types.GPUShader:
        shader = self._shaders.get(variant)
        if shader is None:
            shader = self._shaders[variant] = shader_of(variant)
        shader.bind()
        shader.uniform_block("frame", self._camera)
        shader.uniform_sampler("instances", self._instances)
        shader.uniform_float("offset", offset)
        return shader


def _texture(size: Size, kind: str) -> gpu.types.GPUTexture:
    return gpu.types.GPUTexture((size.width, size.height), format=kind)


def _detail(rest: NDArray[np.float32], forward: NDArray[np.float32], backward: NDArray[np.float32]) -> Detail:
    return Detail(np.rint(rest[..., 3]).astype(np.uint32), _motion(forward), _motion(backward),
                  np.stack([forward[..., 3], backward[..., 3]], axis=-1))


def _motion(pixels: NDArray[np.float32]) -> Motion:
    depth = np.ascontiguousarray(pixels[..., 2])
    return Motion(np.ascontiguousarray(pixels[..., :2]), depth, depth > 0.0)


def _instance_texels(group: Group, members: list[Known], view: CameraView, around: Neighbours) -> NDArray[np.float32]:
    """(N, 10, 4) texels as the vertex shader reads them, multiplied in float64 so that far from the world's origin nothing
    is lost."""
    here = np.stack([group.matrices[member.index] for member in members])
    ids = np.array([group.ids[member.index] for member in members], np.uint32)
    texels = np.zeros((len(members), TEXELS_PER_INSTANCE, 4), np.float32)
    texels[:, 0:3] = np.matmul(view.camera_from_world, here)[:, :3]
    texels[:, 3:6] = np.matmul(_clip_rows(around.next_view), np.stack([member.next_matrix for member in members]))
    texels[:, 6:9] = np.matmul(_clip_rows(around.previous_view), np.stack([member.previous_matrix for member in members]))
    texels[:, 9, 0] = ids & 0xFFFF
    texels[:, 9, 1] = ids >> 16
    texels[:, 9, 2] = [member.in_next for member in members]
    texels[:, 9, 3] = [member.in_previous for member in members]
    return texels


def _clip_rows(view: CameraView) -> NDArray[np.float64]:
    """(3, 4): clip x, clip y and depth along the camera's z from a point of the world."""
    clip = view.projection @ view.camera_from_world
    return np.stack([clip[0], clip[1], -view.camera_from_world[2]])


def _uniforms(view: CameraView, size: Size) -> gpu.types.GPUUniformBuf:
    """The struct Frame of the shaders; matrices go by columns."""
    rest = [size.width / 2.0, -size.height / 2.0, 1.0 / view.far, float(view.orthographic)]
    return gpu.types.GPUUniformBuf(np.concatenate([view.projection.T.ravel(), rest]).astype(np.float32))
