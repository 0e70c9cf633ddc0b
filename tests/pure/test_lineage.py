# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes made from takes: who painted a layer, what is asked of layers that stay, and who needs whom. No model is loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.conditioning.asked import check_request, like
from lucid.inference.conditioning.edits import edited, settled
from lucid.inference.conditioning.target import named
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_png
from lucid.inference.shot.lineage import dependants, keeping, painter, told_by
from lucid.inference.shot.model import Edit, Frames, Shot, Size, TakeRequest
from lucid.inference.shot.sealed import latents_path, layer_path, seal_layer
from lucid.inference.shot.store import open_shot, sha256_file
from lucid.inference.shot.takes import State, Take, get_take, new_take
from shots import make_shot

ENV, BALL, WALKER = "environment", "Ball", "Walker"
FIRST = TakeRequest("a street", {WALKER: "a man"}, 3, 4, "one/model", {BALL: 8}, {"Road": 0.5, BALL: 0.25}, "pixel", 0.5,
                    pull=0.75)
SECOND = TakeRequest("a lane", {BALL: "blue"}, 9, weights="mini", strengths={"Road": 1.0, WALKER: 0.1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_shot(tmp_path / "a.lucid", frames=Frames(1, 2), size=Size(32, 24))
    return tmp_path / "a.lucid"


@pytest.fixture
def shot(folder: Path) -> Shot:
    return open_shot(folder)


def finished(folder: Path, request: TakeRequest, only: tuple[str, ...] = (ENV, BALL, WALKER), **files: list[Path]) -> Take:
    """A take that is done and sealed; its pictures are a few bytes."""
    take = new_take(folder, request, references=files)
    take.emit("started")
    for name in only:
        layer_path(take.folder, name).mkdir(parents=True)
        (layer_path(take.folder, name) / "frame.0001.png").write_bytes(name.encode())
        latents = latents_path(layer_path(take.folder, name))
        latents.parent.mkdir(exist_ok=True)
        latents.write_bytes(b"numbers")
        seal_layer(take, name, "a" * 64)
    take.finish(State.DONE)
    return take


def kept(folder: Path, shot: Shot, number: int, *names: str, request: TakeRequest = SECOND) -> TakeRequest:
    return keeping(folder, shot, request, number, names, {})[0]


def test_what_stays_is_asked_as_it_was_and_the_rest_as_it_is_now(folder: Path, shot: Shot, tmp_path: Path) -> None:
    faces = [tmp_path / name for name in ("old.png", "new.png")]
    for value, path in enumerate(faces):
        write_png(path, np.full((4, 6, 3), value, np.uint8))
    first = finished(folder, FIRST, Walker=faces[:1], Ball=faces[:1])
    request, files = keeping(folder, shot, SECOND, 1, [WALKER], {WALKER: faces[1:], BALL: faces[1:]})
    assert request == replace(SECOND, parent=1, keep=(WALKER,), layer_prompts={BALL: "blue", WALKER: "a man"},
                              layer_seeds={WALKER: 3}, strengths={"Road": 1.0})
    assert files == {BALL: faces[1:], WALKER: [first.folder / "references" / f"{sha256_file(faces[0])[:16]}.png"]}
    place = kept(folder, shot, 1, ENV)
    assert place.layer_prompts == {BALL: "blue", ENV: "a street"} and place.layer_seeds == {ENV: 3}
    assert place.strengths == {"Road": 0.5, WALKER: 0.1}
    check_request(place, shot, folder)
    assert keeping(folder, shot, SECOND, 1, [], {BALL: faces}) == (SECOND, {BALL: faces})
    assert kept(folder, shot, 1, WALKER, BALL).keep == kept(folder, shot, 1, BALL, WALKER).keep
    assert told_by(shot, shot.layer(ENV)) == {ENV, "Road"} and told_by(shot, shot.layer(BALL)) == {BALL}
    for names, number, code in ((("Nobody",), 1, "LAYER_UNKNOWN"), ((BALL,), 7, "TAKE_MISSING")):
        with pytest.raises(LucidError, match=f"^{code}"):
            kept(folder, shot, number, *names)


def test_an_edit_of_what_stayed_goes_on_from_who_painted_it(folder: Path, shot: Shot) -> None:
    """Take 2 keeps the walker of take 1 and paints the rest with another model; takes 3 and 4 change it, 5 keeps of 4."""
    first = finished(folder, FIRST)
    second = finished(folder, kept(folder, shot, 1, WALKER))
    assert painter(folder, second, WALKER) == first and painter(folder, second, BALL) == second
    walker = edited(folder, shot, second, named(shot, WALKER), seed=5)
    assert (walker.weights, walker.steps, walker.noise, walker.stickiness, walker.pull) == ("one/model", 4, "pixel", 0.5, 0.75)
    assert (walker.prompt_of(WALKER), walker.seed_of(WALKER), walker.keep) == ("a man", 5, ())
    assert (walker.parent, walker.edit) == (2, Edit(WALKER))
    check_request(walker, shot, folder)
    third = finished(folder, walker)
    assert settled(folder, third, BALL).prompt_of(BALL) == "blue" and settled(folder, third, ENV).seed_of(ENV) == 9
    ball = edited(folder, shot, third, named(shot, BALL), prompt="red")
    assert (ball.weights, ball.steps, ball.noise, ball.seed_of(BALL)) == ("mini", None, "surface", 9)
    fourth = finished(folder, ball)
    fifth = finished(folder, kept(folder, shot, 4, WALKER, BALL, request=FIRST))
    assert [painter(folder, fifth, name) for name in (WALKER, BALL, ENV)] == [third, fourth, fifth]
    assert fifth.request().layer_prompts == {WALKER: "a man", BALL: "red"}
    assert fifth.request().layer_seeds == {WALKER: 5, BALL: 9}


def test_an_object_of_the_environment_is_followed_through_what_stayed(folder: Path, shot: Shot) -> None:
    finished(folder, FIRST)
    second = finished(folder, edited(folder, shot, get_take(folder, 1), named(shot, "Road"), prompt="wet"))
    third = finished(folder, kept(folder, shot, 2, ENV))
    assert third.request().layer_prompts[ENV] == "a street"       # wet is the road alone
    assert painter(folder, third, ENV) == get_take(folder, 1) and painter(folder, third, ENV, (3,)) == second
    assert settled(folder, third, ENV, (3,)).prompt_of(ENV) == "wet"


def test_like_keeps_nothing_and_says_what_was_asked(folder: Path, shot: Shot) -> None:
    finished(folder, FIRST)
    request, gone = like(settled(folder, finished(folder, kept(folder, shot, 1, WALKER)), ENV), shot)
    assert (request.parent, request.keep, gone) == (None, (), []) and request.prompt_of(WALKER) == "a man"


def test_a_line_that_goes_in_circles_is_one_clear_error(folder: Path, shot: Shot) -> None:
    finished(folder, FIRST)
    for parent in (2, 3):
        take = new_take(folder, replace(FIRST, parent=parent, keep=(WALKER,)))
        with pytest.raises(LucidError, match="^TAKE_INVALID: .*came after it"):
            painter(folder, take, WALKER)
        assert painter(folder, take, BALL) == take


@pytest.mark.parametrize(("change", "code"), [
    ({"keep": (ENV, BALL, WALKER)}, "KEEP_ALL"), ({"keep": ("Nobody",)}, "LAYER_UNKNOWN"), ({"parent": None}, "KEEP_INVALID"),
    ({"parent": 7}, "TAKE_MISSING"), ({"parent": 2}, "TAKE_NOT_DONE"), ({"edit": Edit(BALL)}, "KEEP_INVALID"),
    ({"keep": (BALL, BALL)}, "KEEP_INVALID"), ({"parent": 3}, "LAYER_MISSING"),
    ({"parent": 3, "keep": (WALKER, ENV)}, "KEEP_ALL")])
def test_what_cannot_stay(folder: Path, shot: Shot, change: dict[str, object], code: str) -> None:
    """Take 2 waits; in take 3 the ball is never in the picture."""
    finished(folder, FIRST)
    new_take(folder, FIRST)
    finished(folder, FIRST, only=(ENV, WALKER))
    good = replace(SECOND, parent=1, keep=(BALL,))
    check_request(good, shot, folder)
    with pytest.raises(LucidError, match=f"^{code}: "):
        check_request(replace(good, **change), shot, folder)       # type: ignore[arg-type]


def test_a_take_is_needed_while_others_are_made_from_it(folder: Path) -> None:
    first = finished(folder, FIRST)
    assert dependants(folder, 1) == []
    new_take(folder, replace(FIRST, parent=1))                  # named, and nothing of it is used
    finished(folder, replace(FIRST, parent=1, edit=Edit(BALL)))
    waiting, failed, damaged = (new_take(folder, replace(FIRST, parent=1, keep=(WALKER,))) for _ in range(3))
    failed.finish(State.FAILED)
    (damaged.folder / "request.json").write_text("{}")
    finished(folder, replace(FIRST, parent=3, keep=(WALKER,)))
    assert dependants(folder, first.number) == [3, waiting.number] and dependants(folder, 3) == [7]
    waiting.finish(State.CANCELLED)                             # it can be resumed
    assert dependants(folder, 1) == [3, 4]
    json_of = json.loads((waiting.folder / "request.json").read_text())
    assert json_of["keep"] == [WALKER] and json_of["schema"] == "lucid.take/3"
