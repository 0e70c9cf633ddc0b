# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator of Lucid, whichever there are, where it does not belong: it says why, it never breaks, and refused it changes
nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from lucid.addon import install, measuring, preview, session
from lucid.inference.shot.model import Frames
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

MODES = ("EXEC_DEFAULT", "INVOKE_DEFAULT")
MOVING = ("objects", "scenes", "images", "node_groups", "actions", "collections", "texts", "sounds")    # what may appear
Place = Callable[[Path], None]


@pytest.fixture(autouse=True)
def apart(registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a worker, without a network, and with nothing that could open a window of the system."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("xdg-open", "open"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.setenv("BROWSER", str(tools / "open"))
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(tmp_path / "nowhere"))
    yield
    bpy.ops.wm.read_factory_settings()


def _fresh(*, empty: bool = False) -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=empty)
    assert not bpy.app.online_access, "a test must not download anything"
    scene = bpy.context.scene
    scene.frame_end = 2
    scene.lucid.use_size, scene.lucid.width, scene.lucid.height = True, 64, 48
    return scene


def _nothing(_folder: Path) -> None:
    _fresh(empty=True)


def _unsaved(_folder: Path) -> None:
    _fresh()


def _taken(folder: Path) -> None:
    """A saved file whose shot has two takes, with the list read."""
    _fresh()
    if (folder / "walk.lucid").is_file():
        (folder / "walk.lucid").unlink()
    shutil.rmtree(folder / "walk.lucid", ignore_errors=True)
    if not (folder / "whole.lucid").exists():       # made once: a place is made again and again
        shot = make_shot(folder / "whole.lucid", frames=Frames(1, 2))
        for seed in (0, 1):
            make_take(folder / "whole.lucid", shot, seed)
    shutil.copytree(folder / "whole.lucid", folder / "walk.lucid")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    bpy.context.scene.lucid.shot = "//walk.lucid/"
    assert len(bpy.context.window_manager.lucid.takes) == 2


def _timeline(folder: Path) -> None:
    _taken(folder)
    assert bpy.ops.lucid.import_take() == {"FINISHED"}
    bpy.context.window.scene = bpy.data.scenes["Scene timeline"]


def _timeline_alone(folder: Path) -> None:
    """The captured scene was deleted from the file."""
    _timeline(folder)
    bpy.data.scenes.remove(bpy.data.scenes["Scene"])


def _edit_mode(folder: Path) -> None:
    _taken(folder)
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")


def _pose_mode(folder: Path) -> None:
    _taken(folder)
    bpy.ops.object.armature_add()
    bpy.ops.object.mode_set(mode="POSE")


def _nothing_active(folder: Path) -> None:
    _taken(folder)
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = None


def _actor_deleted(folder: Path) -> None:
    _taken(folder)
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.lucid.actor_add(kind="OBJECT")
    bpy.data.objects.remove(bpy.data.objects["Cube"])


def _shot_unknown(folder: Path) -> None:
    _taken(folder)
    bpy.context.scene.lucid.shot = "//gone.lucid/"


def _shot_gone(folder: Path) -> None:
    """The list still shows its takes."""
    _taken(folder)
    shutil.rmtree(folder / "walk.lucid")


def _shot_is_a_file(folder: Path) -> None:
    _shot_gone(folder)
    (folder / "walk.lucid").write_text("no folder")


def _shot_damaged(folder: Path) -> None:
    _taken(folder)
    (folder / "walk.lucid" / "shot.json").write_text("{")


def _take_damaged(folder: Path) -> None:
    _taken(folder)
    for take in (folder / "walk.lucid" / "takes").iterdir():
        for name in ("request.json", "result.json"):
            (take / name).write_text("[]")


def _linked_scene(folder: Path) -> None:
    _taken(folder)
    bpy.ops.wm.save_mainfile()
    _fresh()
    with bpy.data.libraries.load(str(folder / "scene.blend"), link=True) as (_theirs, ours):
        ours.scenes = ["Scene"]
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "linking.blend"))
    bpy.context.window.scene = next(scene for scene in bpy.data.scenes if scene.library)
    assert not bpy.context.scene.is_editable


def _overridden(folder: Path) -> None:
    """A scene of this file; its camera and what is active are overrides of linked ones."""
    _taken(folder)
    bpy.ops.object.armature_add()
    bpy.ops.wm.save_mainfile()
    scene = _fresh(empty=True)
    with bpy.data.libraries.load(str(folder / "scene.blend"), link=True) as (_theirs, ours):
        ours.collections = ["Collection"]
    made = ours.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "overriding.blend"))
    scene.camera = next(item for item in made.all_objects if item.type == "CAMERA")
    bpy.context.view_layer.objects.active = next(item for item in made.all_objects if item.type == "ARMATURE")
    scene.lucid.shot = "//walk.lucid/"
    assert scene.camera.override_library is not None


PLACES: tuple[Place, ...] = (
    _nothing, _unsaved, _taken, _timeline, _timeline_alone, _edit_mode, _pose_mode, _nothing_active, _actor_deleted,
    _shot_unknown, _shot_gone, _shot_is_a_file, _shot_damaged, _take_damaged, _linked_scene, _overridden)


def _operators() -> dict[str, Any]:
    """All that are registered, by name."""
    found = {name: getattr(bpy.ops.lucid, name) for name in dir(bpy.ops.lucid)}
    assert len(found) > 25
    return found


def _data() -> list[object]:
    """What a refusal must leave alone."""
    scenes = [(scene.name, scene.lucid.shot, len(scene.lucid.actors), scene.frame_current) for scene in bpy.data.scenes]
    return [scenes, bpy.context.mode, *([item.name for item in getattr(bpy.data, kind)] for kind in MOVING)]


def _idle() -> bool:
    return not (session.running() or measuring.running() or install.running())


class _Round:
    """Calls operators in one place, which is made anew whenever one has changed it."""

    def __init__(self, place: Place, folder: Path, capfd: pytest.CaptureFixture[str], override: dict[str, None]) -> None:
        self.place, self.folder, self.capfd, self.override = place, folder, capfd, override
        self.wrong: list[str] = []
        self.refused = 0
        place(folder)

    def call(self, name: str, mode: str, **arguments: int) -> None:
        before, said = _data(), ""
        self.capfd.readouterr()
        ended: set[str] = set()
        try:
            with bpy.context.temp_override(**self.override):
                ended = getattr(bpy.ops.lucid, name)(mode, **arguments)
        except RuntimeError as error:
            said = str(error)
        heard = self.capfd.readouterr()
        changed = bool(ended & {"FINISHED", "RUNNING_MODAL", "INTERFACE"})
        free = changed and bpy.context.scene.is_editable        # what is linked is not Lucid's to change, and not saved
        for fault in self._faults(said, ended, heard.out + heard.err, same=free or _data() == before):
            self.wrong.append(f"{name} {mode} {arguments or ''}: {fault}")
        self.refused += not changed
        if changed:
            self.place(self.folder)     # a new file also ends what is modal

    @staticmethod
    def _faults(said: str, ended: set[str], heard: str, *, same: bool) -> Iterator[str]:
        _name, polled, why = said.partition("poll()")
        if "Traceback" in said + heard:
            yield f"a traceback: {said}{heard}"
        elif polled and ("context is incorrect" in why or not why.removeprefix(" failed").strip()):
            yield "a poll that does not say why"
        elif ended == {"CANCELLED"} and not heard.strip():
            yield "cancelled without a word"
        if not same:
            yield "refused, and yet something is another"
        if not _idle():
            yield "something goes on"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_each_operator_says_what_is_wrong(place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    turn = _Round(place, tmp_path, capfd, {})
    for name, operator in _operators().items():
        numbered = "number" in operator.get_rna_type().properties
        for mode in MODES:
            turn.call(name, mode)
            if numbered:
                turn.call(name, mode, number=99)
    assert not turn.wrong, "\n".join(turn.wrong)
    assert turn.refused


@pytest.mark.parametrize("place", [_nothing, _taken], ids=lambda place: place.__name__.strip("_"))
def test_without_a_window(place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    turn = _Round(place, tmp_path, capfd, {"window": None, "screen": None, "area": None, "region": None})
    for name in _operators():
        for mode in MODES:
            turn.call(name, mode)
    assert not turn.wrong, "\n".join(turn.wrong)


def test_another_file_ends_what_was_on(tmp_path: Path) -> None:
    _fresh()
    preview.start()
    _fresh(empty=True)
    assert not preview.running() and _idle()


def test_every_operator_and_what_it_asks_has_a_tooltip(registered: None) -> None:
    for name, operator in _operators().items():
        rna = operator.get_rna_type()
        assert len(rna.description) > 10 and rna.description != rna.name, name
        assert not rna.description.endswith("."), f"{name}: Blender sets the full stop itself"
        silent = [item.identifier for item in rna.properties
                  if item.identifier != "rna_type" and not item.description and not item.is_hidden]
        assert not silent, f"{name}: {silent} say nothing"


def _kept(rna: Any, groups: dict[str, Any]) -> Iterator[Any]:
    """The property groups of Lucid that data of this type holds, those within groups too."""
    for item in rna.properties:
        held = item.fixed_type.identifier if item.type in ("POINTER", "COLLECTION") else ""
        if held in groups and not groups[held].get("seen"):
            groups[held]["seen"] = True
            yield groups[held]["group"]
            yield from _kept(groups[held]["group"].bl_rna, groups)


def test_every_setting_has_a_tooltip(registered: None) -> None:
    """All that is saved with a file; the window manager only mirrors what panels draw as text."""
    groups = {group.__name__: {"group": group} for group in bpy.types.PropertyGroup.__subclasses__()
              if group.__module__.startswith("lucid.")}
    owners = [getattr(bpy.types, name) for name in dir(bpy.types) if name != "WindowManager"]
    saved = [group for owner in owners if isinstance(owner, type) and issubclass(owner, bpy.types.ID)
             for group in _kept(owner.bl_rna, groups)]
    assert {"LucidShotSettings", "LucidActor", "LucidPreviewSettings", "LucidPoseMap"} <= {group.__name__ for group in saved}
    silent = [f"{group.__name__}.{item.identifier}" for group in saved for item in group.bl_rna.properties
              if item.identifier not in ("rna_type", "name") and item.type not in ("POINTER", "COLLECTION")
              and not item.identifier.endswith("_index") and not item.description]
    assert not silent, silent
