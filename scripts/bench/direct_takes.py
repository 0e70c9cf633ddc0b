# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes through Lucid's command line: what an edit leaves alone, what is painted again, and what a killed one comes to."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lucid.inference.shot.images import read_exr, read_png
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.store import open_shot, sha256_file
from lucid.inference.shot.takes import Take, get_take
from lucid.scripts.bench.direct_worker import read_log
from numpy.typing import NDArray

ASKED = ("--prompt", "a street of brick houses, bright daylight", "--layer-prompt", "Walker=a man in a red coat",
         "--layer-prompt", "Ball=a yellow ball", "--seed", "3")
ACTOR = "Walker"
WORKER = Path(__file__).with_name("direct_worker.py")
_POLL = 0.05            # s between two looks at what a take has done
_BYTES = ("layers", "latents", "final")     # the folders of a take that have to be the same to the byte


class Failed(Exception):
    """A command line that did not end well, with its last words."""


@dataclass(frozen=True)
class Done:
    """A command line that has ended: its ``facts`` (see direct_worker) and ``seconds``."""

    facts: list[dict[str, Any]]
    seconds: float

    @property
    def calls(self) -> int:
        """Calls of the transformer."""
        return sum("call" in fact for fact in self.facts)

    @property
    def peak(self) -> float:
        """Bytes."""
        return max(float(fact["peak"]) for fact in self.facts if "peak" in fact)


@dataclass
class Runner:
    """Starts the command line with ``threads`` threads; logs and what is printed go below ``work``."""

    work: Path
    threads: int
    started: int = field(default=0)

    def __call__(self, *arguments: str | Path) -> Done:
        """Raises Failed."""
        log, begun = self.work / f"log.{self.started}", time.monotonic()
        process = self.start(log, *arguments)
        self.wait(process)
        return Done(read_log(log), time.monotonic() - begun)

    def start(self, log: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        self.started += 1
        sys.stderr.write(f"         {arguments[0]} {Path(arguments[1]).name}\n")
        with (self.work / "said").open("wb") as said:
            return subprocess.Popen([sys.executable, str(WORKER), str(log), *map(str, arguments)], env=environment,
                                    stdout=said, stderr=subprocess.STDOUT)

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        if process.wait() != 0:
            raise Failed((self.work / "said").read_text(encoding="utf-8", errors="replace")[-2000:])


# ---- edits

def edits(run: Runner, shot: Path) -> dict[str, float]:
    """Take 1, the same again, two edits of the actor and one of a house, in a shot without takes."""
    first = run("generate", shot, *ASKED)
    again = run("generate", shot, *ASKED)
    run("edit", shot, "--take", "1", "--object", ACTOR, "--prompt", "a man in a blue coat")
    second = run("edit", shot, "--take", "3", "--object", ACTOR, "--prompt", "a man in a green coat")
    house = largest_house(shot)
    run("edit", shot, "--take", "1", "--object", house, "--prompt", "a white house")
    takes = {number: get_take(shot, number) for number in range(1, 6)}
    pairs = ((1, 3), (3, 4), (1, 5))
    changed = [changes(shot, takes[a], takes[b], None if b < 5 else house) for a, b in pairs]
    edited = [open_shot(shot, verify=False).layer(ACTOR).folder] * 2 + ["environment"]
    own = first.calls / len(result(takes[1])["layers"])
    return {"changed_pixels_outside": sum(outside for outside, _ in changed[:2]),
            "changed_pixels_outside_object": changed[2][0],
            "changed_pixels_inside": min(inside for _, inside in changed),
            "changed_files_elsewhere": sum(changed_files(takes[a], takes[b], layer)
                                           for (a, b), layer in zip(pairs, edited, strict=True)),
            "calls_take": first.calls, "calls_unchanged": again.calls, "calls_edit": second.calls / own,
            "seconds_take": first.seconds, "seconds_edit": second.seconds}


def changes(shot: Path, before: Take, after: Take, thing: str | None) -> tuple[int, int]:
    """Pixels of the final that differ outside of what was edited, and inside, over all frames. Of the actor: where its alpha in
    the later take is 0; of a ``thing`` of the environment: where the plate shows something else."""
    opened, outside, inside = open_shot(shot, verify=False), 0, 0
    actor = opened.layer(ACTOR)
    numbers = [number for number, name in opened.instances.items() if name == thing]
    for frame in opened.frames.numbers:
        one, other = (read_png(take.folder / frame_path(take.final_pattern, frame)) for take in (before, after))
        if thing is None:
            free = read_png(after.folder / frame_path(after.layer_pattern(actor.folder), frame))[..., 3] > 0
        else:
            free = np.isin(read_exr(shot / opened.environment.sequence("id").path(frame))["id"], numbers)
        differ = (one != other).any(-1)
        outside, inside = outside + int((differ & ~free).sum()), inside + int((differ & free).sum())
    return outside, inside


def largest_house(shot: Path) -> str:
    """The house of the street that is the largest in the middle frame."""
    opened = open_shot(shot, verify=False)
    middle = opened.frames.numbers[len(opened.frames) // 2]
    ids, counts = np.unique(read_exr(shot / opened.environment.sequence("id").path(middle))["id"], return_counts=True)
    sizes = {opened.instances[int(number)]: int(count) for number, count in zip(ids, counts, strict=True) if number}
    return max((name for name in sizes if "House" in name), key=sizes.__getitem__)


def changed_files(before: Take, after: Take, edited: str) -> int:
    """Files of the layers but ``edited`` (a folder's name) that are not in both takes with the same bytes."""
    one, other = ({path: digest for path, digest in hashes(take).items() if _layer_of(path) not in (edited, "")}
                  for take in (before, after))
    return sum(one.get(path) != other.get(path) for path in one.keys() | other.keys())


def _layer_of(path: str) -> str:
    """The folder's name of the layer that a take's file belongs to; "" for the final."""
    part, _, rest = path.partition("/")
    return "" if part == "final" else rest.partition("/")[0].removesuffix(".safetensors")


def hashes(take: Take) -> dict[str, str]:
    """sha256 of every file of the layers, their latents and the final, by its path in the take."""
    return {path.relative_to(take.folder).as_posix(): sha256_file(path)
            for part in _BYTES for path in sorted((take.folder / part).rglob("*")) if path.is_file()}


def result(take: Take) -> dict[str, Any]:
    """What a finished take says of itself. Raises Failed."""
    found = take.result()
    if found is None or found["state"] != "done":
        raise Failed(f"{take.folder} is not done")
    return found


# ---- kills

def kills(run: Runner, whole: Path, copy: Path, count: int, seed: int = 0) -> dict[str, float]:
    """Take 1 of ``whole`` once more in ``copy``, a shot without takes, by processes that are killed ``count`` times."""
    facts = len(made(whole_log(run)))
    first = get_take(whole, 1)
    dice, log = random.Random(seed), run.work / "log.kills"
    seconds = float(result(first)["seconds"]) / max(facts, 1)
    moments = sorted(dice.uniform(0.0, facts) for _ in range(count))
    command: tuple[str | Path, ...] = ("generate", copy, *ASKED)
    killed = 0
    for moment in moments:
        process = run.start(log, *command)
        killed += _killed(process, log, copy, moment, dice.uniform(0.0, 2.0 * seconds))
        if process.returncode != -signal.SIGKILL:
            run.wait(process)
            break
        command = ("resume", copy, "1")
    else:
        run.wait(run.start(log, *command))
    one, other = hashes(first), hashes(get_take(copy, 1))
    names = made(read_log(log))
    return {"resume_identical": float(one == other), "resume_files": len(one), "kills": killed,
            "files_differing": sum(one.get(path) != other.get(path) for path in one.keys() | other.keys()),
            "windows_repeated": repeated(names), "windows_made": len(set(names))}


def whole_log(run: Runner) -> list[dict[str, Any]]:
    """The facts of the unbroken take, the first that the runner made."""
    return read_log(run.work / "log.0")


def made(facts: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The predictions that were kept, as (layer, step, call, window)."""
    return [tuple(fact["kept"]) for fact in facts if "kept" in fact]


def repeated(names: list[tuple[Any, ...]]) -> int:
    """How many of the predictions had been made before."""
    return sum(count - 1 for count in Counter(names).values())


def _killed(process: subprocess.Popen[bytes], log: Path, shot: Path, moment: float, after: float) -> bool:
    """Kill the process ``after`` seconds from when so many predictions are kept, or it has begun if they are already. Whether it
    was still there to be killed."""
    while process.poll() is None:
        if _begun(shot, process.pid) and len(made(read_log(log))) >= moment:
            time.sleep(after)
            break
        time.sleep(_POLL)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _begun(shot: Path, pid: int) -> bool:
    """Whether that process runs the take: before, there would be nothing to resume."""
    path = shot / "takes" / "0001" / "events.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return any(event.get("event") == "started" and event.get("pid") == pid for event in map(json.loads, lines))


# ---- memory

def memory(run: Runner, long: Path, short: Path, steps: int = 2) -> dict[str, float]:
    """Peaks of two whole takes, each in a process of its own."""
    peaks = [run("generate", shot, *ASKED, "--steps", str(steps)).peak for shot in (long, short)]
    return {"memory_ratio_10x": peaks[0] / peaks[1], "peak_gib_long": peaks[0] / 2**30, "peak_gib_short": peaks[1] / 2**30}


def final_frames(shot: Path, number: int, frames: list[int]) -> NDArray[np.uint8]:
    """(F, H, W, 3) of the final of a take."""
    take = get_take(shot, number)
    return np.stack([(read_png(take.folder / frame_path(take.final_pattern, frame)) >> 8).astype(np.uint8) for frame in frames])
