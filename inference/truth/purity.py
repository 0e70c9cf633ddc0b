# SPDX-License-Identifier: GPL-3.0-or-later
"""Did an edit change only what it was to change? A take against its parent, outside the changed layer's coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from .figures import Bar, Figure, Spot, unmeasured
from .ground import Mask

#: pixels: the rule has no tolerance
NONE = Bar(highest=0.0)

#: the codes of a frame, counted from 0: (H, W) or (H, W, C) of any type
Codes = Callable[[int], NDArray[Any]]


def strays(parent: NDArray[Any], child: NDArray[Any], coverage: Mask) -> Mask:
    """(H, W) the pixels outside ``coverage`` (H, W) at which two frames (H, W) or (H, W, C) differ in any channel, by however
    little. Raises TAKE_INVALID when they are not of one size and type."""
    if parent.shape != child.shape or parent.dtype != child.dtype or coverage.shape != parent.shape[:2]:
        raise LucidError("TAKE_INVALID", f"frames of {parent.shape} {parent.dtype} and {child.shape} {child.dtype} cannot be "
                         f"compared outside of a coverage of {coverage.shape}", "compare a take with its own parent")
    differs = parent != child
    return np.asarray((differs if differs.ndim == 2 else differs.any(-1)) & ~coverage)


def layer_purity(parent: Codes | None, child: Codes, coverage: Callable[[int], Mask], numbers: Sequence[int], *,
                 layer: str = "") -> Figure:
    """How many pixels of the frames ``numbers`` (scene frames, in order) differ between a take and its ``parent``, outside of the
    ``coverage`` (H, W) of the changed ``layer``; 0 = the edit kept to it. A take without a parent is no edit.

    One frame is held at a time. Raises TAKE_INVALID and what the callables do.
    """
    if parent is None:
        return unmeasured("purity", "changed", "px", "the take is no edit of another", bar=NONE, object=layer)
    if not numbers:
        return unmeasured("purity", "changed", "px", "the take has no frame", bar=NONE, object=layer)
    counts, spots = [], []
    for index, number in enumerate(numbers):
        stray = strays(parent(index), child(index), coverage(index))
        counts.append(int(stray.sum()))
        if counts[-1]:
            y, x = np.unravel_index(int(stray.argmax()), stray.shape)
            spots.append(Spot(layer, number, number, float(counts[-1]), (int(x), int(y))))
            spots = sorted(spots, key=lambda spot: -spot.value)[:5]
    return Figure("purity", "changed", float(sum(counts)), "px", NONE, layer, worst=tuple(spots), counts={"frames": len(counts)},
                  series=tuple((float(number), float(count)) for number, count in zip(numbers, counts, strict=True)))
