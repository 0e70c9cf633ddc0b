# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluated camera of one frame, in Blender's words for drawing and in OpenCV's for the shot."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from ...inference.shot.model import Size

# Blender's camera looks along -z with y up; OpenCV's along +z with y down
OPENCV_AXES = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class CameraView:
    """One frame's camera.

    ``projection`` (4, 4) and ``camera_from_world`` (4, 4) are Blender's; ``K`` (3, 3) is in pixels with the corner of
    the top left pixel at (0, 0), and ``world_from_camera`` (4, 4) has OpenCV axes; float64, metres. For an orthographic
    camera ``K`` maps camera x and y in metres to pixels without the division by z: u = K00 x + K02, v = K11 y + K12.
    """

    projection: NDArray[np.float64]
    camera_from_world: NDArray[np.float64]
    K: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    far: float
    orthographic: bool

    def project(self, world: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """World points (..., 3) to image (..., 2) in pixels and depth (...) in metres; image is NaN behind the camera."""
        points = np.asarray(world, np.float64)
        back = np.linalg.inv(self.world_from_camera)
        x, y, z = (points @ back[:3, :3].T + back[:3, 3]).transpose(-1, *range(points.ndim - 1))
        divisor = np.ones_like(z) if self.orthographic else np.where(z > 0.0, z, np.nan)
        image = np.stack([self.K[0, 0] * x / divisor + self.K[0, 2], self.K[1, 1] * y / divisor + self.K[1, 2]], axis=-1)
        return np.where((z > 0.0)[..., None], image, np.nan), z


def check_camera(camera: bpy.types.Object) -> None:
    """Raise CAMERA_UNSUPPORTED for what a rasteriser cannot draw."""
    if camera.type != "CAMERA":
        raise LucidError("CAMERA_MISSING", f"'{camera.name}' is not a camera", "name a camera object")
    if camera.data.type not in {"PERSP", "ORTHO"}:
        kind = {"PANO": "panoramic"}.get(camera.data.type, camera.data.type.lower())
        raise LucidError("CAMERA_UNSUPPORTED", f"the camera '{camera.name}' is {kind}",
                         "make it perspective or orthographic")


def camera_at(scene: bpy.types.Scene, frame: int, chosen: bpy.types.Object | None) -> bpy.types.Object | None:
    """The camera for ``frame``: the chosen one, else the one bound by the last marker so far, else the scene's."""
    if chosen is not None:
        return chosen
    bound = [marker for marker in scene.timeline_markers if marker.camera is not None and not marker.camera.hide_render]
    if not bound:
        return scene.camera
    # as Blender: before the first bound marker, the first one holds
    passed = [marker for marker in bound if marker.frame <= frame]
    marker = max(passed, key=lambda m: m.frame) if passed else min(bound, key=lambda m: m.frame)
    return marker.camera


def view_of(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph, size: Size) -> CameraView:
    """Read an *evaluated* camera. Sensor fit, shift, pixel aspect and lens go through Blender's own
    ``calc_matrix_camera``; the scale of the camera object is normalised out."""
    render = depsgraph.scene_eval.render
    matrix = camera.calc_matrix_camera(depsgraph, x=size.width, y=size.height,
                                       scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y)
    projection = np.array(matrix, np.float64)
    world_from_blender = np.array(camera.matrix_world.normalized(), np.float64)
    orthographic = camera.data.type == "ORTHO"
    half_w, half_h = 0.5 * size.width, 0.5 * size.height
    shift_x, shift_y = (-projection[0, 3], -projection[1, 3]) if orthographic else (projection[0, 2], projection[1, 2])
    intrinsics = np.array([[projection[0, 0] * half_w, 0.0, half_w * (1.0 - shift_x)],
                           [0.0, projection[1, 1] * half_h, half_h * (1.0 + shift_y)],
                           [0.0, 0.0, 1.0]])
    return CameraView(projection, np.linalg.inv(world_from_blender), intrinsics, world_from_blender @ OPENCV_AXES,
                      float(camera.data.clip_end), orthographic)
