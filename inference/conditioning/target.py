# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edit is about: the object at a pixel of a shot, the layer or object with a name. The same in Blender and outside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import LucidError
from ..shot.exr import read_image
from ..shot.model import ENVIRONMENT, Layer, Shot
from ..shot.requests import check_layers
from ..shot.store import sha256_file
from .strength import known_names, unknown_name

BACKGROUND = 0
_AT = re.compile(r"\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*")


@dataclass(frozen=True)
class Target:
    """An actor as a whole, one object of the environment, or the environment as a whole.

    ``layer`` is the layer's name, ``instances`` the ids that it is seen by: all of an actor's, those of the object, and none
    for the whole environment, to which the background belongs too (as in ``Layer.ids``). ``label`` is its name for people,
    ``seen`` that of the instance that was pointed at ("" where none was), which makes no other target.
    """

    layer: str
    instances: tuple[int, ...]
    label: str
    seen: str = field(default="", compare=False)

    def parts(self, shot: Shot) -> tuple[int, ...]:
        """The instances that an edit of it names: none for an actor, which is changed as a whole."""
        return self.instances if self.layer == shot.environment.name else ()


def pick(folder: Path, shot: Shot, x: int, y: int, frame: int) -> Target:
    """What is seen at pixel (x, y) of a scene frame of a shot; (0, 0) is the top left pixel. Only that frame's ids are verified.

    Raises FRAME_OUTSIDE, PIXEL_OUTSIDE, PASS_MISSING for a shot without ids, SHOT_CORRUPT, EXR_INVALID, PIXEL_BACKGROUND where
    nothing is, SHOT_INVALID for an id that nobody has.
    """
    frames, size = shot.frames, shot.size
    if frame not in frames.numbers:
        steps = f" in steps of {frames.step}" if frames.step > 1 else ""
        raise LucidError("FRAME_OUTSIDE", f"the shot has no frame {frame}",
                         f"its frames run from {frames.numbers[0]} to {frames.numbers[-1]}{steps}")
    if not (0 <= x < size.width and 0 <= y < size.height):
        raise LucidError("PIXEL_OUTSIDE", f"pixel ({x}, {y}) lies outside the picture of {size}",
                         f"x runs from 0 to {size.width - 1}, y from 0 at the top to {size.height - 1}")
    name = shot.sequence("id").path(frame)
    if not (folder / name).is_file() or sha256_file(folder / name) != shot.files[name]:
        raise LucidError("SHOT_CORRUPT", f"{name} in {folder} is not what was captured", "capture the shot again")
    ids = read_image(folder / name).channels.get("id")
    if ids is None or ids.shape != (size.height, size.width):
        raise LucidError("EXR_INVALID", f"{name} has no id channel of {size}", "capture the shot again")
    number = int(ids[y, x])
    if number == BACKGROUND:
        raise LucidError("PIXEL_BACKGROUND", f"nothing is at pixel ({x}, {y}) of frame {frame}",
                         f'point at an object, or choose the whole layer "{ENVIRONMENT}"')
    return _owner(shot, number)


def whole(shot: Shot, name: str) -> Target:
    """The layer called ``name``, which is painted, as a whole. Raises LAYER_UNKNOWN."""
    check_layers([name], (layer.name for layer in shot.painted))
    return _whole(shot.layer(name))


def named(shot: Shot, name: str) -> Target:
    """The layer called ``name``, else the object; else the only one of them that is called so in another case.

    Only layers that are painted count: the environment and the actors. Raises OBJECT_UNKNOWN with the nearest names.
    """
    known = known_names(shot.instances, shot.layers)
    if name in known:
        return _called(shot, name)
    alike = [other for other in known if other.casefold() == name.casefold()]
    targets = list(dict.fromkeys(_called(shot, other) for other in alike))
    if len(targets) == 1:
        return targets[0]
    if targets:
        raise LucidError("OBJECT_UNKNOWN", f"'{name}' may be {' or '.join(alike)}", "write the name in its own case")
    raise unknown_name(name, known)


def parse_at(text: str) -> tuple[int, int, int]:
    """``X,Y,FRAME`` as (x, y, frame); frames may be negative. Raises USAGE."""
    found = _AT.fullmatch(text)
    if found is None:
        raise LucidError("USAGE", f"'{text}' is not X,Y,FRAME", "write --at 320,180,12: pixels from the top left, then a frame")
    x, y, frame = map(int, found.groups())
    return x, y, frame


def _called(shot: Shot, name: str) -> Target:
    """What has exactly this name, a layer before an object."""
    for layer in shot.painted:
        if layer.name == name:
            return _whole(layer)
    return _owner(shot, next(number for number, called in shot.instances.items() if called == name))


def _owner(shot: Shot, number: int) -> Target:
    """The actor that an instance belongs to, else the object itself: of the environment all with its name."""
    label = shot.instances.get(number)
    if label is None:
        raise LucidError("SHOT_INVALID", f"{number} is the id of nothing in the shot", "capture the shot again")
    for actor in shot.actors:
        if number in actor.ids:
            return _whole(actor, label)
    same = sorted(other for other in shot.environment_ids if shot.instances[other] == label)
    return Target(shot.environment.name, tuple(same), label, label)


def _whole(layer: Layer, seen: str = "") -> Target:
    return Target(layer.name, layer.ids, layer.name, seen)
