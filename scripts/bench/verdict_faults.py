# SPDX-License-Identifier: GPL-3.0-or-later
"""Known faults, made of clean pictures: what a verdict has to catch.

A fault changes what it says and nothing else. What it moves is cut out of the clean frames and put over the environment as the
clean frames light it, in scene-linear light; shadows stay where they were. All are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from .verdict_cutouts import (
    Array,
    Pictures,
    as_picture,
    clipped,
    cutouts_of,
    grown,
    linear,
    lit_environment,
    mirrored,
    moved,
    over,
    premultiplied,
    scaled,
    slid,
)

FrameReader = Callable[[int], NDArray[np.float32]]
"""The faulty picture (H, W, 3), sRGB float32 in [0, 1], of a frame's index, 0 to F - 1."""

RED, BLUE = 0.003, -0.002       # gain a frame
SWIM = 0.6                      # px a frame
BOIL, GRAIN = 0.15, 8           # part of the picture, px
FLICKER = 0.02                  # standard deviation of the gain
SHIFT = 4                       # px
LARGER = 1.03
PUSH = 0.08


@dataclass(frozen=True)
class Fault:
    """``kind`` is shared by the variants of one fault; ``text`` says what was done; ``make`` gives None where it has no
    meaning."""

    kind: str
    text: str
    make: Callable[[Pictures], FrameReader | None]


def faulty(clip: Pictures, name: str) -> FrameReader | None:
    """The clip with the fault ``name`` of FAULTS; None where it has no meaning. Raises KeyError for an unknown one."""
    return FAULTS[name].make(clip)


def colour_drift(clip: Pictures) -> FrameReader:
    """Red rises and blue falls, linearly in sRGB values."""
    def read(index: int) -> Array:
        return clipped(clip.beauty(clip.frames[index]) * np.array([1.0 + RED * index, 1.0, 1.0 + BLUE * index]))

    return read


def flicker(clip: Pictures, seed: int = 1) -> FrameReader:
    """Each frame has a gain of its own."""
    gains = 1.0 + FLICKER * np.random.default_rng(seed).standard_normal(len(clip.frames))
    return lambda index: clipped(clip.beauty(clip.frames[index]) * gains[index])


def boil(clip: Pictures, seed: int = 1) -> FrameReader:
    """Fresh noise is blended in each frame."""
    def read(index: int) -> Array:
        picture = clip.beauty(clip.frames[index])
        high, wide = picture.shape[:2]
        grid = np.random.default_rng((seed, index)).random((-(-high // GRAIN), -(-wide // GRAIN), 3)).astype(np.float32)
        noise = cv2.resize(grid, (wide, high), interpolation=cv2.INTER_CUBIC)
        return clipped((1.0 - BOIL) * picture + BOIL * noise)

    return read


def lag(clip: Pictures) -> FrameReader:
    """Each picture is the one before; the first stays."""
    return lambda index: clip.beauty(clip.frames[max(index - 1, 0)])


def swapped(clip: Pictures, apart: int) -> FrameReader | None:
    """Two frames in the middle change places."""
    first = (len(clip.frames) - apart) // 2
    places = {first: first + apart, first + apart: first}
    if first < 1:
        return None
    return lambda index: clip.beauty(clip.frames[places.get(index, index)])


def zoom(clip: Pictures) -> FrameReader:
    """The picture grows about its middle, slowly at first and at last."""
    def read(index: int) -> Array:
        part = index / max(len(clip.frames) - 1, 1)
        return scaled(clip.beauty(clip.frames[index]), 1.0 + PUSH * part * part * (3.0 - 2.0 * part))

    return read


def scale_picture(clip: Pictures) -> FrameReader:
    """The picture is larger about its middle from the first frame to the last."""
    return lambda index: scaled(clip.beauty(clip.frames[index]), LARGER)


def wrong_gravity(clip: Pictures, gravity: float) -> FrameReader | None:
    """The clip as rendered where things fall at ``gravity`` (m/s^2)."""
    other = clip.at_gravity(gravity)
    return None if other is None else lambda index: other.beauty(clip.frames[index])


def texture_swim(clip: Pictures) -> FrameReader:
    """On each large surface of the environment, what is seen slides to the left, inside the surface's outline."""
    def read(index: int) -> Array:
        frame = clip.frames[index]
        clean, cutouts = clip.plate(frame), cutouts_of(clip, frame)
        environment = lit_environment(clip, frame, cutouts)
        plate = slid(clean, clip.surfaces(frame), SWIM * index)
        light = environment / np.maximum(linear(clean), 1e-4)
        return as_picture(over(np.where(plate == clean, environment, linear(plate) * light), cutouts.values()))

    return read


def shift(clip: Pictures) -> FrameReader | None:
    """The first actor stands beside its place."""
    return _with_first(clip, lambda cutout, _index: moved(cutout, SHIFT))


def scale(clip: Pictures) -> FrameReader | None:
    """The first actor is larger about its lowest point."""
    return _with_first(clip, lambda cutout, _index: grown(cutout, LARGER))


def frozen_actor(clip: Pictures) -> FrameReader | None:
    """The first actor stays as and where it was in the first frame."""
    if not clip.actors:
        return None
    still = premultiplied(clip.actor(clip.actors[0], clip.frames[0]))
    return _with_first(clip, lambda _cutout, _index: still) if still.any() else None


def mirrored_pose(clip: Pictures) -> FrameReader | None:
    """Each actor is seen in a mirror that stands in its middle."""
    return _with(clip, clip.actors, lambda cutout, _index: mirrored(cutout)) if clip.actors else None


def unchanged(clip: Pictures) -> FrameReader | None:
    """The first actor cut out and put back: how clean the way is that the actors' faults go."""
    return _with_first(clip, lambda cutout, _index: cutout)


def _with_first(clip: Pictures, change: Callable[[Array, int], Array]) -> FrameReader | None:
    return _with(clip, clip.actors[:1], change) if clip.actors else None


def _with(clip: Pictures, names: tuple[str, ...], change: Callable[[Array, int], Array]) -> FrameReader:
    """These actors' cut-outs (H, W, 4), premultiplied and scene-linear, changed, over the others."""
    def read(index: int) -> Array:
        frame = clip.frames[index]
        cutouts = cutouts_of(clip, frame)
        others = [cutout for name, cutout in cutouts.items() if name not in names]
        base = over(lit_environment(clip, frame, cutouts), others)
        for name in names:
            changed = change(cutouts[name], index)
            base = changed[..., :3] + (1.0 - changed[..., 3:]) * base
        return as_picture(base)

    return read


FAULTS: dict[str, Fault] = {name: Fault(kind, text, make) for name, kind, text, make in (
    ("colour_drift", "colour_drift", "red 0.3 % a frame up, blue 0.2 % down", colour_drift),
    ("texture_swim", "texture_swim", "surfaces' texture slides 0.6 px a frame", texture_swim),
    ("boil", "boil", "15 % of fresh noise of 8 px in each frame", boil),
    ("flicker", "flicker", "each frame's gain is off by 2 %", flicker),
    ("shift", "shift", "an actor 4 px to the side", shift),
    ("wrong_gravity", "wrong_gravity", "a ball falls at 8.83 m/s^2", partial(wrong_gravity, gravity=8.83)),
    ("wrong_gravity_far", "wrong_gravity", "a ball falls at 6.87 m/s^2", partial(wrong_gravity, gravity=6.87)),
    ("lag", "lag", "each picture comes a frame late", lag),
    ("mirrored_pose", "mirrored_pose", "each actor flipped left-right in its place", mirrored_pose),
    ("swapped", "swapped", "two neighbouring frames exchanged", partial(swapped, apart=1)),
    ("swapped_far", "swapped", "two frames that are 5 apart exchanged", partial(swapped, apart=5)),
    ("scale", "scale", "an actor 3 % larger about its feet", scale),
    ("scale_picture", "scale_picture", "the whole picture 3 % larger", scale_picture),
    ("frozen_actor", "frozen_actor", "an actor that stays as it was first", frozen_actor),
    ("zoom", "zoom", "the picture grows by 8 % over the clip", zoom),
)}
