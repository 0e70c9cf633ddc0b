# SPDX-License-Identifier: GPL-3.0-or-later
"""A pass as a picture to look at, for the render window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...inference.conditioning.depth import inverse_depth, measure_range
from ...inference.errors import LucidError
from .frames import FrameSurfaces

# the passes a render shows, with a word on how
SHOWN = {
    "normal": "Camera-space normals as colours",
    "normal_world": "World-space normals as colours",
    "depth": "Inverse depth of this frame, near is white",
    "id": "A colour for each object instance",
    "material": "A colour for each material",
    "flow_forward": "Motion to the next frame: direction as hue, speed as saturation",
    "flow_backward": "Motion to the previous frame: direction as hue, speed as saturation",
    "rest": "Rest positions, repeating every metre",
    "uv": "UV coordinates, repeating",
    "alpha": "Antialiased coverage",
}
# the passes and kinds of layers that can be captured: label and what they are for
PASS_TEXTS = {
    "depth": ("Depth", "Metres along the camera's axis"),
    "normal": ("Normal", "Which way surfaces face, along the camera's axes"),
    "normal_world": ("World Normal", "Which way surfaces face, along the world's axes"),
    "id": ("Id", "A number for each object and each instance"),
    "material": ("Material", "A number for each material"),
    "flow_forward": ("Flow to Next", "Where each point goes, in pixels, and whether it stays in sight"),
    "flow_backward": ("Flow to Previous", "Where each point comes from, in pixels, and whether it was in sight"),
    "rest": ("Rest Position", "The place of each point before anything deforms it"),
    "uv": ("UV", "UV coordinates of the map for rendering"),
    "alpha": ("Alpha", "Antialiased coverage of everything"),
    "beauty": ("Beauty", "The picture as Cycles renders it, whole and layer by layer. Takes time"),
    "shadow": ("Shadow Layer", "What the actors do to the light around them, by Cycles. Takes time"),
    "volume": ("Volume Layer", "Smoke, fire and fog: what they let through and how they glow"),
}
_GOLDEN = 0.6180339887      # steps of the golden ratio spread hues evenly


def picture(name: str, surfaces: FrameSurfaces) -> NDArray[np.float32]:
    """(H, W, 4) float32 in [0, 1], top row first, transparent where nothing is."""
    full = surfaces.full
    hit = np.isfinite(full.depth)
    opaque = hit.astype(np.float32)
    if name == "normal":
        colour = full.normal * 0.5 + 0.5
    elif name == "normal_world":
        colour = surfaces.world_normal() * 0.5 + 0.5
    elif name == "depth":
        colour = _grey(_near_is_white(full.depth, hit))
    elif name in ("id", "material"):
        number = full.id if name == "id" or full.detail is None else full.detail.material
        colour = hue_colour((number * _GOLDEN) % 1.0, np.where(number > 0, 0.65, 0.0))
    elif name in ("flow_forward", "flow_backward"):
        flow = surfaces.forward if name == "flow_forward" else surfaces.backward
        assert flow is not None, "flow was not drawn"
        colour, opaque = flow_colour(flow.step, flow.valid), flow.valid.astype(np.float32)
    elif name in ("rest", "uv"):
        assert full.rest is not None and full.detail is not None, "details were not drawn"
        values = np.nan_to_num(full.rest if name == "rest" else full.detail.uv)
        colour = np.zeros((*values.shape[:2], 3), np.float32)
        colour[..., :values.shape[-1]] = values % 1.0
    else:
        assert surfaces.alpha is not None, "alpha was not drawn"
        colour, opaque = _grey(surfaces.alpha), np.ones_like(opaque)
    return np.concatenate([colour * opaque[..., None], opaque[..., None]], axis=-1).astype(np.float32)


def hue_colour(hue: NDArray[np.floating], saturation: NDArray[np.floating]) -> NDArray[np.float32]:
    """HSV to RGB at full value: (H, W) hue and saturation in [0, 1] to (H, W, 3)."""
    wheel = np.clip(np.abs((hue[..., None] * 6.0 + np.array((0.0, 4.0, 2.0))) % 6.0 - 3.0) - 1.0, 0.0, 1.0)
    return (1.0 + (wheel - 1.0) * saturation[..., None]).astype(np.float32)


def flow_colour(step: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Flow (H, W, 2) pixels as colours: the fastest valid point is fully saturated."""
    speed = np.hypot(step[..., 0], step[..., 1])
    fastest = float(speed[valid].max()) if valid.any() else 0.0
    return hue_colour(np.arctan2(step[..., 1], step[..., 0]) / (2.0 * np.pi) % 1.0, speed / max(fastest, 1e-6))


def _near_is_white(depth: NDArray[np.float32], hit: NDArray[np.bool_]) -> NDArray[np.float32]:
    try:
        span = measure_range([1.0 / depth[hit]])
    except LucidError:      # nothing in the picture: all black
        return np.zeros(depth.shape, np.float32)
    return inverse_depth(depth, span)


def _grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(values[..., None], 3, axis=-1)
