# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves as keys on the camera: what a crew calls pan, dolly, orbit, with the words and signs by which
``inference/conditioning/moves.py`` names them in a path."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ..inference.errors import LucidError
from .move_keys import Animated, Array, eased, rotation_matrix, rotation_of, rotation_values, tremble, write
from .move_settings import AIMED, AMOUNTS, KINDS
from .move_targets import Target, find_target
from .translation import iface_, n_, rpt_

_UP = np.array([0.0, 0.0, 1.0])
_MOVED = 1e-5           # metres: a target that moves less stands still
_LENSES = (1.0, 5000.0)     # mm: the shortest and the longest that Blender has
_DELTAS = {"delta_location": 0.0, "delta_rotation_euler": 0.0}
_SIDES, _HEIGHTS, _DEPTHS = (n_("right"), n_("left")), (n_("up"), n_("down")), (n_("in"), n_("out"))
_SIGNS = {"PAN": _SIDES, "TILT": _HEIGHTS, "ZOOM": _DEPTHS, "DOLLY": _DEPTHS, "TRUCK": _SIDES, "PEDESTAL": _HEIGHTS,
          "CRANE": _HEIGHTS, "ORBIT": _SIDES, "DOLLY_ZOOM": _DEPTHS}


@dataclass(frozen=True)
class MoveSpec:
    """A move from frame ``start`` on, ``duration`` frames long. Of ``angle`` and ``shake`` (radians), ``distance`` (Blender's
    units) and ``factor``, the one of its ``kind`` counts; ``target`` None: the automatic one."""

    kind: str
    start: int
    duration: int
    easing: str = "EASE_IN_OUT"
    angle: float = 0.0
    distance: float = 0.0
    factor: float = 1.0
    shake: float = 0.0
    target: bpy.types.Object | None = None

    @property
    def frames(self) -> range:
        """Both ends included."""
        return range(self.start, self.start + self.duration + 1)


@dataclass(frozen=True)
class Track:
    """What a move gives frame by frame; None is left alone. ``position`` (F, 3), ``rotation`` (F, 3, 3), ``lens`` (F,);
    ``easing`` is how they depend on time."""

    easing: str
    position: Array | None = None
    rotation: Array | None = None
    lens: Array | None = None


@dataclass(frozen=True)
class _Begin:
    """The camera as the move starts: ``position`` (3,), ``rotation`` (3, 3), ``lens`` in mm, or the orthographic scale."""

    position: Array
    rotation: Array
    lens: float

    @property
    def ahead(self) -> Array:
        return -self.rotation[:, 2]


def next_start(scene: bpy.types.Scene, camera: bpy.types.Object) -> int:
    """The frame of the last key of the camera's place, rotation or lens; without keys, the scene's first."""
    keyed = (*_location_and_rotation(camera), _lens(camera))
    last = [curve.keyframe_points[-1].co.x for item in keyed for curve in item.curves().values()]
    return math.ceil(max(last) - 1e-3) if last else scene.frame_start


def add_move(context: bpy.types.Context, camera: bpy.types.Object, spec: MoveSpec) -> str:
    """Key the move on the camera and say what was done, as "Pan right, frames 1 to 49".

    Moves that change other properties in these frames (a pan during a truck) stay, and so do keys outside them. Raises
    MOVE_CAMERA for a camera that something else moves, MOVE_KEYS where keys would not decide alone, MOVE_AMOUNT, MOVE_TARGET
    and MOVE_LENS; then nothing has been changed.
    """
    _check(camera, spec)
    location, rotation = _location_and_rotation(camera)
    lens = _lens(camera)
    turned = rotation.values(spec.start)
    begin = _Begin(location.values(spec.start), rotation_matrix(camera.rotation_mode, turned),
                   float(lens.values(spec.start)[0]))
    if spec.kind == "HANDHELD":
        rotation.check()
        tremble(rotation, spec.start, spec.frames[-1], spec.shake, context.scene.render.fps / context.scene.render.fps_base)
        track, about = Track("LINEAR"), ""
    else:
        track, about = _track(context, camera, spec, begin)
    values = {location: track.position, lens: None if track.lens is None else track.lens[:, None],
              rotation: None if track.rotation is None else rotation_values(camera.rotation_mode, track.rotation, turned)}
    written = {item: rows for item, rows in values.items() if rows is not None}
    for item in written:
        item.check()
    for item, rows in written.items():
        write(item, spec.start, rows, track.easing)
    for owner in {item.owner for item in written} | ({camera} if spec.kind == "HANDHELD" else set()):
        owner.animation_data.action.update_tag()    # not by frame_set: elsewhere it would drop a pose that is not keyed yet
        owner.update_tag()
    context.view_layer.update()
    text = rpt_("{move} on '{target}', frames {first} to {last}") if about else rpt_("{move}, frames {first} to {last}")
    return text.format(move=_told(spec), target=about, first=spec.start, last=spec.frames[-1])


def _track(context: bpy.types.Context, camera: bpy.types.Object, spec: MoveSpec, begin: _Begin) -> tuple[Track, str]:
    """The move, and whom it is about: "" for none."""
    part = eased(spec.easing, spec.duration)
    if spec.kind not in AIMED:
        return _plain(spec, begin, part, camera.data.type == "ORTHO"), ""
    target = find_target(context, camera, spec.target, spec.start, begin.position, begin.ahead, whole=spec.kind == "TRACK")
    points = target.points(context, spec.frames if spec.kind != "CRANE" else spec.frames[:1])
    moves = bool(np.ptp(points, axis=0).max() > _MOVED)
    if spec.kind == "TRACK" and not moves:
        raise LucidError("MOVE_TARGET", f"'{target.name}' does not move in these frames", "choose what moves, or other frames")
    track = {"CRANE": _crane, "ORBIT": _orbit, "TRACK": _tracking, "DOLLY_ZOOM": _dolly_zoom}[spec.kind](
        spec, begin, part, points, target)
    return Track("LINEAR" if moves else spec.easing, track.position, track.rotation, track.lens), target.name


def _plain(spec: MoveSpec, begin: _Begin, part: Array, orthographic: bool) -> Track:
    if spec.kind == "PAN":
        return Track(spec.easing, rotation=_turns(_UP, -spec.angle * part) @ begin.rotation)
    if spec.kind == "TILT":
        return Track(spec.easing, rotation=_turns(begin.rotation[:, 0], spec.angle * part) @ begin.rotation)
    if spec.kind == "ZOOM":
        last = begin.lens / spec.factor if orthographic else begin.lens * spec.factor
        return Track(spec.easing, lens=_lenses(begin.lens + (last - begin.lens) * part, orthographic))
    way = {"DOLLY": begin.ahead, "TRUCK": begin.rotation[:, 0], "PEDESTAL": _UP}[spec.kind]
    return Track(spec.easing, begin.position + spec.distance * part[:, None] * way)


def _crane(spec: MoveSpec, begin: _Begin, part: Array, points: Array, _target: Target) -> Track:
    """Tilts by what the target's elevation changes, so that the horizon stays level."""
    position = begin.position + spec.distance * part[:, None] * _UP
    offset = points[0] - position
    elevation = np.arctan2(offset[:, 2], np.linalg.norm(offset[:, :2], axis=1))
    return Track(spec.easing, position, _turns(begin.rotation[:, 0], elevation - elevation[0]) @ begin.rotation)


def _orbit(spec: MoveSpec, begin: _Begin, part: Array, points: Array, target: Target) -> Track:
    """The camera and its rotation turn about the vertical through the target, which so stays where it is in the picture."""
    arm = begin.position - points[0]
    if np.linalg.norm(arm[:2]) <= 1e-6 * max(1.0, float(np.linalg.norm(arm))):
        raise LucidError("MOVE_TARGET", f"the camera is straight above or below '{target.name}'", "move it to the side")
    turns = _turns(_UP, spec.angle * part)
    return Track(spec.easing, points + turns @ arm, turns @ begin.rotation)


def _tracking(spec: MoveSpec, begin: _Begin, _part: Array, points: Array, _target: Target) -> Track:
    return Track(spec.easing, begin.position + points - points[0])


def _dolly_zoom(spec: MoveSpec, begin: _Begin, part: Array, points: Array, target: Target) -> Track:
    """A length at depth z is ``lens * length / z`` large in the picture, so the lens goes with the depth."""
    position = begin.position + spec.distance * part[:, None] * begin.ahead
    depth = (points - position) @ begin.ahead
    if depth.min() <= 1e-3 * abs(float(depth[0])) or depth[0] <= 0.0:
        raise LucidError("MOVE_LENS", f"the camera would reach '{target.name}', or it is behind the camera",
                         "choose a shorter distance, or another target")
    return Track(spec.easing, position, lens=_lenses(begin.lens * depth / depth[0], orthographic=False))


def _lenses(lens: Array, orthographic: bool) -> Array:
    if not orthographic and not (lens.min() >= _LENSES[0] and lens.max() <= _LENSES[1]):
        raise LucidError("MOVE_LENS", f"no lens goes from {lens[0]:.4g} to {lens[-1]:.4g} mm", "choose a smaller amount")
    return lens


def _turns(axis: Array, angles: Array) -> Array:
    """(F, 3, 3) rotations about a unit ``axis`` (3,) by ``angles`` (F,), counterclockwise seen from its tip (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross)


def _location_and_rotation(camera: bpy.types.Object) -> tuple[Animated, Animated]:
    return Animated(camera, "location", 3, "Object Transforms"), rotation_of(camera)


def _lens(camera: bpy.types.Object) -> Animated:
    return Animated(camera.data, "ortho_scale" if camera.data.type == "ORTHO" else "lens", 1)


def _check(camera: bpy.types.Object, spec: MoveSpec) -> None:
    if spec.kind in AMOUNTS:
        amount = getattr(spec, AMOUNTS[spec.kind])
        if amount == (1.0 if spec.kind == "ZOOM" else 0.0):
            raise LucidError("MOVE_AMOUNT", f"the {AMOUNTS[spec.kind]} of the move is {amount:g}: nothing would move",
                             "choose another one")
    kind = camera.data.type
    if spec.kind == "DOLLY_ZOOM" and kind != "PERSP" or spec.kind == "ZOOM" and kind not in ("PERSP", "ORTHO"):
        raise LucidError("MOVE_LENS", f"the camera '{camera.name}' has no focal length: it is {kind.lower()}",
                         "make it perspective")
    reason = next(_movers(camera), None) if spec.kind != "ZOOM" else None
    if reason is not None:
        raise LucidError("MOVE_CAMERA", f"the camera '{camera.name}' {reason}",
                         "animate that, or bake the camera to keys first (Object > Animation > Bake Action)")


def _movers(camera: bpy.types.Object) -> Iterator[str]:
    """What else moves the camera, so that keys would mean something else than they say."""
    if camera.parent is not None:
        yield f"goes with its parent '{camera.parent.name}'"
    for constraint in camera.constraints:
        if constraint.enabled and constraint.influence > 0.0:
            yield f"is moved by its constraint '{constraint.name}'"
    if any(np.any(np.array(getattr(camera, name)) != rest) for name, rest in _DELTAS.items()) \
            or tuple(camera.delta_rotation_quaternion) != (1.0, 0.0, 0.0, 0.0):
        yield "has delta transforms"


def _told(spec: MoveSpec) -> str:
    label = next(label for name, label, _text in KINDS if name == spec.kind)
    if spec.kind not in _SIGNS:
        return iface_(label)
    amount = getattr(spec, AMOUNTS[spec.kind]) - (1.0 if spec.kind == "ZOOM" else 0.0)
    return f"{iface_(label)} {iface_(_SIGNS[spec.kind][int(amount < 0.0)])}"
