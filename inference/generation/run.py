# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a reserved take to its end: events while it runs, frames as they come, result.json last."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..adapters.base import Adapter, load
from ..conditioning.asked import check_request
from ..conditioning.estimate import FILE, add_speed, painted_work
from ..conditioning.habits import local_folder, read_habits
from ..errors import LucidError
from ..home import lucid_home
from ..shot.model import Shot, TakeRequest
from ..shot.store import open_shot
from ..shot.takes import State, Take
from .director import Director
from .stopwatch import Stopwatch

Listener = Callable[[dict[str, Any]], None]


class Cancelled(Exception):
    """Somebody asked the take to stop."""


class TakeRun:
    """One execution of one take. ``listener`` hears each event as it is written; ``cancelled`` is polled at every prediction;
    ``load`` gives the model of a name."""

    def __init__(self, shot_folder: Path, take: Take, listener: Listener, cancelled: Callable[[], bool],
                 load: Callable[[str], Adapter] = load) -> None:
        self.shot_folder = shot_folder
        self.take = take
        self.listener = listener
        self.cancelled = cancelled
        self.load = load
        self.started = time.monotonic()
        self.watch = Stopwatch()
        self.found: int | None = None       # predictions that an earlier process made; nobody knows before the first

    def run(self) -> State:
        """Returns DONE or CANCELLED; any failure is written into the result and raised: INTERNAL where nobody foresaw it. Raises
        TAKE_NOT_QUEUED, and writes nothing, where another process has it or had it."""
        with self.take.alone():
            self.take.check_queued()
            return self._run()

    def _run(self) -> State:
        self._emit("started")
        try:
            facts = self._generate()
        except Cancelled:
            self._finish(State.CANCELLED)
            return State.CANCELLED
        except LucidError as error:
            self._finish(State.FAILED, error=error.to_json())
            raise
        except Exception as error:
            unforeseen = LucidError("INTERNAL", " ".join(repr(error).split()),
                                    f"the traceback is in {self.take.folder / 'result.json'}; please report it")
            self._finish(State.FAILED, error=unforeseen.to_json(), traceback=traceback.format_exc())
            raise unforeseen from error
        self._finish(State.DONE, **facts)
        return State.DONE

    def _generate(self) -> dict[str, Any]:
        shot = open_shot(self.shot_folder)
        request = self.take.request()
        self.take.check_shot()
        check_request(request, shot, self.shot_folder)
        self._progress(0, 1, "loading the weights")
        asked = time.monotonic()
        adapter = self.load(request.weights)
        self.watch.loaded(asked)
        facts = Director(self.shot_folder, shot, self.take, adapter, self._step, self._note).direct()
        self._record(shot, request, facts["graph"])
        return facts

    def _record(self, shot: Shot, request: TakeRequest, graph: dict[str, dict[str, Any]]) -> None:
        """What this take took tells how long the next one will take. A resumed one tells nothing, and none fails over it."""
        folder = local_folder(request.weights)
        if self.found or folder is None:
            return
        calls = {name: int(facts["calls"]) for name, facts in graph.items() if facts.get("calls")}
        try:
            speed = self.watch.speed(painted_work(read_habits(folder), shot, request, calls), sum(calls.values()))
            if speed is not None:
                add_speed(lucid_home() / FILE, speed)
        except LucidError as error:
            self._note(f"how long this take took is not recorded: {error.text}")

    def _step(self, done: int, total: int, text: str) -> None:
        self.found = done - 1 if self.found is None else self.found
        self.watch.predicted(text.rpartition(",")[0])
        self._stop_if_asked()
        self._progress(done, total, text)

    def _stop_if_asked(self) -> None:
        if self.cancelled() or self.take.cancel_asked:
            raise Cancelled

    def _progress(self, done: int, total: int, text: str) -> None:
        elapsed = time.monotonic() - self.started
        found = self.found or 0
        left = elapsed / (done - found) * (total - done) if done > found else None
        self._emit("progress", done=done, total=total, text=text, seconds_left=left)

    def _note(self, text: str) -> None:
        self._emit("note", text=text)

    def _finish(self, state: State, **fields: Any) -> None:
        fields = {"error": None, **fields, "seconds": round(time.monotonic() - self.started, 3)}
        self.take.finish(state, **fields)
        self.listener({"event": "ended", "state": state.value})

    def _emit(self, event: str, **fields: Any) -> None:
        self.take.emit(event, **fields)
        self.listener({"event": event, **fields})


def run_takes(shot_folder: Path, takes: Sequence[Take], listener: Listener, cancelled: Callable[[], bool]) -> list[State]:
    """One take after the other, with one loaded model; a cancelled one ends the row. Raises what a take raises."""
    kept = functools.lru_cache(maxsize=1)(load)
    states = []
    for take in takes:
        states.append(TakeRun(shot_folder, take, listener, cancelled, kept).run())
        if states[-1] is State.CANCELLED:
            break
    return states
