# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic IO for shots: write to a temporary name, fsync, rename; the manifest last; a sealed shot is immutable."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import LucidError
from .manifest import shot_from_json, shot_to_json
from .model import Sequence, Shot
from .upgrade import upgraded

MANIFEST = "shot.json"
SUFFIX = ".lucid"
_CHUNK = 1 << 20

Stop = Callable[[], bool]       # whether nobody wants the rest of what takes long


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in 1 MiB pieces."""
    with path.open("rb") as stream:
        return _sha256(stream)


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part. Raises DISK_WRITE."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def write_part(path: Path, data: bytes) -> None:
    """Write a file of a shot that is not sealed yet: :func:`seal` brings it to the disk before it writes the manifest.
    Raises DISK_WRITE."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise disk_error(path, error) from error


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Atomic, UTF-8, two-space indent, strict JSON (no NaN or Infinity)."""
    write_atomic(path, (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path, code: str, hint: str) -> dict[str, Any]:
    """Read a JSON object; a missing, unreadable or malformed file raises ``code`` with ``hint``."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LucidError(code, f"{path} cannot be read: {reason}", hint) from error
    if not isinstance(data, dict):
        raise LucidError(code, f"{path} holds no JSON object", hint)
    return data


def refuse_constant(name: str) -> None:
    """For json's ``parse_constant``: NaN and Infinity are no JSON. Raises ValueError."""
    raise ValueError(f"{name} is no JSON")


def disk_error(path: Path, error: OSError) -> LucidError:
    """The LucidError for a failed write below ``path``."""
    return LucidError("DISK_WRITE", f"cannot write {path}: {error.strerror or error}",
                      "check that the folder exists, is yours to write and has free space")


def check_new(target: Path) -> None:
    """Raise SHOT_NAME for a folder with another suffix, SHOT_EXISTS when ``target`` is there already."""
    if target.suffix != SUFFIX:
        raise LucidError("SHOT_NAME", f"a shot folder is called NAME{SUFFIX}, not '{target.name}'",
                         f"write --out {target.stem or 'shot'}{SUFFIX}")
    if target.exists():
        raise LucidError("SHOT_EXISTS", f"{target} is there already and a sealed shot is never changed",
                         "choose another name, or delete that folder first")


@contextmanager
def new_shot_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes ``target`` on success and vanishes on any error.

    Raises what :func:`check_new` does, DISK_WRITE when its parent cannot be written.
    """
    check_new(target)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, target)
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:
            with suppress(OSError):     # not empty: it holds the shot
                parent.rmdir()


def go_on(stop: Stop | None) -> None:
    """Asked from file to file by what takes long. Raises CANCELLED once nobody wants the rest."""
    if stop is not None and stop():
        raise LucidError("CANCELLED", "it was stopped", "start it again when you want it")


def seal(folder: Path, shot: Shot, stop: Stop | None = None) -> Shot:
    """Bring every file below ``folder`` to the disk, hash it, and write the manifest last. Returns the shot with its hashes.
    Raises DISK_WRITE, and CANCELLED after ``stop``: then there is no manifest."""
    files = {}
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        go_on(stop)
        files[path.relative_to(folder).as_posix()] = _settled(path)
    sealed = replace(shot, files=files)
    write_json(folder / MANIFEST, shot_to_json(sealed))
    return sealed


def _settled(path: Path) -> str:
    """The hash of a file that is on the disk, not only on its way there."""
    try:
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
            return _sha256(stream)
    except OSError as error:
        raise disk_error(path, error) from error


def open_shot(folder: Path, *, verify: bool = True) -> Shot:
    """Read a sealed shot; with ``verify``, every file is present and has its hash.

    Raises SHOT_MISSING, SHOT_INVALID, SHOT_NEWER, SHOT_PATH or SHOT_CORRUPT.
    """
    if not (folder / MANIFEST).is_file():
        raise LucidError("SHOT_MISSING", f"{folder} is not a shot: it has no {MANIFEST}",
                         f"give a NAME{SUFFIX} folder made by capture")
    shot = shot_from_json(upgraded(read_json(folder / MANIFEST, "SHOT_INVALID", "capture the shot again")))
    named = [s.path(f) for s in every_sequence(shot) for f in shot.frames.numbers] + ["camera.npz"]
    missing = [name for name in named if name not in shot.files]
    if missing:
        raise LucidError("SHOT_INVALID", f"{missing[0]} has no hash in {MANIFEST}", "capture the shot again")
    if verify:
        verify_files(folder, shot)
    return shot


def verify_files(folder: Path, shot: Shot) -> None:
    """Compare every file named by the manifest with its hash. Raises SHOT_CORRUPT with the first that differs."""
    root = folder.resolve()
    for name, expected in shot.files.items():
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(root):
            raise LucidError("SHOT_CORRUPT", f"{name} is missing from {folder}", "capture the shot again")
        try:
            found = sha256_file(path)
        except OSError as error:
            raise LucidError("SHOT_CORRUPT", f"{name} in {folder} cannot be read: {error.strerror or error}",
                             "check that the file is yours to read, or capture the shot again") from error
        if found != expected:
            raise LucidError("SHOT_CORRUPT", f"{name} in {folder} is not what was captured (its hash differs)",
                             "capture the shot again, or restore that file")


def every_sequence(shot: Shot) -> Iterator[Sequence]:
    """The shot's own passes, then each layer's."""
    yield from shot.passes
    for layer in shot.layers:
        yield from layer.sequences
