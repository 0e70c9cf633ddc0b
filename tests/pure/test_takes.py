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
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Edit, TakeRequest
from lucid.inference.shot.requests import request_from_json, request_to_json
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


FIRST = json.loads((Path(__file__).parent / "fixtures" / "take_1.json").read_text())
FULL = TakeRequest("a", {"Walker": "a red man"}, 2**63 - 1, 4, "mini", {"Walker": 5},
                   {"Walker": 0.5, "Road": [[1, 0.25], [9, 1.0]]}, "pixel", 0.25, {"Walker": ["0123456789abcdef.png"]}, 1,
                   Edit("environment", (3, 4), "parent", 0.5), 0.75)
WHOLE = json.loads(json.dumps(request_to_json(FULL, "")))


def test_every_field_survives_json() -> None:
    assert request_from_json(WHOLE) == (FULL, "")
    assert request_from_json(json.loads(json.dumps(request_to_json(TakeRequest("a"), "a" * 64)))) == (TakeRequest("a"), "a" * 64)


def test_a_request_of_the_first_schema_is_read(tmp_path: Path) -> None:
    """Also its negative seed, which nobody may ask for any more; nobody wrote down for which shot it was."""
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(json.dumps(FIRST))
    assert take.request() == TakeRequest("a grey street, bright daylight", {"Walker": "a red man"}, seed=-7)
    take.check_shot()
    (take.folder / "request.json").write_text(json.dumps(FIRST | {"parent": None}))
    with pytest.raises(LucidError, match="TAKE_INVALID"):
        take.request()


@pytest.mark.parametrize("change", [
    {"prompt": 3}, {"layer_prompts": []}, {"layer_prompts": {"a": 1}}, {"seed": "x"}, {"seed": True}, {"seed": -1},
    {"seed": 2**63}, {"seed": 1.0}, {"steps": "8"}, {"steps": 0}, {"weights": None}, {"layer_seeds": {"Walker": -1}},
    {"layer_seeds": [1]}, {"strengths": {"Walker": "1"}}, {"strengths": {"Walker": []}}, {"strengths": {"Walker": [[1]]}},
    {"strengths": {"Walker": True}}, {"strengths": 1}, {"noise": "white"}, {"noise": ["pixel"]}, {"stickiness": 1.5},
    {"stickiness": None}, {"pull": -0.1}, {"pull": "1"}, {"references": {"Walker": []}},
    {"references": {"Walker": ["../../secret.png"]}},
    {"references": {"Walker": ["0123456789abcdef.png"] * 2}}, {"references": {"Walker": [3]}}, {"parent": 0}, {"parent": "1"},
    {"parent": None}, {"edit": {}}, {"edit": "Walker"}, {"edit": WHOLE["edit"] | {"start": "end"}},
    {"edit": WHOLE["edit"] | {"change": 0}}, {"edit": WHOLE["edit"] | {"change": 1.5}},
    {"edit": WHOLE["edit"] | {"start": "noise"}}, {"edit": WHOLE["edit"] | {"instances": ["3"]}},
    {"edit": WHOLE["edit"] | {"instances": 3}}, {"edit": WHOLE["edit"] | {"layer": None}}, {"shot": None}, {"shot": "abc"},
    {"schema": "lucid.take/9"}, {"schema": "lucid.take/0"}, {"schema": "lucid.shot/2"}, {"schema": None}, {"colour": 3}])
def test_a_request_field_of_the_wrong_kind_is_one_clear_error(tmp_path: Path, change: dict) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(json.dumps(WHOLE))
    assert take.request() == FULL
    (take.folder / "request.json").write_text(json.dumps(WHOLE | change))
    with pytest.raises(LucidError, match=r"TAKE_INVALID: .*request\.json"):
        take.request()


@pytest.mark.parametrize("text", ['{"schema": "lucid.take/1"}', '{"schema": "lucid.take/2"}', '{"prompt": "a", "seed": 3}', "[]",
                                  '{"schema": "lucid.take/9", "prompt": "a"}'])
def test_a_request_of_another_shape_is_one_clear_error(tmp_path: Path, text: str) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(text)
    with pytest.raises(LucidError, match="TAKE_INVALID"):
        take.request()


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
