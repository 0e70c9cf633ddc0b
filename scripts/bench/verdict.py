# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the verdict see what is wrong, and nothing else? Twelve known faults in clean pictures of scenes, counted.

    python3 scripts/bench/verdict.py [--scenes a,b] [--faults a,b] [--quick] [--jobs N] [--json]

The pictures are Cycles' own, of the scenes of verdict_scenes.py, rendered first where they are not there (about half an hour).
Bars were set on the scenes whose role is "tuning"; what counts are the others. The last line is one flat JSON object:

- recall: part of the faults, on held-out scenes, that made the verdict fail; recall_tuning; recall_FAULT: of each;
- false_alarms: part of the clean held-out clips whose verdict fails; false_alarm_figures: part of their measures with a bar;
- gravity_error: the farthest that gravity found in a ball's flight is from the one the pictures were rendered with, relative,
  over 9.81, 8.83 and 6.87 m/s^2; gravity_clips, gravity_untrackable: how many were found, and how many it would not say;
- floor_*: the worst of a measure over all clean clips (floor_camera_degrees; floor_warp_1 to floor_warp_36 of the environment,
  x 1e-3; floor_depth_error, floor_drift_slope; floor_boundary_f, the least of all actors; boundary_f_median);
- seconds_per_frame: CPU seconds, all measures together with reading the passes, at 832x480; seconds_MEASURE: of each;
  real_time: those seconds on four cores over the time that a frame lasts;
- memory_ratio: peak of a process that measures a shot there and back again, 160 frames, over that of one of 40; peak_mib.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLEAN = "clean"
CORES = 4
QUICK_SCENES = ("street", "canyon", "plaza")
#: (figure, lowest, highest) that the verdict is held to
BARS = (("recall", 0.95, 1.0), ("false_alarms", 0.0, 0.05), ("gravity_error", 0.0, 0.02), ("floor_camera_degrees", 0.0, 0.05),
        ("floor_warp_1", 0.0, 0.5), ("floor_warp_4", 0.0, 0.5), ("floor_warp_12", 0.0, 0.5), ("floor_warp_36", 0.0, 0.5),
        ("floor_depth_error", 0.0, 0.01), ("floor_drift_slope", 0.0, 0.5), ("floor_boundary_f", 0.97, 1.0),
        ("memory_ratio", 0.0, 1.1))
#: figures of the verdict whose worst value over the clean clips is a floor
FLOORS = {"floor_camera_degrees": "camera.rotation", "floor_depth_error": "depth_from_motion.abs_rel",
          "floor_drift_slope": "drift.slope",
          **{f"floor_warp_{lag}": f"warp_error.{lag}.environment" for lag in (1, 4, 12, 36)}}


def main() -> int:
    arguments = _arguments()
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.bench.report import go_on_with, json_line, table

    go_on_with("torch")
    if arguments.peak:
        sys.stdout.write(json.dumps(peak(arguments.peak)) + "\n")
        return 0
    found = list(judged(arguments))
    figures = {**counted(found), **floors(found), **speed(found), **memory()}
    if not arguments.json:
        sys.stdout.write(lists(found) + table(figures, BARS))
    sys.stdout.write(json_line(figures))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default="", metavar="A,B", help="these scenes alone")
    parser.add_argument("--faults", default="", metavar="A,B", help="these faults alone; 'clean' for none")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK_SCENES)} alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="the JSON line alone, no table")
    parser.add_argument("--peak", type=int, default=0, metavar="FRAMES", help=argparse.SUPPRESS)
    return parser.parse_args()


def judged(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What the verdict says of each case: a scene's clean clip, or that with one fault. Raises KeyError for an unknown scene or
    fault, CalledProcessError."""
    from lucid.scripts.bench.verdict_faults import FAULTS
    from lucid.scripts.bench.verdict_shots import SCENES, captured

    scenes = [name for name in arguments.scenes.split(",") if name] or list(QUICK_SCENES if arguments.quick else SCENES)
    wanted = [name for name in arguments.faults.split(",") if name] or list(FAULTS)
    for name in scenes:
        captured(name)
    cases = [(scene, case) for scene in scenes
             for case in (CLEAN, *(name for name in wanted if name != CLEAN and not SCENES[scene].of))]
    with ProcessPoolExecutor(arguments.jobs, initializer=_begin) as pool:
        for result in pool.map(judge_case, *zip(*cases, strict=True)):
            if result is not None:
                failed = " ".join(result["failed"][:4])
                sys.stderr.write(f"{result['scene']:8s} {result['case']:18s} {result['outcome']:5s} {failed}\n")
                yield result


def _begin() -> None:
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)


def judge_case(scene: str, case: str) -> dict[str, Any] | None:
    """The verdict of one case, by plain numbers; None where the fault has no meaning in the scene."""
    from lucid.inference.shot.verdicts import Outcome, judge
    from lucid.inference.truth.measure import figures_of
    from lucid.scripts.bench.verdict_faults import faulty
    from lucid.scripts.bench.verdict_shots import load

    clip = load(scene)
    pictures = faulty(clip, case) if case != CLEAN else lambda index: clip.beauty(clip.frames[index])
    if pictures is None:
        return None
    ground = _ground(scene, case)
    figures, seconds = figures_of(ground, pictures)
    total = judge(figures)
    values = {figure.name: figure.value for figure in figures if figure.value is not None}
    return {"scene": scene, "role": clip.role, "case": case, "outcome": total.outcome.value, "failed": list(total.failed),
            "barred": sum(figure.outcome in (Outcome.PASS, Outcome.FAIL) for figure in figures), "values": values,
            "unknown": [figure.name for figure in figures if figure.outcome is Outcome.NOT_MEASURABLE],
            "seconds": {name: spent / len(ground) for name, spent in seconds.items()}, "fps": clip.shot.rate.fps}


def _ground(scene: str, case: str, frames: int = 0) -> Any:
    """The truth of a scene; of wrong gravity up to where the ball lands, or of so many frames from the first."""
    from dataclasses import replace

    from lucid.inference.shot.model import Frames
    from lucid.inference.truth.ground import Ground
    from lucid.scripts.bench.verdict_faults import FAULTS
    from lucid.scripts.bench.verdict_shots import SCENES, load

    clip, flight = load(scene), SCENES[scene].flight
    shot, first = clip.shot, clip.shot.frames.start
    if case in FAULTS and FAULTS[case].kind == "wrong_gravity" and flight is not None:
        frames = flight[1] - first + 1
    return Ground(clip.folder, replace(shot, frames=Frames(first, first + frames - 1)) if frames else shot)


def counted(found: list[dict[str, Any]]) -> dict[str, float]:
    """Recall and false alarms, of the held-out scenes and of the others."""
    from lucid.scripts.bench.verdict_faults import FAULTS
    from lucid.scripts.bench.verdict_shots import HELD_OUT, TUNING

    def share(hits: list[bool]) -> float:
        return sum(hits) / len(hits) if hits else float("nan")

    def part(role: str, *, clean: bool) -> list[dict[str, Any]]:
        return [one for one in found if one["role"] == role and (one["case"] == CLEAN) == clean]

    def caught(cases: list[dict[str, Any]]) -> float:
        return share([one["outcome"] == "fail" for one in cases])

    kinds = dict.fromkeys(fault.kind for fault in FAULTS.values())
    held, clean = part(HELD_OUT, clean=False), part(HELD_OUT, clean=True)
    return {"recall": caught(held), "false_alarms": caught(clean), "recall_tuning": caught(part(TUNING, clean=False)),
            "false_alarms_tuning": caught(part(TUNING, clean=True)),
            "false_alarm_figures": sum(len(one["failed"]) for one in clean) / max(sum(one["barred"] for one in clean), 1),
            "clean_clips": len(clean), "faulty_clips": len(held),
            **{f"recall_{kind}": caught([one for one in held if FAULTS[one["case"]].kind == kind]) for kind in kinds},
            **gravity(found)}


def gravity(found: list[dict[str, Any]]) -> dict[str, float]:
    """How far gravity found in the pictures of a flight is from that they were rendered with."""
    rendered = {CLEAN: 9.81, "wrong_gravity": 8.83, "wrong_gravity_far": 6.87}
    errors, lost = [], 0
    for one in found:
        if one["case"] in rendered:
            errors += [abs(value / rendered[one["case"]] - 1.0) for name, value in one["values"].items()
                       if name.startswith("gravity.g.")]
            lost += sum(name.startswith("gravity.error") for name in one["unknown"])
    return {"gravity_error": max(errors, default=float("nan")), "gravity_clips": len(errors), "gravity_untrackable": lost}


def floors(found: list[dict[str, Any]]) -> dict[str, float]:
    """The worst that clean pictures measure."""
    clean = [one["values"] for one in found if one["case"] == CLEAN]
    outlines = [value for values in clean for name, value in values.items() if name.startswith("silhouette.f.")]
    worst = {floor: max((values[name] for values in clean if name in values), default=float("nan"))
             for floor, name in FLOORS.items()}
    return worst | {"floor_boundary_f": min(outlines, default=float("nan")),
                    "boundary_f_median": median(outlines) if outlines else float("nan")}


def speed(found: list[dict[str, Any]]) -> dict[str, float]:
    """CPU seconds a frame: the mean over the clean clips, whose pictures are read and not made."""
    found = [one for one in found if one["case"] == CLEAN]
    names = list(dict.fromkeys(name for one in found for name in one["seconds"]))
    means = {name: sum(one["seconds"][name] for one in found) / len(found) for name in names}
    total = sum(means.values())
    return {"seconds_per_frame": total, "real_time": total * found[0]["fps"] / CORES,
            **{f"seconds_{name}": value for name, value in means.items()}}


def memory() -> dict[str, float]:
    """How the peak of a process grows with the shot."""
    short, long = (_in_a_fresh_process(frames) for frames in (40, 160))
    return {"memory_ratio": long / short, "peak_mib": long}


def _in_a_fresh_process(frames: int) -> float:
    done = subprocess.run([sys.executable, __file__, "--peak", str(frames)], check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["peak_mib"])


def peak(frames: int) -> dict[str, float]:
    """Peak memory of this process after measuring so many frames of a scene that goes there and back again, MiB."""
    from dataclasses import replace

    import numpy as np
    from lucid.inference.shot.model import Frames
    from lucid.inference.truth.ground import Ground, Moment
    from lucid.inference.truth.measure import figures_of
    from lucid.scripts.bench.verdict_shots import load

    clip = load(QUICK_SCENES[0])
    count = len(clip.frames)
    places = np.concatenate([np.arange(count), np.arange(count)[::-1]])

    class ThereAndBack(Ground):
        def __init__(self) -> None:
            super().__init__(clip.folder, clip.shot)
            self.once = Ground(clip.folder, clip.shot)
            self.shot = replace(clip.shot, frames=Frames(1, frames))
            self.K, self.world_from_camera = (np.resize(part[places], (frames, *part.shape[1:]))
                                              for part in (self.K, self.world_from_camera))

        def moment(self, index: int) -> Moment:
            return replace(self.once.moment(int(places[index % len(places)])), index=index, number=index + 1)

    figures_of(ThereAndBack(), lambda index: clip.beauty(clip.frames[places[index % len(places)]]))
    return {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def lists(found: list[dict[str, Any]]) -> str:
    """What was missed and what was accused."""
    lines = [f"missed:  {one['scene']}, {one['case']}" for one in found if one["case"] != CLEAN and one["outcome"] != "fail"]
    lines += [f"accused: {one['scene']}: {', '.join(one['failed'])}" for one in found if one["case"] == CLEAN and one["failed"]]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
