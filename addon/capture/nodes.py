# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading shader nodes from their ends: what feeds a socket, through groups, reroutes and muted nodes, and constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector
from numpy.typing import NDArray

# the group nodes that a socket is inside of, the innermost last
Groups = tuple[bpy.types.Node, ...]


class NotPlain(Exception):
    """The nodes do more than is understood here; the message names one."""


def followed(socket: bpy.types.NodeSocket, groups: Groups,
              ) -> tuple[bpy.types.NodeSocket, Groups, bpy.types.NodeSocket | None]:
    """Go back along links, through reroutes, muted nodes and node groups, to (the last input socket, the groups it is
    in, the output that feeds it or None)."""
    while True:
        link = next((link for link in socket.links if not link.is_muted), None)
        if link is None:
            return socket, groups, None
        node, source = link.from_node, link.from_socket
        if node.mute or node.type == "REROUTE":
            inner = node.inputs[0] if node.type == "REROUTE" else next(
                (link.from_socket for link in node.internal_links if link.to_socket == source), None)
            if inner is None or not inner.is_linked:
                raise NotPlain(f"node '{node.name}' passes nothing on")
            socket = inner
        elif node.type == "GROUP" and node.node_tree is not None:
            end = next((n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output), None)
            if end is None:
                raise NotPlain(f"group '{node.name}' has no output")
            socket, groups = _by_identifier(end.inputs, source), (*groups, node)
        elif node.type == "GROUP_INPUT" and groups:
            socket, groups = _by_identifier(groups[-1].inputs, source), groups[:-1]
        else:
            return socket, groups, source


def _by_identifier(sockets: Sequence[bpy.types.NodeSocket], like: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    return next(socket for socket in sockets if socket.identifier == like.identifier)


def _unlinked(socket: bpy.types.NodeSocket, groups: Groups) -> tuple[float, ...]:
    socket, _, source = followed(socket, groups)
    if source is not None:
        raise NotPlain(f"node '{source.node.name}' moves the image")
    return constant(socket)


def constant(socket: bpy.types.NodeSocket) -> tuple[float, ...]:
    """The socket's own value, as components."""
    path = socket.path_from_id("default_value")
    if path in _animated(socket.id_data.animation_data):
        raise NotPlain(f"'{socket.name}' of node '{socket.node.name}' is animated")
    value = socket.default_value
    return (float(value),) if isinstance(value, (bool, int, float)) else tuple(value)


def _animated(animation: bpy.types.AnimData | None) -> Iterator[str]:
    """Data paths that actions, strips and drivers move."""
    if animation is None:
        return
    yield from (driver.data_path for driver in animation.drivers)
    actions = [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
    for action in filter(None, actions):
        yield from (curve.data_path for layer in action.layers for strip in layer.strips
                    for bag in strip.channelbags for curve in bag.fcurves)


def coordinates(socket: bpy.types.NodeSocket, groups: Groups) -> tuple[str, NDArray[np.float64]]:
    """The UV map behind a vector socket and the affine map (4, 4) on the way."""
    _, groups, source = followed(socket, groups)
    node = None if source is None else source.node
    if node is not None and node.type == "UVMAP" and not node.from_instancer:
        return node.uv_map, np.eye(4)
    if node is not None and node.type == "TEX_COORD" and source.name == "UV" and not node.from_instancer:
        return "", np.eye(4)
    if node is not None and node.type == "MAPPING" and node.vector_type != "NORMAL":
        uv_map, before = coordinates(node.inputs["Vector"], groups)
        turn, size = (Vector(_unlinked(node.inputs[name], groups)) for name in ("Rotation", "Scale"))
        place = Vector() if node.vector_type == "VECTOR" else Vector(_unlinked(node.inputs["Location"], groups))
        return uv_map, _mapping(node.vector_type, place, turn, size) @ before
    raise NotPlain(f"node '{socket.node.name if node is None else node.name}' moves the image")


def _mapping(kind: str, place: Vector, turn: Vector, size: Vector) -> NDArray[np.float64]:
    """Cycles' mapping node as a matrix; a texture's size of 0 gives 0."""
    moved, turned = Matrix.Translation(place), Euler(turn).to_matrix().to_4x4()
    if kind == "TEXTURE":
        scaled = Matrix.Diagonal((*(1.0 / s if s else 0.0 for s in size), 1.0))
        return np.array(scaled @ turned.inverted() @ moved.inverted(), np.float64)
    return np.array(moved @ turned @ Matrix.Diagonal((*size, 1.0)), np.float64)
