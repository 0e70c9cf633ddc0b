# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Wan-VACE checkpoint's folder says of how it wants to be used, read from its small JSON files without loading it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LucidError
from ..shot.model import Size
from ..shot.store import read_json
from .windows import CHUNK, WindowPlan, plan_for

MINI = Path(__file__).resolve().parents[1] / "adapters" / "weights" / "mini"
PROFILE = "lucid_profile.json"
# Wan2.1-VACE's published settings (diffusers WanVACEPipeline example; models were trained on up to 81 frames)
DEFAULTS: dict[str, Any] = {"steps": 30, "guidance": 5.0, "text_length": 512, "max_frames": 81, "mask_grow": 24,
                            "mask_box": True, "pose_grow": 8, "pose_reversed": True, "control": "depth",
                            "skeleton": "alone", "max_pixels": 0, "window": 0, "overlap": 0, "last_sigma": None,
                            "memory": 0.0}
_FILES = (PROFILE, "vae/config.json", "transformer/config.json")
_HINT = "get the checkpoint again, whole"


def legal_frames(longest: int, factor: int, patch: int) -> tuple[int, ...]:
    """The frame counts that one window may have, ascending: the VAE encodes one frame, then chunks of four, and the
    transformer's patches, ``patch`` latent frames of ``factor`` frames, must tile what that gives."""
    return tuple(frames for frames in range(1 + CHUNK, longest + 1, CHUNK) if ((frames - 1) // factor + 1) % patch == 0)


@dataclass(frozen=True)
class Habits:
    """``legal`` frame counts of a window; ``window`` and ``overlap`` in frames (0: the family's rule); ``factor`` frames of a
    latent frame and ``cell`` pixels of a latent cell's side; ``patch`` (t, h, w) of the transformer in latent cells; ``calls``
    of the transformer in each step (two with guidance)."""

    legal: tuple[int, ...]
    window: int
    overlap: int
    factor: int
    cell: int
    patch: tuple[int, int, int]
    steps: int
    calls: int

    def windows(self, frames: int) -> WindowPlan:
        """How a shot of so many frames is cut. Raises WINDOW_INVALID."""
        return plan_for(frames, self.legal, self.window, self.overlap, factor=self.factor)

    def size(self, shown: Size) -> Size:
        """The smallest legal size that holds ``shown``."""
        multiple = self.cell * self.patch[1]
        return Size(-(-shown.width // multiple) * multiple, -(-shown.height // multiple) * multiple)

    def tokens(self, plan: WindowPlan, size: Size, references: int = 0) -> int:
        """What the transformer attends to in one prediction of one window, each reference being a latent frame more."""
        time, height, width = self.patch
        cells = (size.height // self.cell // height) * (size.width // self.cell // width)
        return -(-(plan.window + references) // time) * cells

    def predictions(self, plan: WindowPlan, steps: int) -> int:
        """Of one layer, over all steps and windows."""
        return self.calls * sum(len(plan.starts(step)) for step in range(steps))


def read_habits(folder: Path) -> Habits:
    """The checkpoint's own habits over the family's. Raises WEIGHTS_INVALID."""
    own = read_json(folder / PROFILE, "WEIGHTS_INVALID", _HINT) if (folder / PROFILE).is_file() else {}
    vae, transformer = (read_json(folder / name, "WEIGHTS_INVALID", _HINT) for name in _FILES[1:])
    habits = {**DEFAULTS, **own}
    try:
        halved = vae.get("temperal_downsample", (False, True, True))        # in time or not; each halves height and width
        factor, cell = 2 ** sum(map(bool, halved)), 2 ** len(halved)
        time, height, width = (int(side) for side in transformer.get("patch_size", (1, 2, 2)))
        return Habits(legal_frames(int(habits["max_frames"]), factor, time), int(habits["window"]), int(habits["overlap"]),
                      factor, cell, (time, height, width), int(habits["steps"]), 2 if float(habits["guidance"]) > 1.0 else 1)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise LucidError("WEIGHTS_INVALID", f"what {folder} says of itself cannot be used: {error}", _HINT) from error


def local_folder(weights: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the weights' files are: of ``mini``, of a folder, or of a hub repository that was fetched before; else None."""
    if weights == "mini":
        return MINI
    if Path(weights).is_dir():
        return Path(weights)
    owner, found, name = weights.partition("/")
    if not found or not owner or not name or "/" in name or ".." in weights:
        return None
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    home = environ.get("HF_HOME") or str(Path(cache) / "huggingface")
    kept = Path(environ.get("HF_HUB_CACHE") or Path(home) / "hub") / f"models--{owner}--{name}"
    try:
        folder = kept / "snapshots" / (kept / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return folder if folder.is_dir() else None


def habit_files(folder: Path) -> tuple[Path, ...]:
    """What :func:`read_habits` reads."""
    return tuple(folder / name for name in _FILES)
