# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk by inverse kinematics: feet are planted on the ground first, the body is carried over them.

Pure mathutils, no scene. The walker faces -y and its left is +x. One cycle is two steps; the phase of the left foot is
0 when its heel strikes. Bones come out as turns relative to their rest pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

from mathutils import Matrix, Vector

STRIDE = 1.32
"""metres per cycle (two steps)"""
CYCLE = 16.0 / 15.0
"""seconds per cycle"""
SPEED = STRIDE / CYCLE

#: joints at rest (m); the right side is the mirror image
REST = {"hip": Vector((0.095, 0.0, 0.96)), "knee": Vector((0.098, -0.012, 0.525)),
        "ankle": Vector((0.100, 0.012, 0.095)), "root": Vector((0.0, 0.0, 1.0)),
        "heel": Vector((0.100, 0.075, 0.0)), "ball": Vector((0.100, -0.120, 0.0)),
        "shoulder": Vector((0.170, 0.012, 1.425)), "elbow": Vector((0.325, 0.022, 1.190)),
        "wrist": Vector((0.455, 0.008, 0.975))}

_STANCE = 0.62
"""part of a cycle that a foot is on the ground"""
_FLAT, _RISE = 0.11, 0.34
"""phases at which the sole is flat and at which the heel leaves the ground"""
_STRIKE_PITCH, _TOE_PITCH = radians(-19), radians(52)
_TRACK = 0.072
"""sideways distance of a planted foot from the middle (m)"""
_STRIKE_AHEAD = 0.355
"""how far ahead of the body the foot is planted (m)"""
_TOE_OUT = radians(6)


def rx(angle: float) -> Matrix:
    return Matrix.Rotation(angle, 3, "X")


def ry(angle: float) -> Matrix:
    return Matrix.Rotation(angle, 3, "Y")


def rz(angle: float) -> Matrix:
    return Matrix.Rotation(angle, 3, "Z")


@dataclass(frozen=True)
class Stride:
    """The body at one moment: where the root is (m) and how each bone is turned against its parent, at rest = 1."""

    root: Vector
    turns: dict[str, Matrix]


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def mirror(point: Vector, side: int) -> Vector:
    """A rest point of the left (side 1) or right (side -1) half."""
    return Vector((point.x * side, point.y, point.z))


def _pitch(phase: float) -> float:
    """Pitch of the foot (radians, toes down positive) at a phase in [0, 1)."""
    if phase < _FLAT:
        return _STRIKE_PITCH * (1.0 - _smooth(phase / _FLAT))
    if phase < _RISE:
        return 0.0
    if phase < _STANCE:
        return _TOE_PITCH * ((phase - _RISE) / (_STANCE - _RISE)) ** 1.6
    swing = (phase - _STANCE) / (1.0 - _STANCE)
    return _TOE_PITCH + (_STRIKE_PITCH - _TOE_PITCH) * _smooth(swing * 1.1)


def _planted(phase: float, side: int, ground: Vector) -> Vector:
    """The ankle of a foot planted at `ground`, rolling over its heel and then over its ball without sliding."""
    pitch = _pitch(phase)
    pivot = mirror(REST["heel"] if pitch < 0 else REST["ball"], side) - mirror(REST["ankle"], side)
    pivot.x = 0.0
    return ground + rz(side * _TOE_OUT) @ (pivot - rx(pitch) @ pivot) + Vector((0, 0, REST["ankle"].z))


def _ankle(cycles: float, side: int) -> tuple[Vector, float]:
    """Ankle (m) and foot pitch of one foot after `cycles` of its own phase."""
    step, phase = int(cycles // 1), cycles % 1.0

    def ground(number: int) -> Vector:
        # the body passes y = -STRIDE * n when this foot strikes for the n-th time (its own phase shifts the right foot)
        half = 0.0 if side > 0 else 0.5
        return Vector((side * _TRACK, -STRIDE * (number + half) - _STRIKE_AHEAD + 0.03, 0.0))

    if phase < _STANCE:
        return _planted(phase, side, ground(step)), _pitch(phase)
    swing = (phase - _STANCE) / (1.0 - _STANCE)
    begin, end = _planted(_STANCE - 1e-6, side, ground(step)), _planted(0.0, side, ground(step + 1))
    at = begin.lerp(end, 0.35 * swing + 0.65 * _smooth(swing))
    at.x += side * 0.012 * sin(pi * swing)
    # as high as the same pitch stands on the road, and a little clear of it
    at.z = _planted(phase, side, ground(step)).z + 0.045 * sin(pi * swing) ** 0.7
    return at, _pitch(phase)


def _frame(along: Vector, hinge: Vector) -> Matrix:
    """Rotation whose columns are the limb's direction, its hinge made square to it, and their cross product."""
    a = along.normalized()
    h = (hinge - a * hinge.dot(a)).normalized()
    return Matrix((a, h, a.cross(h))).transposed()


def _leg(hip: Vector, ankle: Vector, side: int, heading: Matrix) -> tuple[Matrix, Matrix]:
    """Turns of thigh and shin in the armature's space that bring the ankle there, knee bent forwards."""
    rest = [mirror(REST[name], side) for name in ("hip", "knee", "ankle")]
    upper, lower = rest[1] - rest[0], rest[2] - rest[1]
    reach = ankle - hip
    length = min(reach.length, (upper.length + lower.length) * 0.9995)
    cosine = (upper.length**2 + length**2 - lower.length**2) / (2 * upper.length * length)
    forward = heading @ Vector((side * 0.05, -1, 0))
    along = reach.normalized()
    out = (forward - along * forward.dot(along)).normalized()
    knee = hip + upper.length * (along * cosine + out * max(1.0 - cosine * cosine, 0.0) ** 0.5)
    hinge, rest_hinge = along.cross(out), Vector((0, 0, -1)).cross(Vector((0, -1, 0)))
    thigh = _frame(knee - hip, hinge) @ _frame(upper, rest_hinge).transposed()
    shin = _frame(ankle - knee, hinge) @ _frame(lower, rest_hinge).transposed()
    return thigh, shin


def walk(seconds: float) -> Stride:
    """The walker `seconds` after its left heel struck at the origin."""
    cycles = seconds / CYCLE
    beat, late = 2 * pi * cycles, 2 * pi * (cycles - 0.31)
    root = Vector((0.020 * cos(late), -SPEED * seconds, REST["root"].z - 0.033 + 0.012 * cos(2 * late)))
    hips = rz(radians(-7) * cos(beat)) @ ry(radians(-3.5) * cos(late)) @ rx(radians(2.0))
    twist = radians(13.5) * cos(beat)
    turns = {"spine": hips}
    for bone, part in (("spine.001", 0.25), ("spine.002", 0.4), ("spine.003", 0.35)):
        turns[bone] = rz(twist * part) @ ry(radians(4.5) * cos(late) * part) @ rx(radians(2.5) * part)
    turns["neck"] = rz(-0.5 * (twist + radians(-7) * cos(beat))) @ rx(radians(-2.0))
    turns["head"] = rz(-0.5 * (twist + radians(-7) * cos(beat))) @ rx(radians(1.5 + 1.5 * cos(2 * late)))
    for side, name in ((1, "L"), (-1, "R")):
        phase = cycles if side > 0 else cycles - 0.5
        ankle, pitch = _ankle(phase, side)
        hip = root + hips @ (mirror(REST["hip"], side) - REST["root"])
        thigh, shin = _leg(hip, ankle, side, rz(radians(-3) * cos(beat)))
        foot = rz(side * _TOE_OUT) @ rx(pitch)
        turns[f"thigh.{name}"] = hips.transposed() @ thigh
        turns[f"shin.{name}"] = thigh.transposed() @ shin
        turns[f"foot.{name}"] = shin.transposed() @ foot
        turns[f"toe.{name}"] = rx(-max(pitch, 0.0))
        turns |= _arm(phase, side, name)
    return Stride(root, turns)


def _arm(phase: float, side: int, name: str) -> dict[str, Matrix]:
    """An arm hangs from the shoulder and swings against its own leg; the elbow bends more at the front."""
    swing = cos(2 * pi * (phase - 0.04))
    upper = REST["elbow"] - REST["shoulder"]
    lower = mirror(REST["wrist"] - REST["elbow"], side)
    hinge = lower.cross(Vector((0, -1, 0))).normalized()
    bend = radians(19 - 12 * swing)
    hang = ry(side * (radians(7.5) - Vector((upper.x, 0, upper.z)).angle(Vector((0, 0, -1)))) * -1.0)
    return {f"shoulder.{name}": rz(side * radians(-2.5) * swing),
            f"upper_arm.{name}": rx(radians(27) * swing + radians(2)) @ hang,
            f"forearm.{name}": Matrix.Rotation(bend, 3, hinge), f"hand.{name}": Matrix.Rotation(radians(6), 3, hinge)}
