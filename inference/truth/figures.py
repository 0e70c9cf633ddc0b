# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measure says: a number with its bar, or why there is none. A guess is not an answer."""

from __future__ import annotations

from ..shot.verdicts import Bar, Figure, Outcome, Spot

__all__ = ["Bar", "Figure", "Outcome", "Spot", "unmeasured"]


def unmeasured(metric: str, key: str, unit: str, reason: str, *, bar: Bar | None = None, object: str = "") -> Figure:
    """A figure that cannot be had, and why."""
    return Figure(metric, key, None, unit, bar, object, reason)
