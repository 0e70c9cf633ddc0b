# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shot is, as frozen data. Field names for image sequences follow OpenTimelineIO's ImageSequenceReference.

Conventions, stated once (tests hold them against closed forms):

- camera axes are OpenCV's: x right, y down, z forward; ``world_from_camera`` is 4x4, Blender's world, metres;
- pixel (0, 0) is the top left pixel and its centre lies at (0.5, 0.5); ``K`` is in pixels with that origin;
- depth is metres along the camera's z (not along the ray); the background is +inf;
- normals are in camera space with the axes above and face the camera; the background is (0, 0, 0);
- ids are uint32 per object *instance*, 0 is the background; ``Shot.instances`` names them;
- mattes are coverage in [0, 1], antialiased, depth-resolved against everything else in the shot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..errors import LucidError

SCHEMA = "lucid.shot/1"
ENVIRONMENT = "environment"
# names that Windows keeps for devices, in every folder
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
CAMERA_CONVENTION = "opencv: x right, y down, z forward; world_from_camera; metres; pixel corner origin"


@dataclass(frozen=True)
class Rate:
    """Frames per second as the rational num/den (24000/1001, say)."""

    num: int
    den: int = 1

    @property
    def fps(self) -> float:
        return self.num / self.den


@dataclass(frozen=True)
class Frames:
    """An inclusive range of scene frames with a step."""

    start: int
    end: int
    step: int = 1

    def __post_init__(self) -> None:
        if self.step < 1 or self.end < self.start:
            raise LucidError("RANGE_EMPTY", f"frames {self.start}:{self.end}:{self.step} hold no frame",
                             "give a range whose end is not before its start, and a step of 1 or more")

    @property
    def numbers(self) -> range:
        return range(self.start, self.end + 1, self.step)

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Size:
    """Pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class DepthRange:
    """Near and far in metres over the whole shot: the 99.5th and 1st percentile of inverse depth; far may be +inf."""

    near: float
    far: float


@dataclass(frozen=True)
class Sequence:
    """An image sequence below the shot folder; ``####`` in ``pattern`` stands for the zero-padded *scene frame*."""

    name: str
    pattern: str
    channels: tuple[str, ...]

    def path(self, frame: int) -> str:
        return frame_path(self.pattern, frame)


@dataclass(frozen=True)
class Layer:
    """The environment, or one actor.

    ``folder`` is the file-safe name used in paths; ``ids`` are the instance ids that belong to it (empty for the
    environment); ``pose`` is the index of its skeleton in pose.npz, or None: nothing is invented for non-humans.
    """

    name: str
    folder: str
    ids: tuple[int, ...]
    sequences: tuple[Sequence, ...]
    pose: int | None = None

    @property
    def is_environment(self) -> bool:
        return self.name == ENVIRONMENT

    def sequence(self, name: str) -> Sequence:
        return _find(self.sequences, name, f"layer '{self.name}'")


@dataclass(frozen=True)
class Shot:
    """One camera over one frame range of a scene; ``camera`` is its name. ``files`` maps every file's relative POSIX
    path to its sha256."""

    name: str
    rate: Rate
    frames: Frames
    size: Size
    pixel_aspect: float
    depth_range: DepthRange
    camera: str
    passes: tuple[Sequence, ...]
    layers: tuple[Layer, ...]
    instances: dict[int, str]
    prompt: str = ""
    source: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Layer:
        return next(layer for layer in self.layers if layer.is_environment)

    @property
    def actors(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if not layer.is_environment)

    def sequence(self, name: str) -> Sequence:
        return _find(self.passes, name, "the shot")

    def layer(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise LucidError("LAYER_UNKNOWN", f"the shot has no layer '{name}'",
                         "its layers are: " + ", ".join(layer.name for layer in self.layers))


@dataclass(frozen=True)
class TakeRequest:
    """Everything a take is a function of, beside the shot itself. Equal requests give equal bytes."""

    prompt: str
    layer_prompts: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    steps: int | None = None
    weights: str = "mini"


def frame_path(pattern: str, frame: int) -> str:
    """``a/depth.####.exr`` and 7 give ``a/depth.0007.exr``; negative frames keep their sign in front."""
    sign = "-" if frame < 0 else ""
    return pattern.replace("####", f"{sign}{abs(frame):04d}")


def folder_name(name: str, taken: set[str], fallback: str = "layer") -> str:
    """A file-safe, unique, stable folder name for what is called ``name``: ``[A-Za-z0-9_-]`` only; ``fallback`` where
    nothing of the name is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name).strip("_") or fallback
    candidate, number = safe, 2
    while candidate.casefold() in {other.casefold() for other in taken} | _DEVICES:
        candidate, number = f"{safe}_{number}", number + 1
    return candidate


def check_relative(path: str) -> str:
    """Return ``path`` when it is a relative POSIX path that stays below its root; raise SHOT_PATH otherwise."""
    pure = PurePosixPath(path)
    plain = path not in ("", ".") and "\\" not in path and ":" not in path and "\0" not in path
    if not plain or pure.is_absolute() or ".." in pure.parts or str(pure) != path:
        raise LucidError("SHOT_PATH", f"'{path}' is not a path inside the shot", "capture the shot again")
    return path


def _find(sequences: tuple[Sequence, ...], name: str, owner: str) -> Sequence:
    for sequence in sequences:
        if sequence.name == name:
            return sequence
    raise LucidError("PASS_MISSING", f"{owner} has no pass '{name}'", "capture the shot again with that pass")


def shot_from_json(data: dict[str, Any]) -> Shot:
    """Build a Shot from ``shot.json`` of the current schema; a wrong or missing field raises SHOT_INVALID."""
    try:
        far = data["depth_range"]["far"]
        shot = Shot(
            name=str(data["name"]),
            rate=Rate(_positive(data["rate"]["num"]), _positive(data["rate"]["den"])),
            frames=Frames(int(data["frames"]["start"]), int(data["frames"]["end"]), int(data["frames"]["step"])),
            size=Size(_positive(data["size"]["width"]), _positive(data["size"]["height"])),
            pixel_aspect=float(data["pixel_aspect"]),
            depth_range=DepthRange(float(data["depth_range"]["near"]), float("inf") if far is None else float(far)),
            camera=_camera(data["camera"]),
            passes=tuple(map(_sequence, data["passes"])),
            layers=tuple(map(_layer, data["layers"])),
            instances={int(key): str(value) for key, value in data["instances"].items()},
            prompt=str(data["prompt"]),
            source={str(key): str(value) for key, value in data["source"].items()},
            files={check_relative(str(key)): str(value) for key, value in data["files"].items()},
        )
        if [layer.name for layer in shot.layers].count(ENVIRONMENT) != 1:
            raise ValueError("one layer is the environment")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LucidError("SHOT_INVALID", f"shot.json is not a {SCHEMA} manifest: {error!r}",
                         "capture the shot again") from error
    return shot


def shot_to_json(shot: Shot) -> dict[str, Any]:
    """The inverse of :func:`shot_from_json`; infinity is written as null, so the file is plain JSON."""
    far = shot.depth_range.far
    return {
        "schema": SCHEMA,
        "name": shot.name,
        "rate": {"num": shot.rate.num, "den": shot.rate.den},
        "frames": {"start": shot.frames.start, "end": shot.frames.end, "step": shot.frames.step},
        "size": {"width": shot.size.width, "height": shot.size.height},
        "pixel_aspect": shot.pixel_aspect,
        "depth_range": {"near": shot.depth_range.near, "far": None if far == float("inf") else far},
        "camera": {"name": shot.camera, "convention": CAMERA_CONVENTION},
        "passes": [_sequence_json(sequence) for sequence in shot.passes],
        "layers": [
            {"name": layer.name, "folder": layer.folder, "ids": list(layer.ids), "pose": layer.pose,
             "sequences": [_sequence_json(sequence) for sequence in layer.sequences]}
            for layer in shot.layers
        ],
        "instances": {str(key): value for key, value in shot.instances.items()},
        "prompt": shot.prompt,
        "source": shot.source,
        "files": dict(sorted(shot.files.items())),
    }


def _positive(value: Any) -> int:
    if int(value) < 1:
        raise ValueError(f"{value} is not 1 or more")
    return int(value)


def _camera(data: dict[str, Any]) -> str:
    if data["convention"] != CAMERA_CONVENTION:
        raise ValueError(f"camera convention {data['convention']!r}")
    return str(data["name"])


def _sequence(data: dict[str, Any]) -> Sequence:
    return Sequence(str(data["name"]), check_relative(str(data["pattern"])), tuple(map(str, data["channels"])))


def _sequence_json(sequence: Sequence) -> dict[str, Any]:
    return {"name": sequence.name, "pattern": sequence.pattern, "channels": list(sequence.channels)}


def _layer(data: dict[str, Any]) -> Layer:
    pose = data["pose"]
    return Layer(str(data["name"]), check_relative(str(data["folder"])), tuple(map(int, data["ids"])),
                 tuple(map(_sequence, data["sequences"])), None if pose is None else int(pose))
