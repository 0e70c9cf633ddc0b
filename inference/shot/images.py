# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a shot. Writing needs numpy alone (Blender has no OpenEXR module); reading uses OpenEXR and Pillow in the
worker, imported when first used."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from .store import write_atomic

Array = NDArray[Any]
_EXR_TYPE = {"uint32": 0, "float16": 1, "float32": 2}
_ZIP_COMPRESSION = 3
_ZIP_LINES = 16
_PROBE = 2048           # bytes
_WORTH_IT = 0.6
_DEFLATE = 1            # level 4 makes it 3 % smaller in a third more time
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR = {1: 0, 3: 2, 4: 6}


def write_exr(path: Path, channels: Mapping[str, Array]) -> None:
    """Write :func:`exr_bytes` atomically."""
    write_atomic(path, exr_bytes(channels))


def exr_bytes(channels: Mapping[str, Array]) -> bytes:
    """A scanline OpenEXR file with ZIP compression (16 lines a block).

    ``channels`` maps a name to an (H, W) array of uint32, float16 or float32, top row first. Format: "OpenEXR File
    Layout", openexr.com/en/latest/OpenEXRFileLayout.html; channels are stored in alphabetical order.
    """
    names = sorted(channels)
    height, width = channels[names[0]].shape
    kinds = {name: _EXR_TYPE[channels[name].dtype.name] for name in names}
    entries = (name.encode("ascii") + b"\0" + struct.pack("<iiii", kinds[name], 0, 1, 1) for name in names)
    chlist = b"".join(entries) + b"\0"
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    header = struct.pack("<ii", 20000630, 2) + b"".join((
        _attribute("channels", "chlist", chlist),
        _attribute("compression", "compression", bytes([_ZIP_COMPRESSION])),
        _attribute("dataWindow", "box2i", window),
        _attribute("displayWindow", "box2i", window),
        _attribute("lineOrder", "lineOrder", b"\0"),
        _attribute("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        _attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0.0, 0.0)),
        _attribute("screenWindowWidth", "float", struct.pack("<f", 1.0)),
    )) + b"\0"
    # one row of the file = every channel's row, one after the other
    rows = np.concatenate([_bytes(channels[name]) for name in names], axis=1)
    blocks = [struct.pack("<i", y) + _sized(_exr_zip(rows[y:y + _ZIP_LINES].tobytes()))
              for y in range(0, height, _ZIP_LINES)]
    offset = len(header) + 8 * len(blocks)
    table = []
    for block in blocks:
        table.append(offset)
        offset += len(block)
    return header + struct.pack(f"<{len(table)}Q", *table) + b"".join(blocks)


def read_exr(path: Path) -> dict[str, Array]:
    """Read the channels of a single-part EXR as (H, W) arrays, top row first. Raises EXR_INVALID."""
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            return {name: np.array(channel.pixels) for name, channel in file.parts[0].channels.items()}
    except (RuntimeError, OSError, ValueError, LookupError, TypeError) as error:
        raise LucidError("EXR_INVALID", f"{path} cannot be read: {error}", "capture the shot again") from error


def write_png(path: Path, pixels: Array) -> None:
    """Write :func:`png_bytes` atomically."""
    write_atomic(path, png_bytes(pixels))


def png_bytes(pixels: Array) -> bytes:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 or uint16 pixels, top row first (PNG specification, W3C)."""
    image = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, count = image.shape
    depth = image.dtype.itemsize * 8
    rows = _bytes(image.astype(image.dtype.newbyteorder(">")))
    filtered = rows.copy()                       # filter 2 (Up) on all rows but the first: mattes and frames are smooth
    filtered[1:] = rows[1:] - rows[:-1]
    tags = np.full((height, 1), 2, np.uint8)
    tags[0] = 0
    raw = np.concatenate([tags, filtered], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, depth, _PNG_COLOUR[count], 0, 0, 0)
    return (_PNG_SIGNATURE + _png_chunk(b"IHDR", head) + _png_chunk(b"IDAT", zlib.compress(raw, 6))
            + _png_chunk(b"IEND", b""))


def read_png(path: Path) -> Array:
    """Read a PNG as (H, W) or (H, W, C) of uint8 or uint16, top row first, RGB(A). Raises PNG_INVALID."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.array(image)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise LucidError("PNG_INVALID", f"{path} cannot be read: {error}", "generate or capture it again") from error


def to_uint8(values: Array) -> NDArray[np.uint8]:
    """[0, 1] to 0..255, rounded half up; clipped, because a decoder may overshoot by a rounding error."""
    return (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _bytes(rows: Array) -> NDArray[np.uint8]:
    """(H, ...) of any type as (H, bytes of a row)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(rows.shape[0], -1)


def _exr_zip(raw: bytes) -> bytes:
    """OpenEXR's ZIP: split even and odd bytes, delta-code, deflate; the raw bytes where that is not smaller.

    Deflating the noisy low bits of floats takes ten times as long as writing them and saves next to nothing, so a few
    kilobytes of each half are tried first.
    """
    data = np.frombuffer(raw, np.uint8)
    split = np.concatenate([data[0::2], data[1::2]])
    delta = split.copy()
    delta[1:] = split[1:] - split[:-1] + np.uint8(128)
    if len(raw) > 4 * _PROBE:
        quarter = len(raw) // 4
        probe = np.concatenate([delta[start:start + _PROBE] for start in (quarter, 3 * quarter)])
        if len(zlib.compress(probe.tobytes(), 1)) > _WORTH_IT * len(probe):
            return raw
    packed = zlib.compress(delta.tobytes(), _DEFLATE)
    return packed if len(packed) < len(raw) else raw


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + _sized(value)


def _sized(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
