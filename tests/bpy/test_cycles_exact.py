# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair, points, displacement and transparency against Cycles' own render of the whole scene."""

from __future__ import annotations

from collections.abc import Callable

import bpy
import numpy as np
import pytest
from captured import add_camera, add_cube
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of
from lucid.addon.capture.cycles import Cycles
from lucid.addon.capture.exact import Exact, exact_frame, merged
from lucid.inference.shot.model import Size
from oracle import cycles_passes, set_to

SIZE = Size(96, 54)
Make = Callable[[float], bpy.types.Object]


def add_hair(y: float) -> bpy.types.Object:
    """Thick strands that stand in a row at ``y``."""
    curves = bpy.data.hair_curves.new("Hair")
    count, points = 9, 6
    curves.add_curves([points] * count)
    across, up = np.meshgrid(np.linspace(-1.2, 1.2, count), np.linspace(-1.0, 1.0, points), indexing="ij")
    places = np.stack([across + 0.1 * up ** 2, np.full_like(across, y), up], axis=-1).astype(np.float32)
    curves.position_data.foreach_set("vector", places.ravel())
    radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.full(count * points, 0.06, np.float32))
    return linked(bpy.data.objects.new("Prop_08_cube", curves))


def add_points(y: float) -> bpy.types.Object:
    cloud = bpy.data.pointclouds.new("Points")
    cloud.resize(40)
    across, up = np.meshgrid(np.linspace(-1.3, 1.3, 8), np.linspace(-0.9, 0.9, 5))
    places = np.stack([across, np.full_like(across, y), up], axis=-1).astype(np.float32)
    cloud.attributes["position"].data.foreach_set("vector", places.ravel())
    radius = cloud.attributes.get("radius") or cloud.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.full(40, 0.1, np.float32))
    return linked(bpy.data.objects.new("Points", cloud))


def add_displaced(y: float) -> bpy.types.Object:
    """A wall whose material pushes it half a metre towards the camera, waves and all."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=60, y_subdivisions=60, size=2.4, location=(0.0, y, 0.0),
                                    rotation=(np.pi / 2, 0.0, 0.0))
    wall = bpy.context.object
    wall.name = "Wall"
    material = add_material(wall)
    material.displacement_method = "DISPLACEMENT"
    tree = material.node_tree
    waves, push = tree.nodes.new("ShaderNodeTexWave"), tree.nodes.new("ShaderNodeDisplacement")
    push.inputs["Midlevel"].default_value, push.inputs["Scale"].default_value = 0.0, 0.5
    tree.links.new(waves.outputs[1], push.inputs["Height"])
    tree.links.new(push.outputs[0], tree.nodes["Material Output"].inputs["Displacement"])
    return wall


def add_card(y: float) -> bpy.types.Object:
    """A card with a chess board's holes."""
    bpy.ops.mesh.primitive_plane_add(size=2.4, location=(0.0, y, 0.0), rotation=(np.pi / 2, 0.0, 0.0))
    card = bpy.context.object
    card.name = "Card"
    tree = add_material(card).node_tree
    board = tree.nodes.new("ShaderNodeTexChecker")
    board.inputs["Scale"].default_value = 5.3
    tree.links.new(board.outputs[1], tree.nodes["Principled BSDF"].inputs["Alpha"])
    return card


def add_material(item: bpy.types.Object) -> bpy.types.Material:
    material = bpy.data.materials.new(item.name)
    material.use_nodes = True
    item.data.materials.append(material)
    return material


def linked(item: bpy.types.Object) -> bpy.types.Object:
    bpy.context.scene.collection.objects.link(item)
    return item


def cycles(scene: bpy.types.Scene) -> Cycles:
    return Cycles(scene, scene.view_layers[0].name, SIZE)


def arrays(exact: Exact) -> dict[str, np.ndarray]:
    return {"depth": exact.depth, "normal": exact.normal, "normal_world": exact.normal_world, "uv": exact.uv,
            "flow_forward": exact.forward, "flow_backward": exact.backward,
            "object": np.array(exact.objects)[exact.object].astype("U32"),
            "material": np.array(exact.materials)[exact.material].astype("U32")}


@pytest.fixture
def cube(empty: bpy.types.Scene) -> bpy.types.Object:
    """A cube that moves, before a camera that moves too."""
    camera, cube = add_camera(empty, at=(0.4, -6.0, 1.2)), add_cube("Cube", size=1.1)
    for item, step in ((camera, 0.05), (cube, 0.1)):
        item.keyframe_insert("location", frame=1)
        item.location.x += 10 * step
        item.keyframe_insert("location", frame=11)
    return cube


def only(item: bpy.types.Object, *, flow: bool = False) -> Exact:
    return exact_frame(cycles(bpy.context.scene), 4, frozenset({item.session_uid}), flow=flow)


def whole_and_truth(item: bpy.types.Object) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The scene without ``item`` merged with it alone, and all of it in one render."""
    scene = bpy.context.scene
    truth = cycles_passes(scene, 4, SIZE)
    with set_to(item, hide_render=True):
        others = cycles_passes(scene, 4, SIZE)
    exact = arrays(only(item, flow=True))
    surface = {name: others[name].astype(values.dtype) for name, values in exact.items()}
    whole = merged(surface, exact)
    for passes in (whole, truth):
        passes["material"] = np.where(passes["material"] == "default_surface", "", passes["material"])
    return whole, truth


@pytest.mark.parametrize("y", [-1.5, 1.5], ids=["before", "behind"])
@pytest.mark.parametrize("make", [add_hair, add_points, add_displaced, add_card])
def test_merged_with_a_cube_it_is_the_whole_scene(cube: bpy.types.Object, make: Make, y: float) -> None:
    item = make(y)
    whole, truth = whole_and_truth(item)
    shown, cube_shown = (np.mean(whole["object"] == name) for name in (item.name, cube.name))
    assert 0.03 < shown < 0.8 and (cube_shown > 0.03 or make is add_displaced)
    for name, values in whole.items():
        if name == "normal":        # turned by a matrix of 32 bits here, of 64 there
            assert np.abs(values - truth[name]).max() < 3e-7
        else:
            assert np.array_equal(values, truth[name]), name
    assert np.abs(whole["flow_forward"][whole["object"] == item.name]).max() > 0.1


def test_hidden_behind_something_it_is_whole(cube: bpy.types.Object) -> None:
    """An actor's own passes are amodal."""
    hair = add_hair(1.5)
    seen = cycles_passes(bpy.context.scene, 4, SIZE)["object"] == hair.name
    exact = only(hair)
    assert (exact.object > 0).sum() > 1.3 * seen.sum()
    assert np.isinf(exact.depth[exact.object == 0]).all() and np.isfinite(exact.depth[exact.object > 0]).all()


def test_names_are_of_what_is_seen(cube: bpy.types.Object) -> None:
    card = add_card(-1.5)
    exact = exact_frame(cycles(bpy.context.scene), 4, frozenset({card.session_uid, cube.session_uid}), flow=False)
    assert exact.objects[0] == "" and set(exact.objects) == {"", "Card", "Cube"}
    assert np.array_equal(exact.object == 0, np.isinf(exact.depth))
    # the cube has no material
    assert exact.materials == ("", "Card")
    assert np.array_equal(exact.material == 1, exact.object == exact.objects.index("Card"))


def test_any_name_is_found(cube: bpy.types.Object) -> None:
    """Blender's manifest escapes nothing."""
    names = ('we"ird\\ nä\tme, {"x":"y"}', '"', "}")
    wanted = {}
    for place, name in enumerate(names):
        item = add_cube(name, at=(place - 1.0, -1.5, 0.0), size=0.5)
        assert item.name == name
        wanted[item.session_uid] = name
    exact = exact_frame(cycles(bpy.context.scene), 4, frozenset(wanted), flow=False)
    assert set(exact.objects) == {"", *names}
    assert set(cycles_passes(bpy.context.scene, 4, SIZE)["object"].ravel()) >= set(names)


def test_a_veil_is_there_where_it_hides_more_than_half(cube: bpy.types.Object) -> None:
    """One random number decides whether the ray goes on; it must not decide whose depth it is."""
    front, back = add_card(-1.5), add_card(1.5)
    back.name = "Back"
    for card, alpha in ((front, 0.7), (back, 0.3)):
        shader = card.active_material.node_tree.nodes["Principled BSDF"]
        card.active_material.node_tree.links.remove(shader.inputs["Alpha"].links[0])
        shader.inputs["Alpha"].default_value = alpha
    exact = exact_frame(cycles(bpy.context.scene), 4, frozenset({front.session_uid, back.session_uid}), flow=False)
    assert exact.objects == ("", "Card")
    front.active_material.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = 1.0
    solid = only(front)
    assert np.array_equal(exact.depth, solid.depth) and np.array_equal(exact.object, solid.object)
    assert (front.pass_index, back.pass_index) == (0, 0)


def test_displacement_moves_the_surface(cube: bpy.types.Object) -> None:
    wall = add_displaced(1.0)
    push = next(node for node in wall.active_material.node_tree.nodes if node.type == "DISPLACEMENT")
    wall.active_material.node_tree.links.remove(push.inputs["Height"].links[0])
    push.inputs["Height"].default_value = 1.0
    pushed = only(wall)
    wall.active_material.displacement_method, wall.location.y = "BUMP", 0.5
    placed = only(wall)
    assert np.array_equal(pushed.object > 0, placed.object > 0)
    there = pushed.object > 0
    assert np.abs(pushed.depth[there] - placed.depth[there]).max() < 1e-5
    assert np.abs(pushed.normal - placed.normal).max() < 1e-4


def test_without_successive_frames_no_flow_is_told(cube: bpy.types.Object) -> None:
    exact = only(add_hair(-1.5))
    assert not exact.flow_valid.any() and not exact.forward.any() and not exact.backward.any()


def test_particle_hair_comes_with_its_emitter(cube: bpy.types.Object) -> None:
    bpy.ops.mesh.primitive_plane_add(size=1.0, location=(0.0, -1.5, -0.5))
    emitter = bpy.context.object
    emitter.modifiers.new("Fur", "PARTICLE_SYSTEM")
    fur = emitter.particle_systems[0].settings
    fur.type, fur.count, fur.hair_length, fur.root_radius, fur.radius_scale = "HAIR", 60, 1.0, 1.0, 0.05
    exact = only(emitter)
    top = np.nonzero(exact.object > 0)[0].min()
    with set_to(emitter.modifiers["Fur"], show_render=False):
        bare = only(emitter)
    assert top < np.nonzero(bare.object > 0)[0].min() - 5
    assert (exact.object > 0).sum() > (bare.object > 0).sum() > 0
    assert {exact.objects[index] for index in np.unique(exact.object)} == {"", emitter.name}


def test_an_instance_is_found_by_the_name_of_what_is_instanced(cube: bpy.types.Object) -> None:
    hair = add_hair(-1.5)
    before = only(hair)
    scene, inside = bpy.context.scene, bpy.data.collections.new("Inside")
    scene.collection.objects.unlink(hair)
    inside.objects.link(hair)
    empty = linked(bpy.data.objects.new("Empty", None))
    empty.instance_type, empty.instance_collection = "COLLECTION", inside
    after = only(hair)
    assert np.array_equal(before.depth, after.depth) and (after.object > 0).any()


def test_what_it_is_made_of_does_not_go(cube: bpy.types.Object) -> None:
    """Particles that are a collection's objects are still there when these are hidden from the camera."""
    parts = bpy.data.collections.new("Parts")
    scene = bpy.context.scene
    scene.collection.children.link(parts)
    part = add_cube("Part", at=(50.0, 0.0, 0.0), size=0.3)
    scene.collection.objects.unlink(part)
    parts.objects.link(part)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=3, y_subdivisions=3, size=2.0, location=(0.0, -1.5, 0.0),
                                    rotation=(np.pi / 2, 0.0, 0.0))
    owner = bpy.context.object
    owner.modifiers.new("Seeds", "PARTICLE_SYSTEM")
    seeds = owner.particle_systems[0].settings
    seeds.type, seeds.emit_from, seeds.use_emit_random, seeds.count = "HAIR", "VERT", False, 16
    seeds.render_type, seeds.instance_collection, seeds.particle_size = "COLLECTION", parts, 1.0
    seeds.use_advanced_hair = True
    names = cycles_passes(scene, 4, SIZE)["object"]
    assert (names == part.name).any()
    with_parts = exact_frame(cycles(scene), 4, frozenset({owner.session_uid, part.session_uid}), flow=False)
    assert np.array_equal(np.array(with_parts.objects)[with_parts.object] == part.name, names == part.name)
    alone = only(owner)
    assert {alone.objects[index] for index in np.unique(alone.object)} == {"", owner.name}


def test_what_the_user_hid_from_the_camera_stays_hidden(cube: bpy.types.Object) -> None:
    hair = add_hair(-1.5)
    hair.visible_camera = False
    assert not (only(hair).object > 0).any()
    assert hair.visible_camera is False and cube.visible_camera is True


@given(first=arrays_of(np.float32, (6, 5), elements=st.floats(0.5, 9.0, width=32)),
       second=arrays_of(np.float32, (6, 5), elements=st.floats(0.5, 9.0, width=32) | st.just(np.float32(np.inf))))
def test_merging_takes_the_nearer(first: np.ndarray, second: np.ndarray) -> None:
    one = {"depth": first, "id": np.full((6, 5), 7, np.uint32), "rest": np.ones((6, 5, 3), np.float32)}
    result = merged(one, {"depth": second, "id": np.full((6, 5), 9, np.uint32), "rest": np.float32(np.nan)})
    assert np.array_equal(result["depth"], np.minimum(first, second))
    assert np.array_equal(result["id"] == 9, second < first) and result["id"].dtype == np.uint32
    assert np.array_equal(np.isnan(result["rest"]).all(-1), second < first)
