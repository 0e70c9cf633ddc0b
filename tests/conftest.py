# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the repository ``lucid`` for every ring, as the worker and Blender do, whatever its folder is called. Lucid's home is a
folder of the tests' own: what a take took here is not for the machine's estimates."""

import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOME = pytest.StashKey[str]()

if "lucid" not in sys.modules:
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[HOME] = os.environ["LUCID_HOME"] = tempfile.mkdtemp(prefix="lucid-home-")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[HOME], ignore_errors=True)
