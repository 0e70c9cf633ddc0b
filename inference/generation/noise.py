# SPDX-License-Identifier: GPL-3.0-or-later
"""Anchored noise: white Gaussian noise for a model's latents that belongs to the surfaces in the picture.

Each pixel's sample lies somewhere on a surface, known by its instance and rest position. White noise on the surfaces
is expanded on a tree of cells of rest space (``noise_tree``) whose coefficients are hashes of the cell and of the
frame's number, and a latent's value is that noise over the samples it covers. The same surface in the same frame has
thus the same noise in a retake, from another camera, in another window and on another machine, as far as the latents'
footprints overlap; nothing is read but the frame itself, no other frame's noise and no motion.

Cells are halved along x, y and z in turn, in three dimensions: a projection along the dominant axis would need normals
in rest space and would change its mind along every 45 degree line. A half without samples does not count, so that a
flat piece of surface is split as a picture is. Cells of every size have their borders a third of it away from the
origin, so that surfaces at round coordinates, which most are, lie inside cells and not where rounding decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from .noise_tree import Keys, Tree, gaussians, grow, hashed, mixed

CELL = 8                    # pixels along a latent's side: the spatial factor of Wan's VAE
_AXIS_BITS = 42             # of a rest position: cells from 2^22 m down to 2^-20 m
_PER_METRE = 2.0 ** 20
_REACH = 2.0 ** 20          # metres: as far as positions are told apart
_ORIGIN = 2.0 ** _AXIS_BITS / 3.0
_SURFACE, _SKY, _UNKNOWN = 1, 2, 3
_STUCK = "always"           # in place of the frame's number, for the part that stays


@dataclass(frozen=True, eq=False)
class View:
    """What the camera sees in one frame, one unfiltered sample per pixel.

    ``ids`` (H, W) uint32 or uint64 as the id pass has them, or by name (:func:`named_ids`), 0 for the background;
    ``rest`` (H, W, 3) metres as the rest pass has them, not finite where unknown; ``directions`` (H, W, 3) unit vectors
    in the world (:func:`world_directions`), used for the background and where the rest position is unknown.
    """

    ids: NDArray[np.unsignedinteger[Any]]
    rest: NDArray[np.floating[Any]]
    directions: NDArray[np.floating[Any]]


def anchored_noise(view: View, frame: int, *, channels: int, seed: int, layer: str = "", stickiness: float = 0.0,
                   cell: int = CELL) -> NDArray[np.float32]:
    """White standard Gaussian noise (channels, H / cell, W / cell) for one frame.

    ``frame`` is the number that tells moments apart: the scene's frame, the same for every camera. ``seed`` and
    ``layer`` give independent noise. With ``stickiness`` a in [0, 1], n = sqrt(1 - a) n(frame) + sqrt(a) n(always): the
    correlation between two frames is a times that of two cameras in one frame. ``cell`` is how many pixels a latent
    covers each way. Raises NOISE_INPUT for shapes, types and values out of these.
    """
    if not 0.0 <= stickiness <= 1.0 or channels < 1:
        raise _refused(f"a stickiness of {stickiness} with {channels} channels",
                       "give a stickiness from 0 to 1 and at least one channel")
    _check(view, cell)
    height, width = (length // cell for length in view.ids.shape)
    tree = _tree(view, cell)
    keys = tree.keys()
    parts = [(1.0 - stickiness, f"frame {int(frame)}"), (stickiness, _STUCK)]
    draws = [np.sqrt(share) * gaussians(mixed(keys ^ _salt(seed, layer, moment)), channels)
             for share, moment in parts if share > 0.0]
    sums = tree.spread(draws[0] if len(draws) == 1 else draws[0] + draws[1], height * width)
    # the white noise of cell^2 samples: their sum over the root of their number
    return (sums / cell).reshape(channels, height, width).astype(np.float32)


def anchored_video(views: Iterable[View], frames: Sequence[int], *, channels: int, seed: int, layer: str = "",
                   stickiness: float = 0.0, cell: int = CELL) -> NDArray[np.float32]:
    """:func:`anchored_noise` of each view and frame number in turn, (channels, T, H / cell, W / cell).

    Where one latent frame stands for several frames of the video, the caller says which one represents it.
    """
    return np.stack([anchored_noise(view, frame, channels=channels, seed=seed, layer=layer, stickiness=stickiness,
                                    cell=cell) for view, frame in zip(views, frames, strict=True)], axis=1)


def world_directions(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], height: int,
                     width: int) -> NDArray[np.float32]:
    """The unit vector (height, width, 3), along the world's axes, from the camera through each pixel's centre.

    ``K`` (3, 3) in pixels with the origin in the picture's top left corner, ``world_from_camera`` (4, 4), OpenCV axes.
    Written out by element: a matrix product is rounded differently from machine to machine.
    """
    k, pose = np.asarray(K, np.float64), np.asarray(world_from_camera, np.float64)
    x = ((np.arange(width) + 0.5 - k[0, 2]) / k[0, 0])[None, :]
    y = ((np.arange(height) + 0.5 - k[1, 2]) / k[1, 1])[:, None]
    length = np.sqrt(x * x + y * y + 1.0)
    return np.stack([(pose[axis, 0] * x + pose[axis, 1] * y + pose[axis, 2]) / length for axis in range(3)],
                    axis=-1).astype(np.float32)


def named_ids(ids: NDArray[np.unsignedinteger[Any]], instances: Mapping[int, str]) -> NDArray[np.uint64]:
    """The id pass (H, W) with each instance's number replaced by a hash of its name in ``Shot.instances``; 0 stays.

    Numbers are given in the order in which a shot first sees its instances; names are the same in every shot of a
    scene. Raises NOISE_INPUT for an id without a name.
    """
    known, place = np.unique(ids, return_inverse=True)
    nameless = [int(number) for number in known if number and int(number) not in instances]
    if nameless:
        raise _refused(f"an id pass with instances {nameless} that have no name", "capture the shot again")
    words = np.array([_word("instance", instances[int(number)]) if number else 0 for number in known], np.uint64)
    return words[place].reshape(ids.shape)


def _check(view: View, cell: int) -> None:
    shape = view.ids.shape
    if len(shape) != 2 or view.ids.dtype.kind != "u" or {view.rest.shape, view.directions.shape} != {(*shape, 3)}:
        raise _refused(f"ids {shape} {view.ids.dtype}, rest positions {view.rest.shape} and directions "
                       f"{view.directions.shape}", "give (H, W) unsigned ids, (H, W, 3) rest positions and directions")
    if cell < 1 or not all(shape) or any(length % cell for length in shape):
        raise _refused(f"a picture of {shape[1]}x{shape[0]} in cells of {cell}",
                       f"give a size that is a multiple of {cell}, as the model's fit makes it")
    if not np.isfinite(view.directions).all():
        raise _refused("directions that are not numbers", "make them from the shot's camera")


def _tree(view: View, cell: int) -> Tree:
    """The tree of the picture's samples with the latents as bins."""
    height, width = view.ids.shape
    ids = view.ids.ravel().astype(np.uint64)
    rest = view.rest.reshape(-1, 3).astype(np.float64)
    kind = np.where(ids == 0, _SKY, np.where(np.isfinite(rest).all(axis=1), _SURFACE, _UNKNOWN)).astype(np.uint64)
    places = np.where((kind == _SURFACE)[:, None], rest, view.directions.reshape(-1, 3))
    if np.abs(places).max() >= _REACH:
        raise _refused(f"a rest position {np.abs(places).max():.0f} m from its object's origin",
                       "move the object's origin to where it is")
    units = np.floor(places * _PER_METRE + _ORIGIN).astype(np.uint64)
    half = np.uint64(_AXIS_BITS // 2)
    bins = np.arange(height)[:, None] // cell * (width // cell) + np.arange(width) // cell
    return grow(hashed(kind, ids), _morton(units >> half), _morton(units & ((np.uint64(1) << half) - np.uint64(1))),
                bins.ravel())


def _morton(units: Keys) -> Keys:
    """The bits of three 21-bit numbers (N, 3) interleaved, x first (Morton 1966): a 63-bit word (N,)."""
    spread = units
    for shift, mask in ((32, 0x001F00000000FFFF), (16, 0x001F0000FF0000FF), (8, 0x100F00F00F00F00F),
                        (4, 0x10C30C30C30C30C3), (2, 0x1249249249249249)):
        spread = (spread | (spread << np.uint64(shift))) & np.uint64(mask)
    return (spread[:, 0] << np.uint64(2)) | (spread[:, 1] << np.uint64(1)) | spread[:, 2]


def _salt(seed: int, layer: str, moment: str) -> np.uint64:
    return np.uint64(_word("anchored noise 1", str(int(seed)), layer, moment))


def _word(*words: str) -> int:
    """64 bits of sha256 over words; their lengths are part of it, so that no two lists are one text."""
    text = "".join(f"{len(word)}:{word}" for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _refused(what: str, hint: str) -> LucidError:
    return LucidError("NOISE_INPUT", f"noise cannot be anchored to {what}", hint)
