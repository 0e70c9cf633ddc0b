# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process may ask of others: whether one is there, and to keep off a file that is locked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .store import disk_error

_BEHIND = 1 << 30       # Windows locks bytes, and nobody reads one so far behind the end


def alive(pid: int) -> bool:
    """Whether there is a process with this number on this machine."""
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


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file, which stays as it is, as long as the context lasts; False where another process, or another such context, has
    it. The lock goes with its process, also by kill -9. Raises DISK_WRITE for a file that cannot be written or locked."""
    try:
        stream = path.open("r+b")
    except OSError as error:
        raise disk_error(path, error) from error
    with stream:
        try:
            mine = _try(stream)
        except OSError as error:
            raise disk_error(path, error) from error
        yield mine


def _try(stream: BinaryIO) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            stream.seek(_BEHIND)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
