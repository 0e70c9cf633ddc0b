# SPDX-License-Identifier: GPL-3.0-or-later
"""How exact and how fast is a capture? Against closed forms and against Cycles at one sample, in the same run.

    BPY_PYTHON scripts/bench/capture.py [--frames 4]

The last line is one flat JSON object: errors are medians relative to the truth unless named otherwise; ``_cpu_s`` and
``_wall_s`` are seconds a frame with everything written to disk, one actor's layer included; ``cycles_over_capture`` is
the wall time of Cycles at one sample, passes only, over that of the capture.
"""

from __future__ import annotations

import argparse
import json
import math
import runpy
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)

import lucid  # noqa: E402
import OpenEXR  # noqa: E402
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from lucid.inference.conditioning.pose import JOINTS  # noqa: E402
from lucid.inference.shot.model import Frames, Size  # noqa: E402
from lucid.tests.captured import SIZE, add_camera, add_cube, add_figure, add_sphere, captured  # noqa: E402

MIXAMO = {"hips": "Hips", "spine": "Spine2", "head": "Head", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand",
          "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot"}


def fresh() -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


def median_error(found: np.ndarray, truth: np.ndarray) -> float:
    both = np.isfinite(found) & np.isfinite(truth) & (truth < 1e9)
    return float(np.median(np.abs(found[both] - truth[both]) / truth[both]))


def closed_forms(folder: Path) -> dict[str, float]:
    """A sphere, a plane seen at a slant, and the area and middle of a disc's matte."""
    scene = fresh()
    add_sphere(smooth=True)
    add_camera(scene)
    shot = captured(scene, folder / "sphere")
    start, way = shot.rays()
    a, b, c = (way * way).sum(-1), 2.0 * (start * way).sum(-1), (start * start).sum(-1) - 1.0
    with np.errstate(invalid="ignore"):
        depth = np.where(b * b > 4.0 * a * c, (-b - np.sqrt(b * b - 4.0 * a * c)) / (2.0 * a), np.inf)
    hit = np.isfinite(depth) & np.isfinite(shot.depth())
    normal = (start + way * depth[..., None])[hit] @ shot.camera["world_from_camera"][0][:3, :3]
    found = {"sphere_depth": median_error(shot.depth(), depth),
             "sphere_normal_degrees": float(np.degrees(np.median(np.arccos(np.clip(
                 (normal * shot.normal()[hit]).sum(-1), -1.0, 1.0)))))}
    scene = fresh()
    bpy.ops.mesh.primitive_plane_add(size=50.0)
    add_camera(scene, at=(0.0, -6.0, 3.0))
    shot = captured(scene, folder / "plane")
    start, way = shot.rays()
    found["plane_depth"] = median_error(shot.depth(), -start[..., 2] / way[..., 2])
    scene = fresh()
    add_sphere("Ball", radius=1.3)
    add_camera(scene, at=(0.0, -10.0, 0.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=10.0)
    area = math.pi * (1.3 * SIZE.width / 10.0) ** 2
    matte = captured(scene, folder / "disc", actors=("Ball",)).matte("Ball")
    return found | {"disc_matte_area": float(abs(matte.sum() - area) / area)}


def busy_scene(frames: int) -> bpy.types.Scene:
    """Forty subdivided heads that turn, a floor, a figure that walks through, a camera that moves."""
    scene = fresh()
    bpy.ops.mesh.primitive_plane_add(size=40.0, location=(0.0, 0.0, -1.0))
    bpy.ops.mesh.primitive_monkey_add(location=(0.0, 0.0, -50.0))
    mesh = bpy.context.object.data
    bpy.data.objects.remove(bpy.context.object)
    for number in range(40):
        head = bpy.data.objects.new(f"Head {number}", mesh)
        scene.collection.objects.link(head)
        head.location = (2.2 * (number % 8) - 7.7, 2.2 * (number // 8), 0.0)
        head.modifiers.new("Smooth", "SUBSURF").render_levels = 2
        head.rotation_euler.z = number
        head.keyframe_insert("rotation_euler", frame=1)
        head.rotation_euler.z += 1.0
        head.keyframe_insert("rotation_euler", frame=frames)
    rig = add_figure("Figure", MIXAMO, ("Left", "Right"))
    add_cube("Body", at=(0.0, 0.0, 1.2), size=0.6).parent = rig
    for frame, x in ((1, -2.0), (frames, 2.0)):
        rig.location = (x, -3.0, -1.0)
        rig.keyframe_insert("location", frame=frame)
    camera = add_camera(scene, at=(0.0, -12.0, 3.0), towards=(0.0, 0.0, 0.0), lens=35.0)
    camera.keyframe_insert("location", frame=1)
    camera.location.x = 2.0
    camera.keyframe_insert("location", frame=frames)
    for number, item in enumerate(scene.objects, start=1):
        item.pass_index = number
    return scene


def cycles(scene: bpy.types.Scene, frame: int, size: Size, folder: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Depth, object index and seconds."""
    scene.frame_set(frame)
    render, layer = scene.render, scene.view_layers[0]
    render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    layer.use_pass_z = layer.use_pass_object_index = True
    render.resolution_x, render.resolution_y, render.resolution_percentage = size.width, size.height, 100
    render.image_settings.media_type, render.image_settings.color_depth = "MULTI_LAYER_IMAGE", "32"
    render.image_settings.use_exr_interleave, render.use_persistent_data = True, True
    render.filepath = str(folder / "cycles.exr")
    started = time.perf_counter()
    bpy.ops.render.render(write_still=True)
    seconds = time.perf_counter() - started
    with OpenEXR.File(render.filepath, separate_channels=True) as file:
        pixels = {name.split(".", 1)[1]: np.array(channel.pixels) for name, channel in file.channels().items()}
    return pixels["Depth.Z"], pixels["Object Index.X"], seconds


def against_cycles(frames: int, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    scene = busy_scene(frames)
    for size in (Size(256, 144), Size(640, 360)):
        wall, cpu = time.perf_counter(), time.process_time()
        shot = captured(scene, folder / str(size), frames=Frames(1, frames), size=size, actors=("Figure",))
        wall, cpu = (time.perf_counter() - wall) / frames, (time.process_time() - cpu) / frames
        cycles(scene, 1, size, folder)
        seconds, errors, wrong = [], [], 0
        for frame in range(1, frames + 1):
            depth, index, spent = cycles(scene, frame, size, folder)
            table = {0: 0, **{number: scene.objects[name].pass_index for number, name in shot.shot.instances.items()}}
            ours = np.vectorize(table.__getitem__)(shot.id(frame))
            seconds.append(spent)
            errors.append(median_error(shot.depth(frame), depth))
            wrong += int((ours != index).sum())
        found |= {f"depth_to_cycles_{size}": max(errors), f"ids_unlike_cycles_{size}": wrong,
                  f"capture_wall_s_{size}": wall, f"capture_cpu_s_{size}": cpu,
                  f"cycles_over_capture_{size}": float(np.mean(seconds)) / wall}
    away = [np.hypot(x * size.width - u, (1.0 - y) * size.height - v)
            for frame in range(1, frames + 1) for joint, bone in (("l_wrist", "LeftHand"), ("r_knee", "RightLeg"))
            for x, y, u, v in [_both(scene, shot, frame, joint, bone)]]
    return found | {"joint_px": float(max(away))}


def _both(scene: bpy.types.Scene, shot: object, frame: int, joint: str, bone: str) -> tuple[float, float, float, float]:
    scene.frame_set(frame)
    rig = scene.objects["Figure"]
    x, y, _ = world_to_camera_view(scene, scene.camera, rig.matrix_world @ rig.pose.bones[bone].head)
    u, v = shot.pose["image"][0, frame - 1, JOINTS.index(joint)]  # type: ignore[attr-defined]
    return x, y, float(u), float(v)


def main() -> int:
    parser = argparse.ArgumentParser(description="How exact and how fast is a capture?")
    parser.add_argument("--frames", type=int, default=4)
    arguments = parser.parse_args()
    lucid.register()
    with tempfile.TemporaryDirectory() as folder:
        figures = closed_forms(Path(folder)) | against_cycles(arguments.frames, Path(folder))
    lucid.unregister()
    sys.stdout.write(json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
