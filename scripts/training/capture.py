# SPDX-License-Identifier: GPL-3.0-or-later
"""A built training scene as arrays: data passes by Lucid's own capture, light by Cycles. Both see the same keyframes.

Cycles' samples sit at the pixel centre (a box filter of no width), as the data passes do, so that they agree exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import mathutils
import numpy as np
from lucid.addon.capture import CaptureSpec, capture_shot
from lucid.inference.shot.exr import read_image
from lucid.inference.shot.model import Frames, Shot, Size
from lucid.inference.shot.store import open_shot
from numpy.typing import NDArray

from .coding import code_light
from .materials import GREY
from .shapes import Array

FIRST_FRAME = 1
_LINEAR = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
SCENE_PASSES = ("depth", "normal", "id")


def setup(width: int, height: int, frames: int, samples: int, threads: int) -> Any:
    """An empty scene that Cycles renders into one uncompressed multilayer file per picture."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FIRST_FRAME, FIRST_FRAME + frames - 1
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.film_transparent = render.use_persistent_data = True
    render.use_compositing = render.use_sequencer = False
    render.threads_mode, render.threads = "FIXED", threads
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", samples, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 1, 1, 1
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter, cycles.denoising_quality = "NONE", "FAST"
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    cycles.debug_bvh_type = "DYNAMIC_BVH"
    image = render.image_settings
    image.media_type, image.color_depth, image.exr_codec = "MULTI_LAYER_IMAGE", "32", "NONE"
    image.use_exr_interleave = True  # one part, else only Combined is in the first one
    return scene


def animate(thing: Any, matrices: NDArray[np.floating], focal: NDArray[np.floating] | None = None) -> None:
    """Keys on every frame for rigid world matrices (F, 4, 4), and for a camera's focal length (F,) in millimetres."""
    thing.rotation_mode = "QUATERNION"
    poses = [mathutils.Matrix(matrix.tolist()).decompose() for matrix in matrices]
    place, turn = np.array([p[0] for p in poses]), np.array([p[1] for p in poses])
    turn[1:] *= np.cumprod(np.sign((turn[1:] * turn[:-1]).sum(1)))[:, None]  # q and -q are one rotation
    thing.location, thing.rotation_quaternion = place[0], turn[0]
    _key(thing, {("location", axis): place[:, axis] for axis in range(3)}
         | {("rotation_quaternion", axis): turn[:, axis] for axis in range(4)})
    if focal is not None:
        thing.data.lens = float(focal[0])
        _key(thing.data, {("lens", 0): focal})


def _key(owner: Any, curves: dict[tuple[str, int], NDArray[np.floating]]) -> None:
    """Linear keys, one per frame, of the properties that change."""
    moving = {key: values for key, values in curves.items() if np.ptp(values) > 0}
    if not moving:
        return
    action = bpy.data.actions.new(owner.name)
    owner.animation_data_create().action = action
    for (path, index), values in moving.items():
        curve = action.fcurve_ensure_for_datablock(owner, path, index=index)
        curve.keyframe_points.add(len(values))
        frames = np.arange(len(values)) + FIRST_FRAME
        curve.keyframe_points.foreach_set("co", np.stack([frames, values], 1).astype(np.float32).ravel())
        curve.keyframe_points.foreach_set("interpolation", np.full(len(values), _LINEAR, np.int32))
        curve.update()


def data_passes(scene: Any, folder: Path, truth: bool) -> dict[str, Any]:
    """Lucid's capture of all frames of the scene into a new shot below the folder.

    `depth` (F, H, W) float32 metres, `normal` (F, H, W, 2) its x and y in camera space, `id` (F, H, W) uint32, `names` id ->
    object, `K` (F, 3, 3), `camera` (F, 4, 4); with `truth`, what pictures are measured and followed by: `flow` (F, H, W, 2)
    pixels to the next frame, `flow_valid` (F, H, W), where the camera sees the same point there (nowhere in the last frame),
    and `rest` (F, H, W, 3), the point's place on its object.
    """
    frames = Frames(scene.frame_start, scene.frame_end)
    size = Size(scene.render.resolution_x, scene.render.resolution_y)
    wanted = (*SCENE_PASSES, "flow_forward", "rest") if truth else SCENE_PASSES
    target = folder / f"{len(list(folder.iterdir()))}.lucid"
    for _ in capture_shot(scene, CaptureSpec(frames, size, passes=wanted), target):
        pass
    shot = open_shot(target)
    with np.load(target / "camera.npz") as camera:
        found: dict[str, Any] = {"K": camera["K"].astype(np.float32), "camera": camera["world_from_camera"].astype(np.float32)}
    found |= {"depth": _channel(target, shot, "depth", "Z"), "id": _channel(target, shot, "id", "id"), "names": shot.instances}
    found["normal"] = np.stack([_channel(target, shot, "normal", axis) for axis in "XY"], -1)
    if truth:
        found["rest"] = np.stack([_channel(target, shot, "rest", axis) for axis in "XYZ"], -1)
        found["flow"] = np.stack([_channel(target, shot, "flow_forward", axis) for axis in "XY"], -1)
        found["flow_valid"] = _channel(target, shot, "flow_forward", "visible") > 0.5
    return found


def _channel(folder: Path, shot: Shot, name: str, channel: str) -> NDArray[Any]:
    sequence = shot.sequence(name)
    return np.stack([read_image(folder / sequence.path(frame)).channels[channel] for frame in shot.frames.numbers])


def rendered(scene: Any, frame: int, path: Path) -> dict[str, NDArray[Any]]:
    """What Cycles makes of one frame: pass and channel ("combined.r", "depth.z") in lower case -> (H, W)."""
    scene.frame_set(frame)
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return {name.lower().split(".", 1)[1]: values for name, values in read_image(path).channels.items()}


def light_of(scene: Any, folder: Path) -> NDArray[np.uint8]:
    """(F, H, W, 3) uint8 as coding.py has it: sun and sky on the grey, and what is mirrored, of every frame."""
    light: list[Array] = []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        channels = rendered(scene, frame, folder / "frame.exr")
        light.append(np.stack([channels[f"combined.{c}"] for c in "rgb"], -1) / np.float32([GREY, GREY, 1]))
    return code_light(np.stack(light))
