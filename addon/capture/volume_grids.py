# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume objects and geometry-node volumes of a depsgraph, read as grids to be marched.

Grids are read with OpenVDB's Python module, which blender.org's builds bundle (the bpy module does not). What the
material makes of them is read by ``volume_shading``. A volume that cannot be marched is named by ``obstacles`` and
refused by ``VolumeReader.read``: Cycles is to render that layer. Velocity grids move nothing.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from .instances import camera_sees
from .materials import Invisible, classify, is_volume, materials_of
from .volume import MOST_VOXELS, WIDE, VolumeGrid
from .volume_shading import Term, blackbody_curve, refused, terms_of

_SMALLEST = 1e-18           # of an object's scale, cubed: a smaller one is hidden by its scale
_UNITS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class _Key:
    """Which voxels: a file's, or what was made for an object in one evaluation ("" then, else 0); at most so many."""

    file: str
    owner: int
    data: int
    grid: str
    most: int = 0


@dataclass(frozen=True)
class _Dense:
    """The box of a grid's active voxels (X, Y, Z), where it is, and its largest value."""

    values: NDArray[np.float32]
    object_from_index: NDArray[np.float64]
    reach: float


class VolumeReader:
    """Reads one frame after the other; voxels are read again only when they changed. ``notes`` say what was left out or
    made coarser."""

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}
        self._read: dict[_Key, _Dense | None] = {}

    def read(self, depsgraph: bpy.types.Depsgraph) -> list[VolumeGrid]:
        """Every volume that the camera is to see, as host data. Raises VOLUME_UNREADABLE and VOLUME_MODULE."""
        plans = [_keys(evaluated, matrix) for evaluated, matrix in _volumes(depsgraph, self.notes)]
        if any(plans) and not volumes_readable():
            raise LucidError("VOLUME_MODULE", "this Blender has no OpenVDB module for Python",
                             "render the volume layer with Cycles, or use a Blender from blender.org")
        count = len({key for plan in plans for key in plan.values()})
        most = MOST_VOXELS // max(count, 1) // WIDE * WIDE
        dirty = {update.id.original.session_uid for update in depsgraph.updates if update.is_updated_geometry}
        before = {key: dense for key, dense in self._read.items() if key.file or key.owner not in dirty}
        self._read = {}
        grids = []
        # walked a second time, since the depsgraph lends an evaluated object only until its next instance
        for (evaluated, matrix), plan in zip(_volumes(depsgraph, self.notes), plans, strict=True):
            keys = {term: replace(key, most=most) for term, key in plan.items()}
            self._load(evaluated, set(keys.values()), before)
            grids += [_placed(term, dense, matrix) for term, key in keys.items() if (dense := self._read[key])]
            if not keys:
                self.notes[f"the volume '{evaluated.original.name}' shows nothing: no grid, or no material for volumes"] = None
        return grids

    def _load(self, evaluated: bpy.types.Object, keys: set[_Key], before: dict[_Key, _Dense | None]) -> None:
        """Have the voxels of every key, out of ``before`` or off the file."""
        self._read |= {key: before[key] for key in keys & before.keys()}
        missing = keys - self._read.keys()
        if missing:
            with _file_of(evaluated) as path:
                for key in missing:
                    self._read[key] = self._dense(evaluated.original.name, path, key.grid, key.most)

    def _dense(self, owner: str, path: Path, name: str, most: int) -> _Dense | None:
        """The grid called ``name``; None where it has no active voxel."""
        import openvdb

        try:
            grid = openvdb.read(str(path), name)
        except (RuntimeError, KeyError, TypeError) as error:
            raise refused(owner, f"its grid '{name}' cannot be read ({error})") from error
        if not isinstance(grid, openvdb.FloatGrid) or not grid.transform.isLinear:
            raise refused(owner, f"its grid '{name}' is not a plain grid of numbers")
        if grid.activeVoxelCount() == 0:
            return None
        values, index_from_array, pooled = _box(grid, most)
        if pooled > 1:
            self.notes[f"'{owner}': the grid '{name}' is large, {pooled}x{pooled}x{pooled} voxels are averaged"] = None
        origin, *ends = (np.array(grid.transform.indexToWorld(point)) for point in ((0.0, 0.0, 0.0), *_UNITS))
        object_from_index = np.eye(4)
        object_from_index[:3] = np.column_stack([*(end - origin for end in ends), origin])
        return _Dense(values, object_from_index @ index_from_array, float(values.max()))


def volumes_readable() -> bool:
    """Whether this Blender's Python can read OpenVDB grids."""
    return importlib.util.find_spec("openvdb") is not None


def obstacles(depsgraph: bpy.types.Depsgraph) -> list[str]:
    """Why this frame's volumes cannot be marched, one line each; empty where they can. No voxel is read."""
    found = {refused(instance.object.original.name, "it is the inside of a mesh").text: None
             for instance in depsgraph.object_instances if instance.object.type != "VOLUME" and shows_inside(instance.object)}
    for evaluated, matrix in _volumes(depsgraph, {}):
        try:
            terms_of(evaluated, matrix)
        except LucidError as error:
            found[error.text] = None
        if not volumes_readable():
            found["this Blender has no OpenVDB module for Python"] = None
    return list(found)


def shows_inside(evaluated: bpy.types.Object) -> bool:
    """Whether an object is nothing but its volume: the camera sees no surface of it."""
    return is_volume(evaluated) and all(isinstance(classify(one), Invisible) for one in materials_of(evaluated))


def _volumes(depsgraph: bpy.types.Depsgraph, notes: dict[str, None]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Evaluated volume objects that the camera is to see, with their world matrices."""
    for instance in depsgraph.object_instances:
        evaluated = instance.object
        if evaluated.type != "VOLUME" or not (instance.show_self and camera_sees(instance, depsgraph.view_layer)):
            continue
        matrix = np.array(instance.matrix_world, np.float64)
        if abs(np.linalg.det(matrix[:3, :3])) < _SMALLEST:
            continue
        grids = evaluated.data.grids
        if not grids.load():
            notes[f"the volume '{evaluated.original.name}' has no grids here: {grids.error_message}"] = None
        yield evaluated, matrix


def _keys(evaluated: Any, world_from_object: NDArray[np.float64]) -> dict[Term, _Key]:
    file = _own_file(evaluated)
    made = (0, 0) if file else (evaluated.original.session_uid, evaluated.data.session_uid)
    return {term: _Key(file, *made, term.grid) for term in terms_of(evaluated, world_from_object)}


def _placed(term: Term, dense: _Dense, world_from_object: NDArray[np.float64]) -> VolumeGrid:
    curve = blackbody_curve(term.light, dense.reach) if term.light and dense.reach > 0.0 else None
    emission = term.emission if curve is not None or term.light is None else (0.0, 0.0, 0.0)
    return VolumeGrid(dense.values, world_from_object @ dense.object_from_index, term.extinction, emission, curve, dense.reach)


def _own_file(evaluated: Any) -> str:
    """The file whose grids a volume shows as they are; "" where something made or changed them."""
    return "" if evaluated.modifiers else bpy.path.abspath(evaluated.data.grids.frame_filepath)


@contextmanager
def _file_of(evaluated: Any) -> Iterator[Path]:
    """A file that holds the grids of an evaluated volume."""
    if own := _own_file(evaluated):
        yield Path(own)
        return
    with tempfile.TemporaryDirectory(prefix="lucid-") as folder:
        path = Path(folder) / "grids.vdb"
        if not evaluated.data.grids.save(filepath=str(path)):
            raise refused(evaluated.original.name, f"its grids cannot be written to {path}")
        yield path


def _box(grid: Any, most: int) -> tuple[NDArray[np.float32], NDArray[np.float64], int]:
    """The box of the active voxels with at most ``most`` values, each the mean of n x n x n voxels: values (X, Y, Z),
    index_from_array (4, 4), n. Copied slice by slice, so that a huge box is never whole in memory."""
    low, high = (np.array(corner) for corner in grid.evalActiveVoxelBoundingBox())
    extent = high - low + 1
    pooled = 1
    while np.prod(-(-extent // pooled)) > most:
        pooled += 1
    x, y, z = (int(side) for side in -(-extent // pooled))
    values = np.empty((x, y, z), np.float32)
    thick = np.empty((pooled, y * pooled, z * pooled), np.float32)
    for i in range(x):
        grid.copyToArray(thick, ijk=(int(low[0]) + i * pooled, int(low[1]), int(low[2])))
        values[i] = thick.reshape(pooled, y, pooled, z, pooled).mean(axis=(0, 2, 4))
    index_from_array = np.diag([pooled, pooled, pooled, 1.0])
    index_from_array[:3, 3] = low + 0.5 * (pooled - 1)
    return values, index_from_array, pooled
