# SPDX-License-Identifier: GPL-3.0-or-later
"""From a click in a picture of a take to what an edit is about: the pixel of the shot, and the object in the scene.

Who is seen at a pixel, and what an edit of it asks, is in ``inference.conditioning``, where the command line has it too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy_extras.view3d_utils import region_2d_to_location_3d
from mathutils import Vector

from ..inference.conditioning.target import Target, pick, whole
from ..inference.errors import LucidError
from ..inference.shot.model import Shot
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State, Take, list_takes
from .capture.camera import view_of
from .shots import active_shot
from .timeline import source_scene

# where a take can be seen: editor -> the region that shows the picture
PICTURES = {"VIEW_3D": "WINDOW", "IMAGE_EDITOR": "WINDOW", "SEQUENCE_EDITOR": "PREVIEW"}
_FRAME = re.compile(r"(?P<shot>.+\.lucid)/takes/(?P<take>\d{1,9})/.+\.(?P<frame>-?\d{1,9})\.png")
_NO_TAKE = "import a take to the timeline, open one of its frames in an Image Editor, or look through the shot's camera"


@dataclass(frozen=True)
class Spot:
    """Pixel (x, y), from the top left, of a scene frame of a take; ``take`` is None where the picture does not say which."""

    shot: Path
    take: int | None
    x: int
    y: int
    frame: int


# ---- from the mouse to a pixel

def picture_at(screen: bpy.types.Screen, x: int, y: int) -> tuple[bpy.types.Area, bpy.types.Region] | None:
    """The area and region of ``screen`` that show a picture at (x, y), pixels of the window from the lower left."""
    for area in screen.areas:
        for region in area.regions:
            if (PICTURES.get(area.type) == region.type and 0 <= x - region.x < region.width
                    and 0 <= y - region.y < region.height):
                return area, region
    return None


def spot_at(context: bpy.types.Context, area: bpy.types.Area, region: bpy.types.Region, x: int, y: int) -> Spot:
    """What is pointed at by (x, y), pixels of ``region``. Raises SPOT_NONE where no take is seen, STRIP_MOVED, and what opening a
    shot does."""
    if area.type == "VIEW_3D":
        return _in_camera_view(context, area.spaces.active, region, x, y)
    if area.type == "IMAGE_EDITOR":
        space = area.spaces.active
        if space.image is None:
            raise LucidError("SPOT_NONE", "the Image Editor shows no picture", _NO_TAKE)
        path = Path(bpy.path.abspath(space.image.filepath_from_user(image_user=space.image_user)))
        u, v = region.view2d.region_to_view(x, y)
        return _of_file(path, lambda shot: (u * shot.size.width, (1.0 - v) * shot.size.height))
    timeline = context.workspace.sequencer_scene or context.scene
    path = shown_frame(timeline)
    u, v = region.view2d.region_to_view(x, y)       # pixels from the middle, y up, stretched as pixels are
    u *= timeline.render.pixel_aspect_y / timeline.render.pixel_aspect_x
    return _of_file(path, lambda shot: (u + 0.5 * shot.size.width, 0.5 * shot.size.height - v))


def shown_frame(timeline: bpy.types.Scene) -> Path:
    """The file of the take's picture that is seen on a timeline at its current frame. Raises SPOT_NONE, STRIP_MOVED."""
    editor, frame = timeline.sequence_editor, timeline.frame_current
    strips = editor.strips if editor is not None else ()
    for strip in sorted(strips, key=lambda strip: strip.channel, reverse=True):
        if strip.type != "IMAGE" or strip.mute or not strip.left_handle <= frame < strip.right_handle:
            continue
        element = strip.strip_elem_from_frame(frame)
        path = Path(bpy.path.abspath(strip.directory)) / (element.filename if element is not None else "")
        if _FRAME.fullmatch(path.as_posix()):
            _check_in_place(strip)
            return path
    raise LucidError("SPOT_NONE", f"no take is seen on '{timeline.name}' at frame {frame}", _NO_TAKE)


def _check_in_place(strip: bpy.types.ImageStrip) -> None:
    put, cut = strip.transform, strip.crop
    moved = (put.offset_x, put.offset_y, put.rotation, put.scale_x - 1.0, put.scale_y - 1.0,
             cut.min_x, cut.max_x, cut.min_y, cut.max_y, strip.use_flip_x, strip.use_flip_y)
    if any(moved):
        raise LucidError("STRIP_MOVED", f"the strip '{strip.name}' is moved, scaled, cropped or flipped",
                         "reset its transform to point at it, or point in the camera view")


def _of_file(path: Path, pixel: Callable[[Shot], tuple[float, float]]) -> Spot:
    """The spot in a picture of a take; ``pixel`` gives the place (x, y) in px for a shot."""
    found = _FRAME.fullmatch(path.resolve().as_posix())
    if found is None:
        raise LucidError("SPOT_NONE", f"{path.name or 'this'} is no frame of a take", _NO_TAKE)
    folder = Path(found["shot"])
    x, y = pixel(open_shot(folder, verify=False))
    return Spot(folder, int(found["take"]), math.floor(x), math.floor(y), int(found["frame"]))


def _in_camera_view(context: bpy.types.Context, space: bpy.types.SpaceView3D, region: bpy.types.Region, x: int,
                    y: int) -> Spot:
    """Through the camera as it is now: a take shown behind or over the view fills that frame."""
    scene, camera = source_scene(context.scene), space.camera if space.use_local_camera else context.scene.camera
    folder = active_shot(scene)
    seen = region.data is not None and region.data.view_perspective == "CAMERA"
    if not seen or camera is None or camera.type != "CAMERA" or folder is None:
        raise LucidError("SPOT_NONE", "this is not the view through the shot's camera", _NO_TAKE)
    shot = open_shot(folder, verify=False)
    if camera.name not in (shot.camera, *shot.camera.split(", ")):
        raise LucidError("SPOT_NONE", f"the view is through '{camera.name}' and the shot was captured through '{shot.camera}'",
                         "look through that camera")
    graph = context.evaluated_depsgraph_get()
    view = view_of(camera.evaluated_get(graph), graph, shot.size)
    ahead = Vector(view.world_from_camera[:3, 3] + view.world_from_camera[:3, 2])
    (u, v), _ = view.project(region_2d_to_location_3d(region, region.data, (x, y), ahead))
    return Spot(folder, None, math.floor(u), math.floor(v), context.scene.frame_current)


# ---- from a pixel to who is there

def chosen_take(context: bpy.types.Context, folder: Path) -> Take:
    """The take of the shot in ``folder`` that is chosen in the list, if it is done; else the newest that is. A damaged one is not
    done. Raises TAKE_NOT_DONE."""
    takes, runtime = list_takes(folder), context.window_manager.lucid
    number = 0 if runtime.chosen is None else runtime.chosen.number
    chosen = [take for take in takes if take.number == number and runtime.row(take) is not None]
    for take in (*chosen, *reversed(takes)):        # of many takes, few are read for this
        with suppress(LucidError):
            if take.state() is State.DONE:
                return take
    raise LucidError("TAKE_NOT_DONE", f"no take of {folder.name} is done yet", "generate one first")


def target_at(shot: Shot, spot: Spot, layer: str = "") -> Target:
    """The layer ``layer`` of the spot's shot as a whole where one is named, else who is seen at the spot. Raises what
    :func:`whole` and :func:`pick` do."""
    return whole(shot, layer) if layer else pick(spot.shot, shot, spot.x, spot.y, spot.frame)


# ---- from who is there to the scene

def object_of(scene: bpy.types.Scene, target: Target) -> bpy.types.Object | None:
    """The object that stands for it in the scene: the one seen, or what instances it ("Forest/Tree[1]" is the object Forest);
    for a layer as a whole, the actor's own. None where the scene has none (any more)."""
    name = target.seen or target.label
    called = {item.name_full: item for item in scene.objects}
    if name in called:
        return called[name]
    tops = [top for top in called if name.startswith(f"{top}/")]
    return called[max(tops, key=len)] if tops else None


def show_target(context: bpy.types.Context, target: Target) -> bpy.types.Object | None:
    """Select its object alone, make it active, and choose its layer among the actors. Returns None where nothing could be
    selected: it is gone, or not in the view layer."""
    scene = source_scene(context.scene)
    for index, actor in enumerate(scene.lucid.actors):
        if actor.target is not None and actor.target.name == target.layer:
            scene.lucid.actor_index = index
    view_layer = context.view_layer if scene == context.scene else scene.view_layers[0]
    found = object_of(scene, target)
    if found is None or view_layer.objects.get(found.name) != found:
        return None
    for other in view_layer.objects:
        other.select_set(other == found, view_layer=view_layer)
    view_layer.objects.active = found
    return found
