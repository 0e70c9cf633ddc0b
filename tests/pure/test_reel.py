# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on disk: what is written comes back, nothing is mapped into memory, a full disk is told."""

import os
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.adapters.reel import Reel
from lucid.inference.errors import LucidError

SHAPE = (3, 5, 2)


def frames(count, dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).random((count, *SHAPE)) * 200).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "bool", "int64"])
def test_what_is_written_comes_back_in_any_order(tmp_path, dtype):
    given = frames(9, dtype)
    with Reel(tmp_path / "new" / "a.reel", 9, SHAPE, dtype) as reel:
        for start, stop in ((6, 9), (0, 2), (2, 6)):
            reel.write(start, given[start:stop])
        for start, stop in ((0, 9), (4, 7), (8, 9), (3, 3)):
            found = reel.read(start, stop)
            assert found.dtype == np.dtype(dtype) and np.array_equal(found, given[start:stop])
        assert reel.path.read_bytes() == given.tobytes()


def test_an_array_that_is_read_is_the_readers_own(tmp_path):
    with Reel(tmp_path / "a.reel", 2, SHAPE, np.float32) as reel:
        reel.write(0, frames(2))
        found = reel.read(0, 2)
        found[:] = 0.0
        assert np.array_equal(reel.read(0, 2), frames(2))


def test_strided_frames_scalars_and_a_second_write(tmp_path):
    with Reel(tmp_path / "a.reel", 4, SHAPE, np.float32) as reel:
        turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(frames(4), 0, -1)), -1, 0)
        assert not turned.flags.c_contiguous
        reel.write(0, turned)
        assert np.array_equal(reel.read(0, 4), frames(4))
        reel.write(1, frames(2, seed=1))
        assert np.array_equal(reel.read(0, 4), np.concatenate([frames(1), frames(2, seed=1), frames(4)[3:]]))
    with Reel(tmp_path / "b.reel", 4, (), np.float64) as reel:
        reel.write(1, np.array([2.5, 3.5]))
        assert reel.read(1, 3).tolist() == [2.5, 3.5]


def test_a_frame_that_was_never_written_is_not_read(tmp_path):
    with Reel(tmp_path / "a.reel", 5, SHAPE, np.float32) as reel:
        reel.write(0, frames(3))
        reel.write(4, frames(1))
        with pytest.raises(ValueError, match="frame 3 of .* never written"):
            reel.read(1, 5)
        assert len(reel.read(4, 5)) == 1


def test_the_file_is_sparse_and_never_mapped(tmp_path):
    with Reel(tmp_path / "a.reel", 1000, (64, 64), np.float32) as reel:
        facts = reel.path.stat()
        assert facts.st_size == 1000 * 64 * 64 * 4 and facts.st_blocks * 512 < facts.st_size // 10
        reel.write(500, np.ones((2, 64, 64), np.float32))
        assert reel.read(500, 502).min() == 1.0
        if Path("/proc/self/maps").exists():
            assert "a.reel" not in Path("/proc/self/maps").read_text()


def test_a_file_left_behind_is_written_over(tmp_path):
    (tmp_path / "a.reel").write_bytes(b"\xff" * 5000)
    with Reel(tmp_path / "a.reel", 2, SHAPE, np.float32) as reel:
        assert reel.path.read_bytes() == bytes(2 * 30 * 4)
        with pytest.raises(ValueError, match="never written"):
            reel.read(0, 1)


def test_leaving_removes_the_file_also_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), Reel(tmp_path / "a.reel", 2, SHAPE, np.float32) as reel:
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())
    reel.remove()
    with pytest.raises(ValueError, match="closed"):
        reel.write(0, frames(1))


@pytest.mark.parametrize("start, count", [(-1, 1), (4, 2), (6, 0)])
def test_frames_outside_the_reel_are_refused(tmp_path, start, count):
    with Reel(tmp_path / "a.reel", 5, SHAPE, np.float32) as reel:
        reel.write(0, frames(5))
        with pytest.raises(ValueError, match="reel of 5"):
            reel.write(start, frames(count))
        with pytest.raises(ValueError, match="reel of 5"):
            reel.read(start, start + count)
        assert np.array_equal(reel.read(0, 5), frames(5))


@pytest.mark.parametrize("given", [frames(2, np.float64), frames(2)[:, :2], frames(2)[0], np.zeros((), np.float32)])
def test_frames_of_another_kind_are_refused(tmp_path, given):
    with Reel(tmp_path / "a.reel", 5, SHAPE, np.float32) as reel, pytest.raises(ValueError, match="holds float32"):
        reel.write(0, given)


# ---- what a disk does

def test_a_full_disk_is_told_and_what_was_there_counts_no_more(tmp_path):
    """The system's limit on a file's size fails as a full disk does: after a part is written."""
    resource = pytest.importorskip("resource")
    size = frames(1).nbytes
    with Reel(tmp_path / "a.reel", 5, SHAPE, np.float32) as reel:
        reel.write(0, frames(5))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * size, hard))
        try:
            with pytest.raises(LucidError) as caught:
                reel.write(2, frames(2, seed=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.code == "DISK_WRITE"
        with pytest.raises(ValueError, match="frame 2 of"):
            reel.read(0, 5)
        assert np.array_equal(reel.read(4, 5), frames(5)[4:])
        reel.write(2, frames(2, seed=1))
        assert np.array_equal(reel.read(2, 4), frames(2, seed=1))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(LucidError, match="DISK_WRITE"):
        Reel(tmp_path / "file" / "a.reel", 1, SHAPE, np.float32)
    with pytest.raises(ValueError, match="-1 frames"):
        Reel(tmp_path / "a.reel", -1, SHAPE, np.float32)


def test_a_file_that_was_cut_is_told(tmp_path):
    with Reel(tmp_path / "a.reel", 5, SHAPE, np.float32) as reel:
        reel.write(0, frames(5))
        os.truncate(reel.path, frames(1).nbytes * 4 - 1)
        assert np.array_equal(reel.read(0, 3), frames(5)[:3])
        with pytest.raises(LucidError) as caught:
            reel.read(2, 5)
        assert caught.value.code == "REEL_READ" and "shorter" in caught.value.text
