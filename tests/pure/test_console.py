# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags shared by both command lines: ranges, sizes, and the request they make before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lucid.inference.conditioning.asked import strength_flag
from lucid.inference.console import Parser, add_take_flags, parse_frames, parse_size, reference_files, take_request
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.tests.shots import make_shot

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("environment", "Walker")


def parser() -> Parser:
    top = Parser(prog="lucid")
    run = top.add_subparsers(parser_class=Parser).add_parser("run")
    run.add_argument("--frames", type=parse_frames)
    run.add_argument("--size", type=parse_size)
    add_take_flags(run, strength_flag)
    return top


@pytest.mark.parametrize(("text", "frames"), [("1:45", Frames(1, 45)), ("-5:10", Frames(-5, 10)), ("-9:-3:2", Frames(-9, -3, 2))])
def test_ranges_may_begin_before_zero(text: str, frames: Frames) -> None:
    arguments = parser().parse_args(["run", "--frames", text, "--seed", "-1", "--size", "64X48"])
    assert (arguments.frames, arguments.seed, arguments.size) == (frames, -1, Size(64, 48))


@pytest.mark.parametrize(("flags", "code"), [
    (["--frames", "1"], "USAGE"), (["--frames", "1:2:3:4"], "USAGE"), (["--frames", "-5:-9"], "RANGE_EMPTY"),
    (["--frames"], "USAGE"), (["--size", "0x9"], "USAGE"), (["--colour", "red"], "USAGE")])
def test_flags_that_make_no_sense(flags: list[str], code: str) -> None:
    with pytest.raises(LucidError, match=rf"^{code}: .+ \(.+\)$"):
        parser().parse_args(["run", *flags])


@pytest.mark.parametrize(("flags", "code"), [
    (["--layer-prompt", "Nobody=x"], "LAYER_UNKNOWN"), (["--layer-prompt", "Walker"], "USAGE"), (["--steps", "0"], "USAGE"),
    (["--layer-prompt", "=x"], "USAGE"), (["--prompt", " "], "PROMPT_EMPTY"),
    (["--prompt", "", "--layer-prompt", "Walker=a man"], "PROMPT_EMPTY"), (["--seed", "-1"], "USAGE"),
    (["--seed", str(2**63)], "USAGE"), (["--layer-seed", "Nobody=1"], "LAYER_UNKNOWN"), (["--layer-seed", "Walker=x"], "USAGE"),
    (["--layer-seed", "Walker=-1"], "USAGE"), (["--layer-seed", "Walker"], "USAGE"), (["--stickiness", "1.5"], "USAGE"),
    (["--pull", "nan"], "USAGE"), (["--strength", "Walker=2"], "STRENGTH_INVALID"), (["--strength", "Walker"], "USAGE"),
    (["--strength", "Walker=1@5,0@5"], "STRENGTH_INVALID"), (["--noise", "blue"], "USAGE")])
def test_requests_that_cannot_run(flags: list[str], code: str) -> None:
    with pytest.raises(LucidError, match=f"^{code}: "):
        take_request(parser().parse_args(["run", *flags]), TakeRequest("a street"), LAYERS)


def test_a_request_says_what_the_flags_say() -> None:
    flags = ["run", "--layer-prompt", " Walker = a = b ", "--seed", "3", "--steps", "4", "--layer-seed", "Walker=9", "--noise",
             "pixel", "--stickiness", "0.25", "--pull", "0.5", "--strength", "Walker=0.5", "--strength",
             "The Road=0@1,1@9", "--weights", "w"]
    assert take_request(parser().parse_args(flags), TakeRequest("a street"), LAYERS) == TakeRequest(
        "a street", {"Walker": "a = b"}, 3, 4, "w", {"Walker": 9}, {"Walker": 0.5, "The Road": [[1, 0.0], [9, 1.0]]},
        "pixel", 0.25, pull=0.5)
    assert take_request(parser().parse_args(["run"]), TakeRequest("a street"), LAYERS) == TakeRequest("a street")


def test_flags_overrule_what_a_request_has_and_leave_the_rest() -> None:
    base = TakeRequest("a street", {"Walker": "a man", "environment": "a road"}, 3, 4, "w", {"Walker": 9}, {"Walker": 0.5},
                       "pixel", 0.25)
    assert take_request(parser().parse_args(["run"]), base, LAYERS) == base
    flags = ["run", "--prompt", "a hall", "--layer-prompt", "Walker=a boy", "--seed", "0", "--stickiness", "0", "--strength",
             "environment=1"]
    assert take_request(parser().parse_args(flags), base, LAYERS) == replace(
        base, prompt="a hall", layer_prompts={"Walker": "a boy", "environment": "a road"}, seed=0, stickiness=0.0,
        strengths={"Walker": 0.5, "environment": 1.0})


def test_references_are_listed_by_layer() -> None:
    assert reference_files(["Walker=a.png", "Ball=b=c.png", "Walker=d.png"]) == {
        "Walker": [Path("a.png"), Path("d.png")], "Ball": [Path("b=c.png")]}
    for item in ("a.png", "=a.png", "Walker="):
        with pytest.raises(LucidError, match="^USAGE: --reference"):
            reference_files([item])


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    make_shot(tmp_path / "a.lucid", frames=Frames(1, 2), size=Size(32, 16), figure=False)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run([sys.executable, str(ROOT / "inference"), "inspect", str(tmp_path / "a.lucid")], stdout=pipe,
                               stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")
