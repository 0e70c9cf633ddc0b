# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes, materials and keyframes through Blender's low-level API. Lengths in metres, z up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

Point = Sequence[float]
Weights = Mapping[str, float]

#: linear interpolation, as F-curve keyframes store it
_LINEAR = 1


def material(name: str, colour: Point, roughness: float = 0.85) -> bpy.types.Material:
    """A plain surface of one base colour (linear RGB); shared by name within a file."""
    if name in bpy.data.materials:
        return bpy.data.materials[name]
    made = bpy.data.materials.new(name)
    made.diffuse_color = (*colour, 1.0)
    made.roughness = roughness
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return made


class Solid:
    """One mesh put together from primitives; each piece names its material slot and, if skinned, its bones."""

    def __init__(self, name: str, materials: Sequence[bpy.types.Material]) -> None:
        self.name = name
        self.materials = list(materials)
        self.bm = bmesh.new()
        self._deform = self.bm.verts.layers.deform.verify()
        self._groups: dict[str, int] = {}

    def box(self, low: Point, high: Point, slot: int = 0, weights: Weights | None = None) -> None:
        """An axis-aligned box between two corners."""
        centre, size = (Vector(low) + Vector(high)) / 2, Vector(high) - Vector(low)
        made = bmesh.ops.create_cube(self.bm, size=1.0, matrix=Matrix.LocRotScale(centre, None, size))
        self._dress(made["verts"], slot, weights)

    def cone(self, base: Point, top: Point, radii: tuple[float, float], slot: int = 0, sides: int = 16) -> None:
        """A capped cylinder or cone from one point to another with a radius at each end."""
        axis = Vector(top) - Vector(base)
        turn = axis.to_track_quat("Z", "Y").to_matrix().to_4x4()
        place = Matrix.Translation((Vector(base) + Vector(top)) / 2) @ turn
        made = bmesh.ops.create_cone(self.bm, cap_ends=True, segments=sides, radius1=radii[0], radius2=radii[1],
                                     depth=axis.length, matrix=place)
        self._dress(made["verts"], slot, None, smooth=sides > 8)

    def ball(self, centre: Point, radii: Point, slot: int = 0, weights: Weights | None = None,
             turn: Matrix | None = None, detail: tuple[int, int] = (16, 10)) -> list[bmesh.types.BMFace]:
        """An ellipsoid with its poles along z before `turn`."""
        place = Matrix.LocRotScale(Vector(centre), turn, Vector(radii))
        made = bmesh.ops.create_uvsphere(self.bm, u_segments=detail[0], v_segments=detail[1], radius=1.0, matrix=place)
        return self._dress(made["verts"], slot, weights, smooth=True)

    def blob(self, centre: Point, radii: Point, slot: int = 0, lumps: float = 0.0, seed: float = 0.0) -> None:
        """An icosphere pushed in and out by sines of its own position: foliage, no two alike."""
        place = Matrix.LocRotScale(Vector(centre), None, Vector(radii))
        made = bmesh.ops.create_icosphere(self.bm, subdivisions=3, radius=1.0)
        for vertex in made["verts"]:
            x, y, z = vertex.co
            bump = np.sin(5.1 * x + seed) * np.sin(4.7 * y + 2 * seed) + 0.6 * np.sin(9.3 * z + 7.7 * x + 3 * seed)
            vertex.co = place @ (vertex.co * (1.0 + lumps * float(bump)))
        self._dress(made["verts"], slot, None, smooth=True)

    def prism(self, outline: Sequence[tuple[float, float]], ends: tuple[float, float], slot: int = 0,
              inset: float = 0.0, bevel: float = 0.0) -> None:
        """A (y, z) outline swept along x; `inset` narrows its upper points towards the middle, `bevel` rounds edges."""
        top = max(z for _, z in outline)
        low = min(z for _, z in outline)
        sides = []
        for x, inward in ((ends[0], inset), (ends[1], -inset)):
            sides.append([self.bm.verts.new((x + inward * (z - low) / (top - low), y, z)) for y, z in outline])
        faces = [self.bm.faces.new(side) for side in sides]
        for k in range(len(outline)):
            near, far = sides
            after = (k + 1) % len(outline)
            faces.append(self.bm.faces.new((near[k], near[after], far[after], far[k])))
        for face in faces:
            face.material_index = slot
        if bevel:
            edges = list({edge for face in faces for edge in face.edges})
            bmesh.ops.bevel(self.bm, geom=edges, offset=bevel, segments=3, profile=0.5, affect="EDGES", material=slot)

    def loft(self, rings: NDArray[np.float64], slot: int = 0, weights: Sequence[Weights] | None = None) -> None:
        """A closed skin over rings (R, S, 3), capped at both ends; `weights` gives the bones of each ring."""
        verts = [[self.bm.verts.new(point) for point in ring] for ring in rings]
        count = rings.shape[1]
        faces = [self.bm.faces.new(verts[0]), self.bm.faces.new(verts[-1])]
        for low, high in zip(verts, verts[1:], strict=False):
            faces += [self.bm.faces.new((low[k], low[(k + 1) % count], high[(k + 1) % count], high[k]))
                      for k in range(count)]
        for face in faces:
            face.material_index, face.smooth = slot, True
        for ring, bones in zip(verts, weights or [], strict=False):
            self._bind(ring, bones)

    def _dress(self, verts: Sequence[bmesh.types.BMVert], slot: int, weights: Weights | None,
               smooth: bool = False) -> list[bmesh.types.BMFace]:
        faces = list({face for vertex in verts for face in vertex.link_faces})
        for face in faces:
            face.material_index, face.smooth = slot, smooth
        if weights:
            self._bind(verts, weights)
        return faces

    def _bind(self, verts: Sequence[bmesh.types.BMVert], weights: Weights) -> None:
        for bone, weight in weights.items():
            group = self._groups.setdefault(bone, len(self._groups))
            for vertex in verts:
                vertex[self._deform][group] = weight

    def mesh(self) -> bpy.types.Mesh:
        """The finished mesh, faces turned outwards; the solid is spent."""
        bmesh.ops.recalc_face_normals(self.bm, faces=self.bm.faces)
        made = bpy.data.meshes.new(self.name)
        self.bm.to_mesh(made)
        self.bm.free()
        for one in self.materials:
            made.materials.append(one)
        return made

    def object(self, collection: bpy.types.Collection, at: Point = (0, 0, 0), yaw: float = 0.0) -> bpy.types.Object:
        """The finished mesh as an object of `collection`, with its vertex groups."""
        groups = list(self._groups)
        made = put(self.name, self.mesh(), collection, at, yaw)
        for group in groups:
            made.vertex_groups.new(name=group)
        return made


def put(name: str, data: bpy.types.ID | None, collection: bpy.types.Collection, at: Point = (0, 0, 0),
        yaw: float = 0.0) -> bpy.types.Object:
    """A new object of `collection` at `at` (m), turned by `yaw` (radians) about z."""
    made = bpy.data.objects.new(name, data)
    made.location, made.rotation_euler = at, (0.0, 0.0, yaw)
    collection.objects.link(made)
    return made


def collection(scene: bpy.types.Scene, name: str) -> bpy.types.Collection:
    """A new collection in the scene's root."""
    made = bpy.data.collections.new(name)
    scene.collection.children.link(made)
    return made


def key(owner: bpy.types.Object, path: str, frames: Sequence[int], values: NDArray[np.floating], group: str) -> None:
    """Key `values` (F, C) at `frames` on the property `path` of `owner`, one linear key per frame and component."""
    animation = owner.animation_data or owner.animation_data_create()
    if animation.action is None:
        animation.action = bpy.data.actions.new(owner.name)
    for component in range(values.shape[1]):
        curve = animation.action.fcurve_ensure_for_datablock(owner, path, index=component, group_name=group)
        points = curve.keyframe_points
        points.add(len(frames))
        points.foreach_set("co", np.stack([np.asarray(frames, float), values[:, component]], 1).ravel())
        points.foreach_set("interpolation", [_LINEAR] * len(frames))
        curve.update()
