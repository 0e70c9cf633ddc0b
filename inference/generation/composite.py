# SPDX-License-Identifier: GPL-3.0-or-later
"""The final picture of one frame: layers over each other in scene-linear light, shadowed and veiled as the scene says.

The pixel rule: a pixel of the result depends on that pixel of the inputs alone. Where a layer's alpha is exactly 0 its
colour has no influence, where it is exactly 1 nothing behind it has, both bit for bit; where no layer, shadow or volume
does anything, the environment's 16-bit code comes back as it is.

Shadows lie on the environment alone, under the actors: the shadow layer was captured with the actors hidden from the
camera, so it knows nothing of what they do to each other. In fog it was captured through the fog, so what the fog hides
of a shadow is hidden already, and the veil lies over the rest once more.

Volumes veil the finished stack, once. Their transmittance is the one from the camera to the first surface of the whole
shot, which is the surface that is seen: on an actor in front of the fog it is 1 already. No depth is needed, and none would
help: in the pixels of an antialiased edge two surfaces are seen and depth, like transmittance, is known of the one at the
pixel's centre. There the veil of one is on both, an error within the edge's own width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..conditioning.transfer import codes_to_linear, linear_to_codes
from ..errors import LucidError
from ..shot.images import read_planes
from ..shot.model import LAYER_PASSES, Kind, Layer, Shot

Array = NDArray[np.float32]
Codes = NDArray[np.uint16]

#: the brightest ratio that is taken at its word: beyond, the plate was too dark for it to speak of another picture's light
MOST_RATIO = np.float32(4.0)
_NOTHING_FREE = 1e-3        # of a pixel: less than half a step of an 8-bit matte


@dataclass(frozen=True, eq=False)
class Shadow:
    """What the actors do to the light on the environment, (H, W, 3) float32 each: ``ratio`` and ``difference``,
    scene-linear, as captured (unclamped; ratio 1 where the plate is black)."""

    ratio: Array
    difference: Array


@dataclass(frozen=True, eq=False)
class Volume:
    """From the camera to the first surface: ``transmittance`` (H, W) in [0, 1] and ``emission`` (H, W, 3), scene-linear."""

    transmittance: Array
    emission: Array


def composite(layers: Sequence[tuple[Codes, Array]], shadow: Shadow | None, volume: Volume | None,
              ambient: Array | None = None, *, shadow_strength: float = 1.0, volume_strength: float = 1.0) -> Codes:
    """One frame as 16-bit sRGB codes (H, W, 3).

    ``layers``, from the farthest to the nearest: straight sRGB codes (H, W, 3) uint16 and alpha (H, W) in [0, 1]; the first
    is the environment, whose alpha is 1. For the final to be the *over* of the stored layers, alpha is what they store,
    code / 65535. ``ambient`` (3,) is the scene-linear light that a volume scatters towards the camera, of
    :func:`mean_linear`; wanted with a volume. The strengths, in [0, 1], say how much of each is done; 0 is nothing.
    Raises STRENGTH_INVALID, and ValueError for arrays that are not of this kind.
    """
    for name, strength in (("shadow", shadow_strength), ("volume", volume_strength)):
        if not 0.0 <= strength <= 1.0:
            raise LucidError("STRENGTH_INVALID", f"the strength of the {name} layer is {strength}",
                             "give a number from 0 (off) to 1")
    _check(layers, shadow, volume)
    picture = codes_to_linear(layers[0][0])
    if shadow is not None and shadow_strength > 0.0:
        picture = shadowed(picture, shadow, shadow_strength)
    for codes, alpha in layers[1:]:
        part = np.asarray(alpha, np.float32)[..., None]
        # not below + (colour - below) * alpha, which gives the colour only nearly where alpha is 1
        picture = picture * (1.0 - part) + codes_to_linear(codes) * part
    if volume is not None and volume_strength > 0.0:
        if ambient is None:
            raise ValueError("a volume needs the ambient light that it scatters")
        picture = veiled(picture, volume, np.asarray(ambient, np.float32), volume_strength)
    return linear_to_codes(picture)


def shadowed(picture: Array, shadow: Shadow, strength: float) -> Array:
    """``picture`` (H, W, 3) scene-linear, at least 0, in the light that the actors leave and add; not clipped above 1.

    Up to MOST_RATIO the ratio multiplies it, whatever units of light the scene was captured in. A larger one comes of a
    plate that is dark beside what the actors add to it, and would burn out a picture that is brighter there: what is
    added is then the captured difference, but no less than MOST_RATIO and no more than the ratio itself would add. Where
    the plate is black (ratio exactly 1) the difference is added. So the captured plate becomes the captured picture in
    every pixel. Where ratio or difference is not finite nothing is known and nothing is done.
    """
    known = np.isfinite(shadow.ratio) & np.isfinite(shadow.difference)
    ratio, difference = np.where(known, shadow.ratio, np.float32(1.0)), np.where(known, shadow.difference, np.float32(0.0))
    least, most = picture * (np.minimum(ratio, MOST_RATIO) - 1.0), picture * (ratio - 1.0)
    added = np.where(ratio == 1.0, difference, np.clip(difference, least, most))
    return np.maximum(picture + np.float32(strength) * added, np.float32(0.0))


def veiled(picture: Array, volume: Volume, ambient: Array, strength: float) -> Array:
    """picture T + emission + (1 - T) ambient, (H, W, 3) scene-linear, unclipped.

    The light that a volume scatters is not captured. ``ambient`` (3,) stands for it, one constant over the shot, so that
    it never flickers; what only absorbs (black smoke) comes out as bright as that. At a smaller ``strength`` s, T is
    1 - s (1 - T) and the emission s times itself. Where transmittance or emission is not finite nothing is known and
    nothing is done.
    """
    known = np.isfinite(volume.transmittance) & np.isfinite(volume.emission).all(-1)
    through = np.clip(np.where(known, volume.transmittance, 1.0), 0.0, 1.0).astype(np.float32)[..., None]
    emission = np.where(known[..., None], volume.emission, np.float32(0.0))
    taken = np.float32(strength) * (np.float32(1.0) - through)
    return picture * (np.float32(1.0) - taken) + np.float32(strength) * emission + taken * ambient


def alphas(mattes: Array) -> Array:
    """(L, H, W) alphas of one frame that make a stack of *over* equal to the disjoint coverages it was cut into.

    ``mattes`` (L, H, W), from the farthest layer to the nearest, hold visible coverage: they add up to 1 at most. A layer's
    alpha is its coverage as a part of what nearer layers leave free; it is exactly 0 where the coverage is.
    """
    found = np.zeros_like(mattes, np.float32)
    free = np.ones(mattes.shape[1:], np.float32)
    for index in reversed(range(len(mattes))):
        np.divide(mattes[index], free, out=found[index], where=free > _NOTHING_FREE)
        free = np.maximum(free - mattes[index], np.float32(0.0))
    return np.asarray(np.clip(found, 0.0, 1.0))


def mean_linear(pictures: Iterable[Codes]) -> Array:
    """(3,) mean scene-linear colour of 16-bit sRGB pictures (H, W, 3) of one size, taken one at a time: the ambient light
    of a shot whose environment they are. Raises ValueError when there are none."""
    means = [codes_to_linear(picture).mean(axis=(0, 1), dtype=np.float64) for picture in pictures]
    if not means:
        raise ValueError("no picture has no mean")
    return np.asarray(np.mean(means, axis=0), np.float32)


def read_shadow(folder: Path, shot: Shot, frame: int) -> Shadow | None:
    """The shadow layer of one scene frame of a verified shot, None where it has none. Raises EXR_INVALID, PASS_MISSING."""
    layer = _only(shot, Kind.SHADOW)
    if layer is None:
        return None
    return Shadow(_image(folder, shot, layer, "ratio", frame), _image(folder, shot, layer, "difference", frame))


def read_volume(folder: Path, shot: Shot, frame: int) -> Volume | None:
    """The volume layer of one scene frame of a verified shot, None where it has none. Raises EXR_INVALID, PASS_MISSING."""
    layer = _only(shot, Kind.VOLUME)
    if layer is None:
        return None
    return Volume(_image(folder, shot, layer, "transmittance", frame)[..., 0],
                  _image(folder, shot, layer, "emission", frame))


def _only(shot: Shot, kind: Kind) -> Layer | None:
    return next((layer for layer in shot.layers if layer.kind is kind), None)


def _image(folder: Path, shot: Shot, layer: Layer, name: str, frame: int) -> Array:
    """(H, W, C) float32: a pass of a layer with the channels that its kind has."""
    planes = read_planes(folder, layer.sequence(name).path(frame), shot.size, LAYER_PASSES[layer.kind][name])
    return planes.astype(np.float32)


def _check(layers: Sequence[tuple[Codes, Array]], shadow: Shadow | None, volume: Volume | None) -> None:
    """numpy would broadcast what does not fit, and let an alpha beyond [0, 1] make light of nothing."""
    if not layers or not (layers[0][1] == 1.0).all():
        raise ValueError("the first layer is the environment, whose alpha is 1")
    plane = layers[0][1].shape
    images = [codes.shape for codes, _ in layers]
    planes = [alpha.shape for _, alpha in layers]
    if shadow is not None:
        images += [shadow.ratio.shape, shadow.difference.shape]
    if volume is not None:
        images, planes = [*images, volume.emission.shape], [*planes, volume.transmittance.shape]
    if set(images) != {(*plane, 3)} or set(planes) != {plane}:
        raise ValueError(f"not every array is of the environment's size {plane}")
    if not all(bool(((alpha >= 0.0) & (alpha <= 1.0)).all()) for _, alpha in layers):
        raise ValueError("an alpha is not in [0, 1]")
