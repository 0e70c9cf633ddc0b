# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Blender without a window: the extension and ``--command lucid``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.shot.images import read_png
from lucid.inference.shot.model import Frames, Size
from lucid.inference.shot.store import open_shot
from lucid.tests.blender.conftest import Blender

STATE = """
import bpy, json, sys
state = {"classes": sorted(n for n in dir(bpy.types) if n.upper().startswith("LUCID")),
         "properties": [hasattr(bpy.types.Scene, "lucid"), hasattr(bpy.types.WindowManager, "lucid")]}
sys.stdout.write("STATE " + json.dumps(state) + chr(10))
"""
RENDER = """
import bpy, sys
scene = bpy.context.scene
scene.render.image_settings.color_mode = "RGB"
for frame in (2, 3):
    scene.frame_set(frame)
    scene.render.filepath = sys.argv[-1] + f"/{frame}.png"
    bpy.ops.render.render(write_still=True)
"""
SWITCHED = """
import runpy, sys, addon_utils
look, module = runpy.run_path(sys.argv[-1]), "bl_ext.user_default.lucid"
addon_utils.disable(module)
before, counts = look["snapshot"](module), None
for turn in range(20):
    addon_utils.enable(module)
    on = look["differences"](before, look["snapshot"](module))
    assert {"classes", "properties", "operators", "handlers", "menus"} <= set(on), on
    addon_utils.disable(module)
    found = look["differences"](before, look["snapshot"](module))
    assert not found, (turn, found)
    counts = counts if turn != 2 else look["held"](module)
kept = {name: (counts[name], now) for name, now in look["held"](module).items() if now > counts[name]}
assert counts and not kept, kept
addon_utils._is_first_reset()
assert not addon_utils._extensions_warnings_get(), addon_utils._extensions_warnings_get()
sys.stdout.write("SAME" + chr(10))
"""
LEFTOVERS = Path(__file__).parents[1] / "leftovers.py"


def _state(blender: Blender, before: str = "") -> dict[str, list[object]]:
    said = blender.run("--background", "--python-exit-code", "1", "--python-expr", before + STATE).stdout
    return json.loads(next(line for line in said.splitlines() if line.startswith("STATE "))[6:])


def test_it_validates(bare: Blender, package: Path) -> None:
    assert "Success" in bare.run("--command", "extension", "validate", package).stdout


def test_it_registers_and_unregisters(blender: Blender) -> None:
    on = _state(blender)
    assert {"LUCID_PT_shot", "LUCID_OT_capture", "LUCID_OT_generate"} <= set(on["classes"]) and all(on["properties"])
    off = _state(blender, "import addon_utils; addon_utils.disable('bl_ext.user_default.lucid')")
    assert not off["classes"] and not any(off["properties"])


def test_twenty_times_on_and_off_leaves_nothing(blender: Blender) -> None:
    said = blender.run("--background", "--python-exit-code", "1", "--python-expr", SWITCHED, "--", LEFTOVERS)
    assert "SAME" in said.stdout and "Traceback" not in said.stdout + said.stderr, said.stdout + said.stderr


@pytest.fixture(scope="module")
def out(blender: Blender, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``run`` makes of the demo scene, over a few small frames."""
    folder = tmp_path_factory.mktemp("out")
    said = blender.run("--background", demo, "--command", "lucid", "run", "--prompt", "a street in daylight",
                       "--layer-prompt", "Walker=a red figure", "--actors", "Walker,Ball", "--frames", "1:3", "--size",
                       "128x72", "--steps", "2", "--out", folder).stdout
    assert f"blend: {folder / 'street.blend'}" in said
    return folder


def test_run_makes_a_shot_and_a_take(out: Path) -> None:
    shot = open_shot(out / "street.lucid")
    assert (shot.frames, shot.size, shot.rate.fps) == (Frames(1, 3), Size(128, 72), 15)
    assert [layer.name for layer in shot.layers] == ["environment", "Walker", "Ball"]
    assert shot.layer("Walker").pose is not None and shot.layer("Ball").pose is None
    take = out / "street.lucid" / "takes" / "0001"
    assert sorted(path.name for path in (take / "final").iterdir()) == [f"frame.000{n}.png" for n in (1, 2, 3)]


def test_the_saved_timeline_renders_the_take(blender: Blender, out: Path, tmp_path: Path) -> None:
    blender.run("--background", out / "street.blend", "--python-exit-code", "1", "--python-expr", RENDER, "--", tmp_path)
    for frame in (2, 3):
        made = read_png(out / "street.lucid" / "takes" / "0001" / "final" / f"frame.000{frame}.png")
        assert np.abs(read_png(tmp_path / f"{frame}.png") - made / 257.0).max() <= 1


def test_import_and_inspect(blender: Blender, demo: Path, out: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.blend"
    blender.run("--background", "--command", "lucid", "import", out / "street.lucid", "--take", "1", "--blend", demo,
                "--out", target)
    assert target.is_file()
    assert "3 frames" in blender.run("--background", "--command", "lucid", "inspect", out / "street.lucid").stdout


@pytest.mark.parametrize(("code", "flags"), [
    ("CAMERA_MISSING", ("--camera", "Nope")),
    ("ACTOR_UNKNOWN", ("--actors", "Nope")),
    ("RANGE_EMPTY", ("--frames", "5:1")),
    ("ACTION_UNKNOWN", ("--action", "Nope")),
    ("USAGE", ("--nonsense",)),
])
def test_one_line_says_what_is_wrong(code: str, flags: tuple[str, ...], blender: Blender, demo: Path, tmp_path: Path) -> None:
    done = blender.run("--background", demo, "--command", "lucid", "capture", "--out", tmp_path / "a.lucid", *flags,
                       check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("lucid: ")]
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith(f"lucid: {code}: "), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_blend(blender: Blender, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.blend"
    wrong.write_text("nothing")
    done = blender.run("--background", "--command", "lucid", "capture", wrong, "--out", tmp_path / "a.lucid", check=False)
    assert done.returncode == 2 and "lucid: BLEND_INVALID: " in done.stderr
