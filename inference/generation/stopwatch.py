# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take took while it was painted, for the estimate of the next one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import torch

from ..adapters.base import device
from ..conditioning.estimate import Speed, Work

_AGAIN = 0.1            # seconds: a model that is there sooner was loaded before
_OWN = Path("/proc/self")


class Stopwatch:
    """Started with a take, told of the loaded model and of every prediction."""

    def __init__(self) -> None:
        self._started, self._loading = time.monotonic(), 0.0
        self._layer, self._last = "", 0.0
        self._gaps, self._between = 0, 0.0
        self._base = 0
        _forget_peak()

    def loaded(self, since: float) -> None:
        """The model, asked for at ``since`` of time.monotonic, is there."""
        seconds = time.monotonic() - since
        self._loading = seconds if seconds > _AGAIN else 0.0
        self._base = torch.cuda.memory_allocated() if torch.cuda.is_available() else _resident("VmRSS:")

    def predicted(self, layer: str) -> None:
        """One prediction of the ``layer`` is there. The first of a layer waits for its controls, so it is not timed."""
        now = time.monotonic()
        if layer == self._layer:
            self._gaps, self._between = self._gaps + 1, self._between + now - self._last
        self._layer, self._last = layer, now

    def speed(self, work: Work, calls: int) -> Speed | None:
        """The take is done, with ``calls`` predictions in all; None where too few of them were timed to tell anything."""
        if self._gaps == 0 or work.volume == 0:
            return None
        predictions = self._between / self._gaps * calls
        rest = max(0.0, time.monotonic() - self._started - self._loading - predictions)
        memory, capacity = self._peak()
        return Speed(work, device(), round(self._loading, 3), round(predictions, 3), round(rest, 3), memory,
                     self._base, capacity)

    def _peak(self) -> tuple[int, int]:
        """Most bytes that were used at a time, and how many there are: of the GPU where there is one. 0: nobody knows."""
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated()), int(torch.cuda.get_device_properties(0).total_memory)
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
        return _resident("VmHWM:"), there


def _forget_peak() -> None:
    """From here on it is this take's: CUDA can count anew, and so can Linux (proc_pid_clear_refs(5)) where it is allowed."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        (_OWN / "clear_refs").write_text("5", encoding="ascii")


def _resident(name: str) -> int:
    """Bytes of this process in memory, now (VmRSS) or at most (VmHWM), as Linux counts them; 0 elsewhere."""
    try:
        lines = (_OWN / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
