# SPDX-License-Identifier: GPL-3.0-or-later
"""Which take is best, and which edits may mend one: each suggestion is one that ``lucid edit`` takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lucid.inference.cli import _parser
from lucid.inference.conditioning.asked import check_request, strength_flag
from lucid.inference.conditioning.edits import edited
from lucid.inference.conditioning.strength import Strength, from_json, parse
from lucid.inference.conditioning.target import named
from lucid.inference.shot.model import Frames, Shot, TakeRequest
from lucid.inference.shot.takes import new_take
from lucid.inference.shot.verdicts import Bar, Figure, Repair, Spot, Verdict
from lucid.inference.truth.meaning import MEANINGS, Cure
from lucid.inference.truth.ranking import rank
from lucid.inference.truth.repair import command, raised, suggest
from shots import make_shot
from verdicts import make_verdict


def _take(number: int, *values: float | None) -> Verdict:
    """A take with a figure for each value, whose bar is 1."""
    figures = (Figure("motion", str(place), value, "px", Bar(highest=1.0), reason="hidden" if value is None else "")
               for place, value in enumerate(values))
    return make_verdict(tuple(figures), number)


def _order(*verdicts: Verdict) -> list[int | None]:
    return [verdict.take for verdict in rank(verdicts)]


def test_the_fewest_failures_win_then_the_score_then_the_number() -> None:
    assert _order(_take(1, 2.0, 0.0), _take(2, 0.9, 0.9), _take(3, 1.1, 1.1)) == [2, 1, 3]
    assert _order(_take(1, 0.9), _take(2, 0.3), _take(3, 0.5)) == [2, 3, 1]
    assert _order(_take(3, 0.5), _take(1, 0.5), _take(2, 0.5)) == [1, 2, 3]
    assert rank([]) == []


def test_nobody_wins_by_what_cannot_be_measured() -> None:
    assert _order(_take(1, 0.1, None), _take(2, 0.9, 0.9)) == [2, 1]
    assert _order(_take(1, None, None), _take(2, 9.0, 9.0)) == [2, 1]
    assert _order(_take(1, 0.1, None), _take(2, 0.9, None)) == [1, 2]       # of neither: it says nothing


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "walk.lucid", frames=Frames(1, 30))


def _figure(metric: str, value: float, object: str = "Walker", *spots: Spot) -> Figure:
    return Figure(metric, "epe", value, "px", Bar(highest=1.0), object, worst=spots)


def _suggested(shot: Shot, *figures: Figure, request: TakeRequest | None = None) -> tuple[Repair, ...]:
    return suggest(figures, shot, 3, request or TakeRequest("a street"))


def test_motion_asks_for_more_strength_in_its_worst_frames(shot: Shot) -> None:
    spot = Spot("Walker", 12, 17, 4.2, (30, 20))
    request = TakeRequest("a street", strengths={"Walker": 0.4})
    repair, = _suggested(shot, _figure("motion", 4.2, "Walker", spot), request=request)
    assert (repair.object, repair.frames) == ("Walker", (12, 17))
    assert repair.arguments == ("--take", "3", "--object", "Walker", "--strength", "0.4@8,1@12,1@17,0.4@21")
    assert repair.reason == ("motion: median error is 4.2 px where <= 1 px holds, 4.2 times what is allowed;"
                             " worst in frames 12 to 17")
    assert command(repair, Path("my walk.lucid")) == (
        "lucid edit 'my walk.lucid' --take 3 --object Walker --strength 0.4@8,1@12,1@17,0.4@21")


def test_what_is_obeyed_in_full_gets_another_seed(shot: Shot) -> None:
    spot, seeds = Spot("Walker", 12, 17, 4.2), set()
    for request in (TakeRequest("a"), TakeRequest("a", seed=1), TakeRequest("a", strengths={"Walker": [[1, 0.0], [10, 1.0]]})):
        arguments = _suggested(shot, _figure("silhouette", 4.2, "Walker", spot), request=request)[0].arguments
        assert arguments[:5] == ("--take", "3", "--object", "Walker", "--seed")
        seeds.add(arguments[5])
        assert int(arguments[5]) not in (request.seed, request.seed + 1)
    assert len(seeds) == 2          # the same for the same take, seed and object
    layer = TakeRequest("a", strengths={"environment": 0.5})
    assert "--strength" in _suggested(shot, _figure("motion", 2.0, "Road"), request=layer)[0].arguments


def test_a_wrong_look_is_painted_over(shot: Shot) -> None:
    repair, = _suggested(shot, _figure("flicker", 4.2, ""))
    assert repair.arguments == ("--take", "3", "--object", "environment", "--start", "parent", "--change", "0.4")
    assert repair.frames == (1, 30)


def test_the_worst_three_one_for_each_object(shot: Shot) -> None:
    figures = [_figure("motion", 2.0, "Road"), _figure("camera", 3.0, ""), _figure("motion", 9.0, "Ball"), _figure("motion", 5.0),
               _figure("flicker", 8.0, "Ball"), _figure("adherence", 99.0, "Ball"), _figure("motion", 50.0, "Nobody")]
    assert [repair.object for repair in _suggested(shot, *figures)] == ["Ball", "Walker", "environment"]
    assert _suggested(shot, _figure("motion", 0.5)) == ()
    whole = replace(shot, layers=shot.layers[:2])            # the walker is an object of the environment here
    assert [repair.object for repair in _suggested(whole, _figure("motion", 2.0))] == ["Walker"]


def test_a_raised_strength_is_the_old_one_elsewhere() -> None:
    old = from_json([[1, 0.2], [21, 0.6], [41, 0.0]])
    new = raised(old, 12, 13, 4)
    assert [new.at(frame) for frame in (1, 8, 17, 21, 41)] == pytest.approx([old.at(frame) for frame in (1, 8, 17, 21, 41)])
    assert (new.at(12), new.at(13), new.at(10)) == (1.0, 1.0, pytest.approx((1.0 + old.at(8)) / 2))
    assert raised(Strength.constant(0.5), 3, 3, 2).keys == ((1, 0.5), (3, 1.0), (5, 0.5))


@pytest.mark.parametrize("metric", sorted(name for name, told in MEANINGS.items() if told.cure is not Cure.NONE))
def test_every_suggestion_is_an_edit(shot: Shot, tmp_path: Path, metric: str) -> None:
    """By the very parser and the functions of ``lucid edit``, whose request is one of the shot."""
    folder = tmp_path / "walk.lucid"
    request = TakeRequest("a street", strengths={"Walker": 0.123456, "Road": [[1, 0.3], [9, 0.7]]})
    for _ in range(3):
        take = new_take(folder, request)
    figures = [_figure(metric, 4.0, name, Spot(name, 1, 3, 4.0)) for name in ("Walker", "Road", "Ball")]
    repairs = _suggested(shot, *figures, request=request)
    assert len(repairs) == 3
    for repair in repairs:
        flags = _parser().parse_args(["edit", str(folder), *repair.arguments])
        target = named(shot, flags.object)
        strength = None if flags.strength is None else strength_flag(f"{target.label}={flags.strength}")[1]
        child = edited(folder, shot, take, target, prompt=flags.prompt, seed=flags.seed, strength=strength, start=flags.start,
                       change=flags.change)
        check_request(replace(child, parent=None, edit=None), shot, folder)
        assert child.edit is not None and child.edit.layer == target.layer
        if flags.strength is not None:
            assert parse(f"x={flags.strength}")[1].at(2) == 1.0
