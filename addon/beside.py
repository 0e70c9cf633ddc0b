# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on files beside Blender's main thread, for iterators that are driven in small steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from ..inference.shot.store import Stop

T = TypeVar("T")
_TURN = 0.01            # seconds: a step that waits holds the main thread no longer


def beside(call: Callable[[Stop], T]) -> Generator[None, None, T]:
    """Run ``call``, which must not touch bpy, in a thread; yields until it is done and returns what it does. Closing it early
    waits for the end, so ``call`` asks the stop it is given from file to file: True means that nobody wants the rest. Raises
    what ``call`` raises."""
    over = threading.Event()
    with ThreadPoolExecutor(1, "lucid-beside") as pool:
        future = pool.submit(call, over.is_set)
        try:
            while wait([future], _TURN).not_done:
                yield
        finally:
            over.set()          # before the pool ends, which waits for its thread
        return future.result()
