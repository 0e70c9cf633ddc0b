# SPDX-License-Identifier: GPL-3.0-or-later
"""What generation asks of a model family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

StepDone = Callable[[int, int], None]


@dataclass(frozen=True)
class Profile:
    """A checkpoint's rules and habits.

    ``legal_frames`` ascending; ``multiple`` of width and height in pixels; ``mask_grow`` pixels by which an actor's
    silhouette is grown into the region the model repaints; ``mask_box`` repaints the bounding box instead (tight masks
    hurt the large VACE models); ``pose_grow`` pixels by which the pose region exceeds the silhouette;
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


class Adapter(Protocol):
    """A loaded model."""

    profile: Profile
    weights: dict[str, str]

    def generate(self, control: NDArray[np.float32], mask: NDArray[np.bool_], prompt: str, seed: int, steps: int,
                 step_done: StepDone) -> NDArray[np.float32]:
        """Paint the masked region of a video.

        ``control`` (F, H, W, 3) in [0, 1]: the control inside the mask, the kept picture outside; ``mask`` (F, H, W),
        true = generate. F and H, W are legal for the profile. ``step_done(done, total)`` is called after each step
        and may raise to stop. Returns (F, H, W, 3) float32 sRGB in [0, 1].
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
