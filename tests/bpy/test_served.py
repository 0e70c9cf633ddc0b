# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes through the worker that outlives Blender: made, cancelled, interrupted with it and resumed, and who is told what."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from lucid.addon import session, worker
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.takes import State, new_take, resume
from lucid.inference.worker import client
from lucid.tests.shots import make_shot


@pytest.fixture
def walk(scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A shot, and a home without a worker; one that was started there ends with the test."""
    try:
        python = worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(python))
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2), size=Size(32, 24), figure=False)
    yield tmp_path / "walk.lucid"
    session.stop_polling()
    record = client.read_record()
    if record is not None and client.stop():
        _until(lambda: client.find() is None)


def _until(true: object, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def _ended(job: session.Job) -> session.JobStatus:
    _until(lambda: job.status().over)
    return job.status()


def test_two_takes_share_a_worker_that_stays(walk: Path) -> None:
    one = session.ServedJob(walk, TakeRequest("a street", steps=1))
    looks = []
    while not (status := one.status()).over:
        began = time.perf_counter()
        one.status()
        looks.append(time.perf_counter() - began)
        time.sleep(0.05)
    assert status.state is State.DONE and status.fraction == 1.0 and status.error is None
    assert sorted(looks)[len(looks) * 9 // 10] < 0.05       # a busy machine makes some of them longer
    first = client.find()
    other = session.ServedJob(walk, TakeRequest("a street", steps=1, seed=1))
    assert _ended(other).state is State.DONE
    second = client.find()
    assert first is not None and second is not None and first.record.pid == second.record.pid
    one.forget(2.0), other.forget(2.0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lucid-")]


def test_a_worker_that_is_killed_leaves_a_take_that_resumes(walk: Path) -> None:
    job = session.ServedJob(walk, TakeRequest("a street", steps=400))
    _until(lambda: job.status().state is State.RUNNING)
    job.cancel()
    assert _ended(job).state is State.CANCELLED
    resumed = session.ServedJob(walk, None, job.take)
    _until(lambda: resumed.status().state is State.RUNNING)
    server = client.find()
    assert server is not None
    os.kill(server.record.pid, signal.SIGKILL)
    status = _ended(resumed)
    assert status.state is State.INTERRUPTED and status.error is not None
    assert status.error.code == "WORKER_DIED" and "Resume" in status.error.hint


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's Python that cannot start one."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'lucid: BROKEN: no such thing (mend it)'\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(fake))


def test_what_cannot_start_is_told_and_the_take_says_so(walk: Path, broken: None) -> None:
    job = session.ServedJob(walk, TakeRequest("a street", steps=1))
    status = _ended(job)
    assert status.state is State.FAILED and status.error is not None and status.error.code == "WORKER_START"
    assert "BROKEN: no such thing" in str(status.error) and job.take.state() is State.FAILED


def test_a_take_that_another_process_has_is_not_ended(walk: Path, broken: None) -> None:
    job = session.ServedJob(walk, TakeRequest("a street", steps=1))
    with job.take.alone():                  # as the command line's, which has not said so yet
        status = _ended(job)
        assert status.state is State.QUEUED and job.take.result() is None
    job.forget(2.0)


def test_a_take_that_was_begun_stays_resumable(walk: Path, broken: None) -> None:
    take = new_take(walk, TakeRequest("a street", steps=1))
    take.emit("started")
    take.finish(State.CANCELLED, error=None, seconds=1.0)
    status = _ended(session.ServedJob(walk, None, take))
    assert status.state is State.FAILED and status.error is not None and status.error.code == "WORKER_START"
    assert take.state() is State.CANCELLED
    resume(take)                            # it waits for a worker
    assert _ended(session.ServedJob(walk, None, take)).state is State.FAILED
    assert take.state() is State.QUEUED and take.result() is None


def test_resume_wants_a_take_that_was_stopped(walk: Path, scene: bpy.types.Scene) -> None:
    scene.lucid.shot = str(walk)
    bpy.ops.lucid.takes_refresh()
    with pytest.raises(RuntimeError, match="no take yet"):
        bpy.ops.lucid.resume()
