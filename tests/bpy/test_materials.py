# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the camera sees through a material: the decision made from its nodes is the one of Cycles' data passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture.materials import (
    Cutout,
    Invisible,
    Solid,
    Unsupported,
    classify,
    is_volume,
    materials_of,
    needs_cycles,
    never_captured,
)
from lucid.inference.shot.model import Size
from lucid.tests.captured import add_camera, add_cube, captured
from lucid.tests.oracle import data_render, read_passes
from numpy.typing import NDArray

SIZE = Size(64, 64)
TEXELS = 8
SEEDS = 8


class Nodes:
    """A material's nodes, and short words for making more."""

    def __init__(self, material: bpy.types.Material) -> None:
        self.tree = material.node_tree
        self.principled = next(node for node in self.tree.nodes if node.type == "BSDF_PRINCIPLED")
        self.output = self.tree.get_output_node("CYCLES")

    def add(self, kind: str, **settings: object) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        return node

    def link(self, source: bpy.types.NodeSocket, target: bpy.types.NodeSocket) -> None:
        self.tree.links.new(source, target)

    def image(self, output: str = "Alpha", **settings: object) -> bpy.types.NodeSocket:
        image = bpy.data.images.new("Leaf", TEXELS, TEXELS, alpha=True)
        image.colorspace_settings.name = "Non-Color"
        image.alpha_mode = "CHANNEL_PACKED"
        image.pixels.foreach_set(np.random.default_rng(3).random(TEXELS * TEXELS * 4, np.float32))
        return self.add("ShaderNodeTexImage", **({"image": image, "interpolation": "Closest"} | settings)).outputs[output]

    def math(self, operation: str, first: bpy.types.NodeSocket | float, second: bpy.types.NodeSocket | float,
             ) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeMath", operation=operation)
        for socket, value in zip(node.inputs, (first, second), strict=False):
            if isinstance(value, float):
                socket.default_value = value
            else:
                self.link(value, socket)
        return node.outputs[0]

    def mix(self, factor: bpy.types.NodeSocket | float, *, transparent_first: bool = True) -> None:
        """Put the material behind a mix with a Transparent BSDF."""
        node, clear = self.add("ShaderNodeMixShader"), self.add("ShaderNodeBsdfTransparent")
        if isinstance(factor, float):
            node.inputs[0].default_value = factor
        else:
            self.link(factor, node.inputs[0])
        ends = (clear, self.principled) if transparent_first else (self.principled, clear)
        for socket, end in zip(node.inputs[1:], ends, strict=True):
            self.link(end.outputs[0], socket)
        self.link(node.outputs[0], self.output.inputs["Surface"])


@pytest.fixture
def card(empty: bpy.types.Scene) -> Nodes:
    """A card of 2 x 2 m that fills the picture, with one material."""
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    material = bpy.data.materials.new("Card")
    bpy.context.object.data.materials.append(material)
    add_camera(empty, at=(0.0, 0.0, 5.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=2.0)
    return Nodes(material)


def seen_by_cycles(scene: bpy.types.Scene, folder: Path) -> NDArray[np.bool_]:
    """Cycles sees a surface always where alpha >= 0.5, and by chance with a probability of alpha where it is less."""
    seen = np.ones((SIZE.height, SIZE.width), bool)
    with data_render(scene, SIZE, folder / "card.exr"):
        for seed in range(SEEDS):
            scene.cycles.seed = seed
            bpy.ops.render.render(scene=scene.name, write_still=True)
            seen &= np.isfinite(read_passes(folder / "card.exr", np.eye(4))["depth"])
    return seen


def seen_by(cutout: Cutout) -> NDArray[np.bool_]:
    """The comparison of a cut-out carried out in NumPy over the card."""
    v, u = 1.0 - (np.mgrid[0:SIZE.height, 0:SIZE.width] + 0.5) / SIZE.height
    u = 1.0 - u
    rows = np.array(cutout.transform)
    x, y = (row[0] * u + row[1] * v + row[2] for row in rows)
    texels = cutout.texels()
    half = 0.0 if cutout.interpolation == "Closest" else 0.5
    x, y = x * TEXELS - half, y * TEXELS - half
    left, low = np.floor(x).astype(int), np.floor(y).astype(int)
    value = np.zeros(u.shape)
    right_part, up_part = (x - left, y - low) if half else (np.zeros_like(x), np.zeros_like(y))
    for column, row, part in ((left, low, (1 - right_part) * (1 - up_part)), (left + 1, low, right_part * (1 - up_part)),
                              (left, low + 1, (1 - right_part) * up_part), (left + 1, low + 1, right_part * up_part)):
        value += part * _texel(texels, column, row, cutout.extension)
    return value >= cutout.threshold


def _texel(texels: NDArray[np.float64], column: NDArray[np.int_], row: NDArray[np.int_], extension: str) -> NDArray[np.float64]:
    inside = ((0 <= column) & (column < TEXELS) & (0 <= row) & (row < TEXELS))
    if extension == "REPEAT":
        return texels[row % TEXELS, column % TEXELS]
    found = texels[np.clip(row, 0, TEXELS - 1), np.clip(column, 0, TEXELS - 1)]
    return np.where(inside, found, 0.0) if extension == "CLIP" else found


def _mapped(nodes: Nodes, kind: str, **settings: object) -> bpy.types.NodeSocket:
    """The image behind two mappings, one of them turned out of the plane."""
    uv, second, image = nodes.add("ShaderNodeTexCoord"), nodes.add("ShaderNodeMapping"), nodes.image(**settings)
    first = nodes.add("ShaderNodeMapping", vector_type=kind)
    if kind != "VECTOR":
        first.inputs["Location"].default_value = (0.3, -0.2, 0.4)
    first.inputs["Rotation"].default_value = (0.3, 0.2, 0.6)
    first.inputs["Scale"].default_value = (1.7, 0.6, 1.3)
    second.inputs["Rotation"].default_value = (0.4, -0.5, -0.2)
    nodes.link(uv.outputs["UV"], first.inputs["Vector"])
    nodes.link(first.outputs[0], second.inputs["Vector"])
    nodes.link(second.outputs[0], image.node.inputs["Vector"])
    return image


def _alpha(build: Callable[[Nodes], bpy.types.NodeSocket]) -> Callable[[Nodes], None]:
    return lambda nodes: nodes.link(build(nodes), nodes.principled.inputs["Alpha"])


def _grey_srgb(nodes: Nodes) -> bpy.types.NodeSocket:
    socket = nodes.image("Color", interpolation="Linear")
    image = socket.node.image
    image.colorspace_settings.name = "sRGB"
    image.pixels.foreach_set(np.repeat(np.random.default_rng(4).random(TEXELS * TEXELS, np.float32), 4))
    return socket


def _in_a_group(nodes: Nodes) -> None:
    """Alpha goes through a node group that inverts it, then through a reroute and a muted node."""
    group = bpy.data.node_groups.new("Invert", "ShaderNodeTree")
    group.interface.new_socket("In", in_out="INPUT", socket_type="NodeSocketFloat")
    group.interface.new_socket("Out", in_out="OUTPUT", socket_type="NodeSocketFloat")
    start, end, math = (group.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "ShaderNodeMath"))
    math.operation = "SUBTRACT"
    math.inputs[0].default_value = 1.0
    group.links.new(start.outputs[0], math.inputs[1])
    group.links.new(math.outputs[0], end.inputs[0])
    user, reroute = nodes.add("ShaderNodeGroup", node_tree=group), nodes.add("NodeReroute")
    muted = nodes.add("ShaderNodeMath", operation="MULTIPLY", mute=True)
    nodes.link(nodes.image(), user.inputs[0])
    nodes.link(user.outputs[0], reroute.inputs[0])
    nodes.link(reroute.outputs[0], muted.inputs[0])
    nodes.link(muted.outputs[0], nodes.principled.inputs["Alpha"])


def _only_for_the_camera(nodes: Nodes) -> None:
    nodes.link(nodes.image(), nodes.principled.inputs["Alpha"])
    nodes.mix(nodes.add("ShaderNodeLightPath").outputs["Is Camera Ray"])


def _added(nodes: Nodes) -> None:
    node, clear = nodes.add("ShaderNodeAddShader"), nodes.add("ShaderNodeBsdfTransparent")
    clear.inputs["Color"].default_value = (0.3, 0.0, 0.0, 1.0)
    nodes.link(nodes.image(), nodes.principled.inputs["Alpha"])
    nodes.link(nodes.principled.outputs[0], node.inputs[0])
    nodes.link(clear.outputs[0], node.inputs[1])
    nodes.link(node.outputs[0], nodes.output.inputs["Surface"])


IMAGES: dict[str, Callable[[Nodes], None]] = {
    "alpha": _alpha(lambda n: n.image()),
    "linear": _alpha(lambda n: n.image(interpolation="Linear")),
    "colour": _alpha(lambda n: n.image("Color")),
    "grey in sRGB": _alpha(lambda n: _grey_srgb(n)),
    "dark in sRGB": _alpha(lambda n: n.math("LESS_THAN", _grey_srgb(n), 0.1)),
    "greater": _alpha(lambda n: n.math("GREATER_THAN", n.image(), 0.8)),
    "less": _alpha(lambda n: n.math("LESS_THAN", n.image(), 0.3)),
    "number greater": _alpha(lambda n: n.math("GREATER_THAN", 0.6, n.image())),
    "masked as glTF": _alpha(lambda n: n.math("SUBTRACT", 1.0, n.math("LESS_THAN", n.image(), 0.7))),
    "scaled": _alpha(lambda n: n.math("MULTIPLY", 0.7, n.math("ADD", n.image(), 0.1))),
    "group, reroute, muted": _in_a_group,
    "mix": lambda n: n.mix(n.image()),
    "mix the other way": lambda n: n.mix(n.image("Color"), transparent_first=False),
    "mix of a part": lambda n: (n.link(n.image(), n.principled.inputs["Alpha"]), n.mix(0.7)),
    "camera ray": _only_for_the_camera,
    "added": _added,
    "point mapping": _alpha(lambda n: _mapped(n, "POINT")),
    "texture mapping": _alpha(lambda n: _mapped(n, "TEXTURE")),
    "vector mapping": _alpha(lambda n: _mapped(n, "VECTOR")),
    "clipped": _alpha(lambda n: _mapped(n, "POINT", extension="CLIP", interpolation="Linear")),
    "extended": _alpha(lambda n: _mapped(n, "POINT", extension="EXTEND", interpolation="Linear")),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_cuts_as_in_cycles(card: Nodes, name: str, tmp_path: Path) -> None:
    IMAGES[name](card)
    found = classify(bpy.data.materials["Card"])
    assert isinstance(found, Cutout), found
    seen, truth = seen_by(found), seen_by_cycles(bpy.context.scene, tmp_path)
    assert 0.05 < truth.mean() < 0.95
    assert (seen == truth).mean() > 0.999, name


def _set(name: str, value: float) -> Callable[[Nodes], None]:
    return lambda nodes: setattr(nodes.principled.inputs[name], "default_value", value)


def _glass(nodes: Nodes) -> None:
    nodes.link(nodes.add("ShaderNodeBsdfGlass").outputs[0], nodes.output.inputs["Surface"])


def _volume_only(nodes: Nodes) -> None:
    nodes.link(nodes.add("ShaderNodeVolumePrincipled").outputs[0], nodes.output.inputs["Volume"])
    nodes.tree.links.remove(nodes.output.inputs["Surface"].links[0])


def _transparent(colour: tuple[float, float, float]) -> Callable[[Nodes], None]:
    def build(nodes: Nodes) -> None:
        clear = nodes.add("ShaderNodeBsdfTransparent")
        clear.inputs["Color"].default_value = (*colour, 1.0)
        nodes.link(clear.outputs[0], nodes.output.inputs["Surface"])
    return build


def _shadow_ray(nodes: Nodes) -> None:
    nodes.mix(nodes.add("ShaderNodeLightPath").outputs["Is Shadow Ray"], transparent_first=False)


CONSTANT: dict[str, tuple[type, Callable[[Nodes], None]]] = {
    "as made": (Solid, lambda nodes: None),
    "glass": (Solid, _glass),
    "transmission": (Solid, _set("Transmission Weight", 1.0)),
    "no alpha": (Invisible, _set("Alpha", 0.0)),
    "transparent": (Invisible, _transparent((1.0, 1.0, 1.0))),
    "dark transparent": (Solid, _transparent((0.0, 0.0, 0.0))),
    "mixed away": (Invisible, lambda nodes: nodes.mix(0.0)),
    "not mixed": (Solid, lambda nodes: nodes.mix(1.0)),
    "shadow ray": (Solid, _shadow_ray),
    "only a volume": (Invisible, _volume_only),
    "nothing": (Solid, lambda nodes: nodes.tree.links.remove(nodes.output.inputs["Surface"].links[0])),
    "a colour": (Solid, lambda nodes: nodes.link(nodes.add("ShaderNodeRGB").outputs[0], nodes.output.inputs["Surface"])),
    "no output": (Solid, lambda nodes: nodes.tree.nodes.remove(nodes.output)),
    "an image without alpha": (Solid, _alpha(lambda n: _without_alpha(n))),
    "no image": (Solid, _alpha(lambda n: n.add("ShaderNodeTexImage").outputs["Alpha"])),
    "no image's colour": (Invisible, _alpha(lambda n: n.add("ShaderNodeTexImage").outputs["Color"])),
    "nothing greater": (Invisible, _alpha(lambda n: n.math("GREATER_THAN", 0.3, 0.4))),
}


def _without_alpha(nodes: Nodes) -> bpy.types.NodeSocket:
    socket = nodes.image()
    socket.node.image.alpha_mode = "NONE"
    return socket


@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_is_solid_or_invisible_as_in_cycles(card: Nodes, name: str, tmp_path: Path) -> None:
    kind, build = CONSTANT[name]
    build(card)
    assert isinstance(classify(bpy.data.materials["Card"]), kind)
    assert (seen_by_cycles(bpy.context.scene, tmp_path) == (kind is Solid)).all()


def _noise(nodes: Nodes) -> None:
    nodes.link(nodes.add("ShaderNodeTexNoise").outputs["Factor"], nodes.principled.inputs["Alpha"])


def _displaced(nodes: Nodes) -> None:
    nodes.link(nodes.add("ShaderNodeDisplacement").outputs[0], nodes.output.inputs["Displacement"])
    bpy.data.materials["Card"].displacement_method = "BOTH"


def _animated(nodes: Nodes) -> None:
    nodes.principled.inputs["Alpha"].keyframe_insert("default_value", frame=1)


def _driven(nodes: Nodes) -> None:
    nodes.mix(0.5)
    nodes.output.inputs["Surface"].links[0].from_node.inputs[0].driver_add("default_value")


def _sequence(nodes: Nodes) -> None:
    socket = nodes.image()
    socket.node.image.source = "SEQUENCE"
    nodes.link(socket, nodes.principled.inputs["Alpha"])


def _thin_wall(nodes: Nodes) -> None:
    nodes.principled.inputs["Thin Wall"].default_value = True
    nodes.principled.inputs["Transmission Weight"].default_value = 1.0


def _shader(kind: str) -> Callable[[Nodes], None]:
    return lambda nodes: nodes.link(nodes.add(kind).outputs[0], nodes.output.inputs["Surface"])


UNSUPPORTED: dict[str, tuple[str, Callable[[Nodes], None]]] = {
    "noise": ("Noise Texture", _noise),
    "displacement": ("displacement by 'Displacement'", _displaced),
    "animated": ("'Alpha' of node 'Principled BSDF' is animated", _animated),
    "driven": ("'Factor' of node 'Mix Shader' is animated", _driven),
    "sequence": ("image 'Leaf' is animated", _sequence),
    "two images": ("images 'Leaf' and 'Leaf.001'", _alpha(lambda n: n.math("MULTIPLY", n.image(), n.image()))),
    "smooth": ("flat and linear", _alpha(lambda n: n.image(interpolation="Cubic"))),
    "thin wall": ("thin wall", _thin_wall),
    "holdout": ("Holdout", _shader("ShaderNodeHoldout")),
    "portal": ("Ray Portal", _shader("ShaderNodeBsdfRayPortal")),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_only_cycles_can_draw_is_named(card: Nodes, name: str) -> None:
    reason, build = UNSUPPORTED[name]
    build(card)
    found = classify(bpy.data.materials["Card"])
    assert isinstance(found, Unsupported) and reason in found.reason
    assert needs_cycles(bpy.data.objects["Plane"]) == f"material 'Card': {found.reason}"


def test_the_rasteriser_cuts_as_cycles(card: Nodes, tmp_path: Path) -> None:
    card.link(_mapped(card, "POINT"), card.principled.inputs["Alpha"])
    assert needs_cycles(bpy.data.objects["Plane"]) is None
    scene = bpy.context.scene
    drawn = np.isfinite(captured(scene, tmp_path, size=SIZE).depth())
    assert (drawn == seen_by_cycles(scene, tmp_path)).mean() > 0.998


def test_bump_is_drawn_by_the_rasteriser(card: Nodes) -> None:
    _displaced(card)
    bpy.data.materials["Card"].displacement_method = "BUMP"
    assert isinstance(classify(bpy.data.materials["Card"]), Solid)


def test_hair_points_and_strokes_are_told_apart(empty: bpy.types.Scene) -> None:
    curves = bpy.data.objects.new("Hair", bpy.data.hair_curves.new("Hair"))
    points = bpy.data.objects.new("Points", bpy.data.pointclouds.new("Points"))
    strokes = bpy.data.objects.new("Strokes", bpy.data.grease_pencils.new("Strokes"))
    cube = add_cube("Cube")
    assert [needs_cycles(item) for item in (curves, points, strokes, cube)] == ["hair curves", "a point cloud", None, None]
    assert [never_captured(item) for item in (curves, strokes, cube)] == [None, "Grease Pencil strokes", None]


def test_particle_hair_needs_cycles_while_it_is_rendered(empty: bpy.types.Scene) -> None:
    cube = add_cube("Cube")
    cube.modifiers.new("Fur", "PARTICLE_SYSTEM").particle_system.settings.type = "HAIR"
    assert needs_cycles(cube) == "particle hair"
    cube.modifiers["Fur"].show_render = False
    assert needs_cycles(cube) is None


def test_volumes_are_told_by_object_and_by_material(card: Nodes) -> None:
    cloud = bpy.data.objects.new("Cloud", bpy.data.volumes.new("Cloud"))
    plane = bpy.data.objects["Plane"]
    assert is_volume(cloud) and not is_volume(plane)
    _volume_only(card)
    assert is_volume(plane)


def test_a_slot_of_the_object_goes_before_the_mesh(card: Nodes) -> None:
    plane, other = bpy.data.objects["Plane"], bpy.data.materials.new("Other")
    plane.material_slots[0].link = "OBJECT"
    plane.material_slots[0].material = other
    assert materials_of(plane) == [other]
