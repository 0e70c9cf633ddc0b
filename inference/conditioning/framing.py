# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a subject is in the picture, and whom the picture is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shot.model import Size
from .path import Array


@dataclass(frozen=True)
class Subject:
    """Someone or something the picture may be about: ``points`` (F, 3) is the middle of its bounds in the world, NaN where it
    is not there, ``height_m`` its upright height; metres."""

    name: str
    points: NDArray[np.floating[Any]]
    height_m: float


@dataclass(frozen=True)
class Framing:
    """A subject in the picture, per frame: distance (F,) in metres, ``height`` (F,) over the picture's height (NaN behind
    the camera), and ``weight`` (F,) in [0, 1], how much the picture is about it: its visible height, less off centre."""

    subject: Subject
    distance: Array
    height: Array
    weight: Array


def frame_subject(subject: Subject, K: NDArray[np.floating[Any]], world_from_camera: Array, size: Size,
                  orthographic: bool) -> Framing:
    """Where a subject is in the picture, frame by frame; shapes as in :func:`.moves.stages_of`."""
    lens = np.asarray(K, np.float64)
    offset = np.asarray(subject.points, np.float64) - world_from_camera[:, :3, 3]
    x, y, z = np.einsum("fji,fj->if", world_from_camera[:, :3, :3], offset)
    front = np.where(z > 0.0, z, np.nan)
    divisor = np.where(np.isnan(front), np.nan, 1.0) if orthographic else front
    height = lens[:, 1, 1] * subject.height_m / divisor / size.height
    across = (lens[:, 0, 0] * x / divisor + lens[:, 0, 2]) / size.width
    down = (lens[:, 1, 1] * y / divisor + lens[:, 1, 2]) / size.height
    shown = np.clip(down + 0.5 * height, 0.0, 1.0) - np.clip(down - 0.5 * height, 0.0, 1.0)
    weight = np.nan_to_num(shown * np.clip(1.0 - np.abs(2.0 * across - 1.0), 0.0, 1.0))
    return Framing(subject, np.linalg.norm(offset, axis=1), height, weight)


def about(framings: Sequence[Framing], start: int, end: int) -> Framing | None:
    """Whom the picture is about between two frames, the second counting most; None when nobody is in it."""
    ramp = np.linspace(0.5, 1.0, end - start + 1)
    weights = [float(np.mean(framing.weight[start:end + 1] * ramp)) for framing in framings]
    return framings[int(np.argmax(weights))] if weights and max(weights) > 1e-3 else None
