# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes clean pictures apart and puts them together again: cut-outs, the environment behind them, and what is done to either.

Cut-outs are (H, W, 4), scene-linear, premultiplied. An environment is (H, W, 3), scene-linear, as the actors leave its light.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import cv2
import numpy as np
from lucid.inference.conditioning.transfer import to_linear, to_srgb
from numpy.typing import NDArray

Array = NDArray[Any]

_HIDDEN = 0.1           # of the environment in a pixel: less than this says nothing of it
_DARK = 1e-4            # scene-linear; nothing can be told of the light on what is darker
_AROUND = np.ones((5, 5), np.uint8)
_SMALLEST = 0.02        # of the picture: texture slides on surfaces that are not smaller


class Pictures(Protocol):
    """What is needed of a clip; see verdict_shots.Clip."""

    @property
    def frames(self) -> tuple[int, ...]: ...
    @property
    def actors(self) -> tuple[str, ...]: ...
    def beauty(self, frame: int) -> NDArray[np.float32]: ...
    def plate(self, frame: int) -> NDArray[np.float32]: ...
    def actor(self, name: str, frame: int) -> NDArray[np.float32]: ...
    def surfaces(self, frame: int) -> NDArray[np.uint32]: ...
    def at_gravity(self, gravity: float) -> Pictures | None: ...


def over(base: Array, cutouts: Iterable[Array]) -> Array:
    """Cut-outs that share a picture's pixels, each what is seen of its actor, over the base (H, W, 3)."""
    total = sum(cutouts, np.zeros((*base.shape[:2], 4), np.float32))
    return total[..., :3] + np.clip(1.0 - total[..., 3:], 0.0, 1.0) * base


def lit_environment(clip: Pictures, frame: int, cutouts: Mapping[str, Array] | None = None) -> Array:
    """(H, W, 3), scene-linear: the picture where no actor covers it, and behind them the plate in the light around them."""
    cutouts = cutouts_of(clip, frame) if cutouts is None else cutouts
    beauty, plate = linear(clip.beauty(frame)), linear(clip.plate(frame))
    if not cutouts:
        return beauty
    total = sum(cutouts.values(), np.zeros((*beauty.shape[:2], 4), np.float32))
    covers = total[..., 3:]
    behind = np.maximum(beauty - total[..., :3], 0.0) / np.maximum(1.0 - covers, _HIDDEN)
    known = (covers < 0.5) & (plate.min(axis=-1, keepdims=True) > _DARK)
    ratio = np.where(known, behind / np.maximum(plate, _DARK), 0.0)
    return np.where(covers < 1.0 - _HIDDEN, behind, plate * filled(ratio, known[..., 0].astype(np.float32)))


def filled(values: Array, known: Array) -> Array:
    """``values`` (H, W, C) where ``known`` (H, W) is 1; elsewhere averages of what is known nearby, the nearer the finer
    (push and pull, Gortler et al., The Lumigraph, 1996)."""
    if known.all() or min(known.shape) < 2:
        return values
    weights = cv2.pyrDown(known)
    coarse = cv2.pyrDown(values * known[..., None]) / np.maximum(weights, 1e-6)[..., None]
    seen = weights > 1e-3
    coarse = filled(np.where(seen[..., None], coarse, 0.0).astype(np.float32), seen.astype(np.float32))
    finer = cv2.pyrUp(coarse, dstsize=(values.shape[1], values.shape[0])).reshape(values.shape)
    return np.where(known[..., None] > 0.0, values, finer)


def moved(cutout: Array, right: int) -> Array:
    """A picture (H, W, C) so many pixels to the right; zeros come in."""
    out = np.zeros_like(cutout)
    out[:, right:] = cutout[:, :cutout.shape[1] - right]
    return out


def mirrored(cutout: Array) -> Array:
    """A cut-out (H, W, 4) flipped left-right inside the columns that its matte spans."""
    columns = np.flatnonzero((cutout[..., 3] > 0.5).any(axis=0))
    if not len(columns):
        return cutout
    source = columns[0] + columns[-1] - np.arange(cutout.shape[1])
    inside = (source >= 0) & (source < cutout.shape[1])
    return np.where(inside[None, :, None], cutout[:, np.clip(source, 0, cutout.shape[1] - 1)], 0.0).astype(cutout.dtype)


def grown(cutout: Array, factor: float) -> Array:
    """A cut-out (H, W, 4) larger about the lowest row of its matte and the matte's mean column."""
    rows, columns = np.nonzero(cutout[..., 3] > 0.5)
    if not len(rows):
        return cutout
    x, y = columns.mean(), float(rows.max()) + 0.5
    matrix = np.array([[factor, 0.0, x * (1.0 - factor)], [0.0, factor, y * (1.0 - factor)]])
    out = cv2.warpAffine(cutout, matrix, cutout.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    cover = np.clip(out[..., 3:], 0.0, 1.0)
    return np.concatenate([np.maximum(out[..., :3], 0.0) * (cover > 0.0), cover], axis=-1)


def scaled(picture: Array, factor: float) -> Array:
    """A picture (H, W, 3) larger about its middle, of the same size."""
    high, wide = picture.shape[:2]
    x, y = (wide - 1) / 2.0, (high - 1) / 2.0
    matrix = np.array([[factor, 0.0, x * (1.0 - factor)], [0.0, factor, y * (1.0 - factor)]])
    return clipped(cv2.warpAffine(picture, matrix, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def slid(picture: Array, surfaces: Array, pixels: float) -> Array:
    """``picture`` (H, W, 3) with what lies on each large surface (H, W ids, 0 for none) so many pixels further left. What
    would come from beyond the end of a surface's row of pixels comes from as far inside it."""
    if pixels == 0.0:
        return picture
    numbers, places, counts = np.unique(surfaces, return_inverse=True, return_counts=True)
    large = np.where((numbers > 0) & (counts >= _SMALLEST * surfaces.size), np.arange(1, len(numbers) + 1), 0)
    labels = large[places].reshape(surfaces.shape).astype(np.float32)
    pure = cv2.erode(labels, _AROUND) == cv2.dilate(labels, _AROUND)     # no pixel that shares another surface's light
    labels = np.where(pure, labels, 0.0)
    start, end = _runs(labels)
    last = np.maximum(end - start, 1)
    at = np.mod(np.arange(labels.shape[1]) - start + pixels, 2 * last)
    source = np.minimum(start + last - np.abs(last - at), end).astype(np.float32)
    rows = np.broadcast_to(np.arange(labels.shape[0], dtype=np.float32)[:, None], source.shape)
    moved_there = cv2.remap(picture, source, np.ascontiguousarray(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(labels[..., None] > 0.0, moved_there, picture)


def _runs(labels: Array) -> tuple[Array, Array]:
    """The first and the last column (H, W) of the row of equal labels that each pixel is in."""
    columns = np.arange(labels.shape[1])
    differs = np.diff(labels, axis=1) != 0.0
    start = np.maximum.accumulate(np.where(np.pad(differs, ((0, 0), (1, 0))), columns, 0), axis=1)
    end = np.where(np.pad(differs, ((0, 0), (0, 1))), columns, labels.shape[1] - 1)
    return start, np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]


def cutouts_of(clip: Pictures, frame: int) -> dict[str, Array]:
    """Of all actors, by name, each what is seen of it."""
    return {name: premultiplied(clip.actor(name, frame)) for name in clip.actors}


def premultiplied(straight: Array) -> Array:
    """Straight sRGB and coverage (H, W, 4) as a cut-out."""
    return np.concatenate([linear(straight[..., :3]) * straight[..., 3:], straight[..., 3:]], axis=-1)


def linear(picture: Array) -> Array:
    """sRGB values to scene-linear ones."""
    return np.asarray(to_linear(picture), np.float32)


def as_picture(light: Array) -> Array:
    """Scene-linear values to sRGB ones in [0, 1]."""
    return clipped(to_srgb(np.asarray(light, np.float32)))


def clipped(picture: Array) -> Array:
    """To [0, 1], float32."""
    return np.clip(picture, 0.0, 1.0).astype(np.float32)
