# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests inside Blender: small things to put in a scene, and a capture read back as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from lucid.addon.capture import GBUFFER_PASSES, CaptureSpec, capture_shot
from lucid.inference.shot.images import read_exr
from lucid.inference.shot.model import Frames, Shot, Size
from lucid.inference.shot.store import open_shot
from mathutils import Vector
from numpy.typing import NDArray

SIZE = Size(160, 90)
FIRST = Frames(1, 1)


@dataclass(frozen=True)
class Captured:
    folder: Path
    shot: Shot
    camera: dict[str, NDArray[Any]]
    pose: dict[str, NDArray[Any]]

    def depth(self, frame: int = 1, layer: str | None = None) -> NDArray[np.float32]:
        owner = self.shot if layer is None else self.shot.layer(layer)
        return read_exr(self.folder / owner.sequence("depth").path(frame))["Z"]

    def normal(self, frame: int = 1, layer: str | None = None) -> NDArray[np.float32]:
        owner = self.shot if layer is None else self.shot.layer(layer)
        channels = read_exr(self.folder / owner.sequence("normal").path(frame))
        return np.stack([channels[axis] for axis in "XYZ"], axis=-1)

    def read(self, name: str, frame: int = 1) -> dict[str, NDArray[Any]]:
        """The channels of one of the shot's own EXR passes."""
        return read_exr(self.folder / self.shot.sequence(name).path(frame))

    def flow(self, frame: int = 1, way: str = "forward") -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """(H, W, 2) pixels, (H, W) valid and visible."""
        channels = self.read(f"flow_{way}", frame)
        return np.stack([channels["X"], channels["Y"]], -1), channels["valid"] > 0.5, channels["visible"] > 0.5

    def id(self, frame: int = 1) -> NDArray[np.uint32]:
        return read_exr(self.folder / self.shot.sequence("id").path(frame))["id"]

    def names(self, frame: int = 1) -> NDArray[np.str_]:
        """(H, W) names of instances; "" for the background."""
        table = {0: "", **self.shot.instances}
        return np.vectorize(table.__getitem__)(self.id(frame))

    def matte(self, layer: str, frame: int = 1) -> NDArray[np.float64]:
        import cv2

        path = self.folder / self.shot.layer(layer).sequence("matte").path(frame)
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 255.0

    def rays(self, frame_index: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """World origin and direction (H, W, 3) through the pixel centres; a direction's length along z is 1."""
        height, width = self.shot.size.height, self.shot.size.width
        v, u = np.mgrid[0:height, 0:width] + 0.5
        intrinsics, world = self.camera["K"][frame_index], self.camera["world_from_camera"][frame_index]
        x, y = (u - intrinsics[0, 2]) / intrinsics[0, 0], (v - intrinsics[1, 2]) / intrinsics[1, 1]
        zero, one = np.zeros_like(x), np.ones_like(x)
        if self.shot.source["projection"] == "orthographic":
            start, way = np.stack([x, y, zero], -1), np.stack([zero, zero, one], -1)
        else:
            start, way = np.stack([zero, zero, zero], -1), np.stack([x, y, one], -1)
        return start @ world[:3, :3].T + world[:3, 3], way @ world[:3, :3].T


def captured(scene: bpy.types.Scene, folder: Path, *, frames: Frames = FIRST, size: Size = SIZE,
             actors: tuple[str, ...] = (), camera: str | None = None,
             passes: tuple[str, ...] = GBUFFER_PASSES) -> Captured:
    target = folder / "shot.lucid"
    for _ in capture_shot(scene, CaptureSpec(frames, size, camera, actors, passes=passes), target):
        pass
    with np.load(target / "camera.npz") as one, np.load(target / "pose.npz") as other:
        return Captured(target, open_shot(target), dict(one), dict(other))


def add_camera(scene: bpy.types.Scene, *, at: tuple[float, float, float] = (0.4, -5.0, 1.2),
               towards: tuple[float, float, float] = (0.2, 0.0, 0.1), **settings: Any) -> bpy.types.Object:
    data = bpy.data.cameras.new("Camera")
    for name, value in settings.items():
        setattr(data, name, value)
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    camera.location = at
    camera.rotation_euler = (Vector(towards) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def add_sphere(name: str = "Sphere", *, radius: float = 1.0, at: tuple[float, float, float] = (0.0, 0.0, 0.0),
               detail: int = 192, smooth: bool = False) -> bpy.types.Object:
    rows = detail // 2
    around, down = np.meshgrid(np.arange(detail) * (2.0 * np.pi / detail), np.linspace(0.0, np.pi, rows + 1))
    points = radius * np.stack([np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down)], axis=-1)
    row, column = np.mgrid[0:rows, 0:detail]
    beside = (column + 1) % detail
    quads = np.stack([row * detail + column, (row + 1) * detail + column, (row + 1) * detail + beside,
                      row * detail + beside], axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.reshape(-1, 3), [], quads, shade_flat=not smooth)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    item.location = at
    return item


def add_cube(name: str, *, at: tuple[float, float, float] = (0.0, 0.0, 0.0), size: float = 1.0) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add(size=size, location=at)
    item = bpy.context.object
    item.name = name
    return item


def add_armature(name: str, bones: dict[str, tuple[tuple[float, ...], tuple[float, ...], str | None]]) -> bpy.types.Object:
    """``bones``: name -> (head, tail, parent)."""
    rig = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for bone, (head, tail, parent) in bones.items():
        edit = rig.data.edit_bones.new(bone)
        edit.head, edit.tail = head, tail
        edit.parent = rig.data.edit_bones[parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


# a standing figure that faces -y, metres; "{}" is a side: joint of OpenPose or part -> (head, tail, parent)
FIGURE = {
    "hips": ((0.0, 0.0, 1.0), (0.0, 0.0, 1.2), None), "spine": ((0.0, 0.0, 1.2), (0.0, 0.0, 1.5), "hips"),
    "head": ((0.0, 0.0, 1.55), (0.0, 0.0, 1.8), "spine"),
    "shoulder": ((0.2, 0.0, 1.45), (0.45, 0.0, 1.2), "spine"), "elbow": ((0.45, 0.0, 1.2), (0.65, -0.05, 1.0), "shoulder"),
    "wrist": ((0.65, -0.05, 1.0), (0.72, -0.07, 0.93), "elbow"),
    "hip": ((0.1, 0.0, 1.0), (0.12, -0.02, 0.52), "hips"), "knee": ((0.12, -0.02, 0.52), (0.12, 0.02, 0.09), "hip"),
    "ankle": ((0.12, 0.02, 0.09), (0.12, -0.14, 0.02), "knee"),
}
SIDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def add_figure(name: str, bone_names: dict[str, str], sides: tuple[str, str]) -> bpy.types.Object:
    """FIGURE as an armature: ``bone_names`` maps its parts to names, with "{}" for a side; ``sides`` is (left, right)."""
    bones = {}
    for part, (head, tail, parent) in FIGURE.items():
        for sign, side in zip((1.0, -1.0), sides if part in SIDED else ("",), strict=False):
            ends = tuple((sign * end[0], *end[1:]) for end in (head, tail))
            bones[bone_names[part].format(side)] = (*ends, bone_names[parent].format(side) if parent else None)
    return add_armature(name, bones)
