# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict on one screen of text."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ...shot.verdicts import Figure, Outcome, Verdict
from ..meaning import allowed, amount, beside_beauty, label, spot_text
from ..repair import command

WIDTH = 100
LINES = 40
_MOST_ROWS = 16
_MOST_SPOTS = 4
_MOST_REASONS = 6
_COLUMNS = (5, 30, 18, 14, 16, 12)


def summary(verdict: Verdict, folder: Path) -> list[str]:
    """Up to LINES lines of up to WIDTH characters, commands apart, which are not broken: the total, a table with what failed
    first, the worst spots, what cannot be measured and why, and what may mend it. ``folder`` is the shot's."""
    rows = sorted(verdict.of(Outcome.FAIL) + verdict.of(Outcome.PASS), key=lambda figure: -(figure.excess or 0.0))
    lines = textwrap.wrap(headline(verdict), WIDTH)
    if rows:
        lines += ["", _row(("", "measure", "of", "value", "allowed", "beauty"))]
        lines += [_row(_cells(figure)) for figure in rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        left = rows[_MOST_ROWS:]
        failed = sum(figure.outcome is Outcome.FAIL for figure in left)
        lines.append(f"      and {len(left)} more, " + (f"{failed} of them fail" if failed else "which hold"))
    return [*lines, *_spots(verdict), *_unmeasured(verdict), *_repairs(verdict, folder)]


def headline(verdict: Verdict) -> str:
    """ "take 3: FAIL, 12 of 15 measures hold, 2 not measurable, score 83"."""
    held, failed, unknown = (len(verdict.of(outcome)) for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.NOT_MEASURABLE))
    what = "beauty" if verdict.take is None else f"take {verdict.take}"
    words = [f"{what}: {verdict.total.outcome.value.upper()}"]
    words += [f"{held} of {held + failed} measures hold"] if held + failed else []
    words += [f"{unknown} not measurable"] if unknown else []
    words += [] if verdict.total.score is None else [f"score {verdict.total.score:.0f}"]
    return ", ".join(words)


def unmeasured_by_reason(verdict: Verdict) -> dict[str, list[Figure]]:
    """The figures that cannot be had, by the reason why."""
    reasons: dict[str, list[Figure]] = {}
    for figure in verdict.of(Outcome.NOT_MEASURABLE):
        reasons.setdefault(figure.reason, []).append(figure)
    return reasons


def _cells(figure: Figure) -> tuple[str, ...]:
    return ("FAIL" if figure.outcome is Outcome.FAIL else "ok", label(figure), figure.object or "picture",
            amount(figure.value or 0.0, figure.unit), allowed(figure.bar, figure.unit), beside_beauty(figure))


def _row(cells: tuple[str, ...]) -> str:
    """Cells cut to their columns, which one space parts."""
    return " ".join(_cut(cell, width).ljust(width) for cell, width in zip(cells, _COLUMNS, strict=True)).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width - 1] + "~"


def _spots(verdict: Verdict) -> list[str]:
    failed = sorted(verdict.of(Outcome.FAIL), key=lambda figure: -(figure.excess or 0.0))
    worst = [f"  {spot_text(figure.worst[0], figure.unit)} ({label(figure)})" for figure in failed if figure.worst]
    return ["", "worst:", *(_cut(line, WIDTH) for line in worst[:_MOST_SPOTS])] if worst else []


def _unmeasured(verdict: Verdict) -> list[str]:
    """A line for each reason, with what it is the reason of."""
    reasons = unmeasured_by_reason(verdict)
    lines = [_cut(f"  {reason}: {', '.join(dict.fromkeys(map(_called, figures)))}", WIDTH) for reason, figures in reasons.items()]
    if len(lines) > _MOST_REASONS:
        lines[_MOST_REASONS - 1:] = [f"  and {len(lines) - _MOST_REASONS + 1} more reasons"]
    return ["", "not measurable:", *lines] if lines else []


def _called(figure: Figure) -> str:
    return label(figure) + (f" of {figure.object}" if figure.object else "")


def _repairs(verdict: Verdict, folder: Path) -> list[str]:
    return ["", "may mend it:", *(f"  {command(repair, folder)}" for repair in verdict.repairs)] if verdict.repairs else []
