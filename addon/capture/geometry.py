# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluated meshes as arrays, read once for as long as they do not change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import bpy
import numpy as np
from numpy.typing import NDArray

REST = "rest_position"      # the attribute that Object.add_rest_position_attribute makes


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangulated mesh in object space; compared by identity, so that what is on the GPU can be found again.

    ``points`` (V, 3) float32 metres; ``faces`` (L,) int32, the point of each face's corner, which tells whether two
    meshes are one in two poses; ``triangles`` (T, 3) int32 of these corners; and of each corner: ``normal`` (L, 3)
    float32, ``slot`` (L,) int32 of its material, None where all are the first, ``uv_maps`` (L, 2) float32 by name,
    ``render_uv`` the name of the one for rendering, "" without any. ``rest`` (V, 3) float32 metres, None where unknown.
    """

    points: NDArray[np.float32]
    faces: NDArray[np.int32]
    triangles: NDArray[np.int32]
    normal: NDArray[np.float32]
    slot: NDArray[np.int32] | None
    rest: NDArray[np.float32] | None
    uv_maps: dict[str, NDArray[np.float32]]
    render_uv: str

    @property
    def uv(self) -> NDArray[np.float32] | None:
        return self.uv_maps.get(self.render_uv)

    def uv_map(self, name: str) -> NDArray[np.float32]:
        """The UV map of this name, "" for the one for rendering; zeros where there is none, as Cycles has it."""
        found = self.uv_maps.get(name or self.render_uv)
        return np.zeros((len(self.faces), 2), np.float32) if found is None else found

    @cached_property
    def corner_points(self) -> NDArray[np.float32]:
        """(L, 3): the point of each face's corner. A mesh that deforms is asked for them in three frames."""
        return self.points[self.faces]

    @cached_property
    def corners_of_box(self) -> NDArray[np.float64]:
        """(8, 3): the corners of the bounding box."""
        ends = self.points.min(axis=0), self.points.max(axis=0)
        return np.array([[ends[i][0], ends[j][1], ends[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.float64)

    def moves_into(self, other: Mesh) -> bool:
        """Whether ``other`` is this mesh in another pose: the same points in the same faces."""
        return other is self or (len(self.points) == len(other.points) and np.array_equal(self.faces, other.faces))


class RestMemory:
    """Rest positions of what Blender gives none for (curves, text, metaballs, geometry nodes): where its points were when
    it was first seen, for as long as its topology stays the same. It lives as long as a capture."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, str], Mesh] = {}

    def known(self, key: tuple[int, str], mesh: Mesh) -> Mesh:
        if mesh.rest is not None:
            return mesh
        first = self._first.setdefault(key, mesh)
        return replace(mesh, rest=first.points) if first.moves_into(mesh) else mesh


class MeshCache:
    """Meshes by (object, evaluated mesh), read again only when the object's geometry changed."""

    def __init__(self, rest: RestMemory, *, detailed: bool) -> None:
        self._read: dict[tuple[int, int], Mesh | None] = {}
        self._rest, self._detailed = rest, detailed

    def forget_changed(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Drop what the last evaluation changed."""
        dirty = {update.id.original.session_uid for update in depsgraph.updates if update.is_updated_geometry}
        if dirty:
            self._read = {key: value for key, value in self._read.items() if key[0] not in dirty}

    def mesh(self, evaluated: bpy.types.Object) -> Mesh | None:
        data = evaluated.data
        owner = evaluated.original.session_uid
        key = (owner, data.session_uid)
        if key not in self._read:
            found = read_mesh(data, detailed=self._detailed)
            if found is not None and self._detailed:
                found = self._rest.known((owner, data.name), found)
            self._read[key] = found
        return self._read[key]

    def keep_only(self, used: Iterable[Mesh]) -> None:
        """Let go of meshes that no instance shows any more: memory stays flat over a long shot."""
        kept = set(used)
        self._read = {key: value for key, value in self._read.items() if value is None or value in kept}


def read_mesh(mesh: bpy.types.Mesh, *, detailed: bool) -> Mesh | None:
    """An evaluated mesh, with its corner normals; None for one without faces. Rest positions are read only where
    ``detailed``."""
    count = len(mesh.loop_triangles)
    if count == 0:
        return None
    points = _filled((len(mesh.vertices), 3), np.float32, mesh.attributes["position"].data, "vector")
    triangles = _filled((count, 3), np.int32, mesh.loop_triangles, "loops")
    faces = _filled(len(mesh.loops), np.int32, mesh.attributes[".corner_vert"].data, "value")
    normal = _filled((len(mesh.loops), 3), np.float32, mesh.corner_normals, "vector")
    maps = {layer.name: _filled((len(mesh.loops), 2), np.float32, layer.uv, "vector") for layer in mesh.uv_layers}
    rest = mesh.attributes.get(REST) if detailed else None
    return Mesh(points, faces, triangles, normal, _slots(mesh),
                _filled((len(points), 3), np.float32, rest.data, "vector") if rest is not None else None, maps,
                next((layer.name for layer in mesh.uv_layers if layer.active_render), ""))


def _slots(mesh: bpy.types.Mesh) -> NDArray[np.int32] | None:
    indices = mesh.attributes.get("material_index")
    if indices is None:
        return None
    slots = _filled(len(mesh.polygons), np.int32, indices.data, "value")
    return np.repeat(slots, _filled(len(mesh.polygons), np.int32, mesh.polygons, "loop_total"))


def _filled(shape: int | tuple[int, ...], kind: type[np.generic], collection: bpy.types.bpy_prop_collection,
            name: str) -> NDArray[np.generic]:
    array = np.empty(shape, kind)
    collection.foreach_get(name, array.ravel())
    return array


