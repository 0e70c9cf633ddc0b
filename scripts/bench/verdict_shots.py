# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict's scenes as shots, by Lucid's own capture, once, in Lucid's cache folder; and their pictures, frame by frame.

    python3 scripts/bench/verdict_shots.py [NAME ...]           captures what is missing of these scenes, or of all

A folder's name says of which code it is. A shot NAME-gGGG is what the scene looks like where things fall at G.GG m/s^2: pictures
to judge against the shot NAME.
"""

from __future__ import annotations

import ast
import hashlib
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lucid.inference.shot.model import Sequence, Shot

ROOT = Path(__file__).resolve().parents[2]
TUNING, HELD_OUT = "tuning", "held out"
WIDTH, HEIGHT, SAMPLES = 832, 480, 4
GRAVITY = 9.81                  # m/s^2
OTHER_GRAVITIES = (8.83, 6.87)  # 10 % and 30 % low

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Setup:
    """One scene: thresholds are set on TUNING ones, and never looked at on HELD_OUT ones. ``flight``: the first frame of
    a throw and the last one before the ball lands, or None. ``of``: a scene that this is another camera's view of; it is
    pictured clean alone."""

    role: str
    actors: tuple[str, ...]
    move: str
    flight: tuple[int, int] | None = None
    of: str = ""


SCENES = {
    "street": Setup(TUNING, ("Walker", "Ball"), "truck", (1, 24)),
    "room": Setup(TUNING, ("Cart",), "dolly"),
    "terrain": Setup(TUNING, ("Beast",), "crane"),
    "court": Setup(TUNING, ("Walker", "Ball"), "locked off", (1, 24)),
    "canyon": Setup(HELD_OUT, ("Walker",), "handheld dolly"),
    "plaza": Setup(HELD_OUT, ("Walker", "Ball"), "orbit", (1, 24)),
    "yard": Setup(HELD_OUT, ("Cart",), "pan"),
    "hall": Setup(HELD_OUT, ("Beast", "Ball"), "zoom and truck", (4, 27)),
    "quarry": Setup(HELD_OUT, (), "pan, tilt and truck"),
    "canyon2": Setup(HELD_OUT, ("Walker",), "dolly out", of="canyon"),
    "plaza2": Setup(HELD_OUT, ("Walker", "Ball"), "truck", of="plaza"),
    "yard2": Setup(HELD_OUT, ("Cart",), "dolly and truck", of="yard"),
    "hall2": Setup(HELD_OUT, ("Beast", "Ball"), "orbit", of="hall"),
    "quarry2": Setup(HELD_OUT, (), "crane", of="quarry"),
}


@dataclass(frozen=True)
class Clip:
    """A captured scene. Pictures are sRGB, float32 in [0, 1], read when asked for; ``frames`` are the scene's numbers."""

    name: str
    role: str
    folder: Path
    shot: Shot
    frames: tuple[int, ...]

    @property
    def actors(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.shot.actors)

    def beauty(self, frame: int) -> Picture:
        """The whole picture (H, W, 3)."""
        return _srgb(self._planes(self.shot.sequence("beauty"), frame)[..., :3])

    def plate(self, frame: int) -> Picture:
        """The picture without the actors and their shadows (H, W, 3)."""
        return _srgb(self._planes(self.shot.environment.sequence("beauty"), frame)[..., :3])

    def actor(self, name: str, frame: int) -> Picture:
        """What is seen of an actor (H, W, 4): straight colour, 0 where there is none, and coverage. Raises LAYER_UNKNOWN."""
        premultiplied = self._planes(self.shot.layer(name).sequence("beauty"), frame)
        cover = np.clip(premultiplied[..., 3:], 0.0, 1.0)
        colour = premultiplied[..., :3] / np.maximum(cover, 1e-6)
        return np.concatenate([_srgb(colour), cover], axis=-1)

    def surfaces(self, frame: int) -> NDArray[np.uint32]:
        """Ids (H, W) of the environment's instances as if no actor were there; 0 is the sky."""
        return np.asarray(self._planes(self.shot.environment.sequence("id"), frame)[..., 0])

    def at_gravity(self, gravity: float) -> Clip | None:
        """The same scene where things fall at ``gravity`` (one of OTHER_GRAVITIES); None without a ball."""
        return _clip(self.name, gravity) if SCENES[self.name].flight else None

    def _planes(self, sequence: Sequence, frame: int) -> NDArray[Any]:
        from lucid.inference.shot.exr import read_image

        channels = read_image(self.folder / sequence.path(frame)).channels
        return np.stack([channels[name] for name in sequence.channels], axis=-1)


def load(name: str) -> Clip:
    """The clip of a scene, captured now if it is not there. Raises KeyError for an unknown one, CalledProcessError."""
    return _clip(name, GRAVITY)


def load_all() -> Iterator[Clip]:
    """Every scene's clip, one after the other."""
    for name in SCENES:
        yield load(name)


def key(name: str) -> str:
    """Of what the pictures of a scene are made by: its function, what all scenes share, the capture and its settings."""
    here = Path(__file__).parent
    digest = hashlib.sha256(f"{SCENES[name].actors} {WIDTH} {HEIGHT} {SAMPLES}".encode())
    scene = SCENES[name].of or name
    digest.update(without_others((here / "verdict_scenes.py").read_text(encoding="utf-8"), scene).encode())
    parts = [here / "verdict_props.py", here / "verdict_actors.py", *([here / "verdict_views.py"] if SCENES[name].of else []),
             *(ROOT / "scripts" / "demo" / f"{part}.py" for part in ("gait", "solids", "walker")),
             *(ROOT / "addon" / "capture" / f"{part}.py" for part in ("cycles", "frames", "gbuffer", "lit", "motion", "raster")),
             *sorted(path for path in (ROOT / "shaders").iterdir() if path.is_file())]
    for path in parts:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:10]


def folder(name: str, gravity: float = GRAVITY) -> Path:
    """Where the shot of a scene is, or will be."""
    from lucid.inference.home import lucid_home

    label = name if gravity == GRAVITY else f"{name}-g{round(100 * gravity)}"
    return lucid_home() / "bench" / f"verdict-{key(name)}" / f"{label}.lucid"


def captured(name: str, gravity: float = GRAVITY) -> Path:
    """The folder of a scene's shot, captured in a process of its own if it is not there. Raises CalledProcessError."""
    from lucid.scripts.setup.environments import BPY

    target = folder(name, gravity)
    if not (target / "shot.json").is_file():
        started = time.perf_counter()
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [str(part) for part in (BPY.ensure(), Path(__file__).resolve(), "--capture", name, gravity, target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sys.stderr.write(f"{target}: {time.perf_counter() - started:.0f} s\n")
    return target


def capture(name: str, gravity: float, target: Path) -> None:
    """Capture a scene, inside the bpy module; of another gravity than the scene's the whole picture alone. Raises
    LucidError."""
    import lucid
    from lucid.addon.capture import GBUFFER_PASSES, CaptureSpec, capture_shot
    from lucid.inference.shot.model import Frames, Size
    from lucid.scripts.bench.verdict_props import camera
    from lucid.scripts.bench.verdict_scenes import build
    from lucid.scripts.bench.verdict_views import VIEWS

    scene = build(SCENES[name].of or name, gravity)
    if SCENES[name].of:
        camera(scene, VIEWS[name])
    frames, actors, passes = Frames(scene.frame_start, scene.frame_end), SCENES[name].actors, (*GBUFFER_PASSES, "beauty")
    if gravity != GRAVITY:
        actors, passes = (), ("beauty",)
    lucid.register()
    for _ in capture_shot(scene, CaptureSpec(frames, Size(WIDTH, HEIGHT), None, actors, "", passes, SAMPLES), target):
        pass
    lucid.unregister()


@lru_cache(maxsize=64)
def _clip(name: str, gravity: float) -> Clip:
    from lucid.inference.shot.store import open_shot

    target = captured(name, gravity)
    shot = open_shot(target, verify=False)
    return Clip(name, SCENES[name].role, target, shot, tuple(shot.frames.numbers))


def _srgb(linear: Picture) -> Picture:
    from lucid.inference.conditioning.transfer import to_srgb

    return np.clip(to_srgb(linear), 0.0, 1.0).astype(np.float32)


def without_others(source: str, name: str) -> str:
    """The text of a module of scenes without the functions of other scenes."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("scene_") and node.name != f"scene_{name}":
            lines[node.lineno - 1:node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line for line in lines if line)


def main(words: list[str]) -> int:
    if words[:1] == ["--capture"]:
        capture(words[1], float(words[2]), Path(words[3]))
        return 0
    for name in words or SCENES:
        captured(name)
    for name in words or SCENES:
        for gravity in OTHER_GRAVITIES if SCENES[name].flight else ():
            captured(name, gravity)
    return 0


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    sys.exit(main(sys.argv[1:]))
