# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict with everything in it, for tests of what is said about one."""

from __future__ import annotations

from lucid.inference.shot.verdicts import Bar, Figure, Measured, Repair, Spot, Verdict, judge

FIGURES = (
    Figure("motion", "epe", 0.05, "px", Bar(highest=0.3), "environment", series=((1, 0.04), (2, 0.06)), beauty=0.045,
           counts={"points": 812}),
    Figure("motion", "epe", 4.25, "px", Bar(highest=0.3), "Walker", series=((1, 0.5), (2, 4.25), (3, 1.0)), beauty=0.05,
           worst=(Spot("Walker", 2, 3, 4.25, (30, 20)), Spot("Walker", 1, 1, 0.5))),
    Figure("motion", "dynamic", 1.02, "", Bar(0.8, 1.2), "Walker"),
    Figure("camera", "rotation", None, "deg", Bar(highest=0.3), reason="fewer than 30 points could be followed"),
    Figure("camera", "lag", None, "frames", Bar(-0.25, 0.25), reason="fewer than 30 points could be followed"),
    Figure("adherence", "edges", 0.91, "", None, worst=(Spot("", 4, 4, 0.8),)),
)


def make_verdict(figures: tuple[Figure, ...] = FIGURES, take: int | None = 3, repairs: tuple[Repair, ...] = ()) -> Verdict:
    return Verdict("ab" * 32, take, Measured.FINAL, figures, judge(figures), {"lucid": "0.1.0"}, {"motion": 1.5}, repairs)
