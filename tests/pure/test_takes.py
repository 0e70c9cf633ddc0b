# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: numbers that no two processes share, and a state that is read off the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.cli import main
from lucid.inference.errors import LucidError
from lucid.inference.shot import discard
from lucid.inference.shot.discard import Weight, check_deletable, delete_take
from lucid.inference.shot.images import write_png
from lucid.inference.shot.listing import row_text, take_row
from lucid.inference.shot.model import Edit, TakeRequest
from lucid.inference.shot.store import sha256_file
from lucid.inference.shot.takes import State, Take, get_take, list_takes, new_take, resume
from lucid.tests.shots import make_shot

REQUEST = TakeRequest("a street", {"Walker": "a red man"}, seed=3, steps=4, weights="mini")


@pytest.fixture(autouse=True)
def manifest(tmp_path: Path) -> Path:
    """A take is made for a shot: the folder has one's manifest."""
    (tmp_path / "shot.json").write_text("{}")
    return tmp_path / "shot.json"


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def test_a_request_survives_the_disk(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    assert take.number == 1
    assert get_take(tmp_path, 1).request() == REQUEST
    assert take.state() is State.QUEUED


def test_numbers_go_up_and_a_gap_is_not_filled(tmp_path: Path) -> None:
    assert [new_take(tmp_path, REQUEST).number for _ in range(3)] == [1, 2, 3]
    (tmp_path / "takes" / "0002" / "request.json").unlink()
    (tmp_path / "takes" / "0002").rmdir()
    assert new_take(tmp_path, REQUEST).number == 4


def test_no_two_writers_share_a_number(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: new_take(tmp_path, REQUEST).number, range(40)))
    assert sorted(numbers) == list(range(1, 41))


def test_takes_come_by_number_not_by_name(tmp_path: Path) -> None:
    for name in ("10000", "0002", "9999", "\u00b2"):
        (tmp_path / "takes" / name).mkdir(parents=True)
    assert [take.number for take in list_takes(tmp_path)] == [2, 9999, 10000]


def test_other_folders_are_ignored(tmp_path: Path) -> None:
    for name in ("notes", ".0001.tmp", "0001x"):
        (tmp_path / "takes" / name).mkdir(parents=True)
    (tmp_path / "takes" / "0009").write_text("a file")
    assert list_takes(tmp_path) == []


def test_a_missing_take_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(LucidError, match=r"TAKE_MISSING.*none yet"):
        get_take(tmp_path, 1)
    new_take(tmp_path, REQUEST)
    with pytest.raises(LucidError, match=r"TAKE_MISSING.*its takes: 1"):
        get_take(tmp_path, 2)


def test_the_states_of_a_life(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    take.emit("started")
    assert take.state() is State.RUNNING
    take.emit("progress", done=1, total=8, text="environment, step 1 of 8", seconds_left=3.5)
    assert [event["event"] for event in take.events()] == ["started", "progress"]
    assert take.events()[1]["done"] == 1
    take.finish(State.DONE, seconds=1.0)
    assert take.state() is State.DONE


@pytest.mark.parametrize("state", [State.DONE, State.CANCELLED, State.FAILED])
def test_the_result_decides(tmp_path: Path, state: State) -> None:
    take = new_take(tmp_path, REQUEST)
    take.emit("started")
    take.finish(state)
    assert get_take(tmp_path, 1).state() is state


@pytest.mark.skipif(os.name == "nt", reason="process ids are reused at once there")
def test_a_take_whose_process_is_gone_was_interrupted(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    line = json.dumps({"time": 0.0, "event": "started", "pid": ended_pid()})
    (take.folder / "events.jsonl").write_text(line + "\n")
    assert take.state() is State.INTERRUPTED


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    take.emit("started")
    with (take.folder / "events.jsonl").open("a") as stream:
        stream.write('{"event": "progr')
    assert [event["event"] for event in take.events()] == ["started"]


def test_the_result_hashes_every_frame(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "final").mkdir()
    write_png(take.folder / "final" / "frame.0001.png", np.zeros((4, 4, 3), np.uint8))
    (take.folder / "final" / ".frame.0002.png.ab.tmp").write_bytes(b"half")
    take.finish(State.DONE)
    result = take.result()
    assert result is not None
    assert result["files"] == {"final/frame.0001.png": sha256_file(take.folder / "final" / "frame.0001.png")}


def test_a_broken_result_is_one_clear_error(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    for text in ("{", "[]", "{}", '{"state": "painting"}'):      # the last may be what a later Lucid writes
        (take.folder / "result.json").write_text(text)
        with pytest.raises(LucidError, match=r"TAKE_INVALID: .*result\.json"):
            take.state()


def test_broken_events_are_one_clear_error(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    for events in (b"\xff\n", b"[]\n", b'{"event": "progress", "pid": 1}\n', b'{"event": "started"}\n'):
        (take.folder / "events.jsonl").write_bytes(events)
        with pytest.raises(LucidError, match=r"TAKE_INVALID: .*events\.jsonl"):
            take.state()


def test_a_take_knows_the_shot_it_was_made_for(tmp_path: Path, manifest: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    take.check_shot()
    manifest.write_text('{"another": "shot"}')
    with pytest.raises(LucidError, match="TAKE_FOREIGN: take 1 was made for another shot"):
        take.check_shot()
    manifest.unlink()
    with pytest.raises(LucidError, match="SHOT_MISSING"):
        new_take(tmp_path, REQUEST)
    assert [take.number for take in list_takes(tmp_path)] == [1]


def test_references_go_with_the_take_by_their_content(tmp_path: Path) -> None:
    picture, same, other = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    write_png(picture, np.zeros((4, 4, 3), np.uint8))
    write_png(other, np.ones((4, 4, 3), np.uint8))
    same.write_bytes(picture.read_bytes())
    take = new_take(tmp_path, REQUEST, references={"Walker": [picture, other, same], "Ball": [other], "Road": []})
    names = [f"{sha256_file(path)[:16]}.png" for path in (picture, other)]
    assert take.request() == replace(REQUEST, references={"Walker": names, "Ball": names[1:]})
    assert {path.name for path in (take.folder / "references").iterdir()} == set(names)
    child = new_take(tmp_path, take.request(), references=take.reference_files())
    assert child.request() == take.request()
    (child.folder / "references" / names[0]).write_bytes(b"scratched")
    with pytest.raises(LucidError, match="TAKE_INVALID.*not the reference"):
        child.reference_files()
    with pytest.raises(LucidError, match="REFERENCE_MISSING"):
        new_take(tmp_path, take.request())
    with pytest.raises(LucidError, match="REFERENCE_MISSING"):
        new_take(tmp_path, REQUEST, references={"Walker": [tmp_path / "none.png"]})
    assert len(list_takes(tmp_path)) == 2                   # nothing was reserved for what cannot be


@pytest.mark.skipif(os.name == "nt", reason="process ids are reused at once there")
def test_the_last_start_decides_and_a_resumed_take_is_queued(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    line = json.dumps({"time": 0.0, "event": "started", "pid": ended_pid()})
    (take.folder / "events.jsonl").write_text(line + "\n" + '{"event": "progr')      # it went in the middle of a line
    resume(take)
    assert take.state() is State.QUEUED
    take.emit("started")
    assert take.state() is State.RUNNING
    assert [event["event"] for event in take.events()] == ["started", "resumed", "started"]
    with (take.folder / "events.jsonl").open("a") as stream:
        stream.write(line + "\n" + json.dumps({"event": "progress", "pid": os.getpid()}) + "\n")
    assert take.state() is State.INTERRUPTED


def test_a_cancelled_take_can_be_resumed_and_no_other(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    for state in (State.QUEUED, State.RUNNING):
        with pytest.raises(LucidError, match=f"TAKE_NOT_RESUMABLE: take 1 is {state.value}"):
            resume(take)
        take.emit("started")
    take.ask_to_cancel()
    take.finish(State.CANCELLED)
    resume(take)
    assert take.state() is State.QUEUED and take.result() is None and not take.cancel_asked
    for state in (State.DONE, State.FAILED):
        take.finish(state)
        with pytest.raises(LucidError, match=f"TAKE_NOT_RESUMABLE: take 1 is {state.value}"):
            resume(take)


def test_a_shot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "takes").write_text("a file")
    with pytest.raises(LucidError, match="DISK_WRITE"):
        new_take(tmp_path, REQUEST)


def test_patterns_name_frames_by_scene_frame() -> None:
    take = Take(Path("s.lucid/takes/0012"))
    assert take.number == 12
    assert take.layer_pattern("Ball") == "layers/Ball/frame.####.png"
    assert take.final_pattern == "final/frame.####.png"


def _done(folder: Path, request: TakeRequest = REQUEST) -> Take:
    take = new_take(folder, request)
    take.emit("started")
    write_png(take.folder / "final" / "frame.0001.png", np.zeros((4, 4, 3), np.uint8))
    take.finish(State.DONE, error=None, steps=8, seconds=1.5)
    return take


def test_a_favourite_is_a_file_and_is_told(tmp_path: Path) -> None:
    take = _done(tmp_path)
    assert not take.favourite and take_row(take, None)["favourite"] is False
    for _ in range(2):
        take.mark(favourite=True)
        assert get_take(tmp_path, 1).favourite
    assert (take.folder / "favourite").read_bytes() == b""
    assert row_text(take_row(take, None)) == 'take 1: done, favourite, seed 3, 1.5 s, "a street"'
    for _ in range(2):
        take.mark(favourite=False)
        assert not take.favourite
    with pytest.raises(LucidError, match="DISK_WRITE"):
        Take(tmp_path / "takes" / "0009").mark(favourite=True)


def test_a_row_tells_what_a_take_is_made_from(tmp_path: Path) -> None:
    _done(tmp_path)
    whole, part = (Edit("Walker", (), "noise", 1.0), Edit("environment", (3,), "parent", 0.5))
    for request, text in ((replace(REQUEST, parent=1, edit=whole), "take 1 with another Walker"),
                          (replace(REQUEST, parent=1, edit=part), "take 1 with another 3, 0.5 of the parent painted again"),
                          (replace(REQUEST, parent=1, keep=("Ball", "Walker")), "keeps Ball, Walker of take 1")):
        row = take_row(_done(tmp_path, request), None)
        assert text in row_text(row) and row["steps"] == 4
    assert take_row(_done(tmp_path, replace(REQUEST, steps=None)), None)["steps"] == 8      # the model's own, once it is known


def test_a_deleted_take_leaves_nothing_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    takes = [_done(tmp_path) for _ in range(3)]
    size = sum((takes[2].folder / name).stat().st_size for name in ("request.json", "events.jsonl", "result.json",
                                                                    "final/frame.0001.png"))
    assert delete_take(tmp_path, 3) == Weight(1, size) and str(Weight(81, 34_560_000)) == "81 frames, 34.6 MB"
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
    with pytest.raises(LucidError, match="TAKE_RUNNING"):
        delete_take(tmp_path, 4)
    running.finish(State.CANCELLED)
    assert [take.number for take in list_takes(tmp_path)] == [1, 2, 3, 4]
    for number in (4, 3, 2, 1):
        delete_take(tmp_path, number)
    assert not list_takes(tmp_path)


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
