# SPDX-License-Identifier: GPL-3.0-or-later
"""A control as the model will get it, of the current frame, drawn by the capture's own rasteriser from the viewport's scene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from ..inference.conditioning.compose import dilate, overlay
from ..inference.conditioning.depth import inverse_depth, measure_range
from ..inference.conditioning.geometry import geometry
from ..inference.conditioning.pose import draw_openpose, drawn
from ..inference.shot.model import DepthRange, Size
from .capture.camera import check_camera, view_of
from .capture.frames import FrameScene, FrameSurfaces
from .capture.geometry import Mesh, MeshCache, RestMemory, read_mesh
from .capture.instances import ENVIRONMENT_ACTOR, Registry, gather
from .capture.layers import Actor, actor_index
from .capture.materials import Cutout, Invisible, classify
from .capture.motion import Neighbours
from .capture.pose import PoseTrack, skeletons_of
from .capture.raster import Rasteriser
from .capture.show import picture

CONTROLS = {
    "depth": ("Depth", "Inverse depth, near is white"),
    "normal": ("Normal", "Camera-space normals as colours"),
    "geometry": ("Geometry", "Depth in red, the normal's x and y in green and blue: what the embedded model is told"),
    "id": ("Id", "A colour for each object instance"),
    "pose": ("Pose", "The actors' skeletons alone, as the model gets them"),
    "composed": ("Composed", "The actors' skeletons inside their grown silhouettes, depth elsewhere, as VACE was trained"),
}
WITH_DEPTH = frozenset({"depth", "geometry", "composed"})
# the large checkpoints' profile grows silhouettes by 8 pixels of a picture with a short side of 480
_POSE_GROW = 8 / 480
_SURFACES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}


@dataclass(frozen=True)
class Wish:
    """Which of CONTROLS; ``skeletons`` puts the lines of the actors' skeletons over it; ``span`` is the range of depth, None
    for that of the frame."""

    control: str
    skeletons: bool = False
    span: DepthRange | None = None
    actors: tuple[Actor, ...] = ()

    @property
    def posed(self) -> bool:
        return self.skeletons or self.control in {"pose", "composed"}


class _AsRendered:
    """The viewport's depsgraph without what a render hides."""

    def __init__(self, depsgraph: bpy.types.Depsgraph, hidden: frozenset[int]) -> None:
        self._depsgraph, self._hidden, self.view_layer = depsgraph, hidden, depsgraph.view_layer

    @property
    def object_instances(self) -> Iterator[bpy.types.DepsgraphObjectInstance]:
        for instance in self._depsgraph.object_instances:
            owner = (instance.parent if instance.is_instance else instance.object).original
            # what a collection holds hides itself; what nodes place does not
            inner = instance.is_instance and owner.instance_type == "COLLECTION" and instance.object.original.hide_render
            if owner.session_uid not in self._hidden and not inner:
                yield instance


class _LiveCache(MeshCache):
    """Meshes as long as no handler told that they changed; also of objects in edit mode."""

    def __init__(self) -> None:
        super().__init__(RestMemory(), detailed=False)
        self.changed: set[int] = set()          # session uids of objects

    def forget_changed(self, _depsgraph: object) -> None:
        self._read = {key: mesh for key, mesh in self._read.items() if key[0] not in self.changed}
        self.changed = set()

    def mesh(self, evaluated: bpy.types.Object) -> Mesh | None:
        if not evaluated.data.is_editmode:
            return super().mesh(evaluated)
        key = (evaluated.original.session_uid, evaluated.data.session_uid)
        if key not in self._read:       # in edit mode the evaluated mesh has no arrays; a copy has
            self._read[key] = read_mesh(evaluated.to_mesh(), detailed=False)
            evaluated.to_mesh_clear()
        return self._read[key]


class LivePicture:
    """Draws pictures of one size, again and again. It owns GPU resources of one context: use it in one window's drawing."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._start_over()

    def _start_over(self) -> None:
        self._registry, self._cache, self._looks_changed = Registry(), _LiveCache(), False
        self._rasteriser = Rasteriser(self.size, self._registry, detailed=False)

    def forget(self, changed: Iterable[int] | None = None, *, looks: bool = True, pixels: bool = False) -> None:
        """Read the objects with the session uids ``changed`` again, None: all of them. ``looks``: materials may have changed,
        ``pixels``: images may have."""
        if pixels and any(isinstance(look, Cutout) for look in self._registry.looks.values()):
            self._start_over()
        elif changed is None:
            self._cache = _LiveCache()
        else:
            self._cache.changed.update(changed)
        self._looks_changed |= looks

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not drawn as a capture does, which lets Cycles draw it."""
        return tuple(self._registry.notes)

    def surfaces(self, depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object, wish: Wish) -> FrameSurfaces:
        """What the camera sees in the evaluated frame: each actor alone only where skeletons are wished for, no mattes.

        Raises CAMERA_UNSUPPORTED, IMAGE_MISSING. Objects that a render hides are not seen, nor those the viewport hides,
        which its depsgraph does not hold; subdivision is the viewport's.
        """
        check_camera(camera)
        if self._looks_changed:
            self._judge_again()
        shown = _AsRendered(depsgraph, hidden_in_render(depsgraph.view_layer))
        groups, counts = gather(shown, self._cache, self._registry, partial(actor_index, wish.actors))  # type: ignore[arg-type]
        scene = FrameScene(depsgraph.scene.frame_current, camera.name_full,
                           view_of(camera.evaluated_get(depsgraph), depsgraph, self.size), groups, counts)
        self._rasteriser.load(groups, scene.view, Neighbours(scene, None, None))
        actors = range(len(wish.actors))
        full = self._rasteriser.surface((ENVIRONMENT_ACTOR, *actors))
        alone = tuple(self._rasteriser.surface((actor,)) for actor in actors) if wish.posed else ()
        return FrameSurfaces(scene, full, full, alone, np.zeros((0, *full.depth.shape), np.float32), None)

    def draw(self, depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object, wish: Wish) -> NDArray[np.float32]:
        """(H, W, 4) float32 in [0, 1], top row first; opaque, as a model has no transparency. Raises as :meth:`surfaces`."""
        surfaces = self.surfaces(depsgraph, camera, wish)
        colour = self._posed(control(surfaces, wish), surfaces, depsgraph, wish) if wish.posed else control(surfaces, wish)
        return np.concatenate([colour, np.ones((*colour.shape[:2], 1), np.float32)], axis=-1)

    def _judge_again(self) -> None:
        """Shaders are slow to make, and an animated material seldom changes what is cut: start over only when it did."""
        by_name = {material.name_full: material for material in bpy.data.materials}
        now = {number: classify(by_name.get(name)) for name, number in self._registry.materials.items()}
        if {number: look for number, look in now.items() if isinstance(look, (Cutout, Invisible))} != self._registry.looks:
            self._start_over()
        self._looks_changed = False
        self._registry.judged.clear()
        self._registry.notes.clear()

    def _posed(self, colour: NDArray[np.float32], surfaces: FrameSurfaces, depsgraph: bpy.types.Depsgraph,
               wish: Wish) -> NDArray[np.float32]:
        skeletons = skeletons_of(wish.actors)
        if not skeletons:
            return colour
        ids = [np.array([number for number, owner in self._registry.actors.items() if owner == actor], np.uint32)
               for actor in range(len(wish.actors))]
        track = PoseTrack(skeletons, partial(actor_index, wish.actors))
        track.add(surfaces, track.read(depsgraph, surfaces.view), ids)
        height, width = surfaces.full.depth.shape
        lines = draw_openpose(track.image[0], drawn(track.visibility[0]), height, width)
        region = lines.any(-1)
        if wish.control == "composed":
            figures = np.isin(surfaces.full.id, np.concatenate([ids[skeleton.actor] for skeleton in skeletons]))
            region = dilate(figures, max(round(_POSE_GROW * min(height, width)), 1))
        return overlay(colour, lines, region)


def control(surfaces: FrameSurfaces, wish: Wish) -> NDArray[np.float32]:
    """(H, W, 3) float32 in [0, 1]: the control of what is seen, without skeletons."""
    full = surfaces.full
    if wish.control in {"normal", "id"}:
        return picture(wish.control, surfaces)[..., :3]
    if wish.control == "pose":
        return np.zeros((*full.depth.shape, 3), np.float32)
    hit = np.isfinite(full.depth)
    if not hit.any():
        return np.zeros((*full.depth.shape, 3), np.float32)
    span = wish.span or measure_range([1.0 / full.depth])
    inverse = inverse_depth(full.depth, span)
    return geometry(inverse, full.normal, hit) if wish.control == "geometry" else np.repeat(inverse[..., None], 3, axis=-1)


def texture_of(pixels: NDArray[np.float32]) -> gpu.types.GPUTexture:
    """A texture of (H, W, 4) pixels, top row first. A pixel of the control stays one: nothing is blurred."""
    height, width = pixels.shape[:2]
    data = gpu.types.Buffer("FLOAT", pixels.size, np.ascontiguousarray(pixels[::-1]).ravel())
    texture = gpu.types.GPUTexture((width, height), format="RGBA32F", data=data)
    texture.filter_mode(False)
    return texture


def put(texture: gpu.types.GPUTexture, frame: tuple[float, float, float, float], opacity: float) -> None:
    """Over what is drawn, at ``frame``: left, bottom, right and top in pixels of the region."""
    left, bottom, right, top = frame
    shader = gpu.shader.from_builtin("IMAGE_COLOR")
    batch = batch_for_shader(shader, "TRIS", {"pos": ((left, bottom), (right, bottom), (right, top), (left, top)),
                                              "texCoord": ((0, 0), (1, 0), (1, 1), (0, 1))}, indices=((0, 1, 2), (0, 2, 3)))
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_sampler("image", texture)
    shader.uniform_float("color", (1.0, 1.0, 1.0, opacity))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def preview_size(scene: bpy.types.Scene, side: int) -> Size:
    """The shape of the scene's render with ``side`` pixels on its longer side."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    scale = side / max(width, height)
    return Size(max(round(width * scale), 1), max(round(height * scale), 1))


def hidden_in_render(layer: bpy.types.ViewLayer) -> frozenset[int]:
    """Session uids of the layer's objects that a render does not show, by themselves or by all of their collections."""
    shown = _rendered(layer.layer_collection)
    return frozenset(item.session_uid for item in layer.objects if item.hide_render or item.session_uid not in shown)


def missed_by_viewport(layer: bpy.types.ViewLayer) -> list[str]:
    """Names of objects with surfaces that a render shows and the viewport, and so the preview, does not."""
    hidden = hidden_in_render(layer)
    return [item.name for item in layer.objects if item.type in _SURFACES and item.session_uid not in hidden
            and not item.visible_get(view_layer=layer)]


def _rendered(collection: bpy.types.LayerCollection) -> set[int]:
    if collection.exclude or collection.collection.hide_render:
        return set()
    found = {item.session_uid for item in collection.collection.objects}
    return found.union(*(_rendered(child) for child in collection.children))
