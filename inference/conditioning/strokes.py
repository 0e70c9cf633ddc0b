# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenCV's unsmoothed drawing in numpy, pixel for pixel: what DWPose's skeletons are made of.

Every function paints into ``canvas`` (H, W, 3) uint8; points are whole pixels (x, y). Source: OpenCV's drawing.cpp
(``ellipse2Poly``, ``FillConvexPoly``, ``Line``, ``Line2``, ``ThickLine``, ``Circle``) and resize.cpp (``INTER_AREA``).
Outside the picture only what OpenCV clips *before* it rounds can differ, by a pixel at the border.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Ints = NDArray[np.int64]

_SHIFT = 16
_HALF = 1 << _SHIFT >> 1
# OpenCV's table of sines has seven decimals
_SINES = np.sin(np.radians(np.arange(451.0))).round(7).astype(np.float32).astype(np.float64)
# further out nothing is drawn: no picture is that large, and the arithmetic stays in range
_FARTHEST = 1 << 20


def ellipse(canvas: NDArray[np.uint8], middle: tuple[int, int], axes: tuple[int, int], angle: int, colour: Colour) -> None:
    """A filled ellipse of half ``axes``, turned by ``angle`` whole degrees: ellipse2Poly by one degree, fillConvexPoly."""
    around, angle = np.arange(361), angle % 360
    cosine, sine = _SINES[450 - angle], _SINES[angle]
    x, y = axes[0] * _SINES[450 - around], axes[1] * _SINES[around]
    points = np.rint(np.stack([middle[0] + x * cosine - y * sine, middle[1] + x * sine + y * cosine], -1)).astype(np.int64)
    keep = np.append(True, (points[1:] != points[:-1]).any(-1))
    points = points[keep]
    if len(points) and np.abs(points).max() < _FARTHEST:
        starts, ends = np.roll(points, 1, axis=0), points
        _fill(canvas, points << _SHIFT, 0, _whole_lines(starts, ends), colour)


def thick_line(canvas: NDArray[np.uint8], a: tuple[int, int], b: tuple[int, int], colour: Colour) -> None:
    """``cv2.line`` of thickness 2: a quadrilateral with a small cross at both ends."""
    if max(map(abs, (*a, *b))) >= _FARTHEST:
        return
    across, down = a[0] - b[0], b[1] - a[1]
    if across or down:
        reach = (1 << _SHIFT) / float(np.hypot(across, down))
        side = np.array([round(down * reach), round(across * reach)])
        start, end = np.array(a) << _SHIFT, np.array(b) << _SHIFT
        corners = np.stack([start + side, start - side, end - side, end + side]).astype(np.int64)
        _fill(canvas, corners, _SHIFT, _fine_lines(np.roll(corners, 1, axis=0), corners), colour)
    for spot in (a, b):
        disc(canvas, spot, 1, colour)


def disc(canvas: NDArray[np.uint8], middle: tuple[int, int], radius: int, colour: Colour) -> None:
    """``cv2.circle`` with thickness -1."""
    height, width = canvas.shape[:2]
    for row, half in enumerate(_disc_rows(radius), middle[1] - radius):
        if 0 <= row < height:
            canvas[row, max(middle[0] - half, 0):max(min(middle[0] + half + 1, width), 0)] = colour


def reduced(canvas: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """``cv2.resize`` with INTER_AREA to at most the same size: each pixel is the mean of what it covers."""
    rows = np.flatnonzero(canvas.any((1, 2)))
    picture = np.zeros((height, width, 3), np.uint8)
    if not rows.size:
        return picture
    index, weight = _taps(canvas.shape[0], height)
    used = slice(np.searchsorted(index[:, -1], rows[0]), np.searchsorted(index[:, 0], rows[-1], "right"))
    part = _mixed(canvas, index[used], weight[used, :, None, None])
    index, weight = _taps(canvas.shape[1], width)
    part = _mixed(part.swapaxes(0, 1), index, weight[..., None, None]).swapaxes(0, 1)
    picture[used] = np.rint(part).astype(np.uint8)
    return picture


def _mixed(picture: NDArray[np.uint8] | NDArray[np.float32], index: Ints, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros((len(index), *picture.shape[1:]), np.float32)
    for tap in range(index.shape[1]):
        total += picture[index[:, tap]] * weight[:, tap]
    return total


@lru_cache(16)
def _taps(source: int, target: int) -> tuple[Ints, NDArray[np.float32]]:
    """For each of ``target`` pixels the source pixels it covers (target, T) and how much of each, as a part of 1."""
    edges = np.arange(target + 1) * (source / target)
    count = int(np.ceil(source / target)) + 1
    index = np.floor(edges[:-1, None]).astype(np.int64) + np.arange(count)
    cover = np.minimum(edges[1:, None], index + 1.0) - np.maximum(edges[:-1, None], index)
    cover = np.where(cover > 1e-3, cover, 0.0) * (index < source)
    return np.minimum(index, source - 1), (cover * (target / source)).astype(np.float32)


def _fill(canvas: NDArray[np.uint8], corners: Ints, shift: int, outline: Ints, colour: Colour) -> None:
    """FillConvexPoly: ``corners`` (n, 2) in 1/65536 px, rounded to rows where ``shift`` says they are that fine;
    ``outline`` (m, 2) are the pixels of its border, which belong to it too."""
    height, width = canvas.shape[:2]
    pixels = np.concatenate([outline, _scanned(corners, shift)])
    top, bottom = max(int(pixels[:, 1].min()), 0), min(int(pixels[:, 1].max()), height - 1)
    pixels = pixels[(pixels[:, 1] >= top) & (pixels[:, 1] <= bottom)]
    if not len(pixels):
        return
    left, right = np.full(bottom - top + 1, width, np.int64), np.full(bottom - top + 1, -1, np.int64)
    np.minimum.at(left, pixels[:, 1] - top, pixels[:, 0])
    np.maximum.at(right, pixels[:, 1] - top, pixels[:, 0])
    first, last = max(int(left.min()), 0), min(int(right.max()), width - 1)
    columns = np.arange(first, last + 1)
    canvas[top:bottom + 1, first:last + 1][(columns >= left[:, None]) & (columns <= right[:, None])] = colour


def _scanned(corners: Ints, shift: int) -> Ints:
    """Where the polygon's edges cross its rows, as pixels (m, 2)."""
    rows = (corners[:, 1] + (_HALF if shift else 0)) >> _SHIFT
    before, before_rows = np.roll(corners, 1, axis=0), np.roll(rows, 1)
    falls = (before_rows > rows)
    start, end = np.where(falls, corners[:, 0], before[:, 0]), np.where(falls, before[:, 0], corners[:, 0])
    top, count = np.minimum(rows, before_rows), np.abs(rows - before_rows)
    sloped = count > 0
    start, end, top, count = start[sloped], end[sloped], top[sloped], count[sloped]
    slope = _divided((end - start) * 2 + count, 2 * count)
    # the last row has no edge of its own: the ones above it run on
    edge, step = _counted(count + (top + count == rows.max()))
    return np.stack([(start[edge] + slope[edge] * step + _HALF) >> _SHIFT, top[edge] + step], -1)


def _whole_lines(a: Ints, b: Ints) -> Ints:
    """The pixels of 8-connected lines between whole pixels, each drawn from left to right (``Line``)."""
    turned = (a[:, 0] > b[:, 0])[:, None]
    a, b = np.where(turned, b, a), np.where(turned, a, b)
    way = b - a
    long, steep = np.abs(way).max(1), np.abs(way[:, 1]) > way[:, 0]
    short, down = np.abs(way).min(1), np.sign(way[:, 1])
    edge, step = _counted(long + 1)
    aside = -((long[edge] - 2 * short[edge] * step) // np.maximum(2 * long[edge], 1))
    x = a[edge, 0] + np.where(steep[edge], aside, step)
    y = a[edge, 1] + np.where(steep[edge], step, aside) * down[edge]
    return np.stack([x, y], -1)


def _fine_lines(a: Ints, b: Ints) -> Ints:
    """The pixels of lines between points in 1/65536 px (``Line2``)."""
    major = (np.abs(b - a)[:, 0] <= np.abs(b - a)[:, 1]).astype(np.int64)      # 0: it runs along x, 1: along y
    each = np.arange(len(a))
    turned = (a[each, major] > b[each, major])[:, None]
    a, b = np.where(turned, b, a), np.where(turned, a, b)
    length, rise = (b - a)[each, major], (b - a)[each, 1 - major]
    slope = _divided(rise << _SHIFT, length | 1)
    edge, step = _counted((length >> _SHIFT) + 1)
    along = ((a[each, major] + _HALF) >> _SHIFT)[edge] + step
    across = (a[each, 1 - major][edge] + _HALF + slope[edge] * step) >> _SHIFT
    drawn = np.where(major[edge, None] == 0, np.stack([along, across], -1), np.stack([across, along], -1))
    return np.concatenate([drawn, (b + _HALF) >> _SHIFT])


def _counted(counts: Ints) -> tuple[Ints, Ints]:
    """Counts 2, 3 give which (0, 0, 1, 1, 1) and the how-manieth (0, 1, 0, 1, 2)."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def _divided(a: Ints, b: Ints) -> Ints:
    """Whole quotients rounded towards zero, as C does."""
    return np.sign(a) * (np.abs(a) // b)


@lru_cache(64)
def _disc_rows(radius: int) -> tuple[int, ...]:
    """Half the width of each row of a disc, from its top (``Circle``)."""
    halves = [0] * (2 * radius + 1)
    error, x, y, plus, minus = 0, radius, 0, 1, 2 * radius - 1
    while x >= y:
        for row, half in ((y, x), (-y, x), (x, y), (-x, y)):
            halves[radius + row] = max(halves[radius + row], half)
        y, error, plus = y + 1, error + plus, plus + 2
        if error > 0:
            error, x, minus = error - minus, x - 1, minus - 2
    return tuple(halves)
