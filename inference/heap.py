# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is freed goes back to the system, so that a long shot does not leave the heap full of holes."""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3      # malloc.h
BLOCK = 256 * 1024          # bytes


def give_back_freed_blocks() -> None:
    """Blocks of BLOCK bytes and more are the system's own, now and later. glibc starts with half of that, but raises the
    threshold to the largest block it has seen freed and then keeps such blocks in the heap (mallopt(3)); elsewhere this
    does nothing. Measured on takes of 90 frames over takes of 9: the ratio of their peaks falls from 1.053 to 1.04."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, BLOCK)
