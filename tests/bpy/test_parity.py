# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line does what the interface does: one file, two processes, the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from lucid.addon import worker
from lucid.addon.strips import shot_strips, take_of
from lucid.inference.errors import LucidError

ROOT = Path(__file__).resolve().parents[2]
# what tells of the run and not of the take: when each thing happened, and what the process said
OF_THE_RUN = {"takes/0001/events.jsonl", "takes/0001/worker.log"}
# says how long it took too; the rest of it is compared by field
RESULT = "takes/0001/result.json"


@pytest.fixture
def wished(scene: bpy.types.Scene, tmp_path: Path) -> Path:
    """A file with something said in every place of the panel; two actors, one of them moves. ``ui/turn.blend``."""
    try:
        worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")
    cube = bpy.data.objects["Cube"]
    cube.keyframe_insert("rotation_euler", frame=1)
    cube.rotation_euler.z = 1.0
    cube.keyframe_insert("rotation_euler", frame=3)
    bpy.ops.mesh.primitive_uv_sphere_add(location=(2.0, 0.0, 0.0))
    bpy.context.object.name = "Ball"
    scene.frame_end = 3
    settings = scene.lucid
    settings.use_size, settings.width, settings.height = True, 64, 48
    settings.prompt, settings.seed, settings.steps, settings.stickiness = " a grey room ", 11, 2, 0.25
    settings.environment.prompt, settings.environment.strength = "a concrete wall", 0.6
    for name in ("Cube", "Ball"):
        settings.actors.add().object = bpy.data.objects[name]
    ball = settings.layer("Ball")
    ball.prompt, ball.use_seed, ball.seed, ball.visible = "a red ball", True, 5, False
    folder = tmp_path / "ui"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "red.png"), np.full((32, 32, 3), (30, 30, 200), np.uint8))
    ball.references.add().filepath = "//red.png"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "turn.blend"))
    return folder / "turn.blend"


def _run(blend: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The verb in a process of its own; it writes to ``lucid`` beside the file."""
    return subprocess.run([sys.executable, str(ROOT / "scripts" / "blender_entry.py"), "--", "run", str(blend), "--out",
                           str(blend.parent / "lucid"), *flags], capture_output=True, text=True, check=False)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _timeless(data: object) -> object:
    """JSON without how long each thing took."""
    if isinstance(data, dict):
        return {name: _timeless(value) for name, value in data.items() if name != "seconds"}
    return [_timeless(value) for value in data] if isinstance(data, list) else data


def _strips(cut: bpy.types.Scene, shot: Path) -> list[tuple[str, str, int, bool]]:
    return sorted((strip.name, take_of(strip)[1], strip.channel, strip.mute) for strip in shot_strips(cut, shot))


def test_run_without_flags_is_capture_generate_and_import(wished: Path, tmp_path: Path) -> None:
    other = tmp_path / "cli" / "turn.blend"
    shutil.copytree(wished.parent, other.parent)
    for deed in (bpy.ops.lucid.capture, bpy.ops.lucid.generate, bpy.ops.lucid.import_take):
        assert deed() == {"FINISHED"}
    said = _run(other)
    assert said.returncode == 0, said.stderr
    here, there = wished.parent / "lucid" / "turn.lucid", other.parent / "lucid" / "turn.lucid"
    mine, theirs = _files(here), _files(there)
    assert mine.keys() == theirs.keys()
    kinds = {name.partition("/")[0] for name in mine} | {name.split("/")[2] for name in mine if name.startswith("takes/")}
    assert kinds >= {"shot.json", "camera.npz", "passes", "layers", "takes", "request.json", "references", "final"}
    assert not [name for name in mine if mine[name] != theirs[name] and name not in OF_THE_RUN | {RESULT}]
    assert _timeless(json.loads(mine[RESULT])) == _timeless(json.loads(theirs[RESULT]))
    request = json.loads(mine["takes/0001/request.json"])
    assert (request["prompt"], request["seed"], request["steps"], request["stickiness"]) == ("a grey room", 11, 2, 0.25)
    assert request["layer_prompts"] == {"environment": "a concrete wall", "Ball": "a red ball"}
    assert (request["layer_seeds"], request["strengths"], len(request["references"]["Ball"])) == (
        {"Ball": 5}, {"environment": 0.6}, 1)
    seen = _strips(bpy.data.scenes["Scene timeline"], here)
    bpy.ops.wm.open_mainfile(filepath=str(other.parent / "lucid" / "turn.blend"))
    assert _strips(bpy.data.scenes["Scene timeline"], there) == seen
    settings = bpy.data.scenes["Scene"].lucid
    assert Path(bpy.path.abspath(settings.shot)).resolve() == there and settings.shot.startswith("//")
    assert settings.layer("Ball").references[0].path.resolve() == other.parent / "red.png"


def test_flags_overrule_the_panel(wished: Path) -> None:
    picture = wished.parent / "blue.png"
    assert cv2.imwrite(str(picture), np.full((16, 16, 3), (200, 30, 30), np.uint8))
    said = _run(wished, "--prompt", "a beach", "--layer-prompt", "environment=sand", "--seed", "2", "--steps", "1", "--actors",
                "Cube", "--frames", "1:1", "--strength", "environment=1", "--reference", f"Cube={picture}")
    assert said.returncode == 0, said.stderr
    request = json.loads((wished.parent / "lucid" / "turn.lucid" / "takes" / "0001" / "request.json").read_text())
    assert (request["prompt"], request["seed"], request["steps"], request["stickiness"]) == ("a beach", 2, 1, 0.25)
    assert (request["layer_prompts"], request["layer_seeds"]) == ({"environment": "sand"}, {})       # no Ball is captured
    assert (request["strengths"], list(request["references"])) == ({"environment": 1.0}, ["Cube"])


def test_run_refuses_what_the_panel_cannot_have_before_it_captures(wished: Path) -> None:
    assert "REFERENCE_INVALID" in _run(wished, "--reference", "Cube=nowhere.png").stderr
    assert "LAYER_UNKNOWN" in _run(wished, "--reference", f"Nobody={wished.parent / 'red.png'}").stderr
    bpy.context.scene.lucid.layer("Ball").locked = True
    bpy.ops.wm.save_mainfile()
    said = _run(wished)
    assert said.returncode == 2 and "LOCK_EMPTY" in said.stderr
    assert not (wished.parent / "lucid").exists()
