# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume's material makes of its grids, read off its nodes: terms of extinction and emission, linear in one grid.

Read are Principled Volume, Volume Absorption, Volume Scatter, Volume Coefficients and Emission, and their sums by Add
Shader. A socket is a plain value, an Attribute or Volume Info node, or products of those by Math and Vector Math, with at
most one grid among them. Anything else raises VOLUME_UNREADABLE, and so does what fills a volume whose grids do not
say where (an emission without a grid).

The formulas are Cycles's (intern/cycles/kernel/svm/closure.h: svm_node_principled_volume, svm_node_closure_volume,
svm_node_volume_coefficients), per metre, for each channel:

    principled  sigma = density grid (c + max(1 - c, 0) max(1 - sqrt(a), 0)),  c colour, a absorption colour
                e = strength colour + tint blackbody(T) 5.670373e-14 / pi mix(1, T^4, intensity),  T = temperature grid
    absorption  sigma = density (1 - c)      scatter  sigma = density c
    coefficients  sigma = absorption + scatter,  e = emission
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...inference.errors import LucidError
from .nodes import Groups, NotPlain, followed
from .volume import CURVE

_STEFAN_BOLTZMANN = 5.670373e-8 * 1e-6 / np.pi      # as Cycles scales it
_COLDEST, _HOTTEST = 800.0, 12000.0                 # kelvin between which Cycles's colours change
# CIE 1931 2 degree observer, 380 to 780 nm in steps of 10 nm (CIE 15, table T.4), in ten thousandths: x, y, z
_OBSERVER = np.array([
    [14, 42, 143, 435, 1344, 2839, 3483, 3362, 2908, 1954, 956, 320, 49, 93, 633, 1655, 2904, 4334, 5945, 7621, 9163,
     10263, 10622, 10026, 8544, 6424, 4479, 2835, 1649, 874, 468, 227, 114, 58, 29, 14, 7, 3, 2, 1, 0],
    [0, 1, 4, 12, 40, 116, 230, 380, 600, 910, 1390, 2080, 3230, 5030, 7100, 8620, 9540, 9950, 9950, 9520, 8700,
     7570, 6310, 5030, 3810, 2650, 1750, 1070, 610, 320, 170, 82, 41, 21, 10, 5, 2, 1, 1, 0, 0],
    [65, 201, 679, 2074, 6456, 13856, 17471, 17721, 16692, 12876, 8130, 4652, 2720, 1582, 782, 422, 203, 87, 39, 21, 17,
     11, 8, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], np.float64)
_REC709_FROM_XYZ = np.array([[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560],
                             [0.0556434, -0.2040259, 1.0572252]])
_NOTHING, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Blackbody:
    """Light of a grid of temperatures: kelvin per unit of the grid, Cycles's intensity, tint and a factor."""

    kelvin: float
    intensity: float
    tint: Colour


@dataclass(frozen=True)
class Term:
    """What the grid called ``grid`` takes from light and gives, per metre and per unit of its value; with ``light`` the
    value is a temperature, and ``emission`` a factor of that light."""

    grid: str
    extinction: Colour = _NOTHING
    emission: Colour = _NOTHING
    light: Blackbody | None = None


@dataclass(frozen=True)
class _Reading:
    """A socket: ``factor`` times the grid called ``grid`` ("": times 1)."""

    factor: Colour
    grid: str = ""


def refused(owner: str, why: str) -> LucidError:
    return LucidError("VOLUME_UNREADABLE", f"the volume '{owner}' cannot be marched: {why}",
                      "render the volume layer with Cycles, or make its material plainer")


def terms_of(evaluated: bpy.types.Object, world_from_object: NDArray[np.float64]) -> tuple[Term, ...]:
    """The terms of an evaluated volume object, one per grid and black body. Raises VOLUME_UNREADABLE."""
    data: Any = evaluated.data
    data.grids.load()
    # Cycles's object_volume_density: the look is kept when the object is scaled
    diagonal = float(np.linalg.norm(world_from_object[:3, :3].sum(axis=1)))
    scale = 3.0 ** 0.5 / diagonal if data.render.space == "OBJECT" else 1.0
    shading = _Shading(evaluated.original.name, {grid.name for grid in data.grids}, scale)
    merged: dict[tuple[str, Blackbody | None], Term] = {}
    for term in shading.material(_material(evaluated)):
        key = term.grid, term.light
        before = merged.get(key, Term(term.grid))
        merged[key] = replace(term, extinction=_sum(before.extinction, term.extinction),
                              emission=_sum(before.emission, term.emission))
    return tuple(merged.values())


class _Shading:
    """Walks the nodes of one volume's material: ``names`` are its grids, ``scale`` multiplies every density."""

    def __init__(self, owner: str, names: set[str], scale: float) -> None:
        self._owner, self._names, self._scale = owner, names, scale

    def material(self, material: bpy.types.Material | None) -> Iterator[Term]:
        if material is None:        # Cycles's default: a Principled Volume as it comes
            yield from self._terms(_Reading(_ONE, "density"), _Reading(_NOTHING))
            return
        output = material.node_tree.get_output_node("CYCLES") if material.node_tree else None
        if output is not None:
            yield from self._shader(output.inputs["Volume"], ())

    def _shader(self, socket: Any, groups: Groups) -> Iterator[Term]:
        """Terms of what is linked to a socket for shaders."""
        _, groups, source = self._followed(socket, groups)
        if source is None:
            return
        node, value = source.node, partial(self._value, source.node, groups)
        match node.type:
            case "ADD_SHADER":
                for one in node.inputs:
                    yield from self._shader(one, groups)
            case "PRINCIPLED_VOLUME":
                yield from self._principled(node, groups)
            case "VOLUME_ABSORPTION":
                share = _Reading(tuple(1.0 - c for c in self._constant(node, groups, "Color")))
                yield from self._terms(self._times(value("Density"), share), _Reading(_NOTHING))
            case "VOLUME_SCATTER":
                share = _Reading(self._constant(node, groups, "Color"))
                yield from self._terms(self._times(value("Density"), share), _Reading(_NOTHING))
            case "VOLUME_COEFFICIENTS":
                yield from self._terms(value("Absorption Coefficients"), value("Emission Coefficients"))
                yield from self._terms(value("Scatter Coefficients"), _Reading(_NOTHING))
            case "EMISSION":
                yield from self._terms(_Reading(_NOTHING), self._times(value("Strength"), value("Color")))
            case _:
                raise self._refused(node)

    def _principled(self, node: Any, groups: Groups) -> Iterator[Term]:
        value, constant = partial(self._value, node, groups), partial(self._constant, node, groups)
        colour, absorption = constant("Color"), constant("Absorption Color")
        if any(absorption) and self._attribute(node, groups, "Color Attribute").grid:
            raise refused(self._owner, "its absorption depends on a grid of colours")
        share = tuple(c + max(1.0 - c, 0.0) * max(1.0 - max(a, 0.0) ** 0.5, 0.0)
                      for c, a in zip(colour, absorption, strict=True))
        density = self._times(value("Density"), self._attribute(node, groups, "Density Attribute"))
        yield from self._terms(self._times(density, _Reading(share)),
                               self._times(value("Emission Strength"), value("Emission Color")))
        intensity = constant("Blackbody Intensity")[0]
        if intensity > 0.0:
            heat = self._times(value("Temperature"), self._attribute(node, groups, "Temperature Attribute"))
            light = Blackbody(heat.factor[0], intensity, constant("Blackbody Tint"))
            for term in self._terms(_Reading(_NOTHING), _Reading(_ONE, heat.grid)):
                yield replace(term, light=light)

    def _terms(self, extinction: _Reading, emission: _Reading) -> Iterator[Term]:
        for reading, name in ((extinction, "extinction"), (emission, "emission")):
            if max(reading.factor) <= 0.0 or (reading.grid and reading.grid not in self._names):
                continue
            if not reading.grid:
                raise refused(self._owner, f"no grid says where its {name} begins and ends")
            yield replace(Term(reading.grid), **{name: _product(reading.factor, (self._scale,) * 3)})

    def _value(self, node: Any, groups: Groups, name: str | int) -> _Reading:
        """The input ``name`` of ``node``."""
        socket, groups, source = self._followed(node.inputs[name], groups)
        if source is None:
            return _Reading(_colour(socket.default_value))
        node, output = source.node, source.name
        match node.type:
            case "VALUE" | "RGB":
                return _Reading(_colour(source.default_value))
            case "ATTRIBUTE" if node.attribute_type == "GEOMETRY" and output != "Alpha":
                return _Reading(_ONE, node.attribute_name)
            case "VOLUME_INFO" if output != "Color":
                return _Reading(_ONE, output.lower())
            case "MATH" | "VECT_MATH" if node.operation == "MULTIPLY" and not getattr(node, "use_clamp", False):
                return self._times(self._value(node, groups, 0), self._value(node, groups, 1))
            case "VECT_MATH" if node.operation == "SCALE":
                return self._times(self._value(node, groups, "Vector"), self._value(node, groups, "Scale"))
            case _:
                raise self._refused(node)

    def _constant(self, node: Any, groups: Groups, name: str) -> Colour:
        reading = self._value(node, groups, name)
        if reading.grid:
            raise refused(self._owner, f"the input '{name}' of its material depends on the grid '{reading.grid}'")
        return reading.factor

    def _attribute(self, node: Any, groups: Groups, name: str) -> _Reading:
        """The grid named in a socket for text; one that is not there counts as 1."""
        socket, _, source = self._followed(node.inputs[name], groups)
        if source is not None:
            raise self._refused(source.node)
        return _Reading(_ONE, socket.default_value if socket.default_value in self._names else "")

    def _followed(self, socket: Any, groups: Groups) -> tuple[Any, Groups, Any]:
        try:
            return followed(socket, groups)
        except NotPlain as error:
            raise refused(self._owner, f"in its material, {error}") from error

    def _times(self, one: _Reading, other: _Reading) -> _Reading:
        if one.grid and other.grid:
            raise refused(self._owner, f"its material multiplies the grids '{one.grid}' and '{other.grid}'")
        return _Reading(_product(one.factor, other.factor), one.grid or other.grid)

    def _refused(self, node: Any) -> LucidError:
        return refused(self._owner, f"its material has the node '{node.label or node.name}', which cannot be followed")


def blackbody_curve(light: Blackbody, reach: float) -> NDArray[np.float32]:
    """(CURVE, 3) emission of the grid's values from 0 to ``reach``; a colour out of gamut has no negative light."""
    kelvin = np.linspace(0.0, reach, CURVE) * max(light.kelvin, 0.0)
    power = _STEFAN_BOLTZMANN * (1.0 - light.intensity + light.intensity * kelvin ** 4)
    colours = np.maximum(blackbody_rec709(np.clip(kelvin, _COLDEST, _HOTTEST)), 0.0)
    curve = (power[:, None] * colours * light.tint).astype(np.float32)
    curve[0] = 0.0      # else 1e-14, wherever the volume is
    return curve


def blackbody_rec709(kelvin: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) linear Rec.709 of luminance 1, by Planck's law over 380 to 780 nm. Out of gamut below about 1900 K."""
    nanometres = np.arange(380.0, 785.0, 10.0)
    # hc / k = 0.01438777 m K
    spectrum = nanometres ** -5.0 / np.expm1(0.01438777e9 / (nanometres * np.asarray(kelvin, np.float64)[:, None]))
    xyz = spectrum @ _OBSERVER.T
    return (xyz / xyz[:, 1:2]) @ _REC709_FROM_XYZ.T


def _material(evaluated: bpy.types.Object) -> bpy.types.Material | None:
    slots = evaluated.material_slots
    if slots and slots[0].link == "OBJECT":
        return slots[0].material
    materials = evaluated.data.materials
    return materials[0] if materials else None


def _colour(value: Any) -> Colour:
    """A number three times, or the first three of several."""
    return tuple(float(one) for one in value[:3]) if hasattr(value, "__len__") else (float(value),) * 3


def _product(one: Colour, other: Colour) -> Colour:
    return tuple(a * b for a, b in zip(one, other, strict=True))


def _sum(one: Colour, other: Colour) -> Colour:
    return tuple(a + b for a, b in zip(one, other, strict=True))

