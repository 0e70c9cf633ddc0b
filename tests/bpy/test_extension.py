# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip as users get it: built and checked by Blender's own tool, installed, switched on and off without leftovers."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import bpy
import bpy.utils.previews
import pytest
from lucid.inference.shot.model import Frames
from lucid.tests.served import home
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

ROOT = Path(__file__).resolve().parents[2]
BUILDER = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
LEFTOVERS = ROOT / "tests" / "leftovers.py"

INSTALL = """
import importlib
import pkgutil
import runpy
import sys
from pathlib import Path

import bpy
import addon_utils      # which only bpy's import can find

MODULE = "bl_ext.user_default.lucid"
look = runpy.run_path(sys.argv[2])
before = look["snapshot"](MODULE)
assert bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default") == {"FINISHED"}
folder = Path(sys.modules[MODULE].__file__).parent


def everything():
    '''Import all that Blender may import.'''
    for part in ("addon", "operators", "inference.shot", "inference.conditioning", "inference.worker.client",
                 "inference.worker.feed", "inference.worker.protocol"):
        module = importlib.import_module(f"{MODULE}.{part}")
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{MODULE}.{part}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)


def differences():
    return look["differences"](before, look["snapshot"](MODULE))


def violations():
    addon_utils._is_first_reset()
    return dict(addon_utils._extensions_warnings_get())
"""

WHOLE = INSTALL + """
on = differences()
assert {"classes", "properties", "operators", "handlers", "menus"} <= set(on), on.keys()
assert "Scene" in on["attributes"] and "WindowManager" in on["attributes"], on["attributes"]
assert MODULE in bpy.context.preferences.addons
assert bpy.context.preferences.addons[MODULE].preferences.worker_python == ""
assert bpy.context.scene.lucid.output == "//lucid/"
everything()
assert not violations(), violations()
addon_utils.disable(MODULE)
assert not differences(), differences()
counts = None
for turn in range(20):
    addon_utils.enable(MODULE, default_set=True)
    assert bpy.context.scene.lucid.output == "//lucid/"
    addon_utils.disable(MODULE)
    assert not differences(), (turn, differences())
    if turn == 2:
        counts = look["held"](MODULE)
kept = {name: (counts[name], count) for name, count in look["held"](MODULE).items() if count > counts[name]}
assert len(counts) > 300 and not kept, kept
assert not violations(), violations()
files = [str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file()]
sys.stdout.write("whole " + ",".join(sorted(files)) + chr(10))
"""

USED = INSTALL + """
import os
import time

lucid = {name: importlib.import_module(f"{MODULE}.addon.{name}") for name in
         ("preview", "session", "following", "measuring", "install", "timeline")}
model = importlib.import_module(f"{MODULE}.inference.shot.model")
client = importlib.import_module(f"{MODULE}.inference.worker.client")
everything()
counts = None


def use():
    '''A preview, a take on the timeline, and a job in the worker's hands; timers as with a window.'''
    bpy.ops.wm.read_homefile(use_empty=True)
    addon_utils.enable(MODULE, default_set=True)
    bpy.ops.lucid.open_shot(filepath=sys.argv[3])
    bpy.ops.lucid.import_take(number=1)
    lucid["preview"].start()
    job = None
    if os.environ.get("LUCID_WORKER_PYTHON"):
        wish = model.TakeRequest("a street", steps=4000)
        job = lucid["session"]._begin(lambda: lucid["following"].ServedJob(Path(sys.argv[3]), wish))
        deadline = time.monotonic() + 120.0
        while job.status().state.name != "RUNNING":
            assert time.monotonic() < deadline and not job.status().over, job.status()
            time.sleep(0.05)
    for name in ("session", "measuring", "install"):
        bpy.app.timers.register(lucid[name]._tick, persistent=True)
    return job


for turn in range(3):
    job = use()
    assert "timers" in differences()
    began = time.monotonic()
    addon_utils.disable(MODULE)
    took = time.monotonic() - began
    assert took < 2.0, f"switching off took {took:.1f} s"
    found = differences()
    if turn == 0:
        found.pop("exits", None)            # of the standard library's modules, which are imported once
        before["exits"] = look["snapshot"](MODULE)["exits"]
    assert not found, (turn, found)
    if job is not None:
        assert job.take.result() is None        # the worker goes on without Blender
        job.take.ask_to_cancel()
        deadline = time.monotonic() + 120.0
        while job.take.result() is None:
            assert time.monotonic() < deadline, "the worker did not end the take"
            time.sleep(0.05)
        assert job.take.state().name == "CANCELLED", job.take.state()
        job = None
    if turn == 1:
        counts = look["held"](MODULE)
kept = {name: (counts[name], count) for name, count in look["held"](MODULE).items() if count > counts[name]}
assert not kept, kept
assert not violations(), violations()
client.stop()
sys.stdout.write("clean" + chr(10))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "lucid.zip"
    _builder("build", "--source-dir", str(ROOT), "--output-filepath", str(path))
    return path


def _builder(*arguments: str) -> str:
    return subprocess.run([sys.executable, str(BUILDER), *arguments], check=True, capture_output=True, text=True).stdout


def test_the_manifest_and_the_zip_validate(package: Path) -> None:
    assert "Success" in _builder("validate", str(ROOT))
    assert "Success" in _builder("validate", str(package))


def test_the_zip_holds_what_runs_and_nothing_else(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"__init__.py", "blender_manifest.toml", "addon", "operators", "inference", "shaders"} <= tops
    assert not tops & {"tests", "scripts", "pyproject.toml", ".ci", ".git", ".gitignore"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "inference/adapters/weights/mini/model_index.json" in names
    assert "inference/adapters/weights/mini/transformer/diffusion_pytorch_model.safetensors" in names


def _left(*_arguments: object) -> None:
    """What an extension could leave somewhere."""


class LEFT_PT_panel(bpy.types.Panel):
    bl_label, bl_space_type, bl_region_type = "Left", "VIEW_3D", "UI"

    def draw(self, _context: bpy.types.Context) -> None:
        """Nothing."""


def test_the_comparison_sees_what_stays(tmp_path: Path) -> None:
    look, here = runpy.run_path(str(LEFTOVERS)), __name__
    before, counts = look["snapshot"](here), look["held"](here)
    assert not look["differences"](before, look["snapshot"](here))
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    bpy.utils.register_class(LEFT_PT_panel)
    bpy.types.Scene.left = bpy.props.IntProperty()
    bpy.app.handlers.load_post.append(_left)
    bpy.app.timers.register(_left, first_interval=1e6)
    bpy.types.TOPBAR_MT_file_import.append(_left)
    bpy.app.translations.register(here, {})
    bpy.utils.register_preset_path(str(tmp_path))
    pictures = bpy.utils.previews.new()
    drawing = bpy.types.SpaceView3D.draw_handler_add(_left, (), "WINDOW", "POST_PIXEL")
    try:
        found = look["differences"](before, look["snapshot"](here))
        wanted = {"classes", "types", "properties", "attributes", "handlers", "timers", "menus", "previews", "presets", "threads"}
        assert wanted | ({"translations"} if bpy.app.build_options.international else set()) <= set(found)
        assert look["held"](here)[f"{here}._left"] == counts[f"{here}._left"] + 4     # handler, timer, menu, drawing
    finally:
        over.set()
        thread.join()
        bpy.types.SpaceView3D.draw_handler_remove(drawing, "WINDOW")
        bpy.utils.previews.remove(pictures)
        bpy.utils.unregister_preset_path(str(tmp_path))
        bpy.app.translations.unregister(here)
        bpy.types.TOPBAR_MT_file_import.remove(_left)
        bpy.app.timers.unregister(_left)
        bpy.app.handlers.load_post.remove(_left)
        del bpy.types.Scene.left
        bpy.utils.unregister_class(LEFT_PT_panel)
    del pictures
    assert not look["differences"](before, look["snapshot"](here))


def _installed(script: str, package: Path, folder: Path, *arguments: object, **more: str) -> str:
    """Run ``script`` in a Blender of its own with nothing installed; what it printed."""
    environ = {name: value for name, value in os.environ.items() if name != "LUCID_WORKER_PYTHON"}
    environ |= {"BLENDER_USER_RESOURCES": str(folder / "user"), "LUCID_HOME": str(folder / "home"), **more}
    (folder / "home").mkdir()
    done = subprocess.run([sys.executable, "-c", script, str(package), str(LEFTOVERS), *map(str, arguments)], env=environ,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done.stdout


def test_twenty_times_on_and_off_leaves_nothing(package: Path, tmp_path: Path) -> None:
    said = _installed(WHOLE, package, tmp_path)
    assert "whole " in said
    with zipfile.ZipFile(package) as archive:
        packed = {name for name in archive.namelist() if not name.endswith("/")}
    there = set(said.partition("whole ")[2].splitlines()[0].split(","))
    assert there == packed, "the extension's own folder is for what was installed"
    assert not list((tmp_path / "home").iterdir())


def test_what_was_on_is_off_with_it(package: Path, tmp_path: Path) -> None:
    """A preview, timers, threads and a job of the worker's, in the middle of it."""
    make_take(tmp_path / "walk.lucid", make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2)))
    python = os.environ.get("LUCID_WORKER_PYTHON")
    more = {"LUCID_WORKER_PYTHON": python} if python else {}
    with home(tmp_path / "home"):
        assert "clean" in _installed(USED, package, tmp_path, tmp_path / "walk.lucid", **more)
