# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders training clips with Cycles; runs in Blender's Python (the bpy module).

Every material is a neutral grey. The sun is pure red, the sky pure green, so ONE denoised render holds two light
groups: red = sun irradiance, green = sky irradiance, both times the grey pattern. Colours, palettes and light moods
are put on later (see palette.py), anew for every training sample. Samples sit at the pixel centre (box filter of zero
width), so picture, depth and slots agree exactly.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bpy
import mathutils
import numpy as np
import OpenEXR

from .cameras import intrinsics, shoot
from .figures import cast
from .motion import Actor
from .sets import Stage, build_stage
from .shapes import Array, Part

WIDTH, HEIGHT = 256, 144
GREY = 0.72
SKY_SLOT = 0


def _pattern_nodes(material: Any, pattern: str) -> None:
    """Grey base colour, by pattern: bricks, planks, checker, cobble, noise, or plain."""
    tree = material.node_tree
    tree.nodes.clear()
    out, bsdf = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeBsdfDiffuse")
    tree.links.new(bsdf.outputs[0], out.inputs[0])
    bsdf.inputs["Color"].default_value = (GREY, GREY, GREY, 1)
    if pattern == "plain":
        return
    kind, scale = {
        "brick": ("ShaderNodeTexBrick", 1.6),
        "plank": ("ShaderNodeTexWave", 1.4),
        "checker": ("ShaderNodeTexChecker", 1.0),
        "cobble": ("ShaderNodeTexVoronoi", 3.0),
        "noise": ("ShaderNodeTexNoise", 2.5),
    }[pattern]
    texture, ramp, coords = (
        tree.nodes.new(kind),
        tree.nodes.new("ShaderNodeMapRange"),
        tree.nodes.new("ShaderNodeTexCoord"),
    )
    texture.inputs["Scale"].default_value = scale
    if pattern == "brick":
        for name, value in (("Color1", 1.0), ("Color2", 0.7), ("Mortar", 0.2)):
            texture.inputs[name].default_value = (value, value, value, 1)
    ramp.inputs["To Min"].default_value, ramp.inputs["To Max"].default_value = GREY * 0.62, GREY
    output = {"cobble": "Distance", "noise": "Factor"}.get(pattern, "Color")
    names = [socket.name for socket in texture.outputs]
    tree.links.new(coords.outputs["Object"], texture.inputs["Vector"])
    tree.links.new(texture.outputs[output if output in names else 0], ramp.inputs["Value"])
    tree.links.new(ramp.outputs[0], bsdf.inputs["Color"])


def _setup(samples: int, threads: int) -> Any:
    """An empty scene that renders Combined, Depth and Object Index through one view layer."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.film_transparent = True
    scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.use_persistent_data = True
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", samples, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 1, 1, 0
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter, cycles.denoising_quality = "NONE", "FAST"
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    cycles.debug_bvh_type = "DYNAMIC_BVH"
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    if hasattr(settings, "use_exr_interleave"):
        settings.use_exr_interleave = True  # one part, else only Combined is in the first one
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    return scene


def _light(scene: Any, rng: np.random.Generator, right: Array) -> tuple[float, float]:
    """Red sun, green sky. Returns the sun's lean towards the camera's right (-1..1) and its elevation in radians."""
    world = bpy.data.worlds.new("sky")
    scene.world = world
    nodes = world.node_tree.nodes if world.node_tree else None
    if nodes is None:
        world.use_nodes = True
        nodes = world.node_tree.nodes
    background = next((n for n in nodes if n.type == "BACKGROUND"), None)
    if background is None:
        background = nodes.new("ShaderNodeBackground")
        world.node_tree.links.new(background.outputs[0], nodes.new("ShaderNodeOutputWorld").inputs[0])
    background.inputs[0].default_value, background.inputs[1].default_value = (0, 1, 0, 1), 1.0
    lean = rng.choice([-1, 1]) * rng.uniform(0.45, 0.95) if rng.random() < 0.85 else rng.uniform(-0.2, 0.2)
    elevation = rng.uniform(0.35, 1.1)
    forward = np.cross([0, 0, 1.0], right)
    depth = np.sqrt(max(0.0, 1 - lean * lean)) * rng.choice([-1, -1, 1])
    flat = right * lean + forward * depth
    to_sun = mathutils.Vector((*(flat[:2] * np.cos(elevation)), np.sin(elevation)))
    data = bpy.data.lights.new("sun", "SUN")
    data.color, data.energy, data.angle = (1, 0, 0), float(np.pi), 0.02
    lamp = bpy.data.objects.new("sun", data)
    lamp.rotation_euler = to_sun.to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
    return float(lean), float(elevation)


def _add(scene: Any, parts: list[Part], slots: dict[tuple[str, int], int]) -> list[tuple[Any, Array]]:
    """Objects for the parts; returns the moving ones with their matrices. Fills `slots` (name, actor) -> index."""
    materials: dict[str, Any] = {}
    moving = []
    for part in parts:
        mesh = bpy.data.meshes.new(part.slot)
        mesh.from_pydata(part.mesh.verts.tolist(), [], part.mesh.faces)
        if part.mesh.smooth:
            mesh.shade_smooth()
        if part.pattern not in materials:
            material = bpy.data.materials.new(part.pattern)
            if not material.node_tree:
                material.use_nodes = True
            _pattern_nodes(material, part.pattern)
            materials[part.pattern] = material
        mesh.materials.append(materials[part.pattern])
        thing = bpy.data.objects.new(part.slot, mesh)
        thing.pass_index = slots.setdefault((part.slot, part.actor), len(slots) + 1)
        scene.collection.objects.link(thing)
        if part.matrices is not None:
            moving.append((thing, part.matrices))
    return moving


def _read(path: str) -> tuple[Array, Array, Array]:
    """Combined RGBA, depth and object index out of one multilayer file."""
    with OpenEXR.File(path, separate_channels=True) as exr:
        channels = exr.channels()

        def get(suffix: str) -> Array:
            return next(c.pixels for name, c in channels.items() if name.lower().endswith(suffix))

        rgba = np.stack([get(f"combined.{c}") for c in "rgba"], -1)
        depth = get("depth.z") if any(n.lower().endswith("depth.z") for n in channels) else get("depth.v")
        index = next(c.pixels for name, c in channels.items() if "index" in name.lower())
    return rgba, depth, index


def _render(scene: Any, moving: list[tuple[Any, Array]], poses: Array, scratch: str) -> dict[str, Array]:
    """All frames: `light` (F, H, W, 2) uint8 square-root coded up to 2.0, `depth` float16, `slot` uint8."""
    light, depth, slot = [], [], []
    flip = np.diag([1.0, -1, -1, 1])
    for frame, pose in enumerate(poses):
        scene.camera.matrix_world = mathutils.Matrix((pose @ flip).tolist())
        for thing, matrices in moving:
            thing.matrix_world = mathutils.Matrix(matrices[frame].tolist())
        scene.render.filepath = scratch
        bpy.ops.render.render(write_still=True)
        rgba, z, index = _read(scratch)
        index = np.where(rgba[..., 3] > 0.5, np.rint(index), SKY_SLOT).astype(np.uint8)
        light.append(np.rint(255 * np.sqrt(np.clip(rgba[..., :2] / GREY / 2.0, 0, 1))).astype(np.uint8))
        depth.append(np.where(index > 0, z, np.inf).astype(np.float16))
        slot.append(index)
    return {"light": np.stack(light), "depth": np.stack(depth), "slot": np.stack(slot)}


def _joints(actors: list[Actor], frames: int) -> Array:
    """(A, F, 18, 3) world joints, NaN for actors without a skeleton."""
    empty = np.full((frames, 18, 3), np.nan, np.float32)
    return (
        np.stack([empty if actor.joints is None else actor.joints for actor in actors]) if actors else empty[None][:0]
    )


def make_clip(seed: int, frames: int, samples: int, threads: int, scratch: str) -> dict[str, Any]:
    """Builds and renders the clip of one seed; the keys are those of the npz file."""
    rng = np.random.default_rng(seed)
    stage: Stage = build_stage(rng)
    fps = float(rng.uniform(7, 13))
    t = np.arange(frames) / fps
    count = int(rng.choice([0, 1, 2], p=[0.1, 0.58, 0.32]))
    actors = cast(rng, t, count)
    focus = actors[0].path.copy() if actors else np.zeros((frames, 3), np.float32)
    focus[:, 2] = np.maximum(focus[:, 2] * 0.5, 0.85)
    poses, move = shoot(rng, stage, t, focus)
    scene = _setup(samples, threads)
    fov = float(rng.uniform(0.75, 1.25))
    camera = bpy.data.cameras.new("camera")
    camera.sensor_fit, camera.angle_x, camera.clip_start, camera.clip_end = "HORIZONTAL", fov, 0.05, 500.0
    scene.camera = bpy.data.objects.new("camera", camera)
    scene.collection.objects.link(scene.camera)
    lean, elevation = _light(scene, rng, poses[frames // 2, :3, 0].astype(np.float64))
    slots: dict[tuple[str, int], int] = {}
    moving = _add(scene, stage.parts + [part for actor in actors for part in actor.parts], slots)
    rendered = _render(scene, moving, poses, scratch)
    meta = {
        "seed": seed,
        "set": stage.kind,
        "indoor": stage.indoor,
        "move": move,
        "fps": fps,
        "sun_right": lean,
        "sun_elevation": elevation,
        "actors": [actor.kind for actor in actors],
        "slots": {str(i): [name, actor] for (name, actor), i in slots.items()},
    }
    return {
        **rendered,
        "joints": _joints(actors, frames),
        "camera": poses,
        "K": intrinsics(WIDTH, HEIGHT, fov),
        "meta": json.dumps(meta),
    }


def make_clips(folder: Path, first: int, count: int, samples: int = 8, threads: int = 1, long_every: int = 4) -> None:
    """Renders seeds [first, first + count) that are not there yet; every `long_every`-th clip has 21 frames, the rest 9."""
    folder.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        for seed in range(first, first + count):
            target = folder / f"{seed:06d}.npz"
            if target.exists():
                continue
            start = time.monotonic()
            frames = 21 if seed % long_every == 0 else 9
            clip = make_clip(seed, frames, samples, threads, str(Path(scratch) / "frame.exr"))
            partial = folder / f"{seed:06d}.partial"
            with partial.open("wb") as stream:
                np.savez_compressed(stream, **clip)
            os.replace(partial, target)
            meta = json.loads(clip["meta"])
            sys.stdout.write(f"{target.name} {meta['set']} {meta['actors']} {time.monotonic() - start:.1f} s" + "\n")
