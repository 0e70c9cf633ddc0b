# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process may ask of others: whether one is there, and to keep off a file that is locked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .store import disk_error

# for Popen, of what this process's end and its terminal's Ctrl-C are not to reach: a session of its own; on Windows
# CREATE_NO_WINDOW and CREATE_NEW_PROCESS_GROUP, so that no console appears either
DETACHED: dict[str, Any] = {"creationflags": 0x08000200} if sys.platform == "win32" else {"start_new_session": True}
_BEHIND = 1 << 30       # Windows locks bytes, and nobody reads one so far behind the end


def alive(pid: int) -> bool:
    """Whether there is a process with this number on this machine. After a reboot it may be quite another one."""
    if not 0 < pid < 1 << 31:
        return False
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
