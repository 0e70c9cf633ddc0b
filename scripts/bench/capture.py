# SPDX-License-Identifier: GPL-3.0-or-later
"""How exact and how fast is a capture? Against closed forms and against Cycles at one sample, in one run.

    python3 scripts/bench/capture.py [--frames 48] [--cycles-frames 5] [--quick]

The last line is one flat JSON object. Of the scene of scripts/bench/scene.py at 640x360, every data pass:

- gbuffer_s, gbuffer_s_with_writing: wall seconds a frame of the G-buffer, set-up included; the second with every file, its
  hash and the manifest; cycles_s, cycles_s_with_writing: of Cycles at one sample with persistent data and the same
  passes after a first frame (without writing: of a small bitmap alone); cycles_ratio, cycles_ratio_with_writing: how many
  times the one goes into the other; gbuffer_cpu_s, cycles_cpu_s, cycles_cpu_ratio and the same _with_writing: likewise in
  seconds of all cores together, which other programs disturb less;
- depth_error: median, relative to Cycles; ids_equal: part of the pixels; flow_p99: pixels, where it is valid and both see
  the same thing, forward and backward;
- peak_mb, peak_memory_ratio: of a process that captures this many frames, and ten times as many over that.

Of closed forms at 160x90: sphere_depth and plane_depth (median relative errors), sphere_normal_degrees, disc_matte_area.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 640, 360
LONGER = 10             # how many times longer the second capture is whose memory is compared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48, help="frames of the G-buffer")
    parser.add_argument("--cycles-frames", type=int, default=5, help="frames of Cycles; the first is not timed")
    parser.add_argument("--quick", action="store_true", help="a quarter of the frames")
    parser.add_argument("--peak", type=int, metavar="FRAMES", help="print the peak memory of one capture and no more")
    arguments = parser.parse_args()
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.bench.report import go_on_with, json_line

    go_on_with("bpy")
    import lucid

    lucid.register()
    frames = max(arguments.frames // 4, 6) if arguments.quick else arguments.frames
    with tempfile.TemporaryDirectory() as folder:
        found = peak(arguments.peak, Path(folder)) if arguments.peak else {
            **closed_forms(Path(folder)), **against_cycles(frames, arguments.cycles_frames, Path(folder)), **memory(frames)}
    lucid.unregister()
    sys.stdout.write(json_line(found))
    return 0


def closed_forms(folder: Path) -> dict[str, float]:
    """A sphere, a plane seen at a slant, and the area of a disc's matte."""
    import bpy
    import numpy as np
    from lucid.tests.captured import SIZE, add_camera, add_sphere, captured

    def fresh() -> bpy.types.Scene:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        return bpy.context.scene

    def error(found: Any, truth: Any) -> float:
        both = np.isfinite(found) & np.isfinite(truth)
        return float(np.median(np.abs(found[both] - truth[both]) / truth[both]))

    scene = fresh()
    add_sphere(smooth=True, detail=512)
    add_camera(scene)
    shot = captured(scene, folder / "sphere")
    start, way = shot.rays()
    a, b, c = (way * way).sum(-1), 2.0 * (start * way).sum(-1), (start * start).sum(-1) - 1.0
    with np.errstate(invalid="ignore"):
        depth = np.where(b * b > 4.0 * a * c, (-b - np.sqrt(b * b - 4.0 * a * c)) / (2.0 * a), np.inf)
    hit = np.isfinite(depth) & np.isfinite(shot.depth())
    normal = (start[hit] + way[hit] * depth[hit][:, None]) @ shot.camera["world_from_camera"][0][:3, :3]
    away = np.degrees(2.0 * np.arcsin(np.linalg.norm(normal - shot.normal()[hit], axis=-1) / 2.0))
    found = {"sphere_depth": error(shot.depth(), depth), "sphere_normal_degrees": float(np.median(away))}
    scene = fresh()
    bpy.ops.mesh.primitive_plane_add(size=50.0)
    add_camera(scene, at=(0.0, -6.0, 3.0))
    shot = captured(scene, folder / "plane")
    start, way = shot.rays()
    found["plane_depth"] = error(shot.depth(), -start[..., 2] / way[..., 2])
    scene = fresh()
    add_sphere("Ball", radius=1.3)
    add_camera(scene, at=(0.0, -10.0, 0.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=10.0)
    area = math.pi * (1.3 * SIZE.width / 10.0) ** 2
    matte = captured(scene, folder / "disc", actors=("Ball",)).matte("Ball")
    return found | {"disc_matte_area": float(abs(matte.sum() - area) / area)}


def against_cycles(frames: int, cycles_frames: int, folder: Path) -> dict[str, float]:
    """Both engines on one scene: seconds a frame, and how far apart they are."""
    from lucid.inference.shot.model import Frames
    from lucid.scripts.bench.scene import build

    scene = build(frames)
    drawn(scene, 2)                         # shaders are compiled once in a process
    found: dict[str, float] = {}
    shots: list[Any] = []
    for kept, name in ((False, ""), (True, "_with_writing")):
        with Stopwatch() as ours:
            if kept:
                shots.append(taken(scene, Frames(1, frames), folder))
            else:
                drawn(scene, frames)
        theirs = rendered(scene, cycles_frames, folder, kept=kept)
        for unit, a, b in (("", ours.wall / frames, theirs.wall), ("_cpu", ours.cpu / frames, theirs.cpu)):
            found |= {f"gbuffer{unit}_s{name}": a, f"cycles{unit}_s{name}": b, f"cycles{unit}_ratio{name}": b / a}
    return found | apart(scene, shots[0], min(cycles_frames, frames), folder)


class Stopwatch:
    """Seconds by the wall's clock, and of all of this process's threads together."""

    wall = cpu = 0.0

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def drawn(scene: Any, frames: int) -> None:
    """The G-buffer: every pass is made and none is kept."""
    from lucid.addon.capture.gbuffer import Walk, Wanted, render_some
    from lucid.addon.capture.instances import Registry
    from lucid.addon.capture.restore import PLAIN_RENDER, rest_positions, restored
    from lucid.inference.shot.model import Size

    walk = Walk(deque(range(1, frames + 1)), Size(WIDTH, HEIGHT), None, lambda surfaces: surfaces.world_normal(),
                Registry(), Wanted(detail=True, flow=True))
    while walk.pending:
        with restored(scene), rest_positions(True):
            for name, value in PLAIN_RENDER.items():
                setattr(scene.render, name, value)
            render_some(scene, scene.view_layers[0].name, walk)


def taken(scene: Any, frames: Any, folder: Path) -> Any:
    """The scene captured with every data pass: one sample a pixel, as Cycles gives; so no antialiased alpha."""
    from lucid.addon.capture import GBUFFER_PASSES
    from lucid.inference.shot.model import Size
    from lucid.tests.captured import captured

    passes = tuple(name for name in GBUFFER_PASSES if name not in ("alpha", "shadow", "volume"))
    return captured(scene, folder, frames=frames, size=Size(WIDTH, HEIGHT), passes=passes)


def rendered(scene: Any, frames: int, folder: Path, *, kept: bool) -> Stopwatch:
    """What a frame of Cycles takes after the first; ``kept`` writes the passes to folder/cycles_####.exr, else what is written
    is a bitmap of the picture, which takes a few milliseconds."""
    import bpy
    from lucid.inference.shot.model import Size
    from lucid.tests.oracle import data_render, set_to

    stamps: list[tuple[float, float]] = []

    def stamp(*_: Any) -> None:
        stamps.append((time.perf_counter(), time.process_time()))

    ended = bpy.app.handlers.render_post            # after a frame is written
    with data_render(scene, Size(WIDTH, HEIGHT), folder / "cycles_", persistent=True), \
            set_to(scene, frame_start=1, frame_end=frames), \
            set_to(scene.render.image_settings, media_type="MULTI_LAYER_IMAGE" if kept else "IMAGE"):
        if not kept:
            scene.render.image_settings.file_format = "BMP"
        ended.append(stamp)
        try:
            bpy.ops.render.render(animation=True, scene=scene.name)
        finally:
            ended.remove(stamp)
    watch = Stopwatch()
    watch.wall, watch.cpu = ((end - begin) / (len(stamps) - 1) for begin, end in zip(stamps[0], stamps[-1], strict=True))
    return watch


def apart(scene: Any, shot: Any, frames: int, folder: Path) -> dict[str, float]:
    """How far the passes of ``shot`` are from those that Cycles wrote."""
    import numpy as np
    from lucid.tests.oracle import read_passes

    depths, same, flows = [], [], []
    for frame in range(1, frames + 1):
        scene.frame_set(frame)
        truth = read_passes(folder / f"cycles_{frame:04d}.exr", np.array(scene.camera.matrix_world.normalized()))
        ours, theirs = shot.depth(frame), truth["depth"]
        both = np.isfinite(ours) & np.isfinite(theirs)
        error = np.full(ours.shape, np.inf)
        error[both] = np.abs(ours[both] - theirs[both]) / theirs[both]
        # Cryptomatte calls an instance by the name of the object that it shows
        names = {0: "", **{number: name.rpartition("/")[2].partition("[")[0] for number, name in shot.shot.instances.items()}}
        alike = np.vectorize(names.__getitem__)(shot.id(frame)) == truth["object"]
        depths.append(error[both])
        same.append(alike)
        for way in ("forward", "backward"):
            step, valid, _ = shot.flow(frame, way)
            sure = valid & alike & (error < 1e-3)
            flows.append(np.hypot(*(step - truth[f"flow_{way}"])[sure].T))
    return {"depth_error": float(np.median(np.concatenate(depths))), "ids_equal": float(np.mean(same)),
            "flow_p99": float(np.percentile(np.concatenate(flows), 99.0))}


def memory(frames: int) -> dict[str, float]:
    """The peaks of two captures, each in a process of its own."""
    peaks = []
    for count in (frames, LONGER * frames):
        command = [sys.executable, str(Path(__file__).resolve()), "--peak", str(count)]
        last = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        peaks.append(json.loads(last)["peak_mb"])
    return {"peak_mb": peaks[0], "peak_memory_ratio": peaks[1] / peaks[0]}


def peak(frames: int, folder: Path) -> dict[str, float]:
    """The most memory that this process had, in MB, once it has captured so many frames."""
    from lucid.inference.shot.model import Frames
    from lucid.scripts.bench.scene import build

    taken(build(frames), Frames(1, frames), folder)
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0}


if __name__ == "__main__":
    sys.exit(main())
