# SPDX-License-Identifier: GPL-3.0-or-later
"""The server from outside: who is let in, what is touched, and what everybody hears. Its one running take never gets far."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.takes import State, get_take, new_take
from lucid.inference.worker import client
from lucid.inference.worker.client import Server
from served import home, started
from shots import make_shot

REQUEST = TakeRequest("a street", steps=400)
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX links and owners")


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the worker may touch, with two shots; beside it one that it may not."""
    folder = tmp_path_factory.mktemp("shots")
    for name in ("inside/a.lucid", "inside/b.lucid", "outside.lucid"):
        make_shot(folder / name, frames=Frames(1, 2), size=Size(32, 24), figure=False)
        new_take(folder / name, REQUEST)
    return folder / "inside"


@pytest.fixture(scope="module")
def server(shots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It is at the first take of a.lucid."""
    with home(tmp_path_factory.mktemp("home")):
        found = started("--root", str(shots))
        found.submit(shots / "a.lucid", 1)
        yield found


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str | None
        ) -> tuple[int, dict[str, Any]]:
    """Status and answer; headers replace the right ones, None leaves one out."""
    given: dict[str, str | None] = {"Authorization": f"Bearer {server.record.token}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection("127.0.0.1", server.record.port, timeout=20)
    try:
        connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
        response = connection.getresponse()
        assert not any(name.lower().startswith("access-control") for name, _ in response.getheaders())
        text = response.read().decode()
        assert "Traceback" not in text and server.record.token not in text
        return response.status, json.loads(text)
    finally:
        connection.close()


def refusal(server: Server, method: str, path: str, body: bytes | None = None, **headers: str | None) -> tuple[int, str]:
    status, answer = ask(server, method, path, body, **headers)
    assert set(answer) == {"error"} and set(answer["error"]) == {"code", "text", "hint"}
    return status, answer["error"]["code"]


def wish(shot: object, take: object = 1, **more: object) -> bytes:
    return json.dumps({"shot": str(shot), "take": take, **more}).encode()


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "Bearer \xfc"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/hello"), ("GET", "/v1/events"), ("POST", "/v1/shutdown"),
                                              ("GET", "/")])
def test_without_the_token_nothing_is_said(server: Server, token: str | None, method: str, path: str) -> None:
    assert refusal(server, method, path, b"{}", Authorization=token) == (401, "TOKEN")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.nip.io", "127.0.0.1", "127.0.0.1:1", "localhost", "[::1]"])
def test_another_host_is_refused(server: Server, host: str) -> None:
    assert refusal(server, "GET", "/v1/hello", Host=host) == (421, "HOST")


def test_localhost_is_this_host(server: Server) -> None:
    status, hello = ask(server, "GET", "/v1/hello", Host=f"localhost:{server.record.port}")
    assert status == 200 and hello["pid"] == server.record.pid


def raw(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.record.port), 20) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_no_host_and_two_hosts_are_refused(server: Server) -> None:
    token = f"Authorization: Bearer {server.record.token}\r\n".encode()
    mine = f"Host: 127.0.0.1:{server.record.port}\r\n".encode()
    assert raw(server, b"GET /v1/hello HTTP/1.0\r\n" + token + b"\r\n").startswith(b"HTTP/1.1 421")
    assert raw(server, b"GET /v1/hello HTTP/1.1\r\n" + token + b"\r\n").startswith(b"HTTP/1.1 400")
    twice = raw(server, b"GET /v1/hello HTTP/1.1\r\nConnection: close\r\n" + mine + b"Host: evil.example\r\n" + token + b"\r\n")
    assert twice.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}])
def test_web_pages_are_refused(server: Server, headers: dict[str, str]) -> None:
    assert refusal(server, "GET", "/v1/hello", **headers) == (403, "ORIGIN")
    assert refusal(server, "POST", "/v1/shutdown", b"{}", **headers) == (403, "ORIGIN")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_refused(server: Server, shots: Path, kind: str | None) -> None:
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "b.lucid"), Content_Type=kind) == (415, "REQUEST_TYPE")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json", "/v1", "/v1/jobs/", "/v2/hello", "/v1/hello/../jobs",
                                  "/v1/jobs/%2e%2e%2fhello/cancel"])
def test_there_are_no_other_routes(server: Server, path: str) -> None:
    assert refusal(server, "GET", path)[0] in (404, 405)


def test_other_methods_are_refused(server: Server) -> None:
    for method, path in (("PUT", "/v1/jobs"), ("DELETE", "/v1/jobs"), ("GET", "/v1/shutdown"), ("POST", "/v1/hello"),
                         ("TRACE", "/v1/hello")):
        assert refusal(server, method, path, b"{}" if method == "POST" else None) == (405, "METHOD")


def test_a_large_body_is_refused(server: Server) -> None:
    assert refusal(server, "POST", "/v1/jobs", b" " * 70_000) == (413, "REQUEST_LARGE")
    assert refusal(server, "POST", "/v1/jobs", b" " * 70_000, Authorization="Bearer x") == (413, "REQUEST_LARGE")
    headers = (f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{server.record.port}\r\nContent-Type: application/json\r\n"
               f"Authorization: Bearer {server.record.token}\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    chunks = b"8000\r\n" + b" " * 0x8000 + b"\r\n8001\r\n" + b" " * 0x8001 + b"\r\n"
    assert raw(server, headers + chunks).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b'{"shot": "/a.lucid", "take": NaN}', b"\xff"])
def test_what_is_no_wish_is_refused(server: Server, body: bytes) -> None:
    assert refusal(server, "POST", "/v1/jobs", body) == (400, "PROTOCOL_INVALID")


@pytest.mark.parametrize("shot", ["", "a.lucid", "inside/../a.lucid", "{}/../inside/a.lucid", "{}/a.lucid/..", "{}/a",
                                  "/etc/passwd", "C:\\a.lucid", "{}/a.lucid\0", "\\\\host\\share\\a.lucid",
                                  "/etc/x.lucid", "{}/../outside.lucid",
                                  "{}/../../{}/a.lucid", "/proc/self/root/{}/../outside.lucid", "~/a.lucid", "file:///{}/a.lucid"])
def test_hostile_paths_are_refused(server: Server, shots: Path, shot: str) -> None:
    assert refusal(server, "POST", "/v1/jobs", wish(shot.replace("{}", str(shots)))) == (403, "SHOT_PATH")


def test_a_shot_outside_the_root_is_refused_whether_it_is_there_or_not(server: Server, shots: Path) -> None:
    for name in ("outside.lucid", "nowhere.lucid"):
        assert refusal(server, "POST", "/v1/jobs", wish(shots.parent / name)) == (403, "SHOT_PATH")
    assert get_take(shots.parent / "outside.lucid", 1).state() is State.QUEUED


def test_what_is_no_shot_is_refused(server: Server, shots: Path) -> None:
    (shots / "empty.lucid").mkdir(exist_ok=True)
    (shots / "file.lucid").write_text("{}")
    for name in ("empty.lucid", "file.lucid", "nowhere.lucid", "n" * 300 + ".lucid"):
        assert refusal(server, "POST", "/v1/jobs", wish(shots / name)) == (404, "SHOT_MISSING")
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "b.lucid", 9)) == (404, "TAKE_MISSING")


@posix
def test_links_are_refused(server: Server, shots: Path) -> None:
    inside, outside = shots / "b.lucid", shots.parent / "outside.lucid"
    make_shot(shots / "links.lucid", frames=Frames(1, 1), size=Size(16, 16), figure=False)
    for link, target in (("l.lucid", inside), ("out.lucid", outside), ("loop.lucid", shots / "loop.lucid")):
        (shots / link).symlink_to(target)
        assert refusal(server, "POST", "/v1/jobs", wish(shots / link))[0] in (403, 404)
    (shots / "links.lucid" / "takes").symlink_to(outside / "takes")
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "links.lucid")) == (403, "SHOT_PATH")
    (shots / "links.lucid" / "takes").unlink()
    (shots / "links.lucid" / "takes").mkdir()
    (shots / "links.lucid" / "takes" / "0001").symlink_to(outside / "takes" / "0001")
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "links.lucid")) == (403, "SHOT_PATH")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_another_users_shot_is_refused(server: Server, shots: Path) -> None:
    make_shot(shots / "theirs.lucid", frames=Frames(1, 1), size=Size(16, 16), figure=False)
    new_take(shots / "theirs.lucid", REQUEST)
    os.chown(shots / "theirs.lucid", 12345, 12345)
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "theirs.lucid")) == (403, "SHOT_PATH")


def test_a_take_that_cannot_be_run_is_refused(server: Server, shots: Path) -> None:
    done = new_take(shots / "b.lucid", REQUEST)
    done.finish(State.DONE, error=None)
    for action, code in (("run", "TAKE_NOT_QUEUED"), ("resume", "TAKE_NOT_RESUMABLE")):
        assert refusal(server, "POST", "/v1/jobs", wish(shots / "b.lucid", done.number, action=action)) == (409, code)
    elsewhere = new_take(shots / "b.lucid", REQUEST)
    with elsewhere.alone():
        elsewhere.emit("started")           # by this process, which lives
        for action in ("run", "resume"):
            assert refusal(server, "POST", "/v1/jobs", wish(shots / "b.lucid", elsewhere.number, action=action)
                           ) == (409, "TAKE_NOT_QUEUED")
        assert elsewhere.state() is State.RUNNING and elsewhere.result() is None


def test_a_take_whose_end_could_not_be_written_can_be_resumed(server: Server, shots: Path) -> None:
    """Its events say that it runs, in the worker's process, and the worker is not at it."""
    take = new_take(shots / "b.lucid", REQUEST)
    started_line = {"time": 0.0, "event": "started", "pid": server.record.pid}
    (take.folder / "events.jsonl").write_text(json.dumps(started_line) + "\n")
    assert take.state() is State.INTERRUPTED
    assert refusal(server, "POST", "/v1/jobs", wish(shots / "b.lucid", take.number)) == (409, "TAKE_NOT_QUEUED")
    job = server.submit(shots / "b.lucid", take.number, "resume")
    assert job.state == "queued" and take.state() is State.QUEUED
    server.cancel(job.id)


def test_the_same_wish_is_the_same_job(server: Server, shots: Path) -> None:
    take = new_take(shots / "b.lucid", REQUEST)
    before = server.hello().active
    jobs = [server.submit(shots / "b.lucid", take.number, action) for action in ("run", "run", "resume")]
    status, again = ask(server, "POST", "/v1/jobs", wish(shots / "b.lucid", take.number, colour="red"))
    assert {job.id for job in jobs} | {again["id"]} == {jobs[0].id} and status == 200
    assert server.hello().active == before + 1 and server.job(jobs[0].id).state == "queued"
    assert [job.id for job in server.jobs().jobs].count(jobs[0].id) == 1
    for _ in range(2):                      # twice: nothing changes
        assert server.cancel(jobs[0].id).state == "cancelled"
    assert take.state() is State.CANCELLED and not take.cancel_asked
    assert server.submit(shots / "b.lucid", take.number).state == "cancelled"
    assert server.submit(shots / "b.lucid", take.number, "resume") == jobs[0]
    assert take.state() is State.QUEUED
    server.cancel(jobs[0].id)


def test_a_job_that_nobody_knows(server: Server) -> None:
    for method, path in (("GET", "/v1/jobs/0123456789abcdef"), ("POST", "/v1/jobs/x/cancel"), ("GET", "/v1/jobs/%00")):
        assert refusal(server, method, path, b"{}" if method == "POST" else None) == (404, "JOB_MISSING")


class Reader:
    """One connection to the events."""

    def __init__(self, server: Server, query: str) -> None:
        self.connection, self.response = server.open(f"/v1/events{query}", 20.0)
        self.hello = self.next()

    def next(self) -> dict[str, Any]:
        while not (line := self.response.readline()).startswith(b"data: "):
            assert line, "the stream ended"
        event: dict[str, Any] = json.loads(line[6:])
        return event

    def through(self, seq: int) -> list[dict[str, Any]]:
        """Everything up to an event, without the running take's steps."""
        events = [self.next()]
        while events[-1]["seq"] < seq:
            events.append(self.next())
        assert [event["seq"] for event in events] == list(range(events[0]["seq"], seq + 1))
        return [event for event in events if event["event"] not in ("progress", "note")]

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def test_events_are_replayed_and_every_reader_gets_all(server: Server, shots: Path) -> None:
    take = new_take(shots / "b.lucid", REQUEST)
    first = server.jobs()
    early = [Reader(server, f"?after={first.seq}&epoch={first.epoch}") for _ in range(2)]
    job = server.submit(shots / "b.lucid", take.number)
    server.cancel(job.id)
    last = server.jobs().seq
    late = [Reader(server, f"?after={first.seq}"), Reader(server, f"?epoch=another&after={last + 1000}")]
    for reader in (*early, late[0]):
        assert reader.hello["epoch"] == first.epoch and not reader.hello["missed"]
        mine = [event for event in reader.through(last) if event["job"]["id"] == job.id]
        assert [(event["event"], event["job"]["state"]) for event in mine] == [("queued", "queued"), ("ended", "cancelled")]
    assert late[1].hello["missed"] and late[1].hello["epoch"] == first.epoch
    whole = late[1].through(last)
    assert whole[0]["seq"] == 1 and whole[0]["event"] == "queued" and whole[1]["event"] == "started"
    assert refusal(server, "GET", "/v1/events?after=-1") == (400, "PROTOCOL_INVALID")
    ahead = Reader(server, f"?after={last + 1000}")
    assert ahead.hello["missed"] and ahead.next()["seq"] == 1
    for reader in (*early, *late, ahead):
        reader.close()


def test_many_ask_at_once(server: Server, shots: Path) -> None:
    take = new_take(shots / "b.lucid", REQUEST)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(server.submit(shots / "b.lucid", take.number, seconds=20.0).id))
               for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12 and len(set(found)) == 1
    assert [job.id for job in server.jobs().jobs].count(found[0]) == 1
    server.cancel(found[0])


def test_the_log_and_the_command_line_hold_no_token(server: Server) -> None:
    assert server.record.token not in client.log_path().read_text()
    assert all(server.record.token not in " ".join(map(str, process.args)) for process in client._spawned)
    assert "Traceback" not in client.log_path().read_text()
