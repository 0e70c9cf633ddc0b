# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that need Blender: ``blender -b X.blend --command lucid VERB``, and the same through the launcher."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..inference.conditioning.asked import check_request, strength_flag
from ..inference.console import (
    EXIT_ERROR,
    WORKER_VERBS,
    Parser,
    add_take_flags,
    parse_frames,
    parse_size,
    reference_files,
    run_verb,
    say,
    take_request,
)
from ..inference.errors import LucidError
from ..inference.shot.model import ENVIRONMENT, TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State
from . import visibility, worker
from .capture import CaptureSpec, capture_sequence, default_size
from .capture.preflight import check_shot
from .capture.sequence import planned, shots_of
from .capture.show import PASS_TEXTS
from .jobs import Job, OwnJob
from .shots import blend_name, capture_spec, free_shot_folder, has_camera, move_paths
from .staging import frame_camera, play_action
from .strips import blend_path
from .timeline import import_take, source_scene
from .wishes import check_references, locked, no_take_to_lock, panel_request

_MAGIC = (b"BLENDER", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")     # plain, zstd, gzip


def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit status."""

    def verb() -> int:
        if argv and argv[0] in WORKER_VERBS:
            return worker.call(list(argv))
        arguments = _parser().parse_args(list(argv))
        with _interruptible():
            status: int = arguments.function(arguments)
        return status

    return run_verb(verb)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the verb and its worker. Blender's own handler only notes them for the render in progress."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():      # None: a handler set in C, which Python cannot put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _parser() -> Parser:
    parser = Parser(prog="lucid", description="Direct a video model with a Blender scene.",
                    epilog=f"{', '.join(WORKER_VERBS)} are the worker's own: lucid generate --help")
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    capture = _verb(verbs, "capture", _capture, "write a shot from a scene")
    _add_capture_flags(capture)
    capture.add_argument("--prompt", default=None, metavar="T", help="what the shot shows, kept in the shot")
    capture.add_argument("--all-shots", action="store_true",
                         help="cut the range at the markers that bind cameras; --out is then the folder for NAME.lucid of each")
    capture.add_argument("--check", action="store_true", help="only say what may go wrong; nothing is written")
    capture.add_argument("--out", type=Path, default=None, metavar="S.lucid", help="needed unless --check is given")
    run = _verb(verbs, "run", _run, "capture, generate and import: the whole loop")
    _add_capture_flags(run)
    add_take_flags(run, strength_flag)
    run.add_argument("--reference", action="append", default=[], metavar="NAME=PNG",
                     help="a picture whose look a layer takes over, best on white; repeatable; beats the panel's of that layer")
    run.add_argument("--out", type=Path, required=True, metavar="DIR")
    bring = _verb(verbs, "import", _import, "put a take on the timeline of a .blend")
    bring.add_argument("shot", type=Path, metavar="S.lucid")
    bring.add_argument("--take", type=int, required=True, metavar="N")
    bring.add_argument("--blend", type=Path, default=None, metavar="IN", help="default: the open file")
    bring.add_argument("--out", type=Path, required=True, metavar="OUT.blend")
    return parser


def _verb(verbs: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(function=function)
    return parser


def _add_capture_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("blend", type=Path, nargs="?", default=None, metavar="BLEND", help="default: the open file")
    parser.add_argument("--camera", default=None, metavar="N", help="default: the camera set in the file")
    parser.add_argument("--frames", type=parse_frames, default=None, metavar="A:B[:STEP]")
    parser.add_argument("--size", type=parse_size, default=None, metavar="WxH")
    parser.add_argument("--actors", default=None, metavar="A,B", help="objects or collections, each a layer of its own")
    parser.add_argument("--passes", default=None, metavar="P,P",
                        help=f"default: what the file's Lucid panel has; or some of {', '.join(PASS_TEXTS)}")
    parser.add_argument("--samples", type=int, default=None, metavar="N", help="Cycles samples of beauty and shadow")
    parser.add_argument("--depth-of", type=Path, default=None, metavar="S.lucid",
                        help="keep this shot's depth range, so that what did not change gives the same controls")
    parser.add_argument("--action", action="append", default=[], metavar="[OBJECT=]ACTION",
                        help="let this action play; BLEND itself stays as it is; repeatable")
    parser.add_argument("--frame-camera", default=None, metavar="ACTOR",
                        help="look at this actor from the front with a new camera (goes before --camera); "
                             "BLEND itself stays as it is")


def _capture(arguments: argparse.Namespace) -> int:
    if arguments.all_shots and (arguments.camera or arguments.frame_camera):
        raise LucidError("USAGE", "--all-shots takes its cameras from the markers", "leave out --camera and --frame-camera")
    if arguments.out is None and not arguments.check:
        raise LucidError("USAGE", "where to write the shot is missing", "write --out NAME.lucid, or --check to write nothing")
    _open_blend(arguments.blend)
    spec = _spec(arguments)
    if arguments.check:
        return _check(spec, all_shots=arguments.all_shots)
    if not arguments.all_shots:
        shots = [(spec, arguments.out)]
    else:
        shots = planned(source_scene(bpy.context.scene), spec, arguments.out)
    _capture_all(shots)
    for _shot, target in shots:
        say(f"shot: {target}")
    return 0


def _check(spec: CaptureSpec, *, all_shots: bool) -> int:
    """One line for each finding; the exit status tells whether a capture would fail."""
    scene = source_scene(bpy.context.scene)
    specs = [spec] if not all_shots else [replace(spec, frames=frames, camera=camera)
                                          for _name, frames, camera in shots_of(scene, spec.frames)]
    findings = dict.fromkeys(finding for one in specs for finding in check_shot(scene, one))
    for finding in findings:
        say(f"lucid: {finding}")
    if not findings:
        say("lucid: no problems found")
    return EXIT_ERROR if any(finding.severity == "error" for finding in findings) else 0


def _run(arguments: argparse.Namespace) -> int:
    worker.worker_python()      # before minutes of capturing, not after
    _open_blend(arguments.blend)
    spec = _spec(arguments)
    request, references = _wishes(arguments, spec)
    target = free_shot_folder(arguments.out, blend_name())
    _capture_all([(spec, target)])
    check_request(request, open_shot(target, verify=False), target)      # objects have names only now
    number = _generate(target, OwnJob(target, request, references))
    out = target.with_suffix(".blend")
    source_scene(bpy.context.scene).lucid.shot = blend_path(target.resolve()) + "/"
    _import_and_save(target, number, out)
    say(f"shot: {target}")
    say(f"frames: {target / 'takes' / f'{number:04d}' / 'final'}")
    say(f"blend: {out}")
    return 0


def _wishes(arguments: argparse.Namespace, spec: CaptureSpec) -> tuple[TakeRequest, dict[str, list[Path]]]:
    """What the open file's Lucid panel asks for of the layers that are captured, overruled by flags."""
    scene, layers = source_scene(bpy.context.scene), (ENVIRONMENT, *spec.actors)
    if locks := [name for name in locked(scene) if name in layers]:
        raise no_take_to_lock(locks)        # the shot will be new
    base, references = panel_request(scene, spec.prompt, layers)
    references |= reference_files(arguments.reference)
    check_references(references, layers)
    return take_request(arguments, base, layers), references


def _import(arguments: argparse.Namespace) -> int:
    if arguments.out.suffix != ".blend":
        raise LucidError("USAGE", f"--out '{arguments.out}' is not a .blend", "write --out NAME.blend")
    _open_blend(arguments.blend)
    _import_and_save(arguments.shot, arguments.take, arguments.out)
    say(f"blend: {arguments.out}")
    return 0


def _open_blend(path: Path | None) -> None:
    """Make ``path`` the open file. Raises BLEND_MISSING, BLEND_INVALID."""
    if path is None:
        if not bpy.data.filepath:
            raise LucidError("BLEND_MISSING", "no .blend is open", "name one: lucid VERB scene.blend")
        return
    if not path.is_file():
        raise LucidError("BLEND_MISSING", f"there is no file {path}", "check the path")
    hint = "give a file saved by Blender 5.2 or older"
    try:
        with path.open("rb") as stream:
            if not stream.read(8).startswith(_MAGIC):
                raise LucidError("BLEND_INVALID", f"{path} is not a .blend", hint)
        bpy.ops.wm.open_mainfile(filepath=str(path.resolve()), load_ui=False)
    except (OSError, RuntimeError) as error:
        raise LucidError("BLEND_INVALID", f"{path} cannot be opened: {_plain(error)}", hint) from error


def _spec(arguments: argparse.Namespace) -> CaptureSpec:
    """What the open file's Lucid panel says, overruled by flags."""
    scene = source_scene(bpy.context.scene)
    for choice in arguments.action:
        play_action(scene, choice)
    camera, actors = arguments.camera, None
    frames = arguments.frames or scene.lucid.frames(scene)
    size = arguments.size or scene.lucid.size() or default_size(scene)
    if arguments.frame_camera is not None:
        camera = frame_camera(scene, arguments.frame_camera, frames, size).name
    elif camera is None and not has_camera(scene):
        raise LucidError("CAMERA_MISSING", f"the scene '{scene.name}' has no camera",
                         "write --frame-camera ACTOR to look at something from the front, or add a camera to the file")
    if arguments.actors is not None:
        actors = _names(arguments.actors)
    passes = None if arguments.passes is None else _names(arguments.passes)
    if arguments.samples is not None and arguments.samples < 1:
        raise LucidError("USAGE", f"--samples {arguments.samples} is not 1 or more", "write --samples 16")
    span = None if arguments.depth_of is None else open_shot(arguments.depth_of, verify=False).depth_range
    spec = capture_spec(scene, frames=frames, size=size, camera=camera, actors=actors, prompt=arguments.prompt,
                        passes=passes, samples=arguments.samples)
    return replace(spec, depth_range=span)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _capture_all(shots: Sequence[tuple[CaptureSpec, Path]]) -> None:
    said = ""
    for step in capture_sequence(source_scene(bpy.context.scene), shots):
        if step.text != said:
            say(f"  capture {step.done}/{step.total}: {step.text}")
            said = step.text


def _generate(shot: Path, job: Job) -> int:
    """Wait for the job, saying what it says; Ctrl-C cancels it. Returns the take's number."""
    say(f"take {job.take.number} of {shot}")
    heard = 0
    try:
        while True:
            status = job.status()
            for event in job.take.events()[heard:]:
                heard += 1
                _say_event(event)
            if status.over:
                break
            job.wait(0.25)
    except KeyboardInterrupt:
        job.cancel()
        while not job.status().over:
            job.wait(0.25)
        raise
    if status.error is not None:
        raise status.error
    if status.state is not State.DONE:
        raise LucidError("CANCELLED", f"take {job.take.number} was stopped", "generate again for a new take")
    return job.take.number


def _say_event(event: dict[str, Any]) -> None:
    if event["event"] == "progress":
        left = event["seconds_left"]
        say(f"  {event['text']}" + (f", {left:.0f} s left" if left else ""))
    elif event["event"] == "note":
        say(f"  note: {event['text']}")


def _import_and_save(shot: Path, number: int, out: Path) -> None:
    """Strips, then one save; Blender itself writes to a temporary name and renames. The timeline is in front."""
    scene = source_scene(bpy.context.scene)
    timeline = import_take(scene, shot, number)
    visibility.apply(scene)
    for window in bpy.context.window_manager.windows:       # context.window is None in a --command
        window.scene = timeline
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        move_paths(out.resolve().parent)
        bpy.ops.wm.save_as_mainfile(filepath=str(out.resolve()), check_existing=False, relative_remap=True)
    except (OSError, RuntimeError) as error:
        raise LucidError("DISK_WRITE", f"cannot write {out}: {_plain(error)}",
                         "check that the folder is yours to write and has free space") from error


def _plain(error: Exception) -> str:
    """Blender's reports start with ``Error:`` and end with a line break."""
    return " ".join(str(error).removeprefix("Error: ").split())


_handles: list[Any] = []


def register() -> None:
    _handles.append(bpy.utils.register_cli_command("lucid", main))


def unregister() -> None:
    bpy.utils.unregister_cli_command(_handles.pop())
