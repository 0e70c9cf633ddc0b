# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on disk: an array too long for memory in a plain file, read and written a few frames at a time."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import LucidError
from ..shot.store import disk_error


class Reel:
    """An array (count, *shape) in the file ``path``, in C order and the machine's byte order, without a header.

    It is working space of one run: a file that is there already is written over, and leaving the context removes it. The
    file is sparse until it is written. It is read and written as a stream, never mapped: pages of a mapped file count as
    the process's own memory. Raises DISK_WRITE where it cannot be made, ValueError for a negative count.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        if count < 0:
            raise ValueError(f"a reel of {count} frames")
        self.path, self.count, self.shape, self.dtype = path, count, shape, np.dtype(dtype)
        self._written = np.zeros(count, bool)
        self._frame = math.prod(shape) * self.dtype.itemsize
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("wb+", buffering=0)
            self._stream.truncate(count * self._frame)
        except OSError as error:
            raise disk_error(path, error) from error

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Frames [start, stop) as a fresh array (stop - start, *shape).

        Raises ValueError for frames outside the reel and frames that were never written, REEL_READ where the file does not
        give them back.
        """
        self._check(start, stop)
        if not self._written[start:stop].all():
            missing = start + int(np.argmin(self._written[start:stop]))
            raise ValueError(f"frame {missing} of {self.path} was never written")
        frames = np.empty((stop - start, *self.shape), self.dtype)
        rest = frames.reshape(-1).view(np.uint8).data
        try:
            self._stream.seek(start * self._frame)
            while rest:
                done = self._stream.readinto(rest)
                if not done:
                    raise OSError("the file is shorter than it was")
                rest = rest[done:]
        except OSError as error:
            raise LucidError("REEL_READ", f"cannot read {self.path}: {error.strerror or error}",
                             "leave the files of a running take alone, and check the disk") from error
        return frames

    def write(self, start: int, frames: NDArray[Any]) -> None:
        """Put ``frames`` (n, *shape) at [start, start + n). Frames whose writing failed count as never written.

        Raises ValueError for frames of another shape or type, or outside the reel; DISK_WRITE when the disk is full.
        """
        if frames.shape[1:] != self.shape or frames.ndim != 1 + len(self.shape) or frames.dtype != self.dtype:
            raise ValueError(f"{self.path} holds {self.dtype} {self.shape}, not {frames.dtype} {frames.shape[1:]}")
        stop = start + len(frames)
        self._check(start, stop)
        self._written[start:stop] = False
        rest = np.ascontiguousarray(frames).reshape(-1).view(np.uint8).data
        try:
            self._stream.seek(start * self._frame)
            while rest:
                rest = rest[self._stream.write(rest):]
        except OSError as error:
            raise disk_error(self.path, error) from error
        self._written[start:stop] = True

    def remove(self) -> None:
        """Close and delete the file; a second time does nothing. Raises DISK_WRITE."""
        try:
            self._stream.close()
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self.path, error) from error

    def __enter__(self) -> Reel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.count:
            raise ValueError(f"frames {start} to {stop} of a reel of {self.count}")
