# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and the worker say to each other. Standard library only: both sides import it.

Requests are HTTP/1.1 with ``Authorization: Bearer TOKEN``, bodies are JSON objects, failures are {"error": {code, text, hint}}:

    GET  /v1/hello             -> Hello
    POST /v1/jobs              Submit -> Job; the same take again is the same job
    GET  /v1/jobs              -> Listing
    GET  /v1/jobs/ID           -> Job
    POST /v1/jobs/ID/cancel    -> Job; a job that waits ends at once, one that runs at its next step
    GET  /v1/events?after=SEQ&epoch=EPOCH      server-sent events
    POST /v1/shutdown          the running take stops and can be resumed, those that wait are run by the next worker

Each event is {"seq", "event": queued | started | progress | note | ended, "job": Job}, a note has its "text". A stream begins
with {"event": "hello", "epoch", "last", "missed"}; ``missed`` says that not all events after SEQ are known any more, or that
EPOCH was another process: the jobs must be listed anew. Fields that a side does not know are ignored.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import LucidError

PROTOCOL = 1
SPOKEN = (1, PROTOCOL)          # the oldest and the newest that this side speaks
HELLO, JOBS, EVENTS, SHUTDOWN = "/v1/hello", "/v1/jobs", "/v1/events", "/v1/shutdown"
RUN, RESUME = "run", "resume"
WAITING, RUNNING = "queued", "running"      # the states of a job that has not ended, as takes name them
KEEP_ALIVE = 5.0                # seconds after which a silent stream says that it is alive
MAX_BODY = 1 << 16              # bytes of a request
MAX_ANSWER = 1 << 24            # bytes of an answer
MAX_EVENT = 1 << 20             # bytes of one event
LAST_TAKE = 9_999_999
RECORD = "worker.json"
_MOST = 1 << 53                 # whole numbers that JSON readers agree on
_LAST_PID = (1 << 31) - 1

T = TypeVar("T")


@dataclass(frozen=True)
class Submit:
    """Run or resume a take that is reserved in a shot: ``shot`` is the absolute path of its folder."""

    shot: str
    take: int
    action: str = RUN

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Submit:
        """Raises PROTOCOL_INVALID."""
        submit = cls(_text(data, "shot"), _whole(data, "take", 1, LAST_TAKE),
                     _text(data, "action") if "action" in data else RUN)
        if submit.action not in (RUN, RESUME):
            _refuse("action", f"'{RUN}' or '{RESUME}'")
        return submit


@dataclass(frozen=True)
class Job:
    """A take in the worker's hands. ``state`` is a take's; ``done`` of ``total`` predictions are made; ``seconds_left`` is None
    while nobody knows; ``error`` is a LucidError's code, text and hint."""

    id: str
    shot: str
    take: int
    state: str
    done: int = 0
    total: int = 0
    text: str = ""
    seconds_left: float | None = None
    error: dict[str, str] | None = None

    @property
    def over(self) -> bool:
        return self.state not in (WAITING, RUNNING)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """Raises PROTOCOL_INVALID."""
        left = data.get("seconds_left")
        if left is not None and (isinstance(left, bool) or not isinstance(left, (int, float)) or not math.isfinite(left)):
            _refuse("seconds_left", "a number of seconds or null")
        error = None if data.get("error") is None else error_from_json(data["error"]).to_json()
        return cls(_text(data, "id"), _text(data, "shot"), _whole(data, "take", 1, LAST_TAKE), _text(data, "state"),
                   _whole(data, "done", 0), _whole(data, "total", 0), _text(data, "text"), left, error)


@dataclass(frozen=True)
class Listing:
    """The jobs, those that wait in the order in which they will run. Events after ``seq`` of this ``epoch`` are not in it."""

    epoch: str
    seq: int
    jobs: tuple[Job, ...]

    def to_json(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "seq": self.seq, "jobs": [job.to_json() for job in self.jobs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Listing:
        """Raises PROTOCOL_INVALID."""
        jobs = _field(data, "jobs", list, "a list")
        return cls(_text(data, "epoch"), _whole(data, "seq", 0), tuple(Job.from_json(_object("jobs", job)) for job in jobs))


@dataclass(frozen=True)
class Hello:
    """Who the worker is. ``epoch`` names this process; ``device`` is None until the first job has loaded torch; ``active`` jobs
    wait or run."""

    protocol: tuple[int, int]
    version: str
    epoch: str
    pid: int
    python: str
    device: str | None
    active: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Hello:
        """Raises PROTOCOL_INVALID."""
        device = None if data.get("device") is None else _text(data, "device")
        return cls(_range(data), _text(data, "version"), _text(data, "epoch"), _whole(data, "pid", 1, _LAST_PID),
                   _text(data, "python"), device, _whole(data, "active", 0))


@dataclass(frozen=True)
class Record:
    """The file run/worker.json in Lucid's home, by which a worker is found. ``started`` is seconds since 1970."""

    pid: int
    started: float
    port: int
    token: str
    protocol: tuple[int, int]
    version: str
    epoch: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Raises PROTOCOL_INVALID."""
        started = _field(data, "started", (int, float), "a number")
        return cls(_whole(data, "pid", 1, _LAST_PID), float(started), _whole(data, "port", 1, 65535), _text(data, "token"),
                   _range(data), _text(data, "version"), _text(data, "epoch"))


def job_id(shot: Path, manifest: str, take: int) -> str:
    """Of the resolved folder of a shot, the sha256 of its shot.json and the take's number: the same take is the same job."""
    return hashlib.sha256(f"{shot}\n{manifest}\n{take}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def check_spoken(theirs: tuple[int, int]) -> None:
    """Raises WORKER_OLDER or WORKER_NEWER for a worker that speaks no protocol of this side's."""
    if theirs[1] < SPOKEN[0]:
        raise LucidError("WORKER_OLDER", "the running worker is of an older Lucid",
                         "press Stop Worker in the Lucid preferences: the next take starts this Lucid's own")
    if theirs[0] > SPOKEN[1]:
        raise LucidError("WORKER_NEWER", "the running worker is of a newer Lucid",
                         "update this Lucid, or press Stop Worker in its preferences: the next take starts its own")


def to_bytes(data: Mapping[str, Any]) -> bytes:
    """Strict JSON in one line."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def from_bytes(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises PROTOCOL_INVALID, also for NaN, and for nesting that is too deep to be read."""
    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LucidError("PROTOCOL_INVALID", "what was sent is not JSON", _HINT) from error
    return _object("what was sent", found)


def error_from_json(data: object) -> LucidError:
    """Raises PROTOCOL_INVALID."""
    found = _object("error", data)
    return LucidError(_text(found, "code"), _text(found, "text"), _text(found, "hint"))


_HINT = "restart Blender and the worker; if it comes again, please report it"


def _refuse(name: str, wanted: str) -> NoReturn:
    raise LucidError("PROTOCOL_INVALID", f"'{name}' is not {wanted}", _HINT)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(name, "a JSON object")
    return value


def _field(data: Mapping[str, Any], name: str, kind: type[T] | tuple[type[T], ...], wanted: str) -> T:
    value = data.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        _refuse(name, wanted)
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    return _field(data, name, str, "a text")


def _whole(data: Mapping[str, Any], name: str, least: int, most: int = _MOST) -> int:
    value = _field(data, name, int, "a whole number")
    if not least <= value <= most:
        _refuse(name, f"from {least} to {most}")
    return value


def _range(data: Mapping[str, Any]) -> tuple[int, int]:
    value = data.get("protocol")
    if (not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(number) is int for number in value)
            or value[0] > value[1]):
        _refuse("protocol", "the oldest and the newest protocol")
    return value[0], value[1]
