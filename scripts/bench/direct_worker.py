# SPDX-License-Identifier: GPL-3.0-or-later
"""Lucid's own command line in a process that counts: ``python direct_worker.py LOG VERB ...``.

A line of LOG for each ``call`` of the transformer, each prediction that was ``kept`` on disk, and, at an orderly end, the
``peak`` memory in bytes. What the command line does is left as it is.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Log:
    """Lines of JSON, each in one write, so that a killed process leaves whole lines."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def __call__(self, **fact: Any) -> None:
        os.write(self.file, (json.dumps(fact) + "\n").encode())


def read_log(path: Path) -> list[dict[str, Any]]:
    """The facts so far."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.is_file() else []


def after(function: Callable[..., Any], tell: Callable[..., None]) -> Callable[..., Any]:
    """``function``, and then ``tell`` with the same arguments."""
    @functools.wraps(function)
    def told(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        tell(*arguments)
        return result

    return told


def watch(log: Log) -> None:
    """From here on the classes that predict and keep predictions tell the log."""
    from diffusers import WanVACETransformer3DModel
    from lucid.inference.adapters.kept import RunStore

    def called(*_arguments: Any) -> None:
        log(call=1)

    def kept(store: RunStore, place: Any, _prediction: Any) -> None:
        log(kept=[store.folder.name, place.step, place.call, place.window])

    WanVACETransformer3DModel.forward = after(WanVACETransformer3DModel.forward, called)
    RunStore.save_prediction = after(RunStore.save_prediction, kept)     # type: ignore[method-assign]


def main() -> int:
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.inference.cli import main as command_line
    from lucid.scripts.bench.model import peak_bytes

    log = Log(Path(sys.argv[1]))
    watch(log)
    status = command_line(sys.argv[2:])
    log(peak=peak_bytes())
    return status


if __name__ == "__main__":
    sys.exit(main())
