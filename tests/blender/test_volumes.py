# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading volumes with the OpenVDB module of a real Blender."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lucid.tests.blender.conftest import Blender

SESSION = Path(__file__).with_name("volume_session.py")


def test_grids_are_read_as_they_are(blender: Blender, tmp_path: Path) -> None:
    done = blender.run("--background", "--factory-startup", "--python-exit-code", 1, "--addons",
                       "bl_ext.user_default.lucid", "--python", SESSION, "--", tmp_path)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))

    smoke = found["file_volume"]
    assert smoke["values"] and smoke["kept"] and smoke["notes"] == []
    assert smoke["corner"] == pytest.approx(smoke["expected"]) and smoke["extinction"] == pytest.approx([1.0] * 3)
    assert found["pooled"] == {"count": 2, "close": True, "first": [-2.5, 5.5, 2.5], "most": 1 << 26}
    assert found["sequence"] == pytest.approx([1.0, 2.0, 1.0])
    assert found["geometry_nodes"] == pytest.approx([1.0, 2.0, 3.0, 3.0])
    assert len(found["missing"]) >= 1 and "Smoke" in found["missing"][0]
