# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of takes: the folders of a shot's takes are called by them, and none is ever given twice."""

from __future__ import annotations

import re
from pathlib import Path

from .store import disk_error

_NUMBER = re.compile(r"[0-9]{4,9}")
_DELETED = re.compile(r"\.deleted-([0-9]{4,9})")         # an empty file: no number up to this one is given again


def take_number(path: Path) -> int | None:
    """Which take a folder is called as; None for another name. Each number has one name alone: "0003", "12345"."""
    number = int(path.name) if _NUMBER.fullmatch(path.name) else 0
    return number if f"{number:04d}" == path.name else None


def reserve(root: Path) -> Path:
    """Make the folder of the next take below ``root``: its creation is the lock, so two processes never share a number.

    A number is not given again where its take was deleted: strips and notes would mean another one. Raises DISK_WRITE.
    """
    try:
        root.mkdir(exist_ok=True)
        number = max((take_number(path) or 0 for path in root.iterdir() if path.is_dir()), default=0) + 1
        while True:
            number = max(number, _last_deleted(root) + 1)       # asked after the list: it is noted before a take goes
            folder = root / f"{number:04d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            if _last_deleted(root) < number:
                return folder
            folder.rmdir()      # another process took the number and deleted it meanwhile
    except OSError as error:
        raise disk_error(root, error) from error


def note_deleted(root: Path, number: int) -> None:
    """From now on no new take below ``root`` has this number or a lower one. Raises DISK_WRITE."""
    try:
        (root / f".deleted-{number:04d}").touch()
        for older in [path for path in root.iterdir() if 0 <= _deleted_number(path) < _last_deleted(root)]:
            older.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(root, error) from error


def _last_deleted(root: Path) -> int:
    return max(map(_deleted_number, root.iterdir()), default=-1)


def _deleted_number(path: Path) -> int:
    """-1 for what says of no take that it was deleted."""
    match = _DELETED.fullmatch(path.name)
    return int(match[1]) if match else -1
