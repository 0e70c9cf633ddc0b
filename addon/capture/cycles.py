# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives Cycles from the user's scene: one frame to arrays, every setting as before."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.anim_utils import action_get_channelbag_for_slot
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.exr import read_image
from ...inference.shot.model import Size
from .camera import camera_at
from .restore import PLAIN_RENDER, restored

Change = AbstractContextManager[None]

# nothing that makes two renders of one frame differ by more than what was changed between them
_REPEATABLE = {"use_adaptive_sampling": False, "use_denoising": False, "seed": 0, "use_animated_seed": False,
               "use_guiding": False, "use_sample_subset": False, "use_layer_samples": "IGNORE", "time_limit": 0.0}
# in this order: the first ones decide which values the next ones may have; the file lives for a moment
_FLOAT_LAYERS = {"media_type": "MULTI_LAYER_IMAGE", "file_format": "OPEN_EXR_MULTILAYER", "color_mode": "RGBA",
                 "color_depth": "32", "exr_codec": "NONE", "use_exr_interleave": True, "color_management": "FOLLOW_SCENE"}
# what data passes need: the first sample goes through the pixel's centre and no light is followed
_DATA = {"pixel_filter_type": "BOX", "filter_width": 0.01, "max_bounces": 0}
_DATA_LAYER = {"pass_alpha_threshold": 0.5, "pass_cryptomatte_depth": 2}


@contextmanager
def changed(owner: Any, **values: Any) -> Iterator[None]:
    """Set attributes of Blender data that have other values, and put back in the same order (some change others) what is
    not as before. What Blender itself does not know, as a JPEG's alpha in an old file, becomes what it takes it for."""
    before = {name: getattr(owner, name) for name in values}
    unknown = {name for name, value in before.items() if value == "" and owner.bl_rna.properties[name].type == "ENUM"}
    try:
        _assign(owner, values)
        yield
    finally:
        _assign(owner, {name: value for name, value in before.items() if name not in unknown})


def _assign(owner: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if getattr(owner, name) != value:
            setattr(owner, name, value)


def held(item: bpy.types.Object, **values: Any) -> Iterator[Change]:
    """The same for properties of an object that keys or drivers may move: these are muted meanwhile."""
    animation = item.animation_data
    if animation is not None:
        bag = action_get_channelbag_for_slot(animation.action, animation.action_slot)
        curves = (*animation.drivers, *(bag.fcurves if bag is not None else ()))
        yield from (changed(curve, mute=True) for curve in curves if curve.data_path in values)
    yield changed(item, **values)


@dataclass(frozen=True)
class Still:
    """One rendered frame: ``channels`` (H, W) float32, top row first, named as Blender names them, without the view layer;
    ``texts`` of the file's header; ``world_from_camera`` (4, 4) float64 with Blender's camera axes."""

    channels: dict[str, NDArray[Any]]
    texts: dict[str, str]
    world_from_camera: NDArray[np.float64]


@dataclass(frozen=True)
class Cycles:
    """Renders ``size`` pixels of a view layer through the camera chosen for the shot (None: the scene's, or what its
    markers bind)."""

    scene: bpy.types.Scene
    view_layer: str
    size: Size
    camera: bpy.types.Object | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.scene, "cycles"):
            raise LucidError("RENDER_FAILED", "this Blender has no Cycles", "enable the add-on Cycles Render Engine")

    def picture(self, frame: int, samples: int, changes: Iterable[Change] = (), **render: Any) -> Still:
        """The Combined pass, noisy but repeatable; ``render`` are more render settings. See :meth:`_still`."""
        repeatable = changed(self.scene.cycles, samples=samples, **_REPEATABLE)
        return self._still(frame, ("combined",), chain((repeatable, changed(self.scene.render, **render)), changes))

    def data(self, frame: int, passes: Iterable[str], changes: Iterable[Change] = ()) -> Still:
        """Passes (view layer's ``use_pass_...``) at one sample through the pixel's centre, without depth of field. See
        :meth:`_still`."""
        camera = self._camera_at(frame)
        plain = (changed(self.scene.cycles, samples=1, **_REPEATABLE, **_DATA),
                 changed(self.scene.view_layers[self.view_layer], **_DATA_LAYER),
                 changed(self.scene.render, film_transparent=True), changed(camera.data.dof, use_dof=False))
        return self._still(frame, passes, chain(plain, changes))

    def instancers(self, uids: Collection[int]) -> frozenset[int]:
        """Session uids of what instances these objects at the frame where the scene stands: for ``changes``, which are gone
        through there."""
        depsgraph = self.scene.view_layers[self.view_layer].depsgraph
        return frozenset(instance.parent.original.session_uid for instance in depsgraph.object_instances
                         if instance.is_instance and instance.object.original.session_uid in uids)

    def _still(self, frame: int, passes: Iterable[str], changes: Iterable[Change]) -> Still:
        """One frame under ``changes``, which are gone through when the scene stands at the frame. All is as before when
        this returns or raises.

        Raises CAMERA_MISSING, RENDER_FAILED with Blender's own words, RENDER_BUSY, CAPTURE_CANCELLED on Esc, DISK_WRITE.
        """
        camera = self._camera_at(frame)
        with _temporary_folder() as folder, restored(self.scene), ExitStack() as stack:
            path = Path(folder) / "still.exr"
            for change in self._common(passes, path):
                stack.enter_context(change)
            self.scene.frame_set(frame)
            self.scene.camera = camera
            layer = self.scene.view_layers[self.view_layer]
            layer.update()      # also of a scene that no window shows, and of a camera that is hidden
            world_from_camera = np.array(camera.evaluated_get(layer.depsgraph).matrix_world.normalized(), np.float64)
            for change in changes:
                stack.enter_context(change)
            self._render()
            if not path.is_file():
                raise LucidError("CAPTURE_CANCELLED", "the render was stopped", "start it again when you want it")
            try:
                image = read_image(path)
            except LucidError as error:     # Blender says nothing when it could not write all of it
                raise LucidError("DISK_WRITE", f"Cycles' picture could not be written to {folder}",
                                 "make room there, or set TMPDIR to a folder that has some") from error
        prefix = self.view_layer + "."
        return Still({name.removeprefix(prefix): values for name, values in image.channels.items()}, image.texts,
                     world_from_camera)

    def _common(self, passes: Iterable[str], path: Path) -> Iterator[Change]:
        render = self.scene.render
        yield changed(render, engine="CYCLES", **PLAIN_RENDER)
        yield changed(render, resolution_x=self.size.width, resolution_y=self.size.height, resolution_percentage=100,
                      use_motion_blur=False, use_stamp=False, use_file_extension=True, filepath=str(path))
        yield changed(render.image_settings, **_FLOAT_LAYERS)
        # Blender would put a marker's camera in the place of the chosen one
        yield from (changed(marker, camera=None) for marker in self.scene.timeline_markers)
        for layer in self.scene.view_layers:
            if layer.name != self.view_layer:
                yield changed(layer, use=False)
                continue
            known = (item.identifier for item in layer.bl_rna.properties if item.identifier.startswith("use_pass_"))
            yield changed(layer, use=True, **dict.fromkeys(known, False) | {f"use_pass_{name}": True for name in passes})
            yield changed(layer.cycles, use_denoising=False, denoising_store_passes=False)

    def _render(self) -> None:
        try:
            # whatever scene is rendered, Blender takes the frame of the context's
            with bpy.context.temp_override(scene=self.scene), _signals_kept():
                ended = bpy.ops.render.render(scene=self.scene.name, layer=self.view_layer, write_still=True)
        except RuntimeError as error:
            reason = "; ".join(line.removeprefix("Error: ") for line in str(error).strip().splitlines())
            raise LucidError("RENDER_FAILED", f"Cycles did not render: {reason}", "render the scene once by hand") from error
        if ended != {"FINISHED"}:
            raise LucidError("RENDER_BUSY", "Blender did not start the render", "wait until the other render has ended")

    def _camera_at(self, frame: int) -> bpy.types.Object:
        camera = camera_at(self.scene, frame, self.camera)
        if camera is None:
            raise LucidError("CAMERA_MISSING", f"no camera is set at frame {frame}", "set the scene's camera")
        return camera


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM until the render is over. Raised inside Cycles' own Python, the exception would be printed and
    forgotten, and the capture would go on."""
    handlers = {number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))}
    heard: list[int] = []       # without the place they came to, which would keep Cycles' engine alive
    try:
        for number in handlers:
            signal.signal(number, lambda which, _place: heard.append(which))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in heard:
        handlers[number](number, None)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="lucid-")
    except OSError as error:
        raise LucidError("RENDER_FAILED", f"there is no place for Cycles' files: {error}",
                         "make room, or set TMPDIR to a folder that can be written") from error
