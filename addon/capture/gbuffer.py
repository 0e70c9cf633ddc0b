# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine "Lucid Passes".

Only a render engine is given the RENDER-mode depsgraph (render subdivision, render visibility). One render() call walks
as many frames as fit its time budget, one evaluation per frame, so that the caller gets a turn between calls.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.model import Size
from .camera import CameraView, camera_at, view_of
from .geometry import ENVIRONMENT_ACTOR, Instances, MeshCache, gather
from .raster import Rasteriser, Surface

ENGINE = "LUCID_PASSES"
# How long one render() call goes on after its first frame, so that the interface gets its turn; for a scene that is slow
# to load, which every call has to, this many times what the first frame took.
STEP_SECONDS = 1.0
LOAD_SHARE = 3.0


@dataclass(frozen=True)
class FrameSurfaces:
    """Everything drawn for one frame: all of it, the clean plate, each actor alone, and each actor's visible matte."""

    frame: int
    view: CameraView
    full: Surface
    environment: Surface
    actors: tuple[Surface, ...]
    mattes: NDArray[np.float32]


@dataclass
class Walk:
    """Frames still to draw, in ascending order, and where each one goes."""

    pending: deque[int]
    size: Size
    camera: bpy.types.Object | None
    actor_count: int
    actor_of: Callable[[Any], int]
    on_frame: Callable[[FrameSurfaces, bpy.types.Depsgraph], None]
    instances: Instances
    error: BaseException | None = None
    cancelled: bool = False

    def run(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw at least one frame, then more for STEP_SECONDS or LOAD_SHARE times what the first one took."""
        started, deadline = time.perf_counter(), None
        rasteriser, cache = Rasteriser(self.size), MeshCache()
        while self.pending and not self.cancelled:
            self._draw(engine, depsgraph, rasteriser, cache, self.pending[0])
            self.pending.popleft()
            self.cancelled = bool(engine.test_break())
            now = time.perf_counter()
            deadline = deadline or now + max(STEP_SECONDS, LOAD_SHARE * (now - started))
            if now >= deadline:
                break

    def _draw(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, rasteriser: Rasteriser,
              cache: MeshCache, frame: int) -> None:
        engine.frame_set(frame, 0.0)
        camera = camera_at(depsgraph.scene, frame, self.camera)
        if camera is None:
            raise LucidError("CAMERA_MISSING", f"no camera is set at frame {frame}", "set the scene's camera")
        groups = gather(depsgraph, cache, self.instances, self.actor_of)
        view = view_of(camera.evaluated_get(depsgraph), depsgraph, self.size)
        rasteriser.load(groups, view)
        actors = range(self.actor_count)
        everything = (ENVIRONMENT_ACTOR, *actors)
        full = rasteriser.surface(everything)
        self.on_frame(FrameSurfaces(
            frame, view, full, rasteriser.surface((ENVIRONMENT_ACTOR,)) if self.actor_count else full,
            tuple(rasteriser.surface((actor,)) for actor in actors),
            rasteriser.coverage(everything, self._actor_of_id(), self.actor_count) if self.actor_count
            else np.zeros((0, self.size.height, self.size.width), np.float32)), depsgraph)

    def _actor_of_id(self) -> NDArray[np.int32]:
        table = np.full(len(self.instances.numbers) + 1, ENVIRONMENT_ACTOR, np.int32)
        for number, actor in self.instances.actors.items():
            table[number] = actor
        return table


class LucidPasses(bpy.types.RenderEngine):
    """Draws depth, normals and ids of the evaluated scene; shows camera-space normals when rendered by hand."""

    bl_idname = ENGINE
    bl_label = "Lucid Passes"
    bl_use_gpu_context = True
    bl_use_preview = False

    walk: ClassVar[Walk | None] = None

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        walk = LucidPasses.walk
        if walk is None:
            self._show_normals(depsgraph)
            return
        # Blender would turn an exception here into a report and lose it, Ctrl-C too; capture_shot raises it again
        try:
            walk.run(self, depsgraph)
        except BaseException as error:  # noqa: BLE001
            traceback.clear_frames(error.__traceback__)     # GPU objects go while their context is here
            walk.error = error

    def _show_normals(self, depsgraph: bpy.types.Depsgraph) -> None:
        scene = depsgraph.scene_eval
        scale = scene.render.resolution_percentage / 100.0
        size = Size(max(int(scene.render.resolution_x * scale), 1), max(int(scene.render.resolution_y * scale), 1))
        if scene.camera is None or scene.camera.data.type not in {"PERSP", "ORTHO"}:
            self.report({"WARNING"}, "Lucid Passes draws perspective and orthographic cameras only")
            return
        rasteriser = Rasteriser(size)
        rasteriser.load(gather(depsgraph, MeshCache(), Instances(), lambda _: ENVIRONMENT_ACTOR),
                        view_of(scene.camera, depsgraph, size))
        surface = rasteriser.surface((ENVIRONMENT_ACTOR,))
        hit = np.isfinite(surface.depth)[..., None].astype(np.float32)
        pixels = np.concatenate([(surface.normal * 0.5 + 0.5) * hit, hit], axis=-1)[::-1]
        result = self.begin_result(0, 0, size.width, size.height)
        result.layers[0].passes["Combined"].rect.foreach_set(np.ascontiguousarray(pixels).ravel())
        self.end_result(result)


def render_some(scene: bpy.types.Scene, view_layer: str, walk: Walk) -> None:
    """One render() call of the engine over the next frames of ``walk``; the caller restores the scene.

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
