# SPDX-License-Identifier: GPL-3.0-or-later
"""What both command lines share: a parser whose errors are LucidErrors, the flags of a take, exit statuses."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from .errors import LucidError
from .shot.model import Frames, Size, TakeRequest
from .shot.takes import check_prompts

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_UNHEARD = 141          # as a shell has it for a closed pipe


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


def add_take_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that make a TakeRequest."""
    parser.add_argument("--prompt", default=None, metavar="T", help="what the shot shows (default: its own)")
    parser.add_argument("--layer-prompt", action="append", default=[], metavar="NAME=T",
                        help="what one layer shows: an actor's name, or environment; repeatable")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed gives another take (default 0)")
    parser.add_argument("--steps", type=int, default=None, metavar="N", help="denoising steps; default: the model's")
    parser.add_argument("--weights", default="mini", metavar="mini|PATH|REPO",
                        help="the embedded model, a folder, or a hub repository OWNER/NAME")


def take_request(arguments: argparse.Namespace, shot_prompt: str, layers: Iterable[str]) -> TakeRequest:
    """The request those flags describe, for a shot with that prompt and those layers. Raises PROMPT_EMPTY, LAYER_UNKNOWN
    or USAGE."""
    layer_prompts: dict[str, str] = {}
    for item in arguments.layer_prompt:
        name, found, text = item.partition("=")
        if not found or not text.strip():
            raise LucidError("USAGE", f"--layer-prompt '{item}' is not NAME=TEXT",
                             "write --layer-prompt 'Walker=a red man'")
        layer_prompts[name.strip()] = text.strip()
    if arguments.steps is not None and arguments.steps < 1:
        raise LucidError("USAGE", f"--steps {arguments.steps} is not 1 or more", "leave it out for the model's own")
    prompt = shot_prompt if arguments.prompt is None else arguments.prompt
    request = TakeRequest(prompt.strip(), layer_prompts, arguments.seed, arguments.steps, arguments.weights)
    check_prompts(request, layers)
    return request


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
