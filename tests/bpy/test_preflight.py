# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: each thing that will go wrong is found, named, and nothing else is; the scene stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon import commands
from lucid.addon.capture import CaptureSpec
from lucid.addon.capture.preflight import MOTION_LIMIT, Finding, check_shot
from lucid.inference.shot.model import Frames, Size
from lucid.tests.captured import FIGURE, SIDED, add_armature, add_camera, add_cube, add_figure, add_sphere

SPEC = CaptureSpec(Frames(1, 9), Size(160, 96))
NAMES = {part: part + ("_{}" if part in SIDED else "") for part in FIGURE}


def found(scene: bpy.types.Scene, **changes: object) -> dict[str, Finding]:
    """Findings by code; a code comes once in these small scenes."""
    findings = check_shot(scene, replace(SPEC, **changes))
    codes = {finding.code: finding for finding in findings}
    assert len(codes) == len(findings), findings
    return codes


@pytest.fixture
def stage(empty: bpy.types.Scene) -> bpy.types.Scene:
    """A camera that looks at a cube on the floor."""
    add_camera(empty, at=(0.0, -6.0, 1.5), towards=(0.0, 0.0, 0.5))
    add_cube("Cube", at=(0.0, 0.0, 0.5))
    bpy.ops.mesh.primitive_plane_add(size=20.0)
    return empty


def test_nothing_to_say(stage: bpy.types.Scene) -> None:
    assert found(stage, actors=("Cube",)) == {}


@pytest.mark.parametrize(("changes", "code"), [
    ({"camera": "Nobody"}, "CAMERA_MISSING"), ({"actors": ("Nobody",)}, "ACTOR_UNKNOWN"),
    ({"size": Size(0, 96)}, "SIZE_INVALID"), ({"passes": ("smell",)}, "PASS_UNKNOWN")])
def test_what_stops_a_capture_is_an_error(stage: bpy.types.Scene, changes: dict[str, object], code: str) -> None:
    codes = found(stage, **changes)
    assert list(codes) == [code] and codes[code].severity == "error"


def test_several_errors_are_told_at_once(empty: bpy.types.Scene) -> None:
    assert list(found(empty, actors=("Nobody",), size=Size(99984, 16))) == ["CAMERA_MISSING", "ACTOR_UNKNOWN", "SIZE_INVALID"]


def test_a_panoramic_camera_is_an_error(stage: bpy.types.Scene) -> None:
    stage.camera.data.type = "PANO"
    assert found(stage)["CAMERA_UNSUPPORTED"].severity == "error"


def test_odd_sizes_and_long_shots(stage: bpy.types.Scene) -> None:
    codes = found(stage, size=Size(150, 96), frames=Frames(1, 50))
    assert set(codes) == {"SIZE_PADDED", "SHOT_LONG"}
    assert "50 frames" in codes["SHOT_LONG"].text and "49" in codes["SHOT_LONG"].text
    assert found(stage, frames=Frames(1, 49)) == {}
    assert found(stage, size=Size(224, 384)) == {} and set(found(stage, size=Size(400, 224))) == {"SIZE_LARGE"}


def _flip(item: bpy.types.Object) -> None:
    item.data.flip_normals()


@pytest.mark.parametrize(("build", "inside"), [
    (lambda: add_cube("Thing", at=(0.0, -6.0, 1.5), size=0.5), True),
    (lambda: add_sphere("Thing", radius=0.4, at=(0.1, -6.1, 1.5), detail=24), True),
    (lambda: _flip(add_cube("Thing", at=(0.0, 0.0, 5.0), size=30.0)), False),      # a room
    (lambda: add_cube("Thing", at=(0.7, -6.0, 1.5), size=1.0), False),             # beside the camera
    (lambda: bpy.ops.mesh.primitive_torus_add(location=(0.0, -6.0, 1.5), major_radius=1.0), False),
    (lambda: _bowl(), False)])
def test_camera_inside_of_a_solid(stage: bpy.types.Scene, build: Callable[[], object], inside: bool) -> None:
    build()
    finding = found(stage).get("CAMERA_INSIDE")
    assert (finding is not None) == inside
    assert finding is None or (finding.object, finding.frame) == ("Thing", 1)


def _bowl() -> None:
    """The lower half of a sphere, from the inside: open above."""
    bowl = add_sphere("Thing", radius=2.0, at=(0.0, -6.0, 2.0), detail=24)
    inner = [polygon for polygon in bowl.data.polygons if polygon.center.z > 0.0]
    import bmesh

    mesh = bmesh.new()
    mesh.from_mesh(bowl.data)
    mesh.faces.ensure_lookup_table()
    bmesh.ops.delete(mesh, geom=[mesh.faces[polygon.index] for polygon in inner], context="FACES")
    mesh.to_mesh(bowl.data)


def test_the_camera_may_go_inside_in_the_middle(stage: bpy.types.Scene) -> None:
    ball = add_sphere("Ball", radius=0.5, at=(4.0, -6.0, 1.5), detail=24)
    for frame, x in ((1, 4.0), (5, 0.0), (9, 4.0)):
        ball.location.x = x
        ball.keyframe_insert("location", frame=frame)
    finding = found(stage)["CAMERA_INSIDE"]
    assert (finding.object, finding.frame) == ("Ball", 5)


def test_instances_around_the_camera_count_and_what_is_not_rendered_does_not(stage: bpy.types.Scene) -> None:
    collection = bpy.data.collections.new("Kit")
    box = add_cube("Box", size=0.5)
    stage.collection.objects.unlink(box)
    collection.objects.link(box)
    bpy.ops.object.collection_instance_add(collection="Kit", location=(0.0, -6.0, 1.5))
    assert found(stage)["CAMERA_INSIDE"].object == "Box"
    bpy.context.object.hide_render = True
    assert found(stage) == {}


def test_unbaked_physics_is_named(stage: bpy.types.Scene) -> None:
    cloth = bpy.data.objects["Cube"].modifiers.new("Cloth", "CLOTH")
    finding = found(stage)["PHYSICS_UNBAKED"]
    assert finding.severity == "warning" and finding.object == "Cube"
    cloth.point_cache.frame_end = 5
    assert found(stage)["PHYSICS_SHORT"].frame == 6


def test_rigid_bodies_are_named(stage: bpy.types.Scene) -> None:
    bpy.ops.rigidbody.world_add()
    with bpy.context.temp_override(object=bpy.data.objects["Cube"]):
        bpy.ops.rigidbody.object_add()
    finding = found(stage)["PHYSICS_UNBAKED"]
    assert finding.object == "Cube" and "(Cube)" in finding.text
    with bpy.context.temp_override(point_cache=stage.rigidbody_world.point_cache):
        bpy.ops.ptcache.bake(bake=True)
    assert found(stage) == {}


def test_particles_and_fluid_are_named(stage: bpy.types.Scene) -> None:
    bpy.data.objects["Cube"].modifiers.new("Sparks", "PARTICLE_SYSTEM")
    assert found(stage)["PHYSICS_UNBAKED"].object == "Cube"
    bpy.data.objects["Cube"].modifiers.clear()
    tank = add_cube("Tank", at=(5.0, 5.0, 0.0)).modifiers.new("Fluid", "FLUID")
    tank.fluid_type = "DOMAIN"
    assert found(stage)["PHYSICS_UNBAKED"].object == "Tank"


def test_simulation_nodes_are_named(stage: bpy.types.Scene) -> None:
    group = bpy.data.node_groups.new("Grow", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    start, end, first, last = (group.nodes.new(kind) for kind in (
        "NodeGroupInput", "NodeGroupOutput", "GeometryNodeSimulationInput", "GeometryNodeSimulationOutput"))
    first.pair_with_output(last)
    for source, target in ((start, first), (first, last), (last, end)):
        group.links.new(next(s for s in source.outputs if s.type == "GEOMETRY"),
                        next(s for s in target.inputs if s.type == "GEOMETRY"))
    bpy.data.objects["Cube"].modifiers.new("Nodes", "NODES").node_group = group
    assert found(stage)["PHYSICS_NODES"].object == "Cube"


def test_hair_goes_through_cycles_and_strokes_nowhere(stage: bpy.types.Scene) -> None:
    bpy.ops.object.curves_random_add()
    finding = found(stage)["CYCLES_NEEDED"]
    assert finding.severity == "info" and "hair curves" in finding.text
    bpy.data.objects.remove(bpy.context.object)
    bpy.ops.object.grease_pencil_add(type="MONKEY")
    assert found(stage)["GEOMETRY_UNSUPPORTED"].object == bpy.context.object.name


def test_volumes_need_their_pass(stage: bpy.types.Scene) -> None:
    cloud = bpy.data.objects.new("Cloud", bpy.data.volumes.new("Cloud"))
    stage.collection.objects.link(cloud)
    cloud.modifiers.new("Fill", "MESH_TO_VOLUME").object = add_sphere("Ball", at=(0.0, -6.0, 1.5), detail=24)
    bpy.data.objects["Ball"].hide_render = True
    assert found(stage, passes=("depth",))["VOLUME_SKIPPED"].object == "Cloud"
    assert found(stage, passes=("depth", "volume")) == {}      # nor is a camera in a cloud inside of a solid


def test_materials_that_only_cycles_can_draw_and_images_that_are_gone(stage: bpy.types.Scene) -> None:
    material = bpy.data.materials.new("Leaf")
    bpy.data.objects["Cube"].data.materials.append(material)
    tree = material.node_tree
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    noise, picture = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeTexImage")
    tree.links.new(noise.outputs["Factor"], principled.inputs["Alpha"])
    assert found(stage)["CYCLES_NEEDED"].text == "'Cube' goes through Cycles: material 'Leaf': node 'Noise Texture' " \
                                                 "decides the alpha"
    picture.image = bpy.data.images.new("leaf", 4, 4, alpha=True)
    tree.links.new(picture.outputs["Alpha"], principled.inputs["Alpha"])
    assert found(stage) == {}
    picture.image.source, picture.image.filepath = "FILE", "//gone.png"
    finding = found(stage)["IMAGE_MISSING"]
    assert finding.severity == "error" and finding.object == "Cube"


def test_skeletons_without_a_pose_and_without_some_joints(stage: bpy.types.Scene) -> None:
    add_armature("Snake", {"a": ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), None), "b": ((0.0, 0.0, 1.0), (0.0, 0.0, 2.0), "a")})
    bpy.data.objects["Cube"].parent = bpy.data.objects["Snake"]
    finding = found(stage, actors=("Cube",))["POSE_NONE"]
    assert finding.severity == "info" and finding.object == "Snake"
    bpy.data.objects["Cube"].parent = add_figure("Figure", NAMES, ("L", "R"))
    finding = found(stage, actors=("Cube",))["JOINT_UNMAPPED"]
    assert finding.object == "Figure" and "r_eye" in finding.text and "wrist" not in finding.text


def test_actors_that_are_never_seen(stage: bpy.types.Scene) -> None:
    cube = bpy.data.objects["Cube"]
    cube.location = (0.0, -12.0, 0.5)       # behind the camera
    finding = found(stage, actors=("Cube",))["ACTOR_UNSEEN"]
    assert finding.object == "Cube" and "1, 2, 5, 6, 9" in finding.text
    for frame, y in ((1, -12.0), (9, 0.0)):
        cube.location.y = y
        cube.keyframe_insert("location", frame=frame)
    assert "ACTOR_UNSEEN" not in found(stage, actors=("Cube",))
    cube.hide_render = True
    assert found(stage, actors=("Cube",))["ACTOR_HIDDEN"].object == "Cube"
    assert "ACTOR_HIDDEN" not in found(stage)


@pytest.mark.parametrize(("share", "fast"), [(0.9, False), (1.1, True)])
def test_an_actor_that_moves_too_fast(empty: bpy.types.Scene, share: float, fast: bool) -> None:
    add_camera(empty, at=(0.0, 0.0, 5.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=4.0)
    cube, speed = add_cube("Cube", size=0.5), share * MOTION_LIMIT * 4.0       # the picture is 4 m wide
    for frame in (1, 9):
        cube.location.x = (frame - 5) * speed
        cube.keyframe_insert("location", frame=frame)
    for channel in cube.animation_data.action.layers[0].strips[0].channelbags[0].fcurves:
        for key in channel.keyframe_points:
            key.interpolation = "LINEAR"
    finding = found(empty, actors=("Cube",)).get("MOTION_FAST")
    assert (finding is not None) == fast
    if finding is not None:
        assert (finding.object, finding.frame) == ("Cube", 1) and "14% of the picture's width" in finding.text
    assert found(empty) == {}


@pytest.mark.parametrize("move", ["pan", "dolly"])
def test_a_camera_that_moves_too_fast(stage: bpy.types.Scene, move: str) -> None:
    camera = stage.camera
    for frame in (1, 9):
        if move == "pan":
            camera.rotation_euler.z = frame * 0.5
            camera.keyframe_insert("rotation_euler", frame=frame)
        else:
            camera.location.x = (frame - 5) * 3.0
            camera.keyframe_insert("location", frame=frame)
    findings = check_shot(stage, replace(SPEC, actors=("Cube",)))
    assert [finding.object for finding in findings if finding.code == "MOTION_FAST"] == ["Camera"]


def test_a_cut_is_no_motion(stage: bpy.types.Scene) -> None:
    first, second = stage.camera, add_camera(stage, at=(8.0, 2.0, 1.5), towards=(0.0, 0.0, 0.5))
    for frame, camera in ((1, first), (2, second), (6, first)):
        stage.timeline_markers.new("cut", frame=frame).camera = camera
    assert found(stage, actors=("Cube",)) == {}


def test_the_scene_stays_as_it_is(stage: bpy.types.Scene) -> None:
    stage.frame_set(4, subframe=0.25)
    other = add_camera(stage, at=(8.0, 2.0, 1.5))
    stage.timeline_markers.new("later", frame=9).camera = other
    bpy.data.objects["Cube"].keyframe_insert("location", frame=1)
    chosen = stage.camera = bpy.data.objects["Camera"]
    count = sum(len(getattr(bpy.data, name)) for name in ("objects", "meshes", "materials", "scenes", "cameras"))
    check_shot(stage, replace(SPEC, actors=("Cube",)))
    assert (stage.frame_current, stage.camera) == (4, chosen) and np.isclose(stage.frame_subframe, 0.25)
    assert count == sum(len(getattr(bpy.data, name)) for name in ("objects", "meshes", "materials", "scenes", "cameras"))


def _lines(capfd: pytest.CaptureFixture[str], status: int, *arguments: str) -> list[str]:
    capfd.readouterr()
    assert commands.main(["capture", *arguments, "--check"]) == status
    return [line for line in capfd.readouterr().out.splitlines() if line.startswith("lucid: ")]


def test_the_command_line_checks_and_writes_nothing(
        stage: bpy.types.Scene, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stage.frame_end = 9
    path = tmp_path / "in" / "stage.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert _lines(capfd, 0, str(path), "--actors", "Cube") == ["lucid: no problems found"]
    assert _lines(capfd, 0, str(path), "--size", "150x96") == [
        "lucid: INFO SIZE_PADDED: 150x96 is not a multiple of 16 pixels "
        "(models work on the next larger size, which is cut back; a multiple wastes nothing)"]
    assert [line.split(": ")[1] for line in _lines(capfd, 2, str(path), "--actors", "Nobody")] == ["ERROR ACTOR_UNKNOWN"]
    assert [item.name for item in tmp_path.rglob("*")] == ["in", "stage.blend"]
    assert commands.main(["capture", str(path)]) == 2       # without --check there must be --out
    assert "USAGE" in capfd.readouterr().err


def test_the_command_line_checks_every_shot_of_a_sequence(
        stage: bpy.types.Scene, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stage.frame_end, first, second = 9, stage.camera, add_camera(stage, at=(8.0, 2.0, 1.5))
    for frame, camera in ((1, first), (5, second)):
        stage.timeline_markers.new("shot", frame=frame).camera = camera
    second.data.type = "PANO"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "stage.blend"))
    assert [line.split(": ")[1] for line in _lines(capfd, 2, "--all-shots", "--size", "150x96")] == [
        "INFO SIZE_PADDED", "ERROR CAMERA_UNSUPPORTED"]


def test_the_button_lists_findings_and_goes_to_them(stage: bpy.types.Scene, tmp_path: Path) -> None:
    stage.frame_end, runtime = 9, bpy.context.window_manager.lucid
    ball = add_sphere("Ball", radius=0.5, at=(4.0, -6.0, 1.5), detail=24)
    for frame, x in ((1, 4.0), (5, 0.0), (9, 4.0)):
        ball.location.x = x
        ball.keyframe_insert("location", frame=frame)
    assert bpy.ops.lucid.preflight() == {"FINISHED"}
    row, = runtime.findings
    assert (row.severity, row.object, row.frame, runtime.checked) == ("warning", "Ball", 5, stage.name)
    assert bpy.ops.lucid.preflight_show(number=0) == {"FINISHED"}
    assert bpy.context.selected_objects == [ball] and bpy.context.view_layer.objects.active == ball
    assert (stage.frame_current, runtime.finding_index) == (5, 0)
    stage.lucid.use_scene_range, stage.lucid.frame_end = False, 0
    bpy.ops.lucid.preflight()
    assert [(row.severity, row.text) for row in runtime.findings] == [("error", "frames 1:0:1 hold no frame")]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "stage.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "stage.blend"))
    assert not bpy.context.window_manager.lucid.findings and not bpy.context.window_manager.lucid.checked


def test_there_is_nothing_to_show_before_a_check(stage: bpy.types.Scene) -> None:
    bpy.context.window_manager.lucid.show_findings("", ())
    with pytest.raises(RuntimeError, match="Check the shot first"):
        bpy.ops.lucid.preflight_show(number=0)
