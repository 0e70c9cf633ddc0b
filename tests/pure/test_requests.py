# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's request on disk: every field, every schema so far, and everything that is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Edit, TakeRequest
from lucid.inference.shot.requests import request_from_json, request_to_json
from lucid.inference.shot.takes import new_take

REQUEST = TakeRequest("a street", {"Walker": "a red man"}, seed=3, steps=4, weights="mini")


@pytest.fixture(autouse=True)
def manifest(tmp_path: Path) -> None:
    """A take is made for a shot: the folder has one's manifest."""
    (tmp_path / "shot.json").write_text("{}")


FIRST = json.loads((Path(__file__).parent / "fixtures" / "take_1.json").read_text())
FULL = TakeRequest("a", {"Walker": "a red man"}, 2**63 - 1, 4, "mini", {"Walker": 5},
                   {"Walker": 0.5, "Road": [[1, 0.25], [9, 1.0]]}, "pixel", 0.25, {"Walker": ["0123456789abcdef.png"]}, 1,
                   Edit("environment", (3, 4), "parent", 0.5), 0.75)
WHOLE = json.loads(json.dumps(request_to_json(FULL, "")))
KEPT = replace(FULL, edit=None, keep=("Walker", "Ball"))
SECOND = json.loads((Path(__file__).parent / "fixtures" / "take_2.json").read_text())


def test_every_field_survives_json() -> None:
    assert request_from_json(WHOLE) == (FULL, "")
    assert request_from_json(json.loads(json.dumps(request_to_json(KEPT, "")))) == (KEPT, "")
    assert request_from_json(json.loads(json.dumps(request_to_json(TakeRequest("a"), "a" * 64)))) == (TakeRequest("a"), "a" * 64)


def test_a_request_of_the_first_schema_is_read(tmp_path: Path) -> None:
    """Also its negative seed, which nobody may ask for any more; nobody wrote down for which shot it was."""
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(json.dumps(FIRST))
    assert take.request() == TakeRequest("a grey street, bright daylight", {"Walker": "a red man"}, seed=-7)
    take.check_shot()
    (take.folder / "request.json").write_text(json.dumps(FIRST | {"parent": None}))
    with pytest.raises(LucidError, match="TAKE_INVALID"):
        take.request()


def test_a_request_of_the_second_schema_keeps_nothing_by_name() -> None:
    second = TakeRequest("a grey street, bright daylight", {"Walker": "a red man"}, 7, 4, "mini", {"Walker": 5},
                         {"Road": [[1, 0.25], [9, 1.0]]}, "pixel", 0.25, {"Walker": ["0123456789abcdef.png"]}, 1,
                         Edit("environment", (3,), "parent", 0.5), 0.75)
    assert request_from_json(SECOND) == (second, "a" * 64) and second.keep == ()
    with pytest.raises(ValueError, match="keep"):
        request_from_json(SECOND | {"edit": None, "keep": ["Ball"]})
    assert second.keeps("Ball") and not second.keeps("environment") and not KEPT.keeps("environment") and KEPT.keeps("Ball")


@pytest.mark.parametrize("change", [
    {"keep": ["Ball"]}, {"edit": None, "keep": "Ball"}, {"edit": None, "keep": ["Ball", "Ball"]}, {"edit": None, "keep": [3]},
    {"edit": None, "keep": [["Ball"]]}, {"edit": None, "keep": ["Ball"], "parent": None}, {"edit": None, "keep": None},
    {"prompt": 3}, {"layer_prompts": []}, {"layer_prompts": {"a": 1}}, {"seed": "x"}, {"seed": True}, {"seed": -1},
    {"seed": 2**63}, {"seed": 1.0}, {"steps": "8"}, {"steps": 0}, {"weights": None}, {"layer_seeds": {"Walker": -1}},
    {"layer_seeds": [1]}, {"strengths": {"Walker": "1"}}, {"strengths": {"Walker": []}}, {"strengths": {"Walker": [[1]]}},
    {"strengths": {"Walker": True}}, {"strengths": 1}, {"noise": "white"}, {"noise": ["pixel"]}, {"stickiness": 1.5},
    {"stickiness": None}, {"pull": -0.1}, {"pull": "1"}, {"references": {"Walker": []}},
    {"references": {"Walker": ["../../secret.png"]}},
    {"references": {"Walker": ["0123456789abcdef.png"] * 2}}, {"references": {"Walker": [3]}}, {"parent": 0}, {"parent": "1"},
    {"parent": None}, {"edit": {}}, {"edit": "Walker"}, {"edit": WHOLE["edit"] | {"start": "end"}},
    {"edit": WHOLE["edit"] | {"change": 0}}, {"edit": WHOLE["edit"] | {"change": 1.5}},
    {"edit": WHOLE["edit"] | {"start": "noise"}}, {"edit": WHOLE["edit"] | {"instances": ["3"]}},
    {"edit": WHOLE["edit"] | {"instances": 3}}, {"edit": WHOLE["edit"] | {"layer": None}}, {"shot": None}, {"shot": "abc"},
    {"schema": "lucid.take/9"}, {"schema": "lucid.take/0"}, {"schema": "lucid.shot/2"}, {"schema": None}, {"colour": 3}])
def test_a_request_field_of_the_wrong_kind_is_one_clear_error(tmp_path: Path, change: dict) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(json.dumps(WHOLE))
    assert take.request() == FULL
    (take.folder / "request.json").write_text(json.dumps(WHOLE | change))
    with pytest.raises(LucidError, match=r"TAKE_INVALID: .*request\.json"):
        take.request()


@pytest.mark.parametrize("text", ['{"schema": "lucid.take/1"}', '{"schema": "lucid.take/2"}', '{"prompt": "a", "seed": 3}', "[]",
                                  '{"schema": "lucid.take/9", "prompt": "a"}'])
def test_a_request_of_another_shape_is_one_clear_error(tmp_path: Path, text: str) -> None:
    take = new_take(tmp_path, REQUEST)
    (take.folder / "request.json").write_text(text)
    with pytest.raises(LucidError, match="TAKE_INVALID"):
        take.request()
