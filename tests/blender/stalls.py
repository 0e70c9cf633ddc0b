# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Lucid holds Blender's main thread at a time, call by call, by the interpreter's own events (``sys.monitoring``)."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from pathlib import Path
from types import CodeType
from typing import Any

_TOOL = 4               # a number that no tool of Python's own has
_EVENTS = sys.monitoring.events


class Stalls:
    """Counts the time from where Blender calls into ``package`` (a folder) to where it has its thread back.

    ``phase`` names what goes on. What is spent in the functions called ``excepted`` does not count.
    """

    def __init__(self, package: Path, excepted: frozenset[str] = frozenset()) -> None:
        self.phase = ""
        self._package, self._main = f"{package}/", threading.main_thread().ident
        self._excepted, self._outside, self._inside = excepted, _Clock(), _Clock()
        self._calls: dict[tuple[str, str], list[tuple[float, float]]] = {}
        sys.monitoring.use_tool_id(_TOOL, "stalls")
        wanted = 0
        for event, heard in ((_EVENTS.PY_START, self._enter), (_EVENTS.PY_RESUME, self._enter), (_EVENTS.PY_THROW, self._thrown),
                             (_EVENTS.PY_RETURN, self._leave), (_EVENTS.PY_YIELD, self._leave),
                             (_EVENTS.PY_UNWIND, self._unwound)):
            sys.monitoring.register_callback(_TOOL, event, heard)
            wanted |= event
        sys.monitoring.set_events(_TOOL, wanted)

    def told(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """By phase and called function, in milliseconds: the longest call by the thread's own clock, which does not run while
        others have the processor; and by the clock on the wall the median call (0 of fewer than ten) and the longest."""
        found: dict[str, dict[str, tuple[float, float, float]]] = {}
        for (phase, name), spent in self._calls.items():
            own, wall = zip(*spent, strict=True)
            times = max(own), statistics.median(wall) if len(wall) >= 10 else 0.0, max(wall)
            found.setdefault(phase, {})[name] = tuple(round(1000.0 * each, 2) for each in times)
        return found

    def _enter(self, code: CodeType, *rest: Any) -> Any:
        if not code.co_filename.startswith(self._package):
            return sys.monitoring.DISABLE       # never told of it again
        self._thrown(code, *rest)
        return None

    def _leave(self, code: CodeType, *rest: Any) -> Any:
        if not code.co_filename.startswith(self._package):
            return sys.monitoring.DISABLE
        self._unwound(code, *rest)
        return None

    def _thrown(self, code: CodeType, *_rest: Any) -> None:
        """These two events cannot be switched off for a piece of code."""
        if code.co_filename.startswith(self._package) and threading.get_ident() == self._main:
            self._outside.enter()
            if code.co_qualname in self._excepted:
                self._inside.enter()

    def _unwound(self, code: CodeType, *_rest: Any) -> None:
        if not code.co_filename.startswith(self._package) or threading.get_ident() != self._main:
            return
        if code.co_qualname in self._excepted:
            self._inside.leave()
        if self._outside.leave():
            name = f"{Path(code.co_filename).stem}.{code.co_qualname}"
            spent, away = self._outside.taken(), self._inside.taken()
            self._calls.setdefault((self.phase, name), []).append((spent[0] - away[0], spent[1] - away[1]))


class _Clock:
    """Runs between the outermost of nested pairs of :meth:`enter` and :meth:`leave`."""

    def __init__(self) -> None:
        self._depth, self._since, self._sum = 0, (0.0, 0.0), (0.0, 0.0)

    def enter(self) -> None:
        if self._depth == 0:
            self._since = time.thread_time(), time.perf_counter()
        self._depth += 1

    def leave(self) -> bool:
        """Whether it stands still now."""
        self._depth -= 1
        if self._depth == 0:
            now = time.thread_time(), time.perf_counter()
            self._sum = self._sum[0] + now[0] - self._since[0], self._sum[1] + now[1] - self._since[1]
        return self._depth == 0

    def taken(self) -> tuple[float, float]:
        """The seconds of the thread and of the wall since the last question."""
        found, self._sum = self._sum, (0.0, 0.0)
        return found
