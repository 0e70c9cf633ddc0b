# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on disk. The state is read off the files: request = queued, events = running, result = ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import LucidError
from .model import TakeRequest
from .store import disk_error, read_json, sha256_file, write_json

SCHEMA = "lucid.take/1"
_CANCEL = "cancel"
_HINT = "generate a new take"
_REQUEST_TYPES: dict[str, tuple[type, ...]] = {"prompt": (str,), "layer_prompts": (dict,), "seed": (int,),
                                               "steps": (int, type(None)), "weights": (str,)}


class State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


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
        data = read_json(self.folder / "request.json", "TAKE_INVALID", _HINT)
        if data.pop("schema", None) != SCHEMA or data.keys() != _REQUEST_TYPES.keys() or not all(
                isinstance(data[name], kinds) for name, kinds in _REQUEST_TYPES.items()):
            raise self._invalid("request.json")
        return TakeRequest(**data)

    def result(self) -> dict[str, Any] | None:
        path = self.folder / "result.json"
        return read_json(path, "TAKE_INVALID", _HINT) if path.is_file() else None

    def events(self) -> list[dict[str, Any]]:
        """Every event so far; a last line still being written is left out. Raises TAKE_INVALID."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return []
        try:
            return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        except ValueError as error:
            raise self._invalid(path.name) from error

    def state(self) -> State:
        """A take without a result whose process is gone was interrupted; it is never taken for a whole one.

        Raises TAKE_INVALID, also for the result of a Lucid that knows more states than this one.
        """
        result = self.result()
        if result is not None:
            try:
                return State(result.get("state"))
            except ValueError as error:
                raise self._invalid("result.json") from error
        events = self.events()
        if not events:
            return State.QUEUED
        return State.RUNNING if _alive(int(events[0]["pid"])) else State.INTERRUPTED

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

    def emit(self, event: str, **fields: Any) -> None:
        """Append one event line: {time, event, pid, ...}."""
        record = {"time": time.time(), "event": event, "pid": os.getpid(), **fields}
        try:
            with (self.folder / "events.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def finish(self, state: State, **fields: Any) -> None:
        """Write result.json, the last file of a take, with the hash of every frame."""
        frames = {path.relative_to(self.folder).as_posix(): sha256_file(path)
                  for path in sorted(self.folder.rglob("*.png")) if not path.name.startswith(".")}
        write_json(self.folder / "result.json", {"schema": SCHEMA, "state": state.value, **fields, "files": frames})

    def _invalid(self, name: str) -> LucidError:
        return LucidError("TAKE_INVALID", f"{self.folder / name} is not what a {SCHEMA} writes there", _HINT)


def new_take(shot_folder: Path, request: TakeRequest) -> Take:
    """Reserve the next number; the folder's creation is the lock, so two processes never share one."""
    root = shot_folder / "takes"
    try:
        root.mkdir(exist_ok=True)
        number = max((take.number for take in list_takes(shot_folder)), default=0) + 1
        while True:
            folder = root / f"{number:04d}"
            try:
                folder.mkdir()
                break
            except FileExistsError:
                number += 1
    except OSError as error:
        raise disk_error(root, error) from error
    try:
        write_json(folder / "request.json", {"schema": SCHEMA, **asdict(request)})
    except LucidError:
        folder.rmdir()
        raise
    return Take(folder)


def list_takes(shot_folder: Path) -> list[Take]:
    """Takes in order of their numbers; other folders are ignored."""
    root = shot_folder / "takes"
    if not root.is_dir():
        return []
    takes = [Take(path) for path in root.iterdir() if path.is_dir() and path.name.isdecimal()]
    return sorted(takes, key=lambda take: take.number)


def get_take(shot_folder: Path, number: int) -> Take:
    """Raises TAKE_MISSING with the numbers there are."""
    takes = list_takes(shot_folder)
    for take in takes:
        if take.number == number:
            return take
    known = ", ".join(str(take.number) for take in takes) or "none yet"
    raise LucidError("TAKE_MISSING", f"{shot_folder} has no take {number}", f"its takes: {known}")


def check_prompts(request: TakeRequest, layers: Iterable[str]) -> None:
    """Prompts are for ``layers`` and each of these has something to show. Raises LAYER_UNKNOWN, PROMPT_EMPTY."""
    names = list(layers)
    for name in request.layer_prompts:
        if name not in names:
            raise LucidError("LAYER_UNKNOWN", f"the shot has no layer '{name}'", "its layers are: " + ", ".join(names))
    for name in names:
        if not (request.layer_prompts.get(name) or request.prompt).strip():
            raise LucidError("PROMPT_EMPTY", f"nothing says what layer '{name}' shows",
                             "write --prompt 'a street in bright daylight'")


def _alive(pid: int) -> bool:
    if os.name == "nt":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # type: ignore[attr-defined]
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)  # type: ignore[attr-defined]
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
