# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files and folders inside a shot: of frames, of what people call things, and which paths stay below it."""

from __future__ import annotations

from ..errors import LucidError

# names that Windows keeps for devices, in every folder
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


def frame_path(pattern: str, frame: int) -> str:
    """``a/depth.####.exr`` and 7 give ``a/depth.0007.exr``; negative frames keep their sign in front."""
    sign = "-" if frame < 0 else ""
    return pattern.replace("####", f"{sign}{abs(frame):04d}")


def folder_name(name: str, taken: set[str], fallback: str = "layer") -> str:
    """A file-safe, unique, stable folder name for what is called ``name``: ``[A-Za-z0-9_-]`` only; ``fallback`` where
    nothing of the name is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name).strip("_") or fallback
    candidate, number = safe, 2
    while candidate.casefold() in {other.casefold() for other in taken} | _DEVICES:
        candidate, number = f"{safe}_{number}", number + 1
    return candidate


def check_relative(path: str) -> str:
    """Return ``path`` when it is a relative POSIX path that stays below its root; raise SHOT_PATH otherwise."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")) or not {"\\", ":", "\0"}.isdisjoint(path):
        raise LucidError("SHOT_PATH", f"'{path}' is not a path inside the shot", "capture the shot again")
    return path
