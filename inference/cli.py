# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's verbs: generate, edit, resume, run-take, takes, measure, inspect, camera, contact-sheet, doctor."""

from __future__ import annotations

import argparse
import io
import json
import math
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .conditioning.asked import check_reference, check_request, like, strength_flag
from .conditioning.camera import check_perspective, pluecker, realestate10k
from .conditioning.edits import CHANGE, edited, settled
from .conditioning.estimate import FILE, read_speeds, told_of_take
from .conditioning.target import named, parse_at, pick
from .console import EXIT_ERROR, Parser, add_take_flags, parse_size, reference_files, run_verb, say, take_request
from .errors import LucidError
from .heap import give_back_freed_blocks
from .home import lucid_home
from .measuring import UNMEASURABLE, add_measure, measure, ranked
from .shot.discard import delete_take
from .shot.lineage import keeping, told_by
from .shot.listing import row_text, take_rows
from .shot.manifest import shot_to_json
from .shot.model import Shot, TakeRequest
from .shot.requests import STARTS, check_layers
from .shot.sealed import keep_layers
from .shot.store import open_shot, write_atomic
from .shot.takes import State, Take, get_take, new_take, resume

#: seconds after which a worker that nobody needs ends
IDLE = 900.0


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
    _add_generate(_verb(verbs, "generate", _generate, "make a new take of a shot"))
    _add_edit(_verb(verbs, "edit", _edit, "make a take that changes one thing of another and keeps all the rest"))
    resume = _verb(verbs, "resume", _resume, "go on with a take that was interrupted or cancelled")
    resume.add_argument("take", type=int, metavar="N")
    takes = _verb(verbs, "takes", _takes, "list the takes of a shot, mark favourites, delete")
    takes.add_argument("--json", action="store_true", help="as JSON")
    deed = takes.add_mutually_exclusive_group()
    deed.add_argument("--favourite", type=int, metavar="N", help="mark take N as one to keep: it is not deleted")
    deed.add_argument("--no-favourite", type=int, metavar="N", help="take the mark away")
    deed.add_argument("--delete", type=int, metavar="N", help="delete take N for good; asks nothing")
    run_take = _verb(verbs, "run-take", _run_take, "run a take that is queued in a shot")
    run_take.add_argument("take", type=int, metavar="N")
    run_take.add_argument("--measure", action="store_true", help="and measure it against the scene when it is done")
    add_measure(_verb(verbs, "measure", measure, "hold a take against the scene: verdict.json, a report, what to repair"))
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
    served = verbs.add_parser("serve", help="run takes for Blender, until nobody needs it any more",
                              description="A worker that Blender finds by itself; it listens on this machine alone.")
    served.add_argument("--idle", type=float, default=IDLE, metavar="SECONDS",
                        help=f"end after so long without a job or a listener (default {IDLE:g})")
    served.add_argument("--root", action="append", default=[], type=Path, metavar="FOLDER",
                        help="touch shots below this folder only; repeatable (default: every shot of this user's)")
    served.add_argument("--status", action="store_true", help="say which worker runs, and start none")
    served.add_argument("--stop", action="store_true", help="end the worker that runs; its takes can be resumed")
    served.set_defaults(function=_serve)
    return parser


def _verb(verbs: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("shot", type=Path, metavar="SHOT.lucid")
    parser.set_defaults(function=function)
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    add_take_flags(parser, strength_flag)
    parser.add_argument("--reference", action="append", default=[], metavar="NAME=PNG",
                        help="a picture whose look a layer takes over, best on white; repeatable")
    parser.add_argument("--best-of", type=int, default=1, metavar="N",
                        help="N takes, with seeds that follow each other, measured and ranked")
    parser.add_argument("--measure", action="store_true", help="measure what was generated against the scene")
    parser.add_argument("--estimate", action="store_true",
                        help="only say how the shot is cut, how long a take would take and in how much memory")
    parser.add_argument("--keep", action="append", default=[], metavar="N:NAME,NAME",
                        help="layers that stay as take N of this shot has them, bit for bit; repeatable")
    parser.add_argument("--like", default=None, metavar="OTHER.lucid:N",
                        help="ask for the same as take N of another shot, and take over its layers that are still the same")


def _add_edit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--take", type=int, required=True, metavar="N", help="the take to change; it stays as it is")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--at", type=parse_at, default=None, metavar="X,Y,FRAME", help="what is seen at this pixel")
    what.add_argument("--object", default=None, metavar="NAME", help="an actor, an object, or environment")
    parser.add_argument("--prompt", default=None, metavar="T", help="what it shows instead")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="another seed for its layer alone")
    parser.add_argument("--strength", default=None, metavar="V|V@F,...", help="how strongly it is obeyed, 0 free to 1")
    parser.add_argument("--start", choices=STARTS, default="noise", help="paint it anew, or over a picture of it")
    parser.add_argument("--change", type=float, default=None, metavar="C",
                        help=f"how much of that picture is painted again, up to 1 (default {CHANGE:g})")


def _generate(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.shot
    shot = open_shot(folder, verify=False)
    if arguments.best_of < 1:
        raise LucidError("USAGE", f"--best-of {arguments.best_of} is not 1 or more", "write --best-of 4")
    other, base, references, gone = _base(arguments.like, shot)
    base, references = _kept(arguments.keep, folder, shot, base, references)
    given = reference_files(arguments.reference)
    request = take_request(arguments, base, (layer.name for layer in shot.layers))
    _check_untold(shot, base, request, given)
    references |= given
    check_layers(references, (layer.name for layer in shot.painted))
    for path in (path for paths in references.values() for path in paths):
        check_reference(path)
    requests = [replace(request, seed=request.seed + more) for more in range(arguments.best_of)]
    for each in (requests[0], requests[-1]):
        check_request(each, shot, folder)
    if request.keep:
        say(f"keeps {', '.join(request.keep)} of take {request.parent}")
    for name in gone:
        say(f"  note: the shot has no '{name}': what was asked for it is left out")
    if arguments.estimate:
        for line in told_of_take(shot, request, references, read_speeds(lucid_home() / FILE)):
            say(line)
        return 0
    takes = [new_take(folder, each, references=references) for each in requests]
    if other is not None and other.folder.parents[1].resolve() != folder.resolve():
        for note in keep_layers(takes[0], other):       # the others have other seeds: nothing of theirs can be the same
            say(f"  note: {note}")
    return _run(folder, takes, measure=arguments.measure or len(takes) > 1)


def _base(like_text: str | None, shot: Shot) -> tuple[Take | None, TakeRequest, dict[str, list[Path]], list[str]]:
    """The take that --like names, the request and the references to start from, and the names that this shot does not have."""
    if like_text is None:
        return None, TakeRequest(shot.prompt), {}, []
    name, _, number = like_text.rpartition(":")
    if not name or not number.isdecimal():
        raise LucidError("USAGE", f"--like '{like_text}' is not OTHER.lucid:N", "write --like walk.lucid:3")
    open_shot(Path(name), verify=False)
    other = get_take(Path(name), int(number))
    request, gone = like(settled(Path(name), other, shot.environment.name), shot)
    files = {layer: paths for layer, paths in other.reference_files().items() if layer not in gone}
    return other, request, files, gone


def _kept(flags: list[str], folder: Path, shot: Shot, base: TakeRequest,
          references: dict[str, list[Path]]) -> tuple[TakeRequest, dict[str, list[Path]]]:
    """The request and the references to start from with what --keep says."""
    names: list[str] = []
    numbers = set()
    for flag in flags:
        number, _, text = flag.partition(":")
        if not number.isdecimal() or not text.strip():
            raise LucidError("USAGE", f"--keep '{flag}' is not N:NAME,NAME", "write --keep 3:Walker,Ball")
        numbers.add(int(number))
        whole = text in {layer.name for layer in shot.painted}      # a name may have a comma
        names += [text] if whole else [name.strip() for name in text.split(",")]
    if len(numbers) > 1:
        raise LucidError("USAGE", f"--keep names takes {' and '.join(map(str, sorted(numbers)))}", "keep layers of one take")
    return keeping(folder, shot, base, max(numbers, default=0), names, references)


def _check_untold(shot: Shot, base: TakeRequest, request: TakeRequest, given: dict[str, list[Path]]) -> None:
    """No flag asks for something of a layer that stays. Raises USAGE."""
    told = {name for layer in shot.painted if base.keeps(layer.name) for name in told_by(shot, layer)}
    tables: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        (base.layer_prompts, request.layer_prompts), (base.layer_seeds, request.layer_seeds), (base.strengths, request.strengths))
    asked = {name for old, new in tables for name in new if old.get(name) != new[name]} | given.keys()
    for name in sorted(told & asked):
        raise LucidError("USAGE", f"'{name}' stays as take {base.parent} has it", "ask nothing else of it, or do not keep it")


def _edit(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.shot
    shot = open_shot(folder, verify=False)      # a pixel is verified where it is read, the rest when the take runs
    parent = get_take(folder, arguments.take)
    target = named(shot, arguments.object) if arguments.at is None else pick(folder, shot, *arguments.at)
    strength = None if arguments.strength is None else strength_flag(f"{target.label}={arguments.strength}")[1]
    request = edited(folder, shot, parent, target, prompt=arguments.prompt, seed=arguments.seed, strength=strength,
                     start=arguments.start, change=arguments.change)
    check_request(request, shot, folder)
    say(f"changes '{target.label}' of take {parent.number}")
    return _run(folder, [new_take(folder, request, references=parent.reference_files())])


def _resume(arguments: argparse.Namespace) -> int:
    open_shot(arguments.shot, verify=False)
    take = get_take(arguments.shot, arguments.take)
    take.check_shot()
    resume(take)
    return _run(arguments.shot, [take])


def _takes(arguments: argparse.Namespace) -> int:
    folder, shot = arguments.shot, open_shot(arguments.shot, verify=False)
    for number, favourite in ((arguments.favourite, True), (arguments.no_favourite, False)):
        if number is not None:
            get_take(folder, number).mark(favourite=favourite)
    if arguments.delete is not None:
        went = delete_take(folder, arguments.delete)
        if not arguments.json:
            say(f"take {arguments.delete} is deleted: {went}")
    rows = take_rows(folder, shot)
    if arguments.json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    for row in rows if not arguments.json else []:
        say(row_text(row))
    return 0


def _run_take(arguments: argparse.Namespace) -> int:
    open_shot(arguments.shot, verify=False)
    take = get_take(arguments.shot, arguments.take)
    take.check_queued()
    return _run(arguments.shot, [take], measure=arguments.measure)


def _run(folder: Path, takes: list[Take], *, measure: bool = False) -> int:
    """One after the other, with one loaded model. The first that fails or is stopped ends the row; the rest stay queued. With
    ``measure`` they are held against the scene at last, and several are ranked."""
    give_back_freed_blocks()
    from .generation.run import run_takes

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopped.append(signum))
    waiting = iter(takes)

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            say(f"take {next(waiting).number} of {folder}")
        _tell(event)

    states = run_takes(folder, takes, tell, lambda: bool(stopped))
    for take, state in zip(takes, states, strict=False):       # those after a stopped one were not run
        if state is State.CANCELLED:
            raise LucidError("CANCELLED", f"take {take.number} was stopped", f"go on with it: resume {folder} {take.number}")
        say(f"done: {take.folder / 'final'}")
    if measure:
        _measure_all(folder, takes)
    return 0


def _measure_all(folder: Path, takes: list[Take]) -> None:
    shot = open_shot(folder, verify=False)      # the run has verified it
    try:
        best = ranked(folder, shot, takes)[0]
    except LucidError as error:
        if error.code not in UNMEASURABLE:
            raise
        say(f"  note: not measured: {error}")
        return
    if len(takes) > 1:
        say(f"the best: take {best.number}")


def _tell(event: dict[str, Any]) -> None:
    if event["event"] == "note":
        say(f"  note: {event['text']}")
    elif event["event"] == "progress":
        left = event["seconds_left"]
        say(f"  {event['text']}" + (f", {left:.0f} s left" if left else ""))


def _inspect(arguments: argparse.Namespace) -> int:
    shot = open_shot(arguments.shot)
    rows = take_rows(arguments.shot, shot)
    if arguments.json:
        data = shot_to_json(shot) | {"takes": [{name: row[name] for name in ("number", "state")} for row in rows]}
        say(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    for line in (*_describe(shot), *map(row_text, rows)):
        say(line)
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


def _serve(arguments: argparse.Namespace) -> int:
    from .serve import serve, tell  # only this verb needs what a server does

    return tell(stop=arguments.stop) if arguments.status or arguments.stop else serve(arguments.idle, arguments.root)


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
