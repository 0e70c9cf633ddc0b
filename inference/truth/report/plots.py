# SPDX-License-Identifier: GPL-3.0-or-later
"""A figure's series as a drawing in SVG that stands in a page: its colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ..figures import Bar, Spot
from ..meaning import allowed, amount, spot_text

WIDTH, HEIGHT = 640, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30
_DOTS = 60          # more than these would touch each other
_TICKS = 4
_STRIP = 7


def line_plot(series: Sequence[tuple[float, float]], bar: Bar | None, unit: str, worst: Sequence[Spot], title: str) -> str:
    """An ``<svg>`` of ``series`` (frame, value), at least one, finite and in order: the line, the range that ``bar`` allows as a
    band (class ``allowed``) with its ends (class ``bar``), the frames of the ``worst`` spots as strips on the axis (class
    ``worst``). Both ends of the bar are in sight, so that the picture shows how far away they are."""
    low, high = _span([value for _, value in series], bar)
    first, last = series[0][0], series[-1][0]

    def x(frame: float) -> float:
        share = (min(max(frame, first), last) - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (min(max(value, low), high) - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    if bar is not None:
        parts.append(_rect("allowed", _LEFT, y(bar.highest), WIDTH - _LEFT - _RIGHT, y(bar.lowest) - y(bar.highest),
                           f"allowed: {allowed(bar, unit)}"))
        parts += [f'<line class="bar" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(end):.1f}" y2="{y(end):.1f}"/>'
                  for end in (bar.lowest, bar.highest) if math.isfinite(end)]
    parts += [_rect("worst", x(spot.first) - 2, HEIGHT - _BOTTOM, x(spot.last) - x(spot.first) + 4, _STRIP,
                    spot_text(spot, unit)) for spot in worst]
    for value in _nice(low, high):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
                     f'<text class="y" x="{_LEFT - 6}" y="{y(value) + 4:.1f}">{amount(value)}</text>')
    frames = sorted({series[round(share * (len(series) - 1))][0] for share in (0.0, 0.25, 0.5, 0.75, 1.0)})
    parts += [f'<text class="x" x="{x(frame):.1f}" y="{HEIGHT - 8}">{frame:g}</text>' for frame in frames]
    points = [(x(frame), y(value)) for frame, value in series]
    parts.append('<polyline class="line" points="' + " ".join(f"{px:.1f},{py:.1f}" for px, py in points) + '"/>')
    if len(points) <= _DOTS:
        parts += [f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="2"/>' for px, py in points]
    return "".join(parts) + f'<text class="unit" x="{_LEFT + 4}" y="{_TOP + 10}">{escape(unit)}</text></svg>'


def _span(values: Sequence[float], bar: Bar | None) -> tuple[float, float]:
    """The lowest and highest value in sight: all values, the bar's ends, 0 where nothing is below it; never empty."""
    seen = [*values, *([] if bar is None else [end for end in (bar.lowest, bar.highest) if math.isfinite(end)])]
    low, high = min(seen), max(seen)
    low = 0.0 if low >= 0.0 and (bar is None or not math.isfinite(bar.lowest)) else low
    room = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return (low if low == 0.0 else low - room), high + room


def _nice(low: float, high: float) -> list[float]:
    """About _TICKS round values between the ends: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1.0 - 1e-9))
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _rect(kind: str, x: float, y: float, width: float, height: float, title: str) -> str:
    return (f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" height="{max(height, 0.0):.1f}">'
            f"<title>{escape(title)}</title></rect>")
