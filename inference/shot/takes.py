# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on disk. The state is read off the files: request = queued, events = running, result = ended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import LucidError
from .model import TakeRequest
from .numbers import reserve, take_number
from .processes import alive, locked
from .requests import SCHEMA, request_from_json, request_to_json
from .store import MANIFEST, disk_error, read_json, refuse_constant, sha256_file, write_atomic, write_json

TAKES = "takes"
REFERENCES = "references"
REQUEST, _CANCEL, _FAVOURITE = "request.json", "cancel", "favourite"
_STARTED, _RESUMED, _PROGRESS = "started", "resumed", "progress"
_HINT = "generate a new take"
_MOST = 1e15            # of numbers that are shown: no step, and no second of a time that is left, comes near it


class State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


_ENDS = tuple(state.value for state in (State.DONE, State.CANCELLED, State.FAILED, State.INTERRUPTED))     # of a result


@dataclass(frozen=True)
class Take:
    """One folder ``takes/NNNN`` of a shot."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name)

    def layer_pattern(self, layer_folder: str) -> str:
        """Frames of one layer, relative to the take: RGBA, straight alpha, sRGB."""
        return f"layers/{layer_folder}/frame.####.png"

    @property
    def final_pattern(self) -> str:
        return "final/frame.####.png"

    def request(self) -> TakeRequest:
        """What was asked for. Raises TAKE_INVALID, also for the request of a Lucid that knows more than this one."""
        return self._asked()[0]

    def check_shot(self) -> None:
        """The take was made for the shot that its folder lies in. Raises TAKE_FOREIGN, SHOT_MISSING, TAKE_INVALID."""
        made_for = self._asked()[1]
        if made_for not in ("", _shot_hash(self.folder.parents[1])):      # "": as the first schema has it
            raise LucidError("TAKE_FOREIGN", f"take {self.number} was made for another shot",
                             "generate --like OTHER.lucid:N takes over what is still the same")

    def reference_files(self) -> dict[str, list[Path]]:
        """The reference pictures of each layer that has some. Raises TAKE_INVALID, also where one is not what was given."""
        files = {layer: [self.folder / REFERENCES / name for name in names]
                 for layer, names in self.request().references.items()}
        for path in (path for paths in files.values() for path in paths):
            if not path.is_file() or _name_of(_read_reference(path)) != path.name:
                raise LucidError("TAKE_INVALID", f"{path} is not the reference that was given", _HINT)
        return files

    def result(self) -> dict[str, Any] | None:
        """How it ended, None before: ``state`` is a State's value, ``error`` that of LucidError.to_json() where there is one.
        Raises TAKE_INVALID, also for the result of a Lucid that knows more states than this one."""
        path = self.folder / "result.json"
        result = read_json(path, "TAKE_INVALID", _HINT) if path.is_file() else None
        if result is not None and (result.get("state") not in _ENDS or not _is_error(result.get("error"))):
            raise self._invalid(path.name)
        return result

    def events(self) -> list[dict[str, Any]]:
        """Every event so far; a last line still being written is left out. Each has its name as ``event``, and a "progress" its
        ``done``, ``total``, ``text`` and ``seconds_left`` (None while nobody knows). Raises TAKE_INVALID."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return []
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
            events = [json.loads(line, parse_constant=refuse_constant) for line in lines]
        except ValueError as error:
            raise self._invalid(path.name) from error
        if not all(map(_is_event, events)):
            raise self._invalid(path.name)
        return events

    def state(self, *, mine: bool = False) -> State:
        """A take without a result whose last process is gone was interrupted; it is never taken for a whole one. A resumed
        take is queued until a process starts it again.

        Its process is gone when nobody has its lock, see :meth:`alone`: another process may have the old one's number by now.
        ``mine`` is for who has the lock: then nobody else is at it. Raises TAKE_INVALID.
        """
        result = self.result()
        if result is not None:
            return State(result["state"])
        events = self.events()
        if not events:
            return State.QUEUED
        starts = [event for event in events if event.get("event") in (_STARTED, _RESUMED)]
        if not starts or not isinstance(starts[-1].get("pid"), int):
            raise self._invalid("events.jsonl")
        if starts[-1]["event"] == _RESUMED:
            return State.QUEUED
        if not mine and alive(starts[-1]["pid"]) and self._is_locked():
            return State.RUNNING
        result = self.result()          # it may have ended since that was asked first
        return State(result["state"]) if result is not None else State.INTERRUPTED

    def check_queued(self) -> None:
        """Raises TAKE_NOT_QUEUED for one that has been started, unless it was resumed since, TAKE_INVALID."""
        state = self.state()
        if state is not State.QUEUED:
            raise LucidError("TAKE_NOT_QUEUED", f"take {self.number} is {state.value}", _HINT)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process runs or resumes it meanwhile. Raises TAKE_NOT_QUEUED where one does already, DISK_WRITE."""
        with locked(self.folder / REQUEST) as mine:
            if not mine:
                raise LucidError("TAKE_NOT_QUEUED", f"another process is at take {self.number}", "wait for it, or cancel it")
            yield

    def _is_locked(self) -> bool:
        """Also where that cannot be asked, of a shot that is read-only here: the process that lives decides then."""
        try:
            with locked(self.folder / REQUEST) as free:
                return not free
        except LucidError:
            return True

    @property
    def cancel_asked(self) -> bool:
        """Whether somebody asked the worker to stop at its next step."""
        return (self.folder / _CANCEL).exists()

    def ask_to_cancel(self) -> None:
        """Raises DISK_WRITE."""
        try:
            (self.folder / _CANCEL).touch()
        except OSError as error:
            raise disk_error(self.folder, error) from error

    @property
    def favourite(self) -> bool:
        """Whether somebody marked it as one to keep: it is not deleted."""
        return (self.folder / _FAVOURITE).is_file()

    def mark(self, *, favourite: bool) -> None:
        """Make it a favourite, or one no more. Raises DISK_WRITE."""
        try:
            if favourite:
                (self.folder / _FAVOURITE).touch()
            else:
                (self.folder / _FAVOURITE).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def emit(self, event: str, **fields: Any) -> None:
        """Append one event line: {time, event, pid, ...}."""
        record = {"time": time.time(), "event": event, "pid": os.getpid(), **fields}
        try:
            with (self.folder / "events.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def finish(self, state: State, **fields: Any) -> None:
        """Write result.json, the last file of a take, with the hash of every frame of the layers and the final."""
        frames = {path.relative_to(self.folder).as_posix(): sha256_file(path)
                  for part in ("final", "layers") for path in sorted((self.folder / part).rglob("*.png"))
                  if not path.name.startswith(".")}
        write_json(self.folder / "result.json", {"schema": SCHEMA, "state": state.value, **fields, "files": frames})

    def _asked(self) -> tuple[TakeRequest, str]:
        """The request, and the sha256 of the shot it was made for."""
        data = read_json(self.folder / REQUEST, "TAKE_INVALID", _HINT)
        try:
            return request_from_json(data)
        except ValueError as error:
            raise LucidError("TAKE_INVALID", f"{self.folder / REQUEST} is not what a {SCHEMA} writes there: {error}",
                             _HINT) from error

    def _invalid(self, name: str) -> LucidError:
        return LucidError("TAKE_INVALID", f"{self.folder / name} is not what a {SCHEMA} writes there", _HINT)


def new_take(shot_folder: Path, request: TakeRequest, *, references: Mapping[str, Sequence[Path]] | None = None) -> Take:
    """Reserve the next number; the folder's creation is the lock, so two processes never share one.

    ``references`` are a layer's pictures, PNG files that the caller has looked at: they are copied into the take and named in
    its request. Raises SHOT_MISSING, DISK_WRITE, REFERENCE_MISSING.
    """
    shot = _shot_hash(shot_folder)
    if request.references and references is None:
        raise LucidError("REFERENCE_MISSING", "the request names references and gives none", "give their files")
    pictures = {layer: list(dict.fromkeys(map(_read_reference, paths))) for layer, paths in (references or {}).items() if paths}
    named = {layer: [_name_of(data) for data in found] for layer, found in pictures.items()}
    folder = reserve(shot_folder / TAKES)
    try:
        for data in (data for found in pictures.values() for data in found):
            write_atomic(folder / REFERENCES / _name_of(data), data)
        write_json(folder / REQUEST, request_to_json(replace(request, references=named), shot))
    except LucidError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Take(folder)


def resume(take: Take) -> None:
    """Queue a take again that was interrupted or cancelled: what it has finished stays. Raises TAKE_NOT_RESUMABLE,
    TAKE_NOT_QUEUED where another process resumes it too, TAKE_INVALID, DISK_WRITE."""
    _check_resumable(take)
    with take.alone():
        _check_resumable(take, mine=True)       # it may have been resumed, and more, since that was looked at
        _queue_again(take)


def _check_resumable(take: Take, *, mine: bool = False) -> None:
    state = take.state(mine=mine)
    if state not in (State.INTERRUPTED, State.CANCELLED):
        hints = {State.QUEUED: "run it: run-take SHOT N", State.RUNNING: "wait for it, or cancel it",
                 State.DONE: "edit it, or generate a new take", State.FAILED: _HINT}
        raise LucidError("TAKE_NOT_RESUMABLE", f"take {take.number} is {state.value}", hints[state])


def _queue_again(take: Take) -> None:
    path = take.folder / "events.jsonl"
    try:
        whole, _, torn = path.read_bytes().rpartition(b"\n") if path.is_file() else (b"", b"", b"")
        if torn:                # a line that was being written when the process went would spoil the next one
            write_atomic(path, whole + b"\n" if whole else b"")
        (take.folder / _CANCEL).unlink(missing_ok=True)
        take.emit(_RESUMED)
        (take.folder / "result.json").unlink(missing_ok=True)       # last: until now it is what it was
    except OSError as error:
        raise disk_error(take.folder, error) from error


def list_takes(shot_folder: Path) -> list[Take]:
    """Takes in order of their numbers; other folders are ignored."""
    root = shot_folder / TAKES
    if not root.is_dir():
        return []
    takes = [Take(path) for path in root.iterdir() if take_number(path) is not None and path.is_dir()]
    return sorted(takes, key=lambda take: take.number)


def get_take(shot_folder: Path, number: int) -> Take:
    """Raises TAKE_MISSING with the numbers there are."""
    takes = list_takes(shot_folder)
    for take in takes:
        if take.number == number:
            return take
    known = ", ".join(str(take.number) for take in takes) or "none yet"
    raise LucidError("TAKE_MISSING", f"{shot_folder} has no take {number}", f"its takes: {known}")


def _shot_hash(shot_folder: Path) -> str:
    try:
        return sha256_file(shot_folder / MANIFEST)
    except OSError as error:
        raise LucidError("SHOT_MISSING", f"{shot_folder} is not a shot: its {MANIFEST} cannot be read",
                         "give a NAME.lucid folder made by capture") from error


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return False
    left = event.get("seconds_left")
    return event["event"] != _PROGRESS or (
        all(map(_is_number, (event.get("done"), event.get("total"), 0 if left is None else left)))
        and "seconds_left" in event and isinstance(event.get("text"), str))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MOST       # no NaN is less


def _is_error(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and value.keys() == {"code", "text", "hint"}
                             and all(isinstance(part, str) for part in value.values()))


def _read_reference(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LucidError("REFERENCE_MISSING", f"{path} cannot be read: {error.strerror or error}",
                         "give a PNG file") from error


def _name_of(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()[:16]}.png"
