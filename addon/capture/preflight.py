# SPDX-License-Identifier: GPL-3.0-or-later
"""What will go wrong with a shot, told before a minute is spent on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import bpy

from ...inference.conditioning.habits import MINI, PROFILE
from ...inference.errors import LucidError
from ...inference.shot.model import Frames, Size
from .layers import Actor, resolve_actors
from .physics import caches, has_simulation_nodes
from .rigs import missing_joints, pose_source, unmapped_joints
from .spec import LARGEST, CaptureSpec, check_passes, check_size, checked_camera
from .survey import Survey, actor_step, camera_step, outside, rendered, survey

# Picture widths per captured frame. The video models keep four frames in one latent: at an eighth per frame a thing
# crosses half of the picture within one, and no place in it shows the same thing in all of them.
MOTION_LIMIT = 1.0 / 8.0
_MULTIPLE = 16              # pixels: 8 of the models' autoencoders, 2 of their patches
_MOST_NAMES = 6


@dataclass(frozen=True)
class Finding:
    """One thing to know before capturing. An "error" stops the capture; ``object`` is the name of the object to look at
    and ``frame`` the first frame where it happens, where there is one."""

    severity: Literal["error", "warning", "info"]
    code: str
    text: str
    hint: str
    object: str = ""
    frame: int | None = None

    @classmethod
    def of(cls, error: LucidError) -> Finding:
        return cls("error", error.code, error.text, error.hint)

    def __str__(self) -> str:
        return f"{self.severity.upper()} {self.code}: {self.text} ({self.hint})"


def check_shot(scene: bpy.types.Scene, spec: CaptureSpec) -> list[Finding]:
    """Everything that can be told from settings and from a few frames, the worst first. The scene stays as it is."""
    findings: list[Finding] = [*_length_and_size(spec.frames, spec.size), *_physics(scene, spec.frames)]
    camera: bpy.types.Object | None = None
    actors: tuple[Actor, ...] = ()
    with _told(findings):
        camera = checked_camera(scene, spec)
    with _told(findings):
        actors = resolve_actors(scene, spec.actors)
    with _told(findings):
        check_size(spec.size)
    with _told(findings):
        check_passes(spec.passes)
    findings += _poses(actors)
    if not any(finding.severity == "error" for finding in findings):
        seen = survey(scene, spec.frames, spec.size, camera, actors)
        findings += [*_objects(seen, spec.passes), *_camera_inside(seen), *_unseen(scene, seen, actors),
                     *_too_fast(seen, actors, spec.size)]
    order = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


@contextmanager
def _told(findings: list[Finding]) -> Iterator[None]:
    """The error of a check that the capture itself makes becomes a finding."""
    try:
        yield
    except LucidError as error:
        findings.append(Finding.of(error))


def _length_and_size(frames: Frames, size: Size) -> Iterator[Finding]:
    if size.width % _MULTIPLE or size.height % _MULTIPLE:
        yield Finding("info", "SIZE_PADDED", f"{size} is not a multiple of {_MULTIPLE} pixels",
                      "models work on the next larger size, which is cut back; a multiple wastes nothing")
    profile = json.loads((MINI / PROFILE).read_text(encoding="utf-8"))
    longest, largest = profile["max_frames"], profile["max_pixels"]
    if size.width * size.height > largest and max(size.width, size.height) <= LARGEST:
        yield Finding("info", "SIZE_LARGE", f"{size} is more than the embedded model learnt (384x224)",
                      "it works, slowly and softly; capture smaller to try things out, or generate with larger weights")
    if len(frames) > longest:
        yield Finding("info", "SHOT_LONG", f"the shot has {len(frames)} frames, the embedded model takes up to {longest} at once",
                      "a longer shot is painted in windows that overlap, in as much more time as it has more frames")


def _physics(scene: bpy.types.Scene, frames: Frames) -> Iterator[Finding]:
    bake = "bake it: Lucid plays it from its first frame before each capture, and only what is baked stays the same"
    for cache in caches(scene):
        owner, text = cache.id_data.name, f"the physics of '{cache.id_data.name}'"
        if isinstance(cache.id_data, bpy.types.Scene):
            bodies = [item.name for item in scene.objects if item.rigid_body is not None]
            if not bodies:
                continue
            owner, text = bodies[0], f"the rigid bodies' physics ({_listed(bodies)})"
        yield from _cache(owner, text, bake, cache.is_baked, cache.frame_end, frames)
    for item in scene.objects:
        for modifier in item.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                domain = modifier.domain_settings
                yield from _cache(item.name, f"the fluid of '{item.name}'", "bake it in its domain's settings",
                                  domain.has_cache_baked_any, domain.cache_frame_end, frames)
        if has_simulation_nodes(item):
            yield Finding("info", "PHYSICS_NODES", f"'{item.name}' has simulation nodes, baked or not",
                          "Lucid plays them from the first frame before each capture", item.name)


def _cache(owner: str, text: str, bake: str, baked: bool, end: int, frames: Frames) -> Iterator[Finding]:
    if not baked:
        yield Finding("warning", "PHYSICS_UNBAKED", f"{text} is not baked", bake, owner)
    if end < frames.end:
        yield Finding("warning", "PHYSICS_SHORT", f"{text} ends at frame {end}, the shot at {frames.end}",
                      "let its cache go on to the shot's end", owner, end + 1)


def _poses(actors: Sequence[Actor]) -> Iterator[Finding]:
    for actor in actors:
        rigs = [rig for rig in actor.armatures if pose_source(rig.data) != "none"]
        if actor.armatures and not rigs:
            yield Finding("info", "POSE_NONE", f"no person's skeleton is found in '{actor.name}'",
                          "its depth directs it; map the joints by hand if it has two arms and two legs",
                          actor.armatures[0].name)
        for rig in rigs:
            gone, unmapped = missing_joints(rig.data), unmapped_joints(rig.data)
            if gone:
                yield Finding("warning", "JOINT_GONE", f"bones of '{rig.name}' that joints are mapped to are gone: "
                              f"{_listed(gone)}", "map these joints again", rig.name)
            if unmapped:
                yield Finding("info", "JOINT_UNMAPPED", f"'{rig.name}' has no bones for {_listed(unmapped)}",
                              "they are not drawn; map them if there are such bones", rig.name)


def _objects(seen: Survey, passes: Sequence[str]) -> Iterator[Finding]:
    for name, nature in seen.natures.items():
        if nature.never is not None:
            yield Finding("warning", "GEOMETRY_UNSUPPORTED", f"'{name}' holds {nature.never}, which are not captured",
                          "convert it to a mesh", name)
        if nature.volume and "volume" not in passes:
            yield Finding("warning", "VOLUME_SKIPPED", f"'{name}' is a volume and has no surface",
                          "capture the pass 'volume' to have it as a layer", name)
        if nature.cycles is not None:
            yield Finding("info", "CYCLES_NEEDED", f"'{name}' goes through Cycles: {nature.cycles}",
                          "exact but slower", name)
        for image in nature.missing_images:
            yield Finding("error", "IMAGE_MISSING", f"the image '{image}' that cuts out '{name}' cannot be loaded",
                          "find the file again (File > External Data), or pack it", name)


def _camera_inside(seen: Survey) -> Iterator[Finding]:
    told: set[str] = set()
    for moment in seen.moments:
        for name in moment.around_camera:
            if name not in told:
                told.add(name)
                yield Finding("warning", "CAMERA_INSIDE", f"the camera '{moment.camera.name}' is inside of '{name}' at "
                              f"frame {moment.frame}", "move it out; if it is a room, turn its normals inwards", name,
                              moment.frame)


def _unseen(scene: bpy.types.Scene, seen: Survey, actors: Sequence[Actor]) -> Iterator[Finding]:
    moments = seen.moments
    frames = _listed([str(moment.frame) for moment in moments])
    for index, actor in enumerate(actors):
        shaped = [item for item in scene.objects if item.session_uid in actor.objects and item.type != "ARMATURE"]
        name = shaped[0].name if shaped else ""
        if not any(index in moment.corners for moment in moments):
            drawn = rendered(scene)
            if all(item.hide_render or item.name_full not in drawn for item in shaped):
                yield Finding("warning", "ACTOR_HIDDEN", f"the actor '{actor.name}' is hidden from renders",
                              "show it in renders (the camera icon in the outliner)", name)
        elif all(outside(moment, index) for moment in moments):
            yield Finding("warning", "ACTOR_UNSEEN", f"the actor '{actor.name}' is outside of the picture (looked at "
                          f"frames {frames})", "turn the camera to it, or take it off the actors", name)


def _too_fast(seen: Survey, actors: Sequence[Actor], size: Size) -> Iterator[Finding]:
    """The first frame where it happens, once each; while the camera is too fast, everything is."""
    told: set[str] = set()
    for moment, after in seen.pairs:
        if after is None or moment.camera != after.camera:
            continue
        steps = {moment.camera.name: camera_step(moment, after, size)}
        if steps[moment.camera.name] <= MOTION_LIMIT:
            steps = {actor.name: actor_step(moment, after, index, size) for index, actor in enumerate(actors)
                     if not (outside(moment, index) and outside(after, index))}
        for name, step in steps.items():
            if step > MOTION_LIMIT and name not in told:
                told.add(name)
                yield Finding("warning", "MOTION_FAST", f"'{name}' moves {min(step, 9.99):.0%} of the picture's width "
                              f"between frames {moment.frame} and {after.frame}", f"models lose what moves more than "
                              f"{MOTION_LIMIT:.1%}: capture more frames of it, or slow it down", name, moment.frame)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
