# SPDX-License-Identifier: GPL-3.0-or-later
"""Our small writers against the libraries made for the formats: OpenEXR, Pillow, OpenCV."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import (
    check_rgb_png,
    read_exr,
    read_planes,
    read_png,
    to_uint8,
    to_uint16,
    to_unit,
    write_exr,
    write_png,
)
from lucid.inference.shot.model import Size
from PIL import Image

SAME_FOLDER = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RNG = np.random.default_rng(7)


def pattern(kind: str, height: int, width: int) -> np.ndarray:
    smooth = np.linspace(0.0, 7.0, height * width, dtype=np.float32).reshape(height, width)
    return {"flat": np.full_like(smooth, 3.5), "smooth": smooth,
            "noise": RNG.standard_normal((height, width)).astype(np.float32),
            "special": np.resize(np.float32([np.inf, -np.inf, 0.0, -0.0, 1e-40, 3.4e38, np.nan]), (height, width))}[kind]


@pytest.mark.parametrize("kind", ["flat", "smooth", "noise", "special"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 3), (16, 16), (17, 33), (144, 256)])
def test_openexr_reads_our_floats_bit_for_bit(tmp_path: Path, kind: str, height: int, width: int) -> None:
    values = pattern(kind, height, width)
    write_exr(tmp_path / "a.exr", {"Z": values})
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        read = file.parts[0].channels["Z"].pixels
        assert file.header()["compression"] == OpenEXR.ZIP_COMPRESSION
    assert read.dtype == np.float32 and read.shape == values.shape
    assert np.array_equal(read.view(np.uint32), values.view(np.uint32))


@SAME_FOLDER
@given(data=st.data(), height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_mix_of_channels_round_trips(tmp_path: Path, data: st.DataObject, height: int, width: int) -> None:
    names = data.draw(st.lists(st.text("abcXYZ.", min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    kinds = st.sampled_from([np.uint32, np.float16, np.float32])
    channels = {name: data.draw(arrays.arrays(data.draw(kinds), (height, width))) for name in names}
    write_exr(tmp_path / "mix.exr", channels)
    read = read_exr(tmp_path / "mix.exr")
    assert set(read) == set(names)
    for name, values in channels.items():
        assert read[name].dtype == values.dtype
        assert np.array_equal(read[name], values, equal_nan=values.dtype.kind == "f")


def test_what_openexr_writes_we_read(tmp_path: Path) -> None:
    values = pattern("noise", 21, 13)
    header = {"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Z": values}) as file:
        file.write(str(tmp_path / "a.exr"))
    assert np.array_equal(read_exr(tmp_path / "a.exr")["Z"], values)


def test_rows_go_from_the_top(tmp_path: Path) -> None:
    values = np.zeros((4, 6), np.float32)
    values[0, 1] = 5.0
    write_exr(tmp_path / "a.exr", {"Z": values})
    assert read_exr(tmp_path / "a.exr")["Z"][0, 1] == 5.0


def test_ids_keep_all_32_bits(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 2**31, 2**32 - 1]], np.uint32)
    write_exr(tmp_path / "a.exr", {"id": ids})
    assert np.array_equal(read_exr(tmp_path / "a.exr")["id"], ids)


def test_equal_pixels_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_exr(tmp_path / f"{name}.exr", {"Z": pattern("smooth", 20, 20)})
        write_png(tmp_path / f"{name}.png", to_uint8(pattern("smooth", 20, 20) / 7.0))
    assert (tmp_path / "a.exr").read_bytes() == (tmp_path / "b.exr").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_broken_image_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    write_exr(tmp_path / "a.exr", {"Z": pattern("noise", 32, 32)})
    write_png(tmp_path / "a.png", RNG.integers(0, 256, (32, 32, 3), np.uint8))
    for path, code, read in ((tmp_path / "a.exr", "EXR_INVALID", read_exr), (tmp_path / "a.png", "PNG_INVALID", read_png)):
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": whole[:len(whole) // 2], "text": b"not an image"}[damage])
        with pytest.raises(LucidError, match=code):
            read(path)
        with pytest.raises(LucidError, match=code):
            read(tmp_path / "missing.exr")


@SAME_FOLDER
@given(data=st.data(), height=st.integers(1, 30), width=st.integers(1, 30), channels=st.sampled_from([1, 3, 4]))
def test_pillow_and_opencv_read_our_png(tmp_path: Path, data: st.DataObject, height: int, width: int, channels: int) -> None:
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = data.draw(arrays.arrays(np.uint8, shape))
    write_png(tmp_path / "a.png", pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.array(image), pixels)
    seen = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    if channels > 1:
        seen = cv2.cvtColor(seen, {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[channels])
    assert np.array_equal(seen, pixels)
    assert np.array_equal(read_png(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive(tmp_path: Path, channels: int) -> None:
    pixels = RNG.integers(0, 65536, (9, 7) if channels == 1 else (9, 7, channels), np.uint16)
    write_png(tmp_path / "a.png", pixels)
    seen = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    if channels > 1:
        seen = cv2.cvtColor(seen, {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[channels])
    assert seen.dtype == np.uint16 and np.array_equal(seen, pixels)
    read = read_png(tmp_path / "a.png")
    assert read.dtype == np.uint16 and np.array_equal(read, pixels)


@SAME_FOLDER
@given(data=st.data(), height=st.integers(1, 30), width=st.integers(1, 30), channels=st.sampled_from([3, 4]))
def test_any_sixteen_bits_round_trip(tmp_path: Path, data: st.DataObject, height: int, width: int, channels: int) -> None:
    pixels = data.draw(arrays.arrays(np.uint16, (height, width, channels)))
    write_png(tmp_path / "a.png", pixels)
    assert np.array_equal(read_png(tmp_path / "a.png"), pixels)


def filters_used(path: Path, stride: int) -> set[int]:
    data, place, packed = path.read_bytes(), 8, b""
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        packed += data[place + 8:place + 8 + size] if kind == b"IDAT" else b""
        place += 12 + size
    return set(zlib.decompress(packed)[::stride])


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("chosen", "kind"), [(cv2.IMWRITE_PNG_FILTER_NONE, 0), (cv2.IMWRITE_PNG_FILTER_SUB, 1),
                                              (cv2.IMWRITE_PNG_FILTER_UP, 2), (cv2.IMWRITE_PNG_FILTER_AVG, 3),
                                              (cv2.IMWRITE_PNG_FILTER_PAETH, 4)])
def test_sixteen_bits_that_others_wrote_are_read_with_every_filter(tmp_path: Path, channels: int, chosen: int,
                                                                    kind: int) -> None:
    pixels = RNG.integers(0, 65536, (19, 23, channels), np.uint16)
    pixels[8:] = pixels[8:9] // 2                    # also where neighbours are equal, which Paeth's order decides
    swapped = cv2.cvtColor(pixels, {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[channels])
    assert cv2.imwrite(str(tmp_path / "a.png"), swapped, [cv2.IMWRITE_PNG_FILTER, chosen])
    assert kind in filters_used(tmp_path / "a.png", 1 + 2 * channels * 23)
    read = read_png(tmp_path / "a.png")
    assert read.dtype == np.uint16 and np.array_equal(read, pixels)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deep_png(rows: bytes, *, width: int = 2, height: int = 2, interlace: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


WHOLE = bytes(2 * (1 + 12))


@pytest.mark.parametrize("data", [
    deep_png(WHOLE[:-1]), deep_png(WHOLE + b"\0"), deep_png(WHOLE, interlace=1), deep_png(WHOLE, width=0),
    deep_png(b"\5" + WHOLE[1:]), deep_png(WHOLE, width=2**31 - 1, height=2**31 - 1), deep_png(WHOLE)[:-20],
    deep_png(WHOLE).replace(b"IHDR\0\0\0\2", b"IHDR\0\0\0\3"), deep_png(WHOLE)[:24]],
    ids=["short", "long", "interlaced", "empty", "filter", "bomb", "cut", "checksum", "header"])
def test_a_broken_picture_of_sixteen_bits_is_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "whole.png").write_bytes(deep_png(WHOLE))
    assert read_png(tmp_path / "whole.png").shape == (2, 2, 3)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(LucidError, match="PNG_INVALID"):
        read_png(tmp_path / "a.png")


# ---- references: whole PNG files of 8 bits of RGB, said without a library

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced_png(pixels: np.ndarray, *, cut: int = 0) -> bytes:
    """(H, W, 3) uint8 as an Adam7 PNG without filters; ``cut`` bytes of the pixels are left out at the end."""
    height, width, _ = pixels.shape
    passes = [pixels[top::down, left::right] for left, top, right, down in ADAM7 if left < width and top < height]
    raw = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw[:len(raw) - cut]))
            + chunk(b"IEND", b""))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("chosen", range(5))
def test_a_png_of_rgb_is_one_whoever_wrote_it(tmp_path: Path, channels: int, chosen: int) -> None:
    pixels = RNG.integers(0, 256, (19, 23, channels), np.uint8)
    path = tmp_path / "a.png"
    write_png(path, pixels)
    check_rgb_png(path)
    Image.fromarray(pixels).save(path, optimize=bool(chosen % 2))
    check_rgb_png(path)
    filters = (cv2.IMWRITE_PNG_FILTER_NONE, cv2.IMWRITE_PNG_FILTER_SUB, cv2.IMWRITE_PNG_FILTER_UP, cv2.IMWRITE_PNG_FILTER_AVG,
               cv2.IMWRITE_PNG_FILTER_PAETH)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_FILTER, filters[chosen]])
    check_rgb_png(path)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (3, 2), (8, 8), (19, 23)])
def test_an_interlaced_png_is_one_too(tmp_path: Path, height: int, width: int) -> None:
    pixels = RNG.integers(0, 256, (height, width, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(interlaced_png(pixels))
    assert np.array_equal(read_png(tmp_path / "a.png"), pixels)         # as Pillow sees it
    check_rgb_png(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(interlaced_png(pixels, cut=1))
    with pytest.raises(LucidError, match="PNG_INVALID: .*not the bytes of its pixels"):
        check_rgb_png(tmp_path / "a.png")


@pytest.mark.parametrize(("damage", "told"), [
    ("text", "no PNG"), ("jpeg", "no PNG"), ("empty", "no PNG"), ("missing", "No such file"), ("grey", "not 8 bits of RGB"),
    ("deep", "not 8 bits of RGB"), ("cut", "cannot|requires|damaged"), ("bit", "damaged"), ("no pixel", "no pixel"),
    ("filter", "unknown filter"), ("bomb", "cut off")])
def test_what_is_no_png_of_rgb_is_told_why(tmp_path: Path, damage: str, told: str) -> None:
    path = tmp_path / "a.png"
    write_png(path, np.full((4, 6, 3), 7, np.uint8))
    whole = path.read_bytes()
    check_rgb_png(path)
    row = b"\0" + bytes(18)

    def made(rows: bytes, width: int, height: int) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return whole[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    if damage == "jpeg":
        Image.new("RGB", (4, 4)).save(path, "JPEG")
    elif damage in ("grey", "deep"):
        write_png(path, np.zeros((4, 6), np.uint8) if damage == "grey" else np.zeros((4, 6, 3), np.uint16))
    elif damage == "missing":
        path.unlink()
    else:
        flipped = whole[:45] + bytes([whole[45] ^ 1]) + whole[46:]
        path.write_bytes({"text": b"no picture", "empty": b"", "cut": whole[:-30], "bit": flipped, "no pixel": made(b"", 0, 4),
                          "filter": made(3 * row + b"\5" + row[1:], 6, 4), "bomb": made(row, 2**31 - 1, 2**31 - 1)}[damage])
    with pytest.raises(LucidError, match=f"PNG_INVALID: .*({told})"):
        check_rgb_png(path)


def test_planes_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    x, ids = pattern("smooth", 3, 5), np.arange(15, dtype=np.uint32).reshape(3, 5) + np.uint32(1 << 30)
    write_exr(tmp_path / "a.exr", {"X": x, "Y": -x, "Z": x})
    write_exr(tmp_path / "id.exr", {"id": ids})
    planes = read_planes(tmp_path, "a.exr", Size(5, 3), ("Y", "X"))
    assert planes.dtype == np.float32 and np.array_equal(planes, np.stack([-x, x], -1))
    assert np.array_equal(read_planes(tmp_path, "id.exr", Size(5, 3), ("id",))[..., 0], ids)
    for size, names, told in ((Size(5, 3), ("X", "W"), "a.exr has no W channel of 5x3"),
                              (Size(3, 5), ("X",), "a.exr has no X channel of 3x5")):
        with pytest.raises(LucidError, match=f"EXR_INVALID: {told}"):
            read_planes(tmp_path, "a.exr", size, names)
    with pytest.raises(LucidError, match="EXR_INVALID"):
        read_planes(tmp_path, "none.exr", Size(5, 3), ("X",))


@given(st.integers(0, 255))
def test_every_byte_survives_the_unit_range(value: int) -> None:
    assert to_uint8(np.float32(value) / np.float32(255.0)) == value


def test_unit_range_is_clipped_and_rounded_half_up() -> None:
    assert to_uint8(np.float32([-0.1, 0.0, 0.5 / 255, 1.0, 1.7])).tolist() == [0, 0, 1, 255, 255]


def test_every_16_bit_code_survives_the_unit_range() -> None:
    codes = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_uint16(codes.astype(np.float32) / np.float32(65535.0)), codes)
    assert np.array_equal(to_uint16(to_unit(codes)), codes)
    assert np.array_equal(to_uint8(to_unit(codes[:256].astype(np.uint8))), codes[:256])
    for kind in (np.uint8, np.uint16):
        ends = to_unit(np.array([[0, np.iinfo(kind).max]], kind))
        assert ends.dtype == np.float32 and ends.tolist() == [[0.0, 1.0]]
    assert to_uint16(np.float64([-0.1, 0.49 / 65535, 0.51 / 65535, 1.0, 1.7])).tolist() == [0, 0, 1, 65535, 65535]
