# SPDX-License-Identifier: GPL-3.0-or-later
"""What generation asks of a model family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

StepDone = Callable[[int, int], None]
DEPTH, GEOMETRY = "depth", "geometry"
ALONE, LINES, NONE = "alone", "lines", "none"


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Where the points of each frame lie in the one before and in the one after it: (F, H, W, 2) float32 pixels, the first
    pixel's centre at (0, 0), x right, y down; NaN where the other frame does not show the point. The first frame has
    nothing before, the last nothing after it."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True)
class Profile:
    """A checkpoint's rules and habits.

    ``legal_frames`` ascending; ``multiple`` of width and height in pixels; ``mask_grow`` pixels by which an actor's
    silhouette is grown into the region the model repaints; ``mask_box`` repaints the bounding box instead (tight masks
    hurt the large VACE models); ``control`` is what it was trained on: "depth" (inverse depth in grey) or "geometry"
    (depth and normals); ``skeleton`` says how one is told: "alone" on black, "lines" over the control, or "none";
    ``pose_grow`` pixels beyond the silhouette; ``max_pixels`` of a frame is the largest picture it was trained on, 0 where
    that is no matter; ``window`` frames are denoised together, neighbouring windows share ``overlap`` frames (0: all frames
    together); ``last_sigma`` is the noise level of the last step, None for the scheduler's own; ``memory`` in [0, 1) is how
    much of a surface's colour in one frame comes from the frame before and after it, 0 leaves it to the model;
    ``pose_reversed`` draws the skeleton in BGR, as VACE's annotator did.
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


class Adapter(Protocol):
    """A loaded model."""

    profile: Profile
    weights: dict[str, str]

    def generate(self, control: NDArray[np.float32], mask: NDArray[np.bool_], prompt: str, seed: int, steps: int,
                 step_done: StepDone, references: Sequence[NDArray[np.float32]] = (),
                 correspondence: Correspondence | None = None) -> NDArray[np.float32]:
        """Paint the masked region of a video.

        ``control`` (F, H, W, 3) in [0, 1]: the control inside the mask, the kept picture outside; ``mask`` (F, H, W),
        true = generate. F and H, W are legal for the profile. ``step_done(done, total)`` is called after each step
        and may raise to stop. ``references`` are pictures (h, w, 3) sRGB in [0, 1] of the subject, best on white: its
        look is carried over. ``correspondence`` says which pixels show the same point of a surface from frame to frame:
        a profile with a memory uses it. Returns (F, H, W, 3) float32 sRGB in [0, 1].
        """
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
