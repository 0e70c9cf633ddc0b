# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons of the actors, frame by frame: where each joint is, where the camera sees it, and whether it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ...inference.conditioning.pose import (
    ABSENT,
    BODY_COUNT,
    FACE,
    HAND_COUNT,
    HANDS,
    HIDDEN_OTHER,
    HIDDEN_SELF,
    JOINTS,
    OUTSIDE,
    POINTS,
    SEEN,
)
from .camera import CameraView
from .frames import FrameSurfaces
from .layers import Actor
from .rigs import FACING, BonePoint, JointMap, joints_of, torso_length

# A joint lies inside the body, so the body's own surface is always in front of it. Up to this part of the torso's
# length (hips to shoulders at rest) that surface is taken for the joint's own limb and the joint for seen; a surface
# further in front is another part of the body. 0.3 of a 0.5 m torso is 15 cm, more than any limb's half thickness.
SELF_TOLERANCE = 0.3
# Eyes, ears, face and fingers are at the surface, and only rigs with bones for them have them.
SURFACE_TOLERANCE = 0.1
_ON_SURFACE = np.array([name[2:] in {"eye", "ear"} or name not in JOINTS for name in POINTS])
# A nose that only the head's bone tells lies somewhere in the head, which can be as deep as a toy's torso is long.
NOSE_TOLERANCE = 1.0
# A face that looks away from the camera hides all but the ears: cosine between where it looks and where the camera looks.
AWAY_COSINE = 0.3
_IN_FACE = np.array([name == "nose" or name[2:] == "eye" or name in FACE for name in POINTS])
# other things hide a joint only when they are clearly nearer than the joint, in parts of the joint's depth
OTHER_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Skeleton:
    """The rig of one actor: ``torso`` is its length at rest in armature units, ``thickness`` (128,) how deep each point may
    lie in the body, in torsos; ``followers`` are the session uids of the rig and of what it carries or deforms."""

    actor: int
    rig: bpy.types.Object
    joints: JointMap
    torso: float
    thickness: NDArray[np.float64]
    followers: frozenset[int]


@dataclass(frozen=True)
class PoseReading:
    """One frame of all skeletons, read when it is evaluated and kept until it is drawn.

    ``world`` (A, 128, 3) is in metres in the order of POINTS, NaN where absent; ``torso`` (A,) metres; ``away`` (A,) tells
    whether the face is turned from the camera.
    """

    world: NDArray[np.float64]
    torso: NDArray[np.float64]
    away: NDArray[np.bool_]


@dataclass
class PoseTrack:
    """What pose.npz will hold; lists grow by one (A, 128, ...) entry per frame."""

    skeletons: tuple[Skeleton, ...]
    actor_of: Callable[[Any], int]
    world: list[NDArray[np.float64]] = field(default_factory=list)
    image: list[NDArray[np.float64]] = field(default_factory=list)
    depth: list[NDArray[np.float64]] = field(default_factory=list)
    visibility: list[NDArray[np.uint8]] = field(default_factory=list)

    def read(self, depsgraph: bpy.types.Depsgraph, view: CameraView) -> PoseReading:
        """What only the evaluated frame can tell; it outlives the next evaluation."""
        count = len(self.skeletons)
        reading = PoseReading(np.full((count, len(POINTS), 3), np.nan), np.zeros(count), np.zeros(count, bool))
        for index, skeleton in enumerate(self.skeletons):
            rig, matrix = skeleton.rig.evaluated_get(depsgraph), self._placement(depsgraph, skeleton)
            reading.world[index] = _joint_positions(rig, matrix, skeleton.joints)
            reading.torso[index] = skeleton.torso * float(np.mean(np.linalg.norm(np.array(matrix)[:3, :3], axis=0)))
            reading.away[index] = FACING in skeleton.joints and _looks_away(
                view, *_points(rig, matrix, skeleton.joints[FACING]))
        return reading

    def add(self, surfaces: FrameSurfaces, reading: PoseReading, ids: Sequence[NDArray[np.uint32]]) -> None:
        """Measure the drawn frame; ``ids[a]`` are the instance ids of actor ``a`` so far."""
        visibility = np.zeros(reading.world.shape[:2], np.uint8)
        image, depth = surfaces.view.project(reading.world)
        for index, skeleton in enumerate(self.skeletons):
            codes = visibility_of(image[index], depth[index], surfaces, skeleton.actor, ids[skeleton.actor],
                                  skeleton.thickness * reading.torso[index])
            if reading.away[index]:
                codes[_IN_FACE & (codes == SEEN)] = HIDDEN_SELF
            visibility[index] = codes
        for track, values in zip((self.world, self.image, self.depth, self.visibility),
                                 (reading.world, image, depth, visibility), strict=True):
            track.append(values)

    def _placement(self, depsgraph: bpy.types.Depsgraph, skeleton: Skeleton) -> Matrix:
        """The rig's world matrix. Where the actor is the instance of a collection, the rig may not be drawn itself, so
        it goes where the instance takes the first thing that follows it."""
        own = skeleton.rig.evaluated_get(depsgraph).matrix_world
        for instance in depsgraph.object_instances:
            if instance.object.original.session_uid in skeleton.followers and self.actor_of(instance) == skeleton.actor:
                if not instance.is_instance:
                    break
                # the object in an instance is shown at the instance's place; its evaluated original tells where it is
                real = instance.object.original.evaluated_get(depsgraph).matrix_world
                return instance.matrix_world @ real.inverted() @ own
        return own.copy()

    def arrays(self, actors: Sequence[Actor]) -> dict[str, NDArray[Any]]:
        """pose.npz: (A,) names; joints (18,), world (A, F, 18, 3) m, image (A, F, 18, 2) px, depth (A, F, 18) m, visibility
        (A, F, 18) uint8; hands (2, 21) and hands_world (A, F, 2, 21, 3) and so on, left before right; face (68,) and
        face_world (A, F, 68, 3) and so on. Absent points are NaN."""
        content = {"actors": np.array([actors[s.actor].name for s in self.skeletons], np.str_),
                   "joints": np.array(JOINTS, np.str_), "hands": np.array(HANDS, np.str_).reshape(2, HAND_COUNT),
                   "face": np.array(FACE, np.str_)}
        for name, frames in (("world", self.world), ("image", self.image), ("depth", self.depth),
                             ("visibility", self.visibility)):
            values = np.stack(frames, axis=1)
            values = values if name == "visibility" else values.astype(np.float32)
            body, hands, face = np.split(values, (BODY_COUNT, BODY_COUNT + 2 * HAND_COUNT), axis=2)
            content |= {name: body, f"hands_{name}": hands.reshape(*hands.shape[:2], 2, HAND_COUNT, *hands.shape[3:]),
                        f"face_{name}": face}
        return content


def skeletons_of(actors: Sequence[Actor]) -> tuple[Skeleton, ...]:
    """One skeleton for each actor that has a figure among its armatures; the fullest one where several do."""
    found = []
    for index, actor in enumerate(actors):
        mapped = [(rig, joints) for rig in actor.armatures for joints in [joints_of(rig.data)] if joints]
        if mapped:
            rig, joints = max(mapped, key=lambda pair: len(pair[1]))
            found.append(Skeleton(index, rig, joints, torso_length(rig.data, joints), _thickness(joints), _followers(rig)))
    return tuple(found)


def _thickness(joints: JointMap) -> NDArray[np.float64]:
    thickness = np.where(_ON_SURFACE, SURFACE_TOLERANCE, SELF_TOLERANCE)
    if any(point.offset[0] or point.offset[2] for point in joints.get("nose", ())):     # it lies beside its bone
        thickness[POINTS.index("nose")] = NOSE_TOLERANCE
    return thickness


def _followers(rig: bpy.types.Object) -> frozenset[int]:
    deformed = [item for item in bpy.data.objects if any(m.type == "ARMATURE" and m.object == rig for m in item.modifiers)]
    return frozenset(item.session_uid for item in (rig, *rig.children_recursive, *deformed))


def visibility_of(image: NDArray[np.float64], depth: NDArray[np.float64], surfaces: FrameSurfaces, actor: int,
                  ids: NDArray[np.uint32], thickness: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Visibility codes (J,) of joints at ``image`` (J, 2) px and ``depth`` (J,) m, from the pixel each one falls on.

    HIDDEN_OTHER: what the camera sees there is not the actor and is nearer than the joint. HIDDEN_SELF: it is the
    actor, or would be with the rest taken away, and nearer than the joint by more than its ``thickness`` (J,) in
    metres.
    """
    codes = np.full(len(depth), ABSENT, np.uint8)
    height, width = surfaces.full.depth.shape
    for joint in np.flatnonzero(np.isfinite(depth)):
        x, y = image[joint]
        if not (0.0 <= x < width and 0.0 <= y < height):     # NaN behind the camera
            codes[joint] = OUTSIDE
            continue
        pixel = int(y), int(x)
        foreign = surfaces.full.id[pixel] not in ids
        if foreign and surfaces.full.depth[pixel] < depth[joint] * (1.0 - OTHER_TOLERANCE):
            codes[joint] = HIDDEN_OTHER
        else:
            codes[joint] = HIDDEN_SELF if depth[joint] - surfaces.actors[actor].depth[pixel] > thickness[joint] else SEEN
    return codes


def _joint_positions(rig: bpy.types.Object, matrix: Matrix, joints: JointMap) -> NDArray[np.float64]:
    world = np.full((len(POINTS), 3), np.nan)
    for index, name in enumerate(POINTS):
        if name in joints:
            world[index] = np.mean(_points(rig, matrix, joints[name]), axis=0)
    return world


def _points(rig: bpy.types.Object, matrix: Matrix, points: Sequence[BonePoint]) -> list[NDArray[np.float64]]:
    return [np.array(matrix @ rig.pose.bones[point.bone].matrix @ Vector(point.offset)) for point in points]


def _looks_away(view: CameraView, base: NDArray[np.float64], ahead: NDArray[np.float64]) -> bool:
    """Whether a face at ``base`` that looks towards ``ahead`` (world, metres) is turned from the camera."""
    camera = view.world_from_camera
    gaze, sight = ahead - base, camera[:3, 2] if view.orthographic else base - camera[:3, 3]
    size = float(np.linalg.norm(gaze) * np.linalg.norm(sight))
    return size > 0.0 and float(gaze @ sight) > AWAY_COSINE * size
