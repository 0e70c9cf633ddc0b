# SPDX-License-Identifier: GPL-3.0-or-later
"""One launcher at a time makes a thing; the others wait. The lock dies with its process, also with kill -9, and with the
step that it was running: pip may outlive a killed launcher, and nobody may build in its folder before it is gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .steps import say


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path`` (made when missing); says so once when it has to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        if not _try_lock(stream.fileno()):
            say(f"another launcher is at work, waiting for it ({path.name})")
            while not _try_lock(stream.fileno()):
                time.sleep(0.5)
        os.set_inheritable(stream.fileno(), True)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
