# SPDX-License-Identifier: GPL-3.0-or-later
"""``lucid.py test``: every ring that this machine can run, which were skipped and why, and one line that sums up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...inference.errors import LucidError
from . import debian
from .blender import find_binary
from .environments import BPY, explicit_worker, worker_python
from .home import REPOSITORY
from .steps import say
from .verbs import child_environ

RINGS = ("pure", "bpy", "blender")
TYPED = ("lucid.inference", "lucid.scripts.setup")
NOTHING_COLLECTED = 5
TESTS_FAILED = (0, 1)


@dataclass(frozen=True)
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def test(arguments: Sequence[str]) -> int:
    """Run the rings; arguments other than ``--rings A,B`` go to pytest. Returns 1 if anything failed."""
    rings, forwarded = _split(arguments)
    total, lines = Tally(), []
    for name in RINGS:
        if name not in rings:
            lines.append(f"ring {name}: not asked for")
            continue
        started = time.monotonic()
        try:
            tally = _ring(name)(forwarded)
        except LucidError as error:
            broken = error.code == "SETUP_FAILED"       # what this machine could have had, and not what it lacks
            tally = Tally(failed=1) if broken else Tally(skipped=1)
            lines.append(f"ring {name}: {'FAILED' if broken else 'SKIPPED'}, {error}")
        else:
            lines.append(f"ring {name}: {tally} in {time.monotonic() - started:.0f} s")
        total += tally
    for line in lines:
        say(line)
    sys.stdout.write(f"{total}\n")
    return 1 if total.failed or not total.passed else 0


def _split(arguments: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    rings: tuple[str, ...] = RINGS
    forwarded: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--rings" or argument.startswith("--rings="):
            value = argument.partition("=")[2] or next(rest, "")
            rings = tuple(value.split(","))
        else:
            forwarded.append(argument)
    unknown = [name for name in rings if name not in RINGS]
    if unknown:
        raise LucidError("USAGE", f"there is no ring '{unknown[0]}'", f"--rings takes one or more of {','.join(RINGS)}")
    return rings, forwarded


def _ring(name: str) -> Callable[[list[str]], Tally]:
    return {"pure": _pure, "bpy": _bpy, "blender": _blender}[name]


def _pure(forwarded: list[str]) -> Tally:
    python = worker_python(tests=True)
    checks = Tally() if forwarded else _check_style(python) + _check_types(python)
    return checks + _pytest("pure", python, forwarded)


def _bpy(forwarded: list[str]) -> Tally:
    _worker_for_blender()
    return _pytest("bpy", BPY.ensure(tests=True), forwarded)


def _blender(forwarded: list[str]) -> Tally:
    binary = find_binary() or (debian.wrapper_path() if debian.ready() and debian.may_enter() else None)
    if binary is None:
        raise LucidError("BLENDER_MISSING", "no Blender 5.2 executable",
                         "set BLENDER_BIN; on Debian, as root, scripts/debian_blender.py makes one")
    say(f"ring blender runs {binary}")
    return _pytest("blender", worker_python(tests=True), forwarded, BLENDER_BIN=str(binary))


def _worker_for_blender() -> None:
    if explicit_worker() is None:
        worker_python()


def _pytest(ring: str, python: Path, forwarded: list[str], **environ: str) -> Tally:
    """Run one folder of tests; counts come from pytest's own XML report, crashes of the process count as a failure."""
    with tempfile.TemporaryDirectory(prefix="lucid-tests-") as folder:
        report = Path(folder) / "report.xml"
        command = [python, "-m", "pytest", f"tests/{ring}", "-rs", f"--junitxml={report}", *forwarded]
        say(f"ring {ring}: {python} -m pytest tests/{ring} {' '.join(forwarded)}".rstrip())
        status = subprocess.call([str(part) for part in command], cwd=REPOSITORY, env={**child_environ(), **environ})
        tally = read_report(report)
    if status == NOTHING_COLLECTED:
        say(f"ring {ring} holds no test that was asked for")
    elif tally is None or (status not in TESTS_FAILED and not tally.failed):
        say(f"ring {ring}: pytest ended with status {status} and no whole report, counted as a failure")
        return (tally or Tally()) + Tally(failed=1)
    return tally or Tally()


def read_report(report: Path) -> Tally | None:
    """The counts in a JUnit XML file; None when it is missing or cut off."""
    try:
        suites = ElementTree.parse(report).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError):
        return None
    total = Tally()
    for suite in suites:
        failed, skipped = (sum(int(suite.get(name, "0")) for name in names)
                           for names in (("failures", "errors"), ("skipped",)))
        total += Tally(int(suite.get("tests", "0")) - failed - skipped, failed, skipped)
    return total


def _check_style(python: Path) -> Tally:
    return _check("ruff", [python, "-m", "ruff", "check", "--no-cache", "."], REPOSITORY)


def _check_types(python: Path) -> Tally:
    """mypy wants the package under its name, whatever the clone's folder is called: a link gives it that."""
    with tempfile.TemporaryDirectory(prefix="lucid-types-") as folder:
        (Path(folder) / "lucid").symlink_to(REPOSITORY, target_is_directory=True)
        command: list[str | Path] = [
            python, "-m", "mypy", "--config-file", REPOSITORY / "pyproject.toml",
                   "--cache-dir", REPOSITORY / ".mypy_cache", *(part for name in TYPED for part in ("-p", name))]
        return _check("mypy", command, Path(folder))


def _check(name: str, command: Sequence[str | Path], folder: Path) -> Tally:
    passed = subprocess.call([str(part) for part in command], cwd=folder, env=dict(os.environ)) == 0
    say(f"{name}: {'passed' if passed else 'failed'}")
    return Tally(passed=1) if passed else Tally(failed=1)
