# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``serve``: one worker for this user, until it is asked to end or nobody has needed it for a while."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from .console import EXIT_ERROR, say
from .errors import LucidError
from .heap import give_back_freed_blocks
from .shot.processes import locked
from .shot.store import disk_error
from .worker.about import ask, end
from .worker.client import START_SECONDS, find, read_record, record_path
from .worker.held import Held
from .worker.protocol import SPOKEN, Record, to_bytes
from .worker.registry import INDEX, Jobs
from .worker.ring import Ring
from .worker.runner import Runner
from .worker.version import version

GRACE = 10.0            # seconds for the running take to stop; after that it is interrupted, and can be resumed too
_LOOK = 0.1             # seconds between two looks at whether it is time to end


def serve(idle: float, roots: Sequence[Path]) -> int:
    """Be the worker, which ends after ``idle`` seconds without a job or a listener and touches shots below ``roots`` alone, or
    any with none; or find that one runs. Raises USAGE, DISK_WRITE, WORKER_FOREIGN, WORKER_START, WORKER_OLDER and
    WORKER_NEWER."""
    if not idle > 0.0:
        raise LucidError("USAGE", f"--idle {idle:g} is not a time", "write --idle 900")
    for root in roots:
        if not root.is_dir():
            raise LucidError("USAGE", f"--root {root} is not a folder", "give one that is there")
    lock = _run_folder() / "worker.lock"
    lock.touch(0o600)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with locked(lock) as mine:
            if mine:
                return _Worker(idle, [root.absolute() for root in roots]).run()
        server = find()             # one that has the lock starts, runs or is about to end
        if server is not None:
            say(f"a worker runs already: process {server.record.pid}, port {server.record.port}")
            return 0
        time.sleep(_LOOK)
    raise LucidError("WORKER_START", f"another worker holds {lock} and does not answer", "stop that process, then try again")


def tell(*, stop: bool) -> int:
    """Say which worker runs, after it was asked to end with ``stop``. Raises WORKER_FOREIGN, WORKER_BUSY, and for one of another
    Lucid WORKER_OLDER and WORKER_NEWER."""
    seen = end(Held()) if stop else ask(Held())
    if seen.text:
        say(seen.text)
    if seen.error is not None:
        raise seen.error
    return 0


def _run_folder() -> Path:
    """This user's alone: the token lies in it. Raises WORKER_FOREIGN, DISK_WRITE."""
    folder = record_path().parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or (os.name != "nt" and about.st_uid != os.geteuid()):
            raise LucidError("WORKER_FOREIGN", f"{folder} is not a folder of yours", "delete it, then try again")
        folder.chmod(0o700)
    except OSError as error:
        raise disk_error(folder, error) from error
    return folder


@dataclass
class _Stop:
    """Whether it is time to end, and why. Set by signals, by a request and by being idle."""

    why: str = ""

    def because(self, why: str) -> None:
        self.why = self.why or why


class _Worker:
    """The parts of one worker process."""

    def __init__(self, idle: float, roots: list[Path]) -> None:
        give_back_freed_blocks()
        self._idle = idle
        self._stop = _Stop()
        self._ring = Ring()
        self._record_path = record_path()
        jobs = Jobs(self._record_path.with_name(INDEX),
                    lambda event, job, more: self._ring.add({"event": event, "job": job.to_json(), **more}), roots)
        self._jobs, self._runner = jobs, Runner(jobs)

    def run(self) -> int:
        # asyncio turns Nagle's algorithm off for sockets that say they are TCP; without it an answer takes 44 ms
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
            listener.bind(("127.0.0.1", 0))
            status = asyncio.run(self._live(listener))
        if self._runner.alive:          # in the middle of a long step: the interpreter cannot be taken down around it
            sys.stdout.flush()
            os._exit(status)
        return status

    async def _live(self, listener: socket.socket) -> int:
        import uvicorn

        from .worker.server import Gate, Service, make_app

        record = Record(os.getpid(), time.time(), listener.getsockname()[1], secrets.token_urlsafe(32), SPOKEN, version(),
                        secrets.token_hex(8))
        service = Service(self._jobs, self._runner, self._ring, record.epoch, record.version, record.pid,
                          lambda: self._stop.because("asked to"))
        app = Gate(make_app(service), record.token, record.port, service)
        stop = self._stop

        class Http(uvicorn.Server):
            def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
                stop.because(signal.Signals(sig).name)

        http = Http(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False,
                                   timeout_graceful_shutdown=2))
        serving = asyncio.create_task(http.serve([listener]))
        while not http.started and not serving.done():
            await asyncio.sleep(0.002)
        if not serving.done():
            _write_record(self._record_path, record)
            say(f"worker {record.version}: process {record.pid}, port {record.port}")
            self._runner.start()
            await self._until_stopped(service)
            say(f"ends: {stop.why}")
            self._forget(record)
            await self._wind_down()
            http.should_exit = True
        await serving
        return EXIT_ERROR if stop.why == _BROKEN else 0

    async def _until_stopped(self, service: Any) -> None:
        while not self._stop.why:
            await asyncio.sleep(_LOOK)
            if not self._runner.alive:
                self._stop.because(_BROKEN)
            if service.streams or self._jobs.active:
                service.used = time.monotonic()
            if time.monotonic() - service.used > self._idle:
                self._stop.because(f"nobody needed it for {self._idle:g} s")

    async def _wind_down(self) -> None:
        """The running take stops, everybody hears of it, then the streams end."""
        self._runner.stop()
        deadline = time.monotonic() + GRACE
        while self._runner.alive and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._ring.close()

    def _forget(self, record: Record) -> None:
        """Remove the record if it is still this worker's: from here on another may start and wait for the lock."""
        found = read_record()
        if found is not None and found.token == record.token:
            self._record_path.unlink(missing_ok=True)


_BROKEN = "its runner died, see above"


def _write_record(path: Path, record: Record) -> None:
    """Atomic, and never readable for anybody else. Raises DISK_WRITE."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(to_bytes(record.to_json()))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error
