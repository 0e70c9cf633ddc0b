# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's routes, and the gate before them: who may ask, and how much."""

from __future__ import annotations

import asyncio
import hmac
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ..errors import LucidError
from .protocol import (
    EVENTS,
    HELLO,
    JOBS,
    KEEP_ALIVE,
    MAX_BODY,
    SHUTDOWN,
    SPOKEN,
    Hello,
    Job,
    Listing,
    Submit,
    from_bytes,
    to_bytes,
)
from .registry import Jobs
from .ring import Ring
from .runner import Runner

BODY_SECONDS = 10.0     # for a request to arrive
_STATUS = {"PROTOCOL_INVALID": 400, "TOKEN": 401, "ORIGIN": 403, "SHOT_PATH": 403, "JOB_MISSING": 404, "ROUTE_MISSING": 404,
           "SHOT_MISSING": 404, "TAKE_MISSING": 404, "METHOD": 405, "REQUEST_SLOW": 408, "TAKE_NOT_QUEUED": 409,
           "TAKE_NOT_RESUMABLE": 409, "REQUEST_LARGE": 413, "REQUEST_TYPE": 415, "HOST": 421, "INTERNAL": 500,
           "WORKER_STOPPING": 503, "DISK_WRITE": 507}
_OTHERWISE = 422        # understood, and not possible
_HINT = "ask through Lucid's own client"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@dataclass
class Service:
    """What the routes reach. ``streams`` are connected now; ``used`` is when somebody asked last (monotonic seconds); ``stop``
    ends the worker."""

    jobs: Jobs
    runner: Runner
    ring: Ring
    epoch: str
    version: str
    pid: int
    stop: Callable[[], object]
    streams: int = 0
    used: float = field(default_factory=time.monotonic)

    def hello(self) -> Hello:
        return Hello(SPOKEN, self.version, self.epoch, self.pid, sys.version.split()[0], self.runner.device, self.jobs.active)


class Gate:
    """ASGI: lets in who has the token, came for this very address and is no browser; reads the whole of a small body first, so
    that a refused client hears why. One line of JSON is all that a failure shows."""

    def __init__(self, app: App, token: str, port: int, service: Service) -> None:
        self._app, self._service = app, service
        self._token = f"Bearer {token}".encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            body = await _body(receive)
            self._check(scope)
        except LucidError as error:
            await _answer_error(error, close=True)(scope, receive, send)
            return
        self._service.used = time.monotonic()
        whole = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        values = {name: [value for found, value in headers if found == name] for name, _ in headers}
        host = values.get(b"host", [])
        if len(host) != 1 or host[0].lower() not in self._hosts:
            raise LucidError("HOST", "the request is for another host", _HINT)
        if b"origin" in values or b"sec-fetch-site" in values:
            raise LucidError("ORIGIN", "web pages may not ask", _HINT)
        token = values.get(b"authorization", [])
        if len(token) != 1 or not hmac.compare_digest(token[0], self._token):
            raise LucidError("TOKEN", "the token is missing or wrong", _HINT)
        if scope["method"] == "POST" and values.get(b"content-type") != [b"application/json"]:
            raise LucidError("REQUEST_TYPE", "a request is application/json", _HINT)


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                more = message.get("more_body", False)
                if size > MAX_BODY:
                    raise LucidError("REQUEST_LARGE", f"a request has at most {MAX_BODY} bytes", _HINT)
    except TimeoutError as error:
        raise LucidError("REQUEST_SLOW", f"the request did not arrive in {BODY_SECONDS:g} s", _HINT) from error
    return b"".join(parts)


def make_app(service: Service) -> FastAPI:
    """The routes of :mod:`.protocol`, for requests that have passed the :class:`Gate`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for kind in (Exception, LucidError, HTTPException):
        app.add_exception_handler(kind, _failed)
    jobs = service.jobs

    async def hello(_request: Request) -> Response:
        return _answer(service.hello().to_json())

    async def submit(request: Request) -> Response:
        wish = Submit.from_json(from_bytes(await request.body()))
        return _job(await run_in_threadpool(jobs.submit, wish))

    async def listed(_request: Request) -> Response:
        found, seq = jobs.listed(lambda: service.ring.last)
        return _answer(Listing(service.epoch, seq, tuple(found)).to_json())

    async def one(request: Request) -> Response:
        return _job(jobs.get(request.path_params["number"]))

    async def cancel(request: Request) -> Response:
        return _job(await run_in_threadpool(jobs.cancel, request.path_params["number"]))

    async def events(request: Request) -> Response:
        if service.ring.closed:
            raise LucidError("WORKER_STOPPING", "the worker is about to end", "try again in a moment")
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdecimal() and len(after) < 16):
            raise LucidError("PROTOCOL_INVALID", "'after' is not the number of an event", _HINT)
        lines = stream(service, int(after), request.query_params.get("epoch", service.epoch))
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def shutdown(_request: Request) -> Response:
        service.stop()
        return _answer(service.hello().to_json())

    for path, endpoint, method in ((HELLO, hello, "GET"), (JOBS, submit, "POST"), (JOBS, listed, "GET"),
                                   (JOBS + "/{number}", one, "GET"), (JOBS + "/{number}/cancel", cancel, "POST"),
                                   (EVENTS, events, "GET"), (SHUTDOWN, shutdown, "POST")):
        app.add_route(path, endpoint, methods=[method])
    return app


async def stream(service: Service, after: int, epoch: str) -> AsyncIterator[bytes]:
    """Server-sent events: a hello, what came after that number, what comes, and a comment where nothing does for a while. Where
    something was missed, a hello that says so and everything that is still known."""
    ring, wake, loop = service.ring, asyncio.Event(), asyncio.get_running_loop()
    service.streams += 1
    try:
        with ring.listening(lambda: loop.call_soon_threadsafe(wake.set)):
            events, missed = ring.after(after)
            missed = missed or epoch != service.epoch
            greet = True
            while True:
                if missed:
                    after = 0
                    events, _ = ring.after(after)
                if greet or missed:
                    yield _event({"event": "hello", "epoch": service.epoch, "last": ring.last, "missed": missed})
                for event in events:
                    yield _event(event)
                    after = event["seq"]
                if ring.closed and after >= ring.last:
                    return
                if not await _woken(wake):
                    yield b": alive\n\n"
                wake.clear()
                greet = False
                events, missed = ring.after(after)      # missed: the ring went round before so slow a reader came back
    finally:
        service.streams -= 1
        service.used = time.monotonic()


async def _woken(wake: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(KEEP_ALIVE):
            return await wake.wait()
    except TimeoutError:
        return False


def _event(event: dict[str, Any]) -> bytes:
    number = f"id: {event['seq']}\n".encode() if "seq" in event else b""
    return number + b"data: " + to_bytes(event) + b"\n\n"


def _job(job: Job) -> Response:
    return _answer(job.to_json())


def _answer(data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_bytes(data), status, headers, "application/json")


def _answer_error(error: LucidError, *, close: bool = False) -> Response:
    status = _STATUS.get(error.code, _OTHERWISE)
    return _answer({"error": error.to_json()}, status, {"Connection": "close"} if close else None)


async def _failed(_request: Request, error: Exception) -> Response:
    if isinstance(error, LucidError):
        return _answer_error(error)
    if isinstance(error, HTTPException):
        code = "METHOD" if error.status_code == 405 else "ROUTE_MISSING"
        return _answer_error(LucidError(code, "the worker knows no such request", _HINT))
    return _answer_error(LucidError("INTERNAL", "the worker failed to answer", "see logs/worker.log in Lucid's home"))
