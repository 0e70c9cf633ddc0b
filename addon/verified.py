# SPDX-License-Identifier: GPL-3.0-or-later
"""A take with every file of it verified: what is shown is what was generated. No bpy is touched, so a thread may do it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..inference.errors import LucidError
from ..inference.shot.model import Shot
from ..inference.shot.paths import frame_path
from ..inference.shot.store import Stop, go_on, open_shot, sha256_file
from ..inference.shot.takes import State, Take, get_take
from ..inference.shot.verdict_file import HEAT, heat_maps

Patterns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class VerifiedTake:
    """A finished take of the shot in ``shot_folder``: ``sequences`` are (name, pattern below the take) from the farthest layer to
    the final, ``maps`` its heat maps, where they were asked for."""

    shot_folder: Path
    shot: Shot
    take: Take
    sequences: Patterns
    maps: Patterns = ()


def verified_take(shot_folder: Path, number: int, *, heat: bool = False, captured: bool = False,
                  stop: Stop | None = None) -> VerifiedTake:
    """Read every file of a take, with ``captured`` also those of the shot's shadows and volumes.

    Raises TAKE_MISSING, TAKE_NOT_DONE, TAKE_CORRUPT, HEAT_MISSING, SHOT_CORRUPT, what opening a shot raises, and CANCELLED as
    soon as ``stop`` says so, which is asked from file to file.
    """
    shot_folder = shot_folder.resolve()
    shot = open_shot(shot_folder, verify=False)
    take = get_take(shot_folder, number)
    sequences, maps = _sequences(shot, take, stop), _maps(shot, take, stop) if heat else ()
    if captured:
        _check_captured(shot_folder, shot, stop)
    return VerifiedTake(shot_folder, shot, take, sequences, maps)


def _sequences(shot: Shot, take: Take, stop: Stop | None) -> Patterns:
    """(name, pattern) from the farthest layer to the final, with every frame on disk as the worker left it."""
    state = take.state()
    result = take.result()
    if state is not State.DONE or result is None:
        raise LucidError("TAKE_NOT_DONE", f"take {take.number} of {shot.name} is {state.value}",
                         "wait for it, or import a take that is done")
    sequences = [*result["layers"].items(), ("final", result["final"])]
    for _, pattern in sequences:
        for frame in shot.frames.numbers:
            go_on(stop)
            name = frame_path(pattern, frame)
            path = take.folder / name
            if not path.is_file() or sha256_file(path) != result["files"].get(name):
                raise LucidError("TAKE_CORRUPT", f"{path} is missing or not what was generated", "generate a new take")
    return tuple(sequences)


def _maps(shot: Shot, take: Take, stop: Stop | None) -> Patterns:
    """(name, pattern) of each heat map, with every frame on disk."""
    hint = f"measure it with heat maps: lucid measure {take.folder.parents[1].name} --take {take.number} --heat"
    maps = heat_maps(take.folder)
    if not maps:
        raise LucidError("HEAT_MISSING", f"take {take.number} of {shot.name} has no heat maps", hint)
    for pattern in maps.values():
        for frame in shot.frames.numbers:
            go_on(stop)
            if not (take.folder / frame_path(pattern, frame)).is_file():
                raise LucidError("HEAT_MISSING", f"{take.folder / frame_path(pattern, frame)} is missing", hint)
    return tuple((f"{HEAT} {name}", pattern) for name, pattern in maps.items())


def _check_captured(folder: Path, shot: Shot, stop: Stop | None) -> None:
    """What the group reads of the shot is what was captured. Raises SHOT_CORRUPT."""
    for sequence in (each for layer in shot.layers if not layer.is_painted for each in layer.sequences):
        for path in (sequence.path(frame) for frame in shot.frames.numbers):
            go_on(stop)
            if not (folder / path).is_file() or sha256_file(folder / path) != shot.files.get(path):
                raise LucidError("SHOT_CORRUPT", f"{folder / path} is missing or not what was captured",
                                 "capture the shot again")
