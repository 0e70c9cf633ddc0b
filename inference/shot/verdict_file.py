# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict to and from ``verdict.json``, and the heat maps beside it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ..errors import LucidError
from .store import read_json, write_atomic
from .verdicts import Bar, Figure, Measured, Outcome, Repair, Spot, Total, Verdict

SCHEMA = "lucid.verdict/1"
FILE = "verdict.json"
HEAT = "heat"
_HINT = "measure the take again"
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGITS = 6         # of the points of a plot


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write ``verdict`` atomically, one figure a line. Raises DISK_WRITE."""
    data = verdict_to_json(verdict)
    lines = [f"{_text(key)}: {_rows(value) if key in ('figures', 'repairs') else _text(value)}" for key, value in data.items()]
    write_atomic(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def read_verdict(path: Path) -> Verdict:
    """Raises VERDICT_INVALID, also where there is no file, and VERDICT_NEWER."""
    data = read_json(path, "VERDICT_INVALID", _HINT)
    family, _, number = str(data.get("schema")).partition("/")
    known = SCHEMA.partition("/")[2]
    if family == SCHEMA.partition("/")[0] and number.isdecimal() and int(number) > int(known):
        raise LucidError("VERDICT_NEWER", f"{path} is a {data['schema']} and this Lucid knows {SCHEMA}",
                         "update Lucid, or measure the take again with this one")
    try:
        return verdict_from_json(data)
    except (ValueError, OverflowError) as error:
        raise LucidError("VERDICT_INVALID", f"{path} is not a {SCHEMA}: {error}", _HINT) from error


def verdict_of(take: Path) -> Verdict | None:
    """The verdict in a take's folder; None while it has none. Raises VERDICT_INVALID, VERDICT_NEWER."""
    return read_verdict(take / FILE) if (take / FILE).is_file() else None


def heat_maps(take: Path) -> dict[str, str]:
    """The heat maps of a take by the metric they show: patterns of RGBA frames, relative to the take's folder."""
    root = take / HEAT
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return {name: f"{HEAT}/{name}/frame.####.png" for name in folders if any((root / name).glob("frame.*.png"))}


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """What ``verdict.json`` holds: open ends of bars are null, points of series have 6 digits."""
    total = verdict.total
    return {
        "schema": SCHEMA, "shot": verdict.shot, "take": verdict.take, "measured": verdict.measured.value,
        "total": {"outcome": total.outcome.value, "failed": list(total.failed), "score": total.score},
        "versions": dict(verdict.versions), "seconds": {name: float(value) for name, value in verdict.seconds.items()},
        "figures": [_figure_json(figure) for figure in verdict.figures],
        "repairs": [{"object": repair.object, "frames": list(map(int, repair.frames)), "reason": repair.reason,
                     "arguments": list(repair.arguments)} for repair in verdict.repairs],
    }


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """The inverse of :func:`verdict_to_json`; ValueError for anything that it does not write, also for outcomes that are not
    those of the values and bars."""
    _fields(data, "schema", "shot", "take", "measured", "total", "versions", "seconds", "figures", "repairs")
    if data["schema"] != SCHEMA or not _HEX.fullmatch(_string(data["shot"])):
        raise ValueError(f"schema {data['schema']!r}, shot {data['shot']!r}")
    figures = tuple(_figure(item) for item in _list(data["figures"]))
    total = _total(data["total"])
    failed = tuple(figure.name for figure in figures if figure.outcome is Outcome.FAIL)
    if total.failed != failed or (total.outcome is Outcome.FAIL) != bool(failed):
        raise ValueError(f"a total of {list(total.failed)} where {list(failed)} failed")
    take = None if data["take"] is None else _whole(data["take"])
    return Verdict(data["shot"], take, Measured(data["measured"]), figures, total,
                   {name: _string(value) for name, value in _table(data["versions"]).items()},
                   {name: _number(value) for name, value in _table(data["seconds"]).items()},
                   tuple(_repair(item) for item in _list(data["repairs"])))


def _figure_json(figure: Figure) -> dict[str, Any]:
    bar = figure.bar
    return {
        "metric": figure.metric, "key": figure.key, "object": figure.object, "value": _float(figure.value), "unit": figure.unit,
        "bar": None if bar is None else [_end(bar.lowest), _end(bar.highest)], "outcome": figure.outcome.value,
        "reason": figure.reason, "beauty": _float(figure.beauty), "ratio": _float(figure.ratio),
        "counts": {name: int(count) for name, count in figure.counts.items()},
        "worst": [{"object": spot.object, "first": int(spot.first), "last": int(spot.last), "value": float(spot.value),
                   "at": None if spot.at is None else [int(spot.at[0]), int(spot.at[1])]} for spot in figure.worst],
        "series": [[_short(frame), _short(value)] for frame, value in figure.series],
    }


def _figure(data: Any) -> Figure:
    _fields(data, "metric", "key", "object", "value", "unit", "bar", "outcome", "reason", "beauty", "ratio", "counts", "worst",
            "series")
    figure = Figure(
        _string(data["metric"]), _string(data["key"]), _maybe(data["value"]), _string(data["unit"]), _bar(data["bar"]),
        _string(data["object"]), _string(data["reason"]), tuple((_number(x), _number(y)) for x, y in _pairs(data["series"])),
        tuple(map(_spot, _list(data["worst"]))), _maybe(data["beauty"]),
        {name: _whole(count) for name, count in _table(data["counts"]).items()})
    if figure.outcome is not Outcome(data["outcome"]):
        raise ValueError(f"{figure.name} is {figure.outcome.value}, not {data['outcome']}")
    _maybe(data["ratio"])           # for other readers: it is the value over the beauty
    return figure


def _bar(data: Any) -> Bar | None:
    if data is None:
        return None
    (lowest, highest), = _pairs([data])
    return Bar(-math.inf if lowest is None else _number(lowest), math.inf if highest is None else _number(highest))


def _spot(data: Any) -> Spot:
    _fields(data, "object", "first", "last", "value", "at")
    at = None if data["at"] is None else _pairs([data["at"]])[0]
    return Spot(_string(data["object"]), _whole(data["first"]), _whole(data["last"]), _number(data["value"]),
                None if at is None else (_whole(at[0]), _whole(at[1])))


def _total(data: Any) -> Total:
    _fields(data, "outcome", "failed", "score")
    total = Total(Outcome(data["outcome"]), tuple(map(_string, _list(data["failed"]))), _maybe(data["score"]))
    if (total.outcome is Outcome.NOT_MEASURABLE) != (total.score is None) or not 0.0 <= (total.score or 0.0) <= 100.0:
        raise ValueError(f"a total of {total.outcome.value} and {total.score!r}")
    return total


def _repair(data: Any) -> Repair:
    _fields(data, "object", "frames", "reason", "arguments")
    (first, last), = _pairs([data["frames"]])
    return Repair(_string(data["object"]), (_whole(first), _whole(last)), _string(data["reason"]),
                  tuple(map(_string, _list(data["arguments"]))))


def _rows(items: list[dict[str, Any]]) -> str:
    return "[\n" + ",\n".join(map(_text, items)) + "\n]" if items else "[]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _float(value: float | None) -> float | None:
    """Also of numpy's numbers, which JSON does not know."""
    return None if value is None else float(value)


def _end(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _fields(data: Any, *names: str) -> None:
    if not isinstance(data, dict) or data.keys() != set(names):
        raise ValueError(f"{sorted(data) if isinstance(data, dict) else data!r} where {sorted(names)} belong")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _maybe(value: Any) -> float | None:
    return None if value is None else _number(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _pairs(value: Any) -> list[list[Any]]:
    for pair in _list(value):
        if len(_list(pair)) != 2:
            raise ValueError(f"{pair!r} is no pair")
    return list(value)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no table")
    return value
