# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered clips in memory, and the picture a look makes of them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from lucid.inference.conditioning.depth import inverse_depth, measure_range
from numpy.typing import NDArray

from .coding import decode_light
from .palette import Look
from .shapes import Array

FIRST_TRAINING_SEED = 1000
_HAZE_DISTANCE, _HAZE_MOST = 70.0, 0.8  # metres, and how much of the horizon's colour things take there
_SKY_DISTANCE = 200.0
_GLINT = np.float32(2.0)


@dataclass
class Clip:
    """One rendered clip. `light` (F, H, W, 3) uint8 coded sun, sky and mirrored light, `slot`
    (F, H, W) uint8, 0 = sky, `normal` (F, H, W, 2) int8 coded x and y in camera space, `control` (F, H, W) float16 inverse
    depth normalised over the shot, `z` (F, H, W) float16 metres, `joints` (A, F, 18, 3) world, `intrinsics` (F, 3, 3)
    pixels, `camera` (F, 4, 4) world_from_camera, `move` the camera's ("pan left"). `flow` (F, H, W, 2) pixels to the next
    frame, x right, y down, `flow_valid` (F, H, W), where the same point is seen there, `instance` (F, H, W) and `rest`
    (F, H, W, 3) metres, a point's place on its object, are None in training clips."""

    light: NDArray[np.uint8]
    slot: NDArray[np.uint8]
    normal: NDArray[np.int8]
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
    move: str = ""
    props: tuple[str, ...] = ()
    flow: NDArray[np.float16] | None = None
    flow_valid: NDArray[np.bool_] | None = None
    instance: NDArray[np.uint16] | None = None
    rest: Array | None = None

    @property
    def frames(self) -> int:
        return len(self.slot)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(A, F) pixels of each actor in each frame."""
        return np.array([self.matte(a, slice(None)).sum((1, 2)) for a in range(len(self.actors))]).reshape(-1, self.frames)

    def matte(self, actor: int, frames: slice) -> NDArray[np.bool_]:
        """(F, H, W) pixels of one actor."""
        table = np.zeros(256, bool)
        table[[slot for slot, (_, owner) in self.slots.items() if owner == actor]] = True
        return table[self.slot[frames]]


def load_clip(path: Path) -> Clip:
    """Reads one npz file of scenes.py. Raises KeyError, ValueError or BadZipFile for another file."""
    with np.load(path) as data:
        meta = json.loads(str(data["meta"]))
        depth, light, slot = data["depth"], data["light"], data["slot"]
        with np.errstate(divide="ignore"):
            inverse = 1.0 / depth.astype(np.float32)
        control = inverse_depth(depth.astype(np.float32), measure_range(inverse[:, ::2, ::2]))
        return Clip(
            light,
            slot,
            data["normal"],
            control.astype(np.float16),
            depth,
            data["joints"],
            data["camera"],
            data["K"],
            meta["set"],
            meta["indoor"],
            meta["actors"],
            {int(k): (v[0], int(v[1])) for k, v in meta["slots"].items()},
            meta["sun_right"],
            _exposure(light, slot),
            meta["move"],
            tuple(meta["props"]),
            *(data[name] if name in data else None for name in ("flow", "flow_valid", "instance", "rest")),
        )


def _exposure(light: NDArray[np.uint8], slot: NDArray[np.uint8]) -> float:
    """What brings the 85th percentile of the light on matter to 1.25."""
    total = decode_light(light[..., :2][slot > 0]).sum(-1)
    return float(np.clip(1.25 / max(float(np.percentile(total, 85)), 1e-3), 0.7, 4.0)) if total.size else 1.0


class Clips:
    """All clips of a folder, split by seed; `refresh` picks up what was rendered meanwhile."""

    def __init__(self, folder: Path, validation: bool = False) -> None:
        self.folder, self.validation = folder, validation
        self.clips: list[Clip] = []
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self, most: int = 10_000) -> int:
        """Loads at most `most` new clips; returns how many there are in all. Raises ValueError for a clip of another version."""
        fresh = [p for p in sorted(self.folder.glob("[0-9]*.npz")) if p.name not in self._seen]
        for path in [p for p in fresh if (int(p.stem) < FIRST_TRAINING_SEED) == self.validation][:most]:
            try:
                self.clips.append(load_clip(path))
            except KeyError as error:
                raise ValueError(f"{path} has no {error.args[0]}: another version rendered it, render it again") from error
            except (zipfile.BadZipFile, ValueError):
                continue  # still being copied: tried again at the next refresh
            self._seen.add(path.name)
        return len(self.clips)


def _sky(clip: Clip, look: Look, frames: slice, rows: slice, columns: slice) -> Array:
    """(F, h, w, 3) linear sky gradient by the elevation of each pixel's ray."""
    k = clip.intrinsics[frames, :, :, None, None]
    x = (np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + 0.5 - k[:, 0, 2]) / k[:, 0, 0]
    y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5 - k[:, 1, 2]) / k[:, 1, 1]
    right, down, ahead = clip.camera[frames, 2, :3].T[:, :, None, None]
    rise = (right * x + down * y + ahead) / np.sqrt(1 + x**2 + y**2)
    mix = np.clip(rise * 1.8, 0, 1)[..., None]
    return np.float32(look.mood.horizon) * (1 - mix) + np.float32(look.mood.zenith) * mix


def _lit(clip: Clip, look: Look, frames: slice, rows: slice, columns: slice) -> Array:
    """(F, h, w, 3) linear: albedo x (sun + sky) + gloss x mirrored light + glow."""
    slot = clip.slot[frames, rows, columns]
    light = decode_light(clip.light[frames, rows, columns])
    light[..., :2] *= np.float32(clip.exposure)
    linear: Array = light[..., :1] * np.float32(look.mood.sun)
    linear += light[..., 1:2] * np.float32(look.mood.fill)
    linear *= look.albedo[slot]
    if look.gloss.any():
        linear += look.gloss[slot] * mirrored(light[..., 2:], look)
    if look.glow.any():
        linear += look.glow[slot]
    return linear


def mirrored(light: Array, look: Look) -> Array:
    """(..., 1) mirrored light -> (..., 3) colour: the sky has radiance 1, what is more of it is the sun, whose glint is
    stronger than CEILINGS let it be stored."""
    sky = (np.float32(look.mood.horizon) + np.float32(look.mood.zenith)) / 2
    return np.minimum(light, 1) * sky + np.maximum(light - 1, 0) * np.float32(look.mood.sun) * _GLINT


def in_fog(linear: Array, z: Array, density: float, colour: Array) -> Array:
    """What a homogeneous fog leaves of linear colours (..., 3) seen through `z` (...) metres of it: Beer-Lambert,
    L exp(-density z) + colour (1 - exp(-density z)), with the density per metre and the fog's own `colour` (3,)."""
    left = np.exp(np.float32(-density) * z)[..., None]
    return linear * left + colour * (1 - left)


def picture(clip: Clip, look: Look, frames: slice, rows: slice, columns: slice) -> Array:
    """(F, h, w, 3) float32 in [-1, 1], display-referred (gamma 2.2): what is lit, the sky, haze outdoors, fog."""
    linear = _lit(clip, look, frames, rows, columns)
    z = np.minimum(clip.z[frames, rows, columns].astype(np.float32), _SKY_DISTANCE)
    horizon = np.float32(look.mood.horizon)
    if not clip.indoor:
        haze = np.clip(z / _HAZE_DISTANCE, 0, 1)[..., None] ** 1.5 * np.float32(_HAZE_MOST)
        linear += haze * (horizon - linear)
    void = clip.slot[frames, rows, columns] == 0
    if void.any():
        linear = np.where(void[..., None], _sky(clip, look, frames, rows, columns), linear)
    if look.fog > 0:
        linear = in_fog(linear, z, look.fog, horizon)
    return np.clip(_soften(linear), 0, 1) ** np.float32(1 / 2.2) * 2 - 1


def _soften(linear: Array) -> Array:
    """A small cross blur in place of antialiasing: the renders have one sample position per pixel."""
    out = linear * np.float32(0.6)
    for axis in (1, 2):
        size = linear.shape[axis]
        before, after = np.maximum(np.arange(size) - 1, 0), np.minimum(np.arange(size) + 1, size - 1)
        out += np.float32(0.1) * (linear.take(before, axis) + linear.take(after, axis))
    return out
