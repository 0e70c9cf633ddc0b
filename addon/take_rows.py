# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the list of takes says, read off the disk; what has not changed there is not read again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..inference.errors import LucidError
from ..inference.shot.listing import DAMAGED, origin_text, take_row, verdict_text
from ..inference.shot.model import Shot
from ..inference.shot.paths import frame_path
from ..inference.shot.store import MANIFEST, open_shot
from ..inference.shot.takes import State, Take
from ..inference.shot.verdict_file import HEAT, heat_maps
from .translation import iface_

Facts = dict[str, Any]      # by the names of LucidTakeRow's properties
_RESULT = "result.json"
_NUMBERS = 10 ** 9          # of takes: Blender's own are not much larger
_FILES = frozenset({"request.json", _RESULT, "verdict.json", "favourite", HEAT})
_known: dict[Path, tuple[object, Facts]] = {}       # takes that ended, of the shot that is shown
_shot: tuple[object, Shot | None] = (None, None)


def facts(take: Take) -> Facts:
    """Of a take in ``takes`` of its shot. What cannot be read is told in the row; nothing is raised."""
    stamp = _stamps(take.folder)
    known = _known.get(take.folder)
    if known is not None and known[0] == stamp:
        return known[1]
    found = _read(take, shot_of(take.folder.parents[1]))
    if _RESULT in stamp:            # without a result it may go on while no file here changes
        _known[take.folder] = stamp, found
    return found


def forget(keep: Path | None = None) -> None:
    """What is known of takes; those of the shot in the folder ``keep`` stay known."""
    for folder in [folder for folder in _known if keep is None or folder.parents[1] != keep]:
        del _known[folder]


def shot_of(folder: Path) -> Shot | None:
    """The shot in ``folder``, read once; None where it cannot be read, which is told where it is used."""
    global _shot
    manifest = folder / MANIFEST
    stamp = folder, manifest.stat().st_mtime_ns if manifest.is_file() else None
    if _shot[0] != stamp:
        try:
            _shot = stamp, open_shot(folder, verify=False)
        except LucidError:
            _shot = stamp, None
    return _shot[1]


def _read(take: Take, shot: Shot | None) -> Facts:
    row = take_row(take, shot)
    found: Facts = {"number": take.number, "favourite": row["favourite"], "heat": bool(heat_maps(take.folder)), "read": True}
    if row["state"] == DAMAGED:
        return found | {"state": State.FAILED.name, "text": row["error"], "error": row["error"]}
    state = State(row["state"])
    parent = row["parent"] or 0
    verdict = "" if row["verdict"] is None else verdict_text(row["verdict"])
    return found | {"state": state.name, "prompt": row["prompt"],
                    "text": iface_("seed {seed}, {prompt}").format(seed=row["seed"], prompt=row["prompt"]),
                    "details": _details(row), "origin": origin_text(row),
                    "parent": parent if parent < _NUMBERS else 0,
                    "frames": len(shot.frames) if shot is not None and state is State.DONE else 0,
                    "verdict": verdict, "error": row["error"] or "",
                    "picture": _picture(take, shot) if state is State.DONE else ""}


def _details(row: Facts) -> str:
    words = [iface_("seed {seed}").format(seed=row["seed"])]
    if row["steps"]:
        words.append((iface_("{steps} step") if row["steps"] == 1 else iface_("{steps} steps")).format(steps=row["steps"]))
    if row["seconds"] is not None:
        minutes, seconds = divmod(round(row["seconds"]), 60)
        text = iface_("took {minutes} min {rest} s") if minutes else iface_("took {seconds:.1f} s")
        words.append(text.format(minutes=minutes, rest=seconds, seconds=row["seconds"]))
    return ", ".join(words)


def _picture(take: Take, shot: Shot | None) -> str:
    """The frame in the middle of its final."""
    if shot is None:
        return ""
    return str(take.folder / frame_path(take.final_pattern, shot.frames.numbers[len(shot.frames) // 2]))


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When the files that a row is read from were written, and how long they are."""
    try:
        with os.scandir(folder) as entries:
            named = [(entry.name, entry.stat()) for entry in entries if entry.name in _FILES]
    except OSError:
        return {}
    return {name: (status.st_mtime_ns, status.st_size) for name, status in named}
