# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow against closed forms, and against Cycles where things deform; where it must not claim to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from lucid.inference.shot.model import Frames
from lucid.tests.captured import SIZE, Captured, add_armature, add_camera, add_cube, add_sphere, captured
from lucid.tests.oracle import cycles_passes
from numpy.typing import NDArray

PASSES = ("depth", "id", "flow_forward", "flow_backward")
ORTHO = {"type": "ORTHO", "ortho_scale": 6.0}


@dataclass(frozen=True)
class Flow:
    step: NDArray[np.float32]
    valid: NDArray[np.bool_]
    visible: NDArray[np.bool_]


def _flow(shot: Captured, way: str, frame: int) -> Flow:
    image = shot.read(f"flow_{way}", frame)
    valid, visible = image["valid"], image["visible"]
    assert set(np.unique([valid, visible]).tolist()) <= {0.0, 1.0} and (visible <= valid).all()
    step = np.stack([image["X"], image["Y"]], axis=-1)
    assert (step[valid == 0.0] == 0.0).all()
    return Flow(step, valid == 1.0, visible == 1.0)


def _shot(scene: bpy.types.Scene, folder: Path, last: int = 2, step: int = 1) -> Captured:
    return captured(scene, folder, frames=Frames(1, last, step), passes=PASSES)


def _key(owner: bpy.types.bpy_struct, path: str, values: dict[int, Any]) -> None:
    """Linear keys, frame -> value."""
    for frame, value in values.items():
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)
    for bag in owner.id_data.animation_data.action.layers[0].strips[0].channelbags:
        for key in (key for curve in bag.fcurves for key in curve.keyframe_points):
            key.interpolation = "LINEAR"


def _plane(name: str, size: float, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bpy.types.Object:
    bpy.ops.mesh.primitive_plane_add(size=size, location=at)
    bpy.context.object.name = name
    return bpy.context.object


def _monkey(name: str, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add(location=at)
    bpy.context.object.name = name
    return bpy.context.object


def _from_above(scene: bpy.types.Scene, **lens: Any) -> bpy.types.Object:
    """A camera 10 m up that looks down: image right is world x, image up is world y."""
    camera = add_camera(scene, at=(0.0, 0.0, 10.0), **lens)
    camera.rotation_euler = (0.0, 0.0, 0.0)
    return camera


def _centres() -> NDArray[np.float64]:
    return np.stack(np.mgrid[0:SIZE.height, 0:SIZE.width][::-1] + 0.5, axis=-1)


def _points(shot: Captured, index: int) -> NDArray[np.float64]:
    """What each pixel sees, in the world; not finite where it sees nothing."""
    start, way = shot.rays(index)
    with np.errstate(invalid="ignore"):
        return start + way * shot.depth(shot.shot.frames.numbers[index])[..., None]


def _pictured(shot: Captured, index: int, world: NDArray[np.floating]) -> NDArray[np.float64]:
    """World points (..., 3) in pixels (..., 2)."""
    back = np.linalg.inv(shot.camera["world_from_camera"][index])
    x, y, z = np.moveaxis(world @ back[:3, :3].T + back[:3, 3], -1, 0)
    divisor = 1.0 if shot.shot.source["projection"] == "orthographic" else z
    K = shot.camera["K"][index]
    return np.stack([K[0, 0] * x / divisor + K[0, 2], K[1, 1] * y / divisor + K[1, 2]], axis=-1)


def _inside(pixels: NDArray[np.floating]) -> NDArray[np.bool_]:
    return ((pixels >= 0.0) & (pixels < (SIZE.width, SIZE.height))).all(-1)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("lens", [{"lens": 40.0}, ORTHO], ids=["perspective", "orthographic"])
def test_a_card_that_slides_across_the_picture(lens: dict[str, Any], step: int, empty: bpy.types.Scene,
                                               tmp_path: Path) -> None:
    """(0.1, -0.05) metres a frame: the same pixels everywhere on it, ``step`` times as many between captured frames."""
    _key(_plane("Card", 2.0), "location", {1: (-0.2, 0.1, 0.0), 5: (0.2, -0.1, 0.0)})
    _from_above(empty, **lens)
    shot = _shot(empty, tmp_path, 5, step)
    a_metre = shot.camera["K"][0, 0, 0] / (1.0 if "type" in lens else 10.0)
    for frame in shot.shot.frames.numbers:
        on = shot.names(frame) == "Card"
        assert on.mean() > 0.05
        for way, sign, end in (("forward", 1.0, 5), ("backward", -1.0, 1)):
            flow = _flow(shot, way, frame)
            assert flow.valid.all() if frame != end else not flow.valid.any()
            truth = sign * step * a_metre * np.array((0.1, 0.05)) if frame != end else np.zeros(2)
            np.testing.assert_allclose(flow.step[on], np.broadcast_to(truth, (on.sum(), 2)), atol=1e-3)
            assert (flow.step[~on] == 0.0).all()
            assert (flow.visible[on] == flow.valid[on]).all()


@pytest.mark.parametrize("move", ["pan", "tilt", "roll", "zoom", "shift", "all"])
def test_a_camera_that_turns_and_zooms_moves_everything_by_a_homography(move: str, empty: bpy.types.Scene,
                                                                        tmp_path: Path) -> None:
    """K' R'^T R K^-1, for what is near and for the world behind it alike."""
    _monkey("Monkey", (0.3, 0.0, 0.2))
    camera = add_camera(empty)
    turn = {"pan": (0.0, 0.0, 0.1), "tilt": (0.06, 0.0, 0.0), "roll": (0.0, 0.2, 0.0), "all": (0.1, 0.1, -0.1)}
    camera.rotation_mode = "ZXY"
    _key(camera, "rotation_euler", {1: (1.4, 0.1, 0.05), 2: np.add((1.4, 0.1, 0.05), turn.get(move, (0.0, 0.0, 0.0)))})
    if move in ("zoom", "all"):
        _key(camera.data, "lens", {1: 40.0, 2: 55.0})
    if move in ("shift", "all"):
        _key(camera.data, "shift_x", {1: 0.1, 2: -0.05})
    shot = _shot(empty, tmp_path)
    for way, frame, here, there in (("forward", 1, 0, 1), ("backward", 2, 1, 0)):
        K, world = shot.camera["K"], shot.camera["world_from_camera"][:, :3, :3]
        homography = K[there] @ world[there].T @ world[here] @ np.linalg.inv(K[here])
        centres = _centres()
        moved = np.concatenate([centres, np.ones_like(centres[..., :1])], axis=-1) @ homography.T
        moved = moved[..., :2] / moved[..., 2:]
        flow = _flow(shot, way, frame)
        assert flow.valid.all()
        assert 0.05 < np.isfinite(shot.depth(frame)).mean() < 0.9
        assert np.abs(flow.step).max() > 3.0
        np.testing.assert_allclose(flow.step, moved - centres, atol=3e-3)
        assert not flow.visible[~_inside(moved)].any()
        assert flow.visible[_inside(moved)].mean() > 0.98        # outlines are right to half a pixel


@pytest.mark.parametrize(("turned", "valid"), [((0.0, 0.0, 0.0), True), ((0.0, 0.1, 0.0), False)])
def test_the_background_of_an_orthographic_camera(turned: tuple[float, ...], valid: bool, empty: bpy.types.Scene,
                                                  tmp_path: Path) -> None:
    """It is seen along one direction everywhere: moving changes nothing, turning away leaves none of it."""
    add_cube("Cube", size=0.5)
    camera = _from_above(empty, **ORTHO)
    _key(camera, "location", {1: (0.0, 0.0, 10.0), 2: (0.4, 0.0, 10.0)})
    _key(camera, "rotation_euler", {1: (0.0, 0.0, 0.0), 2: turned})
    shot = _shot(empty, tmp_path)
    flow, behind = _flow(shot, "forward", 1), ~np.isfinite(shot.depth(1))
    assert behind.mean() > 0.8
    assert (flow.valid[behind] == valid).all()
    assert (flow.step[behind] == 0.0).all()
    assert flow.valid[~behind].all()


@pytest.mark.parametrize("lens", [{"lens": 40.0}, ORTHO], ids=["perspective", "orthographic"])
def test_everything_moves_rigidly(lens: dict[str, Any], empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Things that travel, turn and grow, some of them carried by others, under a camera that moves: every point seen is
    taken along by its own matrix."""
    _plane("Ground", 30.0, (0.0, 0.0, -1.0))
    big, small = _monkey("Big", (-0.6, 0.0, 0.2)), add_sphere("Small", radius=0.4, at=(1.6, 0.0, 0.0))
    _key(big, "location", {1: (-0.6, 0.0, 0.2), 3: (-0.3, 0.4, 0.3)})
    _key(big, "rotation_euler", {1: (0.0, 0.0, 0.3), 3: (0.2, 0.3, 0.9)})
    _key(big, "scale", {1: (1.0, 1.0, 1.0), 3: (1.3, 0.8, -1.1)})
    small.parent = big
    camera = add_camera(empty, at=(0.0, -6.0, 2.0), towards=(0.3, 0.0, 0.0), **lens)
    _key(camera, "location", {1: (0.0, -6.0, 2.0), 3: (0.4, -5.5, 2.1)})
    shot = _shot(empty, tmp_path, 3)
    matrices = []
    for frame in (1, 2, 3):
        empty.frame_set(frame)
        matrices.append({item.name: np.array(item.matrix_world) for item in empty.objects})
    for way, here, there in (("forward", 0, 1), ("backward", 2, 1), ("backward", 1, 0)):
        names, points = shot.names(here + 1), _points(shot, here)
        flow = _flow(shot, way, here + 1)
        for name in ("Ground", "Big", "Small"):
            on = names == name
            assert on.sum() > 50 and flow.valid[on].all()
            carried = matrices[there][name] @ np.linalg.inv(matrices[here][name])
            truth = _pictured(shot, there, points[on] @ carried[:3, :3].T + carried[:3, 3]) - _centres()[on]
            np.testing.assert_allclose(flow.step[on], truth, atol=5e-3)


def _weigh(item: bpy.types.Object, rig: bpy.types.Object) -> None:
    """Two bones that share each point by its height."""
    upper, lower = item.vertex_groups.new(name="Upper"), item.vertex_groups.new(name="Lower")
    for vertex in item.data.vertices:
        share = min(max(0.5 + 0.8 * vertex.co.z, 0.0), 1.0)
        upper.add([vertex.index], share, "REPLACE")
        lower.add([vertex.index], 1.0 - share, "REPLACE")
    item.modifiers.new("Rig", "ARMATURE").object = rig


def _armature(item: bpy.types.Object) -> None:
    rig = add_armature("Rig", {"Lower": ((0.0, 0.0, -1.0), (0.0, 0.0, 0.0), None),
                               "Upper": ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), "Lower")})
    _weigh(item, rig)
    bone = rig.pose.bones["Upper"]
    bone.rotation_mode = "XYZ"
    _key(bone, "rotation_euler", {1: (0.0, 0.0, 0.0), 3: (0.3, 0.5, 0.2)})


def _shape_key(item: bpy.types.Object) -> None:
    item.shape_key_add(name="Basis")
    shape = item.shape_key_add(name="Wide")
    for point in shape.data:
        point.co.x *= 1.0 + 0.5 * point.co.z
        point.co.y += 0.3 * point.co.x
    _key(shape, "value", {1: 0.0, 3: 1.0})


def _subdivision(item: bpy.types.Object) -> None:
    _armature(item)
    smooth = item.modifiers.new("Smooth", "SUBSURF")
    smooth.levels, smooth.render_levels = 0, 2


def _wave(item: bpy.types.Object) -> None:
    wave = item.modifiers.new("Wave", "WAVE")
    wave.height, wave.width, wave.speed, wave.time_offset = 0.4, 0.8, 0.15, -20.0


def _instances(item: bpy.types.Object) -> None:
    """Three instances by geometry nodes of something that itself deforms, on something that moves."""
    _shape_key(item)
    item.location = (0.0, 40.0, 0.0)
    group = bpy.data.node_groups.new("Row", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    nodes = {kind: group.nodes.new(kind) for kind in ("GeometryNodeMeshLine", "GeometryNodeObjectInfo",
                                                      "GeometryNodeInstanceOnPoints", "NodeGroupOutput")}
    line, info, place, out = nodes.values()
    line.inputs["Count"].default_value = 3
    line.inputs["Start Location"].default_value = (-1.1, 0.0, 0.0)
    line.inputs["Offset"].default_value = (1.1, 0.0, 0.0)
    info.inputs["Object"].default_value = item
    info.inputs["As Instance"].default_value = True
    place.inputs["Scale"].default_value = (0.4, 0.4, 0.4)
    group.links.new(line.outputs["Mesh"], place.inputs["Points"])
    group.links.new(info.outputs["Geometry"], place.inputs["Instance"])
    group.links.new(place.outputs["Instances"], out.inputs[0])
    row = bpy.data.objects.new("Row", bpy.data.meshes.new("Row"))
    bpy.context.scene.collection.objects.link(row)
    row.modifiers.new("Row", "NODES").node_group = group
    _key(row, "rotation_euler", {1: (0.0, 0.0, 0.0), 3: (0.2, 0.4, 0.1)})


@pytest.mark.parametrize("deform", [_armature, _shape_key, _subdivision, _wave, _instances])
def test_what_deforms_moves_as_in_cycles(deform: Callable[[bpy.types.Object], None], empty: bpy.types.Scene,
                                         tmp_path: Path) -> None:
    item = _monkey("Monkey")
    deform(item)
    camera = add_camera(empty, lens=40.0)
    _key(camera, "location", {1: (0.4, -5.0, 1.2), 3: (0.5, -4.9, 1.1)})
    shot = _shot(empty, tmp_path, 3)
    truth = cycles_passes(empty, 2, SIZE)
    on = np.isclose(shot.depth(2), truth["depth"], rtol=1e-4, atol=0.0) & (shot.id(2) > 0)
    assert on.mean() > 0.03
    assert on.sum() > 0.98 * (shot.id(2) > 0).sum()
    for way in ("forward", "backward"):
        flow = _flow(shot, way, 2)
        assert flow.valid[on].all()
        assert np.median(np.hypot(*truth[f"flow_{way}"][on].T)) > 0.5
        away = np.hypot(*(flow.step - truth[f"flow_{way}"])[on].T)
        assert np.percentile(away, 99.0) <= 0.02


def _array(item: bpy.types.Object) -> None:
    array = item.modifiers.new("Array", "ARRAY")
    array.relative_offset_displace = (0.4, 0.0, 0.0)
    _key(array, "count", {1: 2, 2: 2, 3: 3})


def _decimate(item: bpy.types.Object) -> None:
    _key(item.modifiers.new("Decimate", "DECIMATE"), "ratio", {1: 0.6, 2: 0.6, 3: 0.3})


def _disappears(item: bpy.types.Object) -> None:
    _key(item, "hide_render", {1: False, 2: False, 3: True})


@pytest.mark.parametrize("change", [_array, _decimate, _disappears])
def test_what_is_another_thing_in_the_next_frame_has_no_flow(change: Callable[[bpy.types.Object], None],
                                                             empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Known as long as it stays the same, unknown where it does not, whatever happens to its neighbours."""
    _plane("Ground", 30.0, (0.0, 0.0, -1.0))
    change(_monkey("Monkey"))
    add_camera(empty)
    shot = _shot(empty, tmp_path, 3)
    for way, frame, known in (("forward", 1, True), ("backward", 2, True), ("forward", 2, False)):
        flow, names = _flow(shot, way, frame), shot.names(frame)
        assert (names == "Monkey").sum() > 500
        assert (flow.valid[names == "Monkey"] == known).all()
        assert flow.valid[names != "Monkey"].all()
    flow, names = _flow(shot, "backward", 3), shot.names(3)
    assert not flow.valid[names == "Monkey"].any() and flow.valid[names != "Monkey"].all()


def test_blobs_that_melt_have_no_flow(empty: bpy.types.Scene, tmp_path: Path) -> None:
    for x in (-0.6, 0.6):
        bpy.ops.object.metaball_add(location=(x, 0.0, 0.0), radius=1.0)
    _key(bpy.context.object, "location", {1: (0.6, 0.0, 0.0), 2: (0.9, 0.0, 0.3)})
    add_camera(empty)
    shot = _shot(empty, tmp_path)
    on = np.isfinite(shot.depth(1))
    assert on.sum() > 500
    assert not _flow(shot, "forward", 1).valid[on].any()


def _hidden_overlap(hidden: NDArray[np.bool_], visible: NDArray[np.bool_], wall: NDArray[np.bool_]) -> float:
    """Intersection over union of what is hidden in truth and in the flow, on the wall."""
    claimed = ~visible & wall
    return float((hidden & claimed).sum() / (hidden | claimed).sum())


def test_a_card_that_passes_hides_the_wall(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _plane("Wall", 40.0)
    _key(_plane("Card", 2.0, (-1.0, 0.0, 3.0)), "location", {1: (-1.3, 0.0, 3.0), 2: (0.4, 0.3, 3.0)})
    _from_above(empty, lens=40.0)
    shot = _shot(empty, tmp_path)
    for way, here, there in (("forward", 1, 2), ("backward", 2, 1)):
        flow, wall = _flow(shot, way, here), shot.names(here) == "Wall"
        hidden = wall & (shot.names(there) == "Card")
        assert hidden.sum() > 500
        assert flow.valid.all() and (flow.step[wall] == 0.0).all()
        assert _hidden_overlap(hidden, flow.visible, wall) > 0.99


def test_what_a_moving_camera_no_longer_sees(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """A point of the wall is hidden where its line to the other camera's place crosses the card, which spans x and y in
    [-1, 1] at z = 3; and it is not seen outside of the picture."""
    _plane("Wall", 40.0)
    _plane("Card", 2.0, (0.0, 0.0, 3.0))
    camera = _from_above(empty, lens=40.0)
    _key(camera, "location", {1: (0.0, 0.0, 10.0), 2: (2.0, 0.5, 9.0)})
    shot = _shot(empty, tmp_path)
    wall, points = shot.names(1) == "Wall", _points(shot, 0)
    place = shot.camera["world_from_camera"][1][:3, 3]
    crossing = points + (place - points) * (3.0 / place[2])
    inside = _inside(_pictured(shot, 1, points))
    covered = wall & inside & (np.abs(crossing[..., :2]) < 1.0).all(-1)
    flow = _flow(shot, "forward", 1)
    assert covered.sum() > 300 and (wall & ~inside).sum() > 500
    assert not flow.visible[~inside].any()
    assert flow.valid.all()
    assert _hidden_overlap(covered, flow.visible | ~inside, wall) > 0.98


def test_what_turns_away_is_not_seen(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """A sphere under a fixed camera: a point is seen in the next frame when its normal then faces the camera."""
    ball = add_sphere("Ball", smooth=True)
    _key(ball, "rotation_euler", {1: (0.0, 0.0, 0.0), 2: (0.0, 0.6, 0.0)})
    _from_above(empty, **ORTHO)
    shot = _shot(empty, tmp_path)
    on = shot.names(1) == "Ball"
    x, _, z = np.moveaxis(_points(shot, 0)[on], -1, 0)
    height = z * np.cos(0.6) - x * np.sin(0.6)              # of the point, turned about y
    flow = _flow(shot, "forward", 1)
    assert flow.valid[on].all()
    assert (height < 0.0).sum() > 100
    assert not flow.visible[on][height < -0.1].any()
    assert flow.visible[on][height > 0.25].all()        # the outline itself is right to a pixel


def test_a_cut_to_another_camera_has_no_flow(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Cube")
    for frame, at in ((1, (0.0, -5.0, 1.0)), (3, (4.0, -4.0, 1.0))):
        empty.timeline_markers.new("cut", frame=frame).camera = add_camera(empty, at=at)
    shot = _shot(empty, tmp_path, 4)
    known = [[_flow(shot, way, frame).valid.all() for frame in (1, 2, 3, 4)] for way in ("forward", "backward")]
    assert known == [[True, False, True, False], [False, True, False, True]]
    assert not _flow(shot, "forward", 2).valid.any()
