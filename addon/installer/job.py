# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as files in one folder, ``HOME/installer``: plan.json, install.log, cancel, and the lock of the one that is at work."""

from __future__ import annotations

from pathlib import Path

from ...inference.console import run_verb
from ...inference.errors import LucidError
from ...inference.shot.processes import locked
from .plan import Plan
from .steps import Steps, run

LOG, PLAN, CANCEL, LOCK = "install.log", "plan.json", "cancel", "lock"
BUSY = LucidError("JOB_RUNNING", "another Blender is installing the worker", "wait for it")


def main(verb: str, path: Path) -> int:
    """Do one job; exit status 0, 2 with the error on the log's last line, or 3 when cancelled."""
    return run_verb(lambda: _at_work(verb, path))


def _at_work(verb: str, path: Path) -> int:
    with locked(path.with_name(LOCK)) as mine:
        if not mine:
            raise BUSY
        steps = Steps(Plan.from_json(path.read_text(encoding="utf-8")), path.with_name(LOG))
        return run(steps.remove if verb == "remove" else steps.install, steps.cancel)
