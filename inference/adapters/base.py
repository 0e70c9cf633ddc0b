# SPDX-License-Identifier: GPL-3.0-or-later
"""What generation asks of a model family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from ..conditioning.windows import WindowPlan
    from .kept import RunStore

Video = NDArray[np.float32]
Mask = NDArray[np.bool_]
StepDone = Callable[[int, int], None]
DEPTH, GEOMETRY = "depth", "geometry"
ALONE, LINES, NONE = "alone", "lines", "none"


@dataclass(frozen=True)
class Profile:
    """A checkpoint's rules and habits.

    ``legal_frames`` ascending: what one window may have; ``multiple`` of width and height in pixels; ``mask_grow`` pixels
    by which an actor's silhouette is grown into the region the model repaints; ``mask_box`` repaints the bounding box
    instead (tight masks hurt the large VACE models); ``control`` is what it was trained on: "depth" (inverse depth in grey)
    or "geometry" (depth and normals); ``skeleton`` says how one is told: "alone" on black, "lines" over the control, or
    "none"; ``pose_grow`` pixels beyond the silhouette; ``max_pixels`` of a frame is the largest picture it was trained on, 0
    where that is no matter; ``window`` frames are denoised together, neighbouring windows share ``overlap`` frames (0: the
    most frames that are legal, a quarter of them shared); ``last_sigma`` is the noise level of the last step, None for the
    scheduler's own; ``memory`` in [0, 1) is how much of a surface's colour in one frame comes from the frame before and
    after it, 0 leaves it to the model; ``pose_reversed`` draws the skeleton in BGR, as VACE's annotator did.
    """

    legal_frames: tuple[int, ...]
    multiple: int
    steps: int
    guidance: float
    text_length: int
    mask_grow: int
    mask_box: bool
    pose_grow: int
    pose_reversed: bool
    control: str = DEPTH
    skeleton: str = ALONE
    max_pixels: int = 0
    window: int = 0
    overlap: int = 0
    last_sigma: float | None = None
    memory: float = 0.0


@dataclass(frozen=True, eq=False)
class Painting:
    """What the model gets of some frames: ``control`` (F, H, W, 3) in [0, 1], inside the ``mask`` (F, H, W; true = paint) the
    control, outside the kept picture; ``strength`` (F, H, W) in [0, 1], how closely it is followed, None for 1."""

    control: Video
    mask: Mask
    strength: Video | None = None


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Where the points of each frame lie in the one before and in the one after it: (F, H, W, 2) float32 pixels, the first
    pixel's centre at (0, 0), x right, y down; NaN where the other frame does not show the point. The shot's first frame
    has nothing before, its last nothing after it."""

    before: Video
    after: Video


class Source(Protocol):
    """What one layer is painted from, read piece by piece: memory does not grow with the shot. ``frames``, ``height`` and
    ``width`` are legal for the profile; frames are counted from 0."""

    frames: int
    height: int
    width: int

    def painting(self, start: int, stop: int) -> Painting:
        """Of the frames [start, stop)."""
        ...

    def noise(self, frame: int, channels: int, cell: int) -> Video | None:
        """White noise (channels, H / cell, W / cell) for the latents of a frame; None leaves it to the seed."""
        ...

    def correspondence(self, start: int, stop: int) -> Correspondence | None:
        """Of the frames [start, stop); None where nothing is known."""
        ...

    def owners(self, frame: int, cell: int) -> NDArray[np.uint32] | None:
        """(H / cell, W / cell) the instance in the middle of each cell, 0 for the background; None where nothing is known."""
        ...


class Clip:
    """A :class:`Source` in memory: ``control`` and ``mask`` as in :class:`Painting`, and how it ``moves`` where that is known;
    the seed makes its noise."""

    def __init__(self, control: Video, mask: Mask, moves: Correspondence | None = None) -> None:
        self.control, self.mask, self.moves = control, mask, moves
        self.frames, self.height, self.width = mask.shape

    def painting(self, start: int, stop: int) -> Painting:
        return Painting(self.control[start:stop], self.mask[start:stop])

    def noise(self, _frame: int, _channels: int, _cell: int) -> None:
        return None

    def owners(self, _frame: int, _cell: int) -> None:
        return None

    def correspondence(self, start: int, stop: int) -> Correspondence | None:
        return None if self.moves is None else Correspondence(self.moves.before[start:stop], self.moves.after[start:stop])


@dataclass(frozen=True, eq=False)
class Begin:
    """Where an edit begins: clean ``latents`` (1, z, L, h, w), a parent's or an encoded picture's. The last ``change`` of the
    steps are done anew, from these latents noised to that level (SDEdit), or from noise alone where it is 1. With
    ``locked``, what lies outside the source's mask stays as these latents have it."""

    latents: Tensor
    change: float = 1.0
    locked: bool = False


@dataclass(frozen=True, eq=False)
class Order:
    """What is asked for. ``references`` are pictures (h, w, 3) sRGB in [0, 1] of the subject, best on white: its look is
    carried over. ``pull`` in [0, 1]: how far each object's colours are held to where it is first seen."""

    prompt: str
    seed: int
    steps: int
    references: tuple[Video, ...] = ()
    begin: Begin | None = None
    pull: float = 0.0


@dataclass(frozen=True, eq=False)
class Painted:
    """A layer as the model leaves it: its clean ``latents`` (1, z, L, h, w) on the CPU, ``frames()`` decodes them piece by
    piece: (first frame, (F, H, W, 3) float32 sRGB in [0, 1]); ``calls`` of the transformer were made."""

    latents: Tensor
    frames: Callable[[], Iterator[tuple[int, Video]]]
    calls: int


class Adapter(Protocol):
    """A loaded model."""

    profile: Profile
    weights: dict[str, str]

    def paint(self, source: Source, order: Order, scratch: Path, progress: StepDone, kept: RunStore | None = None) -> Painted:
        """Paint one layer. ``scratch`` is a folder for what memory need not hold. ``progress(done, total)`` is called after each
        prediction of a window and may raise to stop; a run that is ``kept`` goes on where it was stopped."""
        ...

    def windows(self, frames: int) -> WindowPlan:
        """How a shot of so many frames is cut."""
        ...

    def encode(self, read: Callable[[int, int], Video], frames: int) -> Tensor:
        """Clean latents (1, z, L, h, w) of pictures (F, H, W, 3) in [0, 1], read piece by piece."""
        ...

    def generate(self, control: Video, mask: Mask, prompt: str, seed: int, steps: int, step_done: StepDone,
                 references: Sequence[Video] = (), correspondence: Correspondence | None = None) -> Video:
        """:meth:`paint` of a short clip in memory: control and mask as in :class:`Painting`, (F, H, W, 3) in [0, 1]."""
        ...


def load(weights: str) -> Adapter:
    """Load ``mini``, a folder, or a hub repository. One family so far."""
    from .wan_vace import WanVACE

    return WanVACE.load(weights)


def versions() -> dict[str, str]:
    """The packages a take depends on, for its result."""
    import diffusers
    import torch
    import transformers

    modules: tuple[Any, ...] = (diffusers, torch, transformers, np)
    return {module.__name__: str(module.__version__) for module in modules}


def device() -> str:
    """What generation runs on, in words."""
    import torch

    return f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "CPU (no CUDA GPU found)"
