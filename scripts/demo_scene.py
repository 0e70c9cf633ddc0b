# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the demo scene from Blender's own primitives: a walker passes a thrown ball in a street by daylight.

    PYTHON scripts/demo_scene.py -- --out FILE.blend [--frames N]         (PYTHON has the bpy module)
    blender -b --factory-startup --python scripts/demo_scene.py -- --out FILE.blend [--frames N]

Actors to name at capture: the collection "Walker" (armature and body) and the object "Ball".
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import bpy
from mathutils import Vector


def _name_pieces() -> None:
    """Make scripts/demo importable as `lucid_demo`, wherever this file runs and without touching sys.path."""
    folder = Path(__file__).resolve().parent / "demo"
    spec = importlib.util.spec_from_file_location("lucid_demo", folder / "__init__.py",
                                                  submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"the pieces of the demo scene are missing: {folder}")
    sys.modules["lucid_demo"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_name_pieces()

from lucid_demo.ball import build_ball  # noqa: E402
from lucid_demo.shot import build_camera, build_daylight  # noqa: E402
from lucid_demo.street import build_street  # noqa: E402
from lucid_demo.walker import build_walker  # noqa: E402

FPS = 15
FRAMES = 45
MOST = 300
START = Vector((1.9, 0.0, 0.0))
"""where the walker is at the first frame (m)"""
THROW = Vector((-0.1, 0.8, 1.45)), Vector((0.97, -2.05, 1.6))
"""where the ball leaves the hand (m) and how fast (m/s)"""


def build(frames: int = FRAMES) -> bpy.types.Scene:
    """Replace the open file by the demo scene with frames 1..`frames`; returns its scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Demo"
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 1280, 720, 100
    scene.view_settings.view_transform = "Standard"
    scene.unit_settings.system = "METRIC"
    shown = range(1, frames + 1)
    build_ball(scene, shown, *THROW)
    build_street(scene)
    build_walker(scene, shown, START, 0.0)
    build_camera(scene, shown, START)
    build_daylight(scene)
    scene.frame_start, scene.frame_end = 1, frames
    scene.frame_set(1)
    return scene


def main(argv: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="demo_scene.py", description="Build Lucid's demo scene.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.blend")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N")
    wanted = parser.parse_args(argv)
    if not 2 <= wanted.frames <= MOST:
        parser.error(f"--frames must be between 2 and {MOST}")
    if wanted.out.suffix != ".blend":
        parser.error("--out must name a .blend file")
    begun = time.monotonic()
    build(wanted.frames)
    wanted.out.resolve().parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(wanted.out.resolve()), compress=True)
    sys.stdout.write(f"demo scene: {wanted.out} in {time.monotonic() - begun:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else sys.argv[1:]))
