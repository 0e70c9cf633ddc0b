# SPDX-License-Identifier: GPL-3.0-or-later
"""Does directing hold what it promises? Measured on the demo scene with the embedded model, in one run.

    python3 scripts/bench/direct.py [--quick] [--only PART,...] [--sheet PNG] [--json] [--threads N]

The shots (256x144, 33 frames, actors Walker and Ball, and again by a camera 0.15 m further right) are captured by Lucid once,
into its cache folder. The last line is one flat JSON object; what was not measured is null. By part:

noise - the noise of the walker's layer, as generation makes it, in 128 channels (64 of each of two seeds) of every frame:
- noise_mean, noise_variance, noise_kurtosis (excess), of noise_fields fields; noise_ks_share: the part of them with p < 0.05 in
  Kolmogorov and Smirnov's test against N(0, 1); noise_moran_mean, noise_moran_sd: Moran's I, rook neighbours, in
  standard errors; noise_band_min, noise_band_max: power in four radial bands;
- noise_correlation: in the same frame from both cameras, over latents whose middle shows the same point, mean over the
  instances with 15 such latents in a frame (noise_instances of them; noise_correlation_min: the least). Footprints on two
  unrelated grids overlap by 9/16; noise_frame_to_frame: the same between a frame and the next of one camera.

edits - through the command line, default steps: a take, the same again, two edits of Walker in a row, one of the largest house:
- changed_pixels_outside: pixels of the final that differ from the parent's where Walker's alpha is 0, all frames of both
  edits; changed_pixels_outside_object: the same for the house, where the plate's id is another's; changed_pixels_inside: the
  fewest that changed in an edit; changed_files_elsewhere: files of the other layers and their latents with other bytes;
- calls_edit: transformer calls of the second edit over a layer's own in the take; calls_unchanged: of the same request again;
  calls_take, seconds_take, seconds_edit: of whole processes;
- seam_ratio: the environment of that take. A jump is the mean absolute difference (sRGB, 0 to 1, all channels) of a frame to
  the one before, fetched bilinearly from where each pixel's surface point was (exact correspondence; pixels next to
  outlines and newly seen ones are left out). Mean jump at the seams joins, where a window begins or ends (seam_jump), over
  the median jump elsewhere (inside_jump).

kills - the same take in another copy of the shot, killed (SIGKILL) at ten random moments (--quick: three), resumed after each:
- resume_identical: 1 if the files under layers/, latents/ and final/ have the bytes of the unbroken take (resume_files of
  them, files_differing);
- windows_repeated: predictions that were kept on disk and made again; windows_made, kills: how many there were.

speed - wall seconds, medians of turns (5, --quick 3) in this process, 9 frames of the environment's control, default steps:
- overhead: adapter.paint and its frames (no memory, white noise, one window, nothing kept) over diffusers' pipeline called alone
  with the same control, mask, latents and steps; overhead_difference: largest difference of the two pictures;
- overhead_consensus: with the profile's memory over without, correspondences and the reading of passes in both;
- window_cost: seconds a frame of the whole shot in windows over those of one window, over window / (window - overlap).

memory - memory_ratio_10x: peak of a process that makes a take of 90 frames in 2 steps, over that of 9 (peak_gib_long, _short).

retake - retake_gain: 1 - retake_de / retake_de_pixel. retake_de: median CIE76 of the same static points of the world, in the same
frames, between the environment and its retake by the other camera; retake_de_pixel: with white noise in each pixel, which is
the same noise in both: a picture that moves by less than a latent's 8 px (retake_shift_px, median) keeps much of it;
retake_de_other, retake_gain_other: with white noise of another seed in the retake, which shares nothing.

A part that fails says why on standard error and is counted in parts_failed; the exit status is then 1. --quick: 17 frames, three
kills, three turns, no memory.
"""

from __future__ import annotations

import argparse
import math
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucid.inference.adapters.wan_vace import WanVACE
    from lucid.scripts.bench.direct_takes import Runner
    from lucid.scripts.bench.direct_views import Captured

ROOT = Path(__file__).resolve().parents[2]
FRAMES, QUICK = 33, 17
PARTS = ("noise", "edits", "kills", "speed", "memory", "retake")
#: (figure, lowest, highest) that directing is held to
BARS = (("noise_mean", -0.02, 0.02), ("noise_variance", 0.97, 1.03), ("noise_kurtosis", -0.1, 0.1),
        ("noise_ks_share", 0, 0.06), ("noise_moran_mean", -0.2, 0.2), ("noise_moran_sd", 0.9, 1.15),
        ("noise_band_min", 0.97, 1.03), ("noise_band_max", 0.97, 1.03), ("noise_correlation", 0.45, 1),
        ("noise_frame_to_frame", -0.02, 0.02), ("changed_pixels_outside", 0, 0), ("changed_pixels_outside_object", 0, 0),
        ("changed_pixels_inside", 1, math.inf), ("changed_files_elsewhere", 0, 0), ("calls_edit", 1, 1),
        ("calls_unchanged", 0, 0), ("seam_ratio", 0, 1.3), ("resume_identical", 1, 1), ("windows_repeated", 0, 0),
        ("overhead", 0, 1.05), ("window_cost", 0, 1.1), ("memory_ratio_10x", 0, 1.05), ("retake_gain", 0.2, 1))


@dataclass
class Bench:
    """What the parts share."""

    quick: bool
    threads: int
    work: Path

    @property
    def frames(self) -> int:
        return QUICK if self.quick else FRAMES

    @cached_property
    def adapter(self) -> WanVACE:
        from lucid.inference.adapters.wan_vace import WanVACE

        return WanVACE.load("mini")

    @cached_property
    def run(self) -> Runner:
        from lucid.scripts.bench.direct_takes import Runner

        return Runner(self.work, self.threads)

    @cached_property
    def pair(self) -> tuple[Captured, Captured]:
        """The shot and the one by the other camera."""
        from lucid.scripts.bench.direct_shots import shots
        from lucid.scripts.bench.direct_views import Captured

        walk, side = shots(self.frames)
        return Captured.open(walk, self.adapter), Captured.open(side, self.adapter)

    @cached_property
    def directed(self) -> dict[str, float]:
        """The figures of the edits; the takes are those of the shot's copy ``edits``."""
        from lucid.scripts.bench.direct_takes import edits

        return edits(self.run, self.copy("edits"))

    def copy(self, name: str) -> Path:
        """A copy of the shot, without takes at first."""
        target = self.work / f"{name}.lucid"
        if not target.exists():
            shutil.copytree(self.pair[0].folder, target)
        return target


def main() -> int:
    arguments = _arguments()
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.bench.report import go_on_with, json_line, table

    go_on_with("torch")
    import torch
    from lucid.inference.home import lucid_home

    torch.set_num_threads(arguments.threads)
    lucid_home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lucid_home(), prefix="direct-") as work:
        figures = measure(Bench(arguments.quick, arguments.threads, Path(work)), arguments.only, arguments.sheet)
    if not arguments.json:
        sys.stdout.write(table(figures, BARS))
    sys.stdout.write(json_line(figures))
    return 1 if figures["parts_failed"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="17 frames, three kills, three turns, no memory")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--sheet", type=Path, default=None, help="write a contact sheet of the takes")
    parser.add_argument("--json", action="store_true", help="the JSON line alone, no table")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]}: they are {', '.join(PARTS)}")
    return wanted


def measure(bench: Bench, parts: tuple[str, ...], sheet: Path | None) -> dict[str, float]:
    """The figures of these parts, NaN for those of the others that have a bar."""
    from lucid.inference.errors import LucidError
    from lucid.scripts.bench.direct_takes import Failed

    figures = dict.fromkeys((name for name, _, _ in BARS), math.nan) | {"parts_failed": 0}
    rows: list[list[Any]] = []
    begun = time.monotonic()
    for part in parts:
        sys.stderr.write(f"{time.monotonic() - begun:6.0f} s  {part}\n")
        try:
            figures |= _PART[part](bench, rows)
        except (LucidError, Failed, subprocess.CalledProcessError) as error:        # the other parts are worth having
            sys.stderr.write(f"{part} failed: {error}\n")
            figures["parts_failed"] += 1
    if sheet is not None and rows:
        save_sheet(rows, sheet)
    return figures | {"bench_minutes": (time.monotonic() - begun) / 60}


def _noise(bench: Bench, _rows: list[list[Any]]) -> dict[str, float]:
    from lucid.scripts.bench.direct_takes import ACTOR
    from lucid.scripts.bench.direct_views import noise

    return noise(*bench.pair, ACTOR)


def _edits(bench: Bench, rows: list[list[Any]]) -> dict[str, float]:
    import numpy as np
    from lucid.inference.shot.images import read_png, to_unit
    from lucid.inference.shot.takes import get_take
    from lucid.scripts.bench.direct_takes import final_frames
    from lucid.scripts.bench.direct_views import before, seams

    figures, walk, folder = bench.directed, bench.pair[0], bench.copy("edits")
    numbers = walk.shot.frames.numbers
    plate = sorted((get_take(folder, 1).folder / "layers" / walk.shot.environment.folder).glob("frame.*.png"))
    video = np.stack([to_unit(read_png(path)[..., :3]) for path in plate])
    plan = bench.adapter.windows(walk.fit.count)
    moved = walk.fit.crop(before(walk))[:walk.fit.count]
    few = [0, len(numbers) // 2, len(numbers) - 1]
    rows.append(list(np.rint(video[few] * 255).astype(np.uint8)))
    rows += [list(final_frames(folder, number, [numbers[index] for index in few])) for number in (1, 3, 4, 5)]
    return figures | seams(video, moved, plan.joins())


def _kills(bench: Bench, _rows: list[list[Any]]) -> dict[str, float]:
    from lucid.scripts.bench.direct_takes import ASKED, kills

    whole, copy = bench.copy("edits"), bench.copy("kills")
    if bench.run.started == 0:
        bench.run("generate", whole, *ASKED)
    return kills(bench.run, whole, copy, 3 if bench.quick else 10)


def _speed(bench: Bench, _rows: list[list[Any]]) -> dict[str, float]:
    from lucid.scripts.bench.direct_speed import speed

    return speed(bench.pair[0], bench.adapter, 3 if bench.quick else 5)


def _memory(bench: Bench, _rows: list[list[Any]]) -> dict[str, float]:
    from lucid.scripts.bench.direct_shots import long_shots
    from lucid.scripts.bench.direct_takes import memory

    if bench.quick:
        return {}
    long, short = (Path(shutil.copytree(shot, bench.work / shot.name)) for shot in long_shots())
    return memory(bench.run, long, short)


def _retake(bench: Bench, rows: list[list[Any]]) -> dict[str, float]:
    import numpy as np
    from lucid.scripts.bench.direct_speed import PROMPT
    from lucid.scripts.bench.direct_views import retake

    figures, videos = retake(*bench.pair, bench.adapter, PROMPT)
    for one, other in (videos[:2], videos[2:4], videos[4:]):
        middle = len(one) // 2
        rows.append([np.rint(picture * 255).astype(np.uint8) for picture in (one[middle], other[middle], one[-1])])
    return figures


_PART: dict[str, Callable[[Bench, list[list[Any]]], dict[str, float]]] = {
    "noise": _noise, "edits": _edits, "kills": _kills, "speed": _speed, "memory": _memory, "retake": _retake}


def save_sheet(rows: list[list[Any]], path: Path) -> None:
    """First, middle and last frame of: the environment, the take, two edits of the actor, one of the house. Then, with anchored
    noise, without, and with other noise: the middle frame, the retake's, and the last frame."""
    import numpy as np
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in rows])).save(path)


if __name__ == "__main__":
    sys.exit(main())
