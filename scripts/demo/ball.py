# SPDX-License-Identifier: GPL-3.0-or-later
"""A big ball, thrown under rigid-body physics and then baked to keyframes, so that the file simulates nothing."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector
from numpy.typing import NDArray

from .solids import Solid, key, material

RADIUS = 0.35
_BOUNCE = 0.80
"""restitution of ball against road"""
_SUBSTEPS = 60
"""physics steps per frame: 900 per second, so that a bounce sinks less than 1 cm"""
_PROBE = 0.02
"""radius of the simulated sphere (m): Bullet brakes a body within 2 % of its size before contact, which eats the bounce
of a big ball; a small sphere with the ball's centre over a road raised by the difference bounces as it should"""
_WINDUP = 4
"""frames in which the throw carries the ball before it lets go, ahead of the shot's first"""
_RELEASE = _WINDUP + 1


def build_ball(scene: bpy.types.Scene, frames: Sequence[int], at: Vector, velocity: Vector) -> bpy.types.Object:
    """The object "Ball", leaving `at` (m) with `velocity` (m/s) at the first frame and bouncing on the plane z = 0."""
    colours = (("Ball Yellow", (0.90, 0.55, 0.02)), ("Ball White", (0.85, 0.85, 0.82)))
    solid = Solid("Ball", [material(name, colour, 0.45) for name, colour in colours])
    for face in solid.ball((0, 0, 0), (RADIUS,) * 3, detail=(48, 32)):
        centre = face.calc_center_median()
        face.material_index = int(np.arctan2(centre.y, centre.x) // (np.pi / 3)) % 2
    ball = solid.object(scene.collection)
    places, turns = _simulate(scene, ball, len(frames), at, velocity)
    key(ball, "location", frames, places, "Throw")
    key(ball, "rotation_quaternion", frames, turns, "Throw")
    return ball


def _simulate(scene: bpy.types.Scene, ball: bpy.types.Object, count: int, at: Vector,
              velocity: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Locations (F, 3) and quaternions (F, 4) of the thrown ball; rigid-body world, floor and cache are gone after."""
    floor = Solid("Floor", [])
    floor.box((-60, -60, -1), (60, 60, 1))
    ground = floor.object(scene.collection, (0, 0, RADIUS - _PROBE - 1.0))
    kept = scene.frame_start, scene.frame_end
    scene.frame_start, scene.frame_end = 1, _WINDUP + count
    ball.scale = (_PROBE / RADIUS,) * 3
    _throw(ball, at, velocity, scene.render.fps)
    scene.frame_set(1)
    _bodies(scene, ball, ground)
    matrices = _bake(scene, ball, count)
    if (matrices[1].translation.xy - matrices[0].translation.xy).length < 0.9 * velocity.xy.length / scene.render.fps:
        raise RuntimeError("the rigid-body world lost the throw's speed at the release")
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.rigidbody.world_remove()
    bpy.data.actions.remove(ball.animation_data.action)
    ball.animation_data_clear()
    bpy.data.meshes.remove(ground.data)  # takes the object along
    ball.scale = (1, 1, 1)
    scene.frame_start, scene.frame_end = kept
    turns = [matrix.to_quaternion() for matrix in matrices]
    for before, after in zip(turns, turns[1:], strict=False):
        after.make_compatible(before)
    return np.array([matrix.translation for matrix in matrices]), np.array(turns)


def _throw(ball: bpy.types.Object, at: Vector, velocity: Vector, fps: float) -> None:
    """Lead the ball by keys through the wind-up, spinning as if it rolled, as a ball does that has bounced before."""
    led = range(1, _RELEASE + 1)
    times = [(frame - _RELEASE) / fps for frame in led]
    axis, rate = Vector((-velocity.y, velocity.x, 0.0)), velocity.xy.length / RADIUS
    ball.rotation_mode = "QUATERNION"
    key(ball, "location", led, np.array([at + velocity * time for time in times]), "Throw")
    key(ball, "rotation_quaternion", led, np.array([Quaternion(axis, rate * time) for time in times]), "Throw")


def _bake(scene: bpy.types.Scene, ball: bpy.types.Object, count: int) -> list[Matrix]:
    """Bake the rigid-body cache and read the ball's world matrix at the release and the frames after it."""
    cache = scene.rigidbody_world.point_cache
    cache.frame_start, cache.frame_end = scene.frame_start, scene.frame_end
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0], point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    matrices = []
    for frame in range(_RELEASE, _RELEASE + count):
        scene.frame_set(frame)
        matrices.append(ball.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.copy())
    return matrices


def _bodies(scene: bpy.types.Scene, ball: bpy.types.Object, ground: bpy.types.Object) -> None:
    """Ball and floor in a new rigid-body world; the ball is led by its keys up to the release and free from then on."""
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.use_split_impulse = True  # pushing the ball out of the road must not speed it up
    world.substeps_per_frame, world.solver_iterations = _SUBSTEPS, 20
    for owner, kind, shape in ((ball, "ACTIVE", "SPHERE"), (ground, "PASSIVE", "BOX")):
        with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0], object=owner, active_object=owner,
                                       selected_objects=[owner]):
            bpy.ops.rigidbody.object_add(type=kind)
        body = owner.rigid_body
        body.collision_shape, body.restitution, body.friction = shape, _BOUNCE**0.5, 0.0
        body.linear_damping = body.angular_damping = 0.0
        body.use_deactivation = False
    for frame, led in ((1, True), (_RELEASE, True), (_RELEASE + 1, False)):
        ball.rigid_body.kinematic = led
        ball.rigid_body.keyframe_insert("kinematic", frame=frame)
