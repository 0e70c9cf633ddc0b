# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a scene is put together that are easy to get wrong: who is seen, who owns what, what changes its number."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture import CaptureSpec, capture_sequence
from lucid.inference.shot.model import Frames, Size
from lucid.inference.shot.store import open_shot
from lucid.tests.captured import SIZE, add_camera, add_cube, add_sphere, captured


def _keyed(item: bpy.types.Object, values: dict[int, bool]) -> None:
    for frame, hidden in values.items():
        item.hide_render = hidden
        item.keyframe_insert("hide_render", frame=frame)


def _noisy(item: bpy.types.Object) -> None:
    """A material that only Cycles can tell."""
    material = bpy.data.materials.new("Noise")
    nodes, links = material.node_tree.nodes, material.node_tree.links
    noise = nodes.new("ShaderNodeTexNoise")
    links.new(noise.outputs[0], nodes["Principled BSDF"].inputs["Alpha"])
    item.data.materials.append(material)


def _instanced(scene: bpy.types.Scene, name: str, members: list[bpy.types.Object],
               places: tuple[tuple[float, float, float], ...]) -> list[bpy.types.Object]:
    """Empties that instance a collection of ``members``, which is in the scene only through them."""
    collection = bpy.data.collections.new(name)
    for member in members:
        for other in list(member.users_collection):
            other.objects.unlink(member)
        collection.objects.link(member)
    empties = []
    for number, place in enumerate(places):
        empty = bpy.data.objects.new(f"{name} {number}", None)
        empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", collection, place
        scene.collection.objects.link(empty)
        empties.append(empty)
    return empties


def test_the_depth_range_sees_every_column(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Near", at=(-0.55, 0.0, 0.0), size=0.25)
    add_camera(empty, at=(0.0, -4.0, 0.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, size=Size(512, 512), passes=("depth",))
    assert shot.shot.depth_range.near == pytest.approx(float(shot.depth().min()), rel=0.05)


def test_a_sequence_with_a_shot_of_nothing(empty: bpy.types.Scene, tmp_path: Path) -> None:
    hero = add_cube("Hero")
    add_cube("Set", at=(2.0, 1.0, 0.0))
    _keyed(hero, {1: False, 3: True})
    add_camera(empty).name = "Main"
    add_camera(empty, at=(0.0, -5.0, 0.0), towards=(0.0, -20.0, 0.0)).name = "Away"
    specs = [(CaptureSpec(Frames(1, 2), SIZE, "Main", ("Hero",)), tmp_path / "a.lucid"),
             (CaptureSpec(Frames(3, 4), SIZE, "Away", ("Hero",)), tmp_path / "b.lucid")]
    for _ in capture_sequence(empty, specs):
        pass
    seen, nothing = (open_shot(target) for _spec, target in specs)
    assert {seen.instances[number] for number in seen.layer("Hero").ids} == {"Hero"}
    assert nothing.layer("Hero").ids == ()
    assert seen.camera_words and nothing.camera_words
    assert seen.depth_range == nothing.depth_range


def test_two_actors_that_instance_what_only_cycles_draws(empty: bpy.types.Scene, tmp_path: Path) -> None:
    ball = add_sphere("Ball", radius=0.5, detail=32)
    _noisy(ball)
    left, right = _instanced(empty, "Crowd", [ball], ((-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    bpy.ops.mesh.primitive_plane_add(size=20.0, location=(0.0, 3.0, 0.0), rotation=(np.pi / 2.0, 0.0, 0.0))
    add_camera(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, actors=(left.name, right.name), passes=("depth", "id"))
    ids = [shot.shot.layer(item.name).ids for item in (left, right)]
    assert len({*ids[0], *ids[1]}) == 2
    for item, half in ((left, slice(0, SIZE.width // 2)), (right, slice(SIZE.width // 2, None))):
        there = np.isfinite(shot.depth(1, item.name))
        assert there[:, half].sum() == there.sum() > 100
        assert np.corrcoef(shot.matte(item.name).ravel(), there.ravel())[0, 1] > 0.8
    assert (shot.depth(1, "environment") > 7.0).all()         # the clean plate is the wall alone


def test_what_the_viewport_hides_or_comes_later_goes_through_cycles(empty: bpy.types.Scene, tmp_path: Path) -> None:
    hidden, later = add_cube("Hidden", at=(-1.0, 0.0, 0.0)), add_cube("Later", at=(1.0, 0.0, 0.0))
    for item in (hidden, later):
        _noisy(item)
    hidden.hide_viewport = True
    _keyed(later, {1: True, 3: False})
    add_camera(empty)
    empty.frame_set(1)
    shot = captured(empty, tmp_path, frames=Frames(1, 3), passes=("depth", "id"))
    assert "'Hidden' goes through Cycles" in shot.shot.source["notes"]
    assert "'Later' goes through Cycles" in shot.shot.source["notes"]
    assert {"Hidden", "Later"} < set(np.unique(shot.names(3))) | {""}


@pytest.mark.parametrize("how", ["instancer", "indirect"])
def test_what_camera_rays_do_not_meet_is_not_drawn(how: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    instancer, = _instanced(empty, "Props", [add_cube("Prop")], ((0.0, 0.0, 0.0),))
    add_cube("Seen", at=(1.5, 0.0, 0.0), size=0.5)
    add_camera(empty)
    if how == "instancer":
        instancer.visible_camera = False
    else:
        aside = bpy.data.collections.new("Aside")
        empty.collection.children.link(aside)
        aside.objects.link(instancer)
        empty.collection.objects.unlink(instancer)
        empty.view_layers[0].layer_collection.children["Aside"].indirect_only = True
    shot = captured(empty, tmp_path, passes=("id",))
    assert set(np.unique(shot.names())) == {"", "Seen"}


def test_instances_that_are_only_counted_are_not_followed_when_their_number_changes(empty: bpy.types.Scene,
                                                                                  tmp_path: Path) -> None:
    """Of five still cubes in a row the first is gone in the next frame: the others are counted anew."""
    group = bpy.data.node_groups.new("Row", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    add = group.nodes.new
    line, out, cube, place = (add(kind) for kind in ("GeometryNodeMeshLine", "NodeGroupOutput", "GeometryNodeMeshCube",
                                                     "GeometryNodeInstanceOnPoints"))
    line.inputs["Offset"].default_value, cube.inputs["Size"].default_value = (1.2, 0.0, 0.0), (0.6, 0.6, 0.6)
    for frame, count, start in ((1, 5, -2.4), (2, 4, -1.2)):
        line.inputs["Count"].default_value, line.inputs["Start Location"].default_value = count, (start, 0.0, 0.0)
        line.inputs["Count"].keyframe_insert("default_value", frame=frame)
        line.inputs["Start Location"].keyframe_insert("default_value", frame=frame)
    group.links.new(line.outputs[0], place.inputs["Points"])
    group.links.new(cube.outputs[0], place.inputs["Instance"])
    group.links.new(place.outputs[0], out.inputs[0])
    owner = bpy.data.objects.new("Row", bpy.data.meshes.new("Row"))
    empty.collection.objects.link(owner)
    owner.modifiers.new("Row", "NODES").node_group = group
    still = add_cube("Still", at=(0.0, 0.0, 1.5), size=0.5)
    add_camera(empty, at=(0.0, -8.0, 0.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, frames=Frames(1, 2))
    _step, valid, _visible = shot.flow(1)
    names = shot.names(1)
    row = np.char.startswith(names, "Row")
    assert row.sum() > 300 and not valid[row].any()
    assert valid[names == still.name].all()
