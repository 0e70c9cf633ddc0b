# SPDX-License-Identifier: GPL-3.0-or-later
"""One long command as one line of progress: its chatter goes to a log, its last lines come back when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...inference.errors import LucidError

SPINNER = "|/-\\"
TICK_SECONDS = 0.2
QUIET_SECONDS = 20.0        # without a terminal: how often a line says that the step is alive
TAIL_LINES = 15


def say(text: str) -> None:
    """A line for the person at the terminal; stdout is left to what the verbs themselves have to say."""
    sys.stderr.write(f"lucid: {text}\n")
    sys.stderr.flush()


def run_step(text: str, command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None,
             cwd: Path | None = None) -> float:
    """Run ``command`` with its output appended to ``log``; returns the seconds it took.

    Raises SETUP_FAILED with the command's last line; the lines before it are shown first.
    """
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=env and dict(env), cwd=cwd,
                                   close_fds=False)      # it holds the lock too, see lock.py
    except OSError as error:
        raise LucidError("SETUP_FAILED", f"{text}: {command[0]} cannot be started: {error.strerror or error}",
                         "run `python3 scripts/lucid.py doctor`") from error
    reader = threading.Thread(target=_drain, args=(process, log, tail), daemon=True)
    reader.start()
    try:
        _watch(text, process, tail, started)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    reader.join()
    if process.returncode != 0:
        sys.stderr.write("".join(f"    {line}\n" for line in tail))
        last = tail[-1] if tail else f"exit status {process.returncode}"
        raise LucidError("SETUP_FAILED", f"{text} failed: {last}", f"the whole log is {log}")
    return time.monotonic() - started


def _drain(process: subprocess.Popen[bytes], log: Path, tail: deque[str]) -> None:
    assert process.stdout is not None
    with log.open("ab") as stream:
        for raw in process.stdout:
            stream.write(raw)
            stream.flush()
            line = raw.decode("utf-8", "replace").rsplit("\r", 1)[-1].strip()
            if line:
                tail.append(line)


def _watch(text: str, process: subprocess.Popen[bytes], tail: deque[str], started: float) -> None:
    terminal = sys.stderr.isatty()
    if not terminal:
        say(f"{text} ...")
    told = started
    while True:
        try:
            process.wait(TICK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            latest = tail[-1] if tail else ""
            if terminal:
                _redraw(f"{SPINNER[int((now - started) / TICK_SECONDS) % 4]} {text}, {now - started:.0f} s  {latest}")
            elif now - told >= QUIET_SECONDS:
                told = now
                say(f"{text}, {now - started:.0f} s: {latest[:90]}")
    if terminal:
        _redraw("")
    if process.returncode == 0:
        say(f"{text}: done in {time.monotonic() - started:.0f} s")


def _redraw(line: str) -> None:
    width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    sys.stderr.write("\r\x1b[K" + line[:width - 1])
    sys.stderr.flush()
