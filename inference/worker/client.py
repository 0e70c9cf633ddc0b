# SPDX-License-Identifier: GPL-3.0-or-later
"""Find, start and ask the worker. This runs inside Blender: nothing but the standard library is needed."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import LucidError
from ..home import lucid_home
from ..shot.processes import DETACHED, alive
from ..shot.store import disk_error
from .protocol import (
    HELLO,
    JOBS,
    MAX_ANSWER,
    RECORD,
    RUN,
    SHUTDOWN,
    Hello,
    Job,
    Listing,
    Record,
    Submit,
    check_spoken,
    error_from_json,
    from_bytes,
    to_bytes,
)

SECONDS = 2.0               # for an answer
START_SECONDS = 60.0        # for a worker to start on a busy machine
LOG_SIZE = 1 << 20          # bytes, from which on a start begins a new log
_TAIL = 4096
Hold = Callable[[socket.socket], None]

_spawned: list[subprocess.Popen[bytes]] = []


class Server:
    """A worker that was found. Every method asks once and waits at most ``seconds`` for each part of the answer. Raises what the
    worker answers, WORKER_GONE, WORKER_BUSY or PROTOCOL_INVALID."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def hello(self, seconds: float = SECONDS, hold: Hold | None = None) -> Hello:
        return Hello.from_json(self._ask("GET", HELLO, seconds=seconds, hold=hold))

    def submit(self, shot: Path, take: int, action: str = RUN, seconds: float = SECONDS, hold: Hold | None = None) -> Job:
        """Run or resume a take that is reserved in a shot; asking again is asking for the same job."""
        wish = Submit(str(shot.absolute()), take, action)
        data = {"shot": wish.shot, "take": wish.take, "action": wish.action}
        return Job.from_json(self._ask("POST", JOBS, data, seconds, hold))

    def jobs(self, seconds: float = SECONDS, hold: Hold | None = None) -> Listing:
        return Listing.from_json(self._ask("GET", JOBS, seconds=seconds, hold=hold))

    def job(self, number: str, seconds: float = SECONDS) -> Job:
        return Job.from_json(self._ask("GET", f"{JOBS}/{number}", seconds=seconds))

    def cancel(self, number: str, seconds: float = SECONDS, hold: Hold | None = None) -> Job:
        """A job that waits is cancelled now, a running one at its next step."""
        return Job.from_json(self._ask("POST", f"{JOBS}/{number}/cancel", {}, seconds, hold))

    def shutdown(self, seconds: float = SECONDS, hold: Hold | None = None) -> None:
        """The worker stops the running take, which can be resumed, and ends. It has not ended yet when this returns."""
        self._ask("POST", SHUTDOWN, {}, seconds, hold)

    def open(self, path: str, seconds: float, hold: Hold | None = None, *, method: str = "GET", body: bytes | None = None,
             ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask, and return before the answer's body is read; ``hold`` gets the socket as soon as there is one. http.client has
        Nagle's algorithm off."""
        connection = http.client.HTTPConnection("127.0.0.1", self.record.port, timeout=seconds)
        headers = {"Authorization": f"Bearer {self.record.token}", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.connect()
            if hold is not None:
                hold(connection.sock)
            connection.request(method, path, body, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _network_error(error) from error
        except LucidError:          # ``hold`` does not want it any more
            connection.close()
            raise

    def _ask(self, method: str, path: str, data: Mapping[str, Any] | None = None, seconds: float = SECONDS,
             hold: Hold | None = None) -> dict[str, Any]:
        connection, response = self.open(path, seconds, hold, method=method, body=None if data is None else to_bytes(data))
        try:
            answer = response.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise _network_error(error) from error
        finally:
            response.close()
            connection.close()
        found = from_bytes(answer)
        if response.status != 200:
            raise error_from_json(found.get("error"))
        return found


def find(seconds: float = SECONDS, hold: Hold | None = None) -> Server | None:
    """The worker of this user that runs now. Raises WORKER_FOREIGN for a record that others may have written, WORKER_BUSY for one
    that is there and does not answer, WORKER_OLDER and WORKER_NEWER."""
    reap()
    record = read_record()
    if record is None or not alive(record.pid):
        return None
    check_spoken(record.protocol)
    server = Server(record)
    try:
        hello = server.hello(seconds, hold)
    except LucidError as error:
        if error.code == "WORKER_BUSY":
            raise
        return None             # nobody, or whoever has the port now
    check_spoken(hello.protocol)
    return server if hello.epoch == record.epoch else None


def stop(seconds: float = SECONDS, hold: Hold | None = None) -> bool:
    """Ask the worker to end, whatever Lucid it is of; False where none runs. Raises WORKER_FOREIGN, WORKER_BUSY."""
    reap()
    record = read_record()
    if record is None or not alive(record.pid):
        return False
    try:
        Server(record).shutdown(seconds, hold)
    except LucidError as error:
        if error.code == "WORKER_BUSY":
            raise
        return False
    return True


def record_path() -> Path:
    return lucid_home() / "run" / RECORD


def log_path() -> Path:
    return lucid_home() / "logs" / "worker.log"


def read_record() -> Record | None:
    """What the last worker wrote; None without one, and for one that is no worker's: the next to start replaces it. Raises
    WORKER_FOREIGN for a link and for a file that is not this user's alone."""
    path = record_path()
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _foreign(path) from error
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or (os.name != "nt" and (about.st_uid != os.geteuid() or about.st_mode & 0o077)):
            raise _foreign(path)
        data = os.read(handle, 1 << 16)
    finally:
        os.close(handle)
    with suppress(LucidError):
        return Record.from_json(from_bytes(data))
    return None


class Starting:
    """A worker that was asked to start. :meth:`poll` is for a timer: it does not wait for the worker."""

    def __init__(self, process: subprocess.Popen[bytes], log_from: int) -> None:
        self._process, self._log_from = process, log_from
        self._began = time.monotonic()

    def poll(self, hold: Hold | None = None) -> Server | None:
        """The worker once it answers, None until then. Raises WORKER_START where it ended or START_SECONDS have gone by, and what
        :func:`find` raises."""
        status = self._process.poll()       # before looking: one that found another running has ended well
        try:
            server = find(SECONDS, hold)
        except LucidError as error:
            if error.code != "WORKER_BUSY":
                raise
            server = None
        if server is not None:
            return server
        if status is not None:
            raise self._failed(f"it ended with status {status}")
        if time.monotonic() - self._began > START_SECONDS:
            raise self._failed(f"it does not answer after {START_SECONDS:g} s")
        return None

    def _failed(self, how: str) -> LucidError:
        said = last_line(self._log_from).removeprefix("lucid: ")
        return LucidError("WORKER_START", "the worker did not start: " + how + (f": {said}" if said else ""), f"see {log_path()}")


def start(python: Path, entry: Path, *, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()) -> Starting:
    """Start ``PYTHON ENTRY serve ARGUMENTS`` in a session of its own, which outlives this process; what it prints goes to
    logs/worker.log in Lucid's home. Where one runs already, the new one says so and ends. Raises WORKER_START, DISK_WRITE."""
    reap()
    log = log_path()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_file() and log.stat().st_size > LOG_SIZE:
            with suppress(PermissionError):         # Windows does not rename a file that another worker has open
                os.replace(log, log.with_suffix(".log.1"))
        stream = log.open("ab")
    except OSError as error:
        raise disk_error(log, error) from error
    with stream:
        log_from = stream.tell()
        try:
            process = subprocess.Popen([str(python), str(entry), "serve", *arguments], stdin=subprocess.DEVNULL, stdout=stream,
                                       stderr=subprocess.STDOUT, cwd=log.parent, env=environment, **DETACHED)
        except OSError as error:
            raise LucidError("WORKER_START", f"the worker's Python '{python}' cannot be started: {error.strerror or error}",
                             "press Check in the Lucid preferences, or run python3 scripts/lucid.py doctor") from error
        _spawned.append(process)
        return Starting(process, log_from)


def reap() -> None:
    """Let go of workers that this process started and that have ended. Until then their process ids are taken, and a take whose
    worker was killed seems to be running."""
    _spawned[:] = [process for process in _spawned if process.poll() is None]


def last_line(since: int = 0) -> str:
    """The last thing that the log says after so many bytes, without control characters; empty where it says nothing."""
    try:
        with log_path().open("rb") as stream:
            stream.seek(max(since, stream.seek(0, os.SEEK_END) - _TAIL))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = ("".join(letter for letter in line if letter.isprintable()).strip() for line in reversed(text.splitlines()))
    return next(filter(None, lines), "")


def _network_error(error: OSError | http.client.HTTPException) -> LucidError:
    if isinstance(error, TimeoutError):
        return LucidError("WORKER_BUSY", "the worker does not answer in time", "try again; if it stays so, stop the worker")
    return LucidError("WORKER_GONE", f"the worker is gone: {' '.join(str(error).split()) or type(error).__name__}",
                      "start it again; what is in the takes' folders is safe")


def _foreign(path: Path) -> LucidError:
    return LucidError("WORKER_FOREIGN", f"{path} is not a file that only you can read and write",
                      "delete it if you do not know where it comes from, then try again")
