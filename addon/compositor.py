# SPDX-License-Identifier: GPL-3.0-or-later
"""A take in the compositor: a node group that rebuilds the final from the take's layers, each with a factor of its own.

The sums are the worker's. A layer's alpha is its visible coverage m, and the *over* of alphas derived from disjoint
coverages is a sum: picture = sum of w c + (1 - sum of w) environment, with w = min(factor m, what nearer layers leave
free). Shadows lie on the environment alone, volumes veil the whole (both captured, scene-linear). All of it is done in the
compositor's scene-linear space on straight colours, so the files' alpha is read apart from their colour.

With every factor at 1 it is the final. A factor between 0 and 1 fades a layer; where an actor is off the environment is
seen. Where the environment is off the output is transparent, premultiplied as the compositor wants it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..inference.conditioning.transfer import codes_to_linear
from ..inference.errors import LucidError
from ..inference.shot.images import read_png
from ..inference.shot.model import Kind, Layer, Shot
from ..inference.shot.paths import frame_path
from ..inference.shot.takes import Take
from .strips import blend_path
from .timeline import COMPOSITE_SPACE, COMPOSITING, exact_scene, source_scene
from .verified import VerifiedTake

_MOST_ADDED = 3.0           # the worker takes ratios up to 4 at their word: 3 times the picture is added
_NO_COLOUR = "Non-Color"
_OUT = "Image"
_ROW = 420.0                # of nodes, in the editor's units
_GROUP = "lucid_group"      # on a tree that was made here

Input = Any                 # a socket, or a number or vector for one that nothing is linked to


def compositor_group(scene: bpy.types.Scene, found: VerifiedTake) -> tuple[bpy.types.Scene, bpy.types.NodeTree]:
    """The group of a finished take, in the compositor of a scene that shows values as they are; returns both.

    That scene ("NAME compositor") is made once for each shot's size, rate and range; ``scene`` is not touched. A take whose
    group is in the file already gets that one. ``found`` was verified with what was captured. Raises FRAMES_NEGATIVE and
    COLOUR_CONFIG; then nothing has been changed.
    """
    shot, take, shot_folder, patterns = found.shot, found.take, found.shot_folder, dict(found.sequences)
    if shot.frames.start < 0:
        raise LucidError("FRAMES_NEGATIVE", f"{shot.name} starts at frame {shot.frames.start}, and the compositor reads no "
                         "image sequence before frame 0", "use the timeline, or capture the shot at later frames")
    _check_working_space(shot)
    place = _compositing_scene(scene, shot)
    group = next((tree for tree in bpy.data.node_groups if _reads(tree, take.folder)), None)
    if group is None:
        group = _Group(shot_folder, shot, take, patterns).tree
        group[_GROUP] = True
    _put(place.compositing_node_group, group)
    return place, group


def group_name(shot: Shot, take: Take) -> str:
    return f"Lucid {shot.name} take {take.number}"


def _reads(tree: bpy.types.NodeTree, folder: Path) -> bool:
    """Whether it is a group of the take, or of one of the takes, in ``folder``, whatever it was renamed to."""
    if not tree.get(_GROUP):
        return False
    images = [node.image for node in tree.nodes if node.bl_idname == "CompositorNodeImage" and node.image is not None]
    return any(Path(bpy.path.abspath(image.filepath)).resolve().is_relative_to(folder) for image in images)


def _check_working_space(shot: Shot) -> None:
    """*Over* is the same in every linear space, a ratio of light is not. Raises COLOUR_CONFIG."""
    space = bpy.data.colorspace.working_space
    if space != COMPOSITE_SPACE and not all(layer.is_painted for layer in shot.layers):
        raise LucidError("COLOUR_CONFIG", f"the file works in {space}, shadows and volumes in {COMPOSITE_SPACE}",
                         f"set Render Properties > Color Management > Working Space to {COMPOSITE_SPACE}, or use the timeline")


def _compositing_scene(scene: bpy.types.Scene, shot: Shot) -> bpy.types.Scene:
    source, mark = source_scene(scene), repr((shot.size, shot.rate, shot.frames, shot.pixel_aspect))
    found = next((other for other in bpy.data.scenes if other.lucid.source == source and other.get(COMPOSITING) == mark), None)
    made = found or exact_scene(source, shot, f"{source.name} compositor")
    made[COMPOSITING] = mark
    if made.compositing_node_group is None:
        tree = bpy.data.node_groups.new(made.name, "CompositorNodeTree")
        tree.interface.new_socket(_OUT, in_out="OUTPUT", socket_type="NodeSocketColor")
        tree.nodes.new("NodeGroupOutput").location = (400, 0)
        made.compositing_node_group = tree
    return made


def _put(tree: bpy.types.NodeTree, group: bpy.types.NodeTree) -> None:
    """The group's node, made once, is what the tree gives; other takes' nodes stay beside it."""
    nodes = [node for node in tree.nodes if node.bl_idname == "CompositorNodeGroup"]
    node = next((node for node in nodes if node.node_tree == group), None)
    if node is None:
        node = tree.nodes.new("CompositorNodeGroup")
        node.node_tree, node.width, node.location = group, 240, (0, -260 * len(nodes))
    out = next((each for each in tree.nodes if each.bl_idname == "NodeGroupOutput"), None)
    if out is None:
        out = tree.nodes.new("NodeGroupOutput")
    tree.links.new(node.outputs[0], out.inputs[0])


def show_layers(shot_folder: Path, hidden: Collection[str]) -> None:
    """Switch layers off, and those that were off and are not among ``hidden`` on again, wherever a group of a take of this shot
    is used; other factors stay."""
    groups = [tree for tree in bpy.data.node_groups if _reads(tree, shot_folder.resolve() / "takes")]
    for node in (node for tree in bpy.data.node_groups for node in tree.nodes):
        if node.bl_idname != "CompositorNodeGroup" or node.node_tree not in groups:
            continue
        for factor in node.inputs:
            if factor.name in hidden:
                factor.default_value = 0.0
            elif factor.default_value == 0.0:
                factor.default_value = 1.0


def groups_showing(take: Take) -> list[bpy.types.NodeTree]:
    """The groups of a take in this file."""
    folder = take.folder.resolve()
    return [tree for tree in bpy.data.node_groups if tree.library is None and _reads(tree, folder)]


def remove_groups(take: Take) -> int:
    """Remove :func:`groups_showing` it, their nodes in compositors and the images that nothing else uses; returns how many
    groups there were. A compositor that gave such a group gives the last of the others that it has."""
    groups = groups_showing(take)
    for tree in [tree for tree in bpy.data.node_groups if tree.library is None and tree not in groups]:
        nodes = [node for node in tree.nodes if node.bl_idname == "CompositorNodeGroup"]
        left = [node.node_tree for node in nodes if node.node_tree is not None and node.node_tree.get(_GROUP)
                and node.node_tree not in groups]
        gone = [node for node in nodes if node.node_tree in groups]
        gave = any(link.from_node in gone and link.to_node.bl_idname == "NodeGroupOutput" for link in tree.links)
        for node in gone:
            tree.nodes.remove(node)
        if gave and left:
            _put(tree, left[-1])
    for tree in groups:
        images = [node.image for node in tree.nodes if node.bl_idname == "CompositorNodeImage" and node.image is not None]
        bpy.data.node_groups.remove(tree)
        bpy.data.batch_remove([image for image in dict.fromkeys(images) if not image.users])
    return len(groups)


class _Group:
    """The nodes of one take: a framed row for each layer, from left to right as they are made."""

    def __init__(self, folder: Path, shot: Shot, take: Take, patterns: dict[str, str]) -> None:
        self.folder, self.shot, self.take, self.patterns = folder, shot, take, patterns
        self.tree = bpy.data.node_groups.new(group_name(shot, take), "CompositorNodeTree")
        self.column = self.row = self.pictures = 0
        self.frame: bpy.types.Node | None = None
        self.tree.interface.new_socket(_OUT, in_out="OUTPUT", socket_type="NodeSocketColor")
        names = {self._factor(layer): layer.name for layer in shot.layers}
        given = self.tree.nodes.new("NodeGroupInput")
        given.location = (-400.0, -_ROW)
        factors = {names[socket.identifier]: socket for socket in given.outputs if socket.identifier in names}
        picture, alpha = self._painted(factors)
        volume = next((layer for layer in shot.layers if layer.kind is Kind.VOLUME), None)
        if volume is not None:
            picture, alpha = self._veiled(picture, alpha, volume, factors[volume.name])
        self._finish(picture, alpha)

    def _factor(self, layer: Layer) -> str:
        """Its identifier: an interface that changes makes its sockets anew."""
        socket = self.tree.interface.new_socket(layer.name, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.subtype, socket.min_value, socket.max_value, socket.default_value = "FACTOR", 0.0, 1.0, 1.0
        socket.description = f"How much of the {layer.kind.value} layer is seen: 1 as in the final, 0 nothing"
        return str(socket.identifier)

    def _painted(self, factors: dict[str, Input]) -> tuple[Input, Input]:
        """Premultiplied colour and alpha of the environment in its shadows under the actors."""
        free: Input = 1.0
        picture: Input = (0.0, 0.0, 0.0)
        for layer in reversed(self.shot.actors):
            self._stage(layer.name)
            colour, cover = self._image(layer.name, self.take.folder, self.patterns[layer.name], "sRGB")
            weight = self._math("MINIMUM", self._math("MULTIPLY", cover, factors[layer.name]), free)
            free = self._math("SUBTRACT", free, weight)
            picture = self._vector("MULTIPLY_ADD", colour, weight, picture)
        environment = self.shot.environment
        seen = factors[environment.name]
        self._stage(environment.name)
        behind, _ = self._image(environment.name, self.take.folder, self.patterns[environment.name], "sRGB")
        behind = self._vector("MULTIPLY", behind, seen)
        shadow = next((layer for layer in self.shot.layers if layer.kind is Kind.SHADOW), None)
        if shadow is not None:
            behind = self._shadowed(behind, shadow, self._math("MULTIPLY", factors[shadow.name], seen))
        self._stage("actors over it")
        picture = self._vector("MULTIPLY_ADD", behind, free, picture)
        hidden = self._math("MULTIPLY", free, self._math("SUBTRACT", 1.0, seen))
        return picture, self._math("SUBTRACT", 1.0, hidden)

    def _shadowed(self, picture: Input, layer: Layer, strength: Input) -> Input:
        """max(picture + strength added, 0). ``added`` is the captured difference, held between what the ratio, at most 4, and the
        ratio itself add; where the ratio is exactly 1 (a black plate) it is the difference as it is."""
        self._stage(layer.name)
        ratio, _ = self._captured(layer, "ratio", _NO_COLOUR)
        difference, _ = self._captured(layer, "difference", COMPOSITE_SPACE)
        beyond = self._vector("SUBTRACT", ratio, (1.0, 1.0, 1.0))
        least = self._vector("MULTIPLY", picture, self._vector("MINIMUM", beyond, (_MOST_ADDED,) * 3))
        most = self._vector("MULTIPLY", picture, beyond)
        held = self._vector("MINIMUM", self._vector("MAXIMUM", difference, least), most)
        speaks = self._vector("ABSOLUTE", self._vector("SIGN", beyond))        # 0 where the ratio is 1
        added = self._vector("MULTIPLY_ADD", speaks, self._vector("SUBTRACT", held, difference), difference)
        return self._vector("MAXIMUM", self._vector("MULTIPLY_ADD", added, strength, picture), (0.0, 0.0, 0.0))

    def _veiled(self, picture: Input, alpha: Input, layer: Layer, strength: Input) -> tuple[Input, Input]:
        """picture (1 - taken) + strength emission + taken ambient, where taken = strength (1 - transmittance)."""
        self._stage(layer.name)
        through, _ = self._captured(layer, "transmittance", _NO_COLOUR)
        emission, _ = self._captured(layer, "emission", COMPOSITE_SPACE)
        clear = self._vector("MINIMUM", self._vector("MAXIMUM", through, (0.0,) * 3), (1.0,) * 3)
        taken = self._vector("MULTIPLY", self._vector("SUBTRACT", (1.0,) * 3, clear), strength)
        left = self._vector("MULTIPLY", picture, self._vector("SUBTRACT", (1.0,) * 3, taken))
        lit = self._vector("MULTIPLY_ADD", emission, strength, left)
        veil = self._vector("DOT_PRODUCT", taken, (1.0 / 3.0,) * 3)
        alpha = self._math("ADD", alpha, self._math("MULTIPLY", self._math("SUBTRACT", 1.0, alpha), veil))
        return self._vector("MULTIPLY_ADD", taken, self._ambient(), lit), alpha

    def _ambient(self) -> tuple[float, ...]:
        """The mean light of the environment over the take: what a volume scatters towards the camera."""
        pattern = self.patterns[self.shot.environment.name]
        means = [codes_to_linear(read_png(self.take.folder / frame_path(pattern, frame))[..., :3]).mean((0, 1), np.float64)
                 for frame in self.shot.frames.numbers]
        return tuple(float(value) for value in np.mean(means, 0))

    # ---- nodes

    def _stage(self, label: str) -> None:
        self.frame = self.tree.nodes.new("NodeFrame")
        self.frame.label = label
        self.row, self.column, self.pictures = self.row + 1, 0, 0

    def _place(self, node: bpy.types.Node, x: float, y: float) -> None:
        node.parent = self.frame
        node.location = (x, y - _ROW * self.row)

    def _captured(self, layer: Layer, name: str, space: str) -> tuple[Input, Input]:
        return self._image(f"{layer.name} {name}", self.folder, layer.sequence(name).pattern, space)

    def _image(self, name: str, folder: Path, pattern: str, space: str) -> tuple[Input, Input]:
        """Straight colour and alpha of a sequence, each file at the scene frame that it is named by."""
        frames = self.shot.frames
        path = folder / frame_path(pattern, frames.start)
        image = bpy.data.images.load(str(path))
        image.name = f"{self.tree.name} · {name}"
        image.source, image.alpha_mode, image.colorspace_settings.name = "SEQUENCE", "CHANNEL_PACKED", space
        image.filepath = blend_path(path)
        node = self.tree.nodes.new("CompositorNodeImage")
        node.image, node.label = image, name
        self._place(node, 200.0 * self.pictures, 0.0)
        self.pictures += 1
        node.frame_start, node.frame_duration = frames.start, frames.end - frames.start + 1
        node.frame_offset = frames.start - 1
        if frames.step > 1:
            self._hold(node)
        return node.outputs[0], node.outputs[1]

    def _hold(self, node: bpy.types.Node) -> None:
        """With a step, each image is held until the next: the offset goes back by one a frame in between."""
        frames = self.shot.frames
        for image in frames.numbers:
            for frame in range(image, min(image + frames.step, frames.end + 1)):
                node.frame_offset = frames.start - 1 - (frame - image)
                node.keyframe_insert("frame_offset", frame=frame)

    def _math(self, operation: str, *inputs: Input) -> bpy.types.NodeSocket:
        return self._node("ShaderNodeMath", operation, inputs).outputs[0]

    def _vector(self, operation: str, *inputs: Input) -> bpy.types.NodeSocket:
        node = self._node("ShaderNodeVectorMath", operation, inputs)
        return node.outputs["Value" if operation == "DOT_PRODUCT" else "Vector"]

    def _node(self, kind: str, operation: str, inputs: tuple[Input, ...]) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        node.operation, node.hide = operation, True
        self._place(node, 450.0 + 160.0 * self.column, -40.0 * (self.column % 4))
        self.column += 1
        for socket, value in zip(node.inputs, inputs, strict=False):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def _finish(self, picture: Input, alpha: Input) -> None:
        last = self.tree.nodes.new("CompositorNodeSetAlpha")
        last.inputs["Type"].default_value = "Replace Alpha"
        out = self.tree.nodes.new("NodeGroupOutput")
        self._place(last, 500.0 + 160.0 * self.column, 0.0)
        out.location = (900.0 + 160.0 * self.column, -_ROW * self.row)
        self.tree.links.new(picture, last.inputs["Image"])
        self.tree.links.new(alpha, last.inputs["Alpha"])
        self.tree.links.new(last.outputs[0], out.inputs[0])
