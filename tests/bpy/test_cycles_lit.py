# SPDX-License-Identifier: GPL-3.0-or-later
"""Light in layers: what was taken apart is whole again when put together."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from captured import add_camera, add_cube
from lucid.addon.capture.cycles import Cycles
from lucid.addon.capture.layers import Actor, resolve_actors
from lucid.addon.capture.lit import LitFrame, cycles_mattes, light_effects, lit_frames
from lucid.inference.shot.model import Size

SIZE = Size(96, 54)
BOTH = ("beauty", "shadow")


def lit(scene: bpy.types.Scene, actors: tuple[Actor, ...], samples: int = 16, wanted: tuple[str, ...] = BOTH) -> LitFrame:
    *_, frame = lit_frames(Cycles(scene, scene.view_layers[0].name, SIZE), [1], samples, actors, wanted)
    assert isinstance(frame, LitFrame)
    return frame


def add_material(item: bpy.types.Object, **inputs: object) -> bpy.types.ShaderNode:
    material = bpy.data.materials.new(item.name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    for name, value in inputs.items():
        shader.inputs[name.replace("_", " ")].default_value = value
    item.data.materials.clear()
    item.data.materials.append(material)
    return shader


@pytest.fixture
def stage(empty: bpy.types.Scene) -> bpy.types.Scene:
    """A grey floor, a mirror behind, a lamp, and a red cube that stands on the floor."""
    add_camera(empty, at=(0.5, -7.0, 2.6), towards=(0.0, 0.0, 0.8))
    floor, mirror, hero = add_cube("Floor", size=20.0), add_cube("Mirror", size=1.0), add_cube("Hero", size=1.4)
    floor.location.z, mirror.location, mirror.scale = -10.0, (1.2, 2.5, 1.5), (3.0, 0.1, 3.0)
    hero.location = (-0.4, 0.0, 0.7)
    add_material(floor, Base_Color=(0.5, 0.5, 0.45, 1.0), Roughness=0.8)
    add_material(mirror, Base_Color=(0.9, 0.9, 0.9, 1.0), Metallic=1.0, Roughness=0.0)
    add_material(hero, Base_Color=(0.8, 0.05, 0.05, 1.0), Roughness=0.5)
    bpy.ops.object.light_add(type="AREA", location=(-4.0, -3.0, 6.0))
    lamp = bpy.context.object
    lamp.rotation_euler = (-lamp.location).to_track_quat("-Z", "Y").to_euler()
    lamp.data.energy, lamp.data.size = 900.0, 1.0
    empty.world = bpy.data.worlds.new("World")
    empty.world.use_nodes = True
    empty.world.node_tree.nodes["Background"].inputs[0].default_value = (0.3, 0.4, 0.6, 1.0)
    return empty


def over(layer: np.ndarray, below: np.ndarray) -> np.ndarray:
    return layer[..., :3] + (1.0 - layer[..., 3:]) * below


def relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).mean(-1) / (np.abs(other).mean(-1) + 0.01)


@pytest.mark.parametrize("samples", [4, 16, 64])
def test_the_actor_over_plate_times_ratio_is_the_beauty(stage: bpy.types.Scene, samples: int) -> None:
    frame = lit(stage, resolve_actors(stage, ["Hero"]), samples)
    for effects in (frame.plate[..., :3] * frame.ratio, frame.plate[..., :3] + frame.difference):
        error = relative(over(frame.actors[0], effects), frame.beauty[..., :3])
        assert np.percentile(error, 95) < 1e-3 and np.median(error) < 1e-6


def test_the_effects_are_where_the_actor_throws_them(stage: bpy.types.Scene) -> None:
    frame = lit(stage, resolve_actors(stage, ["Hero"]), 32)
    red = stage.objects["Hero"]
    alpha = frame.actors[0][..., 3]
    assert 0.1 < (alpha > 0.99).mean() < 0.3 and ((alpha > 0.1) & (alpha < 0.9)).any()
    # the shadow falls on the floor to the right of the cube, at world (1, 0, 0); the mirror image stands to the right
    row, column = pixel(stage, (1.0, 0.3, 0.0))
    assert (frame.ratio[row, column] < 0.6).all() and (frame.difference[row, column] < -0.05).all()
    image = np.array(red.location) + (0.0, 2.0 * (2.45 - red.location.y), 0.4)
    row, column = pixel(stage, tuple(image))
    assert alpha[row, column] == 0.0
    assert frame.ratio[row, column, 2] < 0.5 < frame.ratio[row, column, 0] * 0.9 + 0.3
    # far from both, nothing happens
    assert np.abs(frame.ratio[2, :20] - 1.0).max() < 1e-6
    assert frame.ratio.min() >= 0.0 and frame.ratio.max() > 1.0


def pixel(scene: bpy.types.Scene, world: tuple[float, ...]) -> tuple[int, int]:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene.render.resolution_x, scene.render.resolution_y = SIZE.width, SIZE.height
    x, y, _ = world_to_camera_view(scene, scene.camera, Vector(world))
    return int((1.0 - y) * SIZE.height), int(x * SIZE.width)


def test_two_actors_share_the_picture(stage: bpy.types.Scene) -> None:
    """The one before the other takes its place away: visible parts add up."""
    friend = add_cube("Friend", at=(0.2, -1.4, 0.3), size=0.6)
    add_material(friend, Base_Color=(0.05, 0.1, 0.8, 1.0))
    frame = lit(stage, resolve_actors(stage, ["Hero", "Friend"]))
    hero, friend_layer = frame.actors
    assert (hero[..., 3] + friend_layer[..., 3]).max() < 1.0 + 1e-5
    assert ((friend_layer[..., 3] > 0.99) & (hero[..., 3] == 0.0)).any()
    both = hero + friend_layer
    error = relative(over(both, frame.plate[..., :3] * frame.ratio), frame.beauty[..., :3])
    assert np.percentile(error, 95) < 1e-3


def test_without_actors_there_is_no_shadow_layer(stage: bpy.types.Scene) -> None:
    frame = lit(stage, ())
    assert frame.plate is frame.beauty and frame.actors == () and frame.ratio is None and frame.difference is None
    assert frame.beauty.shape == (54, 96, 4)


def test_only_what_is_wanted_is_rendered(stage: bpy.types.Scene) -> None:
    actors, engine = resolve_actors(stage, ["Hero"]), Cycles(stage, stage.view_layers[0].name, SIZE)
    *texts, frame = lit_frames(engine, [1], 1, actors, ("shadow",))
    assert len(texts) == 2 and frame.beauty is None and frame.actors == () and frame.ratio is not None
    *texts, frame = lit_frames(engine, [1], 1, actors, ("beauty",))
    assert len(texts) == 3 and frame.ratio is None and len(frame.actors) == 1
    assert not np.array_equal(frame.plate, frame.beauty)


def beauty_without(stage: bpy.types.Scene, name: str) -> np.ndarray:
    """What the plate should be: the beauty of a scene that never had it."""
    item = stage.objects[name]
    for child in (item, *item.children):
        child.animation_data_clear()
        child.hide_render = True
    return lit(stage, ()).beauty


@pytest.mark.parametrize("kind", ["lamp", "glow", "fog", "animated", "instance", "nested"])
def test_the_plate_knows_nothing_of_the_actor(stage: bpy.types.Scene, kind: str) -> None:
    hero = stage.objects["Hero"]
    if kind == "lamp":
        bpy.ops.object.light_add(type="POINT", location=(-0.4, -1.5, 1.0))
        bpy.context.object.data.energy, bpy.context.object.parent = 300.0, hero
    elif kind == "glow":
        add_material(hero, Emission_Color=(0.1, 1.0, 0.2, 1.0), Emission_Strength=20.0)
    elif kind == "fog":
        tree = hero.active_material.node_tree
        fog = tree.nodes.new("ShaderNodeVolumePrincipled")
        tree.links.remove(tree.nodes["Material Output"].inputs["Surface"].links[0])
        tree.links.new(fog.outputs[0], tree.nodes["Material Output"].inputs["Volume"])
    elif kind == "animated":
        for frame, shown in ((0, False), (1, True)):
            hero.hide_render = not shown
            hero.visible_camera = hero.visible_shadow = hero.visible_glossy = shown
            for name in ("hide_render", "visible_camera", "visible_shadow", "visible_glossy"):
                hero.keyframe_insert(name, frame=frame)
        stage.objects["Floor"].driver_add("is_holdout").driver.expression = "frame - frame"
    else:
        inside = bpy.data.collections.new("Inside")
        stage.collection.objects.unlink(hero)
        inside.objects.link(hero)
        holder = bpy.data.objects.new("Holder", None)
        stage.collection.objects.link(holder)
        holder.instance_type, holder.instance_collection = "COLLECTION", inside
        if kind == "nested":
            outside, top = bpy.data.collections.new("Outside"), bpy.data.objects.new("Top", None)
            stage.collection.objects.unlink(holder)
            outside.objects.link(holder)
            stage.collection.objects.link(top)
            top.instance_type, top.instance_collection = "COLLECTION", outside
    actor, gone = {"instance": ("Inside", "Holder"), "nested": ("Top", "Top")}.get(kind, ("Hero", "Hero"))
    frame = lit(stage, resolve_actors(stage, [actor]))
    whole, beauty = over(frame.actors[0], frame.plate[..., :3] * frame.ratio), frame.beauty[..., :3]
    if kind == "fog":       # where a path scatters is drawn anew: equal but for the noise
        there = frame.actors[0][..., 3] > 0.2
        assert np.abs(whole[there].mean(0) / beauty[there].mean(0) - 1.0).max() < 0.02
    else:
        assert np.percentile(relative(whole, beauty), 95) < 1e-3
    assert frame.actors[0][..., 3].max() > 0.5 and np.percentile(np.abs(frame.ratio - 1.0), 90) > 0.05
    without = beauty_without(stage, gone)
    assert np.percentile(relative(frame.plate, without), 95) < 1e-3


def test_mattes_are_the_alpha_of_the_lit_actors(stage: bpy.types.Scene) -> None:
    engine, actors = Cycles(stage, stage.view_layers[0].name, SIZE), resolve_actors(stage, ["Hero", "Mirror"])
    mattes = list(cycles_mattes(engine, 1, 16, actors))
    for matte, layer in zip(mattes, lit(stage, actors).actors, strict=True):
        assert np.abs(matte - layer[..., 3]).max() < 1e-6
    assert all(0.02 < matte.mean() < 0.4 for matte in mattes)


def test_nothing_is_made_of_a_black_plate() -> None:
    shadowed, plate = np.float32([[[0.3, 0.0, 2.0, 1.0]]]), np.float32([[[0.0, 0.5, 1.0, 1.0]]])
    ratio, difference = light_effects(shadowed, plate)
    assert ratio.dtype == difference.dtype == np.float32
    assert ratio.tolist() == [[[1.0, 0.0, 2.0]]] and np.allclose(difference, [[[0.3, -0.5, 1.0]]])
