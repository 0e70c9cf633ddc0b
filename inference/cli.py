# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's verbs: generate, run-take, inspect, camera, contact-sheet, doctor."""

from __future__ import annotations

import argparse
import io
import json
import math
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .conditioning.camera import check_perspective, pluecker, realestate10k
from .console import EXIT_ERROR, Parser, add_take_flags, parse_size, run_verb, say, take_request
from .errors import LucidError
from .shot.manifest import shot_to_json
from .shot.model import Shot
from .shot.store import open_shot, write_atomic
from .shot.takes import State, Take, get_take, list_takes, new_take


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""

    def verb() -> int:
        arguments = _parser().parse_args(argv)
        status: int = arguments.function(arguments)
        return status

    return run_verb(verb)


def _parser() -> Parser:
    parser = Parser(prog="lucid", description="Generate, inspect and measure shots captured from Blender.")
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    generate = _verb(verbs, "generate", _generate, "make a new take of a shot")
    add_take_flags(generate)
    run_take = _verb(verbs, "run-take", _run_take, "run a take that is queued in a shot")
    run_take.add_argument("take", type=int, metavar="N")
    inspect = _verb(verbs, "inspect", _inspect, "check every hash of a shot and say what it holds")
    inspect.add_argument("--json", action="store_true", help="the whole manifest and the takes as JSON")
    camera = _verb(verbs, "camera", _camera, "the camera's path as camera-conditioned models read it, or in words")
    camera.add_argument("--format", choices=("re10k", "pluecker", "words"), required=True,
                        help="RealEstate10K's text, rays as .npz, or the move in words")
    camera.add_argument("--unit", type=float, default=1.0, metavar="M", help="metres per unit of the model (default 1)")
    camera.add_argument("--reader", type=parse_size, default=None, metavar="WxH",
                        help="the size that the text's reader takes every clip for, 1280x720 for most")
    camera.add_argument("--out", type=Path, required=True, metavar="FILE")
    sheet = _verb(verbs, "contact-sheet", _contact_sheet, "a picture of controls, layers and final side by side")
    sheet.add_argument("--take", type=int, required=True, metavar="N")
    sheet.add_argument("--out", type=Path, required=True, metavar="PNG")
    doctor = verbs.add_parser("doctor", help="say what this worker can run on")
    doctor.set_defaults(function=_doctor)
    return parser


def _verb(verbs: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("shot", type=Path, metavar="SHOT.lucid")
    parser.set_defaults(function=function)
    return parser


def _generate(arguments: argparse.Namespace) -> int:
    shot = open_shot(arguments.shot, verify=False)
    request = take_request(arguments, shot.prompt, (layer.name for layer in shot.layers))
    return _run(arguments.shot, new_take(arguments.shot, request))


def _run_take(arguments: argparse.Namespace) -> int:
    open_shot(arguments.shot, verify=False)
    take = get_take(arguments.shot, arguments.take)
    if take.state() is not State.QUEUED:
        raise LucidError("TAKE_NOT_QUEUED", f"take {take.number} is {take.state().value}", "generate a new take")
    return _run(arguments.shot, take)


def _run(folder: Path, take: Take) -> int:
    from .generation.run import TakeRun

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopped.append(signum))
    say(f"take {take.number} of {folder}")
    state = TakeRun(folder, take, _tell, lambda: bool(stopped)).run()
    if state is State.CANCELLED:
        raise LucidError("CANCELLED", f"take {take.number} was stopped", "generate again for a new take")
    say(f"done: {take.folder / 'final'}")
    return 0


def _tell(event: dict[str, Any]) -> None:
    if event["event"] == "note":
        say(f"  note: {event['text']}")
    elif event["event"] == "progress":
        left = event["seconds_left"]
        say(f"  {event['text']}" + (f", {left:.0f} s left" if left else ""))


def _inspect(arguments: argparse.Namespace) -> int:
    shot = open_shot(arguments.shot)
    takes = list_takes(arguments.shot)
    if arguments.json:
        data = shot_to_json(shot) | {"takes": [{"number": t.number, "state": t.state().value} for t in takes]}
        say(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    for line in _describe(shot):
        say(line)
    for take in takes:
        say(f"take {take.number}: {take.state().value}, \"{take.request().prompt}\", seed {take.request().seed}")
    return 0


def _describe(shot: Shot) -> list[str]:
    frames, span = shot.frames, shot.depth_range
    lines = [f"{shot.name}: {len(frames)} frames {frames.start}:{frames.end}:{frames.step} at {shot.rate.fps:g} fps,"
             f" {shot.size}",
             f"camera {shot.camera}" + (f": {shot.camera_words}" if shot.camera_words else ""),
             f"depth {span.near:.3g} m to {span.far:.3g} m",
             f"passes: {', '.join(s.name for s in shot.passes) or 'none'}; prompt: \"{shot.prompt}\""]
    for layer in shot.layers:
        names = ", ".join(sorted({shot.instances[i] for i in layer.ids}))
        posed = ", posed" if layer.pose is not None else ""
        lines.append(f"layer {layer.name}" + (f" ({names})" if names else "") + posed)
    lines += [f"note: {shot.source['notes']}"] if "notes" in shot.source else []
    return [*lines, f"{len(shot.files)} files, every hash right"]


def _camera(arguments: argparse.Namespace) -> int:
    shot = open_shot(arguments.shot)
    if not 0.0 < arguments.unit < math.inf:
        raise LucidError("USAGE", f"--unit {arguments.unit:g} is not a length", "write how many metres one unit stands for")
    write_atomic(arguments.out, _camera_file(arguments, shot))
    say(str(arguments.out))
    return 0


def _camera_file(arguments: argparse.Namespace, shot: Shot) -> bytes:
    if arguments.format == "words":
        if not shot.camera_words:
            raise LucidError("CAMERA_WORDS", f"the shot '{shot.name}' says nothing of its camera", "capture the shot again")
        return (shot.camera_words + "\n").encode()
    check_perspective(shot)
    with np.load(arguments.shot / "camera.npz") as data:
        frame, K, poses = data["frame"], data["K"], data["world_from_camera"]
    if arguments.format == "re10k":
        return realestate10k(K, poses, shot.size, shot.rate.fps / shot.frames.step, title=shot.name, unit=arguments.unit,
                             reader=arguments.reader).encode()
    stream = io.BytesIO()
    np.savez_compressed(stream, frame=frame, rays=pluecker(K, poses, shot.size, unit=arguments.unit))
    return stream.getvalue()


def _contact_sheet(arguments: argparse.Namespace) -> int:
    from .generation.sheet import contact_sheet

    contact_sheet(arguments.shot, arguments.take, arguments.out)
    say(str(arguments.out))
    return 0


def _doctor(_arguments: argparse.Namespace) -> int:
    from .adapters import checkpoint
    from .adapters.base import device, versions

    for name, version in versions().items():
        say(f"{name} {version}")
    say(f"runs on: {device()}")
    try:
        checkpoint.check(checkpoint.MINI)
    except LucidError as error:
        say(f"embedded model: {error}")
        return EXIT_ERROR
    size = sum(path.stat().st_size for path in checkpoint.MINI.rglob("*") if path.is_file())
    say(f"embedded model: ready, {size / 2**20:.1f} MiB")
    return 0
