# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids, materials, world normals, rest positions, UVs and alpha against closed forms; and the files they are in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
import pytest
from lucid.inference.shot.model import PASSES, Frames
from lucid.tests.captured import SIZE, Captured, add_armature, add_camera, add_cube, add_sphere, captured
from lucid.tests.oracle import cycles_passes
from numpy.typing import NDArray


def _image(shot: Captured, name: str, frame: int = 1) -> NDArray[Any]:
    """(H, W, C) of a pass, (H, W) where it has one channel."""
    image = shot.read(name, frame)
    return np.stack([image[channel] for channel in PASSES[name]], axis=-1).squeeze()


def _materials(shot: Captured, frame: int = 1) -> NDArray[np.str_]:
    table = {0: "", **shot.shot.materials}
    return np.vectorize(table.__getitem__)(_image(shot, "material", frame))


def _points(shot: Captured, frame: int = 1) -> NDArray[np.float64]:
    """What each pixel sees, in the world."""
    start, way = shot.rays(shot.shot.frames.numbers.index(frame))
    with np.errstate(invalid="ignore"):
        return start + way * shot.depth(frame)[..., None]


def _from_above(scene: bpy.types.Scene, width: float = 10.0) -> bpy.types.Object:
    """An orthographic camera that looks down; image right is world x, image up is world y."""
    camera = add_camera(scene, at=(0.0, 0.0, 10.0), type="ORTHO", ortho_scale=width)
    camera.rotation_euler = (0.0, 0.0, 0.0)
    return camera


def _key(owner: bpy.types.bpy_struct, path: str, values: dict[int, Any]) -> None:
    for frame, value in values.items():
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def _material(name: str, item: bpy.types.Object | None = None) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if item is not None:
        item.data.materials.append(material)
    return material


def _row(source: bpy.types.Object, count: int) -> bpy.types.Object:
    """Instances of ``source`` by geometry nodes, a metre apart along x from -1."""
    group = bpy.data.node_groups.new("Row", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    line, info, place, out = (group.nodes.new(kind) for kind in (
        "GeometryNodeMeshLine", "GeometryNodeObjectInfo", "GeometryNodeInstanceOnPoints", "NodeGroupOutput"))
    line.inputs["Count"].default_value = count
    line.inputs["Start Location"].default_value = (-1.0, 0.0, 0.0)
    line.inputs["Offset"].default_value = (1.0, 0.0, 0.0)
    info.inputs["Object"].default_value = source
    info.inputs["As Instance"].default_value = True
    group.links.new(line.outputs["Mesh"], place.inputs["Points"])
    group.links.new(info.outputs["Geometry"], place.inputs["Instance"])
    group.links.new(place.outputs["Instances"], out.inputs[0])
    item = bpy.data.objects.new("Row", bpy.data.meshes.new("Row"))
    bpy.context.scene.collection.objects.link(item)
    item.modifiers.new("Row", "NODES").node_group = group
    return item


# ids and materials

def test_a_material_for_each_face(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """A cube with a slot for each axis; a cube that wears one of them by its object; one without any."""
    cube = add_cube("Cube", size=2.0)
    for name in "XYZ":
        _material(name, cube)
    for face in cube.data.polygons:
        face.material_index = int(np.abs(face.normal).argmax())
    dressed, bare = add_cube("Dressed", at=(2.6, 0.0, 0.0)), add_cube("Bare", at=(-2.6, 0.0, 0.0))
    _material("Unused", dressed)
    dressed.material_slots[0].link = "OBJECT"
    dressed.material_slots[0].material = bpy.data.materials["Y"]
    add_camera(empty, at=(4.0, -6.0, 4.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, passes=("depth", "normal_world", "id", "material"))
    names, materials, normal = shot.names(), _materials(shot), _image(shot, "normal_world")
    assert _image(shot, "material").dtype == shot.id().dtype == np.uint32
    on = names == "Cube"
    assert set(np.unique(materials[on])) == {"X", "Y", "Z"}
    assert (materials[on] == np.array(list("XYZ"))[np.abs(normal[on]).argmax(-1)]).all()
    assert set(materials[names == "Dressed"]) == {"Y"}
    assert set(materials[names == "Bare"]) == set(materials[names == ""]) == {""}
    assert "Unused" not in shot.shot.materials.values()
    assert dressed.name in names and bare.name in names


def test_ids_and_materials_as_in_cycles(empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.object.text_add(location=(-3.0, 1.2, 0.0))
    bpy.ops.curve.primitive_bezier_circle_add(location=(-0.5, 1.4, 0.0), radius=0.7)
    bpy.context.object.data.bevel_depth = 0.15
    bpy.ops.object.metaball_add(location=(1.8, 1.4, 0.0), radius=0.9)
    bpy.ops.surface.primitive_nurbs_surface_sphere_add(location=(3.6, 1.4, 0.0), radius=0.7)
    ball = add_sphere("Ball", at=(-2.6, -1.5, 0.0), radius=0.6, detail=24)
    for item in list(empty.objects):
        _material(f"of {item.name}", item)
    kit = bpy.data.collections.new("Kit")
    kit.objects.link(bpy.data.objects.new("Kit ball", ball.data))
    place = bpy.data.objects.new("Place", None)
    place.instance_type, place.instance_collection, place.location = "COLLECTION", kit, (3.8, -1.4, 0.0)
    empty.collection.objects.link(place)
    leaf = add_cube("Leaf", at=(0.0, -20.0, 0.0), size=0.5)
    _material("of Leaf", leaf)
    _row(leaf, 3).location = (0.6, -1.2, 0.0)
    _from_above(empty)
    shot = captured(empty, tmp_path, passes=("depth", "id", "material"))
    truth = cycles_passes(empty, 1, SIZE)
    names = shot.names()
    assert {"Text", "BézierCircle", "Mball", "SurfSphere", "Ball", "Place/Kit ball"} <= set(np.unique(names))
    assert {f"Row/Leaf[0.{index}]" for index in range(3)} <= set(np.unique(names))
    ours = np.vectorize(lambda name: name.rpartition("/")[2].partition("[")[0])(names)
    assert (ours != truth["object"]).mean() <= 1e-3
    # Cryptomatte calls what has no material "None"
    theirs = np.where(np.isin(truth["material"], ("None", "default_surface")), "", truth["material"])
    assert (_materials(shot) != theirs).mean() <= 1e-3
    assert {"of Text", "of Mball", "of Leaf"} <= set(np.unique(theirs))


# normals

def test_the_world_normal_is_the_normal_turned(empty: bpy.types.Scene, tmp_path: Path) -> None:
    ball = add_sphere(smooth=True)
    ball.rotation_euler, ball.scale = (0.3, 0.2, 0.1), (1.0, 1.4, -0.8)
    bpy.ops.mesh.primitive_plane_add(size=30.0, location=(0.0, 0.0, -1.5))
    add_camera(empty)
    shot = captured(empty, tmp_path, passes=("depth", "normal", "normal_world", "id"))
    world, names = _image(shot, "normal_world"), shot.names()
    turned = shot.normal() @ shot.camera["world_from_camera"][0][:3, :3].T
    np.testing.assert_allclose(world, turned, atol=1e-6)
    assert (world[names == ""] == 0.0).all()
    np.testing.assert_allclose(world[names == "Plane"], np.broadcast_to((0.0, 0.0, 1.0), ((names == "Plane").sum(), 3)),
                               atol=1e-6)
    on = names == "Sphere"
    local = np.linalg.inv(np.array(ball.matrix_world))[:3, :3]
    radius = (_points(shot)[on] - np.array(ball.location)) @ local.T @ local
    alike = (world[on] * radius).sum(-1) / np.linalg.norm(radius, axis=-1)
    assert np.median(alike) > 1.0 - 1e-5


# rest positions

def _moves(item: bpy.types.Object) -> None:
    _key(item, "location", {1: (0.0, 0.0, 0.0), 2: (0.5, 0.3, 0.2)})
    _key(item, "rotation_euler", {1: (0.0, 0.0, 0.0), 2: (0.3, 0.5, 0.2)})
    _key(item, "scale", {1: (1.0, 1.0, 1.0), 2: (1.2, 0.9, 0.7)})


def _shape_key(item: bpy.types.Object) -> None:
    item.shape_key_add(name="Basis")
    shape = item.shape_key_add(name="Wide")
    for point in shape.data:
        point.co.x *= 1.5
        point.co.y += 0.3 * point.co.z
    _key(shape, "value", {1: 0.0, 2: 1.0})


def _armature(item: bpy.types.Object) -> None:
    rig = add_armature("Rig", {"Bone": ((0.0, 0.0, -1.0), (0.0, 0.0, 1.0), None)})
    item.vertex_groups.new(name="Bone").add(range(len(item.data.vertices)), 1.0, "REPLACE")
    item.modifiers.new("Rig", "ARMATURE").object = rig
    rig.pose.bones["Bone"].rotation_mode = "XYZ"
    _key(rig.pose.bones["Bone"], "rotation_euler", {1: (0.0, 0.0, 0.0), 2: (0.3, 0.2, 0.6)})


def _wave(item: bpy.types.Object) -> None:
    wave = item.modifiers.new("Wave", "WAVE")
    wave.height, wave.width, wave.speed, wave.time_offset = 0.4, 0.8, 0.15, -20.0


def _subdivided_armature(item: bpy.types.Object) -> None:
    _armature(item)
    item.modifiers.new("Smooth", "SUBSURF").render_levels = 1


@pytest.mark.parametrize("change", [_moves, _shape_key, _armature, _wave, _subdivided_armature])
def test_rest_positions_stay_with_their_point(change: Callable[[bpy.types.Object], None], empty: bpy.types.Scene,
                                              tmp_path: Path) -> None:
    """A pixel and the place where its flow leads in the next frame show the same rest position."""
    ball = add_sphere("Ball", detail=64, smooth=True)
    change(ball)
    add_camera(empty, lens=70.0)
    shot = captured(empty, tmp_path, frames=Frames(1, 2), passes=("depth", "id", "rest", "flow_forward"))
    here, there, flow = _image(shot, "rest", 1), _image(shot, "rest", 2), _image(shot, "flow_forward", 1)
    v, u = np.mgrid[0:SIZE.height, 0:SIZE.width]
    x, y = u + flow[..., 0], v + flow[..., 1]
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    sure = (flow[..., 3] == 1.0) & (column >= 0) & (row >= 0) & (column < SIZE.width - 1) & (row < SIZE.height - 1)
    corners = [(row + down, column + right, np.abs(1 - down - (y - row)) * np.abs(1 - right - (x - column)))
               for down in (0, 1) for right in (0, 1)]
    for down, right, _ in corners:
        inner = np.zeros_like(sure)
        inner[sure] = shot.id(2)[down[sure], right[sure]] == shot.id(1)[sure]
        sure &= inner
    sure &= shot.id(1) > 0
    assert sure.sum() > 800
    found = sum(there[down[sure], right[sure]] * weight[sure][:, None] for down, right, weight in corners)
    away = np.linalg.norm(found - here[sure], axis=-1)
    assert np.median(away) < 1e-4 and np.percentile(away, 90.0) < 2e-3
    assert np.median(np.hypot(*flow[sure][:, :2].T)) > 1.0
    radius = np.linalg.norm(here[shot.id(1) > 0], axis=-1)          # of the sphere as it was modelled
    assert radius.max() < 1.0 + 1e-5 and radius.min() > 0.99
    assert (here[shot.id(1) == 0] == 0.0).all()


@pytest.mark.parametrize("change", [_moves, _shape_key])
def test_rest_positions_are_those_of_the_undeformed_mesh(change: Callable[[bpy.types.Object], None],
                                                         empty: bpy.types.Scene, tmp_path: Path) -> None:
    """What deforms by an affine map is taken back by its inverse, to the last bits."""
    change(add_cube("Cube", size=1.5))
    add_camera(empty)
    shot = captured(empty, tmp_path, frames=Frames(1, 2), passes=("depth", "id", "rest"))
    empty.frame_set(2)
    pose = np.array(empty.objects["Cube"].matrix_world)
    if change is _shape_key:
        pose = np.array(((1.5, 0.0, 0.0, 0.0), (0.0, 1.0, 0.3, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    for frame, matrix in ((1, np.eye(4)), (2, pose)):
        on = shot.id(frame) > 0
        back = np.linalg.inv(matrix)
        truth = _points(shot, frame)[on] @ back[:3, :3].T + back[:3, 3]
        assert on.sum() > 800
        np.testing.assert_allclose(_image(shot, "rest", frame)[on], truth, atol=2e-5)


def test_rest_positions_of_instances_are_their_meshes(empty: bpy.types.Scene, tmp_path: Path) -> None:
    leaf = add_cube("Leaf", at=(0.0, -20.0, 0.0), size=0.5)
    row = _row(leaf, 3)
    row.location, row.rotation_euler = (0.0, 0.5, 0.3), (0.0, 0.0, 0.2)
    kit = bpy.data.collections.new("Kit")
    kit.objects.link(bpy.data.objects.new("Block", leaf.data))
    place = bpy.data.objects.new("Place", None)
    place.instance_type, place.instance_collection, place.location = "COLLECTION", kit, (0.0, -1.0, 0.0)
    empty.collection.objects.link(place)
    add_camera(empty, at=(0.5, -4.0, 3.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, passes=("depth", "id", "rest"))
    names, rest, points = shot.names(), _image(shot, "rest"), _points(shot)
    seen = bpy.context.evaluated_depsgraph_get().object_instances
    places = {f"Row/Leaf[0.{item.persistent_id[1]}]" if item.parent.name == "Row" else "Place/Block":
              np.linalg.inv(np.array(item.matrix_world)) for item in seen if item.is_instance}
    assert len(places) == 4
    for name, back in places.items():
        on = names == name
        assert on.sum() > 50
        np.testing.assert_allclose(rest[on], points[on] @ back[:3, :3].T + back[:3, 3], atol=2e-5)


def test_the_scene_keeps_no_rest_positions(empty: bpy.types.Scene, tmp_path: Path) -> None:
    cube = add_cube("Cube")
    cube.modifiers.new("Smooth", "SUBSURF")
    add_camera(empty)
    captured(empty, tmp_path, passes=("depth", "id", "rest"))
    assert not cube.add_rest_position_attribute
    assert "rest_position" not in cube.data.attributes


# UVs

def test_uv_of_a_plane_and_of_a_sphere(empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=4.0, location=(-2.5, 0.0, 0.0))
    bpy.ops.mesh.primitive_uv_sphere_add(segments=128, ring_count=64, radius=1.5, location=(2.2, 0.0, 0.0))
    bare = add_cube("Bare", at=(0.0, 1.8, 0.0))
    bare.data.uv_layers.remove(bare.data.uv_layers[0])
    _from_above(empty)
    shot = captured(empty, tmp_path, passes=("depth", "id", "uv"))
    names, uv, points = shot.names(), _image(shot, "uv"), _points(shot)
    on = names == "Plane"
    assert on.sum() > 2000
    np.testing.assert_allclose(uv[on], points[on][:, :2] / 4.0 + (0.5 + 2.5 / 4.0, 0.5), atol=2e-6)
    on = names == "Sphere"
    x, y, z = (points[on] - (2.2, 0.0, 0.0)).T / 1.5
    # Blender's sphere begins its seam somewhere of its own: the same turn for all of it
    around = (np.arctan2(y, x) / (2.0 * np.pi) - uv[on][:, 0]) % 1.0
    down = 1.0 - np.arccos(np.clip(z / np.sqrt(x * x + y * y + z * z), -1.0, 1.0)) / np.pi
    away = (around - np.median(around) + 0.5) % 1.0 - 0.5
    below = np.hypot(x, y) > 0.2                             # at the pole triangles share one point and not one u
    assert np.abs(away[below]).max() < 2.0 / 128
    assert np.median(np.abs(away[below])) < 1e-4
    np.testing.assert_allclose(uv[on][:, 1], down, atol=1e-3)
    assert np.isnan(uv[names == "Bare"]).all() and (names == "Bare").sum() > 50
    assert (uv[names == ""] == 0.0).all()


def test_uv_is_the_map_that_renders_use(empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=4.0)
    mesh = bpy.context.object.data
    other = mesh.uv_layers.new(name="Other")
    for corner, loop in enumerate(mesh.loops):
        other.uv[corner].vector = 0.5 * mesh.vertices[loop.vertex_index].co.xy
    mesh.uv_layers.active_index, other.active_render = 0, True
    _from_above(empty)
    shot = captured(empty, tmp_path, passes=("depth", "id", "uv"))
    on = shot.id() > 0
    np.testing.assert_allclose(_image(shot, "uv")[on], _points(shot)[on][:, :2] * 0.5, atol=2e-6)


# alpha

def test_alpha_is_the_coverage_of_a_disc(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_sphere("Ball", radius=2.3, at=(0.13, 0.07, 0.0), detail=384)
    _from_above(empty)
    shot = captured(empty, tmp_path, passes=("depth", "id", "alpha"))
    alpha = cv2.imread(str(shot.folder / shot.shot.sequence("alpha").path(1)), cv2.IMREAD_UNCHANGED) / 255.0
    area = np.pi * (2.3 * SIZE.width / 10.0) ** 2
    assert abs(alpha.sum() - area) / area < 1e-3
    assert ((alpha > 0.0) & (alpha < 1.0)).sum() > 150


def _cut_out(image: NDArray[np.float64], interpolation: str, extension: str) -> bpy.types.Object:
    """A card whose alpha is that of an image."""
    bpy.ops.mesh.primitive_plane_add(size=3.0)
    card = bpy.context.object
    card.name = "Card"
    material = _material("Leaf", card)
    picture = bpy.data.images.new("Leaf", *image.shape[::-1], alpha=True)
    picture.pixels.foreach_set(np.stack([np.ones_like(image)] * 3 + [image], axis=-1).astype(np.float32).ravel())
    picture.pack()
    nodes = material.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image, texture.interpolation, texture.extension = picture, interpolation, extension
    material.node_tree.links.new(texture.outputs["Alpha"], nodes["Principled BSDF"].inputs["Alpha"])
    return card


@pytest.mark.parametrize("interpolation", ["Linear", "Closest"])
@pytest.mark.parametrize("extension", ["REPEAT", "CLIP"])
def test_a_card_with_an_image_for_alpha_is_cut_out_as_in_cycles(interpolation: str, extension: str,
                                                                empty: bpy.types.Scene, tmp_path: Path) -> None:
    # below half of it, chance decides in Cycles: a sharp edge leaves it little
    y, x = np.mgrid[0:128, 0:128] / 127.0 * 2.0 - 1.0
    card = _cut_out((np.hypot(x, 1.4 * y + 0.3 * x) < 0.8) * 0.9, interpolation, extension)
    for corner in card.data.uv_layers[0].uv:                 # beyond the image's edges, too
        corner.vector = corner.vector * 1.6 - type(corner.vector)((0.2, 0.3))
    card.rotation_euler = (0.3, 0.2, 0.4)
    bpy.ops.mesh.primitive_plane_add(size=40.0, location=(0.0, 0.0, -2.0))
    card.pass_index = 1                                      # Cryptomatte has no threshold, the index has
    _from_above(empty, 6.0)
    shot = captured(empty, tmp_path, passes=("depth", "id", "alpha"))
    truth = cycles_passes(empty, 1, SIZE)
    same = (shot.names() == "Card") == (truth["object_index"] == 1)
    assert 0.05 < (truth["object_index"] == 1).mean() < 0.3
    assert same.mean() >= 0.995
    np.testing.assert_allclose(shot.depth()[same], truth["depth"][same], rtol=1e-4)
