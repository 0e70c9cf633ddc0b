# SPDX-License-Identifier: GPL-3.0-or-later
"""What Cycles says about a scene at one sample through the pixel's centre, in Lucid's conventions: the tests' oracle.

It shares no code with Lucid's own Cycles engine: the files are read by OpenEXR.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import OpenEXR
from lucid.inference.shot.model import Size
from numpy.typing import NDArray

Array = NDArray[Any]
FLIP = np.array([1.0, -1.0, -1.0])      # Blender's camera axes to OpenCV's
BACKGROUND = 1e9                        # Cycles writes 1e10
ENTRY = re.compile(r'"(.*?)":"([0-9a-f]{8})"[,}]', re.DOTALL)     # not quite JSON: a name may hold quotation marks
PASSES = ("z", "normal", "vector", "position", "uv", "object_index", "material_index", "cryptomatte_object",
          "cryptomatte_material")


@contextmanager
def set_to(owner: Any, **values: Any) -> Iterator[None]:
    """In this order, both ways: some change others."""
    old = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in old.items():
            if getattr(owner, name) != value:
                setattr(owner, name, value)


@contextmanager
def data_render(scene: bpy.types.Scene, size: Size, path: Path, *, persistent: bool = False) -> Iterator[None]:
    """Inside, Cycles renders ``size`` pixels of every data pass at one sample to the multilayer EXR file ``path``;
    afterwards the scene's settings are what they were. ``persistent`` keeps Cycles' scene between frames."""
    render, layer = scene.render, scene.view_layers[0]
    with ExitStack() as stack:
        for other in scene.view_layers:
            stack.enter_context(set_to(other, use=other == layer))
        for camera in (item for item in scene.objects if item.type == "CAMERA"):
            stack.enter_context(set_to(camera.data.dof, use_dof=False))
        stack.enter_context(set_to(
            render, engine="CYCLES", resolution_x=size.width, resolution_y=size.height, resolution_percentage=100,
            use_border=False, use_motion_blur=False, film_transparent=True, use_compositing=False, use_sequencer=False,
            use_freestyle=False, use_multiview=False, use_persistent_data=persistent, use_file_extension=True,
            use_stamp=False, filepath=str(path)))
        stack.enter_context(set_to(
            scene.cycles, device="CPU", samples=1, use_adaptive_sampling=False, use_denoising=False, seed=0,
            use_animated_seed=False, max_bounces=0, pixel_filter_type="BOX", filter_width=0.01, time_limit=0.0))
        stack.enter_context(set_to(layer, **{f"use_pass_{name}": True for name in PASSES}))
        stack.enter_context(set_to(
            render.image_settings, media_type="MULTI_LAYER_IMAGE", file_format="OPEN_EXR_MULTILAYER", color_depth="32",
            exr_codec="ZIP", use_exr_interleave=True))
        yield


def cycles_passes(scene: bpy.types.Scene, frame: int, size: Size) -> dict[str, Array]:
    """One frame through Cycles; (H, W, ...) arrays, top row first, as :func:`read_passes` gives them. The scene's frame,
    camera and settings come back."""
    before = scene.frame_current, scene.frame_subframe, scene.camera
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "oracle.exr"
        try:
            with data_render(scene, size, path):
                scene.frame_set(frame)
                world_from_camera = np.array(scene.camera.matrix_world.normalized())
                with bpy.context.temp_override(scene=scene):
                    bpy.ops.render.render(scene=scene.name, write_still=True)
            return read_passes(path, world_from_camera)
        finally:
            scene.frame_set(before[0], subframe=before[1])
            scene.camera = before[2]


def read_passes(path: Path, world_from_camera: Array) -> dict[str, Array]:
    """The data passes of a file that Cycles wrote; ``world_from_camera`` (4, 4) has Blender's camera axes.

    - depth (H, W) metres along the camera's z, +inf background; position, normal_world (H, W, 3) in Blender's world;
      normal (H, W, 3) in OpenCV's camera axes: all with bump, smooth shading and everything else that Cycles shades with;
    - flow_forward, flow_backward (H, W, 2) pixels to frame + 1 and frame - 1, x right, y down; 0 on the background (Cycles
      does not know better), and wherever Cycles lost the motion: first compare where ids agree;
    - uv (H, W, 2), v upwards; object, material (H, W) names from Cryptomatte, "" on the background: an instance has its
      instanced object's name, and what is partly transparent may have the name of what is behind; object_index,
      material_index (H, W) int64, the pass_index of what depth is of.
    """
    with OpenEXR.File(str(path), separate_channels=True) as file:
        header = dict(file.header())
        read = {name.split(".", 1)[1]: np.array(channel.pixels) for name, channel in file.parts[0].channels.items()}
    depth = read["Depth.Z"]
    world = np.stack([read[f"Normal.{axis}"] for axis in "XYZ"], axis=-1)
    return {
        "depth": np.where(depth > BACKGROUND, np.float32(np.inf), depth),
        "normal_world": world,
        "normal": (world @ world_from_camera[:3, :3] * FLIP).astype(np.float32),
        "position": np.stack([read[f"Position.{axis}"] for axis in "XYZ"], axis=-1),
        # Cycles' X, Y: where the point was, minus here, y up; Z, W: here, minus where it will be
        "flow_forward": np.stack([-read["Vector.Z"], read["Vector.W"]], axis=-1),
        "flow_backward": np.stack([read["Vector.X"], -read["Vector.Y"]], axis=-1),
        "uv": np.stack([read["UV.U"], read["UV.V"]], axis=-1),
        "object": _names(read["CryptoObject00.r"], _manifest(header, "CryptoObject")),
        "material": _names(read["CryptoMaterial00.r"], _manifest(header, "CryptoMaterial")),
        "object_index": np.round(read["Object Index.X"]).astype(np.int64),
        "material_index": np.round(read["Material Index.X"]).astype(np.int64),
    }


def _manifest(header: dict[str, Any], kind: str) -> dict[int, str]:
    """Pixel bits to names. Cycles flips bit 23 of a hash whose exponent is 0 or 255 (no denormals, no NaN), while the
    manifest keeps the hash as it is."""
    key = next(key for key, value in header.items() if key.startswith("cryptomatte/") and str(value).endswith(kind))
    table = {0: ""}
    for name, digits in ENTRY.findall(header[key.rsplit("/", 1)[0] + "/manifest"]):
        bits = int(digits, 16)
        table[bits ^ (1 << 23) if bits >> 23 & 255 in (0, 255) else bits] = name
    return table


def _names(pixels: Array, table: dict[int, str]) -> Array:
    values, place = np.unique(pixels.view(np.uint32), return_inverse=True)
    return np.array([table[int(value)] for value in values])[place].reshape(pixels.shape)
