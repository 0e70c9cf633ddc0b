# SPDX-License-Identifier: GPL-3.0-or-later
"""blender_manifest.toml against the rules of the extensions platform (manual: Extensions, Getting Started)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
TAGS = {"3D View", "Add Curve", "Add Mesh", "Animation", "Bake", "Camera", "Compositing", "Development", "Game Engine",
        "Geometry Nodes", "Grease Pencil", "Import-Export", "Lighting", "Material", "Mesh", "Modeling", "Node", "Object",
        "Paint", "Physics", "Pipeline", "Render", "Rigging", "Scene", "Sculpt", "Sequencer", "System", "Text Editor",
        "Tracking", "User Interface", "UV"}
LONGEST = 64


def test_identity() -> None:
    assert MANIFEST["schema_version"] == "1.0.0"
    assert MANIFEST["id"] == "lucid"
    assert MANIFEST["type"] == "add-on"
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    assert "blender" not in MANIFEST["name"].lower()
    assert MANIFEST["maintainer"].strip()


def test_tagline_is_short_and_has_no_full_stop() -> None:
    assert 0 < len(MANIFEST["tagline"]) <= LONGEST
    assert MANIFEST["tagline"][-1].isalnum() or MANIFEST["tagline"][-1] == ")"


def test_blender_and_licence() -> None:
    assert MANIFEST["blender_version_min"] == "5.2.0"
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]


def test_tags_are_the_platforms() -> None:
    assert set(MANIFEST["tags"]) <= TAGS


def test_permissions_are_files_and_network_with_a_reason_each() -> None:
    assert set(MANIFEST["permissions"]) == {"files", "network"}
    for reason in MANIFEST["permissions"].values():
        assert 0 < len(reason) <= LONGEST
        assert not reason.endswith(".")


def test_nothing_is_bundled_and_nothing_empty() -> None:
    assert "wheels" not in MANIFEST
    assert not [key for key, value in MANIFEST.items() if value in ("", [], {})]


def test_the_zip_leaves_the_workshop_out() -> None:
    patterns = MANIFEST["build"]["paths_exclude_pattern"]
    for left_out in ("/tests/", "/scripts/", "/.*", "/pyproject.toml", "__pycache__/"):
        assert left_out in patterns


def test_the_changelog_knows_this_version() -> None:
    assert f"[{MANIFEST['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
