# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict for people: one screen of text, and one page that needs nothing else."""

from __future__ import annotations

import base64
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from lucid.inference.shot.model import Frames, Shot
from lucid.inference.shot.verdicts import Bar, Figure, Repair, Spot, Verdict
from lucid.inference.truth.meaning import allowed, amount
from lucid.inference.truth.report.page import html_report
from lucid.inference.truth.report.plots import line_plot
from lucid.inference.truth.report.stills import FAILED, chosen, stills
from lucid.inference.truth.report.summary import LINES, WIDTH, summary
from shots import make_shot
from verdicts import FIGURES, make_verdict

REPAIR = Repair("Walker", (2, 3), "it <slides>", ("--take", "3", "--object", "Walker", "--seed", "7"))


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "walk.lucid", frames=Frames(1, 9))


def picture(index: int) -> np.ndarray:
    """Grey, lighter in later frames, with a white spot at pixel (30, 20)."""
    out = np.full((48, 64, 3), 0.1 + 0.05 * index, np.float32)
    out[18:23, 28:33] = 1.0
    return out


def crowd(count: int) -> Verdict:
    """Half of its many figures fail, and many cannot be had, each for another reason."""
    figures = [Figure("motion", "epe", 0.1 * number, "px", Bar(highest=0.05 * count), f"A thing with a rather long name {number}",
                      worst=(Spot(f"Thing {number}", number, number + 3, 0.1 * number, (1, 1)),)) for number in range(count)]
    lost = [Figure("camera", f"k{number}", None, "deg", Bar(highest=1.0), reason=f"reason {number} " + "word " * 40)
            for number in range(count)]
    return make_verdict((*figures, *lost), 12, (REPAIR,) * 3)


def test_the_summary_says_what_is_wrong_first() -> None:
    lines = summary(make_verdict(repairs=(REPAIR,)), Path("walk.lucid"))
    assert lines[0] == "take 3: FAIL, 2 of 3 measures hold, 2 not measurable, score 75"
    assert re.fullmatch(r"FAIL  motion: median error +Walker +4.25 px +<= 0.3 px +x 85", lines[3])
    assert [line.split()[0] for line in lines[3:6]] == ["FAIL", "ok", "ok"]
    assert "  Walker, frames 2-3: 4.25 px (motion: median error)" in lines
    assert "  fewer than 30 points could be followed: camera: rotation, camera: lag" in lines
    assert lines[-1] == "  lucid edit walk.lucid --take 3 --object Walker --seed 7"


def test_the_summary_is_one_screen() -> None:
    for verdict in (make_verdict(), crowd(1), crowd(17), crowd(60)):
        lines = summary(verdict, Path("walk.lucid"))
        assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH
    assert "      and 44 more, 13 of them fail" in summary(crowd(60), Path("walk.lucid"))


def test_the_summary_of_nothing() -> None:
    unknown = make_verdict((FIGURES[3],), take=None)
    assert summary(unknown, Path("walk.lucid")) == [
        "beauty: NOT MEASURABLE, 1 not measurable", "", "not measurable:",
        "  fewer than 30 points could be followed: camera: rotation"]
    assert summary(make_verdict(()), Path("walk.lucid")) == ["take 3: NOT MEASURABLE"]


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.04567, "0.0457"), (123.4, "123"), (12345.6, "12346"), (-1.5, "-1.5")])
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert amount(value, "px") == f"{text} px" and amount(value) == text


def test_bars_in_words() -> None:
    assert [allowed(bar, "px") for bar in (Bar(highest=0.3), Bar(lowest=0.85), Bar(0.8, 1.25), Bar(), None)] == [
        "<= 0.3 px", ">= 0.85 px", "0.8 to 1.25 px", "", ""]


class Page(HTMLParser):
    """What a page is made of; a tag that is not closed in its turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_else(shot: Shot) -> None:
    text = html_report(make_verdict(repairs=(REPAIR,)), shot, Path("walk.lucid"), picture, picture)
    page = Page(text)
    assert page.links and all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "script" not in page.tags and "link" not in page.tags and "http" not in text and "url(" not in text
    assert "prefers-color-scheme: dark" in text
    for words in ("walk, take 3", "allowed: ≤ 0.3 px", "✗ fails", "✓", "– not measurable", "Walker, frames 2-3: 4.25 px",
                  "it <slides>", "lucid edit walk.lucid --take 3 --object Walker --seed 7",
                  "fewer than 30 points could be followed"):
        assert words in page.words, words
    assert page.tags.count("svg") == 2          # of the figures with more than one frame


def test_names_are_words_and_no_tags(shot: Shot) -> None:
    name = 'A <script>"&\' thing'
    figure = Figure("motion", "epe", 1.0, "px", Bar(highest=0.3), name, "", ((1, 1.0), (2, 1.0)), (Spot(name, 1, 2, 1.0),))
    page = Page(html_report(make_verdict((figure,)), shot, Path("a<b.lucid"), picture))
    assert "script" not in page.tags and page.words.count(name) >= 3


@pytest.mark.parametrize("figures", [(), (FIGURES[3],), FIGURES[:1]])
def test_a_page_of_little(shot: Shot, figures: tuple[Figure, ...]) -> None:
    page = Page(html_report(make_verdict(figures), shot, Path("walk.lucid"), picture))
    assert not page.links


def _decoded(url: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1] / 255.0


def test_a_still_shows_the_frame_of_its_spot(shot: Shot) -> None:
    first, second = stills(make_verdict(), shot.frames, picture, lambda index: picture(index) * 0.5)
    assert (first.spot.first, second.spot.first) == (2, 1)
    assert [name for name, _ in first.images] == ["picture", "beauty", "picture, closer", "beauty, closer"]
    assert [name for name, _ in second.images] == ["picture", "beauty"]          # it has no pixel
    whole, beauty, closer, _ = (_decoded(url) for _, url in first.images)
    assert whole.shape == (216, 288, 3)
    assert np.allclose(whole[5:30, 5:30], 0.15, atol=0.02) and np.allclose(beauty[5:30, 5:30], 0.075, atol=0.02)
    scale, half = 216 / 48, 8
    assert np.allclose(whole[round(20.5 * scale), round(30.5 * scale)], 1.0, atol=0.05)
    edge = whole[round(20.5 * scale), round((30 - half) * scale) - 3:round((30 - half) * scale) + 4]
    assert (edge[:, 0] - edge[:, 2]).max() > 0.5                 # the box is vermilion
    middle = closer[108, 108]
    assert np.allclose(middle, 1.0, atol=0.05) and np.allclose(closer[10:30, 10:30], 0.15, atol=0.05)


@pytest.mark.parametrize("at", [(0, 0), (63, 47), (63, 0)])
def test_a_spot_at_the_border_has_a_box_inside(shot: Shot, at: tuple[int, int]) -> None:
    figure = Figure("motion", "epe", 1.0, "px", Bar(highest=0.3), worst=(Spot("", 5, 5, 1.0, at),))
    still, = stills(make_verdict((figure,)), shot.frames, picture, None)
    assert _decoded(still.images[1][1]).shape == (216, 216, 3)


def test_the_worst_of_each_figure_comes_first() -> None:
    figures = tuple(Figure("motion", "epe", value, "px", Bar(highest=1.0), name,
                           worst=tuple(Spot(name, 10 * place, 10 * place, value - place, (1, 1)) for place in range(5)))
                    for name, value in (("Walker", 9.0), ("Ball", 7.0), ("Road", 8.0), ("Fine", 0.5)))
    found = chosen(make_verdict(figures))
    assert len(found) == FAILED
    assert [(spot.object, spot.first) for _, spot in found[:4]] == [("Walker", 0), ("Road", 0), ("Ball", 0), ("Walker", 10)]
    assert [spot.object for _, spot in chosen(make_verdict(figures[3:]))] == ["Fine"] * 3
    barely = Figure("motion", "epe", 1.1, "px", Bar(highest=1.0), worst=tuple(Spot("", n, n, v) for n, v in ((1, 1.1), (5, 0.9))))
    assert [spot.first for _, spot in chosen(make_verdict((barely,)))] == [1]          # the second one is allowed


def _plot(series: tuple[tuple[float, float], ...], bar: Bar | None, *worst: Spot) -> ElementTree.Element:
    return ElementTree.fromstring(line_plot(series, bar, "px", worst, "a < b"))


def _line(svg: ElementTree.Element) -> list[list[float]]:
    return [[float(number) for number in point.split(",")] for point in svg.find("polyline").get("points").split()]


def test_a_plot_is_true_to_its_numbers() -> None:
    svg = _plot(((1, 0.0), (3, 1.0), (5, 2.0)), Bar(highest=1.0), Spot("", 3, 5, 2.0))
    line = _line(svg)
    assert line[1] == pytest.approx(np.mean(line, axis=0), abs=0.1)
    assert line[0][1] > line[1][1] > line[2][1] and line[0][0] < line[1][0] < line[2][0]
    band, worst = (next(rect for rect in svg.findall("rect") if rect.get("class") == kind) for kind in ("allowed", "worst"))
    assert float(band.get("y")) == pytest.approx(line[1][1], abs=0.1)
    assert float(band.get("y")) + float(band.get("height")) == pytest.approx(line[0][1], abs=0.1)
    assert float(worst.get("x")) == pytest.approx(line[1][0] - 2, abs=0.1)
    assert float(worst.get("y")) == pytest.approx(line[0][1], abs=0.1)
    assert [text.text for text in svg.findall("text") if text.get("class") == "x"] == ["1", "3", "5"]


@pytest.mark.parametrize("series", [((7, 0.0),), ((7, 3.0), (8, 3.0)), ((1, -4.0), (2, -1.0)), ((1, 1e-9), (2, 1e12)),
                                    tuple((frame, math.sin(frame)) for frame in range(300))])
@pytest.mark.parametrize("bar", [None, Bar(), Bar(highest=0.0), Bar(lowest=0.85), Bar(-1.0, 1.0)])
def test_every_plot_stays_in_its_frame(series: tuple[tuple[float, float], ...], bar: Bar | None) -> None:
    svg = _plot(series, bar, Spot("", -100, 1000, 1.0))
    points = _line(svg) + [[float(rect.get("x")), float(rect.get("y"))] for rect in svg.findall("rect")]
    assert all(0 <= x <= 640 and 0 <= y <= 170 for x, y in points)
    assert len(_line(svg)) == len(series)
