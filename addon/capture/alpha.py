# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a material lets the camera through, and what only Cycles can draw.

Cycles' data passes see a surface where its alpha (1 - the weight of transparent closures) is at least the view layer's
``pass_alpha_threshold``. Where that alpha is a constant or one image through plain arithmetic, the same decision is a
comparison of one texel with one number; this module finds that comparison, or says which node stands in the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from .nodes import Groups, NotPlain, constant, coordinates, followed

THRESHOLD = 0.5             # of alpha: Blender's default pass_alpha_threshold
_LUMINANCE = (0.2126, 0.7152, 0.0722, 0.0)      # Rec. 709
_COLOUR_SPACES = {"sRGB", "Non-Color", "Linear Rec.709"}
_TINY = 1e-6                # turns > into >=; far below the 1/255 between two texels
_OPAQUE = {"BACKGROUND", "BSDF_DIFFUSE", "BSDF_GLASS", "BSDF_GLOSSY", "BSDF_HAIR", "BSDF_HAIR_PRINCIPLED", "BSDF_METALLIC",
           "BSDF_REFRACTION", "BSDF_SHEEN", "BSDF_TOON", "BSDF_TRANSLUCENT", "EEVEE_SPECULAR", "EMISSION",
           "SUBSURFACE_SCATTERING"}
# what a ray straight from the camera is
_CAMERA_RAY = {"Is Camera Ray": 1.0, "Is Shadow Ray": 0.0, "Is Diffuse Ray": 0.0, "Is Glossy Ray": 0.0,
               "Is Reflection Ray": 0.0, "Is Transmission Ray": 0.0}


@dataclass(frozen=True)
class Solid:
    """The camera sees the surface everywhere."""


@dataclass(frozen=True)
class Invisible:
    """The camera sees through the surface everywhere."""


@dataclass(frozen=True)
class Cutout:
    """The camera sees the surface where a texel of :meth:`texels` is >= ``threshold``.

    It is sampled at ``transform`` (2x3) times (u, v, 1) of the UV map ``uv_map`` ("" is the one for rendering; a missing
    one is (0, 0)). ``interpolation`` is Linear or Closest, ``extension`` as the Image Texture node has it; outside of
    CLIP the texel is 0. ``weights`` make a texel of the image's RGBA.
    """

    image: bpy.types.Image
    uv_map: str
    weights: tuple[float, float, float, float]
    threshold: float
    interpolation: str
    extension: str
    transform: tuple[tuple[float, float, float], tuple[float, float, float]]

    def texels(self) -> NDArray[np.float32]:
        """(H, W), the lowest row first, in the image's own encoding, as Cycles interpolates. Raises IMAGE_MISSING."""
        width, height = self.image.size
        if width * height == 0:
            raise LucidError("IMAGE_MISSING", f"the image '{self.image.name}' cannot be loaded",
                             "find the file again (File > External Data), or pack it")
        stored = np.empty(width * height * self.image.channels, np.float32)
        self.image.pixels.foreach_get(stored)
        values = stored.reshape(height, width, -1)
        red, green, blue, cover = (values[..., min(i, values.shape[-1] - 1)] for i in range(4))
        if values.shape[-1] < 4:
            cover = np.ones_like(red)
        parts = zip((red, green, blue, cover), self.weights, strict=True)
        return np.sum([part * np.float32(weight) for part, weight in parts if weight], axis=0)


@dataclass(frozen=True)
class Unsupported:
    """Only Cycles can tell; ``reason`` names the node."""

    reason: str


Decision = Solid | Invisible | Cutout | Unsupported


def decide(surface: bpy.types.NodeSocket) -> Decision:
    """Whether the camera sees what feeds the Surface socket of a material's output."""
    try:
        return _decided(_alpha(surface, ()))
    except NotPlain as reason:
        return Unsupported(str(reason))


@dataclass(frozen=True)
class _Ramp:
    """``scale`` times the picture's value, plus ``offset``; ``picture.threshold`` means nothing yet."""

    picture: Cutout
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class _Step:
    """``above`` where the picture's value is at least ``at``, ``below`` elsewhere."""

    picture: Cutout
    at: float
    below: float
    above: float


_Level = float | _Ramp | _Step


def _decided(alpha: _Level) -> Decision:
    seen = _positive(_affine(alpha, 1.0, _TINY - THRESHOLD))
    if isinstance(seen, float) or seen.below == seen.above:
        return Solid() if (seen if isinstance(seen, float) else seen.above) else Invisible()
    at = _encoded(seen.picture, seen.at)
    if seen.above:
        return replace(seen.picture, threshold=at)
    red, green, blue, cover = seen.picture.weights
    return replace(seen.picture, weights=(-red, -green, -blue, -cover), threshold=_TINY - at)


def _encoded(picture: Cutout, value: float) -> float:
    """A linear luminance in the encoding of the picture's texels (exact for greys); alpha is never encoded."""
    if picture.weights[3] or picture.image.is_float or picture.image.colorspace_settings.name != "sRGB":
        return value
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1.0 / 2.4) - 0.055


def _affine(value: _Level, scale: float, offset: float) -> _Level:
    if isinstance(value, float):
        return scale * value + offset
    if isinstance(value, _Step):
        return replace(value, below=scale * value.below + offset, above=scale * value.above + offset)
    if scale == 0.0:
        return offset
    return replace(value, scale=scale * value.scale, offset=scale * value.offset + offset)


def _positive(value: _Level) -> float | _Step:
    """1 where the value is > 0, else 0."""
    if isinstance(value, float):
        return float(value > 0.0)
    if isinstance(value, _Step):
        return replace(value, below=float(value.below > 0.0), above=float(value.above > 0.0))
    root = -value.offset / value.scale
    if value.scale > 0.0:
        return _Step(value.picture, root + _TINY, 0.0, 1.0)
    return _Step(value.picture, root, 1.0, 0.0)


def _clamped(value: _Level) -> _Level:
    if isinstance(value, float):
        return min(max(value, 0.0), 1.0)
    if isinstance(value, _Step):
        return replace(value, below=min(max(value.below, 0.0), 1.0), above=min(max(value.above, 0.0), 1.0))
    if not (0.0 <= value.offset <= 1.0 and 0.0 <= value.offset + value.scale <= 1.0):
        raise NotPlain(f"image '{value.picture.image.name}' is clamped")
    return value


def _sum(one: _Level, other: _Level) -> _Level:
    if isinstance(one, float):
        return _affine(other, 1.0, one)
    if isinstance(other, float):
        return _affine(one, 1.0, other)
    raise NotPlain(f"images '{one.picture.image.name}' and '{other.picture.image.name}' together decide the alpha")


def _product(one: _Level, other: _Level) -> _Level:
    if isinstance(one, float):
        return _affine(other, one, 0.0)
    if isinstance(other, float):
        return _affine(one, other, 0.0)
    raise NotPlain(f"images '{one.picture.image.name}' and '{other.picture.image.name}' together decide the alpha")


def _alpha(socket: bpy.types.NodeSocket, groups: Groups) -> _Level:
    """Alpha of the closure that feeds a shader socket: 1 - the weight of what lets rays straight through."""
    socket, groups, source = followed(socket, groups)
    if source is None or source.type != "SHADER":       # nothing; or a colour, which Cycles turns into emission
        return 1.0
    node = source.node
    if node.type in _OPAQUE:
        return 1.0
    if node.type == "BSDF_PRINCIPLED":
        if _number(node.inputs["Thin Wall"], groups) != 0.0 and _number(node.inputs["Transmission Weight"], groups) != 0.0:
            raise NotPlain(f"'{node.name}' is a transmitting thin wall")
        return _number(node.inputs["Alpha"], groups)
    if node.type == "BSDF_TRANSPARENT":
        if followed(node.inputs["Color"], groups)[2] is not None:
            raise NotPlain(f"the colour of '{node.name}' is linked")
        return 1.0 - sum(constant(node.inputs["Color"])[:3]) / 3.0
    if node.type == "ADD_SHADER":
        return _affine(_sum(*(_alpha(inner, groups) for inner in node.inputs)), 1.0, -1.0)
    if node.type == "MIX_SHADER":
        return _mixed(node, groups)
    raise NotPlain(f"node '{node.name}'")


def _mixed(node: bpy.types.Node, groups: Groups) -> _Level:
    """A constant mixes what it lets through; an image may mix constants."""
    factor = _clamped(_number(node.inputs[0], groups))
    if isinstance(factor, float):
        parts = [(inner, weight) for inner, weight in zip(node.inputs[1:], (1.0 - factor, factor), strict=True) if weight]
        mixed: _Level = 0.0
        for inner, weight in parts:
            mixed = _sum(mixed, _affine(_clamped(_alpha(inner, groups)), weight, 0.0))
        return mixed
    first, second = (_alpha(inner, groups) for inner in node.inputs[1:])
    if isinstance(first, float) and isinstance(second, float):
        return _affine(factor, second - first, first)
    raise NotPlain(f"node '{node.name}' mixes images")


def _number(socket: bpy.types.NodeSocket, groups: Groups) -> _Level:
    """What a value socket reads."""
    socket, groups, source = followed(socket, groups)
    if source is None:
        return _grey(constant(socket))
    node = source.node
    if node.type in {"VALUE", "RGB"}:
        return _grey(constant(source))
    if node.type == "LIGHT_PATH" and source.name in _CAMERA_RAY:
        return _CAMERA_RAY[source.name]
    if node.type == "TEX_IMAGE":
        return _picture(node, source, groups)
    if node.type == "MATH":
        one, other = (_number(inner, groups) for inner in node.inputs[:2])
        found = _arithmetic(node, one, other)
        return _clamped(found) if node.use_clamp else found
    raise NotPlain(f"node '{node.name}' decides the alpha")


def _arithmetic(node: bpy.types.Node, one: _Level, other: _Level) -> _Level:
    if node.operation == "ADD":
        return _sum(one, other)
    if node.operation == "SUBTRACT":
        return _sum(one, _affine(other, -1.0, 0.0))
    if node.operation == "MULTIPLY":
        return _product(one, other)
    if node.operation == "GREATER_THAN":
        return _positive(_sum(one, _affine(other, -1.0, 0.0)))
    if node.operation == "LESS_THAN":
        return _positive(_sum(other, _affine(one, -1.0, 0.0)))
    raise NotPlain(f"node '{node.name}' decides the alpha")


def _picture(node: bpy.types.Node, source: bpy.types.NodeSocket, groups: Groups) -> _Level:
    image = node.image
    if image is None:
        return 1.0 if source.name == "Alpha" else _grey((1.0, 0.0, 1.0, 1.0))       # Cycles' pink
    if image.source not in {"FILE", "GENERATED"}:
        raise NotPlain(f"image '{image.name}' is {'animated' if image.source != 'TILED' else 'tiled'}")
    if node.projection != "FLAT" or node.interpolation not in {"Linear", "Closest"}:
        raise NotPlain(f"node '{node.name}' samples its image in another way than flat and linear")
    if source.name == "Alpha":
        if image.alpha_mode == "NONE":
            return 1.0
        weights = (0.0, 0.0, 0.0, 1.0)
    else:
        if image.alpha_mode == "PREMUL":
            raise NotPlain(f"the colour of image '{image.name}' is multiplied by its alpha")
        if not image.is_float and image.colorspace_settings.name not in _COLOUR_SPACES:
            raise NotPlain(f"image '{image.name}' is in the colour space {image.colorspace_settings.name}")
        weights = _LUMINANCE
    uv_map, matrix = ("", np.eye(4)) if followed(node.inputs["Vector"], groups)[2] is None \
        else coordinates(node.inputs["Vector"], groups)
    transform = tuple((float(row[0]), float(row[1]), float(row[3])) for row in matrix[:2])
    return _Ramp(Cutout(image, uv_map, weights, math.nan, node.interpolation, node.extension, transform))


def _grey(value: Sequence[float]) -> float:
    return float(value[0]) if len(value) == 1 else float(np.dot(value[:3], _LUMINANCE[:3]))
