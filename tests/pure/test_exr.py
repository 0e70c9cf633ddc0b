# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of Blender's EXR files against OpenEXR, and against files that were damaged."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lucid.inference.errors import LucidError
from lucid.inference.shot.exr import read_image
from lucid.inference.shot.images import write_exr

SAME_FOLDER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COMPRESSIONS = {"none": OpenEXR.NO_COMPRESSION, "zips": OpenEXR.ZIPS_COMPRESSION, "zip": OpenEXR.ZIP_COMPRESSION}
RNG = np.random.default_rng(11)
HEIGHT, WIDTH = 37, 19


def write(path: Path, channels: dict[str, np.ndarray], kind: str = "zip", **header: Any) -> Path:
    attributes = {"compression": COMPRESSIONS[kind], "type": OpenEXR.scanlineimage, **header}
    with OpenEXR.File(attributes, dict(channels)) as file:
        file.write(str(path))
    return path


def mixed() -> dict[str, np.ndarray]:
    """The same each time."""
    noise = np.random.default_rng(5)
    smooth = np.linspace(0.0, 9.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    return {"ViewLayer.Depth.Z": np.where(smooth > 8.0, np.float32(np.inf), smooth),
            "ViewLayer.Combined.R": noise.standard_normal((HEIGHT, WIDTH)).astype(np.float16),
            "ViewLayer.a channel with quite a long name.id": noise.integers(0, 2**32, (HEIGHT, WIDTH), np.uint32)}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_openexr_writes_is_read_bit_for_bit(tmp_path: Path, compression: str) -> None:
    channels = mixed()
    image = read_image(write(tmp_path / "a.exr", channels, compression, manifest='{"Würfel":"80cdcff5"}'))
    assert set(image.channels) == set(channels)
    for name, values in channels.items():
        read = image.channels[name]
        assert read.dtype == values.dtype and read.tobytes() == values.tobytes()
    assert image.texts["manifest"] == '{"Würfel":"80cdcff5"}'


@SAME_FOLDER
@given(data=st.data(), height=st.integers(1, 40), width=st.integers(1, 40), compression=st.sampled_from(list(COMPRESSIONS)))
def test_any_mix_of_channels_is_read(tmp_path: Path, data: st.DataObject, height: int, width: int, compression: str) -> None:
    names = data.draw(st.lists(st.text("abcXYZ.", min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    kinds = st.sampled_from([np.uint32, np.float16, np.float32])
    channels = {name: data.draw(arrays.arrays(data.draw(kinds), (height, width))) for name in names}
    image = read_image(write(tmp_path / "mix.exr", channels, compression))
    assert {name: values.tobytes() for name, values in image.channels.items()} \
        == {name: values.tobytes() for name, values in channels.items()}


def test_lucids_own_files_are_read(tmp_path: Path) -> None:
    values = RNG.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    write_exr(tmp_path / "a.exr", {"Z": values})
    assert np.array_equal(read_image(tmp_path / "a.exr").channels["Z"], values)


def test_scanlines_may_come_from_below_and_from_any_origin(tmp_path: Path) -> None:
    values = RNG.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    window = (np.array([5, -3], np.int32), np.array([5 + WIDTH - 1, -3 + HEIGHT - 1], np.int32))
    path = write(tmp_path / "a.exr", {"Z": values}, dataWindow=window, displayWindow=window,
                 lineOrder=OpenEXR.DECREASING_Y)
    assert np.array_equal(read_image(path).channels["Z"], values)


@pytest.mark.parametrize(("words", "change"), [
    ("compression", {"compression": OpenEXR.PIZ_COMPRESSION}),
    ("tiled", {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}),
    ("display window", {"displayWindow": (np.array([0, 0], np.int32), np.array([99, 99], np.int32))}),
])
def test_other_kinds_are_refused(tmp_path: Path, words: str, change: dict[str, Any]) -> None:
    path = write(tmp_path / "a.exr", {"Z": np.zeros((HEIGHT, WIDTH), np.float32)}, **change)
    with pytest.raises(LucidError, match=f"EXR_INVALID.*{words}"):
        read_image(path)


def test_several_parts_are_refused(tmp_path: Path) -> None:
    parts = [OpenEXR.Part({"type": OpenEXR.scanlineimage}, {"Z": np.zeros((4, 4), np.float32)}, name) for name in "ab"]
    with OpenEXR.File(parts) as file:
        file.write(str(tmp_path / "a.exr"))
    with pytest.raises(LucidError, match="EXR_INVALID.*parts"):
        read_image(tmp_path / "a.exr")


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LucidError, match="EXR_INVALID"):
        read_image(tmp_path / "none.exr")


@SAME_FOLDER
@given(share=st.floats(0.0, 1.0, exclude_max=True), compression=st.sampled_from(list(COMPRESSIONS)))
def test_a_file_that_is_cut_off_is_never_read(tmp_path: Path, share: float, compression: str) -> None:
    path = write(tmp_path / "a.exr", mixed(), compression)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(LucidError, match="EXR_INVALID"):
        read_image(path)


@settings(SAME_FOLDER, max_examples=400)
@given(data=st.data(), compression=st.sampled_from(list(COMPRESSIONS)))
def test_damage_never_gives_another_error(tmp_path: Path, data: st.DataObject, compression: str) -> None:
    path = write(tmp_path / "a.exr", mixed(), compression)
    damaged = bytearray(path.read_bytes())
    # most of a file is pixels, whose damage is dull where it is not compressed: half of the bytes are the header's
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 800) | st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        image = read_image(path)
    except LucidError as error:
        assert error.code == "EXR_INVALID"
    else:
        assert len({values.shape for values in image.channels.values()}) == 1


def test_a_flipped_bit_of_compressed_pixels_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", {"Z": np.zeros((HEIGHT, WIDTH), np.float32)})
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(LucidError, match="EXR_INVALID"):
        read_image(path)


def test_a_header_cannot_ask_for_more_memory_than_its_file_can_fill(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", {"Z": np.zeros((16, 4), np.float32)})
    small, huge = struct.pack("<iiii", 0, 0, 3, 15), struct.pack("<iiii", 0, 0, 2**30, 15)
    path.write_bytes(path.read_bytes().replace(small, huge))
    with pytest.raises(LucidError, match="EXR_INVALID.*cut off"):
        read_image(path)


def test_a_block_that_inflates_without_end_is_stopped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", {"Z": np.zeros((16, 4096), np.float32)})
    whole = path.read_bytes()
    # the table has one place in it, which is where the table ends
    start = next(end for end in range(8, len(whole)) if whole[end - 8:end] == struct.pack("<Q", end))
    bomb = zlib.compress(bytes(100_000_000))
    path.write_bytes(whole[:start] + struct.pack("<ii", 0, len(bomb)) + bomb)
    with pytest.raises(LucidError, match="EXR_INVALID.*scanlines"):
        read_image(path)
