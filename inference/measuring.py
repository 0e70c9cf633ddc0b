# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``measure``, and the order in which takes obey their shot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from .console import say
from .errors import LucidError
from .shot.model import Shot
from .shot.store import open_shot, write_atomic
from .shot.takes import State, Take, get_take, list_takes
from .shot.verdict_file import FILE, HEAT, verdict_to_json, write_verdict
from .shot.verdicts import Outcome, Verdict, brief

REPORT = "verdict.html"
#: codes of shots that no take can be measured against
UNMEASURABLE = ("PASS_MISSING", "CAMERA_PERSPECTIVE")
#: exit status of --strict for a verdict that fails, or says nothing
EXIT_FAILED = 1


def add_measure(parser: argparse.ArgumentParser) -> None:
    """The flags of the verb."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--take", type=int, default=None, metavar="N", help="which take (default: the newest that is done)")
    what.add_argument("--beauty", action="store_true", help="what Cycles rendered, of a shot captured with the pass beauty")
    parser.add_argument("--alone", action="store_true", help="without the beauty's numbers beside the take's: in half the time")
    parser.add_argument("--heat", action="store_true", help="write heat maps into the take, for the timeline")
    parser.add_argument("--html", type=Path, default=None, metavar="FILE",
                        help=f"where the report goes (default: {REPORT} in the take; none of the beauty)")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON instead of the summary")
    parser.add_argument("--strict", action="store_true", help=f"exit status {EXIT_FAILED} unless the verdict is a pass")
    parser.set_defaults(function=measure)


def measure(arguments: argparse.Namespace) -> int:
    """Measure a take or the beauty, write verdict and report, and say what came out."""
    folder: Path = arguments.shot
    shot = open_shot(folder)
    take = None if arguments.beauty else _chosen(folder, arguments.take)
    verdict = verdict_for(folder, shot, take, beauty=not arguments.alone, heat=arguments.heat,
                          html=arguments.html, quiet=arguments.json)
    if arguments.json:
        say(json.dumps(verdict_to_json(verdict), indent=2, ensure_ascii=False))
    else:
        from .truth.report.summary import summary

        for line in summary(verdict, folder):
            say(line)
    passed = verdict.total.outcome is Outcome.PASS
    return EXIT_FAILED if arguments.strict and not passed else 0


def verdict_for(folder: Path, shot: Shot, take: Take | None, *, beauty: bool = True, heat: bool = False,
                html: Path | None = None, quiet: bool = False) -> Verdict:
    """Measure ``take``, or the beauty for None, of a verified shot; write verdict.json and the report into the take. Raises what
    :mod:`lucid.inference.truth.measure` does, and DISK_WRITE."""
    from .truth.measure import Wanted, measure_beauty, measure_take
    from .truth.pictures import beauty_pictures, final_pictures, has_beauty
    from .truth.report.page import html_report

    said = -1

    def progress(done: int, of: int) -> None:
        nonlocal said
        tenth = 10 * done // of
        if tenth != said and not quiet:
            say(f"  measured {done} of {of} frames")
            said = tenth

    if take is None:
        verdict, pictures = measure_beauty(folder, shot, progress), beauty_pictures(folder, shot)
    else:
        wanted = Wanted(beauty, take.folder / HEAT if heat else None)
        verdict, pictures = measure_take(folder, shot, take, wanted, progress), final_pictures(take, shot)
        write_verdict(take.folder / FILE, verdict)
        html = html or take.folder / REPORT
    if html is not None:
        ideal = beauty_pictures(folder, shot) if take is not None and has_beauty(shot) else None
        write_atomic(html, html_report(verdict, shot, folder, pictures, ideal).encode())
        if not quiet:
            say(f"report: {html}")
    return verdict


def ranked(folder: Path, shot: Shot, takes: Sequence[Take]) -> list[Take]:
    """Measure takes that are done and say which obeys the shot best; the best first. Raises what :func:`verdict_for` does."""
    from .truth.ranking import rank

    verdicts = [verdict_for(folder, shot, take, beauty=False) for take in takes]
    order = [verdict.take for verdict in rank(verdicts)]
    totals = {verdict.take: verdict.total for verdict in verdicts}
    for place, number in enumerate(order, 1):
        say(f"{place}. take {number}: {brief(totals[number])}")
    return sorted(takes, key=lambda take: order.index(take.number))


def _chosen(folder: Path, number: int | None) -> Take:
    if number is not None:
        return get_take(folder, number)
    done = [take for take in list_takes(folder) if take.state() is State.DONE]
    if not done:
        raise LucidError("TAKE_MISSING", f"{folder} has no take that is done", f"generate one: generate {folder}")
    return done[-1]
