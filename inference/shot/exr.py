# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads OpenEXR files with numpy and zlib alone, for Blender, whose Python has no OpenEXR module.

One part of scanlines, uncompressed or ZIP, as Blender and Lucid write them. The format: "OpenEXR File Layout",
openexr.com/en/latest/OpenEXRFileLayout.html.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError

_MAGIC, _VERSION, _LONG_NAMES = 20000630, 2, 0x400
_KINDS = tuple(np.dtype(kind) for kind in ("<u4", "<f2", "<f4"))
# compression -> scanlines in a block: NONE, ZIPS, ZIP
_BLOCK_LINES = {0: 1, 2: 1, 3: 16}
# deflate makes at most this many bytes of one (zlib's technical details), so a header cannot ask for more memory
_MOST_INFLATED = 1032


@dataclass(frozen=True)
class Image:
    """``channels`` maps a full name ("ViewLayer.Depth.Z") to (H, W) float32, float16 or uint32, top row first;
    ``texts`` holds the header's string attributes."""

    channels: dict[str, NDArray[Any]]
    texts: dict[str, str]


@dataclass(frozen=True)
class _Header:
    channels: tuple[tuple[str, np.dtype[Any]], ...]
    compression: int
    width: int
    height: int
    top: int
    texts: dict[str, str]
    end: int

    @property
    def row_bytes(self) -> int:
        return self.width * sum(kind.itemsize for _, kind in self.channels)


def read_image(path: Path) -> Image:
    """Every channel of the file. Raises EXR_INVALID for what is damaged, or is not of the kind said above."""
    try:
        data = path.read_bytes()
        header = _read_header(data)
        return Image(dict(_split(header, _read_rows(data, header))), header.texts)
    except (OSError, ValueError, LookupError, struct.error, zlib.error) as error:
        raise LucidError("EXR_INVALID", f"{path} cannot be read: {error}", "render or capture it again") from error


def _read_header(data: bytes) -> _Header:
    magic, version = struct.unpack_from("<ii", data)
    _require(magic == _MAGIC, "it is not an OpenEXR file")
    _require(version & ~_LONG_NAMES == _VERSION, "it is tiled, deep, of several parts or of a newer version")
    attributes: dict[str, tuple[str, bytes]] = {}
    place = 8
    while data[place] != 0:
        name, place = _word(data, place)
        kind, place = _word(data, place)
        size, = struct.unpack_from("<i", data, place)
        place += 4
        _require(0 <= size <= len(data) - place, "its header is cut off")
        attributes[name] = kind, data[place:place + size]
        place += size
    compression = attributes["compression"][1][0]
    _require(compression in _BLOCK_LINES, f"its compression {compression} is neither NONE, ZIPS nor ZIP")
    window = attributes["dataWindow"][1]
    left, top, right, bottom = struct.unpack("<iiii", window)
    _require(window == attributes["displayWindow"][1], "its data window is not its display window")
    _require(right >= left and bottom >= top, "it holds no pixel")
    channels = tuple(_channels(attributes["channels"][1]))
    _require(bool(channels), "it has no channel")
    texts = {name: value.decode("utf-8", "replace") for name, (kind, value) in attributes.items() if kind == "string"}
    return _Header(channels, compression, right - left + 1, bottom - top + 1, top, texts, place + 1)


def _channels(listed: bytes) -> Iterator[tuple[str, np.dtype[Any]]]:
    place = 0
    while listed[place] != 0:
        name, place = _word(listed, place)
        kind, _, step_x, step_y = struct.unpack_from("<iiii", listed, place)
        _require(0 <= kind < len(_KINDS), f"the channel {name} has an unknown type")
        _require(step_x == step_y == 1, f"the channel {name} is subsampled")
        yield name, _KINDS[kind]
        place += 16


def _read_rows(data: bytes, header: _Header) -> NDArray[np.uint8]:
    """(H, bytes of a row)."""
    lines = _BLOCK_LINES[header.compression]
    blocks = -(-header.height // lines)
    _require(blocks <= (len(data) - header.end) // 8 and header.height * header.row_bytes <= _MOST_INFLATED * len(data),
             "it is cut off")
    rows = np.empty((header.height, header.row_bytes), np.uint8)
    missing = set(range(0, header.height, lines))
    for start in struct.unpack_from(f"<{blocks}Q", data, header.end):
        _require(start <= len(data) - 8, "a block lies beyond its end")
        y, size = struct.unpack_from("<ii", data, start)
        y -= header.top
        _require(y in missing, "its blocks do not cover the image")
        missing.remove(y)
        _require(0 <= size <= len(data) - 8 - start, "a block is cut off")
        part = rows[y:y + lines]
        part[...] = np.frombuffer(_plain(data[start + 8:start + 8 + size], part.size), np.uint8).reshape(part.shape)
    return rows


def _plain(block: bytes, size: int) -> bytes:
    """The ``size`` bytes of a block: stored as they are where deflate does not make them fewer, else undo OpenEXR's ZIP
    (inflate, add up the differences, weave the halves of even and odd bytes)."""
    if len(block) >= size:
        _require(len(block) == size, "a block is too long")
        return block
    inflater = zlib.decompressobj()
    raw = inflater.decompress(block, size)
    _require(len(raw) == size and not inflater.decompress(inflater.unconsumed_tail, 1) and inflater.eof,
             "a block has not the bytes of its scanlines")
    # the first byte is itself, the others are 128 more than the step from the byte before
    split = np.cumsum(np.frombuffer(raw, np.uint8) - np.uint8(128), dtype=np.uint8) + np.uint8(128)
    woven = np.empty(size, np.uint8)
    woven[0::2], woven[1::2] = split[:(size + 1) // 2], split[(size + 1) // 2:]
    return woven.tobytes()


def _split(header: _Header, rows: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[Any]]]:
    place = 0
    for name, kind in header.channels:
        width = header.width * kind.itemsize
        yield name, np.ascontiguousarray(rows[:, place:place + width]).view(kind)
        place += width


def _word(data: bytes, place: int) -> tuple[str, int]:
    """A text that ends with a zero byte, and where the next thing begins."""
    end = data.index(b"\0", place)
    return data[place:end].decode("utf-8"), end + 1


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
