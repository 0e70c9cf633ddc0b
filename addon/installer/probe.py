# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the worker's own Python: names the one thing that is wrong with it. Stands alone; takes and prints one JSON object.

In: ``python`` [3, 11], ``imports`` [module], ``floors`` {distribution: version}, ``device`` cuda, mps, cpu or empty.
Out: ``said`` (words), or ``code``, ``text`` and ``hint`` of a LucidError.
"""

import importlib
import importlib.metadata
import json
import re
import sys
from typing import Any


def probe(wanted: dict[str, Any]) -> dict[str, str]:
    """The first thing that is wrong, else what there is."""
    if sys.version_info[:2] < tuple(wanted["python"]):
        return _wrong("WORKER_OLD", f"its Python is {sys.version.split()[0]}, too old: Lucid needs "
                      + ".".join(map(str, wanted["python"])))
    for name in wanted["imports"]:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  a broken package may raise anything while it is imported
            reason = str(error).strip().splitlines()
            return _wrong("WORKER_BROKEN", f"import {name} fails: {type(error).__name__}: {reason[-1] if reason else ''}")
    for name, floor in wanted["floors"].items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return _wrong("WORKER_BROKEN", f"{name} is not installed")
        if _numbers(version) < _numbers(floor):
            return _wrong("WORKER_OLD", f"{name} is {version}, too old: Lucid needs {floor}")
    return _device(wanted["device"]) or {"said": _words(wanted["floors"])}


def _device(device: str) -> dict[str, str]:
    """Empty, or why torch cannot compute on ``device``."""
    if not device:
        return {}
    torch = importlib.import_module("torch")      # the worker's, by whose Python this is run
    try:
        torch.ones(8, 8, device=device).matmul(torch.ones(8, 8, device=device)).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0].partition(". ")[0]      # torch goes on about its insides
        return _wrong("WORKER_DEVICE", f"torch cannot compute on {device}: {reason}",
                      "update the graphics driver, or install for the processor alone")
    return {}


def _words(floors: dict[str, str]) -> str:
    parts = [f"Python {sys.version.split()[0]}", *(f"{name} {importlib.metadata.version(name)}" for name in floors)]
    torch = sys.modules.get("torch")
    if torch is not None:
        parts.append(torch.cuda.get_device_name(0) if torch.cuda.is_available()
                     else "Apple graphics" if torch.backends.mps.is_available() else "on the processor")
    return ", ".join(parts)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part]


def _wrong(code: str, text: str, hint: str = "repair it in the Lucid preferences") -> dict[str, str]:
    return {"code": code, "text": text, "hint": hint}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(json.loads(sys.argv[1]))) + "\n")
