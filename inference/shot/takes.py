# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on disk. The state is read off the files: request = queued, events = running, result = ended."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import LucidError
from .model import Shot, TakeRequest
from .store import disk_error, read_json, sha256_file, write_json

SCHEMA = "lucid.take/1"


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
        data = read_json(self.folder / "request.json", "TAKE_INVALID", "generate a new take")
        fields = asdict(TakeRequest("")).keys()
        if data.pop("schema", None) != SCHEMA or data.keys() != fields or not isinstance(data["seed"], int):
            raise LucidError("TAKE_INVALID", f"{self.folder / 'request.json'} is not a {SCHEMA} request",
                             "generate a new take")
        return TakeRequest(**data)

    def result(self) -> dict[str, Any] | None:
        path = self.folder / "result.json"
        return read_json(path, "TAKE_INVALID", "generate a new take") if path.is_file() else None

    def events(self) -> list[dict[str, Any]]:
        """Every event so far; a last line still being written is left out."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def state(self) -> State:
        """A take without a result whose process is gone was interrupted; it is never taken for a whole one."""
        result = self.result()
        if result is not None:
            return State(result["state"])
        events = self.events()
        if not events:
            return State.QUEUED
        return State.RUNNING if _alive(int(events[0]["pid"])) else State.INTERRUPTED

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
    take = Take(folder)
    write_json(folder / "request.json", {"schema": SCHEMA, **asdict(request)})
    return take


def list_takes(shot_folder: Path) -> list[Take]:
    """Takes in order of their numbers; other folders are ignored."""
    root = shot_folder / "takes"
    if not root.is_dir():
        return []
    return [Take(path) for path in sorted(root.iterdir()) if path.is_dir() and path.name.isdigit()]


def get_take(shot_folder: Path, number: int) -> Take:
    """Raises TAKE_MISSING with the numbers there are."""
    takes = list_takes(shot_folder)
    for take in takes:
        if take.number == number:
            return take
    known = ", ".join(str(take.number) for take in takes) or "none yet"
    raise LucidError("TAKE_MISSING", f"{shot_folder} has no take {number}", f"its takes: {known}")


def check_prompts(request: TakeRequest, shot: Shot) -> None:
    """Every layer has something to show. Raises PROMPT_EMPTY."""
    for layer in shot.layers:
        if not (request.layer_prompts.get(layer.name) or request.prompt).strip():
            raise LucidError("PROMPT_EMPTY", f"nothing says what layer '{layer.name}' shows",
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
