# SPDX-License-Identifier: GPL-3.0-or-later
"""Esc in the middle of long work: the wait is one file, and whatever closing comes to, the window keeps nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from lucid.addon import verified
from lucid.addon.beside import beside
from lucid.addon.capture import Progress
from lucid.addon.verified import verified_take
from lucid.inference.errors import LucidError
from lucid.inference.shot import store
from lucid.inference.shot.model import Frames, Size
from lucid.operators.stepping import SteppedOperator, Steps
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

A_FILE = 0.05       # seconds


def _slowed(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[Path]:
    """The files that ``module`` reads by its function ``name``, each of which takes a while."""
    files: list[Path] = []
    read = getattr(module, name)

    def slowly(path: Path) -> str:
        files.append(path)
        time.sleep(A_FILE)
        return read(path)

    monkeypatch.setattr(module, name, slowly)
    return files


def _closed_after(files: list[Path], steps: Generator[None, None, object]) -> None:
    """Close ``steps`` when some files were read: no more than the one that was being read, and one begun just then, follow."""
    while len(files) < 3:
        next(steps)
    before = len(files)
    steps.close()
    assert len(files) <= before + 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lucid-beside")]


def test_what_is_done_beside_comes_back(registered: None) -> None:
    def last(steps: Generator[None, None, int]) -> int:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def fails(_stop: store.Stop) -> int:
        raise LucidError("DISK_WRITE", "full", "delete something")

    def waits(stop: store.Stop) -> int:
        time.sleep(A_FILE)
        return 7 if not stop() else 0

    assert last(beside(waits)) == 7
    with pytest.raises(LucidError, match="DISK_WRITE"):
        last(beside(fails))


def test_checking_a_take_stops_after_a_file(registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "walk.lucid"
    make_take(folder, make_shot(folder, frames=Frames(1, 20), size=Size(32, 24)))
    files = _slowed(monkeypatch, verified, "sha256_file")
    _closed_after(files, beside(lambda stop: verified_take(folder, 1, stop=stop)))


def test_a_seal_that_is_stopped_leaves_no_manifest(registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = make_shot(tmp_path / "walk.lucid", frames=Frames(1, 20), size=Size(32, 24))
    (tmp_path / "walk.lucid" / store.MANIFEST).unlink()
    files = _slowed(monkeypatch, store, "_settled")
    _closed_after(files, beside(lambda stop: store.seal(tmp_path / "walk.lucid", shot, stop)))
    assert not (tmp_path / "walk.lucid" / store.MANIFEST).exists()
    with pytest.raises(LucidError, match="CANCELLED"):
        store.seal(tmp_path / "walk.lucid", shot, lambda: True)


class _Stepped(SteppedOperator):
    """As Blender's window holds it: a timer, a status text, reports. ``error`` is what closing raises."""

    doing = stopped = "Stopped"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.told = error, []

    def report(self, kind: set[str], text: str) -> None:
        self.told.append((kind, text))

    def _steps(self, _context: SimpleNamespace) -> Steps:
        try:
            yield Progress(0, 1, "first")
        finally:
            if self.error is not None:
                raise self.error


class _Window:
    """What an operator sets in its window, and takes back."""

    def __init__(self) -> None:
        self.timers, self.status, self.handlers, self.progress = [], None, [], False
        manager = SimpleNamespace(
            progress_begin=lambda _low, _high: setattr(self, "progress", True), progress_update=lambda _value: None,
            progress_end=lambda: setattr(self, "progress", False), event_timer_remove=self.timers.remove,
            event_timer_add=lambda _seconds, window: self.timers.append("timer") or "timer",
            modal_handler_add=self.handlers.append)
        workspace = SimpleNamespace(status_text_set=lambda text: setattr(self, "status", text))
        self.context = SimpleNamespace(window_manager=manager, workspace=workspace, window=self)

    @property
    def clean(self) -> bool:
        return not self.timers and self.status is None and not self.progress


ESC = SimpleNamespace(type="ESC", value="PRESS")


@pytest.mark.parametrize("error", [LucidError("DISK_WRITE", "full", "delete something"), OSError("open in another program")])
def test_the_window_keeps_nothing_when_closing_fails(registered: None, error: Exception) -> None:
    window, operator = _Window(), _Stepped(error)
    operator.invoke(window.context, ESC)
    operator._tell(next(operator._running))
    assert not window.clean
    if isinstance(error, LucidError):
        assert operator.modal(window.context, ESC) == {"CANCELLED"}
        assert operator.told == [({"ERROR"}, "DISK_WRITE: full (delete something)")]
    else:
        with pytest.raises(OSError, match="another program"):
            operator.modal(window.context, ESC)
    assert window.clean


def test_what_another_window_deleted_is_told(scene: bpy.types.Scene) -> None:
    class Holding(_Stepped):
        def _steps(self, _context: SimpleNamespace) -> Steps:
            held = scene.objects["Cube"]
            yield Progress(0, 1, held.name)
            bpy.data.objects.remove(held)
            yield Progress(1, 1, held.name)

    window, operator = _Window(), Holding()
    operator.invoke(window.context, ESC)
    assert operator.modal(window.context, SimpleNamespace(type="TIMER", value="NOTHING")) == {"CANCELLED"}
    assert operator.told[0][1].startswith("SCENE_GONE") and window.clean
