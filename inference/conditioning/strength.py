# SPDX-License-Identifier: GPL-3.0-or-later
"""Strength: how strongly a model follows the control of each object, per frame. 0 leaves it free, 1 makes it obey.

Wan-VACE multiplies what its control branch adds to each token by ``conditioning_scale``; a tensor (VACE layers, 1, tokens,
1) of it is a map, and :func:`token_map` makes its third axis.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from ..shot.model import Layer

_SHOWN_NAMES = 12
_FRAME = re.compile(r"-?[0-9]{1,9}")
_USAGE_HINT = "write NAME=0.5, or NAME=0.2@1,0.8@24 for values at frames"
_HINT = "a strength is a number from 0 (free) to 1 (obey), or such numbers at ascending frames"


@dataclass(frozen=True)
class Strength:
    """``keys``: (scene frame, value) with frames ascending and values in [0, 1]; linear between them, constant outside.

    Raises STRENGTH_INVALID.
    """

    keys: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise LucidError("STRENGTH_INVALID", "a strength has no value", _HINT)
        for frame, value in self.keys:
            if not isinstance(frame, int) or isinstance(frame, bool):
                raise LucidError("STRENGTH_INVALID", f"{frame!r} is not a frame", _HINT)
            _checked(value)
        for (before, _), (after, _) in zip(self.keys, self.keys[1:], strict=False):
            if after <= before:
                raise LucidError("STRENGTH_INVALID", f"a strength's frame {after} does not come after {before}", _HINT)

    @classmethod
    def constant(cls, value: float) -> Strength:
        """The same in every frame. Raises STRENGTH_INVALID."""
        return cls(((0, _checked(value)),))

    def at(self, frame: int) -> float:
        """The value in [0, 1] at a scene frame."""
        after = bisect_right(self.keys, frame, key=lambda key: key[0])
        if after == 0 or after == len(self.keys):
            return float(self.keys[max(after - 1, 0)][1])
        (start, first), (end, last) = self.keys[after - 1:after + 1]
        return first + (last - first) * ((frame - start) / (end - start))


def parse(text: str) -> tuple[str, Strength]:
    """``NAME=0.5`` or ``NAME=0.2@1,0.8@24`` (VALUE@FRAME) as (name, strength); the last "=" ends the name.

    Raises USAGE for another form, STRENGTH_INVALID for values and frames that are no strength.
    """
    name, _, values = text.rpartition("=")
    if not name.strip() or not values.strip():
        raise LucidError("USAGE", f"'{text}' is not NAME=STRENGTH", _USAGE_HINT)
    if "@" not in values:
        return name.strip(), Strength.constant(_number(values))
    keys = []
    for part in values.split(","):
        value, _, frame = part.partition("@")
        if not _FRAME.fullmatch(frame.strip()):
            raise LucidError("USAGE", f"'{part}' is not VALUE@FRAME", _USAGE_HINT)
        keys.append((int(frame), _number(value)))
    return name.strip(), Strength(tuple(keys))


def to_json(strength: Strength) -> float | list[list[float]]:
    """The JSON form: a number for :meth:`Strength.constant`, else [[frame, value], ...]; equal strengths give equal JSON."""
    (frame, value), *more = strength.keys
    if frame == 0 and not more:
        return _checked(value)
    return [[frame, _checked(value)] for frame, value in strength.keys]


def from_json(data: Any) -> Strength:
    """The inverse of :func:`to_json`. Raises STRENGTH_INVALID for anything else, true, false and numbers in texts too."""
    if not isinstance(data, list):
        return Strength.constant(data)
    for key in data:
        if not isinstance(key, list) or len(key) != 2:
            raise LucidError("STRENGTH_INVALID", f"{key!r} is not [frame, value]", _HINT)
    return Strength(tuple((frame, _checked(value)) for frame, value in data))


def strength_map(ids: NDArray[np.integer[Any]], names: Mapping[int, str], strengths: Mapping[str, Strength], frame: int,
                 default: float = 1.0, *, layers: Sequence[Layer] = ()) -> NDArray[np.float32]:
    """The strength (H, W) in [0, 1] of each pixel of an id pass (H, W) in a scene frame.

    ``names`` are the shot's instances, ``layers`` its layers. An entry of ``strengths`` is an instance's or a layer's: an
    actor's stands for all its instances, the environment's for all that is no actor's, the background with it. An
    instance's own entry beats its layer's; what has neither gets ``default``.

    Raises OBJECT_UNKNOWN for an entry that is neither's, STRENGTH_INVALID for a wrong default.
    """
    owners = {number: layer.name for layer in layers for number in layer.ids}
    rest = next((layer.name for layer in layers if layer.is_environment), None)
    check_names(strengths, names, layers)
    values = {name: strength.at(frame) for name, strength in strengths.items()}
    otherwise = _checked(default)

    def value(number: int) -> float:
        for name in (names.get(number), owners.get(number, rest)):
            if name is not None and name in values:
                return values[name]
        return otherwise

    known, where = np.unique(ids, return_inverse=True)
    table = np.array([value(int(number)) for number in known], np.float32)
    found: NDArray[np.float32] = table[where.reshape(ids.shape)]
    return found


def token_map(maps: NDArray[np.floating[Any]], cell: int, temporal: int = 1, *, references: int = 0) -> NDArray[np.float32]:
    """Strengths of pixels (F, H, W) as those of a transformer's tokens (tokens,): the mean over each token's pixels.

    Tokens run over latent frames, rows and columns; one has ``cell`` x ``cell`` pixels (the VAE's factor times the patch:
    16 for Wan). Latent frame 0 is frame 0, latent frame k the ``temporal`` frames up to k * temporal (Wan's causal VAE).
    Those of ``references`` come first, with strength 1. Raises ValueError where F - 1 or H, W are no multiples.
    """
    frames, height, width = maps.shape
    if frames < 1 or (frames - 1) % temporal or height % cell or width % cell:
        raise ValueError(f"{maps.shape} does not fall into tokens of {temporal} x {cell} x {cell}")
    shape = height // cell, width // cell
    means = maps.reshape(frames, shape[0], cell, shape[1], cell).mean(axis=(2, 4), dtype=np.float64)
    later = means[1:].reshape(-1, temporal, *shape).mean(axis=1)
    tokens = np.concatenate([np.ones((references, *shape)), means[:1], later])
    return tokens.astype(np.float32).ravel()


def check_names(strengths: Iterable[str], names: Mapping[int, str], layers: Sequence[Layer]) -> None:
    """Every entry is the name of an instance or of a layer that is painted. Raises OBJECT_UNKNOWN."""
    known = known_names(names, layers)
    for name in strengths:
        if name not in known:
            raise unknown_name(name, known)


def known_names(names: Mapping[int, str], layers: Sequence[Layer]) -> tuple[str, ...]:
    """The layers that are painted (the environment and the actors), then the instances; each name once."""
    painted = (layer.name for layer in layers if layer.is_painted)
    return tuple(dict.fromkeys((*painted, *names.values())))


def unknown_name(name: str, known: Sequence[str]) -> LucidError:
    """OBJECT_UNKNOWN with the names in ``known`` that are nearest to ``name``, whatever their case, in the hint."""
    folded = {other.casefold(): other for other in known}
    near = [folded[match] for match in difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
    listed = ", ".join(known[:_SHOWN_NAMES]) + (", ..." if len(known) > _SHOWN_NAMES else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"the shot has: {listed or 'nothing with a name'}"
    return LucidError("OBJECT_UNKNOWN", f"the shot has no object and no painted layer called '{name}'", hint)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise LucidError("USAGE", f"'{text}' is not a number", _USAGE_HINT) from error


def _checked(value: Any) -> float:
    """Raises STRENGTH_INVALID unless it is a number in [0, 1]."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
        raise LucidError("STRENGTH_INVALID", f"{value!r} is not a strength", _HINT)
    return float(value) + 0.0       # -0.0 is 0.0, in JSON too
