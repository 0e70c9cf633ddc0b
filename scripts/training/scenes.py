# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders training clips; runs in Blender's Python (the bpy module).

Every material is a neutral grey. Sun, sky and mirrored light go into the three channels of ONE denoised Cycles render.
Colours, materials, fog and light moods are put on later (see palette.py), anew for every training sample. Depth, ids and
flow are Lucid's own capture of the same scene.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import lucid
import numpy as np
from numpy.typing import NDArray

from .cameras import CameraPath, shoot
from .capture import animate, data_passes, light_of, setup
from .coding import NORMAL_UNIT
from .dataset import FIRST_TRAINING_SEED
from .figures import cast
from .light import Sun, draw_sun, light_scene
from .materials import grey_material
from .motion import Actor
from .sets import Stage, build_stage
from .shapes import Array, Part, join

SENSOR = 36.0  # mm
VALIDATION_SIZE, VALIDATION_FRAMES = (256, 144), 49
#: width, height -> weight
SIZES = {(256, 144): 0.60, (384, 224): 0.12, (144, 256): 0.14, (192, 192): 0.14}
LONGEST_EVERY, LONGEST = 20, 49
LONG, SHORT = 21, 9
_ATTEMPTS = 5
_LEAST, _MOST = 0.005, 0.5  # of the picture, by an actor
_AT_THE_LENS = 1.0  # metres


def _merged(parts: list[Part]) -> list[Part]:
    """What stands still, is the same surface and has the same pattern becomes one object: fewer to evaluate and to trace."""
    still: dict[tuple[str, str, int, bool], list[Part]] = {}
    for part in parts:
        if part.matrices is None:
            still.setdefault((part.slot, part.pattern, part.actor, part.mesh.smooth), []).append(part)
    joined = [Part(join([p.mesh for p in group]), slot, pattern, actor)
              for (slot, pattern, actor, _), group in still.items()]
    return joined + [part for part in parts if part.matrices is not None]


def _add(scene: Any, parts: list[Part]) -> tuple[dict[str, int], dict[int, tuple[str, int]]]:
    """Objects for the parts. Returns their slots by object name, and (surface, actor) by slot; slot 0 is the sky."""
    materials: dict[str, Any] = {}
    numbers: dict[tuple[str, int], int] = {}
    of_object: dict[str, int] = {}
    for index, part in enumerate(_merged(parts)):
        name = f"{index:03d} {part.slot}"
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(part.mesh.verts.tolist(), [], part.mesh.faces)
        if part.mesh.smooth:
            mesh.shade_smooth()
        mesh.materials.append(materials.get(part.pattern) or materials.setdefault(part.pattern, grey_material(part.pattern)))
        thing = bpy.data.objects.new(name, mesh)
        thing.pass_index = of_object[name] = numbers.setdefault((part.slot, part.actor), len(numbers) + 1)
        scene.collection.objects.link(thing)
        if part.matrices is not None:
            animate(thing, part.matrices)
    return of_object, {slot: key for key, slot in numbers.items()}


def _add_camera(scene: Any, path: CameraPath) -> None:
    camera = bpy.data.cameras.new("camera")
    camera.sensor_fit, camera.sensor_width, camera.clip_start, camera.clip_end = "HORIZONTAL", SENSOR, 0.05, 500.0
    scene.camera = bpy.data.objects.new("camera", camera)
    scene.collection.objects.link(scene.camera)
    animate(scene.camera, path.poses @ np.diag([1.0, -1, -1, 1]), path.focal * SENSOR / scene.render.resolution_x)


def _slots(ids: NDArray[np.uint32], names: dict[int, str], of_object: dict[str, int]) -> NDArray[np.uint8]:
    """Ids of instances -> slots."""
    table = np.zeros(max(names, default=0) + 1, np.uint8)
    for number, name in names.items():
        table[number] = of_object[name]
    return table[ids]


def _joints(actors: list[Actor], frames: int) -> Array:
    """(A, F, 18, 3) world joints, NaN for actors without a skeleton."""
    empty = np.full((frames, 18, 3), np.nan, np.float32)
    found = [empty if actor.joints is None else actor.joints for actor in actors]
    return np.stack(found) if actors else empty[None][:0]


@dataclass
class Staged:
    """All that is drawn for a clip before it is built in Blender."""

    stage: Stage
    actors: list[Actor]
    path: CameraPath
    sun: Sun
    fps: float


def _meta(seed: int, staged: Staged) -> dict[str, Any]:
    return {"seed": seed, "set": staged.stage.kind, "indoor": staged.stage.indoor, "props": staged.stage.props,
            "move": staged.path.move, "fps": staged.fps, "sun_right": staged.sun.right,
            "sun_elevation": staged.sun.elevation, "actors": [actor.kind for actor in staged.actors]}


def draw_scene(rng: np.random.Generator, size: tuple[int, int], frames: int) -> Staged:
    """A set, its actors, a camera of `size` (width, height) on them, and the sun."""
    stage = build_stage(rng)
    fps = float(rng.uniform(7, 13))
    t = np.arange(frames) / fps
    actors = cast(rng, t, int(rng.choice([0, 1, 2], p=[0.08, 0.58, 0.34])))
    path = shoot(rng, stage, t, actors, size)
    return Staged(stage, actors, path, draw_sun(rng, path.poses[frames // 2, :3, 0].astype(np.float64)), fps)


def _all_seen(slot: NDArray[np.uint8], depth: Array, owners: dict[int, int], actors: int) -> bool:
    """Whether every actor is there most of the time and none of them, nor anything at the lens, fills the picture."""
    table = np.full(256, -1)
    table[list(owners)] = list(owners.values())
    share = np.stack([(table[slot] == actor).mean((1, 2)) for actor in range(actors)] or [np.full(len(slot), 0.1)])
    there = (share.mean(1) > _LEAST) & ((share > _LEAST / 2).mean(1) > 0.7) & (share.max(1) < _MOST)
    return bool(there.all()) and float((depth < _AT_THE_LENS).mean()) < 0.3


def make_clip(seed: int, size: tuple[int, int], frames: int, samples: int, threads: int, folder: Path,
              truth: bool = False) -> dict[str, Any]:
    """Builds and renders the clip of one seed at `size` (width, height); the keys are those of the npz file. With `truth` it
    has what a picture's motion is measured by. A scene whose actors are not to be seen is drawn anew."""
    for attempt in range(_ATTEMPTS):
        staged = draw_scene(np.random.default_rng([seed, attempt]), size, frames)
        scene = setup(*size, frames, samples, threads)
        _add_camera(scene, staged.path)
        light_scene(scene, staged.sun)
        of_object, slots = _add(scene, staged.stage.parts + [part for actor in staged.actors for part in actor.parts])
        passes = data_passes(scene, folder, truth)
        slot = _slots(passes["id"], passes["names"], of_object)
        if _all_seen(slot, passes["depth"], {k: owner for k, (_, owner) in slots.items()}, len(staged.actors)):
            break
    meta = _meta(seed, staged) | {"slots": {str(k): v for k, v in slots.items()}}
    clip = {"light": light_of(scene, folder), "depth": passes["depth"].astype(np.float16),
            "normal": np.rint(passes["normal"] * NORMAL_UNIT).astype(np.int8), "slot": slot,
            "joints": _joints(staged.actors, frames), "camera": passes["camera"], "K": passes["K"],
            "meta": json.dumps(meta)}
    if truth:
        clip |= {"flow": passes["flow"].astype(np.float16), "flow_valid": passes["flow_valid"],
                 "instance": passes["id"].astype(np.uint16), "rest": passes["rest"]}
    return clip


def plan(seed: int, long_every: int) -> tuple[tuple[int, int], int]:
    """Size (width, height) and number of frames of a seed's clip. Validation clips are all alike."""
    if seed < FIRST_TRAINING_SEED:
        return VALIDATION_SIZE, VALIDATION_FRAMES
    sizes = list(SIZES)
    size = sizes[np.random.default_rng([seed, 1]).choice(len(sizes), p=list(SIZES.values()))]
    return size, LONGEST if seed % LONGEST_EVERY == 0 else LONG if seed % long_every == 0 else SHORT


def make_clips(folder: Path, first: int, count: int, samples: int = 4, threads: int = 1, long_every: int = 5) -> None:
    """Renders seeds [first, first + count) that are not there yet, in the sizes and lengths of :func:`plan`."""
    folder.mkdir(parents=True, exist_ok=True)
    lucid.register()
    memory = Path("/dev/shm")
    for seed in range(first, first + count):
        target = folder / f"{seed:06d}.npz"
        if target.exists():
            continue
        start = time.monotonic()
        size, frames = plan(seed, long_every)
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
            clip = make_clip(seed, size, frames, samples, threads, Path(scratch), truth=seed < FIRST_TRAINING_SEED)
        partial = folder / f"{seed:06d}.partial"
        with partial.open("wb") as stream:
            np.savez_compressed(stream, **clip)
        os.replace(partial, target)
        meta, took = json.loads(clip["meta"]), time.monotonic() - start
        sys.stdout.write(f"{target.name} {meta['set']} {meta['actors']} {meta['move']} {size[0]}x{size[1]} {frames} frames "
                         f"{took:.1f} s {took / frames:.2f} s/frame\n")
        sys.stdout.flush()
