# SPDX-License-Identifier: GPL-3.0-or-later
"""One process at a time is at a take: real processes, and what is left when one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import TakeRequest
from lucid.inference.shot.processes import alive
from lucid.inference.shot.takes import State, new_take, resume

REQUEST = TakeRequest("a street")


@pytest.fixture(autouse=True)
def manifest(tmp_path: Path) -> None:
    """A take is made for a shot: the folder has one's manifest."""
    (tmp_path / "shot.json").write_text("{}")


HOLD = """
import runpy, sys
from pathlib import Path
root, shot = map(Path, sys.argv[1:])
runpy.run_path(str(root / "inference" / "__main__.py"))["load_package"](root)
from lucid.inference.shot.takes import get_take
with get_take(shot, 1).alone():
    sys.stdout.write("it is mine\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@contextmanager
def another_process_at_take_1(shot: Path) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", HOLD, str(root), str(shot)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "it is mine\n"
            yield process
        finally:
            process.kill()


def test_one_process_is_at_a_take_until_it_ends_however_that_is(tmp_path: Path) -> None:
    take, other = new_take(tmp_path, REQUEST), new_take(tmp_path, REQUEST)
    before = (take.folder / "request.json").read_bytes()
    with another_process_at_take_1(tmp_path) as process:
        with pytest.raises(LucidError, match="TAKE_NOT_QUEUED: another process is at take 1"), take.alone():
            pass
        with other.alone():
            assert take.request() == REQUEST                # everybody may look
        process.kill()                                      # SIGKILL: nobody tidies up
        process.wait()
        with take.alone():
            pass
    assert (take.folder / "request.json").read_bytes() == before and len(list(take.folder.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="process ids are reused at once there")
def test_of_two_processes_that_resume_a_take_the_second_changes_nothing(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        assert alive(os.getpid())
    assert not alive(ended.pid)
    (take.folder / "events.jsonl").write_text(json.dumps({"time": 0.0, "event": "started", "pid": ended.pid}) + "\n")
    with another_process_at_take_1(tmp_path):
        with pytest.raises(LucidError, match="TAKE_NOT_QUEUED"):
            resume(take)
        assert take.state() is State.INTERRUPTED and len(take.events()) == 1
    resume(take)
    take.check_queued()
    take.emit("started")
    with take.alone(), pytest.raises(LucidError, match="TAKE_NOT_QUEUED: take 1 is running"):
        take.check_queued()


def test_a_take_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").unlink()
    with pytest.raises(LucidError, match=r"DISK_WRITE.*request\.json"), take.alone():
        pass
