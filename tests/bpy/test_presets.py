# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of the shot: Blender's own, with two of Lucid's; and the panels that offer them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from lucid.addon import render_panel
from lucid.addon.capture.show import PASS_TEXTS
from lucid.addon.shot_presets import FOLDER, SUBDIR
from lucid.operators.presets import VALUES

BUILT_IN = FOLDER / "lucid" / "shot"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this user's presets are kept."""
    real = bpy.utils.user_resource

    def resource(kind: str, *, path: str = "", create: bool = False) -> str:
        if kind != "SCRIPTS":
            return real(kind, path=path, create=create)
        folder = tmp_path / path
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    monkeypatch.setattr(bpy.utils, "user_resource", resource)
    bpy.utils.register_preset_path(str(tmp_path))
    yield tmp_path / "presets" / SUBDIR
    bpy.utils.unregister_preset_path(str(tmp_path))


@pytest.fixture(autouse=True)
def label() -> Iterator[None]:
    """Blender calls the menu after the preset that was chosen last."""
    menu = bpy.types.LUCID_PT_shot_presets
    before = menu.bl_label
    yield
    menu.bl_label = before


def use(path: Path) -> None:
    assert bpy.ops.script.execute_preset(filepath=str(path), menu_idname="LUCID_PT_shot_presets") == {"FINISHED"}


def values(settings: bpy.types.PropertyGroup) -> dict[str, object]:
    return {name: getattr(settings, name) for name in VALUES}


def test_two_come_with_lucid(scene: bpy.types.Scene) -> None:
    assert str(BUILT_IN) in bpy.utils.preset_paths(SUBDIR)
    assert sorted(path.name for path in BUILT_IN.iterdir() if path.is_file()) == ["Draft.py", "Final.py"]
    scene.lucid.prompt, scene.lucid.seed = "a street", 7
    use(BUILT_IN / "Draft.py")
    assert scene.lucid.steps == 4 and not scene.lucid.use_size and "shadow" not in scene.lucid.passes
    use(BUILT_IN / "Final.py")
    assert scene.lucid.steps == 0 and scene.lucid.size() is not None and "shadow" in scene.lucid.passes
    assert scene.lucid.passes <= set(PASS_TEXTS)
    assert (scene.lucid.prompt, scene.lucid.seed) == ("a street", 7)


def test_a_preset_is_kept_and_brought_back_and_forgotten(scene: bpy.types.Scene, user: Path) -> None:
    settings = scene.lucid
    settings.use_size, settings.width, settings.height, settings.samples, settings.steps = True, 320, 192, 7, 12
    settings.passes, settings.weights = {"depth", "uv"}, "owner/name"
    before = values(settings)
    assert bpy.ops.lucid.shot_preset_add(name="My Look") == {"FINISHED"}
    (kept,) = user.glob("*.py")
    use(BUILT_IN / "Draft.py")
    assert values(settings) != before
    use(kept)
    assert values(settings) == before
    assert bpy.ops.lucid.shot_preset_add(name="My Look") == {"CANCELLED"}       # the name is taken
    assert bpy.ops.lucid.shot_preset_add(name=kept.stem, remove_name=True) == {"FINISHED"}
    assert not kept.exists()


def test_on_a_timeline_it_is_the_sources(scene: bpy.types.Scene) -> None:
    timeline = bpy.data.scenes.new("timeline")
    timeline.lucid.source = scene
    bpy.context.window.scene = timeline
    use(BUILT_IN / "Draft.py")
    assert scene.lucid.steps == 4 and timeline.lucid.steps == 0


def test_lucids_own_stay_and_nothing_is_written_beside_them(scene: bpy.types.Scene, user: Path) -> None:
    assert bpy.ops.lucid.shot_preset_add(name="Draft", remove_name=True) == {"CANCELLED"}
    use(BUILT_IN / "Final.py")      # names the menu
    assert bpy.ops.lucid.shot_preset_add(remove_active=True) == {"CANCELLED"}
    assert bpy.ops.lucid.shot_preset_add(name="Draft") == {"CANCELLED"}
    assert bpy.ops.lucid.shot_preset_add(name="  ") == {"CANCELLED"}
    assert bpy.ops.lucid.shot_preset_add(name="nobody's", remove_name=True) == {"CANCELLED"}
    assert sorted(path.name for path in BUILT_IN.iterdir() if path.is_file()) == ["Draft.py", "Final.py"]
    assert not user.exists() or not list(user.iterdir())


def test_the_render_properties_draw_what_the_sidebar_draws() -> None:
    """Not a copy of it."""
    for name, block in (("shot", render_panel.ShotBlock), ("passes", render_panel.PassesBlock),
                        ("generate", render_panel.GenerateBlock), ("model", render_panel.ModelBlock)):
        sidebar = getattr(bpy.types, f"LUCID_PT_{name}", None) or next(
            cls for cls in bpy.types.Panel.__subclasses__() if cls.__name__ == f"LUCID_PT_{name}")
        render = getattr(render_panel, f"LUCID_PT_render_{name}")
        assert sidebar.draw is render.draw is block.draw
        assert render.bl_space_type == "PROPERTIES" and render.bl_context == "render"
    assert "DEFAULT_CLOSED" in render_panel.LUCID_PT_render.bl_options
