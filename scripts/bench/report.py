# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benches share: the Python they go on under, the table of their bars, and the JSON line they end with."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping

#: (figure, lowest, highest) that it is held to
Bar = tuple[str, float, float]


def go_on_with(module: str) -> None:
    """Return where this Python has ``module``: "torch", which the worker's has, or "bpy". Elsewhere the script starts again under
    the one that has it, made first where there is none yet. Raises LucidError where it cannot be made."""
    if importlib.util.find_spec(module) is not None:
        return
    from lucid.scripts.setup.environments import BPY, worker_python

    python = str(BPY.ensure(tests=True) if module == "bpy" else worker_python())
    os.execv(python, [python, *sys.argv])


def json_line(figures: Mapping[str, float]) -> str:
    """One flat JSON object in one line: four digits, null for what was not measured."""
    return json.dumps({name: _plain(value) for name, value in figures.items()}) + "\n"


def table(figures: Mapping[str, float], bars: Iterable[Bar], digits: str = ".4g") -> str:
    """A line for each figure that has a bar: what was found (NaN: nothing), what is asked, whether that is met, and what is found
    in the truth where ``figures`` have it as ``NAME_truth``; numbers with these ``digits``."""
    lines = []
    for name, low, high in bars:
        value, truth = figures[name], figures.get(f"{name}_truth")
        met = "not measured" if math.isnan(value) else "yes" if low <= value <= high else "NO"
        line = f"{name:30s} {value:9{digits}}  {_asked(low, high):14s} {met:12s}"
        lines.append(line.rstrip() if truth is None else f"{line} truth {truth:{digits}}")
    return "\n".join(lines) + "\n"


def _asked(low: float, high: float) -> str:
    """A bar in words. Where the lowest is 0 a figure cannot be less; 1 as the highest is a share's, which cannot be more."""
    if low == high:
        return f"{low:g}"
    if low == 0:
        return f"<= {high:.4g}"
    return f">= {low:g}" if high in (1, math.inf) else f"{low:g} to {high:.4g}"


def _plain(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
