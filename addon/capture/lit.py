# SPDX-License-Identifier: GPL-3.0-or-later
"""Light in layers, by Cycles: the beauty, the clean plate, each actor, and what the actors do to the light around them.

The renders of a frame share their seed, so that each actor over (plate x ratio) is the beauty again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import bpy
import numpy as np
from numpy.typing import NDArray

from .cycles import Change, Cycles, changed, held
from .layers import Actor

Array = NDArray[np.float32]
_DARK = 1e-6                # scene-linear; nothing can be told from how much darker a darker pixel became
_RAYS = ("camera", "diffuse", "glossy", "transmission", "volume_scatter", "shadow")


@dataclass(frozen=True)
class LitFrame:
    """One frame, top row first, float32, scene-linear as Cycles gives it.

    ``beauty`` and ``plate`` (the environment without its actors), (H, W, 4); ``actors``, the visible part of each,
    (H, W, 4) premultiplied, alpha antialiased; ``ratio`` and ``difference``, (H, W, 3), unclamped: the environment with
    the actors' shadows and reflections over, and minus, the plate (ratio is 1 where the plate is black). None, or (), for
    what was not wanted; without actors the plate is the beauty and there is no ratio.
    """

    frame: int
    beauty: Array | None = None
    plate: Array | None = None
    actors: tuple[Array, ...] = ()
    ratio: Array | None = None
    difference: Array | None = None


def lit_frames(cycles: Cycles, frames: Iterable[int], samples: int, actors: Sequence[Actor],
               wanted: Collection[str]) -> Iterator[LitFrame | str]:
    """A LitFrame for each frame, and before each of its renders a text that says which. ``wanted`` holds "beauty" (the
    whole picture and every layer's), "shadow" (ratio and difference), or both.

    Between two steps every setting is the user's, also when the iterator is closed. Motion blur is off, depth of field is
    the camera's. Raises what :class:`Cycles` does.
    """
    for frame in frames:
        beauty = plate = ratio = difference = None
        visible: list[Array] = []
        if "beauty" in wanted:
            yield f"frame {frame}: beauty"
            plate = beauty = _pixels(cycles, frame, samples)
        if actors and wanted:
            yield f"frame {frame}: clean plate"
            plate = _pixels(cycles, frame, samples, _unseen(actors, _RAYS))
        if actors and "shadow" in wanted:
            yield f"frame {frame}: shadows and reflections"
            shadowed = _pixels(cycles, frame, samples, _unseen(actors, ("camera",)))
            ratio, difference = light_effects(shadowed, plate)
        for actor in actors if "beauty" in wanted else ():
            yield f"frame {frame}: {actor.name}"
            visible.append(_pixels(cycles, frame, samples, _held_out(cycles, actor), film_transparent=True))
        yield LitFrame(frame, beauty, plate, tuple(visible), ratio, difference)


def light_effects(shadowed: Array, plate: Array) -> tuple[Array, Array]:
    """(ratio, difference), (H, W, 3) each, of two RGB(A) images."""
    with_actors, without = shadowed[..., :3], plate[..., :3]
    bright = without > _DARK
    ratio = np.where(bright, with_actors / np.where(bright, without, 1.0), 1.0).astype(np.float32)
    return ratio, with_actors - without


def cycles_mattes(cycles: Cycles, frame: int, samples: int, actors: Sequence[Actor]) -> Iterator[Array]:
    """The visible coverage (H, W) of each actor in [0, 1], also of what only Cycles can draw; light is not followed."""
    for actor in actors:
        dark = changed(cycles.scene.cycles, max_bounces=0)
        yield _pixels(cycles, frame, samples, chain([dark], _held_out(cycles, actor)), film_transparent=True)[..., 3]


def _pixels(cycles: Cycles, frame: int, samples: int, changes: Iterable[Change] = (), **render: object) -> Array:
    channels = cycles.picture(frame, samples, changes, **render).channels
    return np.stack([channels[f"Combined.{name}"] for name in "RGBA"], axis=-1)


def _unseen(actors: Sequence[Actor], rays: Sequence[str]) -> list[Change]:
    """Hides the actors from kinds of rays, and so their instances."""
    uids = frozenset().union(*(actor.objects for actor in actors))
    return [change for item in bpy.data.objects if item.session_uid in uids
            for change in held(item, **{f"visible_{ray}": False for ray in rays})]


def _held_out(cycles: Cycles, actor: Actor) -> Iterator[Change]:
    """Makes everything but the actor a hole. Cycles holds out an instance with what instances it, so that an empty which
    holds the actor has to stay."""
    instancers = cycles.instancers(actor.objects)
    for item in cycles.scene.objects:
        holds_actor = item.type == "EMPTY" and item.session_uid in instancers
        if item.session_uid not in actor.objects and not holds_actor:
            yield from held(item, is_holdout=True)
