# SPDX-License-Identifier: GPL-3.0-or-later
"""A real worker for tests: a process of its own, in a home of its own, found and asked as Blender does it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.worker import client
from lucid.inference.worker.client import Server

ENTRY = Path(__file__).resolve().parents[1] / "inference"
PATIENCE = 300.0        # seconds; a busy machine may take long to load torch

T = TypeVar("T")


def until(found: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """Ask again and again, until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
    return answer


@contextmanager
def home(folder: Path) -> Iterator[Path]:
    """LUCID_HOME for the test and for the workers it starts; none of these outlives it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCID_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        try:
            yield folder
        finally:
            for process in client._spawned:
                process.kill()
                process.wait()
            client.reap()
            with suppress(LucidError):
                other = client.find()       # one that a process of the test started
                if other is not None:
                    os.kill(other.record.pid, signal.SIGKILL)


def started(*arguments: str) -> Server:
    return until(client.start(Path(sys.executable), ENTRY, arguments=arguments).poll)
