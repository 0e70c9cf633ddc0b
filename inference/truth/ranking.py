# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several takes of a shot obeys it best."""

from __future__ import annotations

from collections.abc import Iterable

from ..shot.verdicts import Outcome, Verdict


def rank(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The best first: with the fewest figures that do not hold, then the highest score, then the lowest take number.

    A figure with a bar that another of these takes can be measured by, and this one cannot, does not hold here: pictures in
    which nothing can be followed must not win by that. Takes of which nothing could be measured come last.
    """
    found = list(verdicts)
    known = {figure.name for verdict in found for outcome in (Outcome.PASS, Outcome.FAIL) for figure in verdict.of(outcome)}

    def key(verdict: Verdict) -> tuple[bool, int, float, int]:
        held = {figure.name for figure in verdict.of(Outcome.PASS)}
        score = verdict.total.score
        return score is None, len(known - held), -(score or 0.0), verdict.take or 0

    return sorted(found, key=key)
