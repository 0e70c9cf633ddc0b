# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer as the adapter reads it, some frames at a time: what to paint, anchored noise, what moves where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..adapters.base import Correspondence, Painting, Profile, Video
from ..adapters.reel import Reel
from ..conditioning.compose import dilate
from ..conditioning.strength import Strength, strength_map
from ..errors import LucidError
from ..shot.model import Layer
from ..surfaces import Samples
from .correspondence import positions, shown
from .footage import Footage, Surface
from .layers import actor_painting, environment_painting
from .noise import View, anchored_noise

Context = Callable[[int, int], Video]


@dataclass(frozen=True)
class Noise:
    """Where a layer's noise comes from: its own ``seed``; ``anchored`` to surfaces, with ``stickiness``, or white."""

    seed: int
    anchored: bool = True
    stickiness: float = 0.0


@dataclass(frozen=True, eq=False)
class Paintable:
    """One layer of a shot: the environment (``context`` None), or an actor in the picture ``context(start, stop)``
    (F, H, W, 3) in [0, 1] of the environment, or the instances ``only`` of the environment in a picture of it."""

    footage: Footage
    layer: Layer
    profile: Profile
    noise: Noise
    strengths: dict[str, Strength]
    context: Context | None = None
    only: tuple[int, ...] = ()

    def surface(self, start: int, stop: int) -> Surface:
        """What the camera sees of this layer and the environment."""
        plate = self.footage.environment(start, stop)
        if self.layer.is_environment:
            return plate
        return self.footage.actor(self.layer, start, stop).surface.before(plate)

    def painting(self, start: int, stop: int) -> Painting:
        """What is to be painted in frames [start, stop). Raises PASS_MISSING for strengths without ids."""
        span, plate = self.footage.shot.depth_range, self.footage.environment(start, stop)
        seen = plate
        if self.context is None:
            painting = environment_painting(plate, span, self.profile)
        elif self.layer.is_environment:
            inside = dilate(self.coverage(plate), self.profile.mask_grow)
            control = environment_painting(plate, span, self.profile).control
            painting = Painting(np.where(inside[..., None], control, self.context(start, stop)), inside)
        else:
            actor = self.footage.actor(self.layer, start, stop)
            painting = actor_painting(actor, plate, self.context(start, stop), span, self.profile)
            seen = actor.surface.before(plate)
        return replace(painting, strength=self._strength(seen, start)) if self.strengths else painting

    def coverage(self, plate: Surface) -> NDArray[np.bool_]:
        """(F, H, W) where the instances of ``only`` are seen."""
        return np.isin(_ids(plate, self.layer), self.only)

    def _strength(self, seen: Surface, start: int) -> Video:
        shot = self.footage.shot
        ids = _ids(seen, self.layer)
        return np.stack([strength_map(frame, shot.instances, self.strengths, self.frame_number(start + index), layers=shot.layers)
                         for index, frame in enumerate(ids)])

    def frame_number(self, index: int) -> int:
        """The scene's frame; frames of the padding go on counting."""
        frames = self.footage.shot.frames
        return frames.start + index * frames.step


class LayerSource:
    """:class:`~lucid.inference.adapters.base.Source` of a layer. Correspondences are found once and kept below ``scratch``."""

    def __init__(self, layer: Paintable, scratch: Path) -> None:
        self.layer, self.scratch = layer, scratch
        fit = layer.footage.fit
        self.frames, self.height, self.width = fit.frames, fit.size.height, fit.size.width
        self._moves: tuple[Reel, Reel] | None = None

    def painting(self, start: int, stop: int) -> Painting:
        return self.layer.painting(start, stop)

    def noise(self, frame: int, channels: int, cell: int) -> Video | None:
        wanted = self.layer.noise
        views = self._views(frame) if wanted.anchored else None
        if views is None:
            return None
        return anchored_noise(views, self.layer.frame_number(frame), channels=channels, seed=wanted.seed,
                              layer=self.layer.layer.name, stickiness=wanted.stickiness, cell=cell)

    def correspondence(self, start: int, stop: int) -> Correspondence | None:
        if not self.layer.footage.points:
            return None
        if self._moves is None:
            self._moves = self._find()
        before, after = (reel.read(start, stop) for reel in self._moves)
        return Correspondence(before, after)

    def owners(self, frame: int, cell: int) -> NDArray[np.uint32] | None:
        ids = self.layer.surface(frame, frame + 1).ids
        return None if ids is None else ids[0, cell // 2::cell, cell // 2::cell]

    def close(self) -> None:
        """Removes what was kept."""
        for reel in self._moves or ():
            reel.remove()
        self._moves = None

    def _find(self) -> tuple[Reel, Reel]:
        before, after = (Reel(self.scratch / f"{name}.reel", self.frames, (self.height, self.width, 2), np.float32)
                         for name in ("before", "after"))
        nowhere = np.full((self.height, self.width, 2), np.nan, np.float32)
        last: Samples | None = None
        for frame in range(self.frames):
            view = self._views(frame)
            assert view is not None
            points = shown(view)
            before.write(frame, nowhere[None] if last is None else self._positions(points, last))
            if last is not None:
                after.write(frame - 1, self._positions(last, points))
            last = points
        after.write(self.frames - 1, nowhere[None])
        return before, after

    def _positions(self, own: Samples, other: Samples) -> Video:
        return positions(own, other, self.height, self.width)[None]

    def _views(self, frame: int) -> View | None:
        views = self.layer.footage.views(self.layer.surface(frame, frame + 1), frame)
        return None if views is None else views[0]


def _ids(surface: Surface, layer: Layer) -> NDArray[np.uint32]:
    if surface.ids is None:
        raise LucidError("PASS_MISSING", f"the shot does not say which object a pixel of '{layer.name}' belongs to",
                         "capture it again, with the rest pass")
    return surface.ids
