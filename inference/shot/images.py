# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a shot. Writing needs numpy alone (Blender has no OpenEXR module), and so do reading a PNG with 16 bits of
colour and checking one with 8; other reading uses OpenEXR and Pillow in the worker, imported when first used."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from .model import Size
from .store import write_atomic

Array = NDArray[Any]
_EXR_TYPE = {"uint32": 0, "float16": 1, "float32": 2}
_ZIP_COMPRESSION = 3
_ZIP_LINES = 16
_PROBE = 2048           # bytes
_WORTH_IT = 0.6
_DEFLATE = 1            # level 4 makes it 3 % smaller in a third more time
# deflate makes at most this many bytes of one (zlib's technical details), so a header cannot ask for more memory
_MOST_INFLATED = 1032
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR = {1: 0, 3: 2, 4: 6}
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}
_PNG_HEAD = struct.Struct(">IIBBBBB")       # width, height, depth, colour, compression, filter, interlace
_PNG_FILTERS = 5
# interlace method -> the first column and row, and the steps, of each of its passes: none, Adam7
_PNG_PASSES = {0: ((0, 0, 1, 1),),
               1: ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))}


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


def read_planes(folder: Path, path: str, size: Size, names: Sequence[str]) -> Array:
    """These channels of the EXR at ``path`` of the shot in ``folder``, in this order, as (H, W, C). Raises EXR_INVALID, also
    where one is missing or not of the ``size``."""
    channels = read_exr(folder / path)
    for name in names:
        if name not in channels or channels[name].shape != (size.height, size.width):
            raise LucidError("EXR_INVALID", f"{path} has no {name} channel of {size}", "capture the shot again")
    return np.stack([channels[name] for name in names], axis=-1)


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
    return (PNG_SIGNATURE + _png_chunk(b"IHDR", head) + _png_chunk(b"IDAT", zlib.compress(raw, 6))
            + _png_chunk(b"IEND", b""))


def read_png(path: Path) -> Array:
    """Read a PNG as (H, W) or (H, W, C) of uint8 or uint16, top row first, RGB(A). Raises PNG_INVALID."""
    try:
        data = path.read_bytes()
        # not by Pillow, which gives 8 bits of 16 without a word, nor by OpenCV, which may not be imported here
        return _read_deep_png(data) if _is_deep_png(data) else _read_other_png(data)
    except (OSError, ValueError, LookupError, struct.error, zlib.error) as error:
        raise LucidError("PNG_INVALID", f"{path} cannot be read: {error}", "generate or capture it again") from error


def check_rgb_png(path: Path) -> None:
    """It is a whole PNG picture with 8 bits of red, green and blue, with alpha or without. Raises PNG_INVALID.

    Its bytes are inflated and not decoded: that a picture of a few megapixels is whole is known in a blink, in Blender too.
    """
    try:
        data = path.read_bytes()
        _require(data[:8] == PNG_SIGNATURE and data[12:16] == b"IHDR", "it is no PNG")
        width, height, depth, colour, *methods, interlace = _PNG_HEAD.unpack_from(data, 16)
        _require(depth == 8 and colour in (2, 6), "it has not 8 bits of RGB")
        _require(methods == [0, 0] and interlace in _PNG_PASSES, "it is of an unknown kind")
        blocks = [(len(range(top, height, down)), 1 + _PNG_CHANNELS[colour] * len(range(left, width, right)))
                  for left, top, right, down in _PNG_PASSES[interlace] if left < width and top < height]
        _require(bool(blocks), "it holds no pixel")
        raw = _png_inflated(_png_idat(data), sum(rows * stride for rows, stride in blocks))
        for rows, stride in blocks:
            _require(int(raw[:rows * stride:stride].max()) < _PNG_FILTERS, "it has an unknown filter")
            raw = raw[rows * stride:]
    except (OSError, ValueError, LookupError, struct.error, zlib.error) as error:
        raise LucidError("PNG_INVALID", f"{path} is no PNG with 8 bits of RGB that can be read: {error}",
                         "save it as a PNG with 8 bits of RGB") from error


def to_uint8(values: Array) -> NDArray[np.uint8]:
    """[0, 1] to 0..255, rounded half up; clipped, because a decoder may overshoot by a rounding error."""
    return (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def to_uint16(values: Array) -> NDArray[np.uint16]:
    """[0, 1] to 0..65535, rounded half up; clipped, as :func:`to_uint8`."""
    return (np.clip(values, 0.0, 1.0) * 65535.0 + 0.5).astype(np.uint16)


def to_unit(codes: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.float32]:
    """Codes of 8 or 16 bits, any shape, to [0, 1]: what :func:`to_uint8` and :func:`to_uint16` turn back into the same codes."""
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


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


def _is_deep_png(data: bytes) -> bool:
    """Whether the file says that it holds 16 bits of each of several channels."""
    return data[:8] == PNG_SIGNATURE and data[12:16] == b"IHDR" and data[24] == 16 and data[25] in _PNG_CHANNELS


def _read_other_png(data: bytes) -> Array:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def _read_deep_png(data: bytes) -> NDArray[np.uint16]:
    """(H, W, C) of any PNG with 16 bits of colour that is not interlaced (PNG specification, W3C). Raises ValueError."""
    width, height, _, colour, *methods = _PNG_HEAD.unpack_from(data, 16)
    _require(width > 0 and height > 0, "it holds no pixel")
    _require(methods == [0, 0, 0], "it has 16 bits and is interlaced")
    count = _PNG_CHANNELS[colour]
    stride = 1 + 2 * count * width
    rows = _png_inflated(_png_idat(data), height * stride).reshape(height, stride)
    return _unfiltered(rows, 2 * count).view(">u2").reshape(height, width, count).astype(np.uint16)


def _png_idat(data: bytes) -> bytes:
    """The compressed pixels: all IDAT chunks up to IEND, each held against its checksum."""
    parts: list[bytes] = []
    place = len(PNG_SIGNATURE)
    while True:
        size, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8:place + 8 + size]
        checksum, = struct.unpack_from(">I", data, place + 8 + size)
        _require(checksum == zlib.crc32(kind + body), "it is damaged")
        if kind == b"IEND":
            return b"".join(parts)
        if kind == b"IDAT":
            parts.append(body)
        place += 12 + size


def _png_inflated(packed: bytes, size: int) -> NDArray[np.uint8]:
    """What deflate made ``packed`` of, if that is ``size`` bytes."""
    _require(size <= _MOST_INFLATED * len(packed), "it is cut off")
    inflater = zlib.decompressobj()
    raw = inflater.decompress(packed, size)
    _require(len(raw) == size and not inflater.decompress(inflater.unconsumed_tail, 1) and inflater.eof,
             "it has not the bytes of its pixels")
    return np.frombuffer(raw, np.uint8)


def _unfiltered(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """(H, 1 + bytes) with each row's filter in front, as (H, bytes); ``step`` bytes are a pixel."""
    plain = np.empty((rows.shape[0], rows.shape[1] - 1), np.uint8)
    above = np.zeros(plain.shape[1], np.uint8)
    for row, line in zip(rows, plain, strict=True):
        kind, coded = row[0], row[1:]
        if kind == 0:
            line[:] = coded
        elif kind == 1:
            line[:] = np.cumsum(coded.reshape(-1, step), axis=0, dtype=np.uint8).ravel()
        elif kind == 2:
            np.add(coded, above, out=line)
        else:
            _require(kind in (3, 4), f"it has an unknown filter {kind}")
            line[:] = _predicted(coded.tolist(), above.tolist(), step, average=kind == 3)
        above = line
    return plain


def _predicted(coded: list[int], above: list[int], step: int, *, average: bool) -> list[int]:
    """A row of filter 3 (Average) or 4 (Paeth), byte by byte, because each depends on the one before. Lucid writes none."""
    line: list[int] = []
    for place, value in enumerate(coded):
        left, corner = (line[place - step], above[place - step]) if place >= step else (0, 0)
        guess = (left + above[place]) // 2 if average else _paeth(left, above[place], corner)
        line.append((value + guess) & 255)
    return line


def _paeth(left: int, above: int, corner: int) -> int:
    """The one of three that is nearest to left + above - corner; the first where two are."""
    to_left, to_above, to_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
