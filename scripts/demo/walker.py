# SPDX-License-Identifier: GPL-3.0-or-later
"""The walker: an armature with Rigify's human bone names and a clothed body skinned to it."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from .gait import REST, mirror, walk
from .solids import Solid, Weights, collection, key, material, put

#: head, tail, parent of the bones on the middle line and of the left half (m, rest pose, facing -y)
_MIDDLE = (("spine", (0, 0.01, 1.0), (0, 0.0, 1.10), None), ("spine.001", (0, 0.0, 1.10), (0, 0.0, 1.22), "spine"),
           ("spine.002", (0, 0.0, 1.22), (0, 0.01, 1.35), "spine.001"),
           ("spine.003", (0, 0.01, 1.35), (0, 0.015, 1.50), "spine.002"),
           ("neck", (0, 0.015, 1.50), (0, -0.005, 1.60), "spine.003"),
           ("head", (0, -0.005, 1.60), (0, -0.01, 1.83), "neck"),
           ("nose.001", (0, -0.105, 1.71), (0, -0.132, 1.685), "head"))
_LEFT = (("shoulder", (0.025, 0.0, 1.45), REST["shoulder"], "spine.003"),
         ("upper_arm", REST["shoulder"], REST["elbow"], "shoulder"),
         ("forearm", REST["elbow"], REST["wrist"], "upper_arm"),
         ("hand", REST["wrist"], (0.495, -0.006, 0.905), "forearm"), ("thigh", REST["hip"], REST["knee"], "spine"),
         ("shin", REST["knee"], REST["ankle"], "thigh"), ("foot", REST["ankle"], (0.1, -0.12, 0.025), "shin"),
         ("toe", (0.1, -0.12, 0.025), (0.1, -0.20, 0.025), "foot"),
         ("eye", (0.031, -0.098, 1.713), (0.031, -0.118, 1.713), "head"),
         ("ear", (0.086, 0.004, 1.69), (0.086, 0.004, 1.715), "head"))
_ALONE = ("spine", "neck", "head")
"""what the names of bones without a side begin with"""

_COLOURS = {"Jacket": (0.62, 0.035, 0.03), "Trousers": (0.03, 0.06, 0.20), "Skin": (0.62, 0.36, 0.24),
            "Hair": (0.05, 0.025, 0.012), "Shoes": (0.75, 0.72, 0.66), "Eyes": (0.015, 0.015, 0.02)}
_JACKET, _TROUSERS, _SKIN, _HAIR, _SHOES, _EYES = range(6)
_SEGMENTS = 20


def _rig(scene: bpy.types.Scene, into: bpy.types.Collection) -> bpy.types.Object:
    """The armature in its rest pose, feet on z = 0."""
    rig = put("Walker Rig", bpy.data.armatures.new("Walker Rig"), into)
    layer = scene.view_layers[0]
    layer.objects.active = rig
    with bpy.context.temp_override(scene=scene, view_layer=layer, object=rig, active_object=rig):
        bpy.ops.object.mode_set(mode="EDIT")  # edit bones exist in edit mode only
        bones = rig.data.edit_bones
        for name, head, tail, parent in _MIDDLE:
            _bone(bones, name, Vector(head), Vector(tail), parent)
        for side, suffix in ((1, ".L"), (-1, ".R")):
            for name, head, tail, parent in _LEFT:
                above = parent if parent.startswith(_ALONE) else parent + suffix
                _bone(bones, name + suffix, mirror(Vector(head), side), mirror(Vector(tail), side), above)
        bpy.ops.object.mode_set(mode="OBJECT")
    rig.data.display_type = "STICK"
    return rig


def _bone(bones: bpy.types.ArmatureEditBones, name: str, head: Vector, tail: Vector, parent: str | None) -> None:
    made = bones.new(name)
    made.head, made.tail = head, tail
    made.align_roll(Vector((0, -1, 0)))
    if parent:
        made.parent = bones[parent]
        made.use_connect = (made.parent.tail - head).length < 1e-6


def _dense(rows: Sequence[Sequence[float]], steps: int = 4) -> NDArray[np.float64]:
    """Catmull-Rom through `rows` (K, C): (K - 1) * steps + 1 rows that pass through the given ones."""
    table = np.asarray(rows, float)
    padded = np.vstack([2 * table[0] - table[1], table, 2 * table[-1] - table[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    out = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*out, table[-1:]])


def _rings(centres: NDArray[np.float64], side: Vector, front: Vector, radii: NDArray[np.float64],
           square: float = 2.0) -> NDArray[np.float64]:
    """Superellipse rings (R, S, 3) around centres (R, 3) with half axes radii (R, 2) along `side` and `front`."""
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    u, v = (np.sign(w) * np.abs(w) ** (2 / square) for w in (np.cos(angle), np.sin(angle)))
    return (centres[:, None] + radii[:, :1, None] * u[None, :, None] * np.array(side)
            + radii[:, 1:2, None] * v[None, :, None] * np.array(front))


def _chain(at: float, joints: Sequence[tuple[float, str]], blend: float) -> Weights:
    """Bone weights at height `at` of a limb cut at descending heights: bone k reigns above joints[k + 1]."""
    weights: dict[str, float] = {}
    left = 1.0
    for (cut, bone), (_, _below) in zip(joints, joints[1:], strict=False):
        share = left * float(np.clip(0.5 + (at - cut) / (2 * blend), 0, 1))
        weights[bone] = share
        left -= share
    weights[joints[-1][1]] = left
    return {bone: weight for bone, weight in weights.items() if weight > 0}


def _upright(body: Solid, rows: Sequence[Sequence[float]], slot: int, joints: Sequence[tuple[float, str]], blend: float,
             square: float = 2.3) -> None:
    """A part around the z axis: rows (z, half width, half depth, y of the centre)."""
    dense = _dense(rows)
    centres = np.stack([0 * dense[:, 0], dense[:, 3], dense[:, 0]], 1)
    rings = _rings(centres, Vector((1, 0, 0)), Vector((0, -1, 0)), dense[:, 1:3], square)
    body.loft(rings, slot, [_chain(z, joints, blend) for z in dense[:, 0]])


def _limb(body: Solid, points: Sequence[Vector], rows: Sequence[Sequence[float]], slot: int,
          bones: Sequence[str], blend: float) -> None:
    """A limb along a polyline: rows (distance along it, half width, half depth, forward shift), bones per segment."""
    dense = _dense(rows)
    lengths = [(b - a).length for a, b in zip(points, points[1:], strict=False)]
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    along = (points[-1] - points[0]).normalized()
    side = along.cross(Vector((0, -1, 0))).normalized() * -1.0
    front = side.cross(along).normalized()
    knots = np.array([list(points[0] + (points[0] - points[1]).normalized()), *map(list, points),
                      list(points[-1] + (points[-1] - points[-2]).normalized())])
    stations = np.concatenate([[-1.0], ends, [ends[-1] + 1.0]])
    centres = np.stack([np.interp(dense[:, 0], stations, knots[:, k]) for k in range(3)], 1)
    centres += dense[:, 3:4] * np.array(front)
    joints = [(-ends[k + 1], bone) for k, bone in enumerate(bones)]
    body.loft(_rings(centres, side, front, dense[:, 1:3]), slot, [_chain(-s, joints, blend) for s in dense[:, 0]])


def _clothes(body: Solid) -> None:
    torso = ((1.06, "spine.001"), (0.0, "spine"))
    _upright(body, ((0.845, 0.06, 0.06, 0.01), (0.86, 0.130, 0.095, 0.01), (0.92, 0.164, 0.116, 0.012),
                    (1.0, 0.162, 0.112, 0.008), (1.08, 0.14, 0.10, 0.0)), _TROUSERS, torso, 0.08)
    spine = ((1.35, "spine.003"), (1.22, "spine.002"), (1.10, "spine.001"), (0.0, "spine"))
    _upright(body, ((0.945, 0.145, 0.100, 0.01), (0.95, 0.181, 0.138, 0.004), (0.975, 0.182, 0.138, 0.004),
                    (1.03, 0.172, 0.126, 0.004), (1.12, 0.158, 0.116, -0.002), (1.24, 0.172, 0.126, -0.004),
                    (1.34, 0.187, 0.128, 0.002), (1.41, 0.180, 0.113, 0.010), (1.455, 0.146, 0.098, 0.014),
                    (1.49, 0.102, 0.086, 0.014), (1.515, 0.078, 0.080, 0.012), (1.545, 0.076, 0.079, 0.006),
                    (1.552, 0.060, 0.062, 0.004)), _JACKET, spine, 0.05, 2.4)
    for side, suffix in ((1, ".L"), (-1, ".R")):
        hip, knee, ankle = (mirror(REST[name], side) for name in ("hip", "knee", "ankle"))
        _limb(body, (hip, knee, ankle),
              ((-0.06, 0.055, 0.05, 0.0), (-0.03, 0.082, 0.080, 0.004), (0.10, 0.088, 0.094, 0.0),
               (0.28, 0.073, 0.079, 0.004), (0.42, 0.061, 0.066, 0.004), (0.52, 0.060, 0.066, -0.010),
               (0.60, 0.061, 0.068, -0.016), (0.72, 0.057, 0.062, -0.008), (0.81, 0.058, 0.066, 0.0),
               (0.845, 0.060, 0.072, 0.006), (0.85, 0.044, 0.05, 0.006)), _TROUSERS,
              (f"thigh{suffix}", f"shin{suffix}"), 0.07)
        shoulder, elbow, wrist = (mirror(REST[name], side) for name in ("shoulder", "elbow", "wrist"))
        inner = mirror(Vector((0.10, 0.01, 1.455)), side)
        _limb(body, (inner, shoulder, elbow, wrist),
              ((0.0, 0.05, 0.05, 0.0), (0.04, 0.060, 0.066, 0.0), (0.09, 0.065, 0.072, 0.0), (0.17, 0.062, 0.066, 0.0),
               (0.30, 0.055, 0.058, 0.0), (0.38, 0.051, 0.054, 0.0), (0.48, 0.049, 0.050, 0.002),
               (0.60, 0.041, 0.042, 0.0), (0.635, 0.042, 0.043, 0.0), (0.64, 0.030, 0.030, 0.0)), _JACKET,
              (f"shoulder{suffix}", f"upper_arm{suffix}", f"forearm{suffix}"), 0.05)
        _hand(body, side, suffix)
        _shoe(body, side, suffix)


def _hand(body: Solid, side: int, suffix: str) -> None:
    """Palm, a mitten of fingers and a thumb."""
    start, end = mirror(REST["wrist"], side), mirror(Vector((0.495, -0.006, 0.905)), side)
    along = (end - start).normalized()
    turn = along.to_track_quat("Z", "Y").to_matrix()
    bone = {f"hand{suffix}": 1.0}
    body.ball(start + along * 0.045, (0.024, 0.040, 0.062), _SKIN, bone, turn)
    body.ball(start + along * 0.115 + Vector((-0.006 * side, -0.004, 0)), (0.017, 0.034, 0.055), _SKIN, bone, turn)
    body.ball(start + along * 0.055 + Vector((0, -0.042, 0)), (0.014, 0.016, 0.038), _SKIN, bone, turn)


def _shoe(body: Solid, side: int, suffix: str) -> None:
    """Heel to toe along -y: rows (y, half width, height of the top, height of the sole's edge)."""
    rows = _dense(((0.085, 0.020, 0.045, 0.018), (0.075, 0.036, 0.080, 0.0), (0.03, 0.043, 0.118, 0.0),
                   (-0.02, 0.043, 0.108, 0.0), (-0.08, 0.047, 0.075, 0.0), (-0.14, 0.050, 0.056, 0.0),
                   (-0.19, 0.043, 0.044, 0.006), (-0.218, 0.018, 0.030, 0.014)))
    centres = np.stack([0 * rows[:, 0] + side * 0.1, rows[:, 0], (rows[:, 2] + rows[:, 3]) / 2], 1)
    radii = np.stack([rows[:, 1], (rows[:, 2] - rows[:, 3]) / 2], 1)
    joints = ((-0.12, f"foot{suffix}"), (-9.0, f"toe{suffix}"))
    body.loft(_rings(centres, Vector((1, 0, 0)), Vector((0, 0, 1)), radii, 2.8), _SHOES,
              [_chain(y, joints, 0.02) for y in rows[:, 0]])


def _head(body: Solid) -> None:
    only = ((-9.0, "head"),)
    _upright(body, ((1.49, 0.055, 0.058, 0.012), (1.53, 0.055, 0.060, 0.006), (1.62, 0.053, 0.060, 0.004)), _SKIN,
             ((1.58, "head"), (1.50, "neck"), (0.0, "spine.003")), 0.03, 2.0)
    _upright(body, ((1.575, 0.016, 0.02, -0.045), (1.582, 0.040, 0.048, -0.040), (1.61, 0.060, 0.082, -0.022),
                    (1.66, 0.073, 0.096, -0.012), (1.71, 0.078, 0.102, -0.006), (1.76, 0.076, 0.100, 0.0),
                    (1.80, 0.062, 0.082, 0.004), (1.822, 0.032, 0.044, 0.006), (1.826, 0.01, 0.012, 0.006)), _SKIN,
             only, 0.01)
    _upright(body, ((1.615, 0.045, 0.036, 0.058), (1.63, 0.066, 0.054, 0.052), (1.68, 0.081, 0.076, 0.038),
                    (1.72, 0.086, 0.082, 0.034), (1.755, 0.087, 0.104, 0.012), (1.79, 0.080, 0.106, 0.004),
                    (1.825, 0.060, 0.080, 0.004), (1.845, 0.030, 0.042, 0.006), (1.848, 0.01, 0.012, 0.006)), _HAIR,
             only, 0.01)
    bone = {"head": 1.0}
    body.ball((0, -0.112, 1.685), (0.013, 0.024, 0.024), _SKIN, bone)
    body.ball((0, -0.098, 1.632), (0.024, 0.008, 0.006), _JACKET, bone)
    for side in (1, -1):
        body.ball((side * 0.080, 0.004, 1.69), (0.012, 0.022, 0.034), _SKIN, bone)
        body.ball((side * 0.031, -0.096, 1.713), (0.014, 0.012, 0.012), _EYES, bone)
        body.ball((side * 0.032, -0.098, 1.738), (0.020, 0.010, 0.006), _HAIR, bone)


def _animate(rig: bpy.types.Object, frames: Sequence[int], fps: float, start: float) -> None:
    """Key every bone at every frame; `start` is the walk's own time (s) at the first frame."""
    rest = {bone.name: bone.matrix_local.to_3x3() for bone in rig.data.bones}
    turns: dict[str, list[list[float]]] = {name: [] for name in rest}
    roots, last = [], {}
    for frame in frames:
        pose = walk(start + (frame - frames[0]) / fps)
        roots.append(rest["spine"].transposed() @ (pose.root - rig.data.bones["spine"].head_local))
        for name, axes in rest.items():
            local = (axes.transposed() @ pose.turns.get(name, Matrix.Identity(3)) @ axes).to_quaternion()
            local.make_compatible(last.get(name, local))
            last[name] = local
            turns[name].append(list(local))
    for name, values in turns.items():
        if name not in pose.turns:  # the face moves with the head
            continue
        rig.pose.bones[name].rotation_mode = "QUATERNION"
        key(rig, f'pose.bones["{name}"].rotation_quaternion', frames, np.array(values), name)
    key(rig, 'pose.bones["spine"].location', frames, np.array(roots), "spine")


def build_walker(scene: bpy.types.Scene, frames: Sequence[int], at: Vector, start: float) -> bpy.types.Object:
    """The collection "Walker" with rig and body, walking towards -y so that it passes `at` at its own time 0."""
    into = collection(scene, "Walker")
    rig = _rig(scene, into)
    rig.location = at
    body = Solid("Walker Body", [material(name, colour) for name, colour in _COLOURS.items()])
    _clothes(body)
    _head(body)
    figure = body.object(into)
    figure.parent = rig
    figure.modifiers.new("Armature", "ARMATURE").object = rig
    _animate(rig, frames, scene.render.fps, start)
    return rig
