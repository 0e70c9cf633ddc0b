# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves of a training folder as one picture."""

from __future__ import annotations

import csv
from pathlib import Path


def _columns(path: Path) -> dict[str, list[float]]:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}


def plot(work: Path, picture: Path) -> None:
    """Training error (mean, and near the start of sampling), validation error and learning rate over minutes -> PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    train, held_out = _columns(work / "loss.csv"), work / "validation.csv"
    minutes = [seconds / 60 for seconds in train["seconds"]]
    axes.plot(minutes, train["error"], linewidth=0.8, label="training, all noise levels")
    axes.plot(minutes, train["error_at_start"], linewidth=0.8, label="training, t > 0.8")
    if held_out.exists() and (found := _columns(held_out)):
        axes.plot([s / 60 for s in found["seconds"]], found["error"], marker=".", label="validation scenes, averaged weights")
    axes.set(xlabel="minutes", ylabel="mean squared error of the clean latents", ylim=(0, None))
    rates = axes.twinx()
    rates.plot(minutes, train["lr"], color="0.8", linewidth=0.8)
    rates.set(ylabel="learning rate (grey)", ylim=(0, None))
    axes.legend()
    figure.savefig(picture, dpi=110)
