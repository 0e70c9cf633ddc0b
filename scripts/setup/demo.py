# SPDX-License-Identifier: GPL-3.0-or-later
"""``lucid.py demo``: the demo scene, the whole loop on it, and where everything is."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...inference.console import Parser
from ...inference.errors import LucidError
from .blender import find_host
from .home import REPOSITORY, logs, read_json, write_json
from .steps import TAIL_LINES, run_step, say
from .verbs import blender_verb, child_environ, worker_verb

STAMP = ".lucid-demo.json"       # a folder with it is ours to replace
PROMPT = "a grey street with brick houses, bright daylight"
LAYER_PROMPTS = ("Walker=a red man walking, bright daylight",
                 "Ball=a yellow ball, bright daylight")
ACTORS = "Walker,Ball"
FRAMES = "1:41:2"


def demo(arguments: Sequence[str]) -> int:
    """Build, capture, generate, import, show, measure. Returns the status of the verb that failed, else 0."""
    parser = Parser(prog="lucid demo", description="Build the demo scene and run the whole loop on it.")
    parser.add_argument("--out", type=Path, default=None, metavar="DIR", help="default: ./lucid-demo, made anew each time")
    parser.add_argument("--prompt", default=PROMPT, metavar="T")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    with _fresh(_folder(chosen.out)) as out:
        blend = out / "scene" / "demo.blend"
        blend.parent.mkdir()
        run_step("building the demo scene",
                 find_host().command(REPOSITORY / "scripts" / "demo_scene.py", ["--out", str(blend)]),
                 logs() / "demo.log", env=child_environ())
        layers = [part for text in LAYER_PROMPTS for part in ("--layer-prompt", text)]
        found = _run([str(blend), "--prompt", chosen.prompt, *layers, "--actors", ACTORS, "--frames", FRAMES,
                      "--seed", str(chosen.seed), "--out", str(out)])
        sheet = out / "contact_sheet.png"
        take = [found["shot"], "--take", str(int(Path(found["frames"]).parent.name))]
        run_step("contact sheet", worker_verb("contact-sheet", [*take, "--out", str(sheet)]), logs() / "demo.log",
                 env=child_environ())
        run_step("measuring the take against the scene", worker_verb("measure", [*take, "--heat"]), logs() / "demo.log",
                 env=child_environ())
        write_json(out / STAMP, {"state": "done"})
    sys.stdout.write(f"frames:        {found['frames']}\n"
                     f"timeline:      {found['blend']}   (open it in Blender 5.2: the strips are in the Sequencer)\n"
                     f"contact sheet: {sheet}\n"
                     f"verdict:       {Path(found['frames']).parent / 'verdict.html'}   (open it in a browser)\n"
                     f"shot:          {found['shot']}\n"
                     f"took {time.monotonic() - started:.0f} s\n")
    return 0


def _folder(asked: Path | None) -> Path:
    """The asked folder, or the first of lucid-demo, lucid-demo-2, ... that is free or an earlier demo's."""
    if asked is not None:
        folder = asked.absolute()
        if not _ours(folder):
            raise LucidError("DEMO_EXISTS", f"{folder} is there and was not made by the demo", "choose another --out")
        return folder
    folder, number = Path.cwd() / "lucid-demo", 2
    while not _ours(folder):
        folder, number = folder.with_name(f"lucid-demo-{number}"), number + 1
    return folder


def _ours(folder: Path) -> bool:
    if not folder.exists():
        return True
    return folder.is_dir() and (read_json(folder / STAMP) is not None or not any(folder.iterdir()))


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """An empty folder in place of an earlier demo, which is deleted on success and put back on failure."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    try:
        if folder.exists():
            folder.rename(aside)
        folder.mkdir(parents=True)
        write_json(folder / STAMP, {"state": "running"})
    except OSError as error:
        raise LucidError("DISK_WRITE", f"cannot write {folder}: {error.strerror or error}",
                         "run it in a folder that is yours to write, or give --out") from error
    try:
        yield folder
    except BaseException:
        if aside.exists():
            shutil.rmtree(folder)
            aside.rename(folder)
        raise
    if aside.exists():
        shutil.rmtree(aside)


def _run(arguments: Sequence[str]) -> dict[str, str]:
    """The verb ``run``: its progress is passed on, Blender's own chatter goes to the log. Returns what it made."""
    command = blender_verb("run", arguments)
    log, found, tail = logs() / "demo.log", dict[str, str](), deque[str](maxlen=TAIL_LINES)
    with log.open("a", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace", env=child_environ())
        assert process.stdout is not None
        try:
            for line in process.stdout:
                stream.write(line)
                tail.append(line.rstrip())
                made = re.match(r"(shot|frames|blend): (.+)", line)
                if made:
                    found[made[1]] = made[2].strip()
                elif line.startswith("  "):
                    say(line.strip())
        except BaseException:           # Ctrl-C: its folder is cleared only once it has stopped writing there
            process.terminate()
            raise
        finally:
            status = process.wait()
    if status != 0 or len(found) < 3:
        raise _failure(status, list(tail), log)
    return found


def _failure(status: int, tail: list[str], log: Path) -> LucidError:
    """The verb's own error where it gave one."""
    for line in reversed(tail):
        own = re.match(r"lucid: ([A-Z0-9_]+): (.*) \((.*)\)$", line)
        if own:
            return LucidError(own[1], own[2], own[3])
    sys.stderr.write("".join(f"    {line}\n" for line in tail))
    return LucidError("DEMO_FAILED", f"the loop ended with status {status}", f"the whole log is {log}")
