# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves as ordinary F-curves: few Bezier keys that follow given values, one key where moves meet.

Every easing is a cubic of time, and a Bezier segment whose handles are a third of it long is one too. So a move along a line
is exact with its first and last key; a bent one gets as many keys as it needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from bpy_extras import anim_utils
from mathutils import Euler, Matrix, Quaternion, Vector
from numpy.typing import NDArray

from ..inference.errors import LucidError

Array = NDArray[np.float64]
_NEAR = 2e-5            # of what a value changes by: nearer than this to it, keys follow it
_SINGLE = 2.0**-21      # of a value: a few steps of single precision, in which keys are kept
_MEET = 1e-3            # frames: keys nearer than this are in the same frame
_PEAK = 0.25            # of its strength: how far Blender's noise goes to either side
_SWAY = 0.3             # seconds: scale of the noise of a hand
_FADE = 0.25            # seconds in which it comes and goes
_PIECES = (2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 65, 80, 100, 130, 160)    # that are tried between two ends
# time in [0, 1] to the part of the move, and its slope in both ends
_EASES = {"LINEAR": (lambda t: t, (1.0, 1.0)), "EASE_IN": (lambda t: t * t, (0.0, 2.0)),
          "EASE_OUT": (lambda t: 1.0 - (1.0 - t) ** 2, (2.0, 0.0)),
          "EASE_IN_OUT": (lambda t: t * t * (3.0 - 2.0 * t), (0.0, 0.0))}


@dataclass(frozen=True)
class Animated:
    """One property of a camera, ``size`` numbers."""

    owner: bpy.types.Object | bpy.types.Camera
    path: str
    size: int
    group: str = ""

    def curves(self) -> dict[int, bpy.types.FCurve]:
        """The F-curves with keys, by index."""
        return {curve.array_index: curve for curve in curves_of(self.owner)
                if curve.data_path == self.path and len(curve.keyframe_points)}

    def values(self, frame: float) -> Array:
        """(size,) what its keys say at a frame, without handheld noise; what is not keyed, as it is now."""
        now = getattr(self.owner, self.path)
        values = np.array([now] if self.size == 1 else now, np.float64)
        for index, curve in self.curves().items():
            noises = [modifier for modifier in curve.modifiers if modifier.type == "NOISE" and not modifier.mute]
            for modifier in noises:
                modifier.mute = True
            values[index] = curve.evaluate(frame)
            for modifier in noises:
                modifier.mute = False
        return values

    def check(self) -> None:
        """Raise MOVE_KEYS where keys would not decide alone what the property is."""
        animation, name = self.owner.animation_data, f"{self.path} of '{self.owner.name}'"
        if animation is None:
            return
        if any(driver.data_path == self.path for driver in animation.drivers):
            raise LucidError("MOVE_KEYS", f"the {name} has a driver", "remove it, or animate what it reads")
        if animation.use_nla and any(not track.mute and len(track.strips) for track in animation.nla_tracks):
            raise LucidError("MOVE_KEYS", f"'{self.owner.name}' is animated by NLA strips", "bake them to keys, or mute them")
        if animation.action is not None and not animation.action.is_editable:
            raise LucidError("MOVE_KEYS", f"the action of '{self.owner.name}' is linked", "make it local")
        for curve in curves_of(self.owner):
            if curve.data_path == self.path:
                _check_curve(curve, name)


def curves_of(owner: bpy.types.ID) -> list[bpy.types.FCurve]:
    bag = anim_utils.animdata_get_channelbag_for_assigned_slot(owner.animation_data)
    return list(bag.fcurves) if bag is not None else []


def rotation_of(camera: bpy.types.Object) -> Animated:
    """The rotation in the camera's own mode."""
    path, size = {"QUATERNION": ("rotation_quaternion", 4), "AXIS_ANGLE": ("rotation_axis_angle", 4)}.get(
        camera.rotation_mode, ("rotation_euler", 3))
    return Animated(camera, path, size, "Object Transforms")


def rotation_matrix(mode: str, values: Array) -> Array:
    """(3, 3) world from camera of an object's rotation ``values``."""
    if mode == "QUATERNION":
        return np.array(Quaternion(values).normalized().to_matrix(), np.float64)
    if mode == "AXIS_ANGLE":
        return np.array(Matrix.Rotation(values[0], 3, Vector(values[1:])), np.float64)
    return np.array(Euler(values, mode).to_matrix(), np.float64)


def rotation_values(mode: str, rotations: Array, first: Array) -> Array:
    """(F, size) of rotations (F, 3, 3), without jumps, beginning with ``first``, which is the first one."""
    rows = [np.array(first, np.float64)]
    length = float(np.linalg.norm(first))
    for matrix in map(Matrix, rotations[1:]):
        if mode == "QUATERNION":
            row = np.array(matrix.to_quaternion()) * length
            row *= 1.0 if row @ rows[-1] >= 0.0 else -1.0
        elif mode == "AXIS_ANGLE":
            axis, angle = matrix.to_quaternion().to_axis_angle()
            sign = 1.0 if np.array(axis) @ rows[-1][1:] >= 0.0 else -1.0
            turn = sign * angle + 2.0 * np.pi * np.round((rows[-1][0] - sign * angle) / (2.0 * np.pi))
            row = np.array([turn, *(sign * np.array(axis))])
        else:
            row = np.array(matrix.to_euler(mode, Euler(rows[-1], mode)))
        rows.append(row)
    return np.stack(rows)


def eased(easing: str, frames: int) -> Array:
    """(frames + 1,) the part of the move that is done, from 0 to 1."""
    return np.asarray(_EASES[easing][0](np.linspace(0.0, 1.0, frames + 1)), np.float64)


def write(item: Animated, start: int, values: Array, easing: str) -> None:
    """Key ``values`` (F + 1, size) of every frame from ``start`` on. ``easing`` is how they depend on time; LINEAR where they do
    so in a way of their own. Keys before ``start`` and after the last frame stay."""
    knots, slopes = _knots(values, easing)
    straight = easing == "LINEAR" and len(knots) == 2
    for index in range(item.size):
        _key(_curve(item, index), start + knots, values[knots, index], slopes[:, index], "LINEAR" if straight else "BEZIER")


def tremble(item: Animated, start: int, end: int, angle: float, fps: float) -> None:
    """Noise modifiers on a rotation from ``start`` to ``end``, which go ``angle`` radians to either side and half as far in roll
    (y of XYZ Euler angles). Keys mark both ends, so that the next move follows."""
    values = [item.values(frame) for frame in (start, end)]
    for index in range(item.size):
        curve = _curve(item, index)
        for frame, value in zip((start, end), values, strict=True):
            _anchor(curve, frame, float(value[index]))
        curve.update()
        noise = curve.modifiers.new("NOISE")
        noise.name = "Handheld"
        swing = angle * (0.5 if item.size == 4 or index == 1 else 1.0)      # of a quaternion: sine of half the angle
        noise.strength, noise.scale, noise.depth = swing / _PEAK, _SWAY * fps, 1
        noise.phase = 1.0 + 17.3 * index + 0.37 * start
        noise.use_restricted_range, noise.frame_start, noise.frame_end = True, start, end
        noise.blend_in = noise.blend_out = min(_FADE * fps, 0.5 * (end - start))


def _check_curve(curve: bpy.types.FCurve, name: str) -> None:
    if len(curve.sampled_points):
        raise LucidError("MOVE_KEYS", f"the {name} is baked to samples", "turn them into keys (Channel > Samples to Keys)")
    if curve.mute or curve.lock:
        raise LucidError("MOVE_KEYS", f"the animation of the {name} is {'muted' if curve.mute else 'locked'}",
                         "switch it on in the Graph Editor")
    other = next((modifier for modifier in curve.modifiers if modifier.type != "NOISE" and not modifier.mute), None)
    if other is not None:
        raise LucidError("MOVE_KEYS", f"the animation of the {name} has a modifier, {other.type.lower()}",
                         "bake it to keys, or remove it")


def _curve(item: Animated, index: int) -> bpy.types.FCurve:
    animation = item.owner.animation_data or item.owner.animation_data_create()
    if animation.action is None:
        animation.action = bpy.data.actions.new(f"{item.owner.name}Action")
    return animation.action.fcurve_ensure_for_datablock(item.owner, item.path, index=index, group_name=item.group)


def _knots(values: Array, easing: str) -> tuple[NDArray[np.int64], Array]:
    """Which of the frames (F + 1, size) become keys, and the slopes there (K, size) per frame."""
    last = len(values) - 1
    part, ends = eased(easing, last), np.array(_EASES[easing][1])
    change = values[-1] - values[0]
    near = max(_NEAR * max(1.0, float(np.ptp(values, axis=0).max())), _SINGLE * float(np.abs(values).max()))
    if np.abs(values[0] + part[:, None] * change - values).max() <= near:
        return np.array([0, last]), ends[:, None] * change / last
    for pieces in _PIECES:
        knots = np.unique(np.round(np.linspace(0, last, min(pieces, last) + 1)).astype(np.int64))
        if np.diff(knots).min() < 3:        # fewer frames than slopes would leave these open
            break
        slopes = _fitted(knots, values, ends)
        if np.abs(_hermite(knots, values[knots], slopes) - values).max() <= near:
            return knots, slopes
    return np.arange(last + 1), np.gradient(values, axis=0, edge_order=2)


def _fitted(knots: NDArray[np.int64], values: Array, ends: Array) -> Array:
    """The slopes (K, size) with which keys at ``knots`` are nearest to ``values`` (F + 1, size) by least squares; at an end where
    the move rests they are 0."""
    free = np.ones(len(knots), bool)
    free[[0, -1]] = ends != 0.0
    slopes = np.zeros((len(knots), values.shape[1]))
    rest = values - _hermite(knots, values[knots], slopes)
    bends = _hermite(knots, np.zeros((len(knots), len(knots))), np.eye(len(knots)))     # what a slope of 1 does
    slopes[free] = np.linalg.lstsq(bends[:, free], rest, rcond=None)[0]
    return slopes


def _hermite(knots: NDArray[np.int64], values: Array, slopes: Array) -> Array:
    """The curve through ``values`` (K, size) with these slopes in every frame from the first knot to the last."""
    frames = np.arange(knots[-1] + 1)
    piece = np.clip(np.searchsorted(knots, frames, "right") - 1, 0, len(knots) - 2)
    span = np.diff(knots)[piece][:, None]
    t = (frames - knots[piece])[:, None] / span
    return (values[piece] * (1.0 + 2.0 * t) * (1.0 - t) ** 2 + values[piece + 1] * t * t * (3.0 - 2.0 * t)
            + span * (slopes[piece] * t * (1.0 - t) ** 2 - slopes[piece + 1] * t * t * (1.0 - t)))


def _key(curve: bpy.types.FCurve, frames: NDArray[np.int64], values: Array, slopes: Array, interpolation: str) -> None:
    """Keys at ``frames`` with slopes per frame; the ones between the first and the last that are there go."""
    points = curve.keyframe_points
    first, last = int(frames[0]), int(frames[-1])
    _anchor(curve, first, float(values[0]))
    _freeze(curve, last)
    after = next((np.array(point.handle_right) - point.co for point in points if abs(point.co.x - last) < _MEET), None)
    for place in reversed(range(len(points))):
        if first + _MEET < points[place].co.x < last + _MEET:
            points.remove(points[place], fast=True)
    for frame, value in zip(frames[1:], values[1:], strict=True):
        points.insert(float(frame), float(value), options={"FAST"})
    begin = next(place for place, point in enumerate(points) if abs(point.co.x - first) < _MEET)
    for place, (value, slope) in enumerate(zip(values, slopes, strict=True)):
        point, inside = points[begin + place], 0 < place < len(frames) - 1
        point.handle_left_type = point.handle_right_type = "ALIGNED" if inside else "FREE"
        if place > 0:
            reach = (frames[place] - frames[place - 1]) / 3.0
            point.handle_left = (frames[place] - reach, value - slope * reach)
        if place < len(frames) - 1:
            reach = (frames[place + 1] - frames[place]) / 3.0
            point.handle_right = (frames[place] + reach, value + slope * reach)
            point.interpolation = interpolation
        else:
            offset = after if after is not None else (reach, 0.0)
            point.handle_right, point.interpolation = (last + offset[0], value + offset[1]), "BEZIER"
    curve.update()


def _anchor(curve: bpy.types.FCurve, frame: int, value: float) -> None:
    """A key where the curve has ``value``: what it does before and after stays as it is."""
    points = curve.keyframe_points
    if any(abs(point.co.x - frame) < _MEET for point in points):
        _freeze(curve, frame)
        return
    inside = len(points) and points[0].co.x < frame < points[-1].co.x
    _freeze(curve, frame)
    point = points.insert(float(frame), value)      # shares out the handles of its neighbours where these are free
    point.handle_left_type = point.handle_right_type = "FREE"
    if not inside:
        point.handle_left, point.handle_right = (frame - 1.0, value), (frame + 1.0, value)
    curve.update()


def _freeze(curve: bpy.types.FCurve, frame: int) -> None:
    """The keys at ``frame`` and next to it keep their handles whatever happens between them."""
    points = curve.keyframe_points
    before = [point for point in points if point.co.x < frame - _MEET][-1:]
    after = [point for point in points if point.co.x > frame + _MEET][:1]
    at = [point for point in points if abs(point.co.x - frame) < _MEET]
    for point in (*before, *at, *after):
        point.handle_left_type = point.handle_right_type = "FREE"
