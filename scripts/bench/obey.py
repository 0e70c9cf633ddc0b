# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a take depend on its controls? Measured on captured shots through the worker's own path, before compositing.

    python3 scripts/bench/obey.py SHOT.lucid [SHOT.lucid ...] [--seeds N] [--frames N] [--steps N]

For each shot and each of its actors that is in the picture:

- boundary: mean luma gradient along the edge of the actor's matte in the painted layer (not the composite, whose edge
  is exact by construction), over the same along the matte shifted by 8 pixels in four directions;
- scene boundary: the same in a picture painted whole, from the depth of everything;
- colour: "a red NOUN" against "a NOUN" with the same seed; a try counts when the mean colour inside the matte (eroded)
  comes nearer to the named colour.

Depth swap, for each pair of shots of one size: the picture from depth A correlates better with A's depth edges than
with B's. The last line is one flat JSON object.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {"red": (0.9, 0.1, 0.08), "green": (0.1, 0.6, 0.15), "blue": (0.12, 0.25, 0.85), "yellow": (0.95, 0.85, 0.15)}
SHIFT = 8
PLACE = "a grey street with brick houses, bright daylight"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shots", type=Path, nargs="+", metavar="SHOT[=NOUN]")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--steps", type=int, default=None)
    arguments = parser.parse_args()
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.bench.report import go_on_with, json_line

    go_on_with("torch")
    sys.stdout.write(json_line(measure(arguments.shots, arguments.seeds, arguments.frames, arguments.steps)))
    return 0


def measure(named: list[Path], seeds: int, frames: int, steps: int | None) -> dict[str, float]:
    """The figures over all shots; see the module's docstring."""
    import numpy as np
    from lucid.inference.adapters.base import load

    adapter = load("mini")
    steps = steps or adapter.profile.steps
    layer, scene, colour, depths = [], [], [], []
    by_shot: dict[str, list[float]] = {}
    for shot in named:
        footage, span, noun = _footage(shot, frames, adapter.profile)
        actors = [actor for actor in footage.actors if (actor.matte > 0.5).sum() > 200]
        whole = functools.reduce(lambda seen, actor: actor.surface.before(seen), footage.actors, footage.environment)
        depths.append((whole, span))
        picture = _whole(adapter, whole, span, 0, steps)
        for actor, seed in itertools.product(actors, range(seeds)):
            scene.append(edge_ratio(picture, actor.matte))
            tries = _recolour(adapter, footage, actor, span, noun or actor.layer.name.lower(), seed, steps)
            ratios = [edge_ratio(video, actor.matte) for video in tries.values()]
            layer.extend(ratios)
            by_shot.setdefault(f"boundary_{Path(str(shot).partition('=')[0]).stem}", []).extend(ratios)
            colour.extend(_moved(tries, actor.matte))
    swaps = [swap_holds(adapter, a, b, steps) for a, b in itertools.combinations(depths, 2)
             if a[0].depth.shape == b[0].depth.shape]
    return {"boundary_layer": float(np.mean(layer)), "boundary_layer_worst": float(np.min(layer)),
            "boundary_scene": float(np.mean(scene)), "boundary_scene_worst": float(np.min(scene)),
            "colour_moved": float(np.mean(colour)), "colour_tries": len(colour),
            "depth_swap_right": float(np.mean(swaps)) if swaps else -1.0, "depth_swap_tries": 2 * len(swaps),
            "steps": steps, "frames": frames, **{name: float(np.mean(ratios)) for name, ratios in by_shot.items()}}


def edge_ratio(video: Any, matte: Any) -> float:
    """Mean luma gradient along the matte's edge over the mean along the matte shifted by 8 px four ways."""
    import numpy as np

    gradient = np.hypot(*np.gradient(video.mean(-1), axis=(1, 2)))
    inside = matte > 0.5
    edge = inside ^ (inside & np.roll(inside, 1, 1) & np.roll(inside, -1, 1) & np.roll(inside, 1, 2)
                     & np.roll(inside, -1, 2))
    shifted = [np.roll(edge, step, axis) for axis in (1, 2) for step in (-SHIFT, SHIFT)]
    return float(gradient[edge].mean() / np.mean([gradient[other].mean() for other in shifted]))


def swap_holds(adapter: Any, a: tuple[Any, Any], b: tuple[Any, Any], steps: int) -> float:
    """1, 0.5 or 0: how many of the two pictures correlate better with their own depth's edges."""
    import numpy as np
    from lucid.inference.conditioning.depth import inverse_depth

    def edges(video: Any) -> Any:
        return np.log1p(20.0 * np.hypot(*np.gradient(video, axis=(1, 2)))).ravel()

    own = [edges(inverse_depth(surface.depth, span)) for surface, span in (a, b)]
    made = [edges(_whole(adapter, *side, 0, steps).mean(-1)) for side in (a, b)]
    better = [np.corrcoef(made[i], own[i])[0, 1] > np.corrcoef(made[i], own[1 - i])[0, 1] for i in (0, 1)]
    return float(np.mean(better))


def _footage(named: Path, frames: int, profile: Any) -> tuple[Any, Any, str]:
    """The first frames of a shot (``environment``, ``actors``), its depth range and the noun after ``=``."""
    from lucid.inference.conditioning.fit import fit
    from lucid.inference.generation.footage import Footage
    from lucid.inference.shot.store import open_shot

    path, _, noun = str(named).partition("=")
    shot = open_shot(Path(path))
    count = next(legal for legal in profile.legal_frames if legal >= min(frames, len(shot.frames)))
    plan = fit(min(len(shot.frames), count), shot.size, frames=count, multiple=profile.multiple)
    footage = Footage(Path(path), shot, plan, normals=True)
    actors = [footage.actor(layer, 0, count) for layer in shot.actors]
    return SimpleNamespace(environment=footage.environment(0, count), actors=actors), shot.depth_range, noun


def _whole(adapter: Any, surface: Any, span: Any, seed: int, steps: int) -> Any:
    from lucid.inference.generation.layers import environment_painting

    painting = environment_painting(surface, span, adapter.profile)
    return adapter.generate(painting.control, painting.mask, PLACE, seed, steps, _quiet)


def _recolour(adapter: Any, footage: Any, actor: Any, span: Any, noun: str, seed: int, steps: int) -> dict[str, Any]:
    """The actor's layer painted over one environment with each colour word and, under "", without any."""
    from lucid.inference.generation.layers import actor_painting

    context = _whole(adapter, footage.environment, span, seed, steps)
    painting = actor_painting(actor, footage.environment, context, span, adapter.profile)
    return {word: adapter.generate(painting.control, painting.mask, " ".join(f"a {word} {noun}, bright daylight".split()),
                                   seed, steps, _quiet) for word in ("", *COLOURS)}


def _quiet(_done: int, _total: int) -> None:
    """Nobody watches the steps of a benchmark."""


def _moved(tries: dict[str, Any], matte: Any) -> list[bool]:
    import cv2
    import numpy as np

    inside = np.stack([cv2.erode((frame > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)) for frame in matte]) > 0
    means = {word: video[inside].mean(0) for word, video in tries.items()}
    return [bool(np.linalg.norm(means[word] - target) < np.linalg.norm(means[""] - target))
            for word, target in COLOURS.items()]


if __name__ == "__main__":
    sys.exit(main())
