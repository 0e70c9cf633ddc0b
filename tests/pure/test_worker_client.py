# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side against a real worker and against everything that is none. No take is run here."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.worker import client
from lucid.inference.worker.client import Server
from lucid.inference.worker.feed import Feed
from lucid.inference.worker.protocol import PROTOCOL, SPOKEN, Record, to_bytes
from served import ENTRY, home, started, until

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX modes, links and signals")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with home(tmp_path / "home") as folder:
        yield folder


def record(port: int = 9, **fields: Any) -> Record:
    return replace(Record(os.getpid(), time.time(), port, "secret", SPOKEN, "0.1.0", "ab"), **fields)


def write(found: Record, mode: int = 0o600) -> None:
    client.record_path().parent.mkdir(parents=True, exist_ok=True)
    client.record_path().write_bytes(to_bytes(found.to_json()))
    client.record_path().chmod(mode)


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lucid")]


def events(feed: Feed, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
    """The first events that come, at least so many."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found.extend(feed.drain())
        return len(found) >= count

    until(enough, seconds)
    return found


def listener() -> socket.socket:
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found


def test_without_a_record_there_is_no_worker(place: Path) -> None:
    assert client.find() is None and client.stop() is False


def test_a_record_of_a_process_that_is_gone_is_none(place: Path) -> None:
    write(record(pid=ended_pid()))
    assert client.find() is None and client.stop() is False


def test_a_record_whose_port_nobody_has_is_none(place: Path) -> None:
    with listener() as closed:
        port = closed.getsockname()[1]
    write(record(port))         # the process id is another program's by now: this one's
    assert client.find() is None
    with pytest.raises(LucidError, match="^WORKER_GONE: .*refused"):
        Server(record(port)).hello()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\nhello", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\n\r\n{}",
                                    b"HTTP/1.1 401 No\r\n\r\n{\"error\": {\"code\": \"TOKEN\", \"text\": \"\", \"hint\": \"\"}}"])
def test_another_program_on_the_port_is_none(place: Path, answer: bytes) -> None:
    with listener() as other:
        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        write(record(other.getsockname()[1]))
        assert client.find() is None
        thread.join()


def test_a_worker_that_does_not_answer_is_busy_and_the_wait_is_short(place: Path) -> None:
    with listener() as silent:
        write(record(silent.getsockname()[1]))
        began = time.monotonic()
        with pytest.raises(LucidError, match="^WORKER_BUSY"):
            client.find(0.2)
        assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff" * 100, b"[" * 60_000])
def test_a_damaged_record_is_none(place: Path, text: bytes) -> None:
    write(record())
    client.record_path().write_bytes(text)
    assert client.find() is None


@posix
def test_a_record_that_others_may_have_written_is_not_believed(place: Path, tmp_path: Path) -> None:
    for mode in (0o644, 0o660, 0o606):
        write(record(), mode)
        with pytest.raises(LucidError, match="^WORKER_FOREIGN"):
            client.find()
    write(record())
    client.record_path().rename(tmp_path / "elsewhere.json")
    client.record_path().symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(LucidError, match="^WORKER_FOREIGN"):
        client.find()
    client.record_path().unlink()
    client.record_path().mkdir()
    with pytest.raises(LucidError, match="^WORKER_FOREIGN"):
        client.find()


def finished(starting: client.Starting) -> LucidError:
    with pytest.raises(LucidError) as caught:
        until(starting.poll, 60.0)
    return caught.value


def test_a_worker_that_cannot_start_says_why(place: Path, tmp_path: Path) -> None:
    with pytest.raises(LucidError, match="^WORKER_START: .*no-python"):
        client.start(tmp_path / "no-python", ENTRY)
    said = "\\x1b[31mlucid: TORCH_MISSING: no torch\\x07\\n\\n"
    (tmp_path / "entry.py").write_text(f"import sys; sys.stderr.write('{said}'); sys.exit(3)")
    client.log_path().write_text("an older line\n")
    error = finished(client.start(Path(sys.executable), tmp_path / "entry.py"))
    assert error.code == "WORKER_START" and "status 3" in error.text and "an older line" not in error.text
    assert error.text.endswith("TORCH_MISSING: no torch") and "\x1b" not in error.text
    silent = finished(client.start(Path(sys.executable), ENTRY / "console.py"))
    assert silent.code == "WORKER_START" and "an older line" not in silent.text


def test_a_long_log_is_begun_anew(place: Path, tmp_path: Path) -> None:
    client.log_path().parent.mkdir(parents=True)
    client.log_path().write_bytes(b"x" * (client.LOG_SIZE + 1))
    (tmp_path / "entry.py").write_text("import sys; sys.exit('new')")
    assert finished(client.start(Path(sys.executable), tmp_path / "entry.py")).text.endswith("new")
    assert client.log_path().read_text() == "new\n"
    assert client.log_path().with_suffix(".log.1").stat().st_size == client.LOG_SIZE + 1


@pytest.mark.parametrize(("flags", "code"), [("--idle 0", "USAGE"), ("--idle nan", "USAGE"), ("--root /no/such", "USAGE"),
                                             ("--token x", "USAGE")])
def test_wrong_flags_are_told(place: Path, flags: str, code: str) -> None:
    error = finished(client.start(Path(sys.executable), ENTRY, arguments=flags.split()))
    assert error.code == "WORKER_START" and f"{code}: " in error.text


def test_a_workers_life_as_blender_sees_it(place: Path) -> None:
    """Found, followed, too old, too new, cut off, gone, replaced, stopped."""
    with closing(Feed()) as feed:
        _life(feed)
        began = time.monotonic()
        feed.close()
        assert time.monotonic() - began < 0.5 and threads() == []


def _life(feed: Feed) -> None:
    lost, = events(feed, 1)
    assert lost["event"] == "lost" and lost["error"]["code"] == "WORKER_GONE"
    server = started()
    assert client.find() is not None
    found, = events(feed, 1)
    assert found == {"event": "found", "epoch": server.record.epoch, "jobs": []} and threads() == ["lucid-feed"]
    hello = server.hello()
    assert (hello.pid, hello.device, hello.active, hello.protocol) == (server.record.pid, None, 0, SPOKEN)

    for spoken, code in (((0, 0), "WORKER_OLDER"), ((PROTOCOL + 1, PROTOCOL + 1), "WORKER_NEWER")):
        write(replace(server.record, protocol=spoken))
        with pytest.raises(LucidError, match=f"^{code}: .*Stop Worker in .* preferences: the next take starts"):
            client.find()
    write(replace(server.record, token="another"))
    assert client.find() is None
    write(server.record)

    for _ in range(3):                          # as a network would
        until(lambda: feed._held.current is not None, 20.0)
        assert feed._held.current is not None
        feed._held.current.shutdown(socket.SHUT_RDWR)
        time.sleep(0.5)
    assert feed.drain() == []                   # neither lost nor doubled: it went on where it was

    os.kill(server.record.pid, signal.SIGKILL)
    lost, = events(feed, 1)
    assert lost["event"] == "lost" and client.find() is None
    with pytest.raises(LucidError, match="^WORKER_GONE"):
        server.hello()
    second = started()
    again, = events(feed, 1)
    assert again["event"] == "found" and again["epoch"] == second.record.epoch != server.record.epoch
    assert client.stop()
    until(lambda: client.read_record() is None, 20.0)
    assert events(feed, 1)[0]["event"] == "lost"


@posix
def test_a_feed_ends_at_once_whatever_it_waits_for(place: Path) -> None:
    """For a worker, for one that never answers, for one in the middle of its stream that has stopped."""
    def ends(feed: Feed, *, begun: bool = False) -> None:
        with closing(feed):
            if begun:
                assert events(feed, 1)[0]["event"] == "found"
                os.kill(server.record.pid, signal.SIGSTOP)
            time.sleep(0.3)
            began = time.monotonic()
            feed.close()
            assert time.monotonic() - began < 0.5 and threads() == []

    ends(Feed())
    with listener() as silent:
        write(record(silent.getsockname()[1]))
        ends(Feed())
        ends(Feed(Server(record(silent.getsockname()[1]))))
    server = started()
    ends(Feed(server), begun=True)
    os.kill(server.record.pid, signal.SIGCONT)
