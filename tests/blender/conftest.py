# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender, named by BLENDER_BIN, with Lucid installed in it as a user installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300     # seconds for one run of Blender


@dataclass(frozen=True)
class Blender:
    """One Blender with a user folder of its own."""

    executable: str
    resources: Path

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, "BLENDER_USER_RESOURCES": str(self.resources), "LUCID_WORKER_PYTHON": sys.executable,
                "MESA_SHADER_CACHE_DIR": str(self.resources), **more}

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it without a window; with ``check``, it ends with status 0."""
        done = subprocess.run([self.executable, *map(str, arguments)], env=self.environ(), capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Blender:
    """Blender as it comes."""
    executable = os.environ.get("BLENDER_BIN")
    if not executable:
        pytest.skip("BLENDER_BIN names no Blender 5.2: nothing of the real Blender is tested")
    blender = Blender(executable, tmp_path_factory.mktemp("user"))
    version = blender.run("--version").stdout.split()[1]
    assert version >= "5.2", f"{executable} is Blender {version}; Lucid needs 5.2"
    return blender


@pytest.fixture(scope="session")
def package(bare: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension, built by Blender itself."""
    path = tmp_path_factory.mktemp("package") / "lucid.zip"
    bare.run("--command", "extension", "build", "--source-dir", ROOT, "--output-filepath", path)
    return path


@pytest.fixture(scope="session")
def blender(bare: Blender, package: Path) -> Blender:
    """Blender with Lucid installed and switched on."""
    bare.run("--command", "extension", "install-file", "--repo", "user_default", "--enable", package)
    return bare


@pytest.fixture(scope="session")
def demo(bare: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo scene, over fewer frames."""
    path = tmp_path_factory.mktemp("demo") / "street.blend"
    bare.run("--background", "--factory-startup", "--python-exit-code", "1", "--python", ROOT / "scripts" / "demo_scene.py",
             "--", "--out", path, "--frames", "13")
    return path
