# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rasteriser cannot draw (hair, points, displacement, odd transparency), drawn by Cycles and put into its frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .cycles import Cycles
from .exact import Exact, exact_frame, merged
from .frames import FrameSurfaces
from .instances import ENVIRONMENT_ACTOR, Registry
from .layers import Actor
from .lit import cycles_mattes
from .raster import MATTE_SAMPLES, Motion, Surface
from .scout import Owned

Array = NDArray[Any]


class ExactFrames:
    """What a scout found for Cycles, in every frame of a shot: rendered first, kept in ``folder``, then merged into what
    the rasteriser draws without it."""

    def __init__(self, folder: Path, cycles: Cycles, actors: Sequence[Actor], registry: Registry,
                 owned: Mapping[int, Owned], *, alpha: bool) -> None:
        self._folder, self._cycles, self._actors, self._registry = folder, cycles, tuple(actors), registry
        self._owned, self._alpha = dict(sorted(owned.items())), alpha

    def render(self, frames: Sequence[int], *, flow: bool) -> Iterator[int]:
        """Yields each frame once it is done; between two of them every setting is the user's. ``flow`` needs frames without
        a gap."""
        self._folder.mkdir()
        everything = Actor("", "", frozenset().union(*(owned.objects for owned in self._owned.values())), ())
        for frame in frames:
            # each owner's alone: what stands behind somebody else's belongs to the clean plate and to amodal depth
            for owner, owned in self._owned.items():
                self._keep(frame, owner, exact_frame(self._cycles, frame, owned.objects, flow=flow,
                                                     instancers=owned.instancers))
            mattes = list(cycles_mattes(self._cycles, frame, MATTE_SAMPLES, self._actors))
            cover = list(cycles_mattes(self._cycles, frame, MATTE_SAMPLES, (everything,))) if self._alpha else []
            np.savez_compressed(self._file(frame, "mattes"), mattes=np.array(mattes, np.float32),
                                cover=np.array(cover, np.float32))
            yield frame

    def amended(self, surfaces: FrameSurfaces) -> FrameSurfaces:
        """The same frame with these objects in it, depth by depth."""
        full, alone = surfaces.full, {ENVIRONMENT_ACTOR: surfaces.environment, **dict(enumerate(surfaces.actors))}
        for owner in self._owned:
            exact = self._read(surfaces.frame, str(owner))
            full, alone[owner] = _put_in(full, exact), _put_in(alone[owner], exact)
        covers = self._read(surfaces.frame, "mattes")
        alpha = np.maximum(surfaces.alpha, covers["cover"][0]) if self._alpha and surfaces.alpha is not None else None
        return replace(surfaces, full=full, environment=alone[ENVIRONMENT_ACTOR] if self._actors else full,
                       actors=tuple(alone[index] for index in range(len(self._actors))),
                       mattes=covers["mattes"] if self._actors else surfaces.mattes, alpha=alpha)

    def _keep(self, frame: int, owner: int, exact: Exact) -> None:
        # two actors may be instances of one object
        top = self._actors[owner].name if owner != ENVIRONMENT_ACTOR else ""
        numbers = [self._registry.number((top or name, name, ()), owner) if name else 0 for name in exact.objects]
        materials = [self._registry.material(bpy.data.materials.get(name)) for name in exact.materials]
        np.savez_compressed(self._file(frame, str(owner)), id=np.array(numbers, np.uint32)[exact.object],
                 material=np.array(materials, np.uint32)[exact.material],
                 **{name: getattr(exact, name) for name in _KEPT})

    def _read(self, frame: int, name: str) -> dict[str, Array]:
        """Each file is read once, and then it is gone: a shot may be long."""
        path = self._file(frame, name)
        with np.load(path) as file:
            found = dict(file)
        path.unlink()
        return found

    def _file(self, frame: int, name: str) -> Path:
        return self._folder / f"{frame}.{name}.npz"


_KEPT = tuple(name for name in Exact.__dataclass_fields__ if name not in ("object", "objects", "material", "materials"))


def _put_in(surface: Surface, exact: dict[str, Array]) -> Surface:
    ours: dict[str, Array] = {"depth": surface.depth, "normal": surface.normal, "id": surface.id}
    theirs: dict[str, Any] = {name: exact[name] for name in ours}
    detail = surface.detail
    if surface.rest is not None:
        ours["rest"], theirs["rest"] = surface.rest, np.float32(np.nan)
    if detail is not None:
        ours |= {"material": detail.material, "uv": detail.uv}
        theirs |= {"material": exact["material"], "uv": exact["uv"]}
        for way, motion in (("forward", detail.forward), ("backward", detail.backward)):
            ours |= {way: motion.step, f"{way} depth": motion.depth, f"{way} valid": motion.valid}
            # how far away it will be is not known: nothing of its own hides it
            theirs |= {way: exact[way], f"{way} depth": np.float32(0.0), f"{way} valid": exact["flow_valid"]}
    found = merged(ours, {name: np.broadcast_to(value, ours[name].shape) for name, value in theirs.items()})
    if detail is not None:
        ahead, behind = (Motion(found[way], found[f"{way} depth"], found[f"{way} valid"])
                         for way in ("forward", "backward"))
        detail = replace(detail, material=found["material"], uv=found["uv"], forward=ahead, backward=behind)
    return replace(surface, depth=found["depth"], normal=found["normal"], id=found["id"], rest=found.get("rest"),
                   detail=detail)
