# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict as one HTML file that needs nothing else: no network, no script, light or dark as the reader's screen is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from ...shot.model import Shot
from ...shot.verdicts import Figure, Outcome, Verdict
from ..meaning import allowed, amount, beside_beauty, key_words, label, meaning, spot_text
from ..repair import command
from ..watch import Pictures
from .plots import line_plot
from .stills import Still, stills
from .style import STYLE
from .summary import headline, unmeasured_by_reason

# never by colour alone
_SIGNS = {Outcome.PASS: ("✓", "holds"), Outcome.FAIL: ("✗", "fails"), Outcome.NOT_MEASURABLE: ("–", "not measurable"),
          Outcome.INFO: ("·", "no bar")}
_CLASSES = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.NOT_MEASURABLE: "none", Outcome.INFO: "none"}
_BEAUTY = ("The beauty column is what Cycles' own render of the scene measures: as a ratio (x 2 is twice as far off) where less"
           " is better.")
_PLOTS = 3          # of a metric, more where more failed
_SCORE = ("Each measure scores 100 when it is four times nearer to right than its bar asks, 50 at the bar and 0 four times beyond"
          " it; the score is their mean. What is not measurable counts neither way.")


def _text(text: str) -> str:
    """For HTML, with the signs that a page can show."""
    return escape(text.replace("<= ", "≤ ").replace(">= ", "≥ "))


def html_report(verdict: Verdict, shot: Shot, folder: Path, pictures: Pictures, beauty: Pictures | None = None) -> str:
    """The page of a verdict of the ``shot`` in ``folder``; ``pictures`` are those that were measured, ``beauty`` those captured
    by Cycles. Raises what they do."""
    what = "the captured beauty" if verdict.take is None else f"take {verdict.take}"
    title = _text(f"{shot.name}, {what}")
    body = [f"<header><h1>{title}</h1>{_badge(verdict.total.outcome, large=True)}", f"<p>{_text(_sentence(verdict))}</p>",
            f'<p class="quiet">{_SCORE}</p></header>', *_look(stills(verdict, shot.frames, pictures, beauty)),
            *_repairs(verdict, folder), "<h2>Measures</h2>", *_beauty(verdict), *_metrics(verdict), *_unmeasured(verdict),
            *_footer(verdict)]
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n")


def _sentence(verdict: Verdict) -> str:
    """The headline without its first words, which the page's own headline has."""
    text = headline(verdict).partition(", ")[2]
    return f"{text}." if text else "Nothing could be measured."


def _look(found: Iterable[Still]) -> list[str]:
    cards = []
    for still in found:
        images = "".join(f'<figure><img src="{url}" alt="{_text(name)}"><figcaption>{_text(name)}</figcaption></figure>'
                         for name, url in still.images)
        text = f"{spot_text(still.spot, still.figure.unit)}"
        why = f"{label(still.figure)}, allowed: {allowed(still.figure.bar, still.figure.unit)}"
        cards.append(f'<section class="still"><h3>{_sign(still.figure.outcome)} {_text(text)} <span class="quiet">{_text(why)}'
                     f'</span></h3><div class="images">{images}</div></section>')
    return ["<h2>Where it is worst</h2>", *cards] if cards else []


def _repairs(verdict: Verdict, folder: Path) -> list[str]:
    if not verdict.repairs:
        return []
    items = "".join(f"<li><strong>{_text(repair.object)}</strong>: {_text(repair.reason)}<pre>{_text(command(repair, folder))}"
                    "</pre></li>" for repair in verdict.repairs)
    return ["<h2>What may mend it</h2>", f"<ul>{items}</ul>"]


def _beauty(verdict: Verdict) -> list[str]:
    return [f'<p class="quiet">{_BEAUTY}</p>'] if any(figure.beauty is not None for figure in verdict.figures) else []


def _metrics(verdict: Verdict) -> list[str]:
    """One block for each metric, those with failures first and open."""
    groups: dict[str, list[Figure]] = {}
    for figure in verdict.figures:
        groups.setdefault(figure.metric, []).append(figure)
    return [_metric(figures) for figures in sorted(groups.values(), key=lambda each: max(map(_rank, each)), reverse=True)]


def _weight(figure: Figure) -> int:
    return (Outcome.NOT_MEASURABLE, Outcome.INFO, Outcome.PASS, Outcome.FAIL).index(figure.outcome)


def _rank(figure: Figure) -> tuple[int, float]:
    return _weight(figure), figure.excess or 0.0


def _metric(figures: list[Figure]) -> str:
    told = meaning(figures[0].metric)
    outcome = max(figures, key=_weight).outcome
    ranked = sorted(figures, key=_rank, reverse=True)
    heads = "".join(f"<th>{head}</th>" for head in ("", "measure", "of", "value", "allowed", "beauty", "worst"))
    return (f'<details{" open" if outcome is Outcome.FAIL else ""}><summary>{_badge(outcome)} '
            f'<strong>{_text(told.title)}</strong> <span class="quiet">{_text(told.text)}</span></summary>'
            f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(map(_row, ranked))}</tbody></table></div>'
            f'{"".join(map(_plot, _plotted(ranked)))}</details>')


def _plotted(ranked: list[Figure]) -> list[Figure]:
    """What failed, and some of the rest; a series that several figures share once."""
    drawn = list({figure.series: figure for figure in reversed(ranked) if len(figure.series) > 1}.values())[::-1]
    failed = sum(figure.outcome is Outcome.FAIL for figure in drawn)
    return drawn[:max(failed, _PLOTS)]


def _plot(figure: Figure) -> str:
    name = _named(figure)
    return f"<h4>{_text(name)}</h4>{line_plot(figure.series, figure.bar, figure.unit, figure.worst, name)}"


def _row(figure: Figure) -> str:
    value = "" if figure.value is None else amount(figure.value, figure.unit)
    worst = figure.reason or (spot_text(figure.worst[0], figure.unit) if figure.worst else "")
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in figure.counts.items())
    cells = [key_words(figure) or label(figure), figure.object or "picture", value, allowed(figure.bar, figure.unit),
             beside_beauty(figure), worst]
    return (f"<tr><td>{_sign(figure.outcome)}</td>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells[:2])
            + f'<td title="{_text(counts)}">{_text(cells[2])}</td>' + "".join(f"<td>{_text(cell)}</td>" for cell in cells[3:])
            + "</tr>")


def _unmeasured(verdict: Verdict) -> list[str]:
    items = "".join(f"<li>{_text(reason)}: {_text(', '.join(map(_named, figures)))}</li>"
                    for reason, figures in unmeasured_by_reason(verdict).items())
    return ["<h2>Not measurable</h2>", f"<ul>{items}</ul>"] if items else []


def _footer(verdict: Verdict) -> list[str]:
    seconds = ", ".join(f"{name} {amount(value, 's')}" for name, value in verdict.seconds.items())
    versions = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    lines = [f"shot sha256 {verdict.shot}", versions, f"took {seconds}" if seconds else ""]
    return ["<footer>" + "".join(f"<p>{_text(line)}</p>" for line in lines if line) + "</footer>"]


def _named(figure: Figure) -> str:
    return label(figure) + (f", {figure.object}" if figure.object else "")


def _badge(outcome: Outcome, *, large: bool = False) -> str:
    sign, word = _SIGNS[outcome]
    return f'<span class="badge {_CLASSES[outcome]}{" large" if large else ""}">{sign} {word}</span>'


def _sign(outcome: Outcome) -> str:
    sign, word = _SIGNS[outcome]
    return f'<span class="sign {_CLASSES[outcome]}" title="{word}">{sign}</span>'
