# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that direct: what they ask for, and every kind of bad input. No model is loaded: the weights are nowhere."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.cli import main
from lucid.inference.conditioning.asked import check_request, like
from lucid.inference.conditioning.edits import CHANGE, edited, settled
from lucid.inference.conditioning.target import named
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Edit, Frames, Size, TakeRequest
from lucid.inference.shot.sealed import KEPT, find_layer, latents_path, layer_path, seal_layer
from lucid.inference.shot.store import open_shot, sha256_file
from lucid.inference.shot.takes import State, Take, get_take, list_takes, new_take
from shots import make_shot

NOWHERE = ["--weights", "nowhere/at/all"]
REQUEST = TakeRequest("a street", {"Walker": "a man"}, 3, weights=NOWHERE[1], strengths={"Road": 0.5})
KEY = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_shot(tmp_path / "a.lucid", frames=Frames(1, 2), size=Size(32, 24))
    return tmp_path / "a.lucid"


def finished(folder: Path, request: TakeRequest = REQUEST, *, latents: bool = True, **files: list[Path]) -> Take:
    """A take that is done and sealed; its pictures are a few bytes."""
    take = new_take(folder, request, references=files)
    take.emit("started")
    for name in ("environment", "Walker", "Ball"):
        layer_path(take.folder, name).mkdir(parents=True)
        (layer_path(take.folder, name) / "frame.0001.png").write_bytes(name.encode())
        if latents:
            path = latents_path(layer_path(take.folder, name))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"numbers")
        seal_layer(take, name, KEY)
    take.finish(State.DONE, error=None, seconds=1.25)
    return take


def failure(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """The code of the one line a bad request ends in."""
    assert main([str(argument) for argument in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lucid: ") and lines[0].endswith(")"), lines
    return lines[0].split(": ")[1]


def picture(path: Path, channels: int = 3, kind: type = np.uint8) -> Path:
    write_png(path, np.full((4, 6, channels), 7, kind))
    return path


@pytest.mark.parametrize(("flags", "code"), [
    ("--layer-seed Nobody=1", "LAYER_UNKNOWN"), ("--layer-seed Walker=-1", "USAGE"), ("--seed -1", "USAGE"),
    ("--strength Nobody=1", "OBJECT_UNKNOWN"), ("--strength Walker=1.5", "STRENGTH_INVALID"), ("--strength Walker", "USAGE"),
    ("--stickiness 2", "USAGE"), ("--noise blue", "USAGE"), ("--best-of 0", "USAGE"),
    (f"--best-of 2 --seed {2**63 - 1}", "USAGE"), ("--like b.lucid", "USAGE"), ("--like none.lucid:1", "SHOT_MISSING"),
    ("--reference Walker", "USAGE"), ("--keep Walker", "USAGE"), ("--keep 1:", "USAGE"), ("--keep x:Walker", "USAGE"),
    ("--keep 1:Nobody", "LAYER_UNKNOWN"), ("--keep 1:Walker", "TAKE_MISSING"), ("--keep 1:Walker --keep 2:Ball", "USAGE"),
    ("--reference Nobody=a.png", "LAYER_UNKNOWN"), ("--reference Walker=none.png", "REFERENCE_INVALID")])
def test_bad_wishes_reserve_nothing(folder: Path, capsys: pytest.CaptureFixture[str], flags: str, code: str) -> None:
    assert failure(capsys, "generate", folder, *flags.split()) == code
    assert not (folder / "takes").exists()


def test_a_reference_is_a_png_of_rgb(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, cut, renamed = tmp_path / "t.png", tmp_path / "c.png", tmp_path / "j.png"
    text.write_text("no picture")
    cut.write_bytes(picture(tmp_path / "whole.png").read_bytes()[:-30])
    from PIL import Image
    Image.new("RGB", (4, 4)).save(renamed, "JPEG")
    deep = picture(tmp_path / "deep.png", 3, np.uint16)
    for path in (text, cut, renamed, deep):
        assert failure(capsys, "generate", folder, "--reference", f"Walker={path}") == "REFERENCE_INVALID"
    assert not (folder / "takes").exists()


def test_generate_asks_for_what_the_flags_say(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face, back = picture(tmp_path / "face.png"), picture(tmp_path / "back.png", 4)
    assert failure(capsys, "generate", folder, *NOWHERE, "--layer-seed", "Ball=8", "--strength", "Road=0@1,1@2", "--noise",
                   "pixel", "--stickiness", "0.5", "--reference", f"Walker={face}", "--reference", f"Walker={back}",
                   "--best-of", "3", "--seed", "5") == "WEIGHTS_MISSING"
    names = [f"{sha256_file(path)[:16]}.png" for path in (face, back)]
    expected = TakeRequest("a grey street, bright daylight", {}, 5, None, NOWHERE[1], {"Ball": 8},
                           {"Road": [[1, 0.0], [2, 1.0]]}, "pixel", 0.5, {"Walker": names})
    takes = list_takes(folder)
    assert [take.request() for take in takes] == [replace(expected, seed=seed) for seed in (5, 6, 7)]
    # all were queued before the first was run
    assert [take.state() for take in takes] == [State.FAILED, State.QUEUED, State.QUEUED]
    assert all(set(take.reference_files()) == {"Walker"} for take in takes)


def test_like_takes_over_the_wishes_and_the_layers(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other shot has no Walker any more."""
    picture(tmp_path / "face.png")
    finished(folder, Ball=[tmp_path / "face.png"], Walker=[tmp_path / "face.png"])
    other = tmp_path / "b.lucid"
    make_shot(other, frames=Frames(1, 2), size=Size(32, 24), figure=False)
    assert main(["generate", str(other), "--like", f"{folder}:1", "--strength", "Ball=0.25", "--best-of", "2"]) == 2
    said = capsys.readouterr()
    assert "WEIGHTS_MISSING" in said.err and "no 'Walker'" in said.out
    first, second = list_takes(other)
    assert first.request() == TakeRequest("a street", {}, 3, None, NOWHERE[1], strengths={"Road": 0.5, "Ball": 0.25},
                                          references={"Ball": [f"{sha256_file(tmp_path / 'face.png')[:16]}.png"]})
    found, _ = find_layer(other, KEY, "Ball", kept=first.folder / KEPT)
    assert found is not None and found.take is None and not (second.folder / KEPT).exists()
    assert failure(capsys, "generate", other, "--like", f"{folder}:9") == "TAKE_MISSING"


def test_like_is_no_edit_any_more(folder: Path) -> None:
    shot = open_shot(folder)
    wish = replace(REQUEST, parent=1, edit=Edit("Ball"), layer_seeds={"Gone": 1, "Ball": 2}, strengths={"Lost": 1.0, "Road": 0.5},
                   references={"Gone": ["0123456789abcdef.png"]})
    assert like(wish, shot) == (replace(REQUEST, layer_seeds={"Ball": 2}), ["Gone", "Lost"])


def test_keep_names_layers_of_one_take(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stays is asked as it was, whatever else the flags say, and in every take of a row; asking it something is refused."""
    finished(folder)
    flags = ["--keep", "1:Walker, Ball", *NOWHERE, "--seed", "8", "--prompt", "a lane", "--strength", "Road=0.25"]
    assert main(["generate", str(folder), *flags, "--best-of", "2"]) == 2
    assert "keeps Ball, Walker of take 1" in capsys.readouterr().out
    expected = TakeRequest("a lane", {"Ball": "a street", "Walker": "a man"}, 8, None, NOWHERE[1], {"Ball": 3, "Walker": 3},
                           {"Road": 0.25}, parent=1, keep=("Ball", "Walker"))
    assert [get_take(folder, number).request() for number in (2, 3)] == [expected, replace(expected, seed=9)]
    assert main(["takes", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("take 3: queued, keeps Ball, Walker of take 1, seed 9, ")
    twice = ["--keep", "1:Ball", "--keep", "1:Walker", *NOWHERE, *flags[4:]]
    assert failure(capsys, "generate", folder, *twice) == "WEIGHTS_MISSING" and get_take(folder, 4).request() == expected
    assert failure(capsys, "generate", folder, "--keep", "2:Walker") == "TAKE_NOT_DONE"
    assert failure(capsys, "generate", folder, "--keep", "1:Walker,environment,Ball") == "KEEP_ALL"
    for asked in ("--layer-prompt Walker=x", "--layer-seed Walker=7", "--strength Walker=0.5", "--reference Walker=a.png"):
        assert failure(capsys, "generate", folder, "--keep", "1:Walker", *asked.split()) == "USAGE"
    assert failure(capsys, "generate", folder, "--keep", "1:environment", "--strength", "Road=0.25") == "USAGE"
    assert len(list_takes(folder)) == 4


def changes(folder: Path, name: str, parent: int = 1, **wish: object) -> TakeRequest:
    shot = open_shot(folder)
    return edited(folder, shot, get_take(folder, parent), named(shot, name), **wish)      # type: ignore[arg-type]


def test_an_edit_changes_its_target_alone(folder: Path) -> None:
    new_take(folder, REQUEST)
    assert changes(folder, "Ball", prompt=" red ") == replace(
        REQUEST, layer_prompts={"Walker": "a man", "Ball": "red"}, parent=1, edit=Edit("Ball"))
    assert changes(folder, "Road", seed=9, strength=[[1, 0.1], [2, 0.9]]) == replace(
        REQUEST, layer_seeds={"environment": 9}, strengths={"Road": [[1, 0.1], [2, 0.9]]}, parent=1,
        edit=Edit("environment", (3,)))
    assert changes(folder, "environment", start="parent") == replace(
        REQUEST, parent=1, edit=Edit("environment", (), "parent", CHANGE))
    assert changes(folder, "Walker", start="beauty", change=1.0).edit == Edit("Walker", (), "beauty", 1.0)


def test_what_one_object_was_asked_to_be_is_not_meant_for_the_others(folder: Path) -> None:
    """Takes 2 to 4, each a change of the one before: the road gets a prompt, then the ball, then the whole environment."""
    new_take(folder, REQUEST)
    new_take(folder, changes(folder, "Road", prompt="wet", seed=9))
    new_take(folder, changes(folder, "Ball", 2, prompt="red"))
    assert get_take(folder, 3).request().layer_prompts == {"Walker": "a man", "environment": "wet", "Ball": "red"}
    again = changes(folder, "Road", 3, seed=5)
    assert (again.prompt_of("environment"), again.seed_of("environment")) == ("wet", 5)
    whole = changes(folder, "environment", 3, start="parent")
    assert (whole.layer_prompts, whole.layer_seeds) == ({"Walker": "a man", "Ball": "red"}, {})
    assert settled(folder, get_take(folder, 3), "environment", (4,)).prompt_of("environment") == "a street"
    new_take(folder, replace(whole, layer_prompts={"environment": "a lane"}))
    assert changes(folder, "Road", 4, seed=5).prompt_of("environment") == "a lane"
    new_take(folder, replace(whole, parent=5))
    with pytest.raises(LucidError, match="^TAKE_INVALID: take 5 is a change of a take that came after it"):
        changes(folder, "Ball", 5, seed=5)


@pytest.mark.parametrize(("wish", "code"), [
    ({}, "EDIT_EMPTY"), ({"seed": 3}, "EDIT_EMPTY"), ({"prompt": "a man"}, "EDIT_EMPTY"), ({"prompt": " "}, "PROMPT_EMPTY"),
    ({"seed": 4, "change": 0.5}, "USAGE"), ({"seed": 4, "change": 1.0}, "USAGE"), ({"strength": 2.0}, "STRENGTH_INVALID")])
def test_an_edit_that_is_none(folder: Path, wish: dict[str, object], code: str) -> None:
    """Also a seed or a prompt that the layer has already."""
    new_take(folder, REQUEST)
    with pytest.raises(LucidError, match=f"^{code}: "):
        changes(folder, "Walker", **wish)


def test_edit_makes_a_child(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(folder, Walker=[picture(tmp_path / "face.png")])
    before = {path: path.read_bytes() for path in get_take(folder, 1).folder.rglob("*") if path.is_file()}
    made = failure(capsys, "edit", folder, "--take", "1", "--object", "ball", "--prompt", "red", "--seed", "4")
    assert made == "WEIGHTS_MISSING"
    child = get_take(folder, 2)
    assert child.request() == replace(get_take(folder, 1).request(), layer_prompts={"Walker": "a man", "Ball": "red"},
                                      layer_seeds={"Ball": 4}, parent=1, edit=Edit("Ball"))
    assert set(child.reference_files()) == {"Walker"}
    # the road, in the bottom left corner of the picture
    assert failure(capsys, "edit", folder, "--take", "1", "--at", "1,22,2", "--start", "parent") == "WEIGHTS_MISSING"
    assert get_take(folder, 3).request().edit == Edit("environment", (3,), "parent", CHANGE)
    assert before == {path: path.read_bytes() for path in get_take(folder, 1).folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("flags", "code"), [
    ("--object Ball", "EDIT_EMPTY"), ("--prompt red", "USAGE"), ("--object Ball --at 1,1,1 --seed 1", "USAGE"),
    ("--object Nobody --seed 1", "OBJECT_UNKNOWN"), ("--at 1,1 --seed 1", "USAGE"), ("--at 99,1,1 --seed 1", "PIXEL_OUTSIDE"),
    ("--at 1,1,9 --seed 1", "FRAME_OUTSIDE"), ("--at 0,0,1 --seed 1", "PIXEL_BACKGROUND"), ("--object Ball --seed -1", "USAGE"),
    ("--object Ball --strength 2", "STRENGTH_INVALID"), ("--object Ball --strength x", "USAGE"),
    ("--object Ball --start parent --change 0", "EDIT_INVALID"), ("--object Ball --start parent --change 1.5", "EDIT_INVALID"),
    ("--object Ball --seed 1 --change 0.5", "USAGE"), ("--object Ball --start beauty", "PASS_MISSING"),
    ("--object Ball --start end", "USAGE")])
def test_bad_edits_reserve_nothing(folder: Path, capsys: pytest.CaptureFixture[str], flags: str, code: str) -> None:
    finished(folder)
    assert failure(capsys, "edit", folder, "--take", "1", *flags.split()) == code
    assert len(list_takes(folder)) == 1


def test_only_a_whole_take_of_this_shot_can_be_changed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--object", "Ball", "--seed", "1")
    assert failure(capsys, "edit", folder, "--take", "1", *flags) == "TAKE_MISSING"
    new_take(folder, REQUEST)
    assert failure(capsys, "edit", folder, "--take", "1", *flags) == "TAKE_NOT_DONE"
    finished(folder, latents=False)
    assert failure(capsys, "edit", folder, "--take", "2", *flags) == "LATENTS_MISSING"
    unsealed = finished(folder)
    (layer_path(unsealed.folder, "Ball") / "layer.json").unlink()
    assert failure(capsys, "edit", folder, "--take", "3", *flags) == "LAYER_MISSING"
    other = tmp_path / "b.lucid"
    make_shot(other, frames=Frames(1, 2), size=Size(32, 24), ball_x=0.5)
    foreign = finished(other)
    foreign.folder.rename(folder / "takes" / "0009")
    assert failure(capsys, "edit", folder, "--take", "9", *flags) == "TAKE_FOREIGN"
    assert len(list_takes(folder)) == 4


@pytest.mark.parametrize(("change", "code"), [
    ({"edit": Edit("Nobody")}, "LAYER_UNKNOWN"), ({"edit": Edit("Ball", (1,))}, "EDIT_INVALID"),
    ({"edit": Edit("environment", (1,))}, "OBJECT_UNKNOWN"), ({"edit": Edit("environment", (99,))}, "OBJECT_UNKNOWN"),
    ({"parent": None, "edit": Edit("Ball")}, "EDIT_INVALID"), ({"parent": 4}, "TAKE_MISSING"),
    ({"layer_seeds": {"Nobody": 1}}, "LAYER_UNKNOWN"), ({"references": {"Nobody": ["0123456789abcdef.png"]}}, "LAYER_UNKNOWN"),
    ({"strengths": {"Road": [[2, 1.0], [1, 0.0]]}}, "STRENGTH_INVALID"), ({"prompt": ""}, "PROMPT_EMPTY")])
def test_a_request_made_by_hand_is_judged_too(folder: Path, change: dict[str, object], code: str) -> None:
    finished(folder)
    shot, good = open_shot(folder), replace(REQUEST, parent=1, edit=Edit("environment", (3,)))
    check_request(good, shot, folder)
    with pytest.raises(LucidError, match=f"^{code}: "):
        check_request(replace(good, **change), shot, folder)       # type: ignore[arg-type]


@pytest.mark.skipif(os.name == "nt", reason="process ids are reused at once there")
def test_resume_runs_what_was_stopped_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take = new_take(folder, REQUEST)
    assert failure(capsys, "resume", folder, "1") == "TAKE_NOT_RESUMABLE"
    take.emit("started")
    take.ask_to_cancel()
    take.finish(State.CANCELLED)
    assert failure(capsys, "resume", folder, "1") == "WEIGHTS_MISSING"      # it ran, and failed where it now had to
    assert [event["event"] for event in take.events()][:3] == ["started", "resumed", "started"]
    assert take.state() is State.FAILED and not take.cancel_asked
    assert failure(capsys, "resume", folder, "1") == "TAKE_NOT_RESUMABLE"
    assert failure(capsys, "resume", folder, "7") == "TAKE_MISSING"


def test_takes_lists_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["takes", str(folder)]) == 0 and capsys.readouterr().out == ""
    finished(folder)
    new_take(folder, replace(REQUEST, parent=1, edit=Edit("environment", (3,), "parent", 0.5), layer_seeds={"environment": 8}))
    broken = new_take(folder, REQUEST)
    (broken.folder / "request.json").write_text("{}")
    failed = new_take(folder, REQUEST)
    failed.finish(State.FAILED, error=LucidError("WEIGHTS_MISSING", "none", "get them").to_json())
    assert main(["takes", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'take 1: done, seed 3, 1.2 s, "a street"'
    assert lines[1] == 'take 2: queued, take 1 with another Road, 0.5 of the parent painted again, seed 8, "a street"'
    assert lines[2].startswith("take 3: damaged, TAKE_INVALID: ") and lines[3].endswith("; WEIGHTS_MISSING: none (get them)")
    assert main(["takes", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {"number": 2, "state": "queued", "parent": 1, "seed": 8, "seconds": None, "prompt": "a street",
                       "error": None, "verdict": None, "favourite": False, "keep": [], "steps": None,
                       "edit": {"layer": "environment", "objects": ["Road"], "start": "parent", "change": 0.5}}
    assert [row["state"] for row in rows] == ["done", "queued", "damaged", "failed"]
    assert main(["inspect", str(folder)]) == 0 and capsys.readouterr().out.splitlines()[-4:] == lines
    assert main(["inspect", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["takes"] == [{"number": row["number"], "state": row["state"]} for row in rows]
