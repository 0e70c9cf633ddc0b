# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine without a worker and a Blender that must not go online: what needs neither works, what does says what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lucid.inference.shot.model import Frames, Rate, Size
from lucid.inference.shot.store import open_shot
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

ROOT = Path(__file__).resolve().parents[2]
MARK = "NOTES "
START = f"""
import json, runpy, sys
from pathlib import Path
runpy.run_path({str(ROOT / "inference" / "__main__.py")!r})["load_package"](Path({str(ROOT)!r}))
from lucid.tests.bpy.test_bare import use_it
sys.stdout.write(chr(10) + {MARK!r} + json.dumps(use_it(Path(sys.argv[1]))) + chr(10))
"""


def use_it(folder: Path) -> dict[str, object]:
    """In a Blender of its own: everything an artist can do there, as operators; what each of them came to."""
    import socket

    import bpy
    import lucid

    asked: list[object] = []
    sys.addaudithook(lambda event, values: asked.append(values[1:]) if event == "socket.connect"
                     and values[0].family != getattr(socket, "AF_UNIX", None) else None)

    def said(operator: object, **values: object) -> str:
        try:
            return next(iter(operator(**values)))
        except RuntimeError as error:
            return str(error)

    lucid.register()
    scene, ops = bpy.context.scene, bpy.ops.lucid
    scene.frame_end, scene.lucid.prompt = 2, "a grey cube"
    scene.lucid.use_size, scene.lucid.width, scene.lucid.height = True, 64, 48
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    notes: dict[str, object] = {"online": bpy.app.online_access}
    notes["actor"] = said(ops.actor_add, kind="OBJECT")
    bpy.context.view_layer.objects.active = scene.camera
    notes["move"] = said(ops.camera_move)
    notes["animated"] = scene.camera.animation_data is not None or len(scene.camera.constraints) > 0
    scene.lucid_preview.control, scene.lucid_preview.skeletons, scene.lucid_preview.use_shot_range = "normal", True, True
    notes["preflight"] = said(ops.preflight)
    notes["capture"] = said(ops.capture)
    notes["shot"] = scene.lucid.shot
    notes["generate"] = said(ops.generate)
    notes["takes"] = [path.name for path in (folder / "lucid" / "scene.lucid").glob("takes/*")]
    notes["opened"] = said(ops.open_shot, filepath=str(folder / "walk.lucid" / "shot.json"))
    notes["measure"] = said(ops.measure)
    notes["import"] = said(ops.import_take)
    notes["strips"] = len(bpy.data.scenes["Scene timeline"].sequence_editor.strips)
    notes["compositor"] = said(ops.compositor_group)
    notes["install"], notes["check"] = said(ops.worker_install), said(ops.worker_check)
    notes["panels"] = sorted(name for name in dir(bpy.types) if name.startswith("LUCID_PT_"))
    lucid.unregister()
    notes["connected"] = [repr(place) for place in asked]
    notes["home"] = sorted(path.name for path in Path(os.environ["LUCID_HOME"]).iterdir())
    notes["torch"] = "torch" in sys.modules
    return notes


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("bare")
    (folder / "home").mkdir()
    make_take(folder / "walk.lucid", make_shot(folder / "walk.lucid", frames=Frames(1, 2)))
    environ = {name: value for name, value in os.environ.items() if name != "LUCID_WORKER_PYTHON"}
    environ |= {"LUCID_HOME": str(folder / "home"), "BLENDER_USER_RESOURCES": str(folder / "user")}
    done = subprocess.run([sys.executable, "-c", START, str(folder)], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
    return folder, json.loads(line.removeprefix(MARK))


@pytest.mark.parametrize("verb", ["actor", "move", "preflight", "capture", "opened", "import", "compositor"])
def test_what_needs_no_worker_works(bare: tuple[Path, dict[str, object]], verb: str) -> None:
    assert bare[1][verb] == "FINISHED"


def test_the_shot_is_whole_and_the_take_is_on_the_timeline(bare: tuple[Path, dict[str, object]]) -> None:
    folder, notes = bare
    assert notes["shot"] == "//lucid/scene.lucid/" and notes["animated"] and notes["strips"] == 4
    shot = open_shot(folder / "lucid" / "scene.lucid", verify=True)
    assert (shot.frames, shot.size, shot.rate) == (Frames(1, 2), Size(64, 48), Rate(24))
    assert [layer.name for layer in shot.layers] == ["environment", "Cube"]


@pytest.mark.parametrize("verb", ["generate", "measure", "check"])
def test_what_needs_one_says_so_and_what_to_do(bare: tuple[Path, dict[str, object]], verb: str) -> None:
    said = str(bare[1][verb])
    assert "WORKER_MISSING: " in said and "references" in said, said
    assert not bare[1]["takes"], "a take that nobody can make was reserved"


def test_nothing_is_fetched_offline(bare: tuple[Path, dict[str, object]]) -> None:
    notes = bare[1]
    assert notes["online"] is False and notes["connected"] == [] and notes["torch"] is False
    assert "online access" in str(notes["install"]).lower()
    assert notes["home"] == []


def test_the_panels_are_there(bare: tuple[Path, dict[str, object]]) -> None:
    assert {"LUCID_PT_shot", "LUCID_PT_generate", "LUCID_PT_takes"} <= set(bare[1]["panels"])

