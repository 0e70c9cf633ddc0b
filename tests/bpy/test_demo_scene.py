# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo scene as a file: its cast, the ball's flight, the walker's feet, the camera's framing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "demo_scene.py"
FRAMES = range(1, 46)
RADIUS = 0.35
TOUCH = 0.015
"""a vertex of a shoe this low (m) is on the road"""


def _run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), "--", *args], capture_output=True, text=True, timeout=180,
                          check=False)


@dataclass(frozen=True)
class Filmed:
    """The scene over its frames; image points are (x, y) in [0, 1] from the lower left corner, depth in metres."""

    scene: bpy.types.Scene
    ball: NDArray[np.float64]
    body: NDArray[np.float64]
    shoes: dict[str, NDArray[np.int64]]
    image: NDArray[np.float64]
    ball_image: NDArray[np.float64]
    first_hits: list[set[str]]


def _project(scene: bpy.types.Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    camera = scene.camera
    frame = np.array(camera.data.view_frame(scene=scene))
    local = np.c_[points, np.ones(len(points))] @ np.array(camera.matrix_world.inverted()).T
    depth = -local[:, 2]
    half = np.abs(frame[:, :2] / frame[:, 2:]).max(0)
    return np.c_[local[:, :2] / depth[:, None] / half * 0.5 + 0.5, depth]


def _vertices(figure: bpy.types.Object, graph: bpy.types.Depsgraph) -> NDArray[np.float64]:
    mesh = figure.evaluated_get(graph).data
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    return np.c_[flat.reshape(-1, 3), np.ones(len(mesh.vertices))] @ np.array(figure.matrix_world).T[:, :3]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filmed]:
    path = tmp_path_factory.mktemp("demo") / "street.blend"
    made = _run("--out", str(path))
    assert made.returncode == 0, made.stderr
    bpy.ops.wm.open_mainfile(filepath=str(path))
    scene = bpy.context.scene
    figure, ball, rig = (bpy.data.objects[name] for name in ("Walker Body", "Ball", "Walker Rig"))
    groups = {group.index: group.name for group in figure.vertex_groups}
    main = [groups[max(vertex.groups, key=lambda one: one.weight).group] for vertex in figure.data.vertices]
    shoes = {side: np.flatnonzero([name in (f"foot.{side}", f"toe.{side}") for name in main]) for side in "LR"}
    flight, bodies, images, balls, hits = [], [], [], [], []
    for frame in FRAMES:
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        flight.append(np.array(ball.matrix_world.translation))
        bodies.append(_vertices(figure, graph))
        images.append(_project(scene, bodies[-1]))
        balls.append(_project(scene, flight[-1][None])[0])
        eye = scene.camera.matrix_world.translation
        joints = [rig.matrix_world @ bone.head for bone in rig.pose.bones]
        hits.append({scene.ray_cast(graph, eye, joint - eye)[4].name for joint in joints})
    yield Filmed(scene, np.array(flight), np.array(bodies), shoes, np.array(images), np.array(balls), hits)
    bpy.ops.wm.read_factory_settings(use_empty=True)


def _airborne(height: NDArray[np.float64]) -> list[slice]:
    """Runs of at least four frames between bounces, told by free fall's constant second difference."""
    falling = np.abs(np.diff(height, 2) * 15.0**2 + 9.81) < 0.3
    runs, start = [], None
    for k, free in enumerate([*falling, False]):
        if free and start is None:
            start = k
        elif not free and start is not None:
            if k - start >= 2:
                runs.append(slice(start, k + 2))
            start = None
    return runs


def test_the_cast_is_there_and_nothing_is_simulated(filmed: Filmed) -> None:
    scene = filmed.scene
    walker = bpy.data.collections["Walker"]
    assert {one.type for one in walker.objects} == {"ARMATURE", "MESH"}
    assert bpy.data.objects["Ball"].type == "MESH" and len(bpy.data.collections["Set"].objects) > 40
    bones = {bone.name for bone in bpy.data.objects["Walker Rig"].data.bones}
    limbs = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "eye", "ear")
    sides = {f"{name}.{side}" for side in "LR" for name in limbs}
    assert bones >= sides | {"spine", "spine.001", "spine.002", "spine.003", "neck", "head", "nose.001"}
    assert [one for one in scene.objects if one.type == "CAMERA"] == [scene.camera]
    assert (scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base) == (1, 45, 15, 1.0)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1280, 720)
    assert scene.view_settings.view_transform == "Standard"
    assert scene.rigidbody_world is None and all(one.rigid_body is None for one in bpy.data.objects)
    assert not bpy.data.libraries and not [image for image in bpy.data.images if image.source == "FILE"]


def test_the_ball_flies_in_parabolas_and_bounces_on_the_road(filmed: Filmed) -> None:
    runs = _airborne(filmed.ball[:, 2])
    assert len(runs) >= 4
    for run in runs:
        time = np.arange(run.start, run.stop) / 15.0
        for axis, degree in ((0, 1), (1, 1), (2, 2)):
            fit = np.polyfit(time, filmed.ball[run, axis], degree)
            assert np.abs(np.polyval(fit, time) - filmed.ball[run, axis]).max() < 0.01
    peaks = [filmed.ball[run, 2].max() for run in runs]
    assert all(after < before for before, after in zip(peaks, peaks[1:], strict=False))
    assert filmed.ball[:, 2].min() > RADIUS - 0.01
    assert filmed.ball[:, 2].min() < RADIUS + 0.05
    clear = np.linalg.norm(filmed.body - filmed.ball[:, None], axis=2).min(1)
    assert clear.min() > RADIUS, "the ball flies through the walker"


def test_the_stance_foot_does_not_slide(filmed: Filmed) -> None:
    for shoe in filmed.shoes.values():
        feet = filmed.body[:, shoe]
        planted = feet[..., 2] < TOUCH
        assert planted.any(1).mean() > 0.55
        drift, since = 0.0, feet[0, :, :2].copy()
        for frame in range(1, len(feet)):
            held = planted[frame] & planted[frame - 1]
            since[~held] = feet[frame, ~held, :2]
            drift = max(drift, float(np.linalg.norm(feet[frame, :, :2] - since, axis=1).max()))
        assert drift < 0.06


def test_the_body_is_skinned_and_stands_on_the_road(filmed: Filmed) -> None:
    lowest = filmed.body[..., 2].min(1)
    assert lowest.min() > -0.02 and lowest.max() < 0.02
    shoe = filmed.body[:, filmed.shoes["L"]].mean(1) - filmed.body.mean(1)
    assert np.ptp(shoe[:, 1]) > 0.5
    assert filmed.body[0, :, 1].mean() - filmed.body[-1, :, 1].mean() > 3.0


def test_the_camera_keeps_the_whole_figure_and_the_ball(filmed: Filmed) -> None:
    xy = filmed.image[..., :2]
    assert xy.min() > 0.04 and xy.max() < 0.96
    height = np.ptp(xy[..., 1], axis=1)
    assert height.min() > 0.4 and height.max() < 0.68
    assert ((filmed.ball_image[:, :2] > 0.0) & (filmed.ball_image[:, :2] < 1.0)).all()


def test_things_pass_before_and_behind_the_figure(filmed: Filmed) -> None:
    assert 3 <= sum(any(name.startswith("Lamp Post") for name in names) for names in filmed.first_hits) <= 15
    assert all("Walker Body" in names for names in filmed.first_hits)
    assert any("Ball" in names for names in filmed.first_hits)
    middle = filmed.image.mean(1)
    across = np.abs(filmed.ball_image[:, 0] - middle[:, 0]) < 0.05
    nearer = filmed.ball_image[:, 2] < middle[:, 2]
    assert (across & nearer).any() and (across & ~nearer).any()


@pytest.mark.parametrize("args", [("--frames", "1", "--out", "x.blend"), ("--out", "x.txt"), ()])
def test_bad_flags_are_refused(args: tuple[str, ...], tmp_path: Path) -> None:
    refused = _run(*args)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr and "error:" in refused.stderr
