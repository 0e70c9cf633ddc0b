# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is drawn and as whom: instances, everything that has a surface, actors, mattes and the clean plate."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture.instances import Registry
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import ENVIRONMENT, Frames, Size
from lucid.tests.captured import SIZE, add_armature, add_camera, add_cube, add_sphere, captured


def _from_above(scene: bpy.types.Scene, width: float = 10.0) -> bpy.types.Object:
    """An orthographic camera that looks down; image right is world x, image up is world y."""
    camera = add_camera(scene, at=(0.0, 0.0, 10.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=width)
    camera.rotation_euler = (0.0, 0.0, 0.0)
    return camera


def _scatter(source: bpy.types.Object, count: int) -> bpy.types.Object:
    """``count`` x 1 instances of ``source`` by geometry nodes, a metre apart along x."""
    group = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    line = group.nodes.new("GeometryNodeMeshLine")
    line.inputs["Count"].default_value = count
    line.inputs["Start Location"].default_value = (-0.5 * (count - 1), 2.0, 0.0)
    line.inputs["Offset"].default_value = (1.0, 0.0, 0.0)
    info = group.nodes.new("GeometryNodeObjectInfo")
    info.inputs["Object"].default_value = source
    info.inputs["As Instance"].default_value = True
    place = group.nodes.new("GeometryNodeInstanceOnPoints")
    out = group.nodes.new("NodeGroupOutput")
    group.links.new(line.outputs["Mesh"], place.inputs["Points"])
    group.links.new(info.outputs["Geometry"], place.inputs["Instance"])
    group.links.new(place.outputs["Instances"], out.inputs[0])
    item = bpy.data.objects.new("Scatter", bpy.data.meshes.new("Scatter"))
    bpy.context.scene.collection.objects.link(item)
    item.modifiers.new("Scatter", "NODES").node_group = group
    return item


def test_every_instance_has_an_id_of_its_own(empty: bpy.types.Scene, tmp_path: Path) -> None:
    leaf = add_cube("Leaf", size=0.5, at=(0.0, -8.0, 0.0))
    _scatter(leaf, 7)
    kit = bpy.data.collections.new("Kit")
    kit.objects.link(bpy.data.objects.new("Block", leaf.data))
    for x in (-2.0, 2.0):
        place = bpy.data.objects.new("Place", None)
        place.instance_type, place.instance_collection, place.location = "COLLECTION", kit, (x, -1.0, 0.0)
        empty.collection.objects.link(place)
    _from_above(empty)
    shot = captured(empty, tmp_path, frames=Frames(1, 3))
    seen = {shot.shot.instances[number] for number in np.unique(shot.id()) if number}
    assert seen == {f"Scatter/Leaf[0.{i}]" for i in range(7)} | {"Place/Block", "Place.001/Block"}
    np.testing.assert_array_equal(shot.id(1), shot.id(3))
    # the one at the right end of the row is where it should be
    column = int((3.0 + 5.0) / 10.0 * SIZE.width)
    row = int(SIZE.height / 2 - 2.0 / 10.0 * SIZE.width)
    assert (shot.id()[row, column] != shot.id()[row, column - SIZE.width // 10]) and shot.id()[row, column] > 0


def test_ids_beyond_what_float32_counts(empty: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def far(instances: Registry, key: tuple[str, str, tuple[int, ...]], actor: int) -> int:
        return instances.numbers.setdefault(key, (1 << 31) + (1 << 24) + 1 + 2 * len(instances.numbers))

    monkeypatch.setattr(Registry, "number", far)
    for x in range(4):
        add_cube(f"Cube {x}", at=(2.0 * x - 3.0, 0.0, 0.0))
    _from_above(empty)
    shot = captured(empty, tmp_path)
    assert set(np.unique(shot.id()).tolist()) == {0, *shot.shot.instances}
    assert max(shot.shot.instances) > 1 << 31


def test_everything_with_a_surface_is_drawn(empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.object.text_add(location=(-4.0, 1.0, 0.0))
    bpy.context.object.name = "Text"
    bpy.ops.curve.primitive_bezier_circle_add(location=(-1.5, 1.0, 0.0), radius=0.7)
    bpy.context.object.name, bpy.context.object.data.bevel_depth = "Ring", 0.15
    bpy.ops.object.metaball_add(location=(1.0, 1.0, 0.0), radius=1.0)
    bpy.context.object.name = "Blob"
    bpy.ops.surface.primitive_nurbs_surface_sphere_add(location=(3.5, 1.0, 0.0), radius=0.8)
    bpy.context.object.name = "Nurbs"
    keyed = add_cube("Keyed", at=(-3.0, -1.2, 0.0))
    keyed.shape_key_add(name="Basis")
    for point in keyed.shape_key_add(name="Wide").data:
        point.co.x *= 2.0
    keyed.data.shape_keys.key_blocks["Wide"].value = 1.0
    hidden = add_cube("Hidden", at=(0.0, -1.2, 0.0))
    hidden.hide_render = True
    unseen = add_cube("Unseen", at=(3.0, -1.2, 0.0))
    unseen.visible_camera = False
    hair = bpy.data.hair_curves.new("Hair")
    hair.add_curves([4])
    empty.collection.objects.link(bpy.data.objects.new("Hair", hair))
    _from_above(empty)
    shot = captured(empty, tmp_path)
    names = shot.names()
    assert set(np.unique(names)) == {"", "Text", "Ring", "Blob", "Nurbs", "Keyed"}
    columns = np.flatnonzero((names == "Keyed").any(0))
    assert abs((columns[-1] - columns[0] + 1) * 10.0 / SIZE.width - 2.0) < 0.15
    assert "'Hair' goes through Cycles: hair curves" in shot.shot.source["notes"]


def test_render_visibility_and_render_subdivision_count(empty: bpy.types.Scene, tmp_path: Path) -> None:
    cube = add_cube("Cube", size=4.0)
    modifier = cube.modifiers.new("Smooth", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 4
    cube.hide_viewport = True
    _from_above(empty)
    shot = captured(empty, tmp_path)
    area = (shot.id() > 0).sum() * (10.0 / SIZE.width) ** 2
    assert 6.0 < area < 12.0                    # a rounded thing, not the 16 square metres of the cube


def test_matte_of_a_disc(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_sphere("Ball", radius=1.3, at=(0.13, 0.07, 0.0))
    _from_above(empty)
    shot = captured(empty, tmp_path, actors=("Ball",))
    matte = shot.matte("Ball")
    area = np.pi * (1.3 * SIZE.width / 10.0) ** 2
    assert abs(matte.sum() - area) / area < 0.01
    assert ((matte > 0.0) & (matte < 1.0)).sum() > 60               # antialiased around the whole outline
    v, u = np.mgrid[0:SIZE.height, 0:SIZE.width] + 0.5              # and its middle is in the right place
    assert abs((u * matte).sum() / matte.sum() - SIZE.width * (0.5 + 0.013)) < 0.02
    assert abs((v * matte).sum() / matte.sum() - (SIZE.height / 2 - 0.007 * SIZE.width)) < 0.02


def test_mattes_are_depth_resolved(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_sphere("Near", radius=1.0, at=(-0.5, 0.0, 2.0))
    add_sphere("Far", radius=1.5, at=(0.5, 0.0, 0.0))
    add_cube("Wall", size=4.0, at=(4.0, 0.0, 3.0))                   # its edge lies at x = 2 - covers nothing of Near
    bpy.ops.mesh.primitive_plane_add(size=30.0, location=(0.0, 0.0, -3.0))
    _from_above(empty)
    shot = captured(empty, tmp_path, actors=("Near", "Far"))
    near, far = shot.matte("Near"), shot.matte("Far")
    full = np.pi * (SIZE.width / 10.0) ** 2
    assert abs(near.sum() - full) / full < 0.01
    assert (near + far <= 1.0 + 1.0 / 255.0).all()
    union = near + far
    edge = (near > 0.0) & (near < 1.0) & (shot.depth(layer="Far") < 20.0)
    inner = edge & (np.roll(far, -3, 1) > 0.5)
    assert inner.sum() > 10
    assert (union[inner] >= 0.99).all()                              # no gap between two actors that touch in the picture
    # the wall hides Far beyond x = 2, its amodal depth stays whole
    assert far[:, int((2.0 + 5.0) / 10.0 * SIZE.width) + 1:].sum() == 0.0
    amodal = np.isfinite(shot.depth(layer="Far")).sum() / full
    assert abs(amodal - 1.5 ** 2) < 0.03


def test_clean_plate_lacks_the_actors(empty: bpy.types.Scene, tmp_path: Path) -> None:
    ball = add_sphere("Ball", radius=1.0, at=(0.0, 0.0, 1.0))
    bpy.ops.mesh.primitive_plane_add(size=30.0)
    _from_above(empty)
    shot = captured(empty, tmp_path, actors=("Ball",))
    on = shot.names() == "Ball"
    np.testing.assert_allclose(shot.depth(layer=ENVIRONMENT), 10.0, rtol=1e-6)
    assert (shot.depth()[on] < 9.99).all()
    np.testing.assert_array_equal(shot.depth()[~on], shot.depth(layer=ENVIRONMENT)[~on])
    np.testing.assert_array_equal(np.isfinite(shot.depth(layer="Ball")), on)
    ball.hide_render = True
    again = captured(empty, tmp_path / "again")
    np.testing.assert_array_equal(again.depth(), shot.depth(layer=ENVIRONMENT))
    np.testing.assert_array_equal(again.normal(), shot.normal(layer=ENVIRONMENT))


def _skinned(scene: bpy.types.Scene) -> tuple[bpy.types.Object, bpy.types.Object]:
    """A post of 1 x 4 m along y, bent at its middle by the bone "Upper" at frame 2."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=16, size=1.0)
    post = bpy.context.object
    post.name = "Post"
    for vertex in post.data.vertices:
        vertex.co.y *= 4.0
    rig = add_armature("Rig", {"Lower": ((0.0, -2.0, 0.0), (0.0, 0.0, 0.0), None),
                               "Upper": ((0.0, 0.0, 0.0), (0.0, 2.0, 0.0), "Lower")})
    for name, part in (("Lower", lambda y: y <= 0.0), ("Upper", lambda y: y > 0.0)):
        post.vertex_groups.new(name=name).add([v.index for v in post.data.vertices if part(v.co.y)], 1.0, "REPLACE")
    post.modifiers.new("Rig", "ARMATURE").object = rig
    bone = rig.pose.bones["Upper"]
    bone.rotation_mode = "XYZ"
    bone.keyframe_insert("rotation_euler", frame=1)
    bone.rotation_euler.z = -np.pi / 2.0
    bone.keyframe_insert("rotation_euler", frame=2)
    return rig, post


def test_a_skinned_mesh_deforms_and_belongs_to_its_armature(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _skinned(empty)
    add_cube("Other", at=(-3.0, 0.0, 0.0))
    _from_above(empty)
    shot = captured(empty, tmp_path, frames=Frames(1, 2), actors=("Rig",))
    straight, bent = shot.matte("Rig", 1), shot.matte("Rig", 2)
    pixels = SIZE.width / 10.0
    assert abs(np.flatnonzero(straight.any(0)).size / pixels - 1.0) < 0.2
    assert abs(np.flatnonzero(bent.any(0)).size / pixels - 2.5) < 0.3
    assert [shot.shot.instances[i] for i in shot.shot.layer("Rig").ids] == ["Post"]


@pytest.mark.parametrize("name", ["Rig", "Post", "Cast"])
def test_an_actor_is_an_object_or_a_collection(name: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig, post = _skinned(empty)
    child = add_cube("Hat", at=(0.0, 2.0, 1.0))
    child.parent = post
    cast = bpy.data.collections.new("Cast")
    empty.collection.children.link(cast)
    for item in (rig, post, child):
        for owner in item.users_collection:
            owner.objects.unlink(item)
        cast.objects.link(item)
    _from_above(empty)
    shot = captured(empty, tmp_path, actors=(name,), size=Size(32, 32))
    layer = shot.shot.layer(name)
    assert {shot.shot.instances[i] for i in layer.ids} == {"Post", "Hat"}
    assert [item.name for item in shot.shot.layers] == [ENVIRONMENT, name]


def test_an_instanced_collection_is_an_actor(empty: bpy.types.Scene, tmp_path: Path) -> None:
    hero = bpy.data.collections.new("Hero")
    body = add_cube("Body")
    empty.collection.objects.unlink(body)
    hero.objects.link(body)
    place = bpy.data.objects.new("Hero here", None)
    place.instance_type, place.instance_collection = "COLLECTION", hero
    empty.collection.objects.link(place)
    add_cube("Rock", at=(3.0, 0.0, 0.0))
    _from_above(empty)
    for name in ("Hero", "Hero here"):
        shot = captured(empty, tmp_path / name, actors=(name,), size=Size(48, 32))
        assert {shot.shot.instances[i] for i in shot.shot.layer(name).ids} == {"Hero here/Body"}
        assert 0.0 < shot.matte(name).sum() < 40.0


@pytest.mark.parametrize(("name", "code"), [("Cubee", "ACTOR_UNKNOWN"), ("Nobody", "ACTOR_UNKNOWN"),
                                            ("Lamp", "ACTOR_EMPTY"), ("environment", "ACTOR_NAME")])
def test_actors_that_cannot_be(name: str, code: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Cube")
    empty.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))
    _from_above(empty)
    with pytest.raises(LucidError) as raised:
        captured(empty, tmp_path, actors=("Cube", name))
    assert raised.value.code == code
    if code == "ACTOR_UNKNOWN":
        assert "Cube" in raised.value.hint
    assert list(tmp_path.iterdir()) == []
