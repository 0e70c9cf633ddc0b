# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shot is, as frozen data. Field names for image sequences follow OpenTimelineIO's ImageSequenceReference.

Conventions, stated once (tests hold them against closed forms):

- camera axes are OpenCV's: x right, y down, z forward; ``world_from_camera`` is 4x4, Blender's world, metres;
- pixel (0, 0) is the top left pixel and its centre lies at (0.5, 0.5); ``K`` is in pixels with that origin;
- depth is metres along the camera's z (not along the ray); the background is +inf;
- normals are in camera space with the axes above and face the camera; the background is (0, 0, 0);
- the world normal is the same normal along Blender's world axes;
- ids are uint32 per object *instance*, 0 is the background; ``Shot.instances`` names them; material ids alike, with
  ``Shot.materials``, where 0 is also a surface without a material;
- flow is pixels from this frame to the shot's next captured frame (``flow_forward``) and to its previous one
  (``flow_backward``), x right, y down, of the surface point at the pixel's centre. ``valid`` is 1 where that point is
  known in the other frame, ``visible`` is 1 where moreover the camera sees it there; both 0 at the shot's ends, X and Y
  0 where not valid. The background moves with the camera's rotation;
- rest is the surface point's rest position in its object's space, metres, before any deformation (Blender's
  rest_position); uv is the render UV map, v upwards; both NaN where unknown, 0 on the background;
- a layer's depth, normal, id and rest are those of its own surfaces, as if no other layer were there: the environment
  without the actors (a clean plate), an actor whole, also behind something;
- mattes and alpha are coverage in [0, 1], antialiased; a matte is depth-resolved against everything else in the shot;
- beauty is scene-linear, as rendered by Cycles; the shadow layer's ratio is the environment with the actors' light
  effects over the clean plate, its difference the one minus the other (scene-linear, unclamped);
- the volume layer: transmittance in [0, 1], the mean of its channels, and emission (scene-linear, not scattered) from the
  camera to the first surface; depth is the expected depth of what the volume takes away, +inf where it takes nothing,
  NaN where only Cycles could render it, which does not say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..errors import LucidError
from .paths import frame_path

SCHEMA = "lucid.shot/3"
ENVIRONMENT, SHADOW, VOLUME = "environment", "shadow", "volume"
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


class Kind(Enum):
    """What a layer holds."""

    ENVIRONMENT = "environment"
    ACTOR = "actor"
    SHADOW = "shadow"
    VOLUME = "volume"


# the passes that a shot may have, in the order they are offered, with their channels
PASSES = {
    "depth": ("Z",), "normal": ("X", "Y", "Z"), "normal_world": ("X", "Y", "Z"), "id": ("id",), "material": ("id",),
    "flow_forward": ("X", "Y", "valid", "visible"), "flow_backward": ("X", "Y", "valid", "visible"),
    "rest": ("X", "Y", "Z"), "uv": ("U", "V"), "alpha": ("Y",), "beauty": ("R", "G", "B", "A"),
}
# the passes of each kind of layer
LAYER_PASSES: dict[Kind, dict[str, tuple[str, ...]]] = {
    Kind.ENVIRONMENT: {"depth": ("Z",), "normal": ("X", "Y", "Z"), "id": ("id",), "rest": ("X", "Y", "Z"),
                       "beauty": ("R", "G", "B", "A")},
    Kind.ACTOR: {"matte": ("Y",), "depth": ("Z",), "normal": ("X", "Y", "Z"), "id": ("id",), "rest": ("X", "Y", "Z"),
                 "beauty": ("R", "G", "B", "A")},
    Kind.SHADOW: {"ratio": ("R", "G", "B"), "difference": ("R", "G", "B")},
    Kind.VOLUME: {"transmittance": ("Y",), "emission": ("R", "G", "B"), "depth": ("Z",)},
}
_PNG_PASSES = {"alpha", "matte"}


@dataclass(frozen=True)
class Marker:
    """A timeline marker inside the shot; ``camera`` is the camera it binds, or ""."""

    frame: int
    name: str
    camera: str = ""


@dataclass(frozen=True)
class Layer:
    """The environment, one actor, the actors' shadows and reflections, or the volumes.

    ``folder`` is the file-safe name used in paths; ``ids`` are the instance ids that belong to it (empty for the
    environment); ``pose`` is the index of its skeleton in pose.npz, or None: nothing is invented for non-humans.
    """

    name: str
    folder: str
    ids: tuple[int, ...]
    sequences: tuple[Sequence, ...]
    pose: int | None = None
    kind: Kind = Kind.ACTOR

    @property
    def is_environment(self) -> bool:
        return self.kind is Kind.ENVIRONMENT

    @property
    def is_painted(self) -> bool:
        """Whether a model makes its picture; shadows and volumes are captured."""
        return self.kind in (Kind.ENVIRONMENT, Kind.ACTOR)

    def has(self, name: str) -> bool:
        """Whether it was captured with the pass ``name``."""
        return any(sequence.name == name for sequence in self.sequences)

    def sequence(self, name: str) -> Sequence:
        """Raises PASS_MISSING for a pass it was not captured with."""
        return _find(self.sequences, name, f"layer '{self.name}'")


@dataclass(frozen=True)
class Shot:
    """One camera over one frame range of a scene; ``camera`` is its name, ``camera_words`` its move in words.

    ``files`` maps every file's relative POSIX path to its sha256; ``audio`` is the path of the sound's mix, or "".
    """

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
    materials: dict[int, str] = field(default_factory=dict)
    camera_words: str = ""
    audio: str = ""
    markers: tuple[Marker, ...] = ()

    @property
    def environment(self) -> Layer:
        return next(layer for layer in self.layers if layer.is_environment)

    @property
    def actors(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.kind is Kind.ACTOR)

    @property
    def painted(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.is_painted)

    @property
    def environment_ids(self) -> frozenset[int]:
        """The instances that no actor has."""
        return frozenset(self.instances).difference(*(actor.ids for actor in self.actors))

    def sequence(self, name: str) -> Sequence:
        return _find(self.passes, name, "the shot")

    def layer(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise LucidError("LAYER_UNKNOWN", f"the shot has no layer '{name}'",
                         "its layers are: " + ", ".join(layer.name for layer in self.layers))


@dataclass(frozen=True)
class Edit:
    """What a take changes of its ``parent``: a layer, or ``instances`` of the environment alone (() = all of it). ``change`` in
    (0, 1] of the denoising is done again from ``start`` (SDEdit): "noise" (1), the "parent" or the captured "beauty"."""

    layer: str
    instances: tuple[int, ...] = ()
    start: str = "noise"
    change: float = 1.0


@dataclass(frozen=True)
class TakeRequest:
    """Everything a take is a function of, beside the shot itself. Equal requests give equal bytes.

    ``layer_seeds`` beat ``seed``; ``strengths``, by a layer's or an instance's name, are conditioning.strength's JSON; ``noise``
    is by "surface" or by "pixel"; in [0, 1], ``stickiness`` is how much of it stays from frame to frame, ``pull`` how far each
    object's colours are held to where it is first seen; ``references`` are a layer's pictures below ``references/``. The layers
    named in ``keep`` are the ``parent``'s, bit for bit: what the request says of them is what they were painted with.
    """

    prompt: str
    layer_prompts: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    steps: int | None = None
    weights: str = "mini"
    layer_seeds: dict[str, int] = field(default_factory=dict)
    strengths: dict[str, float | list[list[float]]] = field(default_factory=dict)
    noise: str = "surface"
    stickiness: float = 0.0
    references: dict[str, list[str]] = field(default_factory=dict)
    parent: int | None = None
    edit: Edit | None = None
    pull: float = 0.0
    keep: tuple[str, ...] = ()

    def prompt_of(self, layer: str) -> str:
        return self.layer_prompts.get(layer) or self.prompt

    def seed_of(self, layer: str) -> int:
        return self.layer_seeds.get(layer, self.seed)

    def keeps(self, layer: str) -> bool:
        """Whether this layer stays as the parent has it: what an edit does not change, and what ``keep`` names."""
        return layer in self.keep or (self.edit is not None and self.edit.layer != layer)


def pass_sequence(name: str) -> Sequence:
    """The shot's own pass ``name`` of PASSES."""
    return Sequence(name, f"passes/{name}/{name}.####.{_suffix(name)}", PASSES[name])


def layer_sequence(kind: Kind, folder: str, name: str) -> Sequence:
    """The pass ``name`` of a layer of this kind, below its folder."""
    return Sequence(name, f"layers/{folder}/{name}.####.{_suffix(name)}", LAYER_PASSES[kind][name])


def _suffix(name: str) -> str:
    return "png" if name in _PNG_PASSES else "exr"


def _find(sequences: tuple[Sequence, ...], name: str, owner: str) -> Sequence:
    for sequence in sequences:
        if sequence.name == name:
            return sequence
    raise LucidError("PASS_MISSING", f"{owner} has no pass '{name}'", "capture the shot again with that pass")
