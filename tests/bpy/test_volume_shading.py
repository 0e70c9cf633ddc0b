# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume's material does to light, read off its nodes."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from captured import add_camera, add_cube
from lucid.addon.capture.cycles import Cycles
from lucid.addon.capture.volume import CURVE
from lucid.addon.capture.volume_grids import VolumeReader, obstacles, volumes_readable
from lucid.addon.capture.volume_shading import Blackbody, Term, blackbody_curve, blackbody_rec709, terms_of
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Size
from volumes import add_fog, volume_material

PRINCIPLED, SCATTER, ABSORPTION = "ShaderNodeVolumePrincipled", "ShaderNodeVolumeScatter", "ShaderNodeVolumeAbsorption"
ATTRIBUTE, MATH, EMISSION, ADD = "ShaderNodeAttribute", "ShaderNodeMath", "ShaderNodeEmission", "ShaderNodeAddShader"
COEFFICIENTS = ("Absorption Coefficients", "Scatter Coefficients", "Emission Coefficients")


def terms() -> dict[str, Term]:
    """Terms of the only volume, by grid."""
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        if instance.object.type == "VOLUME":
            return {term.grid: term for term in terms_of(instance.object, np.array(instance.matrix_world, np.float64))}
    raise AssertionError("no volume")


def close(one: tuple[float, ...], *other: float) -> bool:
    return bool(np.allclose(one, other, rtol=1e-6))


def test_principled_volume(empty: bpy.types.Scene) -> None:
    add_fog(volume_material((PRINCIPLED, {"Density": 3.0, "Color": (0.2, 0.5, 1.5, 1.0), "Absorption Color": (0.25, 0, 0, 1)})))
    found = terms()
    assert set(found) == {"density"}
    assert close(found["density"].extinction, 3.0 * (0.2 + 0.8 * 0.5), 3.0, 4.5)
    assert found["density"].emission == (0.0, 0.0, 0.0)


def test_a_scaled_object_keeps_its_look(empty: bpy.types.Scene) -> None:
    item = add_fog(volume_material((PRINCIPLED, {"Density": 1.0})))
    item.scale = (1.0, 2.0, 4.0)
    assert close(terms()["density"].extinction, *[1.0 / 7.0 ** 0.5] * 3)


def test_a_volume_without_material_is_a_principled_one(empty: bpy.types.Scene) -> None:
    add_fog(None)
    assert terms() == {"density": Term("density", extinction=(1.0, 1.0, 1.0))}


def test_emission_and_fire_of_a_second_grid(empty: bpy.types.Scene) -> None:
    add_fog(volume_material(
        (ATTRIBUTE, {"attribute_name": "heat"}), (MATH, {"operation": "MULTIPLY"}),
        (PRINCIPLED, {"Emission Color": (1.0, 0.5, 0.25, 1.0), "Blackbody Intensity": 0.5, "Temperature": 1200.0,
                      "Temperature Attribute": "density"}),
        links=((0, "Factor", 1, 0), (1, "Value", 2, "Emission Strength"))), second="heat")
    bpy.data.materials["Fog"].node_tree.nodes["Math"].inputs[1].default_value = 4.0
    volume = next(i.object for i in bpy.context.evaluated_depsgraph_get().object_instances if i.object.type == "VOLUME")
    found = terms_of(volume, np.eye(4))
    assert Term("heat", emission=(4.0, 2.0, 1.0)) in found
    assert Term("density", extinction=(1.0, 1.0, 1.0)) in found
    assert Term("density", emission=(1.0, 1.0, 1.0), light=Blackbody(1200.0, 0.5, (1.0, 1.0, 1.0))) in found
    assert len(found) == 3


def test_scatter_absorption_and_emission_add_up(empty: bpy.types.Scene) -> None:
    by_density = [(0, "Factor", node, name) for node, name in ((1, "Density"), (2, "Density"), (3, "Strength"))]
    add_fog(volume_material(
        (ATTRIBUTE, {"attribute_name": "density"}), (SCATTER, {"Color": (0.5, 0.25, 0.0, 1.0)}),
        (ABSORPTION, {"Color": (0.75, 1.0, 0.0, 1.0)}), (EMISSION, {"Color": (0.0, 2.0, 0.0, 1.0)}), (ADD, {}), (ADD, {}),
        links=(*by_density, (1, "Volume", 4, 0), (2, "Volume", 4, 1), (3, "Emission", 5, 0), (4, "Shader", 5, 1))))
    assert terms() == {"density": Term("density", extinction=(0.75, 0.25, 1.0), emission=(0.0, 2.0, 0.0))}


def test_coefficients_and_volume_info(empty: bpy.types.Scene) -> None:
    add_fog(volume_material(
        ("ShaderNodeVolumeInfo", {}), ("ShaderNodeVectorMath", {"operation": "SCALE"}),
        ("ShaderNodeVolumeCoefficients", {}),
        links=((0, "Density", 1, "Vector"), *((1, "Vector", 2, name) for name in COEFFICIENTS))))
    bpy.data.materials["Fog"].node_tree.nodes["Vector Math"].inputs["Scale"].default_value = 0.5
    assert terms() == {"density": Term("density", extinction=(1.0, 1.0, 1.0), emission=(0.5, 0.5, 0.5))}


def test_an_object_without_size_shows_nothing(empty: bpy.types.Scene) -> None:
    add_fog(volume_material((PRINCIPLED, {}))).scale = (0.0, 0.0, 0.0)
    assert VolumeReader().read(bpy.context.evaluated_depsgraph_get()) == []


@pytest.mark.parametrize(("nodes", "links", "why"), [
    ([("ShaderNodeTexNoise", {}), (PRINCIPLED, {})], [(0, "Factor", 1, "Density")], "Noise Texture"),
    ([(PRINCIPLED, {"Emission Strength": 1.0})], [], "where its emission begins"),
    ([(SCATTER, {"Density": 1.0})], [], "where its extinction begins"),
    ([(ATTRIBUTE, {"attribute_name": "density"}), (PRINCIPLED, {})], [(0, "Factor", 1, "Density")], "multiplies the grids"),
    ([("ShaderNodeMixShader", {})], [], "Mix Shader"),
    ([(ATTRIBUTE, {"attribute_name": "density"}), (PRINCIPLED, {})], [(0, "Color", 1, "Color")], "'Color'"),
], ids=["texture", "even emission", "even density", "product", "mix", "colour grid"])
def test_what_cannot_be_read_is_refused(empty: bpy.types.Scene, nodes: list[Any], links: list[Any], why: str) -> None:
    add_fog(volume_material(*nodes, links=links))
    with pytest.raises(LucidError, match=why) as error:
        terms()
    assert error.value.code == "VOLUME_UNREADABLE"
    assert any(why in line for line in obstacles(bpy.context.evaluated_depsgraph_get()))


def test_without_the_module_volumes_are_refused_loudly(empty: bpy.types.Scene) -> None:
    if volumes_readable():
        pytest.skip("this Blender has OpenVDB's module")
    reader = VolumeReader()
    assert reader.read(bpy.context.evaluated_depsgraph_get()) == []
    assert obstacles(bpy.context.evaluated_depsgraph_get()) == []
    add_fog(volume_material((PRINCIPLED, {})))
    with pytest.raises(LucidError) as error:
        reader.read(bpy.context.evaluated_depsgraph_get())
    assert error.value.code == "VOLUME_MODULE"
    assert any("OpenVDB" in line for line in obstacles(bpy.context.evaluated_depsgraph_get()))


def test_colours_of_black_bodies_are_those_of_cycles(empty: bpy.types.Scene) -> None:
    add_camera(empty, at=(0.0, -3.0, 0.0), towards=(0.0, 0.0, 0.0))
    material = bpy.data.materials.new("Glow")
    tree = material.node_tree
    tree.nodes.clear()
    glow = tree.nodes.new("ShaderNodeEmission")
    body = tree.nodes.new("ShaderNodeBlackbody")
    tree.links.new(body.outputs[0], glow.inputs["Color"])
    tree.links.new(glow.outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    add_cube("Cube", size=4.0).data.materials.append(material)
    for kelvin in (800.0, 1500.0, 3000.0, 6500.0, 12000.0):
        body.inputs[0].default_value = kelvin
        seen = Cycles(empty, "ViewLayer", Size(2, 2)).picture(1, 1).channels
        expected = [seen[f"Combined.{name}"][0, 0] for name in "RGB"]
        np.testing.assert_allclose(np.maximum(blackbody_rec709(np.array([kelvin]))[0], 0.0), expected, atol=2e-3)


def test_a_black_body_glows_as_stefan_and_boltzmann_say() -> None:
    curve = blackbody_curve(Blackbody(2000.0, 1.0, (1.0, 0.5, 0.0)), 2.0)
    assert curve.shape == (CURVE, 3) and not curve[0].any() and not curve[:, 2].any()
    # luminance of the colour is 1, so that the power is that of the law
    colour = blackbody_rec709(np.array([4000.0]))[0]
    np.testing.assert_allclose(colour @ [0.2126, 0.7152, 0.0722], 1.0, atol=1e-3)
    np.testing.assert_allclose(curve[-1, :2], 5.670373e-14 / np.pi * 4000.0 ** 4 * colour[:2] * [1.0, 0.5], rtol=1e-5)
