# SPDX-License-Identifier: GPL-3.0-or-later
"""How instances lie in the world: for each the affine map from its rest positions, where one map does for all its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Double = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ids = NDArray[np.uint32]

#: fewer samples than this may be met by any map
FEWEST = 6


@dataclass(frozen=True, eq=False)
class Motions:
    """``ids`` (I,) in order; ``maps`` (I, 3, 4) from rest positions, metres, to the world; ``stiff`` (I,) where the map meets
    every sample, so that the instance moves, turns and scales and does not deform. Off the plane or line on which all samples of
    an instance lie, its map says nothing: ``off`` (I, 3, 3) takes that part of a step between rest positions, in the world's
    metres."""

    ids: Ids
    maps: Double
    stiff: Mask
    off: Double

    def of(self, ids: Ids) -> tuple[NDArray[np.intp], Mask]:
        """The places (N,) of ``ids`` (N,) in these arrays, and where there is a stiff one; other places are 0."""
        if not len(self.ids):
            return np.zeros(len(ids), np.intp), np.zeros(len(ids), bool)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        stiff = (self.ids[place] == ids) & self.stiff[place]
        return np.where(stiff, place, 0), stiff


def fit_motions(ids: Ids, rest: NDArray[np.float32], world: Double, tolerance: Double) -> Motions:
    """The least-squares map of every instance. ``ids`` (N,), ``rest`` and ``world`` (N, 3) of samples; an instance is stiff when
    each of its samples lies within its ``tolerance`` (N,), metres, of where the map puts it."""
    order = np.argsort(ids, kind="stable")
    ids, rest64, world, tolerance = ids[order], rest[order].astype(np.float64), world[order], tolerance[order]
    kinds, starts, counts = np.unique(ids, return_index=True, return_counts=True)
    if not len(kinds):
        return Motions(np.zeros(0, np.uint32), np.zeros((0, 3, 4)), np.zeros(0, bool), np.zeros((0, 3, 3)))
    group = np.repeat(np.arange(len(kinds)), counts)
    middle_rest, middle_world = (np.add.reduceat(values, starts) / counts[:, None] for values in (rest64, world))
    a, b = rest64 - middle_rest[group], world - middle_world[group]
    inner = np.add.reduceat(a[:, :, None] * a[:, None, :], starts)
    cross = np.add.reduceat(a[:, :, None] * b[:, None, :], starts)
    inverse = np.linalg.pinv(inner, rcond=1e-9, hermitian=True)
    linear = (inverse @ cross).transpose(0, 2, 1)
    off = (np.eye(3) - inverse @ inner) * np.linalg.norm(linear, 2, axis=(1, 2))[:, None, None]
    shift = middle_world - (linear @ middle_rest[:, :, None])[..., 0]
    error = np.linalg.norm(b - (linear[group] @ a[:, :, None])[..., 0], axis=-1)
    stiff = np.logical_and.reduceat(error <= tolerance, starts) & (counts >= FEWEST)
    return Motions(kinds, np.concatenate([linear, shift[..., None]], -1), stiff, off)
