# SPDX-License-Identifier: GPL-3.0-or-later
"""Where points of a surface lie in a picture: found by what they are, their instance and their place on it, not by looks.

The picture's sample nearest to a point is looked up in a k-d tree, and the rest of the way, less than a pixel, is one
Gauss-Newton step along the surface there. What the picture does not show has no sample near enough. Next to an outline
nothing is found either: a picture shows two surfaces mixed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.spatial import KDTree

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: pixels from the nearest sample at which a point is taken to be seen: samples are one pixel apart, and a surface seen at a
#: slant has its nearest sample not along the pixel's axes
REACH = 1.0
#: pixels by which a point may lie beside the surface that the samples around it span
BESIDE = 0.5


@dataclass(frozen=True, eq=False)
class Samples:
    """A picture's samples as points to be matched: ``points`` (N, 3), ``owner`` (N,) the instance, ``known`` (N,), ``inside``
    (N,) where all 8 neighbours in the picture are of the same instance; ``along`` (N, 2, 3) how the point changes per
    pixel to the right and downwards, 0 at the edges of a surface."""

    points: Array
    owner: NDArray[np.uint64]
    known: Mask
    inside: Mask
    along: Array

    @property
    def pitch(self) -> Array:
        """(N,) how far the samples lie from each other: the longer of the two ways."""
        return np.asarray(np.linalg.norm(self.along, axis=-1).max(-1))


def samples(places: NDArray[np.floating[Any]], ids: NDArray[np.unsignedinteger[Any]]) -> Samples:
    """The points ``places`` (H, W, 3), NaN where unknown, of the instances ``ids`` (H, W), row by row."""
    known: Mask = np.asarray(np.isfinite(places).all(-1))
    points: Array = np.where(known[..., None], places, 0.0).astype(np.float64)
    owner = ids.astype(np.uint64)
    along = np.stack([_along(points, owner, known, axis) for axis in (1, 0)], axis=2)
    around = sliding_window_view(np.pad(owner, 1, mode="edge"), (3, 3))
    inside = (around == owner[..., None, None]).all((2, 3))
    return Samples(points.reshape(-1, 3), owner.ravel(), known.ravel(), inside.ravel(), along.reshape(-1, 2, 3))


def _along(places: Array, owner: NDArray[np.uint64], known: Mask, axis: int) -> Array:
    """(H, W, 3) the change to the next sample on the same surface: of the two neighbours the nearer, which is not the one
    across a fold."""
    def step(sign: int) -> tuple[Array, Array]:
        near, theirs, sure = (np.roll(values, -sign, axis) for values in (places, owner, known))
        edge = [slice(None)] * 2
        edge[axis] = slice(-1, None) if sign > 0 else slice(0, 1)
        same = (theirs == owner) & sure & known
        same[tuple(edge)] = False
        change = sign * (near - places)
        return change, np.where(same, (change * change).sum(-1), np.inf)

    (ahead, far_ahead), (back, far_back) = step(1), step(-1)
    nearer = np.where((far_ahead <= far_back)[..., None], ahead, back)
    return np.where(np.isfinite(np.minimum(far_ahead, far_back))[..., None], nearer, 0.0)


def match(own: Samples, other: Samples, width: int) -> tuple[NDArray[np.float32], Mask]:
    """Where the points of one picture lie in another of the same size: (N, 2) pixels, the first pixel's centre at (0, 0), and
    (N,) where they were found; other positions are 0.

    Each sample of a surface that both show is compared with the other's samples of the same surface.
    """
    return find(own.points, own.owner, own.known, other, width)


def find(points: Array, owner: NDArray[np.unsignedinteger[Any]], known: Mask, other: Samples,
         width: int) -> tuple[NDArray[np.float32], Mask]:
    """:func:`match` for any ``points`` (N, 3) of the instances ``owner`` (N,), where they are ``known`` (N,)."""
    at, found = np.zeros((len(points), 2), np.float32), np.zeros(len(points), bool)
    for one in np.intersect1d(owner[known], other.owner[other.known]):
        mine, theirs = np.flatnonzero((owner == one) & known), np.flatnonzero((other.owner == one) & other.known)
        limit = 2.0 * float(other.pitch[theirs].max())
        if limit == 0.0:
            continue                                    # a single sample has no surface around it
        away, nearest = KDTree(other.points[theirs]).query(points[mine], distance_upper_bound=limit)
        hit = np.isfinite(away)
        mine, nearest = mine[hit], theirs[nearest[hit]]
        shift, seen = _refine(points[mine] - other.points[nearest], other.along[nearest])
        seen &= other.inside[nearest]
        place = np.stack([nearest % width, nearest // width], -1) + shift
        at[mine[seen]], found[mine[seen]] = place[seen], True
    return at, found


def _refine(gap: Array, along: Array) -> tuple[Array, Mask]:
    """The pixels (N, 2) from a sample to a point ``gap`` (N, 3) away on the surface spanned by ``along`` (N, 2, 3), and
    whether the point lies there: the normal equations of a plane, solved."""
    xx, xy, yy = ((along[:, a] * along[:, b]).sum(-1) for a, b in ((0, 0), (0, 1), (1, 1)))
    gx, gy = ((along[:, a] * gap).sum(-1) for a in (0, 1))
    determinant = xx * yy - xy * xy
    flat = determinant <= 1e-9 * (xx + yy) ** 2         # a surface that has one extent only, or none
    with np.errstate(divide="ignore", invalid="ignore"):
        both = np.stack([yy * gx - xy * gy, xx * gy - xy * gx], -1) / determinant[:, None]
        alone = np.stack([np.where(xx > 0, gx / xx, 0.0), np.where(xx > 0, 0.0, np.where(yy > 0, gy / yy, 0.0))], -1)
    shift = np.where(flat[:, None], alone, both)
    beside = np.linalg.norm(gap - (shift[..., None] * along).sum(1), axis=-1)
    pitch = np.sqrt(np.maximum(xx, yy))
    return shift, np.asarray((np.abs(shift) <= REACH).all(-1) & (beside <= BESIDE * pitch))
