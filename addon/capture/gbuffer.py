# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine "Lucid Passes".

Only a render engine is given the RENDER-mode depsgraph (render subdivision, render visibility). One render() call walks
as many frames as fit its time budget, one evaluation per frame, so that the caller gets a turn between calls. A frame is
drawn once the next one is evaluated, and handed on once the next one is drawn.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.model import Size
from .camera import camera_at, view_of
from .frames import FrameScene, FrameSurfaces
from .geometry import MeshCache, RestMemory
from .instances import ENVIRONMENT_ACTOR, Registry, gather
from .motion import Neighbours
from .raster import Rasteriser
from .scout import Scout
from .show import picture
from .volume import Marcher
from .volume_grids import VolumeReader

ENGINE = "LUCID_PASSES"
# How long one render() call goes on after its first frame, so that the interface gets its turn; for a scene that is slow
# to load, which every call has to, this many times what the first frame took.
STEP_SECONDS = 20.0 if bpy.app.background else 0.6
LOAD_SHARE = 3.0


@dataclass(frozen=True)
class Wanted:
    """What to draw beside depth, normals and ids: ``detail`` (materials, rest positions, UVs), ``flow`` (needs detail),
    ``alpha``, and of each layer alone ``rest`` (needs detail)."""

    detail: bool = False
    flow: bool = False
    alpha: bool = False
    rest: bool = False


def nobody(_instance: Any) -> int:
    """Everything is the environment."""
    return ENVIRONMENT_ACTOR


def nothing(_depsgraph: bpy.types.Depsgraph, _scene: FrameScene) -> None:
    """Nothing more is read of a frame."""


@dataclass
class Walk:
    """Frames still to draw, in ascending order, and where each one goes: ``read`` is called when a frame is evaluated (its
    result is kept as ``FrameScene.readings``), ``on_frame`` when it is drawn."""

    pending: deque[int]
    size: Size
    camera: bpy.types.Object | None
    on_frame: Callable[[FrameSurfaces], None]
    registry: Registry
    wanted: Wanted = Wanted()
    actor_count: int = 0
    actor_of: Callable[[Any], int] = nobody
    read: Callable[[bpy.types.Depsgraph, FrameScene], Any] = nothing
    amend: Callable[[FrameSurfaces], FrameSurfaces] | None = None       # what others draw
    volumes: VolumeReader | None = None
    skipped: frozenset[int] = frozenset()
    rest: RestMemory = field(default_factory=RestMemory)
    error: BaseException | None = None
    cancelled: bool = False
    _ahead: FrameScene | None = None            # evaluated, not drawn
    _behind: FrameScene | None = None
    _held: FrameSurfaces | None = None          # drawn, not handed on: its flow needs the next one
    _before: FrameSurfaces | None = None

    def run(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw at least one frame, then more for STEP_SECONDS or LOAD_SHARE times what the first one took."""
        started, deadline = time.perf_counter(), None
        rasteriser = Rasteriser(self.size, self.registry, detailed=self.wanted.detail)
        cache = MeshCache(self.rest, detailed=self.wanted.detail)
        marcher = functools.cache(partial(Marcher, self.size))
        while self.pending and not self.cancelled:
            here = self._ahead or self._evaluated(engine, depsgraph, cache, self.pending[0])
            self._ahead = self._evaluated(engine, depsgraph, cache, self.pending[1]) \
                if self.wanted.flow and len(self.pending) > 1 else None
            self._hand_on(self._drawn(rasteriser, marcher, here))
            self._behind = here if self.wanted.flow else None
            self.pending.popleft()
            self.cancelled = bool(engine.test_break())
            now = time.perf_counter()
            deadline = deadline or now + max(STEP_SECONDS, LOAD_SHARE * (now - started))
            if now >= deadline:
                break

    def _evaluated(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, cache: MeshCache,
                   frame: int) -> FrameScene:
        engine.frame_set(frame, 0.0)
        camera = camera_at(depsgraph.scene, frame, self.camera)
        if camera is None:
            raise LucidError("CAMERA_MISSING", f"no camera is set at frame {frame}", "set the scene's camera")
        groups, counts = gather(depsgraph, cache, self.registry, self.actor_of, self.skipped)
        scene = FrameScene(frame, camera.name_full, view_of(camera.evaluated_get(depsgraph), depsgraph, self.size), groups,
                           counts)
        if self.volumes is not None:
            scene.volumes = self.volumes.read(depsgraph)
        scene.readings = self.read(depsgraph, scene)
        return scene

    def _drawn(self, rasteriser: Rasteriser, marcher: Callable[[], Marcher], scene: FrameScene) -> FrameSurfaces:
        rasteriser.load(scene.groups, scene.view, Neighbours(scene, self._ahead, self._behind))
        actors = range(self.actor_count)
        everything = (ENVIRONMENT_ACTOR, *actors)
        full = rasteriser.surface(everything, detailed=self.wanted.detail)
        mattes, alpha = np.zeros((0, self.size.height, self.size.width), np.float32), None
        if self.actor_count or self.wanted.alpha:
            mattes, alpha = rasteriser.coverage(everything, self._actor_of_id(), self.actor_count)
        alone = partial(rasteriser.surface, rest=self.wanted.rest)
        surfaces = FrameSurfaces(scene, full, alone((ENVIRONMENT_ACTOR,)) if self.actor_count else full,
                                 tuple(alone((actor,)) for actor in actors), mattes, alpha)
        if self.amend is not None:
            surfaces = self.amend(surfaces)
        if not scene.volumes:
            return surfaces
        return replace(surfaces, volume=marcher().march(scene.volumes, scene.view, surfaces.full.depth))

    def _hand_on(self, drawn: FrameSurfaces) -> None:
        if not self.wanted.flow:
            self.on_frame(drawn)
            return
        if self._held is not None:
            self.on_frame(self._held.with_flow(drawn, self._before))
        self._before, self._held = self._held, drawn
        if len(self.pending) == 1:      # the last one
            self.on_frame(drawn.with_flow(None, self._before))

    def _actor_of_id(self) -> NDArray[np.int32]:
        table = np.full(len(self.registry.numbers) + 1, ENVIRONMENT_ACTOR, np.int32)
        for number, actor in self.registry.actors.items():
            table[number] = actor
        return table


class LucidPasses(bpy.types.RenderEngine):
    """Draws what the evaluated scene is made of: depth, normals, ids, motion; F12 shows the pass chosen in the render
    properties."""

    bl_idname = ENGINE
    bl_label = "Lucid Passes"
    bl_use_gpu_context = True
    bl_use_preview = False

    walk: ClassVar[Walk | Scout | None] = None

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        walk = LucidPasses.walk
        if walk is None:
            self._show(depsgraph)
            return
        # Blender would turn an exception here into a report and lose it, Ctrl-C too; capture_shot raises it again
        try:
            walk.run(self, depsgraph)
        except BaseException as error:  # noqa: BLE001
            traceback.clear_frames(error.__traceback__)     # GPU objects go while their context is here
            walk.error = error

    def _show(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw this frame for the render window; flow needs the frames around it."""
        scene, frame = depsgraph.scene_eval, depsgraph.scene.frame_current
        chosen = depsgraph.scene.lucid.shown_pass
        render = scene.render
        size = Size(*(max(pixels * render.resolution_percentage // 100, 1)
                      for pixels in (render.resolution_x, render.resolution_y)))
        if scene.camera is None or scene.camera.data.type not in {"PERSP", "ORTHO"}:
            self.report({"WARNING"}, "Lucid Passes draws perspective and orthographic cameras only")
            return
        flow = chosen in {"flow_forward", "flow_backward"}
        found: dict[int, FrameSurfaces] = {}
        walk = Walk(deque((frame - 1, frame, frame + 1) if flow else (frame,)), size, depsgraph.scene.camera,
                    lambda surfaces: found.__setitem__(surfaces.frame, surfaces), Registry(),
                    Wanted(detail=True, flow=flow, alpha=chosen == "alpha"))
        while walk.pending and not walk.cancelled:
            walk.run(self, depsgraph)
        if flow:
            self.frame_set(frame, 0.0)
        if frame in found:
            self._put(picture(chosen, found[frame]), render)

    def _put(self, pixels: NDArray[np.float32], render: bpy.types.RenderSettings) -> None:
        """(H, W, 4), top row first, as the result; only the border of it where the render is cropped."""
        height, width = pixels.shape[:2]
        if render.use_border:
            left, right = int(render.border_min_x * width), int(render.border_max_x * width)
            low, high = int(render.border_min_y * height), int(render.border_max_y * height)
            pixels = pixels[height - high:height - low, left:right]
            height, width = pixels.shape[:2]
        result = self.begin_result(0, 0, width, height)
        result.layers[0].passes["Combined"].rect.foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
        self.end_result(result)


def render_some(scene: bpy.types.Scene, view_layer: str, walk: Walk | Scout) -> None:
    """One render() call of the engine over the next frames of ``walk``, which may only look; the caller restores the scene.

    Raises what drawing raised, RENDER_FAILED with Blender's own words, RENDER_BUSY when Blender is rendering already, and
    CAPTURE_CANCELLED on Esc.
    """
    scene.render.engine = ENGINE
    before = len(walk.pending)
    LucidPasses.walk = walk
    try:
        bpy.ops.render.render(scene=scene.name, layer=view_layer)
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ")
        raise LucidError("RENDER_FAILED", f"Blender did not render: {reason}", "render the scene once by hand") from error
    finally:
        LucidPasses.walk = None
    if walk.error is not None:
        raise walk.error
    if walk.cancelled:
        raise LucidError("CAPTURE_CANCELLED", "the capture was cancelled", "start it again when you want it")
    if len(walk.pending) == before:
        raise LucidError("RENDER_BUSY", "Blender did not start the render", "wait until the other render has ended")
