# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one frame's surface points lie in another frame, as the adapter averages along it.

A pixel's point is known by its instance and its rest position, those of the background by their direction; it is found as
:mod:`lucid.inference.surfaces` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import Correspondence
from ..surfaces import Samples, match, samples
from .noise import View


def shown(view: View) -> Samples:
    """What a view shows, as points."""
    return samples(np.where((view.ids == 0)[..., None], view.directions, view.rest), view.ids)


def positions(own: Samples, other: Samples, height: int, width: int) -> NDArray[np.float32]:
    """:func:`match` as a picture (height, width, 2), NaN where nothing was found."""
    at, found = match(own, other, width)
    return np.where(found[:, None], at, np.float32(np.nan)).reshape(height, width, 2)


def correspondence(views: Sequence[View]) -> Correspondence:
    """From frame to frame, both ways, of views (F) of one size."""
    points = [shown(view) for view in views]
    height, width = views[0].ids.shape
    before, after = (np.full((len(views), height, width, 2), np.nan, np.float32) for _ in range(2))
    for index, (first, second) in enumerate(itertools.pairwise(points)):
        before[index + 1] = positions(second, first, height, width)
        after[index] = positions(first, second, height, width)
    return Correspondence(before, after)
