# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: numbers that no two processes share, and a state that is read off the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import TakeRequest
from lucid.inference.shot.store import sha256_file
from lucid.inference.shot.takes import State, Take, get_take, list_takes, new_take

REQUEST = TakeRequest("a street", {"Walker": "a red man"}, seed=3, steps=4, weights="mini")


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
    (take.folder / "events.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(LucidError, match=r"TAKE_INVALID: .*events\.jsonl"):
        take.state()


WHOLE = {"schema": "lucid.take/1", "prompt": "a", "layer_prompts": {}, "seed": 0, "steps": None, "weights": "mini"}


@pytest.mark.parametrize("change", [{"prompt": 3}, {"layer_prompts": []}, {"seed": "x"}, {"steps": "8"}, {"weights": None},
                                    {"schema": "lucid.take/9"}])
def test_a_request_field_of_the_wrong_kind_is_one_clear_error(tmp_path: Path, change: dict) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(json.dumps(WHOLE))
    assert take.request() == TakeRequest("a")
    (take.folder / "request.json").write_text(json.dumps(WHOLE | change))
    with pytest.raises(LucidError, match="TAKE_INVALID"):
        take.request()


@pytest.mark.parametrize("text", ['{"schema": "lucid.take/1"}', '{"prompt": "a", "colour": 3}', '{"prompt": "a", "seed": "x"}',
                                  '{"schema": "lucid.take/9", "prompt": "a"}'])
def test_a_request_of_another_shape_is_one_clear_error(tmp_path: Path, text: str) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(text)
    with pytest.raises(LucidError, match="TAKE_"):
        take.request()


def test_a_shot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "takes").write_text("a file")
    with pytest.raises(LucidError, match="DISK_WRITE"):
        new_take(tmp_path, REQUEST)


def test_patterns_name_frames_by_scene_frame() -> None:
    take = Take(Path("s.lucid/takes/0012"))
    assert take.number == 12
    assert take.layer_pattern("Ball") == "layers/Ball/frame.####.png"
    assert take.final_pattern == "final/frame.####.png"
