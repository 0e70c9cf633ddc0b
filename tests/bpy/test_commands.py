# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line inside Blender: the whole loop, and one clear line for everything that can be wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from lucid.addon import commands, worker
from lucid.addon.jobs import OwnJob
from lucid.addon.staging import frame_camera, play_action
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.store import open_shot, seal
from lucid.inference.shot.takes import State, list_takes
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blend(scene: bpy.types.Scene, tmp_path: Path) -> Path:
    """The default scene over three frames; the cube turns."""
    cube = bpy.data.objects["Cube"]
    cube.keyframe_insert("rotation_euler", frame=1)
    cube.rotation_euler.z = 1.0
    cube.keyframe_insert("rotation_euler", frame=3)
    scene.frame_end = 3
    path = tmp_path / "in" / "turn.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings()
    return path


@pytest.fixture
def with_worker(registered: None) -> None:
    try:
        worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")


def _failure(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a verb that must fail with one line; returns its code."""
    capfd.readouterr()
    assert commands.main([str(argument) for argument in arguments]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("EGL Error")]
    assert len(lines) == 1 and lines[0].startswith("lucid: ") and lines[0].endswith(")"), lines
    return lines[0].split(": ")[1]


def test_capture_takes_what_the_flags_say(blend: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.lucid"
    assert commands.main(["capture", str(blend), "--out", str(out), "--camera", "Camera", "--frames", "1:3:2", "--size",
                          "64x48", "--actors", "Cube", "--prompt", " a room "]) == 0
    shot = open_shot(out)
    assert (shot.frames, shot.size, shot.prompt) == (Frames(1, 3, 2), Size(64, 48), "a room")
    assert [layer.name for layer in shot.layers] == ["environment", "Cube"]


def test_capture_takes_what_the_panel_says(blend: Path, tmp_path: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    settings = bpy.context.scene.lucid
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 2, 2
    settings.prompt = "a room"
    settings.actors.add().object = bpy.data.objects["Cube"]
    bpy.ops.wm.save_mainfile()
    assert commands.main(["capture", "--out", str(tmp_path / "a.lucid"), "--size", "64x48"]) == 0    # the open file
    shot = open_shot(tmp_path / "a.lucid")
    assert (shot.frames, shot.prompt, len(shot.actors)) == (Frames(2, 2), "a room", 1)


def test_flags_overrule_a_panel_that_makes_no_sense(blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    settings = bpy.context.scene.lucid
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 9, 3
    settings.actors.add().name = "deleted"
    bpy.ops.wm.save_mainfile()
    out = ("capture", blend, "--out", tmp_path / "a.lucid", "--size", "64x48")
    assert _failure(capfd, *out) == "RANGE_EMPTY"
    assert _failure(capfd, *out, "--frames", "1:1") == "ACTOR_UNKNOWN"
    assert commands.main([*map(str, out), "--frames", "-2:0:2", "--actors", "Cube"]) == 0
    shot = open_shot(tmp_path / "a.lucid")
    assert [shot.sequence("depth").path(frame) for frame in shot.frames.numbers] == [
        "passes/depth/depth.-0002.exr", "passes/depth/depth.0000.exr"]


def test_what_can_be_wrong_with_a_capture(blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = ("--out", tmp_path / "a.lucid")
    text = tmp_path / "text.blend"
    text.write_text("not a blend")
    short = tmp_path / "short.blend"
    short.write_bytes(b"BLENDER-v502" + bytes(100))
    cases = {
        "USAGE": [(), ("bogus",), ("capture", blend), ("capture", blend, *out, "--frames", "x"),
                  ("capture", blend, *out, "--size", "big")],
        "BLEND_MISSING": [("capture", tmp_path / "none.blend", *out), ("capture", *out)],
        "BLEND_INVALID": [("capture", text, *out), ("capture", short, *out)],
        "CAMERA_MISSING": [("capture", blend, *out, "--camera", "Nope")],
        "RANGE_EMPTY": [("capture", blend, *out, "--frames", "9:1")],
        "ACTOR_UNKNOWN": [("capture", blend, *out, "--actors", "Nope"), ("capture", blend, *out, "--frame-camera", "Nope")],
        "ACTION_UNKNOWN": [("capture", blend, *out, "--action", "Nope")],
        "ACTION_OBJECT": [("capture", blend, *out, "--action", "Nope=CubeAction"),
                          ("capture", blend, *out, "--action", "CubeAction")],
        "SHOT_NAME": [("capture", blend, "--out", tmp_path / "a.shot")],
        "DISK_WRITE": [("capture", blend, "--out", "/proc/a.lucid")],
    }
    for code, commands_ in cases.items():
        for arguments in commands_:
            if arguments == ("capture", *out):
                bpy.ops.wm.read_factory_settings()
            assert _failure(capfd, *arguments) == code, arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "short.blend", "text.blend"]


def test_a_file_without_a_camera(blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    bpy.ops.wm.save_mainfile()
    out = tmp_path / "a.lucid"
    assert _failure(capfd, "capture", blend, "--out", out) == "CAMERA_MISSING"
    assert commands.main(["capture", str(blend), "--out", str(out), "--frame-camera", "Cube", "--actors", "Cube",
                          "--frames", "1:1", "--size", "96x64"]) == 0
    matte = cv2.imread(str(out / open_shot(out).layer("Cube").sequence("matte").path(1)), cv2.IMREAD_UNCHANGED)
    assert 0.1 < (matte > 127).mean() < 0.6
    assert not matte[[0, -1]].any() and not matte[:, [0, -1]].any()     # held whole


def test_frame_camera_sees_the_whole_motion(scene: bpy.types.Scene) -> None:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, -4.0), (9, 4.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    size = Size(96, 160)
    scene.render.resolution_x, scene.render.resolution_y = size.width, size.height
    camera = frame_camera(scene, "Cube", Frames(1, 9), size)
    for frame in (1, 9):
        scene.frame_set(frame)
        for corner in cube.bound_box:
            seen = world_to_camera_view(scene, camera, cube.matrix_world @ Vector(corner))
            assert 0.0 < seen.x < 1.0 and 0.0 < seen.y < 1.0 and seen.z > 0.0


def test_play_action_finds_the_armature(scene: bpy.types.Scene) -> None:
    bpy.ops.object.armature_add()
    armature = bpy.context.object
    for name, angle in (("Still", 0.0), ("Wave", 1.0)):
        armature.animation_data_create().action = bpy.data.actions.new(name)
        bone = armature.pose.bones[0]
        bone.rotation_mode = "XYZ"
        bone.rotation_euler.x = angle
        bone.keyframe_insert("rotation_euler", frame=1)
    play_action(scene, "Still")
    assert (armature.animation_data.action.name, armature.pose.bones[0].rotation_euler.x) == ("Still", 0.0)
    play_action(scene, "Armature=Wave")
    assert armature.pose.bones[0].rotation_euler.x == pytest.approx(1.0)
    with pytest.raises(LucidError, match="its actions: Still, Wave"):
        play_action(scene, "Jump")
    bpy.data.actions.new("Smile").slots.new("KEY", "Face")
    with pytest.raises(LucidError, match="animates nothing of 'Armature'"):
        play_action(scene, "Smile")


def test_a_damaged_shot_is_not_imported(blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "walk.lucid", tmp_path / "out.blend"
    take = make_take(folder, make_shot(folder, frames=Frames(1, 2)))
    arguments = ("import", folder, "--take", "1", "--blend", blend, "--out", out)
    frame = take.folder / "final" / "frame.0002.png"
    data = bytearray(frame.read_bytes())
    data[len(data) // 2] ^= 1
    frame.write_bytes(data)
    assert _failure(capfd, *arguments) == "TAKE_CORRUPT"
    manifest = json.loads((folder / "shot.json").read_text())
    (folder / "shot.json").write_text(json.dumps(manifest | {"schema": "lucid.shot/99"}))
    assert _failure(capfd, *arguments) == "SHOT_NEWER"
    assert not out.exists()


def test_import_writes_a_file_with_the_timeline_in_front(blend: Path, tmp_path: Path,
                                                         capfd: pytest.CaptureFixture[str]) -> None:
    shot = make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    take = make_take(tmp_path / "walk.lucid", shot)
    out = tmp_path / "edit" / "out.blend"
    arguments = ["import", str(tmp_path / "walk.lucid"), "--blend", str(blend), "--out", str(out), "--take"]
    assert _failure(capfd, *arguments, "7") == "TAKE_MISSING"
    assert _failure(capfd, *arguments[:-2], tmp_path / "out.txt", "--take", "1") == "USAGE"
    assert _failure(capfd, *arguments[:-2], "/proc/out.blend", "--take", "1") == "DISK_WRITE"
    assert not out.parent.exists()
    assert commands.main([*arguments, "1"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    timeline = bpy.context.scene
    assert {strip.directory for strip in timeline.sequence_editor.strips} == {
        f"//../walk.lucid/takes/0001/{part}/" for part in ("layers/environment", "layers/Ball", "layers/Walker", "final")}
    timeline.frame_set(2)
    timeline.render.filepath = str(tmp_path / "out.png")
    bpy.ops.render.render(write_still=True)
    rendered, made = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., :3].astype(float)
                      for path in (tmp_path / "out.png", take.folder / "final" / "frame.0002.png"))
    assert np.abs(rendered - made / 257.0).max() <= 1
    assert list(out.parent.iterdir()) == [out]


def test_run_needs_a_prompt_before_it_captures(blend: Path, tmp_path: Path, with_worker: None,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    assert _failure(capfd, "run", blend, "--prompt", "  ", "--out", tmp_path / "out") == "PROMPT_EMPTY"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("code", "flags"), [
    ("LAYER_UNKNOWN", ("--layer-prompt", "Nobody=x")), ("USAGE", ("--layer-prompt", "Cube")), ("USAGE", ("--steps", "0")),
    ("PROMPT_EMPTY", ("--prompt", "", "--layer-prompt", "Cube=a red box")), ("ACTOR_UNKNOWN", ("--actors", "Nobody"))])
def test_run_refuses_a_bad_request_before_it_captures(code: str, flags: tuple[str, ...], blend: Path, tmp_path: Path,
                                                      with_worker: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert _failure(capfd, "run", blend, "--prompt", "a room", "--actors", "Cube", "--out", tmp_path / "out", *flags) == code
    assert not (tmp_path / "out").exists()


def test_run_needs_a_worker_before_it_captures(blend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("LUCID_WORKER_PYTHON", raising=False)
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    assert _failure(capfd, "run", blend, "--prompt", "a room", "--out", tmp_path / "out") == "WORKER_MISSING"
    assert not (tmp_path / "out").exists()


def test_run_goes_all_the_way(blend: Path, tmp_path: Path, with_worker: None, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert commands.main(["run", str(blend), "--prompt", "a red box in a grey room", "--actors", "Cube", "--size", "64x48",
                          "--steps", "2", "--out", str(out)]) == 0
    said = capfd.readouterr().out
    for path in (out / "turn.lucid" / "takes" / "0001" / "final", out / "turn.blend"):
        assert path.exists() and str(path) in said
    bpy.ops.wm.open_mainfile(filepath=str(out / "turn.blend"))
    assert [strip.name for strip in bpy.context.scene.sequence_editor.strips] == [
        f"lucid turn take 1 · {part}" for part in ("environment", "Cube", "final")]


def test_ctrl_c_stops_the_worker_too(blend: Path, tmp_path: Path, with_worker: None) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "blender_entry.py"), "--", "run", str(blend), "--prompt", "a room", "--size",
         "64x48", "--steps", "500", "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "environment, 1 of" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 130
    assert "lucid: INTERRUPTED" in process.stderr.read()
    assert [take.state() for take in list_takes(out / "turn.lucid")] == [State.CANCELLED]
    assert sorted(path.name for path in out.iterdir()) == ["turn.lucid"]


def test_ctrl_c_stops_a_capture_and_leaves_nothing(blend: Path, tmp_path: Path) -> None:
    """Blender would print an interrupt that reaches it from a render engine, and go on."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "blender_entry.py"), "--", "capture", str(blend), "--frames", "1:100000",
         "--size", "64x48", "--out", str(out / "a.lucid")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "captured frame" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(0.3)     # into the next second of rendering
    process.send_signal(signal.SIGINT)
    _said, error = process.communicate(timeout=60.0)
    assert process.returncode == 130 and "lucid: INTERRUPTED" in error and "Traceback" not in error
    assert not out.exists()


def test_ctrl_c_while_cycles_renders_stops_after_the_picture(blend: Path, tmp_path: Path) -> None:
    """Inside Cycles' own Python it would be printed and forgotten."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "blender_entry.py"), "--", "capture", str(blend), "--frames", "1:1000",
         "--passes", "beauty", "--samples", "256", "--size", "64x48", "--out", str(out / "a.lucid")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while ": beauty" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _said, error = process.communicate(timeout=120.0)
    assert process.returncode == 130 and "lucid: INTERRUPTED" in error and "Traceback" not in error
    assert not out.exists()


def test_inspect_is_the_workers(blend: Path, tmp_path: Path, with_worker: None, capfd: pytest.CaptureFixture[str]) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    assert commands.main(["inspect", str(tmp_path / "walk.lucid")]) == 0
    assert "2 frames" in capfd.readouterr().out


def test_a_job_is_cancelled_by_its_file(tmp_path: Path, with_worker: None) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    job = OwnJob(tmp_path / "walk.lucid", TakeRequest("a street", steps=500))
    job.cancel()
    while not (status := job.status()).over:
        job.wait(0.1)
    assert status.state is State.CANCELLED and status.error is None
    assert job.take.state() is State.CANCELLED


def test_a_killed_worker_is_no_finished_take(tmp_path: Path, with_worker: None) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    job = OwnJob(tmp_path / "walk.lucid", TakeRequest("a street", steps=500))
    while job.status().state is not State.RUNNING:
        job.wait(0.1)
    job._process.send_signal(signal.SIGKILL)
    while not (status := job.status()).over:
        job.wait(0.1)
    assert status.state is State.INTERRUPTED and status.error is not None and status.error.code == "WORKER_DIED"
    assert [take.state() for take in list_takes(tmp_path / "walk.lucid")] == [State.INTERRUPTED]


def test_a_failure_that_nobody_foresaw_reaches_blender(tmp_path: Path, with_worker: None) -> None:
    """A camera without intrinsics, sealed with right hashes."""
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(1, 2))
    np.savez(folder / "camera.npz", K=np.zeros(2), world_from_camera=np.zeros(2))
    (folder / "shot.json").unlink()
    seal(folder, shot)
    job = OwnJob(folder, TakeRequest("a street", steps=1))
    while not (status := job.status()).over:
        job.wait(0.25)
    assert status.state is State.FAILED and status.error is not None and status.error.code == "INTERNAL"


def test_a_worker_that_cannot_start_fails_its_take(registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    (tmp_path / "python").write_text("no program")
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(tmp_path / "python"))
    with pytest.raises(LucidError, match="WORKER_MISSING: .*cannot be started"):
        OwnJob(tmp_path / "walk.lucid", TakeRequest("a street"))
    assert [take.state() for take in list_takes(tmp_path / "walk.lucid")] == [State.FAILED]


def test_the_worker_is_found_where_the_launcher_says(registered: None, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUCID_WORKER_PYTHON", raising=False)
    monkeypatch.setenv("LUCID_HOME", str(tmp_path))
    with pytest.raises(LucidError, match="not set up on this machine"):
        worker.worker_python()
    record = tmp_path / "worker.json"
    for text, said in (("{", "cannot be read"), (json.dumps({"python": "/nowhere/python"}), "/nowhere/python")):
        record.write_text(text)
        with pytest.raises(LucidError, match=said) as raised:
            worker.worker_python()
        assert raised.value.code == "WORKER_MISSING"
    record.write_text(json.dumps({"python": sys.executable}))
    assert worker.worker_python() == Path(sys.executable)


def test_the_workers_environment_is_its_own(registered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/blender")
    monkeypatch.setenv("PYTHONHOME", "/blender")
    environ = worker.environment()
    assert "PYTHONPATH" not in environ and "PYTHONHOME" not in environ
    assert environ["HF_HUB_OFFLINE"] == "1"     # online access is off in a default Blender
