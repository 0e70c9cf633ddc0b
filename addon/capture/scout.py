# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a few frames as renders evaluate them, before a shot is taken: who must draw what."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy

from .instances import camera_sees
from .materials import needs_cycles
from .volume_grids import obstacles, shows_inside


@dataclass
class Owned:
    """What only Cycles can draw of one owner: session uids of objects, and of what instances them for this owner."""

    objects: set[int] = field(default_factory=set)
    instancers: set[int] = field(default_factory=set)


@dataclass
class Scout:
    """Walks ``pending`` frames inside a render() call of the engine, as :class:`.gbuffer.Walk` does.

    ``reasons`` says by object name why the rasteriser cannot draw it, ``owned`` has these by actor (or ENVIRONMENT_ACTOR),
    ``obstacles`` why volumes cannot be marched, ``volumes`` their session uids.
    """

    pending: deque[int]
    actor_of: Callable[[Any], int]
    reasons: dict[str, str] = field(default_factory=dict)
    owned: dict[int, Owned] = field(default_factory=dict)
    obstacles: dict[str, None] = field(default_factory=dict)
    volumes: set[int] = field(default_factory=set)
    error: BaseException | None = None
    cancelled: bool = False

    @property
    def wanted(self) -> frozenset[int]:
        """Session uids of everything that only Cycles can draw."""
        return frozenset().union(*(owned.objects for owned in self.owned.values()))

    def run(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
        while self.pending and not self.cancelled:
            engine.frame_set(self.pending.popleft(), 0.0)
            for instance in depsgraph.object_instances:
                if instance.show_self and camera_sees(instance, depsgraph.view_layer):
                    self._look_at(instance)
            self.obstacles |= dict.fromkeys(obstacles(depsgraph))
            self.cancelled = bool(engine.test_break())

    def _look_at(self, instance: bpy.types.DepsgraphObjectInstance) -> None:
        item = instance.object
        uid = item.original.session_uid
        if shows_inside(item):
            self.volumes.add(uid)
        elif reason := needs_cycles(item):
            self.reasons[item.original.name] = reason
            owned = self.owned.setdefault(self.actor_of(instance), Owned())
            owned.objects.add(uid)
            if instance.is_instance:
                owned.instancers.add(instance.parent.original.session_uid)
