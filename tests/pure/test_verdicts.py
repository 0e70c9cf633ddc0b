# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts: what a figure and a total are, the file they are kept in, and how takes are listed with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.listing import row_text, take_rows
from lucid.inference.shot.model import TakeRequest
from lucid.inference.shot.takes import State, new_take
from lucid.inference.shot.verdict_file import heat_maps, read_verdict, verdict_of, verdict_to_json, write_verdict
from lucid.inference.shot.verdicts import Bar, Figure, Outcome, Repair, Spot, brief, judge
from shots import make_shot
from verdicts import FIGURES, make_verdict

REPAIR = Repair("Walker", (2, 3), "motion", ("--take", "3", "--object", "Walker", "--seed", "7"))


@pytest.mark.parametrize(("bar", "best", "held", "broken"), [
    (Bar(highest=0.3), 0.0, 0.3, 0.31), (Bar(lowest=0.85), 1.0, 0.85, 0.84), (Bar(0.8, 1.2), 1.0, 1.2, 0.79),
    (Bar(-1.0, 1.0), 0.0, -1.0, 1.01), (Bar(highest=0.0), 0.0, 0.0, 1.0), (Bar(lowest=2.0), 1e9, 2.0, 1.9)])
def test_the_excess_is_one_at_the_bar(bar: Bar, best: float, held: float, broken: float) -> None:
    assert bar.excess(best) == pytest.approx(0.0, abs=1e-8)
    assert bar.holds(held) and bar.excess(held) <= 1.0 + 1e-9
    assert not bar.holds(broken) and bar.excess(broken) > 1.0


def test_a_figure_is_a_number_or_a_reason() -> None:
    for wrong in ({"value": None}, {"value": 1.0, "reason": "why"}, {"value": math.nan}, {"value": 1.0, "beauty": math.inf},
                  {"value": 1.0, "series": ((1.0, math.nan),)}, {"value": 1.0, "worst": (Spot("", 1, 1, math.inf),)}):
        with pytest.raises(ValueError, match="motion.epe"):
            Figure("motion", "epe", unit="px", **wrong)


def test_the_ratio_is_to_the_beauty() -> None:
    assert Figure("motion", "epe", 0.3, "px", beauty=0.1).ratio == pytest.approx(3.0)
    assert Figure("motion", "epe", 0.3, "px").ratio is None
    assert Figure("motion", "epe", 0.3, "px", beauty=0.0).ratio is None
    assert Figure("motion", "epe", 1e300, "px", beauty=1e-300).ratio is None


def _of(value: float, metric: str = "motion", key: str = "epe", object: str = "") -> Figure:
    return Figure(metric, key, value, "px", Bar(highest=1.0), object)


@pytest.mark.parametrize(("value", "score"), [(0.0, 100.0), (0.25, 100.0), (0.5, 75.0), (1.0, 50.0), (2.0, 25.0), (4.0, 0.0),
                                              (1e9, 0.0)])
def test_a_figure_scores_by_the_logarithm_of_its_excess(value: float, score: float) -> None:
    assert judge([_of(value)]).score == pytest.approx(score)


def test_many_objects_weigh_as_much_as_one() -> None:
    crowd = [_of(0.0, object=str(number)) for number in range(99)]
    assert judge([*crowd, _of(9.0, "camera")]).score == pytest.approx(50.0)
    assert judge([*crowd, _of(9.0, key="lag")]).score == pytest.approx(50.0)


def test_what_cannot_be_measured_never_passes() -> None:
    unknown, number = FIGURES[3], FIGURES[5]
    assert judge([]).outcome is Outcome.NOT_MEASURABLE
    assert judge([unknown, number]).outcome is Outcome.NOT_MEASURABLE and judge([unknown]).score is None
    assert judge([unknown, _of(0.0)]).outcome is Outcome.PASS
    total = judge(FIGURES)
    assert total.outcome is Outcome.FAIL and total.failed == ("motion.epe.Walker",)
    assert [brief(judge(figures)) for figures in ([unknown], [_of(0.5)], [_of(1.1), _of(0.0, "camera")])] == [
        "not measurable", "pass, 75", "fail (1), 73"]


def test_figures_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="two figures are called motion.epe.environment"):
        make_verdict((*FIGURES, FIGURES[0]))


def test_a_verdict_comes_back_as_it_was(tmp_path: Path) -> None:
    verdict = make_verdict(repairs=(REPAIR,))
    write_verdict(tmp_path / "verdict.json", verdict)
    assert read_verdict(tmp_path / "verdict.json") == verdict == verdict_of(tmp_path)
    text = (tmp_path / "verdict.json").read_text()
    assert "Infinity" not in text and "NaN" not in text
    assert [row["bar"] for row in json.loads(text)["figures"]] == [
        [None, 0.3], [None, 0.3], [0.8, 1.2], [None, 0.3], [-0.25, 0.25], None]
    assert verdict_of(tmp_path / "elsewhere") is None
    nobody = make_verdict((), take=None)
    write_verdict(tmp_path / "beauty.json", nobody)
    assert read_verdict(tmp_path / "beauty.json") == nobody


def test_numbers_of_numpy_are_written(tmp_path: Path) -> None:
    spot = Spot("", np.int32(1), np.int32(2), np.float32(0.25), (np.int64(3), np.int64(4)))
    figure = Figure("motion", "epe", np.float32(0.5), "px", Bar(highest=np.float64(1.0)), "", "",
                    ((np.int64(1), np.float32(0.1)),), (spot,), np.float32(0.5), {"points": np.int64(7)})
    write_verdict(tmp_path / "verdict.json", make_verdict((figure,)))
    found = read_verdict(tmp_path / "verdict.json").figures[0]
    assert (found.value, found.ratio, found.series, found.counts) == (0.5, 1.0, ((1.0, 0.1),), {"points": 7})
    assert found.worst == (Spot("", 1, 2, 0.25, (3, 4)),)


def _wrong(data: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What no Lucid writes, each by what is wrong."""
    first, *others = data["figures"]

    def with_figure(**changes: Any) -> dict[str, Any]:
        return data | {"figures": [first | changes, *others]}

    def with_total(**changes: Any) -> dict[str, Any]:
        return data | {"total": data["total"] | changes}

    figures = [{"value": "0.05"}, {"value": math.inf}, {"value": 10**400}, {"value": None}, {"outcome": "fail"},
               {"outcome": "fine"}, {"bar": [1]}, {"bar": [None, "1"]}, {"series": [1]}, {"counts": {"points": 0.5}},
               {"ratio": "x"}, {"worst": [{}]}]
    totals = [{"failed": []}, {"outcome": "pass"}, {"score": None}, {"score": 101}]
    tops = [{"schema": None}, {"schema": "lucid.shot/9"}, {"schema": "lucid.verdict/0"}, {"more": 1}, {"shot": "ab"},
            {"take": True}, {"measured": "fun"}, {"figures": {}}, {"figures": ["x"]}, {"figures": [first, *data["figures"]]},
            {"seconds": {"motion": "1"}}, {"versions": ["1"]}, {"repairs": [{"object": "Walker"}]},
            {"repairs": [data["repairs"][0] | {"frames": [1]}]}]
    without = {key: value for key, value in data.items() if key != "seconds"}
    return [("a field less", without), *((str(each), with_figure(**each)) for each in figures),
            *((str(each), with_total(**each)) for each in totals), *((str(each), data | each) for each in tops)]


def test_the_reader_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    wrong = _wrong(verdict_to_json(make_verdict(repairs=(REPAIR,))))
    for what, data in wrong:
        path.write_text(json.dumps(data))
        with pytest.raises(LucidError) as raised:
            read_verdict(path)
        assert raised.value.code == "VERDICT_INVALID", what
    for text in ("", "[]", "{"):
        path.write_text(text)
        with pytest.raises(LucidError, match="VERDICT_INVALID"):
            read_verdict(path)


def test_a_newer_verdict_says_so(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_text(json.dumps({"schema": "lucid.verdict/2", "all": "new"}))
    with pytest.raises(LucidError, match="VERDICT_NEWER"):
        read_verdict(path)


def test_heat_maps_are_folders_with_frames(tmp_path: Path) -> None:
    assert heat_maps(tmp_path) == {}
    for name in ("warp_error", "drift", "empty"):
        (tmp_path / "heat" / name).mkdir(parents=True)
    for name in ("warp_error", "drift"):
        (tmp_path / "heat" / name / "frame.0001.png").write_bytes(b"")
    assert heat_maps(tmp_path) == {"drift": "heat/drift/frame.####.png", "warp_error": "heat/warp_error/frame.####.png"}


def test_takes_are_listed_with_their_verdicts(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "walk.lucid")
    takes = [new_take(tmp_path / "walk.lucid", TakeRequest("a street", seed=seed)) for seed in range(3)]
    for take in takes:
        take.emit("started")
        take.finish(State.DONE, error=None, seconds=1.0)
    write_verdict(takes[0].folder / "verdict.json", make_verdict(take=1))
    (takes[2].folder / "verdict.json").write_text("{}")
    rows = take_rows(tmp_path / "walk.lucid", shot)
    score = judge(FIGURES).score
    assert [row["verdict"] for row in rows] == [{"outcome": "fail", "failed": ["motion.epe.Walker"], "score": score}, None,
                                                {"outcome": "damaged", "failed": [], "score": None}]
    assert [row["state"] for row in rows] == ["done"] * 3
    assert [row_text(row).partition('"a street"')[2] for row in rows] == [
        f", verdict: fail (1), {score:.0f}", "", ", verdict: damaged"]
