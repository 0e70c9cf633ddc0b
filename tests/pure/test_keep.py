# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that stay while others are painted, with the embedded model: to the byte, through edits, stops and damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.adapters.base import load
from lucid.inference.cli import main
from lucid.inference.conditioning.edits import edited
from lucid.inference.conditioning.target import named
from lucid.inference.errors import LucidError
from lucid.inference.generation.run import TakeRun
from lucid.inference.shot.images import read_png
from lucid.inference.shot.lineage import keeping
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.sealed import latents_path, layer_path
from lucid.inference.shot.store import open_shot
from lucid.inference.shot.takes import State, Take, get_take, new_take, resume
from shots import make_shot

ENV, BALL, WALKER = "environment", "Ball", "Walker"
PLAIN = TakeRequest("a street", {WALKER: "a red man"}, 3, 2)
OTHER = TakeRequest("a snowy lane", {WALKER: "a robot", BALL: "a melon"}, 9, 1)

model = cache(load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48x32 and 5 frames, with one finished take, number 1."""
    folder = tmp_path_factory.mktemp("shots") / "street.lucid"
    make_shot(folder, frames=Frames(1, 5), size=Size(48, 32))
    assert paint(folder, PLAIN).number == 1
    return folder


def paint(folder: Path, request: TakeRequest) -> Take:
    take = new_take(folder, request)
    assert run(folder, take) is State.DONE
    return take


def run(folder: Path, take: Take, cancelled: Callable[[], bool] = lambda: False) -> State:
    return TakeRun(folder, take, lambda _event: None, cancelled, model).run()


def kept(folder: Path, number: int, *names: str, request: TakeRequest = OTHER) -> TakeRequest:
    return keeping(folder, open_shot(folder), request, number, names, {})[0]


def files(take: Take, layer: str) -> dict[str, bytes]:
    """The pictures, the seal and the latents of a layer."""
    path = layer_path(take.folder, layer)
    return {file.name: file.read_bytes() for file in (*path.iterdir(), latents_path(path))}


def finals(take: Take) -> list[bytes]:
    return [path.read_bytes() for path in sorted((take.folder / "final").iterdir())]


def actions(take: Take) -> dict[str, tuple[str, int | None, bool]]:
    """Of each painted layer: what happened to it, of which take it is, whether the model was asked."""
    graph = (take.result() or {})["graph"]
    return {name: (entry["action"], entry["from"], entry["calls"] > 0) for name, entry in graph.items() if "action" in entry}


@pytest.mark.parametrize(("names", "seed"), [((WALKER,), 21), ((ENV,), 22), ((ENV, BALL), 23)])
def test_what_stays_is_the_parents_to_the_byte_and_the_rest_is_painted(folder: Path, names: tuple[str, ...], seed: int) -> None:
    """An actor over another environment, other actors over the environment, one other actor."""
    first, take = get_take(folder, 1), paint(folder, kept(folder, 1, *names, request=replace(OTHER, seed=seed)))
    for name in (ENV, BALL, WALKER):
        mine, parents = files(take, name), files(first, name)
        assert mine.keys() == parents.keys() and len(mine) == 7
        if name in names:
            assert mine == parents and actions(take)[name] == ("keep", 1, False)
        else:
            assert all(mine[file] != parents[file] for file in mine) and actions(take)[name] == ("generate", None, True)
    assert not set(finals(take)) & set(finals(first))


def test_a_kept_actor_is_composited_anew_over_the_new_environment(folder: Path) -> None:
    """Where the actor is whole the final is its picture, where nothing is, that of the environment."""
    take = paint(folder, kept(folder, 1, WALKER))
    for frame in (1, 5):
        final, walker, ball, place = (read_png(take.folder / name / f"frame.{frame:04d}.png") for name in (
            "final", f"layers/{WALKER}", f"layers/{BALL}", f"layers/{ENV}"))
        whole, nothing = walker[..., 3] == 65535, (walker[..., 3] == 0) & (ball[..., 3] == 0)
        assert whole.any() and np.array_equal(final[whole], walker[..., :3][whole])
        assert nothing.any() and np.array_equal(final[nothing], place[..., :3][nothing])


def test_a_take_with_layers_that_stayed_can_be_changed(folder: Path) -> None:
    """What it painted with its own steps, and what it kept with those it was painted with."""
    second, shot = paint(folder, kept(folder, 1, WALKER)), open_shot(folder)
    ball = paint(folder, edited(folder, shot, second, named(shot, BALL), seed=77))
    assert [files(ball, name) == files(second, name) for name in (ENV, WALKER, BALL)] == [True, True, False]
    assert (ball.result() or {})["steps"] == 1
    walker = paint(folder, edited(folder, shot, ball, named(shot, WALKER), start="parent", change=0.5))
    assert [files(walker, name) == files(ball, name) for name in (ENV, BALL, WALKER)] == [True, True, False]
    assert (walker.result() or {})["steps"] == 2 and actions(walker)[WALKER] == ("generate", None, True)
    again = paint(folder, kept(folder, walker.number, WALKER, request=PLAIN))
    assert [files(again, name) == files(get_take(folder, 1), name) for name in (ENV, BALL)] == [True, True]
    assert files(again, WALKER) == files(walker, WALKER) and actions(again)[WALKER] == ("keep", walker.number, False)
    assert actions(again)[ENV][0] == actions(again)[BALL][0] == "reuse"


def test_a_stopped_take_goes_on_and_ends_as_an_unbroken_one(folder: Path) -> None:
    request = kept(folder, 1, BALL, request=TakeRequest("a desert", {}, 11, 2))
    take, asked = new_take(folder, request), []

    def after_the_third() -> bool:
        asked.append(True)
        return len(asked) >= 3

    assert run(folder, take, after_the_third) is State.CANCELLED and not (take.folder / "final").exists()
    resume(take)
    assert run(folder, take) is State.DONE
    assert files(take, BALL) == files(get_take(folder, 1), BALL) and actions(take)[BALL] == ("keep", 1, False)
    before = {name: files(take, name) for name in (ENV, BALL, WALKER)}, finals(take)
    for name in (ENV, WALKER):          # nothing is left that an unbroken run could find
        (layer_path(take.folder, name) / "layer.json").unlink()
    unbroken = paint(folder, request)
    assert set(actions(unbroken).values()) == {("generate", None, True), ("keep", 1, False)}
    assert ({name: files(unbroken, name) for name in (ENV, BALL, WALKER)}, finals(unbroken)) == before


@pytest.mark.parametrize("damage", ["picture", "latents", "seal"])
def test_a_damaged_layer_does_not_stay_and_nothing_is_painted(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "a.lucid"
    make_shot(folder, frames=Frames(1, 2), size=Size(32, 32))
    first = paint(folder, TakeRequest("a street", steps=1))
    request = kept(folder, 1, WALKER)
    path = layer_path(first.folder, WALKER)
    file = {"picture": path / "frame.0002.png", "latents": latents_path(path), "seal": path / "layer.json"}[damage]
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    take = new_take(folder, request)
    with pytest.raises(LucidError, match="^LAYER_CHANGED"):
        run(folder, take)
    assert take.state() is State.FAILED and not (take.folder / "layers").exists()


def test_the_command_line_keeps_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(folder), "--keep", "1:environment,Walker", "--layer-prompt", "Ball=a moon", "--steps", "1"]) == 0
    said = capsys.readouterr().out
    number = int(said.split("take 1\ntake ")[1].split(" of ")[0])
    take = get_take(folder, number)
    assert "keeps environment, Walker of take 1" in said
    assert [files(take, name) == files(get_take(folder, 1), name) for name in (ENV, WALKER, BALL)] == [True, True, False]
