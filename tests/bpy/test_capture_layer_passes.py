# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids and rest positions of layers: the clean plate's are those of a scene without its actors, an actor's those of all of
it, whoever draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import read_exr
from lucid.inference.shot.model import ENVIRONMENT, LAYER_PASSES, Frames, Kind
from lucid.tests.captured import Captured, add_armature, add_camera, add_cube, add_sphere, captured
from numpy.typing import NDArray

PASSES = ("depth", "id", "rest")


def _pass(shot: Captured, name: str, layer: str | None = None, frame: int = 1) -> NDArray[Any]:
    """(H, W) or (H, W, C) of the shot, or of one of its layers."""
    sequence = (shot.shot if layer is None else shot.shot.layer(layer)).sequence(name)
    channels = read_exr(shot.folder / sequence.path(frame))
    planes = [channels[channel] for channel in sequence.channels]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def _names(shot: Captured, layer: str | None = None, frame: int = 1) -> NDArray[np.str_]:
    """(H, W) names of instances; a number that the shot does not name fails."""
    table = {0: "", **shot.shot.instances}
    return np.vectorize(table.__getitem__)(_pass(shot, "id", layer, frame))


def _street(scene: bpy.types.Scene) -> tuple[bpy.types.Object, bpy.types.Object]:
    """The actors Near and Far, which moves, half behind it; a floor, and a cube that Near hides; seen from the front."""
    bpy.ops.mesh.primitive_plane_add(size=30.0, location=(0.0, 0.0, -1.2))
    add_cube("Hidden", at=(-0.6, 1.0, 0.0), size=0.4)
    near, far = add_sphere("Near", at=(-0.6, -1.0, 0.0), detail=64, smooth=True), add_cube("Far", at=(0.7, 2.0, 0.2), size=1.4)
    far.keyframe_insert("rotation_euler", frame=1)
    far.rotation_euler = (0.4, 0.3, 0.8)
    far.keyframe_insert("rotation_euler", frame=2)
    add_camera(scene, at=(0.0, -6.0, 0.6), towards=(0.0, 0.0, 0.0))
    return near, far


def _bent(scene: bpy.types.Scene) -> bpy.types.Object:
    """A post between the actors and the floor's end that a bone bends in frame 2: its rest is not where it is."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=24, size=1.0, location=(-0.3, 2.5, 0.0),
                                    rotation=(np.pi / 2.0, 0.0, 0.0))
    post = bpy.context.object
    post.name = "Post"
    for vertex in post.data.vertices:
        vertex.co.y *= 3.0
    rig = add_armature("Bones", {"Upper": ((0.0, 0.0, 0.0), (0.0, 1.5, 0.0), None)})
    rig.location, rig.rotation_euler = post.location, post.rotation_euler
    post.vertex_groups.new(name="Upper").add([v.index for v in post.data.vertices if v.co.y > 0.0], 1.0, "REPLACE")
    post.modifiers.new("Bones", "ARMATURE").object = rig
    bone = rig.pose.bones["Upper"]
    bone.rotation_mode = "XYZ"
    bone.keyframe_insert("rotation_euler", frame=1)
    bone.rotation_euler.z = 0.8
    bone.keyframe_insert("rotation_euler", frame=2)
    return post


def test_the_plate_tells_what_is_behind_the_actors(empty: bpy.types.Scene, tmp_path: Path) -> None:
    near, far = _street(empty)
    _bent(empty)
    shot = captured(empty, tmp_path, frames=Frames(1, 2), actors=("Near", "Far"), passes=PASSES)
    near.hide_render = far.hide_render = True
    truth = captured(empty, tmp_path / "without", frames=Frames(1, 2), passes=PASSES)
    for frame in (1, 2):
        np.testing.assert_array_equal(_names(shot, ENVIRONMENT, frame), _names(truth, None, frame))
        np.testing.assert_allclose(_pass(shot, "rest", ENVIRONMENT, frame), _pass(truth, "rest", None, frame), atol=1e-6)
        behind = np.isin(_names(shot, None, frame), ("Near", "Far"))
        assert {"Plane", "Hidden", "Post"} <= set(np.unique(_names(shot, ENVIRONMENT, frame)[behind]))
    # nothing else shows the hidden cube, and it has a name all the same
    assert not (_names(shot) == "Hidden").any() and "Hidden" in shot.shot.instances.values()
    post = _names(shot, ENVIRONMENT, 2) == "Post"
    radius = np.abs(_pass(shot, "rest", ENVIRONMENT, 2)[post])
    assert radius[:, 0].max() <= 0.5 + 1e-5 and radius[:, 2].max() < 1e-5         # straight, although it is bent


def test_an_actor_behind_another_has_its_whole_rest(empty: bpy.types.Scene, tmp_path: Path) -> None:
    near, far = _street(empty)
    shot = captured(empty, tmp_path, frames=Frames(1, 2), actors=("Near", "Far"), passes=PASSES)
    assert set(np.unique(_names(shot, "Near"))) == {"", "Near"}
    empty.frame_set(2)
    start, way = shot.rays(1)
    depth, whole = _pass(shot, "depth", "Far", 2), _names(shot, "Far", 2) == "Far"
    hidden = whole & (_names(shot, None, 2) == "Near")
    assert 0.2 * whole.sum() < hidden.sum() < 0.8 * whole.sum()
    np.testing.assert_array_equal(whole, np.isfinite(depth))
    points = start[whole] + way[whole] * depth[whole][:, None]
    back = np.linalg.inv(np.array(far.matrix_world))
    rest = _pass(shot, "rest", "Far", 2)
    np.testing.assert_allclose(rest[whole], points @ back[:3, :3].T + back[:3, 3], atol=2e-5)
    assert (rest[~whole] == 0.0).all()
    near.hide_render = True
    alone = captured(empty, tmp_path / "alone", frames=Frames(1, 2), actors=("Far",), passes=PASSES)
    seen = _names(alone, None, 2) == "Far"
    assert (seen & hidden).sum() > 0.9 * hidden.sum()
    np.testing.assert_allclose(rest[seen], _pass(alone, "rest", None, 2)[seen], atol=1e-6)


def test_what_an_image_cuts_out_of_an_actor_is_not_in_its_layer(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """A card whose left half is not there: closed forms of its rest, and of the wall's behind it."""
    for name, size, y in (("Wall", 20.0, 1.0), ("Card", 2.0, 0.0)):
        bpy.ops.mesh.primitive_plane_add(size=size, location=(0.0, y, 0.0), rotation=(np.pi / 2.0, 0.0, 0.0))
        bpy.context.object.name = name
    picture = bpy.data.images.new("Half", 2, 1, alpha=True)
    picture.pixels.foreach_set(np.float32([1, 1, 1, 0, 1, 1, 1, 1]))
    picture.pack()
    material = bpy.data.materials.new("Half")
    bpy.data.objects["Card"].data.materials.append(material)
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.interpolation = picture, "Closest"
    material.node_tree.links.new(texture.outputs["Alpha"], material.node_tree.nodes["Principled BSDF"].inputs["Alpha"])
    add_camera(empty, at=(0.0, -6.0, 0.0), towards=(0.0, 0.0, 0.0))
    shot = captured(empty, tmp_path, actors=("Card",), passes=PASSES)
    for layer, on, y in ((ENVIRONMENT, _names(shot, ENVIRONMENT) == "Wall", 1.0), ("Card", _names(shot, "Card") == "Card", 0.0)):
        start, way = shot.rays()
        points = (start + way * ((y + 6.0) / way[..., 1])[..., None])[on]
        rest = _pass(shot, "rest", layer)
        np.testing.assert_allclose(rest[on], points[:, [0, 2, 1]] * (1.0, 1.0, 0.0), atol=1e-5)
        assert on.all() if layer == ENVIRONMENT else (rest[on][:, 0] > 0.0).all() and on.sum() > 300


def test_without_actors_the_plate_is_the_shot(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _street(empty)
    shot = captured(empty, tmp_path, passes=PASSES)
    for name in PASSES:
        files = (shot.folder / owner.sequence(name).path(1) for owner in (shot.shot, shot.shot.layer(ENVIRONMENT)))
        assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize("actors", [(), ("Near",)])
@pytest.mark.parametrize("passes", [("depth",), ("id", "rest")])
def test_layers_have_ids_always_and_rest_where_it_is_asked_for(passes: tuple[str, ...], actors: tuple[str, ...],
                                                               empty: bpy.types.Scene, tmp_path: Path) -> None:
    _street(empty)
    shot = captured(empty, tmp_path, passes=passes, actors=actors)
    for layer in shot.shot.layers:
        assert all(layer.has(name) for name in ("depth", "normal", "id"))
        assert layer.has("rest") == ("rest" in passes) and layer.has("matte") == (layer.kind is Kind.ACTOR)
        assert {sequence.name: sequence.channels for sequence in layer.sequences}.items() <= LAYER_PASSES[layer.kind].items()
        files = {path.name.split(".")[0] for path in (shot.folder / "layers" / layer.folder).iterdir()}
        assert files == {sequence.name for sequence in layer.sequences}
    if "rest" not in passes:
        with pytest.raises(LucidError, match="has no pass 'rest'"):
            shot.shot.layer(ENVIRONMENT).sequence("rest")


def _by_cycles(item: bpy.types.Object) -> None:
    """A material that hides what is behind it everywhere, which only Cycles can tell."""
    material = bpy.data.materials.new(f"of {item.name}")
    item.data.materials.append(material)
    tree = material.node_tree
    board = tree.nodes.new("ShaderNodeTexChecker")
    board.inputs["Color1"].default_value, board.inputs["Color2"].default_value = (1.0,) * 4, (0.99,) * 4
    tree.links.new(board.outputs[0], tree.nodes["Principled BSDF"].inputs["Alpha"])


def test_layers_by_cycles_are_those_of_the_g_buffer(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _near, far = _street(empty)
    plain = captured(empty, tmp_path / "plain", actors=("Near", "Far"), passes=PASSES)
    drawn = [far, bpy.data.objects["Hidden"]]
    for item in drawn:
        _by_cycles(item)
    shot = captured(empty, tmp_path / "cycles", actors=("Near", "Far"), passes=PASSES)
    assert all(f"'{item.name}' goes through Cycles" in shot.shot.source["notes"] for item in drawn)
    for layer in (None, ENVIRONMENT, "Near", "Far"):
        ours, theirs = _names(shot, layer), _names(plain, layer)
        assert (ours != theirs).sum() <= 2, layer
        rest, known = _pass(shot, "rest", layer), _pass(plain, "rest", layer)
        unknown = np.isin(ours, [item.name for item in drawn])
        assert np.isnan(rest[unknown]).all()                # Cycles does not say
        np.testing.assert_allclose(rest[~unknown & (ours == theirs)], known[~unknown & (ours == theirs)], atol=1e-6)
    hidden = _names(shot, ENVIRONMENT) == "Hidden"
    assert hidden.sum() > 50 and not (_names(shot) == "Hidden").any()
    assert (_names(shot, "Far") == "Far").sum() > 1.2 * (_names(shot) == "Far").sum() > 0
