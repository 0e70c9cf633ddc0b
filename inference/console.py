# SPDX-License-Identifier: GPL-3.0-or-later
"""What both command lines share: a parser whose errors are LucidErrors, the flags of a take, exit statuses."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from .errors import LucidError
from .shot.model import Frames, Size, TakeRequest
from .shot.requests import NOISES, check_fields, check_layers, check_prompts

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_UNHEARD = 141          # as a shell has it for a closed pipe
# what the worker does for people, wherever the command line is: Blender hands these on to it
WORKER_VERBS = ("generate", "edit", "resume", "takes", "measure", "inspect", "camera", "contact-sheet")


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors: ``error()`` raises LucidError USAGE."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # what looks like a negative number is a value and no flag: also the range in --frames -5:10
        self._negative_number_matcher = re.compile(r"-\d")

    def error(self, message: str) -> NoReturn:
        raise LucidError("USAGE", message, f"see {self.prog} --help")


def say(text: str) -> None:
    """One line for people on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_verb(function: Callable[[], int]) -> int:
    """Call a verb; a LucidError becomes one line on standard error and exit status 2, Ctrl-C 130, a reader that
    went away 141."""
    try:
        return function()
    except LucidError as error:
        sys.stderr.write(f"lucid: {' '.join(str(error).splitlines())}\n")      # Blender's own words may be several
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("lucid: INTERRUPTED: stopped by the keyboard (run it again to go on)\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:         # whoever reads, `head` say, has what it wanted; nothing is left to flush at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNHEARD


def add_take_flags(parser: argparse.ArgumentParser, strength: Callable[[str], tuple[str, Any]]) -> None:
    """The flags that make a TakeRequest. ``strength`` reads one of --strength: the parser of conditioning, which this module
    may not import."""
    parser.add_argument("--prompt", default=None, metavar="T", help="what the shot shows (default: its own)")
    parser.add_argument("--layer-prompt", action="append", default=[], metavar="NAME=T",
                        help="what one layer shows: an actor's name, or environment; repeatable")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="another seed gives another take (default 0)")
    parser.add_argument("--layer-seed", action="append", default=[], metavar="NAME=N",
                        help="another seed for one layer alone; repeatable")
    parser.add_argument("--strength", action="append", default=[], type=strength, metavar="NAME=V|NAME=V@F,...",
                        help="how strongly a layer or an object is obeyed, 0 free to 1, also by frame; repeatable")
    parser.add_argument("--noise", choices=NOISES, default=None,
                        help="noise that goes with surfaces (default), or white noise in each pixel")
    parser.add_argument("--stickiness", type=float, default=None, metavar="S",
                        help="how much of the noise on a surface stays from frame to frame, 0 to 1 (default 0)")
    parser.add_argument("--pull", type=float, default=None, metavar="P",
                        help="how far each object's colours are held to where it is first seen, 0 to 1 (default 0)")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="denoising steps; default: the model's")
    parser.add_argument("--weights", default=None, metavar="mini|PATH|REPO",
                        help="the embedded model (default), a folder, or a hub repository OWNER/NAME")


def take_request(arguments: argparse.Namespace, base: TakeRequest, layers: Iterable[str]) -> TakeRequest:
    """The request ``base`` with what those flags say, for a shot with those layers. Raises PROMPT_EMPTY, LAYER_UNKNOWN,
    STRENGTH_INVALID or USAGE."""
    names = list(layers)
    prompts = dict(_pair("--layer-prompt", item, "Walker=a red man") for item in arguments.layer_prompt)
    seeds = {name: _whole("--layer-seed", text) for name, text in
             (_pair("--layer-seed", item, "Walker=7") for item in arguments.layer_seed)}
    given = {name: value for name in ("seed", "noise", "stickiness", "pull", "steps", "weights")
             if (value := getattr(arguments, name)) is not None}
    prompt = base.prompt if arguments.prompt is None else arguments.prompt
    request = replace(base, prompt=prompt.strip(), layer_prompts=base.layer_prompts | prompts,
                      layer_seeds=base.layer_seeds | seeds, strengths=base.strengths | dict(arguments.strength), **given)
    check_fields(request)
    check_prompts(request, names)
    check_layers(request.layer_seeds, names)
    return request


def reference_files(items: Iterable[str]) -> dict[str, list[Path]]:
    """The flags --reference LAYER=FILE as the files of each layer, in their order. Raises USAGE."""
    files: dict[str, list[Path]] = {}
    for item in items:
        layer, path = _pair("--reference", item, "Walker=face.png")
        files.setdefault(layer, []).append(Path(path))
    return files


def _pair(flag: str, item: str, example: str) -> tuple[str, str]:
    name, found, text = item.partition("=")
    if not found or not name.strip() or not text.strip():
        raise LucidError("USAGE", f"{flag} '{item}' is not NAME=VALUE", f"write {flag} '{example}'")
    return name.strip(), text.strip()


def _whole(flag: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise LucidError("USAGE", f"{flag}: '{text}' is not a whole number", f"write {flag} Walker=7") from error


def parse_frames(text: str) -> Frames:
    """``A:B`` or ``A:B:STEP``. Raises USAGE or RANGE_EMPTY."""
    try:
        start, end, *step = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise LucidError("USAGE", f"'{text}' is not a frame range", "write --frames 1:45 or --frames 1:45:2") from error
    if len(step) > 1:
        raise LucidError("USAGE", f"'{text}' is not a frame range", "write --frames 1:45 or --frames 1:45:2")
    return Frames(start, end, step[0] if step else 1)


def parse_size(text: str) -> Size:
    """``WIDTHxHEIGHT`` in pixels. Raises USAGE."""
    width, found, height = text.lower().partition("x")
    if not (found and width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0):
        raise LucidError("USAGE", f"'{text}' is not a size", "write --size 256x144")
    return Size(int(width), int(height))
