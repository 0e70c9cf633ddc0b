# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot to and from its manifest, ``shot.json``."""

from __future__ import annotations

from typing import Any

from ..errors import LucidError
from .model import CAMERA_CONVENTION, SCHEMA, DepthRange, Frames, Kind, Layer, Marker, Rate, Sequence, Shot, Size
from .paths import check_relative


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
            materials={int(key): str(value) for key, value in data["materials"].items()},
            camera_words=str(data["camera"]["words"]),
            audio=check_relative(str(data["audio"])) if data["audio"] else "",
            markers=tuple(Marker(int(m["frame"]), str(m["name"]), str(m["camera"])) for m in data["markers"]),
        )
        if [layer.kind for layer in shot.layers].count(Kind.ENVIRONMENT) != 1:
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
        "camera": {"name": shot.camera, "convention": CAMERA_CONVENTION, "words": shot.camera_words},
        "passes": [_sequence_json(sequence) for sequence in shot.passes],
        "layers": [
            {"name": layer.name, "kind": layer.kind.value, "folder": layer.folder, "ids": list(layer.ids),
             "pose": layer.pose, "sequences": [_sequence_json(sequence) for sequence in layer.sequences]}
            for layer in shot.layers
        ],
        "instances": {str(key): value for key, value in shot.instances.items()},
        "materials": {str(key): value for key, value in shot.materials.items()},
        "audio": shot.audio,
        "markers": [{"frame": m.frame, "name": m.name, "camera": m.camera} for m in shot.markers],
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
                 tuple(map(_sequence, data["sequences"])), None if pose is None else int(pose), Kind(data["kind"]))
