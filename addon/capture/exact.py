# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of objects that a rasteriser cannot draw (hair, points, displacement, transparency), from Cycles at one sample."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .camera import OPENCV_AXES
from .cycles import Change, Cycles, held

Array = NDArray[Any]
_FARTHEST = 1e9             # metres; Cycles writes 1e10 where nothing is
_NO_MATERIAL = "default_surface"
_SOLID = {"MESH", "CURVE", "SURFACE", "FONT", "CURVES", "POINTCLOUD", "VOLUME"}
# Blender's manifest is not quite JSON: a name may hold quotation marks
_ENTRY = re.compile(r'"(.*?)":"([0-9a-f]{8})"[,}]', re.DOTALL)
_PASSES = ("z", "normal", "uv", "object_index", "cryptomatte_material")


@dataclass(frozen=True)
class Exact:
    """Some objects in one frame, top row first, with the shot's conventions.

    ``depth`` (H, W) metres along z, +inf where none of them is; ``normal`` and ``normal_world`` (H, W, 3); ``uv``
    (H, W, 2); ``object`` and ``material`` (H, W) index ``objects`` and ``materials``, which name what is seen after a
    first "" for nothing: an instance has the name of what is instanced, a surface without a material is 0. ``forward``
    and ``backward`` (H, W, 2) pixels to the scene's next and previous frame, ``flow_valid`` (H, W) where they are known.
    Everything else is 0 where nothing is. (Where something is partly transparent, the material may be what is behind.)
    """

    depth: Array
    normal: Array
    normal_world: Array
    uv: Array
    object: Array
    material: Array
    forward: Array
    backward: Array
    flow_valid: Array
    objects: tuple[str, ...]
    materials: tuple[str, ...]


def exact_frame(cycles: Cycles, frame: int, wanted: Collection[int], *, flow: bool,
                instancers: Collection[int] | None = None) -> Exact:
    """The objects with these session uids, and their instances, as if nothing else were there; of the instances only those
    by ``instancers``, where these are given.

    ``flow`` is for shots whose frames follow each other without a gap: Cycles knows the motion to the very next frame
    only. Raises what :class:`Cycles` does.
    """
    items = [item for item in bpy.data.objects if item.session_uid in wanted]
    still = cycles.data(frame, (*_PASSES, *(("vector",) if flow else ())), _alone(cycles, items, instancers))
    read = still.channels
    index = np.where(read["Depth.Z"] < _FARTHEST, np.rint(read["Object Index.X"]), 0.0).astype(np.uint32)
    ours = index > 0
    objects, object_index = _named(index, {number: item.name for number, item in enumerate(items, start=1)})
    materials, material_index = _named(np.where(ours, read["CryptoMaterial00.r"].view(np.uint32), 0), _manifest(still.texts))
    world = _where(ours, read, "Normal", "XYZ")
    # Cycles' X, Y: where the point was, minus where it is, y up; Z, W: where it is, minus where it will be
    motion = _where(ours, read, "Vector", "XYZW") if flow else np.zeros((*ours.shape, 4), np.float32)
    return Exact(
        depth=np.where(ours, read["Depth.Z"], np.float32(np.inf)), normal=_turned(world, still.world_from_camera),
        normal_world=world, uv=_where(ours, read, "UV", "UV"),
        object=object_index, material=material_index, objects=objects, materials=materials,
        forward=motion[..., 2:] * np.float32([-1.0, 1.0]), backward=motion[..., :2] * np.float32([1.0, -1.0]),
        flow_valid=ours & flow)


def merged(surface: Mapping[str, Array], exact: Mapping[str, Array]) -> dict[str, Array]:
    """Both as seen by one camera: each pixel is that of the one whose "depth" (H, W) is less, ``surface`` where equal.

    The arrays of ``surface``, (H, W) or (H, W, C), keep their types; ``exact`` has the same names, and may have one number
    for what it does not know.
    """
    nearer = exact["depth"] < surface["depth"]
    return {name: np.where(nearer if values.ndim == 2 else nearer[..., None], exact[name], values).astype(values.dtype)
            for name, values in surface.items()}


def _alone(cycles: Cycles, items: Sequence[bpy.types.Object], instancers: Collection[int] | None) -> Iterator[Change]:
    """Numbers the items from 1 by their pass index, and hides all else from the camera but for what instances them:
    without it they would be hidden too. What nothing else is made of is not even rendered, which is where the time goes.
    """
    numbers = {item.session_uid: number for number, item in enumerate(items, start=1)}
    gathered = _in_used_collections()
    instancers = cycles.instancers(numbers) if instancers is None else instancers
    for item in bpy.data.objects:
        if item.session_uid in numbers or item.session_uid in instancers:
            # unlike Cryptomatte, the index is of what depth is of where something is partly transparent
            yield from held(item, pass_index=numbers.get(item.session_uid, 0))
        else:
            unneeded = {"hide_render": True} if _stands_alone(item, gathered) else {}
            yield from held(item, visible_camera=False, pass_index=0, **unneeded)


def _in_used_collections() -> frozenset[int]:
    """Session uids of the objects in collections that something instances or reads: it takes only what renders."""
    users = bpy.data.user_map(subset=bpy.data.collections)
    return frozenset(item.session_uid for collection, users_of in users.items() for item in collection.all_objects
                     if not all(isinstance(user, (bpy.types.Scene, bpy.types.Collection)) for user in users_of))


def _stands_alone(item: bpy.types.Object, gathered: frozenset[int]) -> bool:
    """Whether other objects are the same when this one does not render. Metaballs melt together, fields and collisions
    move things."""
    moves = (item.field is not None and item.field.type != "NONE") or any(m.type == "COLLISION" for m in item.modifiers)
    return item.type in _SOLID and item.session_uid not in gathered and not moves


def _manifest(texts: Mapping[str, str]) -> dict[int, str]:
    """Bits of Cryptomatte's pixels to names of materials (Cryptomatte specification, Psyop). Blender's manifest keeps a
    hash as it is; its pixels have bit 23 flipped where the exponent would make them denormal, infinite or not a number."""
    start = next(key for key, value in texts.items() if key.endswith("/name")).removesuffix("name")
    table = {}
    for name, digits in _ENTRY.findall(texts[start + "manifest"]):
        bits = int(digits, 16)
        if name != _NO_MATERIAL:
            table[bits ^ (1 << 23) if bits >> 23 & 0xFF in (0, 0xFF) else bits] = name
    return table


def _named(values: NDArray[np.uint32], table: Mapping[int, str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of what is there, after "", and each pixel's index among them; 0 for what the table does not know."""
    found = [number for number in np.unique(values).tolist() if number in table]
    index = np.zeros(values.shape, np.int64)
    for place, number in enumerate(found, start=1):
        index[values == number] = place
    return ("", *(table[number] for number in found)), index


def _where(ours: Array, read: Mapping[str, Array], name: str, axes: str) -> Array:
    """(H, W, len(axes)), 0 where nothing is."""
    return np.stack([np.where(ours, read[f"{name}.{axis}"], np.float32(0.0)) for axis in axes], axis=-1)


def _turned(world: Array, world_from_camera: NDArray[np.float64]) -> Array:
    """World directions along OpenCV's camera axes, column by column: fast also where matrix products are threaded."""
    turn = (world_from_camera @ OPENCV_AXES)[:3, :3].astype(np.float32)
    return np.stack([sum(turn[axis, column] * world[..., axis] for axis in range(3)) for column in range(3)], axis=-1)
