# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the worst spots of a verdict: the take and, where there is one, the captured beauty, with the spot in a box."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...shot.images import to_uint8
from ...shot.model import Frames
from ...shot.verdicts import Outcome, Verdict
from ..figures import Figure, Spot
from ..watch import Pictures

#: so many spots of what failed, and so many where nothing failed
FAILED, HELD = 10, 3
_HEIGHT = 216           # px of a still
_BOX = 0.22             # of the picture's height: the side of a box
_QUALITY = 85
_EDGE, _MARK = (0, 0, 0), (0, 94, 213)      # BGR: vermilion, which colour-blind people tell from blue (Okabe and Ito)


@dataclass(frozen=True)
class Still:
    """One worst spot; ``images`` are (caption, data URL of a JPEG)."""

    figure: Figure
    spot: Spot
    images: tuple[tuple[str, str], ...]


def stills(verdict: Verdict, frames: Frames, pictures: Pictures, beauty: Pictures | None) -> Iterator[Still]:
    """Stills of the worst spots, the worst figure first, a frame of an object once. ``pictures`` are those that were measured.
    Raises what they do."""
    for figure, spot in chosen(verdict):
        index = min(bisect_left(frames.numbers, spot.first), len(frames) - 1)
        shown = [("picture", pictures(index))] + ([("beauty", beauty(index))] if beauty is not None else [])
        images = [(name, _url(_whole(picture, spot.at))) for name, picture in shown]
        if spot.at is not None:
            images += [(f"{name}, closer", _url(_closer(picture, spot.at))) for name, picture in shown]
        yield Still(figure, spot, tuple(images))


def chosen(verdict: Verdict) -> list[tuple[Figure, Spot]]:
    """The spots to show: the worst of each figure that failed, then their second worst that are beyond the bar too, and so on;
    where nothing failed, of those nearest to their bars."""
    failed = verdict.of(Outcome.FAIL)
    figures = sorted(failed or verdict.of(Outcome.PASS), key=lambda figure: -(figure.excess or 0.0))
    ranked = [(figure, figure.worst[place]) for place in range(max((len(f.worst) for f in figures), default=0))
              for figure in figures if place < len(figure.worst) and (place == 0 or not failed or _beyond(figure, place))]
    first: dict[tuple[str, int], tuple[Figure, Spot]] = {}
    for figure, spot in ranked:
        first.setdefault((spot.object, spot.first), (figure, spot))
    return list(first.values())[:FAILED if failed else HELD]


def _beyond(figure: Figure, place: int) -> bool:
    return figure.bar is not None and not figure.bar.holds(figure.worst[place].value)


def _whole(picture: NDArray[np.float32], at: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(h, w, 3) BGR of a picture (H, W, 3) in sRGB, with the box around pixel ``at``."""
    height, width = picture.shape[:2]
    scale = _HEIGHT / height
    small = _bgr(picture, (max(1, round(width * scale)), _HEIGHT))
    if at is not None:
        left, top, side = _box(at, height, width)
        corners = [(round(x * scale), round(y * scale)) for x, y in ((left, top), (left + side, top + side))]
        for colour, thick in ((_EDGE, 4), (_MARK, 2)):
            cv2.rectangle(small, corners[0], corners[1], colour, thick)
    return small


def _closer(picture: NDArray[np.float32], at: tuple[int, int]) -> NDArray[np.uint8]:
    left, top, side = _box(at, *picture.shape[:2])
    return _bgr(picture[top:top + side, left:left + side], (_HEIGHT, _HEIGHT))


def _box(at: tuple[int, int], height: int, width: int) -> tuple[int, int, int]:
    """Left, top and side of a square around a pixel, in the picture."""
    side = min(max(round(_BOX * height), 16), height, width)
    left, top = (min(max(place - side // 2, 0), most - side) for place, most in ((at[0], width), (at[1], height)))
    return left, top, side


def _bgr(picture: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    codes = to_uint8(picture)[..., ::-1]
    shrinks = size[1] < codes.shape[0]
    return np.asarray(cv2.resize(np.ascontiguousarray(codes), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


def _url(bgr: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
