# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on files beside Blender's main thread, for iterators that are driven in small steps."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
_TURN = 0.01            # seconds: a step that waits holds the main thread no longer


def beside(call: Callable[[], T]) -> Generator[None, None, T]:
    """Run ``call``, which must not touch bpy, in a thread; yields until it is done and returns what it does. Closing it early
    waits for the end. Raises what ``call`` raises."""
    with ThreadPoolExecutor(1, "lucid-beside") as pool:
        future = pool.submit(call)
        while wait([future], _TURN).not_done:
            yield
        return future.result()
