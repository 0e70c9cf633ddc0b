# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives what, as Blender sees it: a job the Blender that was killed, its take the worker that was killed; two Blenders
share one worker. Real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import pytest
from lucid.addon import following, handlers, measuring, session, worker, worker_state
from lucid.addon.dispatch import Asked
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.store import open_shot
from lucid.inference.shot.takes import State, get_take, new_take
from lucid.inference.worker import client
from lucid.inference.worker.held import Held
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0        # seconds; a busy machine may take long to load torch
LONGEST = 0.05          # seconds for which Blender may stand still

# another Blender: it hands a take of the shot to the worker, says so once that runs, and has its hands full
OTHER = """
import runpy, sys, time
from pathlib import Path
runpy.run_path(sys.argv[1] + "/inference/__main__.py")["load_package"](Path(sys.argv[1]))
import bpy, lucid
lucid.register()
from lucid.addon import session
from lucid.inference.shot.model import TakeRequest
from lucid.inference.worker import client
job = session._begin(lambda: session.ServedJob(Path(sys.argv[2]), TakeRequest("a street", steps=int(sys.argv[3]))))
said = False
while session.mirror():
    if not said and bpy.context.window_manager.lucid.progress > 0.0:
        said = True
        print("RUNNING", flush=True)
    time.sleep(0.05)
print(job.status().state.name, client.find().record.pid, flush=True)
lucid.unregister()
"""


@pytest.fixture
def walk(scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with a shot, and a home without a worker; one that was started there ends with the test."""
    try:
        python = worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(python))
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "home").mkdir()
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2), size=Size(32, 24), figure=False)
    scene.lucid.shot = "//walk.lucid/"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    yield tmp_path / "walk.lucid"
    session.stop_polling()
    record = client.read_record()
    if record is not None and client.stop():
        _until(lambda: client.find() is None)


def _until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def _another(shot: Path, steps: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", OTHER, str(ROOT), str(shot), str(steps)], stdout=subprocess.PIPE, text=True)


def _says(other: subprocess.Popen[str], word: str) -> str:
    assert other.stdout is not None
    line = next((line for line in other.stdout if line.startswith(word)), None)
    assert line is not None, f"it ended before it said {word}"
    return line.strip()


def _worker_pid() -> int:
    server = client.find()
    assert server is not None
    return server.record.pid


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lucid-")]


class _Watched:
    """The interface's timer, as it would fire: how long Blender stood still, and what it showed."""

    def __init__(self) -> None:
        self.work = 0.0                     # the most that one look computed
        self.waited: list[float] = []       # by the clock: a busy machine adds to some of these, a wait for the worker to all
        self.texts: list[str] = []

    def until(self, true: Callable[[], object]) -> None:
        runtime = bpy.context.window_manager.lucid
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, f"it takes too long: {self.texts}"
            began, computed = time.perf_counter(), time.thread_time()
            session.mirror()
            self.work = max(self.work, time.thread_time() - computed)
            self.waited.append(time.perf_counter() - began)
            if self.texts[-1:] != [runtime.text]:
                self.texts.append(runtime.text)
            time.sleep(0.05)

    def check(self) -> None:
        waited = sorted(self.waited)[len(self.waited) * 9 // 10]
        assert self.work < LONGEST and waited < LONGEST, f"Blender stood still for {self.work:.3f} s, or {waited:.3f} s"


def test_the_next_blender_takes_up_what_a_killed_one_left(walk: Path, tmp_path: Path) -> None:
    other = _another(walk, 8)
    _says(other, "RUNNING")
    other.kill()
    other.communicate()
    take, pid = get_take(walk, 1), _worker_pid()
    assert take.state() is State.RUNNING

    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    manager = bpy.context.window_manager
    assert not session.running()            # without a window nobody would look after it
    session.take_up()
    assert session.running() and _threads() == []
    watched = _Watched()
    watched.until(lambda: manager.lucid.progress > 0.1)
    assert manager.lucid.running and _threads() == ["lucid-feed"]
    assert not bpy.ops.lucid.generate.poll() and bpy.ops.lucid.cancel.poll()
    watched.until(lambda: not session.running())
    assert (take.state(), _worker_pid(), manager.lucid.error) == (State.DONE, pid, "")
    _until(lambda: not _threads(), 5.0)
    assert len([event for event in take.events() if event["event"] == "started"]) == 1      # it was not handed over again
    assert manager.lucid_worker.notice == "Take 1 of walk was finished meanwhile: press To Timeline"
    assert [(row.number, row.state) for row in manager.lucid.takes] == [(1, "DONE")]
    watched.check()
    assert bpy.ops.lucid.import_take() == {"FINISHED"}

    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))        # not saved since: a third Blender is told too
    assert bpy.context.window_manager.lucid_worker.notice == "Take 1 was finished after this file was saved: press To Timeline"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.context.window_manager.lucid_worker.notice == ""


def test_two_blenders_have_one_worker_and_wait_for_each_other(walk: Path, tmp_path: Path) -> None:
    make_shot(tmp_path / "street.lucid", frames=Frames(1, 2), size=Size(32, 24), figure=False)
    with _another(tmp_path / "street.lucid", 12) as other:
        _says(other, "RUNNING")
        runtime, watched = bpy.context.window_manager.lucid, _Watched()
        mine = session._begin(lambda: session.ServedJob(walk, TakeRequest("a street", steps=1)))
        cancelled = new_take(walk, TakeRequest("a street", steps=1))
        watched.until(lambda: runtime.text == "waiting: take 1 of street is first")
        client.find().submit(walk, cancelled.number)
        second = following.FollowedJob(walk, cancelled)
        _until(lambda: second.status().text == "waiting: take 1 of street is first, then 1 more")
        second.cancel()                     # one that waits ends at once, not when its turn comes
        _until(lambda: second.status().over, 5.0)
        assert second.status().state is State.CANCELLED and get_take(tmp_path / "street.lucid", 1).state() is State.RUNNING
        second.forget()
        watched.until(lambda: not session.running())
        assert mine.status().state is State.DONE and runtime.error == ""
        assert _says(other, "DONE") == f"DONE {_worker_pid()}"
    assert other.returncode == 0
    watched.check()
    assert mine.take.events()[0]["pid"] == get_take(tmp_path / "street.lucid", 1).events()[0]["pid"] == _worker_pid()


def test_a_worker_that_is_killed_is_told_and_the_take_resumes(walk: Path) -> None:
    bpy.ops.lucid.takes_refresh()
    runtime, watched = bpy.context.window_manager.lucid, _Watched()
    job = session._begin(lambda: session.ServedJob(walk, TakeRequest("a street", steps=10)))
    bpy.ops.lucid.takes_refresh()
    watched.until(lambda: runtime.progress > 0.1)
    waits = new_take(walk, TakeRequest("a street", steps=1))
    pid = _worker_pid()
    os.kill(pid, signal.SIGKILL)
    watched.until(lambda: not session.running())
    assert runtime.error == "WORKER_DIED: the worker ended in the middle of take 1 (press Resume: what is finished stays)"
    assert [row.state for row in runtime.takes] == ["INTERRUPTED", "QUEUED"]

    session.take_up()                       # nobody has the one that waits
    watched.until(lambda: not session.running())
    assert runtime.error == "" and not runtime.running
    assert bpy.context.window_manager.lucid_worker.notice == "Take 2 waits, and no worker has it: press Resume"

    session.resume(walk, job.take)
    watched.until(lambda: not session.running())
    assert job.take.state() is State.DONE and runtime.error == "" and _worker_pid() != pid
    session.resume(walk, waits)
    watched.until(lambda: not session.running())
    assert waits.state() is State.DONE
    watched.check()


def test_a_take_is_cancelled_while_the_worker_starts(walk: Path) -> None:
    job = session._begin(lambda: session.ServedJob(walk, TakeRequest("a street", steps=400)))
    session.cancel()
    assert not session.mirror() and not session.running()
    assert job.take.state() is State.CANCELLED and bpy.context.window_manager.lucid.error == ""
    _until(lambda: not _threads(), 5.0)


def test_a_worker_that_waits_is_stopped_and_then_the_next_take_starts_one(walk: Path) -> None:
    def seen() -> str:
        worker_state.look()
        _until(lambda: not worker_state.mirror())
        return bpy.context.window_manager.lucid_worker.text

    assert seen() == "No worker runs: the next take starts one"
    server = _started()
    assert seen() == f"Lucid {server.record.version}, process {server.record.pid}, no model loaded yet, idle"
    record = client.record_path()
    newer = server.record.to_json() | {"protocol": [99, 99], "version": "9.9.9"}
    record.write_bytes(client.to_bytes(newer))
    assert seen() == f"Lucid 9.9.9, process {server.record.pid}"
    assert "WORKER_NEWER" in bpy.context.window_manager.lucid_worker.error
    job = session._begin(lambda: session.ServedJob(walk, TakeRequest("a street", steps=1)))
    _until(lambda: not session.mirror())
    assert job.take.state() is State.FAILED and "press Stop Worker" in bpy.context.window_manager.lucid.error
    assert bpy.ops.lucid.worker_stop() == {"FINISHED"}
    _until(lambda: (client.reap(), not client.alive(server.record.pid))[1], 5.0)
    assert bpy.context.window_manager.lucid_worker.text == "The worker was stopped: the next take starts one"
    assert bpy.ops.lucid.worker_stop() == {"FINISHED"} and seen() == "No worker runs: the next take starts one"
    assert _threads() == []


def _started() -> client.Server:
    starting, found = client.start(worker.worker_python(), worker.WORKER, environment=worker.environment()), []
    _until(lambda: found.append(starting.poll()) or found[-1])
    return found[-1]


def test_a_worker_that_does_not_answer_is_told_and_keeps_nobody(walk: Path) -> None:
    server = _started()
    os.kill(server.record.pid, signal.SIGSTOP)
    try:
        job = session._begin(lambda: session.ServedJob(walk, TakeRequest("a street", steps=1)))
        worker_state.look()
        time.sleep(0.5)
        began = time.perf_counter()
        session.stop_polling()
        worker_state.unregister()
        worker_state.register()
        assert time.perf_counter() - began < 2.0 and _threads() == []
        assert job.take.state() is State.QUEUED
    finally:
        os.kill(server.record.pid, signal.SIGCONT)


def test_a_take_in_the_hands_of_another_process_is_shown_without_a_worker(walk: Path) -> None:
    """The command line's, which is this process here."""
    bpy.ops.lucid.takes_refresh()
    runtime, take = bpy.context.window_manager.lucid, new_take(walk, TakeRequest("a street", steps=4))
    with take.alone():
        take.emit("started")
        session.take_up()
        assert session.mirror() and runtime.running and not client.record_path().exists()
        session.look_around()                   # another file is opened, and this one again
        assert not session.running() and not runtime.running
        session.take_up()
        assert session.mirror()
        take.emit("progress", done=1, total=4, text="one of four", seconds_left=3.0)
        assert session.mirror() and (runtime.progress, runtime.text, runtime.seconds_left) == (0.25, "one of four", 3.0)
        bpy.ops.lucid.cancel()
        assert take.cancel_asked
    take.finish(State.DONE, error=None)
    assert not session.mirror() and not session.running()
    assert bpy.context.window_manager.lucid_worker.notice == "Take 1 of walk was finished meanwhile: press To Timeline"
    _until(lambda: not _threads(), 5.0)


def test_there_is_nothing_to_take_up(walk: Path) -> None:
    bpy.ops.lucid.takes_refresh()
    session.take_up()
    assert not session.running()
    take = new_take(walk, TakeRequest("a street", steps=4))
    (take.folder / "events.jsonl").write_text("[]\n")        # damaged: the list says so
    session.take_up()
    assert not session.running()
    running = new_take(walk, TakeRequest("a street", steps=4))
    running.emit("started")
    with running.alone():
        session.take_up()                   # which the damaged one does not hide
    assert session.current().take == running
    session.stop_polling()
    bpy.context.window_manager.lucid.takes_of = ""
    session.look_around()
    assert not session.running() and bpy.context.window_manager.lucid_worker.notice == ""


def test_what_is_measured_is_told_after_another_file_was_opened(walk: Path, tmp_path: Path) -> None:
    item = measuring.start(walk, make_take(walk, open_shot(walk)))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))        # it resets what is mirrored
    runtime = bpy.context.window_manager.lucid
    assert not runtime.measuring
    assert measuring.mirror() and runtime.measuring
    item.stop()
    item.wait(20.0)
    assert not measuring.mirror() and not runtime.measuring


def test_a_question_that_breaks_is_answered(registered: None) -> None:
    def breaks(_held: Held) -> str:
        raise ZeroDivisionError("what nobody\nthought of")

    asked, raised = Asked(breaks), []

    def answered() -> bool:
        try:
            asked.poll()
        except LucidError as error:
            raised.append(error)
        return bool(raised)

    _until(answered, 5.0)
    assert str(raised[0]) == r"INTERNAL: ZeroDivisionError('what nobody\nthought of') (please report it)"


def test_switching_off_leaves_no_timer_and_no_thread(registered: None) -> None:
    for timer in (session._tick, worker_state._tick, handlers._look_at_the_open_file):
        assert not bpy.app.timers.is_registered(timer)
    assert _threads() == []
