# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the embedded checkpoint: scenes in Blender, a small Wan-VACE transformer, one folder stock diffusers loads.

    BPY_PYTHON    train_mini.py scenes --data WORK/clips --count 400
    WORKER_PYTHON train_mini.py train  --data WORK/clips --work WORK/run --minutes 75 [--start EXPORTED_FOLDER]
    WORKER_PYTHON train_mini.py export --data WORK/clips --work WORK/run --out inference/adapters/weights/mini
    WORKER_PYTHON train_mini.py curve  --work WORK/run          (writes WORK/run/curve.png)
    WORKER_PYTHON train_mini.py all    --data WORK/clips --work WORK/run --bpy-python BPY_PYTHON --out FOLDER

`scenes` needs Python with the bpy module and OpenEXR, the others torch, diffusers and transformers. Every step resumes
where it stopped. Validation scenes are the seeds below training.scenes.FIRST_TRAINING_SEED.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "inference" / "adapters" / "weights" / "mini"
sys.path.insert(0, str(Path(__file__).resolve().parent))

from training.bootstrap import load_package  # noqa: E402

load_package(ROOT)  # here, so that the processes of the training have it too


def _scenes(args: argparse.Namespace) -> None:
    from training.scenes import make_clips

    make_clips(args.data, args.first, args.count, args.samples, args.threads, args.long_every)


def _train(args: argparse.Namespace) -> None:
    from training.train import train

    train(args.data, args.work, args.minutes, args.start, args.processes, args.out)


def _export(args: argparse.Namespace) -> None:
    from training.finish import export_run, pin

    figures = export_run(args.work, args.data, args.out)
    if args.out.resolve() == SHIPPED:
        pin(SHIPPED, SHIPPED.parents[1] / "pinned.py")
    sys.stdout.write(f"{figures}\n")


def _curve(args: argparse.Namespace) -> None:
    from training.curve import plot

    plot(args.work, args.work / "curve.png")


def _all(args: argparse.Namespace) -> None:
    """Scenes render beside the training, which reads what is there every few minutes."""
    command = [args.bpy_python, __file__, "scenes", "--data", str(args.data)]
    subprocess.run([*command, "--first", "0", "--count", "12"], check=True)
    subprocess.run([*command, "--count", "40"], check=True)
    with subprocess.Popen([*command, "--count", str(args.count)]) as rendering:
        _train(args)
        rendering.terminate()
    _export(args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["scenes", "train", "export", "curve", "all"])
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "mini" / "clips")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "mini" / "run")
    parser.add_argument("--out", type=Path, default=None, help="export here while training and at the end")
    parser.add_argument(
        "--start", type=Path, default=None, help="an exported folder to start from; none = from nothing"
    )
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--processes", type=int, default=2, help="of the training, one thread each")
    parser.add_argument("--threads", type=int, default=1, help="of the renderer")
    parser.add_argument("--first", type=int, default=1000, help="first seed; below 1000 = validation")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--long-every", type=int, default=5)
    parser.add_argument("--bpy-python", default=sys.executable)
    args = parser.parse_args()
    {"scenes": _scenes, "train": _train, "export": _export, "curve": _curve, "all": _all}[args.step](args)


if __name__ == "__main__":
    main()
