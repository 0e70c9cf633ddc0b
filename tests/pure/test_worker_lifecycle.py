# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives what: takes the worker, the worker its client; and that there is one worker. Real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.takes import State, Take, new_take
from lucid.inference.worker import client
from lucid.inference.worker.client import Server
from lucid.inference.worker.feed import Feed
from served import ENTRY, home, started, until
from shots import make_shot

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

# a client of its own: it starts a worker, submits a take again and waits for its end
CLIENT = """
import runpy, sys, time
from contextlib import closing
from pathlib import Path
runpy.run_path(sys.argv[1] + "/__main__.py")["load_package"](Path(sys.argv[1]).parent)
from lucid.inference.worker import client
starting = client.start(Path(sys.executable), Path(sys.argv[1]))
while (server := starting.poll()) is None:
    time.sleep(0.05)
server.submit(Path(sys.argv[2]), 1, "resume", 20.0)
sys.stdout.write("submitted\\n")
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with home(tmp_path / "home") as folder:
        yield folder


def make_takes(folder: Path, *steps: int) -> list[Take]:
    make_shot(folder, frames=Frames(1, 2), size=Size(32, 24), figure=False)
    return [new_take(folder, TakeRequest("a street", seed=seed, steps=count)) for seed, count in enumerate(steps)]


def gone(pid: int) -> Callable[[], bool]:
    def ask() -> bool:
        client.reap()
        return not client.alive(pid)

    return ask


class Heard:
    """What a feed has said so far."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.events: list[dict[str, Any]] = []

    def has(self, event: str, **job: Any) -> bool:
        self.events += self.feed.drain()
        return any(each["event"] == event and all(each["job"][name] == value for name, value in job.items())
                   for each in self.events)

    def of(self, take: int, epoch: str) -> list[str]:
        """The events of a take while that worker lived, without its steps."""
        since = next(place for place, each in enumerate(self.events) if each.get("epoch") == epoch)
        mine = [each for each in self.events[since + 1:] if each.get("job", {}).get("take") == take]
        return [each["event"] for each in mine if each["event"] not in ("progress", "note")]


def test_takes_outlive_the_worker_and_the_worker_its_client(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a.lucid"
    takes = make_takes(folder, 40, 1, 1, 400)
    with closing(Feed()) as one, closing(Feed()) as two:
        _a_worker_is_killed_and_another_goes_on(folder, takes, Heard(one), Heard(two))


def _a_worker_is_killed_and_another_goes_on(folder: Path, takes: list[Take], heard: Heard, other: Heard) -> None:
    first = started()
    ids = [first.submit(folder, take.number).id for take in takes[:3]]
    _waiting_is_cancelled(first, takes[1], ids)
    until(lambda: any(event.get("done", 0) >= 2 for event in takes[0].events()))
    assert first.submit(folder, 1).state == "running" and first.hello().device
    os.kill(first.record.pid, signal.SIGKILL)
    until(gone(first.record.pid), 20.0)
    until(lambda: heard.has("lost"), 20.0)
    assert [take.state() for take in takes[:3]] == [State.INTERRUPTED, State.CANCELLED, State.QUEUED]

    process = subprocess.Popen([sys.executable, "-c", CLIENT, str(ENTRY), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "submitted\n"
    process.kill()
    process.communicate()
    server = until(client.find)
    assert server.record.epoch != first.record.epoch
    listed = {job.take: job for job in server.jobs().jobs}
    assert [listed[take].id for take in (1, 2, 3)] == ids and listed[2].state == "cancelled"
    until(lambda: heard.has("ended", take=1) and other.has("ended", take=1))
    assert [take.state() for take in takes[:3]] == [State.DONE, State.CANCELLED, State.DONE]
    # who waited before the worker was killed comes before who was resumed; each hears the same
    assert heard.of(1, server.record.epoch) == other.of(1, server.record.epoch)
    order = [event["job"]["take"] for event in heard.events if event["event"] == "ended" and event["job"]["take"] != 2]
    assert order == [3, 1]          # a listener that comes late finds take 2 cancelled in the list of jobs
    steps = [event["done"] for event in takes[0].events() if event["event"] == "progress"]
    assert steps[-1] > 2 and len([event for event in takes[0].events() if event["event"] == "resumed"]) == 1

    _a_signal_stops_the_running_take(server, folder, takes[3])


def _waiting_is_cancelled(server: Server, take: Take, ids: list[str]) -> None:
    listing = server.jobs()
    assert [job.id for job in listing.jobs] == ids and server.hello().active == 3
    assert [job.state for job in listing.jobs] == ["running", "queued", "queued"]
    assert server.cancel(ids[1]).state == "cancelled" and server.hello().active == 2
    result = take.result()
    assert take.state() is State.CANCELLED and result is not None and result["error"] is None


def _a_signal_stops_the_running_take(server: Server, folder: Path, take: Take) -> None:
    server.submit(folder, take.number)
    until(lambda: any(event.get("done", 0) >= 1 for event in take.events()))
    began = time.perf_counter()
    server.hello()
    assert time.perf_counter() - began < 2.0
    os.kill(server.record.pid, signal.SIGTERM)
    until(gone(server.record.pid), 30.0)
    assert take.state() is State.CANCELLED and client.read_record() is None
    said = client.log_path().read_text()
    assert "ends: SIGTERM" in said and "Traceback" not in said


def test_a_new_worker_lists_what_was_interrupted_and_forgets_what_is_not_there(place: Path, tmp_path: Path) -> None:
    folder, lost = tmp_path / "a.lucid", tmp_path / "b.lucid"
    takes = make_takes(folder, 400, 400)
    make_takes(lost, 400)
    first = started()
    ids = [first.submit(folder, 1).id, first.submit(folder, 2).id, first.submit(lost, 1).id]
    first.cancel(ids[1])
    os.kill(first.record.pid, signal.SIGKILL)
    until(gone(first.record.pid), 20.0)
    if takes[0].state() is State.QUEUED:        # killed while it loaded torch
        takes[0].emit("started")
    line = (takes[0].folder / "events.jsonl").read_text().replace(f'"pid": {os.getpid()}', f'"pid": {first.record.pid}')
    (takes[0].folder / "events.jsonl").write_text(line)
    assert takes[0].state() is State.INTERRUPTED
    lost.rename(tmp_path / "moved.lucid")
    second = started()
    assert {job.id: job.state for job in second.jobs().jobs} == {ids[0]: "interrupted", ids[1]: "cancelled"}
    assert second.hello().active == 0 and "b.lucid is not listed any more: SHOT_MISSING" in client.log_path().read_text()
    # resumed by somebody else meanwhile: that is seen, and nothing is run twice
    with takes[0].alone(), pytest.raises(LucidError, match="^TAKE_NOT_QUEUED"):
        second.submit(folder, 1, "resume", 20.0)


def test_a_damaged_index_is_set_aside(place: Path) -> None:
    place.joinpath("run").mkdir(parents=True)
    index = place / "run" / "jobs.json"
    index.write_text('{"jobs": [{"id": 3}]}')
    assert started().jobs().jobs == ()
    assert index.with_suffix(".broken").is_file() and "jobs.json is set aside" in client.log_path().read_text()


def test_a_worker_without_its_packages_fails_the_job_and_not_the_take(place: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('libcudart.so.99 is not there')")
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")])
    take, = make_takes(tmp_path / "a.lucid", 1)
    server = until(client.start(Path(sys.executable), ENTRY, environment=os.environ | {"PYTHONPATH": path}).poll)
    with closing(Feed(server)) as feed:
        heard = Heard(feed)
        until(lambda: heard.has("found"), 20.0)
        job = server.submit(tmp_path / "a.lucid", 1)
        until(lambda: heard.has("ended", id=job.id))
        assert heard.of(1, server.record.epoch) == ["queued", "started", "ended"]
    error = server.job(job.id).error
    assert error is not None and error["code"] == "WORKER_BROKEN" and "libcudart.so.99" in error["text"]
    assert take.state() is State.QUEUED and server.hello().device is None
    assert server.submit(tmp_path / "a.lucid", 1).id == job.id       # tried again
    until(lambda: server.hello().active == 0)


def test_two_starts_end_in_one_worker(place: Path) -> None:
    """At once, and later."""
    both = [client.start(Path(sys.executable), ENTRY) for _ in range(2)]
    servers = [until(starting.poll) for starting in both]
    assert servers[0].record == servers[1].record
    third = subprocess.run([sys.executable, str(ENTRY), "serve"], capture_output=True, text=True, check=False)
    assert third.returncode == 0 and f"runs already: process {servers[0].record.pid}" in third.stdout
    until(lambda: (client.reap(), len(client._spawned) == 1)[1], 20.0)
    record = client.record_path()
    assert record.stat().st_mode & 0o777 == 0o600 and record.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in record.parent.iterdir()) == ["worker.json", "worker.lock"]


def test_a_worker_that_nobody_needs_ends_and_one_with_a_listener_stays(place: Path) -> None:
    server = started("--idle", "0.4")
    with closing(Feed(server)):
        time.sleep(1.2)
        assert server.hello().pid == server.record.pid
    until(gone(server.record.pid), 30.0)
    assert not client.record_path().exists() and "nobody needed it" in client.last_line()


def test_the_command_line_says_which_worker_runs_and_ends_it(place: Path) -> None:
    def asked(flag: str) -> tuple[int, str]:
        done = subprocess.run([sys.executable, str(ENTRY), "serve", flag], capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    none = (0, "No worker runs: the next take starts one")
    assert asked("--status") == none and asked("--stop") == none
    server = started()
    assert asked("--status") == (0, f"Lucid {server.record.version}, process {server.record.pid}, no model loaded yet, idle")
    newer = server.record.to_json() | {"protocol": [99, 99], "version": "9.9.9"}
    client.record_path().write_bytes(client.to_bytes(newer))
    status, said = asked("--status")
    assert status == 2 and said.startswith(f"Lucid 9.9.9, process {server.record.pid}\nlucid: WORKER_NEWER")
    # a child of this test is there until somebody looks
    reaper = threading.Thread(target=until, args=(gone(server.record.pid),))
    reaper.start()
    assert asked("--stop") == (0, "The worker was stopped: the next take starts one")
    reaper.join()


def test_a_worker_removes_its_own_record_only(place: Path) -> None:
    server = started()
    theirs = server.record.to_json() | {"token": "another"}
    client.record_path().write_bytes(client.to_bytes(theirs))
    server.shutdown()
    until(gone(server.record.pid), 30.0)
    assert client.record_path().is_file()


def test_run_folder_of_somebody_else_is_refused(place: Path, tmp_path: Path) -> None:
    place.mkdir()
    (tmp_path / "theirs").mkdir()
    (place / "run").symlink_to(tmp_path / "theirs")
    done = subprocess.run([sys.executable, str(ENTRY), "serve"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("lucid: WORKER_FOREIGN") and not list((tmp_path / "theirs").iterdir())
