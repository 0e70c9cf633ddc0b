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
from lucid.inference.errors import LucidError
from lucid.inference.shot.discard import delete_take
from lucid.inference.shot.images import write_png
from lucid.inference.shot.listing import row_text, take_row
from lucid.inference.shot.model import Edit, TakeRequest
from lucid.inference.shot.store import sha256_file
from lucid.inference.shot.takes import State, Take, get_take, list_takes, new_take, resume

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
    for name in ("10000", "0002", "9999", "\u00b2", "3", "00003", "\u0660\u0660\u0660\u0663", "20250101120000", "0000003"):
        (tmp_path / "takes" / name).mkdir(parents=True)
    assert [take.number for take in list_takes(tmp_path)] == [2, 9999, 10000]
    assert new_take(tmp_path, REQUEST).number == 10001


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
    with take.alone():
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


def test_a_process_that_is_not_at_the_take_does_not_run_it(tmp_path: Path) -> None:
    """After a reboot the number of the worker that ran it is often another process's: this one's here."""
    take = new_take(tmp_path, REQUEST)
    (take.folder / "events.jsonl").write_text(json.dumps({"time": 0.0, "event": "started", "pid": os.getpid()}) + "\n")
    assert take.state() is State.INTERRUPTED
    with take.alone():
        assert (take.state(), take.state(mine=True)) == (State.RUNNING, State.INTERRUPTED)
    resume(take)
    take.check_queued()
    delete_take(tmp_path, 1)
    assert not list_takes(tmp_path)


def test_no_process_has_a_number_beyond_all(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    for pid in (10 ** 20, 0, -1, 1 << 31):
        (take.folder / "events.jsonl").write_text(json.dumps({"time": 0.0, "event": "started", "pid": pid}) + "\n")
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
    for text in ("{", "[]", "{}", '{"state": "painting"}',      # the last may be what a later Lucid writes
                 '{"state": ["done"]}', '{"state": "done", "seconds": Infinity}', '{"state": "done", "seconds": NaN}',
                 '{"state": "failed", "error": "no"}', '{"state": "failed", "error": {"code": "A", "text": 3, "hint": "c"}}'):
        (take.folder / "result.json").write_text(text)
        with pytest.raises(LucidError, match=r"TAKE_INVALID: .*result\.json"):
            take.state()
        assert take_row(take, None)["state"] == "damaged"


def test_a_time_beyond_all_is_none(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    for seconds, shown in (("1e999", None), ("-1", None), ("1e9", None), ('"3"', None), ("2.5", 2.5)):
        (take.folder / "result.json").write_text(f'{{"state": "done", "seconds": {seconds}}}')
        assert take_row(take, None)["seconds"] == shown


def test_broken_events_are_one_clear_error(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    start, whole = b'{"event": "started", "pid": 1}\n', {"done": 1, "total": 2, "text": "one", "seconds_left": None}
    for change in ({"done": None}, {"total": "2"}, {"text": 3}, {"seconds_left": True}, {"done": 10 ** 400},
                   {"done": float("nan")}):
        (take.folder / "events.jsonl").write_bytes(start + json.dumps({"event": "progress"} | whole | change).encode() + b"\n")
        with pytest.raises(LucidError, match=r"TAKE_INVALID: .*events\.jsonl"):
            take.events()
    for events in (b"\xff\n", b"[]\n", start + b'{"event": "progress", "pid": 1}\n', b'{"event": "started"}\n',
                   start + b'{"event": 3}\n', start + b'{"text": "who?"}\n'):
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
    with take.alone():
        assert take.state() is State.RUNNING
    assert [event["event"] for event in take.events()] == ["started", "resumed", "started"]
    with (take.folder / "events.jsonl").open("a") as stream:
        stream.write(line + "\n" + json.dumps({"event": "note", "pid": os.getpid()}) + "\n")
    assert take.state() is State.INTERRUPTED


def test_a_cancelled_take_can_be_resumed_and_no_other(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    with pytest.raises(LucidError, match="TAKE_NOT_RESUMABLE: take 1 is queued"):
        resume(take)
    take.emit("started")
    with take.alone(), pytest.raises(LucidError, match="TAKE_NOT_RESUMABLE: take 1 is running"):
        resume(take)
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
