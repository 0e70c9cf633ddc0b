# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick look at a few frames of a scene, in the viewport's evaluation: where things are, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector
from numpy.typing import NDArray

from ...inference.shot.model import Frames, Size
from .camera import CameraView, camera_at, view_of
from .layers import Actor, actor_index
from .materials import Cutout, classify, is_volume, materials_of, needs_cycles, never_captured
from .restore import restored

# the six directions, turned: along the axes lie the edges and poles that things are made with
_TURN = Euler((0.4, 0.3, 0.2)).to_matrix()
_WAYS = tuple(sign * column for column in _TURN.col for sign in (1.0, -1.0))
_BACKS = 4                  # of six: a solid may hold other things, eyes in a head


@dataclass(frozen=True)
class Nature:
    """What one object is, by its name: texts as :mod:`materials` gives them, and cut-outs whose image is missing."""

    never: str | None
    cycles: str | None
    volume: bool
    missing_images: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """One frame: corners (N, 8, 3) of the bounds of what is drawn, world metres, by actor (-1: the environment), and
    the names of the meshes that the camera is inside of."""

    frame: int
    camera: bpy.types.Object
    view: CameraView
    corners: dict[int, NDArray[np.float64]]
    around_camera: tuple[str, ...]


@dataclass
class Survey:
    """``pairs`` are sampled frames, each with the next captured frame (None at the end of the shot)."""

    pairs: list[tuple[Moment, Moment | None]] = field(default_factory=list)
    natures: dict[str, Nature] = field(default_factory=dict)

    @property
    def moments(self) -> list[Moment]:
        """Every frame that was looked at, once, in order."""
        found = {moment.frame: moment for pair in self.pairs for moment in pair if moment is not None}
        return [found[frame] for frame in sorted(found)]


def survey(scene: bpy.types.Scene, frames: Frames, size: Size, camera: bpy.types.Object | None,
           actors: Sequence[Actor]) -> Survey:
    """Look at the first, the middle and the last frame, and at the one after each. The scene's frame comes back."""
    numbers = frames.numbers
    places = sorted({0, len(numbers) // 2, len(numbers) - 1})
    found = Survey()
    drawn = rendered(scene)
    with restored(scene):
        seen = {place: _look(scene, numbers[place], size, camera, actors, drawn, found.natures)
                for place in sorted({*places, *(place + 1 for place in places if place + 1 < len(numbers))})}
    found.pairs = [(seen[place], seen.get(place + 1)) for place in places]
    return found


def rendered(scene: bpy.types.Scene) -> frozenset[str]:
    """Names of the objects in a collection that is rendered."""
    found: set[str] = set()
    waiting = [scene.collection]
    while waiting:
        collection = waiting.pop()
        if not collection.hide_render:
            found |= {item.name_full for item in collection.objects}
            waiting += collection.children
    return frozenset(found)


def _look(scene: bpy.types.Scene, frame: int, size: Size, chosen: bpy.types.Object | None, actors: Sequence[Actor],
          drawn: frozenset[str], natures: dict[str, Nature]) -> Moment:
    scene.frame_set(frame)
    layer = next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])
    camera = camera_at(scene, frame, chosen)
    view = view_of(camera.evaluated_get(layer.depsgraph), layer.depsgraph, size)
    corners: dict[int, list[NDArray[np.float64]]] = {}
    around: dict[str, None] = {}
    for instance in _drawn(layer.depsgraph, drawn):
        evaluated = instance.object
        name = evaluated.original.name_full
        nature = natures.setdefault(name, _nature(evaluated))
        matrix = instance.matrix_world.copy()
        box = np.array([matrix @ Vector(corner) for corner in evaluated.bound_box])
        corners.setdefault(actor_index(actors, instance), []).append(box)
        if not nature.volume and _inside(evaluated, matrix, Vector(view.world_from_camera[:3, 3])):
            around[name] = None
    return Moment(frame, camera, view, {actor: np.array(boxes) for actor, boxes in corners.items()}, tuple(around))


def _drawn(depsgraph: bpy.types.Depsgraph, names: frozenset[str]) -> Iterator[bpy.types.DepsgraphObjectInstance]:
    """Instances with a shape that a render shows."""
    for instance in depsgraph.object_instances:
        evaluated = instance.object
        owner = instance.parent if instance.is_instance else evaluated
        shown = instance.show_self and evaluated.visible_camera and not (evaluated.hide_render or owner.hide_render)
        # curves and text come as themselves, and once more as the mesh that they are drawn with
        if shown and owner.original.name_full in names and hasattr(evaluated.data, "materials") \
                and evaluated.type not in {"CURVE", "SURFACE", "FONT", "META"}:
            yield instance


def _nature(evaluated: bpy.types.Object) -> Nature:
    looks = [classify(material) for material in materials_of(evaluated)]
    missing = [look.image.name for look in looks if isinstance(look, Cutout) and not all(look.image.size)]
    return Nature(never_captured(evaluated), needs_cycles(evaluated), is_volume(evaluated), tuple(dict.fromkeys(missing)))


def _inside(evaluated: bpy.types.Object, matrix: Matrix, camera: Vector) -> bool:
    """Whether the camera is inside of a solid: closed on all sides, the nearest face shows it its back and so do most
    around it. In a room whose normals point inwards they show it their front."""
    if evaluated.type != "MESH" or len(evaluated.data.polygons) == 0 or matrix.determinant() == 0.0:
        return False
    spot = matrix.inverted() @ camera
    local = np.array(spot)
    box = np.array([tuple(corner) for corner in evaluated.bound_box])
    if not ((box.min(axis=0) < local).all() and (local < box.max(axis=0)).all()):
        return False
    found, nearest, normal, _ = evaluated.closest_point_on_mesh(spot)
    if not found or (spot - nearest).dot(normal) >= 0.0:
        return False
    hits = [(way, *evaluated.ray_cast(spot, way)[:3:2]) for way in _WAYS]
    return all(hit for _, hit, _ in hits) and sum(normal.dot(way) > 0.0 for way, _, normal in hits) >= _BACKS


def outside(moment: Moment, actor: int) -> bool:
    """Whether every bound of ``actor`` lies outside of one plane of what the camera can see."""
    corners = moment.corners.get(actor)
    if corners is None:
        return True
    clip = _clip(moment.view, corners)
    beyond = np.concatenate([clip[..., :3] < -clip[..., 3:], clip[..., :3] > clip[..., 3:]], axis=-1)
    return bool(beyond.all(axis=1).any(axis=1).all())


def actor_step(moment: Moment, after: Moment, actor: int, size: Size) -> float:
    """How far the middle of an actor moves in the picture, in picture widths; 0 where a camera does not see it."""
    if actor not in moment.corners or actor not in after.corners:
        return 0.0
    spots = [there.view.project(there.corners[actor].reshape(-1, 3).mean(axis=0))[0] for there in (moment, after)]
    step = float(np.linalg.norm(spots[1] - spots[0])) / size.width
    return step if np.isfinite(step) else 0.0


def camera_step(moment: Moment, after: Moment, size: Size) -> float:
    """How far things would move in the picture if only the camera did, in picture widths: the median over the bounds in
    the picture and the point at infinity that the camera looks at."""
    rotation = moment.view.world_from_camera[:3]
    ahead = rotation[:, 3] + moment.view.far * 1e3 * rotation[:, 2]
    still = np.concatenate([np.empty((0, 3)), *(boxes.reshape(-1, 3) for boxes in moment.corners.values())])
    clip = _clip(moment.view, still)
    points = np.concatenate([still[(np.abs(clip[:, :3]) <= clip[:, 3:]).all(axis=1)], ahead[None]])
    steps = np.linalg.norm(after.view.project(points)[0] - moment.view.project(points)[0], axis=1)
    return float(np.median(np.nan_to_num(steps, nan=np.inf))) / size.width


def _clip(view: CameraView, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) world to (..., 4) clip space."""
    matrix = view.projection @ view.camera_from_world
    return points @ matrix[:, :3].T + matrix[:, 3]
