# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags shared by both command lines: ranges, sizes, and the request they make before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lucid.inference.console import Parser, add_take_flags, parse_frames, parse_size, take_request
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
    add_take_flags(run)
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
    (["--prompt", " "], "PROMPT_EMPTY"), (["--prompt", "", "--layer-prompt", "Walker=a man"], "PROMPT_EMPTY")])
def test_requests_that_cannot_run(flags: list[str], code: str) -> None:
    with pytest.raises(LucidError, match=f"^{code}: "):
        take_request(parser().parse_args(["run", *flags]), "a street", LAYERS)


def test_a_request_says_what_the_flags_say() -> None:
    flags = ["run", "--layer-prompt", " Walker = a = b ", "--seed", "3", "--steps", "4"]
    assert take_request(parser().parse_args(flags), "a street", LAYERS) == TakeRequest(
        "a street", {"Walker": "a = b"}, seed=3, steps=4)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    make_shot(tmp_path / "a.lucid", frames=Frames(1, 2), size=Size(32, 16), figure=False)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run([sys.executable, str(ROOT / "inference"), "inspect", str(tmp_path / "a.lucid")], stdout=pipe,
                               stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")
