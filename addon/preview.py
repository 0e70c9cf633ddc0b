# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls live over the camera view of 3D viewports: what is shown (``Scene.lucid_preview``), when it is drawn anew.

Handlers only mark pictures stale and a timer only asks for redraws. Everything is read and drawn inside a viewport's own
drawing, where the evaluated scene and a GPU context are at hand: at most ten times a second, and a fifth of the time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
import gpu
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty
from bpy_extras.view3d_utils import location_3d_to_region_2d

from ..inference.errors import LucidError
from ..inference.shot.model import DepthRange, Frames
from ..inference.shot.store import open_shot
from .capture.layers import resolve_actors
from .preview_picture import CONTROLS, WITH_DEPTH, LivePicture, Wish, missed_by_viewport, preview_size, put, texture_of
from .shots import capture_spec

_INTERVAL = 0.1         # seconds between two pictures of one view, at least
_REST = 4.0             # and this many times what the last one took
_LOOKS = (bpy.types.Material, bpy.types.ShaderNodeTree)
_PATIENCE = 3           # redraws asked for in vain, after which a view is taken for gone


def _picture_changed(_settings: LucidPreviewSettings, _context: bpy.types.Context) -> None:
    refresh()


def _shown_changed(_settings: LucidPreviewSettings, _context: bpy.types.Context) -> None:
    _redraw()


class LucidPreviewSettings(bpy.types.PropertyGroup):
    """What the preview shows of this scene."""

    control: EnumProperty(name="Show", description="Which control lies over the camera view", default="depth",
                          items=[(name, label, text) for name, (label, text) in CONTROLS.items()],
                          update=_picture_changed)
    skeletons: BoolProperty(name="Skeletons", default=False,
                            description="The lines of the actors' skeletons over it, only where they are seen",
                            update=_picture_changed)
    use_shot_range: BoolProperty(name="Depth of the Shot", default=False,
                                 description="Depth over the captured shot's range, as the model gets it; otherwise over the "
                                             "range of each frame, which changes from frame to frame",
                                 update=_picture_changed)
    opacity: FloatProperty(name="Opacity", default=1.0, min=0.0, max=1.0, subtype="FACTOR",
                           description="How much the control covers the viewport",
                           update=_shown_changed)
    side: IntProperty(name="Size", default=256, min=64, soft_max=512, max=1024, step=16, subtype="PIXEL",
                      description="Pixels on the longer side of the picture; less is quicker",
                      update=_picture_changed)


class _View:
    """A camera in a window: its picture and when it was drawn. Views of one window share what draws them, so that a cut to
    another camera makes no shaders anew."""

    def __init__(self, picture: LivePicture | None = None) -> None:
        self.picture = picture
        self.texture: gpu.types.GPUTexture | None = None
        self.generation, self.next, self.asked = -1, 0.0, 0

    def stale(self) -> bool:
        return self.generation != _preview.generation and time.monotonic() >= self.next

    def refresh(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object) -> None:
        """Draw the picture anew; after an error there is none. Raises LucidError."""
        started = time.monotonic()
        self.generation, self.texture = _preview.generation, None
        try:
            size = preview_size(scene, scene.lucid_preview.side)
            if self.picture is None or self.picture.size != size:
                self.picture = LivePicture(size)
            self.texture = texture_of(self.picture.draw(depsgraph, camera, wish_of(scene)))
        finally:
            ended = time.monotonic()
            self.next = ended + max(_INTERVAL, _REST * (ended - started))


class _Preview:
    """What is there while the preview is on."""

    def __init__(self) -> None:
        self.drawing: Any = None
        self.views: dict[tuple[int, ...], _View] = {}
        self.generation = 0
        self.error = ""
        self.missed: list[str] = []
        self.inexact: tuple[str, ...] = ()
        self.ranges: dict[str, DepthRange] = {}     # by shot: a sealed one does not change


_preview = _Preview()


def running() -> bool:
    return _preview.drawing is not None


def error() -> str:
    """Why nothing is shown; "" where something is."""
    return _preview.error


def missed() -> list[str]:
    """Names of what a render shows and the preview cannot, because the viewport hides it."""
    return _preview.missed


def inexact() -> tuple[str, ...]:
    """What only Cycles draws and the preview leaves out or shows solid, in words."""
    return _preview.inexact


def looks_through_camera(context: bpy.types.Context) -> bool:
    """Whether any viewport shows a camera's view."""
    return any(space.region_3d is not None and space.region_3d.view_perspective == "CAMERA"
               for space in (area.spaces.active for area in _viewports(context.window_manager)))


def start() -> None:
    """Draw into every camera view from now on, until :func:`stop`, another file, or Lucid is switched off."""
    if running():
        return
    _preview.drawing = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    for handlers, function in _HANDLERS:
        handlers.append(function)
    bpy.app.timers.register(_tick, first_interval=_INTERVAL)
    _redraw()


def stop() -> None:
    """No handler, timer or GPU resource stays."""
    global _preview
    if not running():
        return
    bpy.types.SpaceView3D.draw_handler_remove(_preview.drawing, "WINDOW")
    for handlers, function in _HANDLERS:
        if function in handlers:        # another add-on may have cleared them
            handlers.remove(function)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _preview = _Preview()
    _redraw()


def refresh() -> None:
    """Every picture is out of date."""
    _preview.generation += 1
    if running():
        _redraw()


def wish_of(scene: bpy.types.Scene) -> Wish:
    """What the settings say. Raises ACTOR_UNKNOWN, ACTOR_EMPTY, ACTOR_NAME, SHOT_MISSING and what opening the shot does."""
    settings = scene.lucid_preview
    of_shot = settings.use_shot_range and settings.control in WITH_DEPTH
    wish = Wish(settings.control, settings.skeletons, _shot_range(scene) if of_shot else None)
    if not wish.posed:
        return wish
    frame = scene.frame_current
    actors = resolve_actors(scene, capture_spec(scene, frames=Frames(frame, frame)).actors)
    return Wish(wish.control, wish.skeletons, wish.span, actors)


def _shot_range(scene: bpy.types.Scene) -> DepthRange:
    if not scene.lucid.shot:
        raise LucidError("SHOT_MISSING", "no shot is captured whose depth range could be used",
                         "capture the shot, or switch 'Depth of the Shot' off")
    folder = bpy.path.abspath(scene.lucid.shot)
    if folder not in _preview.ranges:
        _preview.ranges[folder] = open_shot(Path(folder), verify=False).depth_range
    return _preview.ranges[folder]


def _draw() -> None:
    """Into the viewport that is being drawn, when it looks through a camera."""
    context = bpy.context
    space, region_3d, scene = context.space_data, context.region_data, context.scene
    if region_3d is None or region_3d.view_perspective != "CAMERA" or context.view_layer.depsgraph is None:
        return
    camera = space.camera if space.use_local_camera else scene.camera
    if camera is None or camera.type != "CAMERA":
        return
    key = tuple(item.as_pointer() for item in (context.window, scene, context.view_layer, camera))
    view = _preview.views.get(key)
    if view is None:
        beside = (other.picture for place, other in _preview.views.items() if place[0] == key[0])
        view = _preview.views[key] = _View(next(beside, None))
    view.asked = 0
    if view.stale() and not bpy.app.is_job_running("RENDER"):
        try:
            view.refresh(scene, context.view_layer.depsgraph, camera)
            _preview.error, _preview.missed, _preview.inexact = "", missed_by_viewport(context.view_layer), view.picture.notes
        except LucidError as error_found:       # the panel tells it; a viewport is no place for reports
            _preview.error = str(error_found)
    if view.texture is not None:
        frame = _frame_of(context, camera)
        if frame is not None:
            put(view.texture, frame, scene.lucid_preview.opacity)


def _frame_of(context: bpy.types.Context, camera: bpy.types.Object) -> tuple[float, float, float, float] | None:
    """Left, bottom, right and top of the camera's frame in pixels of the region."""
    place = camera.matrix_world.normalized()
    corners = [location_3d_to_region_2d(context.region, context.region_data, place @ corner)
               for corner in camera.data.view_frame(scene=context.scene)]
    if any(corner is None for corner in corners):
        return None
    across, up = [corner.x for corner in corners], [corner.y for corner in corners]
    return min(across), min(up), max(across), max(up)


def _mark_stale(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """After an evaluation. Those of renders are not the viewports', and come from other threads."""
    if depsgraph.mode != "VIEWPORT":
        return
    _preview.generation += 1
    updates = list(depsgraph.updates)
    _forget({update.id.original.session_uid for update in updates if update.is_updated_geometry},
            looks=any(isinstance(update.id, _LOOKS) for update in updates),
            pixels=any(isinstance(update.id, bpy.types.Image) for update in updates))


def _after_undo(_scene: bpy.types.Scene, _depsgraph: bpy.types.Depsgraph) -> None:
    """Anything may be another thing now."""
    _preview.generation += 1
    _forget(None)


def _forget(changed: set[int] | None, **more: bool) -> None:
    for view in _preview.views.values():
        if view.picture is not None:
            view.picture.forget(changed, **more)


@bpy.app.handlers.persistent
def _before_load(_path: str) -> None:
    """It stays with Lucid: a handler that takes itself off a list makes Blender skip the next one."""
    stop()


def _tick() -> float:
    """Ask for the redraws that a stale picture waits for; forget views that are not drawn any more."""
    waiting = {key: view for key, view in _preview.views.items() if view.stale()}
    for key, view in waiting.items():
        view.asked += 1
        if view.asked > _PATIENCE:
            del _preview.views[key]
    if waiting and not bpy.app.is_job_running("RENDER"):
        _redraw()
    return _INTERVAL


def _viewports(manager: bpy.types.WindowManager) -> list[bpy.types.Area]:
    return [area for window in manager.windows for area in window.screen.areas if area.type == "VIEW_3D"]


def _redraw() -> None:
    for area in _viewports(bpy.context.window_manager):
        area.tag_redraw()


_HANDLERS = ((bpy.app.handlers.depsgraph_update_post, _mark_stale), (bpy.app.handlers.frame_change_post, _mark_stale),
             (bpy.app.handlers.undo_post, _after_undo), (bpy.app.handlers.redo_post, _after_undo))
_register_classes, _unregister_classes = bpy.utils.register_classes_factory((LucidPreviewSettings,))


def register() -> None:
    _register_classes()
    bpy.types.Scene.lucid_preview = PointerProperty(type=LucidPreviewSettings, name="Lucid Preview")
    bpy.app.handlers.load_pre.append(_before_load)


def unregister() -> None:
    stop()
    bpy.app.handlers.load_pre.remove(_before_load)
    del bpy.types.Scene.lucid_preview
    _unregister_classes()
