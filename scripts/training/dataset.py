# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered clips in memory, and the picture a look makes of them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lucid.inference.conditioning.depth import inverse_depth, measure_range
from numpy.typing import NDArray

from .palette import Look
from .shapes import Array

FIRST_TRAINING_SEED = 1000
_LEVEL = np.linspace(0, 1, 256, dtype=np.float32) ** 2 * 2.0  # undoes the square-root coding of the light


@dataclass
class Clip:
    """One rendered clip. `light` (F, H, W, 2) uint8 coded sun and sky, `slot` (F, H, W) uint8, 0 = sky, `control`
    (F, H, W) float16 inverse depth normalised over the shot, `z` (F, H, W) float16 metres, `joints` (A, F, 18, 3) world."""

    light: NDArray[np.uint8]
    slot: NDArray[np.uint8]
    control: NDArray[np.float16]
    z: NDArray[np.float16]
    joints: Array
    camera: Array
    intrinsics: Array
    kind: str
    indoor: bool
    actors: list[str]
    slots: dict[int, tuple[str, int]]
    sun_right: float
    exposure: float

    @property
    def frames(self) -> int:
        return len(self.slot)

    def matte(self, actor: int, frames: slice) -> NDArray[np.bool_]:
        """(F, H, W) pixels of one actor."""
        table = np.zeros(256, bool)
        table[[slot for slot, (_, owner) in self.slots.items() if owner == actor]] = True
        return table[self.slot[frames]]


def load_clip(path: Path) -> Clip:
    """Reads one npz file of scenes.py."""
    with np.load(path) as data:
        meta = json.loads(str(data["meta"]))
        depth = data["depth"].astype(np.float32)
        with np.errstate(divide="ignore"):
            inverse = 1.0 / depth
        control = inverse_depth(depth, measure_range(inverse[:, ::2, ::2]))
        light, slot = data["light"], data["slot"]
        total = _LEVEL[light[slot > 0]].sum(-1)
        exposure = float(np.clip(1.25 / max(float(np.percentile(total, 85)), 1e-3), 0.7, 4.0)) if total.size else 1.0
        return Clip(
            light,
            slot,
            control.astype(np.float16),
            data["depth"],
            data["joints"],
            data["camera"],
            data["K"],
            meta["set"],
            meta["indoor"],
            meta["actors"],
            {int(k): (v[0], int(v[1])) for k, v in meta["slots"].items()},
            meta["sun_right"],
            exposure,
        )


class Clips:
    """All clips of a folder, split by seed; `refresh` picks up what was rendered meanwhile."""

    def __init__(self, folder: Path, validation: bool = False) -> None:
        self.folder, self.validation = folder, validation
        self.clips: list[Clip] = []
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self, most: int = 10_000) -> int:
        """Loads at most `most` new clips; returns how many there are in all."""
        fresh = [p for p in sorted(self.folder.glob("[0-9]*.npz")) if p.name not in self._seen]
        for path in [p for p in fresh if (int(p.stem) < FIRST_TRAINING_SEED) == self.validation][:most]:
            try:
                self.clips.append(load_clip(path))
            except (zipfile.BadZipFile, KeyError, ValueError):
                continue  # still being copied, or from an older version: tried again at the next refresh
            self._seen.add(path.name)
        return len(self.clips)


def _sky(clip: Clip, look: Look, frames: slice, rows: slice, columns: slice) -> Array:
    """(F, h, w, 3) linear sky gradient by the elevation of each pixel's ray."""
    k = clip.intrinsics
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5 - k[0, 2]) / k[0, 0]
    y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - k[1, 2]) / k[1, 1]
    up = clip.camera[frames, 2, :3]
    rise = up[:, None, None, 0] * x[None, None] + up[:, None, None, 1] * y[None, :, None] + up[:, None, None, 2]
    rise = rise / np.sqrt(1 + x[None, None] ** 2 + y[None, :, None] ** 2)
    mix = np.clip(rise * 1.8, 0, 1)[..., None]
    return np.float32(look.mood.horizon) * (1 - mix) + np.float32(look.mood.zenith) * mix


def picture(clip: Clip, look: Look, frames: slice, rows: slice, columns: slice) -> Array:
    """(F, h, w, 3) float32 in [-1, 1], display-referred (gamma 2.2): albedo x (sun + sky) + glow, haze, sky."""
    slot = clip.slot[frames, rows, columns]
    light = _LEVEL[clip.light[frames, rows, columns]] * np.float32(clip.exposure)
    linear = light[..., :1] * np.float32(look.mood.sun)
    linear += light[..., 1:] * np.float32(look.mood.fill)
    linear *= look.albedo[slot]
    if look.glow.any():
        linear += look.glow[slot]
    if not clip.indoor:
        far = np.minimum(clip.z[frames, rows, columns].astype(np.float32), 200.0)
        haze = np.clip(far / 70, 0, 1)[..., None] ** 1.5 * np.float32(0.8)
        linear += haze * (np.float32(look.mood.horizon) - linear)
    void = slot == 0
    if void.any():
        linear = np.where(void[..., None], _sky(clip, look, frames, rows, columns), linear)
    return np.clip(_soften(linear), 0, 1) ** np.float32(1 / 2.2) * 2 - 1


def _soften(linear: Array) -> Array:
    """A small cross blur in place of antialiasing: the renders have one sample position per pixel."""
    out = linear * np.float32(0.6)
    for axis in (1, 2):
        size = linear.shape[axis]
        before, after = np.maximum(np.arange(size) - 1, 0), np.minimum(np.arange(size) + 1, size - 1)
        out += np.float32(0.1) * (linear.take(before, axis) + linear.take(after, axis))
    return out
