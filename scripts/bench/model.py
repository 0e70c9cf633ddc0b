# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the embedded model obey, and how fast is it? Measured on scenes it never saw, through Lucid's own adapter.

    python3 scripts/bench/model.py [--weights FOLDER] [--data DIR] [--scenes N] [--quick] [--sheet PNG] [--json]

DIR holds validation clips (seeds below 1000 of scripts/train_mini.py); they are rendered first where there are none.
The last line is one flat JSON object; `_truth` marks the same measure on the true pictures, its floor or ceiling:

- boundary_f: outline of the actor found in the painted layer against its matte, 3 px tolerance, over the takes in whose
  true picture it can be found; boundary_f_shuffled: against the next scene's matte; boundary_f_surfaces: without the skeleton;
- epe_background, epe_actor, dynamic_degree (of the background), dynamic_degree_actor: optical flow of the takes against
  exact flow, px, means of the takes' medians, at the pixels whose flow is found in the true picture to half a pixel
  (measurable_background, measurable_actor: which part); epe_background_all, epe_actor_all and their _truth: at all pixels;
- colour_right: "a red man", 10 words a scene, hue or grey right inside the matte; light_right: a
  whole picture is nearest to the mood of its prompt, among the four moods of the true scene;
- kept_psnr: dB of what the mask keeps, before compositing; reference_de: colours of an actor painted from its picture;
- material_de: what the words shiny, metal, matte change, mean dE;
- drift_de over drift_frames, flicker: the same static points of the world, dE76 and L*;
- seconds_17_frames (of 256x144, at the profile's steps), load_seconds, peak_gib: of a fresh process.

A figure that could not be measured is null. --quick: 3 scenes, 4 colours, 17 frames.
"""

from __future__ import annotations

import argparse
import json
import math
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucid.inference.adapters.base import Adapter
    from lucid.inference.generation.noise import View
    from lucid.scripts.bench.model_cases import Case, Video
    from lucid.scripts.bench.model_measures import Painter, Tally

ROOT = Path(__file__).resolve().parents[2]
CLIPS, SCENES = 12, 10
JUDGED, LONG = 17, 49
LONG_SCENES, MATERIAL_SCENES = 4, 5
WIDTH, HEIGHT = 256, 144
#: (figure, lowest, highest) that the embedded model is held to
BARS = (("boundary_f", 0.75, 1), ("boundary_f_shuffled", 0, 0.375), ("epe_background", 0, 1.0), ("epe_actor", 0, 1.5),
        ("dynamic_degree", 0.8, 1.2), ("colour_right", 0.9, 1), ("light_right", 0.8, 1), ("kept_psnr", 24, math.inf),
        ("reference_de", 0, 15), ("drift_de", 0, 6), ("flicker", 0, 1), ("seconds_17_frames", 0, 15),
        ("load_seconds", 0, 5), ("peak_gib", 0, 2e9 / 2**30))


def main() -> int:
    arguments = _arguments()
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.bench.report import go_on_with, json_line, table

    go_on_with("torch")
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.speed:
        sys.stdout.write(json.dumps(speed(arguments.weights)) + "\n")
        return 0
    data = arguments.data or _validation()
    if not any(data.glob("[0-9]*.npz")) or arguments.data is None:
        render(data)
    fresh = in_a_fresh_process(arguments)
    figures = fresh | measure(arguments, data, fresh["seconds_17_frames"] / fresh["speed_frames"])
    if not arguments.json:
        sys.stdout.write(table(figures, BARS, ".3f"))
    sys.stdout.write(json_line(figures))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="mini", help="a folder; the embedded model without")
    parser.add_argument("--data", type=Path, default=None, help="folder of clips; validation in Lucid's cache without")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--quick", action="store_true", help="3 scenes, 4 colours, 17 frames")
    parser.add_argument("--sheet", type=Path, default=None, help="write a contact sheet of middle frames")
    parser.add_argument("--json", action="store_true", help="the JSON line alone, no table")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--speed", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _validation() -> Path:
    from lucid.inference.home import lucid_home

    return lucid_home() / "validation"


def render(data: Path) -> None:
    """The validation clips that are not there yet, by Blender's module. Raises CalledProcessError."""
    from lucid.scripts.setup.environments import BPY

    if all((data / f"{seed:06d}.npz").is_file() for seed in range(CLIPS)):
        return
    sys.stderr.write(f"rendering {CLIPS} validation scenes into {data}\n")
    command = [BPY.ensure(tests=True), ROOT / "scripts" / "train_mini.py", "scenes"]
    command += ["--data", data, "--first", "0", "--count", CLIPS]
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def in_a_fresh_process(arguments: argparse.Namespace) -> dict[str, float]:
    """Speed, loading time and memory of a process that does nothing else."""
    command = [sys.executable, __file__, "--speed", "--weights", arguments.weights, "--threads", str(arguments.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(weights: str) -> dict[str, float]:
    """Loads (torch and diffusers being there) and paints one short take of noise; the first one, without a warm-up."""
    import diffusers  # noqa: F401
    import lucid.inference.adapters.wan_vace  # noqa: F401
    import numpy as np
    from lucid.inference.adapters.base import load
    from lucid.inference.generation.correspondence import correspondence

    start = time.monotonic()
    adapter = load(weights)
    loaded = time.monotonic() - start
    frames = legal(adapter, JUDGED)
    control = np.random.default_rng(0).random((frames, HEIGHT, WIDTH, 1)).astype(np.float32).repeat(3, -1)
    views = [_wall(shift=0.01 * index) for index in range(frames)]
    start = time.monotonic()
    adapter.generate(control, np.ones(control.shape[:3], bool), "a red man in a grey street", 0, adapter.profile.steps,
                     lambda _done, _total: None, correspondence=correspondence(views))
    return {"seconds_17_frames": time.monotonic() - start, "speed_frames": frames, "steps": adapter.profile.steps,
            "load_seconds": loaded, "peak_gib": peak_bytes() / 2**30}


def _wall(shift: float) -> View:
    """A bumpy wall of 16 x 9 m that fills the picture, seen from ``shift`` metres further right."""
    import numpy as np
    from lucid.inference.generation.noise import View, world_directions

    y, x = np.mgrid[:HEIGHT, :WIDTH] * (16.0 / WIDTH)
    rest = np.stack([x + shift, y, np.sin(3 * (x + shift)) * np.sin(3 * y) / 4], -1).astype(np.float32)
    K = np.array([[WIDTH, 0, WIDTH / 2], [0, WIDTH, HEIGHT / 2], [0, 0, 1]])
    return View(np.ones((HEIGHT, WIDTH), np.uint32), rest, world_directions(K, np.eye(4), HEIGHT, WIDTH))


def peak_bytes() -> float:
    """The most memory this process has held. VmHWM where there is one: ru_maxrss can be the parent's, before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def legal(adapter: Adapter, wanted: int) -> int:
    """The fewest legal frames that hold ``wanted``, else the most there are."""
    return next((n for n in adapter.profile.legal_frames if n >= wanted), adapter.profile.legal_frames[-1])


def measure(arguments: argparse.Namespace, data: Path, seconds_a_frame: float) -> dict[str, float]:
    """All figures of the pictures, and the contact sheet. Tells first how long it will take."""
    from lucid.inference.adapters.base import load
    from lucid.scripts.bench.model_cases import make_cases
    from lucid.scripts.bench.model_measures import WORDS, Painter, Tally, shuffled

    adapter = load(arguments.weights)
    scenes = 3 if arguments.quick else arguments.scenes
    words = WORDS[:1] + WORDS[4:5] + WORDS[2:3] + WORDS[7:8] if arguments.quick else WORDS
    cases = make_cases(data, scenes, legal(adapter, JUDGED), JUDGED)
    if len(cases) < 2:
        raise SystemExit(f"{data} holds {len(cases)} scenes that can be judged: give another --data, or none")
    long = [] if arguments.quick else make_cases(data, LONG_SCENES, legal(adapter, LONG), min(LONG, legal(adapter, LONG)))
    tally, painter = Tally(), Painter(adapter, _planned(cases, long, len(words)))
    sys.stderr.write(f"{painter.planned:.0f} frames to paint, about {painter.planned * seconds_a_frame / 60:.0f} min\n")
    layers = [_scene_row(index, case, words, painter, tally) for index, case in enumerate(cases)]
    shuffled(layers, tally)
    _long_row(long or cases[:2], painter, tally)
    sys.stderr.write("\n")
    if arguments.sheet is not None:
        save_sheet(tally.rows, arguments.sheet)
    wanted = {name for name, _, _ in BARS} - {"seconds_17_frames", "load_seconds", "peak_gib"}
    return {**dict.fromkeys(sorted(wanted), math.nan), **tally.figures(),
            "scenes": len({id(case.clip) for case in cases}), "actors": len(cases),
            "colour_tries": len(tally.values["colour_right"]), "boundary_tries": len(tally.values["boundary_f"]),
            "light_tries": len(tally.values["light_right"]), "drift_frames": (long or cases)[0].judged,
            "bench_minutes": (time.monotonic() - painter.start) / 60}


def _planned(cases: list[Case], long: list[Case], words: int) -> float:
    """Frames that will be painted; a skeleton is asked once, references once, moods four times a scene."""
    from lucid.scripts.bench.model_measures import MATERIALS

    runs = len(cases) * (words + 1) + sum(case.has_skeleton + 4 * case.leading for case in cases)
    runs += min(len(cases), MATERIAL_SCENES) * len(MATERIALS)
    return runs * cases[0].frames + sum(case.frames for case in long or cases[:2])


def _scene_row(index: int, case: Case, words: tuple[str, ...], painter: Painter, tally: Tally) -> Any:
    """All questions about one scene, and its row of the contact sheet."""
    import numpy as np
    from lucid.scripts.bench import model_measures as ask

    ask.check_flow(case, tally)
    layer = ask.ActorLayer(case, words)
    shape = case.shape(painter.adapter.profile)
    row: list[Video] = [layer.truths[words[0]], shape, *layer.measure(painter, tally)]
    bare = layer.without_skeleton(painter, tally)
    row.append(np.zeros_like(shape) if bare is None else bare)
    taken = ask.references(case, painter, tally)
    row += [case.truth(case.look(ask.DAYLIGHT, seed=2)), taken]
    if case.leading:
        row += ask.scene(case, painter, tally)
    if index < MATERIAL_SCENES:
        row += ask.materials(case, painter, tally)
    tally.rows.append(row)
    return layer


def _long_row(cases: list[Case], painter: Painter, tally: Tally) -> None:
    """First, middle and last frame of every long take."""
    from lucid.scripts.bench.model_measures import drift

    row: list[Video] = []
    for case in cases:
        painted = drift(case, painter, tally)
        row += [painted[:1], painted[len(painted) // 2:][:1], painted[-1:]]
    tally.rows.append(row)


def save_sheet(rows: list[list[Video]], path: Path) -> None:
    """The middle frame of every video, one row per scene; the last row shows long takes."""
    import numpy as np
    from PIL import Image

    width = max(len(row) for row in rows)
    lines = []
    for row in rows:
        middle = [video[len(video) // 2] for video in row]
        lines.append(np.concatenate([*middle, *[np.zeros_like(middle[0])] * (width - len(row))], 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.concatenate(lines).clip(0, 1) * 255).astype(np.uint8)).save(path)


if __name__ == "__main__":
    sys.exit(main())
