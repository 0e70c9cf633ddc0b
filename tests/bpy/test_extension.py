# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip as users get it: built and checked by Blender's own tool, installed, switched on and off without leftovers."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILDER = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"

INSTALL = """
import sys
import bpy
import addon_utils

CLASSES = ("LucidActor", "LucidShotSettings", "LucidTakeRow", "LucidRuntime", "LucidPreferences")

def present():
    named = {name for name in dir(bpy.types) if name.upper().startswith("LUCID")}
    named |= {name for name in CLASSES if bpy.types.bpy_struct.bl_rna_get_subclass_py(name) is not None}
    named |= {owner.__name__ for owner in (bpy.types.Scene, bpy.types.WindowManager) if hasattr(owner, "lucid")}
    named |= {handler.__module__ for handler in bpy.app.handlers.load_post if "lucid" in handler.__module__}
    return named

assert not present(), present()
assert bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default") == {"FINISHED"}
module = "bl_ext.user_default.lucid"
for _ in range(2):
    assert module in bpy.context.preferences.addons
    assert bpy.context.preferences.addons[module].preferences.worker_python == ""
    assert bpy.context.scene.lucid.output == "//lucid/"
    assert {"LUCID_PT_shot", "LUCID_OT_capture", "LucidRuntime", "Scene", "WindowManager"} <= present(), present()
    addon_utils.disable(module)
    assert not present(), present()
    addon_utils.enable(module, default_set=True)
assert not addon_utils._extensions_warnings_get(), addon_utils._extensions_warnings_get()
sys.stdout.write("whole\\n")
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


def test_it_installs_and_switches_off_without_leftovers(package: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    done = subprocess.run([sys.executable, "-c", INSTALL, str(package)], env=environ, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert "whole" in done.stdout
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
