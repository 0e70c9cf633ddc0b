# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots that directing is measured on: the demo scene by Lucid's own capture, once, in Lucid's cache folder.

    PYTHON scripts/bench/direct_shots.py FOLDER FRAMES FIRST.lucid SECOND.lucid     (PYTHON has the bpy module)

``walk`` and ``side``: the same frames by the scene's camera and by one 0.15 m to its right. ``long`` and ``short``: 90 frames,
and the first 9 of them. A folder's name says of which code it is.
"""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import bpy
    from lucid.addon.capture import CaptureSpec

ROOT = Path(__file__).resolve().parents[2]
ACTORS = ("Walker", "Ball")
WIDTH, HEIGHT = 256, 144
SIDEWAYS = 0.15         # m
SCENE = 45              # frames of the demo scene as it is; its camera's path depends on that
SHORT, LONG = 9, 90     # one window of the embedded model, and ten


def shots(frames: int) -> tuple[Path, Path]:
    """``walk`` and ``side`` of so many frames. Raises CalledProcessError."""
    return _captured(f"{frames}", frames, "walk", "side")


def long_shots() -> tuple[Path, Path]:
    """``long`` and ``short``. Raises CalledProcessError."""
    return _captured("long", LONG, "long", "short")


def _captured(label: str, frames: int, first: str, second: str) -> tuple[Path, Path]:
    from lucid.inference.home import lucid_home
    from lucid.scripts.setup.environments import BPY

    folder = lucid_home() / "bench" / f"direct-{key()}-{label}"
    targets = folder / f"{first}.lucid", folder / f"{second}.lucid"
    if not all((target / "shot.json").is_file() for target in targets):
        sys.stderr.write(f"capturing {first} and {second} into {folder}\n")
        folder.mkdir(parents=True, exist_ok=True)
        command = [BPY.ensure(), Path(__file__).resolve(), folder, frames, first, second]
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return targets


def key() -> str:
    """Of all that the shots are made by: the scene's script, the capture, and this file."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:10]


def _sources() -> Iterator[Path]:
    yield from (ROOT / "scripts" / "demo_scene.py", Path(__file__).resolve())
    yield from (ROOT / "scripts" / "demo").glob("*.py")
    yield from (ROOT / "addon" / "capture").glob("*.py")
    yield from (path for path in (ROOT / "shaders").iterdir() if path.is_file())


def capture(folder: Path, frames: int, names: tuple[str, str]) -> None:
    """Both shots of a pair in one go, so that they share ids and depth range. Raises LucidError."""
    import lucid
    from lucid.addon.capture import CaptureSpec, capture_sequence
    from lucid.inference.shot.model import Frames, Size
    from lucid.scripts.demo_scene import build

    scene: bpy.types.Scene = build(max(frames, SCENE))

    def spec(count: int, camera: str) -> CaptureSpec:
        return CaptureSpec(Frames(1, count), Size(WIDTH, HEIGHT), camera, ACTORS)

    whole = spec(frames, scene.camera.name)
    other = spec(frames, _beside(scene)) if names[1] == "side" else spec(SHORT, scene.camera.name)
    lucid.register()
    for _ in capture_sequence(scene, [(whole, folder / f"{names[0]}.lucid"), (other, folder / f"{names[1]}.lucid")]):
        pass
    lucid.unregister()


def _beside(scene: bpy.types.Scene) -> str:
    """A camera that goes along with the scene's, to its right."""
    import bpy

    side = bpy.data.objects.new("Side", scene.camera.data)
    side.parent, side.location = scene.camera, (SIDEWAYS, 0.0, 0.0)
    scene.collection.objects.link(side)
    return str(side.name)


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    capture(Path(sys.argv[1]), int(sys.argv[2]), (sys.argv[3], sys.argv[4]))
