# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting takes: which may go, how much goes with one, and that a crash in the middle leaves no half take."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import LucidError
from .lineage import dependants
from .numbers import note_deleted
from .store import disk_error
from .takes import REQUEST, Take, get_take

_GOING = re.compile(r"\.deleted-[0-9]+-[0-9a-f]+")       # a take's folder on its way


@dataclass(frozen=True)
class Weight:
    """What a take's folder holds. ``frames`` counts those of its final, ``bytes`` all its files."""

    frames: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.frames} frame{'' if self.frames == 1 else 's'}, {self.bytes / 1e6:.1f} MB"


@dataclass(frozen=True)
class Swept:
    """What became of a take's files: what went, and what could not be removed."""

    went: Weight
    stayed: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return str(self.went) + (f"; {len(self.stayed)} stayed, the first is {self.stayed[0]}" if self.stayed else "")


def weigh(folder: Path) -> Weight:
    """What is below a take's folder; a link weighs nothing, nor does what cannot be looked at."""
    frames = size = 0
    for below, _, names in os.walk(folder) if not folder.is_symlink() else ():
        for name in names:
            try:
                size += (Path(below) / name).lstat().st_size
            except OSError:         # it went meanwhile
                continue
            frames += Path(below) == folder / "final" and name.endswith(".png")
    return Weight(frames, size)


def check_deletable(folder: Path, number: int) -> Take:
    """The take of the shot in ``folder``, which nobody needs. Raises TAKE_MISSING, TAKE_FAVOURITE, TAKE_RUNNING for one that a
    process is at, and TAKE_NEEDED for one that other takes change or keep layers of."""
    take = get_take(folder, number)
    if take.favourite:
        raise LucidError("TAKE_FAVOURITE", f"take {number} is a favourite", "take its star away first")
    if _is_running(take):
        raise _at_work(number)
    if needed := dependants(folder, number):
        names = ", ".join(map(str, needed))
        several = len(needed) > 1
        raise LucidError("TAKE_NEEDED", f"take{'s' if several else ''} {names} {'are' if several else 'is'} made from take "
                         f"{number}", f"delete {'them' if several else f'take {names}'} first")
    return take


def delete_take(folder: Path, number: int) -> Swept:
    """Delete a take of the shot in ``folder`` for good and say what went; its number is not given again. Raises what
    :func:`set_aside` does."""
    return sweep(set_aside(folder, number))


def set_aside(folder: Path, number: int) -> Path:
    """The shot in ``folder`` has the take no more, and no take gets its number again; :func:`sweep` what is returned.

    Its folder is renamed, so that it is a whole take until it is none; what a crash leaves under the other name goes with the
    next deletion. Reads and removes no frame. Raises what :func:`check_deletable` does, and DISK_WRITE.
    """
    take = check_deletable(folder, number)
    root = take.folder.parent
    aside = root / f".deleted-{take.folder.name}-{secrets.token_hex(4)}"
    with _nobody_at(take):
        note_deleted(root, number)
        try:
            take.folder.rename(aside)
        except OSError as error:
            raise disk_error(take.folder, error) from error
    return aside


def sweep(aside: Path) -> Swept:
    """Remove what :func:`set_aside` has set aside, and what earlier deletions left there. It may take long: a take has hundreds
    of files. Raises nothing: what stays is told."""
    before = weigh(aside)
    _remove(aside)
    after = weigh(aside)
    try:
        earlier = [path for path in aside.parent.iterdir()
                   if path != aside and _GOING.fullmatch(path.name) and (path.is_dir() or path.is_symlink())]
    except OSError:                 # the shot went meanwhile
        earlier = []
    for path in earlier:
        _remove(path)
    stayed = tuple(path for left in (aside, *earlier) for path in _remains(left))
    return Swept(Weight(before.frames - after.frames, before.bytes - after.bytes), stayed)


def _remove(path: Path) -> None:
    """As far as it goes: another process may be at it too."""
    if path.is_symlink():           # what it leads to is not Lucid's
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _remains(path: Path) -> list[Path]:
    """The files below a folder, or what is there itself where that is all."""
    if path.is_symlink() or not path.exists():
        return [path] if path.is_symlink() else []
    return [Path(below) / name for below, _, names in os.walk(path) for name in names] or [path]


@contextmanager
def _nobody_at(take: Take) -> Iterator[None]:
    """No process begins or resumes it meanwhile. Windows refuses by itself to rename a folder with an open file in it, such as
    the lock would be; a damaged take without a request has no lock, and no process has it. Raises TAKE_RUNNING, DISK_WRITE."""
    if os.name == "nt" or not (take.folder / REQUEST).is_file():
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(take.alone())
        except LucidError as error:
            raise _at_work(take.number) if error.code == "TAKE_NOT_QUEUED" else error from None
        yield


def _at_work(number: int) -> LucidError:
    return LucidError("TAKE_RUNNING", f"a process is at take {number}", "wait for it, or cancel it")


def _is_running(take: Take) -> bool:
    """Also where its files do not say so yet. A damaged take is not: a process that has one ends."""
    try:
        with take.alone():
            return False
    except LucidError as error:
        return error.code == "TAKE_NOT_QUEUED"
