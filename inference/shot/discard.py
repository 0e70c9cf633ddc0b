# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting takes: which may go, how much goes with one, and that a crash in the middle leaves no half take."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import LucidError
from .lineage import dependants
from .numbers import note_deleted
from .store import disk_error
from .takes import State, Take, get_take

_GOING = re.compile(r"\.deleted-\d+-[0-9a-f]+")       # a take's folder on its way


@dataclass(frozen=True)
class Weight:
    """What goes with a take. ``frames`` counts those of its final, ``bytes`` all its files."""

    frames: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.frames} frame{'' if self.frames == 1 else 's'}, {self.bytes / 1e6:.1f} MB"


def weigh(take: Take) -> Weight:
    """Raises DISK_WRITE for a folder that cannot be read."""
    try:
        sizes = {path: path.lstat().st_size for path in take.folder.rglob("*") if not path.is_dir()}
    except OSError as error:
        raise disk_error(take.folder, error) from error
    final = take.folder / "final"
    return Weight(sum(path.parent == final and path.suffix == ".png" for path in sizes), sum(sizes.values()))


def check_deletable(folder: Path, number: int) -> Take:
    """The take of the shot in ``folder``, which nobody needs. Raises TAKE_MISSING, TAKE_FAVOURITE, TAKE_RUNNING for one that a
    process is at, and TAKE_NEEDED for one that other takes change or keep layers of."""
    take = get_take(folder, number)
    if take.favourite:
        raise LucidError("TAKE_FAVOURITE", f"take {number} is a favourite", "take its star away first")
    if _is_running(take):
        raise LucidError("TAKE_RUNNING", f"a process is at take {number}", "wait for it, or cancel it")
    if needed := dependants(folder, number):
        names = ", ".join(map(str, needed))
        several = len(needed) > 1
        raise LucidError("TAKE_NEEDED", f"take{'s' if several else ''} {names} {'are' if several else 'is'} made from take "
                         f"{number}", f"delete {'them' if several else f'take {names}'} first")
    return take


def delete_take(folder: Path, number: int) -> Weight:
    """Delete a take of the shot in ``folder`` for good and say what went; its number is not given again.

    Its folder is renamed first, so that it is a whole take until it is none; what a crash leaves under the other name goes with
    the next deletion. Raises what :func:`check_deletable` does, and DISK_WRITE.
    """
    take = check_deletable(folder, number)
    weight, root = weigh(take), take.folder.parent
    note_deleted(root, number)
    try:
        take.folder.rename(root / f".deleted-{take.folder.name}-{secrets.token_hex(4)}")
        left = [path for path in root.iterdir() if _GOING.fullmatch(path.name) and path.is_dir()]
    except OSError as error:
        raise disk_error(take.folder, error) from error
    for path in left:
        shutil.rmtree(path, ignore_errors=True)      # another process may be at it too
    return weight


def _is_running(take: Take) -> bool:
    """Also where its files do not say so yet. A damaged take is not: a process that has one ends."""
    try:
        with take.alone():
            return take.state() is State.RUNNING
    except LucidError as error:
        return error.code == "TAKE_NOT_QUEUED"
