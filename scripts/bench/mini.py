# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the embedded checkpoint obey? Measured on validation scenes it never saw, through the stock WanVACEPipeline.

    WORKER_PYTHON scripts/bench/mini.py --data WORK/clips [--weights FOLDER] [--sheet sheet.png] [--steps 8] [--frames 9]

boundary     gradient of the generated frames along the actor's outline, against the same outline moved by 8 px
swap         with one seed and prompt, the picture correlates with the edges of its own depth more than the other scene's
colour       "a red man" against "a man": the actor's mean colour moves towards the word (same seed, inside the matte)
light        a full-scene picture is nearest to the mood its prompt names, among the moods of the same scene
The last line is one flat JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from training.bootstrap import load_package  # noqa: E402

load_package(ROOT)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import WanVACEPipeline  # noqa: E402
from lucid.inference.conditioning.compose import compose, dilate  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402
from training.captions import NOUNS  # noqa: E402
from training.dataset import Clip, Clips, picture  # noqa: E402
from training.palette import COLOURS, MOODS, Look, draw_look  # noqa: E402
from training.tasks import Window, pose_control  # noqa: E402

Video = NDArray[np.float32]
WORDS = ("red", "green", "blue", "yellow")


@dataclass
class Case:
    """One validation scene: its clip, the actor, a look for the kept context."""

    clip: Clip
    actor: int
    look: Look
    window: Window
    target: Video
    depth: Video
    matte: NDArray[np.bool_]

    @property
    def noun(self) -> str:
        return NOUNS[self.clip.actors[self.actor]][0]


class Model:
    """The exported folder behind the stock pipeline."""

    def __init__(self, folder: Path, steps: int, guidance: float) -> None:
        self.pipeline = WanVACEPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance = steps, guidance
        self.seconds: list[float] = []

    def __call__(self, prompt: str, control: Video, mask: NDArray[np.bool_] | None = None, seed: int = 0) -> Video:
        """Control (F, H, W, 3) in [0, 1] and mask (F, H, W) -> frames (F, H, W, 3) in [0, 1], uncomposited."""
        video = torch.from_numpy(np.ascontiguousarray(control)).permute(0, 3, 1, 2)[None]
        holes = (
            None
            if mask is None
            else torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, :, None].expand(-1, -1, 3, -1, -1)
        )
        start = time.monotonic()
        frames = self.pipeline(
            prompt=prompt,
            negative_prompt="",
            video=video,
            mask=holes,
            height=control.shape[1],
            width=control.shape[2],
            num_frames=len(control) - 1,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            max_sequence_length=40,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).frames[0]
        self.seconds.append(time.monotonic() - start)
        return np.asarray(frames, np.float32)


def make_cases(data: Path, frames: int, most: int) -> list[Case]:
    """Validation scenes whose actor is large enough to measure."""
    rng, cases = np.random.default_rng(5), []
    for clip in Clips(data, validation=True).clips:
        window = Window(slice(0, frames), slice(0, clip.slot.shape[1]), slice(0, clip.slot.shape[2]), False)
        sizes = [clip.matte(a, window.frames).mean() for a in range(len(clip.actors))]
        if not sizes or max(sizes) < 0.012 or max(sizes) > 0.4:
            continue
        look = draw_look(rng, clip.kind, clip.actors, clip.slots, MOODS[(0, 3)[len(cases) % 2]])
        actor = int(np.argmax(sizes))
        target = (picture(clip, look, window.frames, window.rows, window.columns) + 1) / 2
        cases.append(
            Case(
                clip,
                actor,
                look,
                window,
                target,
                clip.control[:frames].astype(np.float32),
                clip.matte(actor, window.frames),
            )
        )
    return cases[:most]


def actor_inputs(case: Case, pose: bool = False, radius: int = 8) -> tuple[Video, NDArray[np.bool_]]:
    """The true picture outside the dilated matte, depth (or pose in depth) inside it."""
    mask = dilate(case.matte, radius)
    control = np.repeat(case.depth[..., None], 3, -1)
    if pose:
        control = compose(case.depth, pose_control(case.clip, [case.actor], case.window), dilate(case.matte, 4))
    return np.where(mask[..., None], control, case.target).astype(np.float32), mask


def gradient(frames: Video) -> Video:
    """(F, H, W) gradient magnitude, mean over channels."""
    dy, dx = np.gradient(frames, axis=(1, 2))
    return np.sqrt(dx**2 + dy**2).mean(-1).astype(np.float32)


def boundary(frames: Video, matte: NDArray[np.bool_], shift: int = 8) -> float:
    """Gradient on the outline over the gradient on the outline moved by `shift` px in four directions."""
    edge = dilate(matte, 1) & dilate(~matte, 1)
    strength = gradient(frames)
    moved = [np.roll(edge, step, axis) for axis in (1, 2) for step in (-shift, shift)]
    return float(strength[edge].mean() / np.mean([strength[m].mean() for m in moved]))


def erode(matte: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    thin = ~dilate(~matte, radius)
    return thin if thin.sum() > 0.15 * matte.sum() else matte


def colour_moves(neutral: Video, named: Video, inside: NDArray[np.bool_], word: str) -> bool:
    """Whether the mean chroma inside moved in the direction of the word's own chroma."""

    def chroma(rgb: NDArray[np.floating]) -> NDArray[np.floating]:
        return rgb - rgb.mean()

    aim = chroma(np.asarray(COLOURS[word]) ** (1 / 2.2))
    move = chroma(named[inside].mean(0)) - chroma(neutral[inside].mean(0))
    return bool(move @ aim / (np.linalg.norm(aim) * np.linalg.norm(move) + 1e-9) > 0.5 and np.linalg.norm(move) > 0.03)


def nearest_colour(frames: Video, inside: NDArray[np.bool_]) -> str:
    """Which of WORDS the mean chroma inside points at."""
    mean = frames[inside].mean(0)
    chroma = mean - mean.mean()
    scores = {}
    for word in WORDS:
        aim = np.asarray(COLOURS[word]) ** (1 / 2.2)
        aim = aim - aim.mean()
        scores[word] = float(chroma @ aim / (np.linalg.norm(aim) * np.linalg.norm(chroma) + 1e-9))
    return max(scores, key=lambda word: scores[word])


def signature(frames: Video) -> NDArray[np.floating]:
    """Colour of the top, mean and spread: enough to tell moods of one scene apart."""
    return np.concatenate(
        [frames[:, : frames.shape[1] // 4].mean((0, 1, 2)), frames.mean((0, 1, 2)), frames.std((0, 1, 2))]
    )


def measure(model: Model, cases: list[Case]) -> tuple[dict[str, Any], list[list[Video]]]:
    """All figures, and rows of pictures for the contact sheet."""
    hits: dict[str, list[float]] = {
        k: []
        for k in (
            "boundary_actor",
            "boundary_scene",
            "boundary_pose",
            "swap",
            "colour_moves",
            "colour_nearest",
            "light",
            "smooth",
            "psnr_scene",
        )
    }
    rows: list[list[Video]] = []
    for number, case in enumerate(cases):
        control, mask = actor_inputs(case)
        neutral = model(f"a {case.noun}", control, mask)
        inside = erode(case.matte, 2)
        row = [case.target, control, neutral]
        for word in WORDS:
            named = model(f"a {word} {case.noun}", control, mask)
            hits["colour_moves"].append(colour_moves(neutral, named, inside, word))
            hits["colour_nearest"].append(nearest_colour(named, inside) == word)
            row.append(named)
        hits["boundary_actor"].append(boundary(row[-1 - number % 4], case.matte))
        if np.isfinite(case.clip.joints[case.actor]).all():
            posed = model(f"a {WORDS[number % 4]} {case.noun}", *actor_inputs(case, pose=True))
            hits["boundary_pose"].append(boundary(posed, case.matte))
            row.append(posed)
        rows.append(row)
        rows.append(scene_row(model, cases, number, hits))
    figures: dict[str, Any] = {name: round(float(np.mean(values)), 3) for name, values in hits.items() if values}
    return figures | {
        "scenes": len(cases),
        "colour_tries": len(hits["colour_moves"]),
        "light_tries": len(hits["light"]),
    }, rows


def scene_row(model: Model, cases: list[Case], number: int, hits: dict[str, list[float]]) -> list[Video]:
    """Full-scene depth: outline, depth swap, moods."""
    case, other = cases[number], cases[(number + 1) % len(cases)]
    grey = np.repeat(case.depth[..., None], 3, -1)
    actor = f"a {WORDS[number % 4]} {case.noun}"
    moods = [model(f"{actor} in {case.look.set_words}, {mood.words}", grey) for mood in MOODS]
    truths = []
    for mood in MOODS:
        look = draw_look(np.random.default_rng(9), case.clip.kind, case.clip.actors, case.clip.slots, mood)
        truths.append(
            signature((picture(case.clip, look, case.window.frames, case.window.rows, case.window.columns) + 1) / 2)
        )
    for index, frames in enumerate(moods):
        hits["light"].append(int(np.argmin([np.abs(signature(frames) - truth).sum() for truth in truths])) == index)
    hits["boundary_scene"].append(boundary(moods[0], case.matte))
    prompt = f"{case.look.set_words}, bright daylight"
    swapped = model(prompt, np.repeat(other.depth[..., None], 3, -1))
    own, foreign = gradient(other.target), gradient(case.target)
    found = gradient(swapped)
    hits["swap"].append(
        np.corrcoef(found.ravel(), own.ravel())[0, 1] > np.corrcoef(found.ravel(), foreign.ravel())[0, 1]
    )
    aim = moods[MOODS.index(case.look.mood)]
    hits["psnr_scene"].append(10 * np.log10(1 / ((aim - case.target) ** 2).mean()))
    sky = case.clip.slot[: len(aim)] == 0
    if sky.mean() > 0.03:
        hits["smooth"].append(float(gradient(moods[0])[sky].mean()))
    return [grey, *moods, swapped, other.target]


def save_sheet(rows: list[list[Video]], path: Path) -> None:
    """First and last frame of every video, one row per test."""
    width = max(len(row) for row in rows)
    blank = np.zeros_like(rows[0][0][:1])
    lines = []
    for row in rows:
        videos = [*row, *([blank] * (width - len(row)))]
        lines.append(np.concatenate([video[len(video) // 2] for video in videos], 1))
    Image.fromarray((np.concatenate(lines).clip(0, 1) * 255).astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=ROOT / "inference" / "adapters" / "weights" / "mini")
    parser.add_argument("--sheet", type=Path, default=None)
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = Model(args.weights, args.steps, args.guidance)
    figures, rows = measure(model, make_cases(args.data, args.frames, args.scenes))
    if args.sheet is not None:
        save_sheet(rows, args.sheet)
    size = sum(p.stat().st_size for p in args.weights.rglob("*") if p.is_file()) / 2**20
    run = {"frames": args.frames, "steps": args.steps, "guidance": args.guidance, "size_mb": round(size, 2)}
    clip = {"seconds_per_clip": round(float(np.median(model.seconds)), 2)}
    sys.stdout.write(json.dumps({**figures, **run, **clip}) + "\n")


if __name__ == "__main__":
    main()
