# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting a take: what may go, that all of it goes, and that its number never comes back."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.cli import main
from lucid.inference.errors import LucidError
from lucid.inference.shot import discard
from lucid.inference.shot.discard import Swept, Weight, check_deletable, delete_take, set_aside, sweep
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Edit, TakeRequest
from lucid.inference.shot.takes import State, Take, list_takes, new_take
from lucid.tests.shots import make_shot

REQUEST = TakeRequest("a street", {"Walker": "a red man"}, seed=3, steps=4, weights="mini")


@pytest.fixture(autouse=True)
def manifest(tmp_path: Path) -> Path:
    """A take is made for a shot: the folder has one's manifest."""
    (tmp_path / "shot.json").write_text("{}")
    return tmp_path / "shot.json"


def _done(folder: Path, request: TakeRequest = REQUEST) -> Take:
    take = new_take(folder, request)
    take.emit("started")
    write_png(take.folder / "final" / "frame.0001.png", np.zeros((4, 4, 3), np.uint8))
    take.finish(State.DONE, error=None, steps=8, seconds=1.5)
    return take


def test_a_deleted_take_leaves_nothing_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    takes = [_done(tmp_path) for _ in range(3)]
    size = sum((takes[2].folder / name).stat().st_size for name in ("request.json", "events.jsonl", "result.json",
                                                                    "final/frame.0001.png"))
    assert delete_take(tmp_path, 3) == Swept(Weight(1, size)) and str(Weight(81, 34_560_000)) == "81 frames, 34.6 MB"
    assert new_take(tmp_path, REQUEST).number == 4
    for number in (4, 2, 1):
        delete_take(tmp_path, number)
    assert [path.name for path in (tmp_path / "takes").iterdir()] == [".deleted-0004"]
    assert new_take(tmp_path, REQUEST).number == 5
    with pytest.raises(LucidError, match="TAKE_MISSING"):
        delete_take(tmp_path, 4)


def test_no_number_is_given_twice_while_takes_are_deleted(tmp_path: Path) -> None:
    def once(_: int) -> int:
        number = new_take(tmp_path, REQUEST).number
        delete_take(tmp_path, number)
        return number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(once, range(40)))
    assert len(set(numbers)) == 40


def test_a_crash_while_deleting_leaves_no_half_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _done(tmp_path)
    _done(tmp_path)

    def crash(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(discard.shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            delete_take(tmp_path, 2)
    assert [take.number for take in list_takes(tmp_path)] == [1]
    assert len(list((tmp_path / "takes").glob(".deleted-0002-*"))) == 1
    assert new_take(tmp_path, REQUEST).number == 3
    delete_take(tmp_path, 3)
    assert sorted(path.name for path in (tmp_path / "takes").iterdir()) == [".deleted-0003", "0001"]


def test_what_somebody_needs_is_not_deleted(tmp_path: Path) -> None:
    first = _done(tmp_path)
    _done(tmp_path, replace(REQUEST, parent=1, edit=Edit("Walker", (), "noise", 1.0)))
    with pytest.raises(LucidError, match="TAKE_NEEDED: take 2 is made from take 1.*delete take 2 first"):
        delete_take(tmp_path, 1)
    _done(tmp_path, replace(REQUEST, parent=1, keep=("Ball",)))
    with pytest.raises(LucidError, match="TAKE_NEEDED: takes 2, 3 are made from take 1"):
        check_deletable(tmp_path, 1)
    first.mark(favourite=True)
    with pytest.raises(LucidError, match="TAKE_FAVOURITE"):
        delete_take(tmp_path, 1)
    first.mark(favourite=False)
    running = new_take(tmp_path, REQUEST)
    with running.alone(), pytest.raises(LucidError, match="TAKE_RUNNING"):
        delete_take(tmp_path, 4)                # a process has it and has written nothing yet
    running.emit("started")
    with running.alone(), pytest.raises(LucidError, match="TAKE_RUNNING"):
        delete_take(tmp_path, 4)
    running.finish(State.CANCELLED)
    assert [take.number for take in list_takes(tmp_path)] == [1, 2, 3, 4]
    for number in (4, 3, 2, 1):
        delete_take(tmp_path, number)
    assert not list_takes(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="a folder with an open file is not renamed there")
def test_a_take_that_is_begun_while_it_is_looked_at_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = new_take(tmp_path, REQUEST)
    monkeypatch.setattr(discard, "_is_running", lambda _take: False)        # it began since
    with take.alone(), pytest.raises(LucidError, match="TAKE_RUNNING: a process is at take 1"):
        set_aside(tmp_path, 1)
    assert [path.name for path in (tmp_path / "takes").iterdir()] == ["0001"]


def test_what_cannot_be_removed_is_told_and_goes_with_the_next_deletion(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def all_but_the_frames(path: Path, **_named: object) -> None:
        for file in path.iterdir():
            if file.is_file():
                file.unlink()

    _done(tmp_path)
    aside = set_aside(tmp_path, 1)
    assert not list_takes(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(discard.shutil, "rmtree", all_but_the_frames)
        swept = sweep(aside)
    left = aside / "final" / "frame.0001.png"
    assert swept.stayed == (left,) and swept.went.frames == 0 and swept.went.bytes > 0
    assert str(swept).endswith(f"; 1 stayed, the first is {left}")
    _done(tmp_path)
    assert delete_take(tmp_path, 2).stayed == () and not aside.exists()


@pytest.mark.skipif(os.name == "nt", reason="links are for administrators there")
def test_of_a_link_the_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    real = _done(tmp_path).folder.rename(tmp_path / "elsewhere")
    (tmp_path / "takes" / "0002").symlink_to(real)
    (tmp_path / "takes" / ".deleted-0001-ab").symlink_to(tmp_path / "gone")      # of an earlier deletion
    assert delete_take(tmp_path, 2) == Swept(Weight(0, 0))
    assert [path.name for path in (tmp_path / "takes").iterdir()] == [".deleted-0002"]
    assert (real / "final" / "frame.0001.png").is_file()


def test_a_damaged_take_can_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "takes" / "0007").mkdir(parents=True)
    take = _done(tmp_path)
    (take.folder / "request.json").write_text("{")
    for number in (7, 8):
        delete_take(tmp_path, number)
    assert new_take(tmp_path, REQUEST).number == 9


def test_the_verb_marks_and_deletes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "walk.lucid"
    make_shot(folder, figure=False)
    for _ in range(2):
        _done(folder)
    assert main(["takes", str(folder), "--favourite", "2", "--json"]) == 0
    assert [row["favourite"] for row in json.loads(capsys.readouterr().out)] == [False, True]
    assert main(["takes", str(folder), "--delete", "2"]) == 2
    assert "TAKE_FAVOURITE" in capsys.readouterr().err
    assert main(["takes", str(folder), "--no-favourite", "2"]) == 0
    assert main(["takes", str(folder), "--delete", "2"]) == 0
    said = capsys.readouterr().out
    assert "take 2 is deleted: 1 frame, 0.0 MB\n" in said and said.endswith('take 1: done, seed 3, 1.5 s, "a street"\n')
    assert main(["takes", str(folder), "--favourite", "2"]) == 2
    assert "TAKE_MISSING" in capsys.readouterr().err
