# SPDX-License-Identifier: GPL-3.0-or-later
"""``generate`` as people run it: real weights, real processes, and every kind of bad input."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.adapters.checkpoint import MINI
from lucid.inference.cli import main
from lucid.inference.conditioning.transfer import to_linear, to_srgb
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import read_png
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.inference.shot.store import seal
from lucid.inference.shot.takes import State, get_take, list_takes, new_take
from shots import make_shot

WORKER = [sys.executable, str(Path(__file__).resolve().parents[2] / "inference")]

PATIENCE = 300.0    # seconds; a busy machine may take long to load torch


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    """64x48 and 9 frames, with one finished take of two steps."""
    folder = tmp_path_factory.mktemp("shots") / "street.lucid"
    make_shot(folder)
    assert main(["generate", str(folder), "--steps", "2", "--layer-prompt", "Walker=a red man"]) == 0
    return folder


def frames_of(take):
    return {path.relative_to(take.folder).as_posix(): path.read_bytes() for path in sorted(take.folder.rglob("*.png"))}


def error_line(capsys, argv):
    """The one line a bad request ends in; status 2 and no traceback."""
    assert main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lucid: ")
    return lines[0].removeprefix("lucid: ").split(":")[0]


def test_a_take_on_disk(shot):
    take = get_take(shot, 1)
    result = take.result()
    assert take.state() is State.DONE and result["error"] is None
    assert list(result["layers"]) == ["environment", "Walker", "Ball"]           # far to near
    assert len(result["files"]) == 9 * 4 and all(len(digest) == 64 for digest in result["files"].values())
    assert take.request().layer_prompts == {"Walker": "a red man"}
    kinds = [event["event"] for event in take.events()]
    assert kinds[0] == "started" and kinds.count("progress") == 1 + 3 * 2


def test_final_is_the_sum_of_the_layer_files_by_their_coverage_in_scene_linear_light(shot):
    take = get_take(shot, 1)
    for frame in (1, 5, 9):
        layers = [read_png(take.folder / f"layers/{name}/frame.{frame:04d}.png") for name in ("environment", "Walker", "Ball")]
        assert all(layer.dtype == np.uint16 for layer in layers)
        linear = [to_linear(layer[..., :3] / 65535.0) for layer in layers]
        covers = [layer[..., 3:] / 65535.0 for layer in layers[1:]]
        picture = linear[0] * (1.0 - sum(covers)) + sum(c * m for c, m in zip(linear[1:], covers, strict=True))
        final = read_png(take.folder / f"final/frame.{frame:04d}.png")
        assert np.abs(to_srgb(picture) * 65535.0 - final).max() <= 1.0


def test_same_request_gives_the_same_bytes_and_another_seed_the_same_silhouette(shot):
    common = ["--steps", "2", "--layer-prompt", "Walker=a red man"]
    assert subprocess.run([*WORKER, "generate", str(shot), *common], check=False).returncode == 0
    assert subprocess.run([*WORKER, "generate", str(shot), *common, "--seed", "7"], check=False).returncode == 0
    first, again, other = (frames_of(get_take(shot, number)) for number in (1, 2, 3))
    assert first == again
    assert all(first[name] != other[name] for name in first)
    for name in first:
        if name.startswith("layers/"):
            alphas = [read_png(get_take(shot, number).folder / name)[..., 3] for number in (1, 3)]
            assert np.array_equal(*alphas)


def test_odd_sizes_are_rounded_and_cropped_back_and_said_once(tmp_path, capsys):
    folder = tmp_path / "odd.lucid"
    make_shot(folder, frames=Frames(10, 14), size=Size(50, 40), figure=False)
    assert main(["generate", str(folder), "--steps", "1"]) == 0
    assert capsys.readouterr().out.count("not a multiple of 16") == 1
    assert read_png(get_take(folder, 1).folder / "final/frame.0014.png").shape == (40, 50, 3)
    assert len(list((get_take(folder, 1).folder / "final").iterdir())) == 5


def test_a_killed_worker_leaves_an_interrupted_take(tmp_path):
    folder = tmp_path / "long.lucid"
    make_shot(folder, figure=False)
    with _long_take(folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    take = get_take(folder, 1)
    assert take.state() is State.INTERRUPTED and take.result() is None and not frames_of(take)


def test_cancel_stops_at_the_next_step(tmp_path):
    folder = tmp_path / "cancelled.lucid"
    make_shot(folder, figure=False)
    with _long_take(folder) as process:
        (get_take(folder, 1).folder / "cancel").touch()
        _out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and error.strip().splitlines()[-1].startswith("lucid: CANCELLED")
    assert get_take(folder, 1).state() is State.CANCELLED and not frames_of(get_take(folder, 1))


@contextmanager
def _long_take(folder):
    """A worker in the middle of a take of 400 steps; it never outlives the test."""
    process = subprocess.Popen([*WORKER, "generate", str(folder), "--steps", "400"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while not any(event.get("done", 0) >= 1 for take in list_takes(folder) for event in take.events()):
            assert process.poll() is None and time.monotonic() < deadline, "the worker took no step"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_of_two_processes_that_run_a_take_one_does(tmp_path):
    folder = tmp_path / "raced.lucid"
    make_shot(folder, frames=Frames(1, 5), size=Size(32, 32), figure=False)
    new_take(folder, TakeRequest("a street", steps=1))
    command = [*WORKER, "run-take", str(folder), "1"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert [text.count("lucid: TAKE_NOT_QUEUED") for text in said] == [process.returncode // 2 for process in both]
    take = get_take(folder, 1)
    assert take.state() is State.DONE and [event["event"] for event in take.events()].count("started") == 1


def test_bad_requests(shot, capsys, tmp_path):
    takes = len(list_takes(shot))
    assert error_line(capsys, ["generate", str(tmp_path / "no.lucid")]) == "SHOT_MISSING"
    assert error_line(capsys, ["generate", str(shot), "--prompt", " "]) == "PROMPT_EMPTY"
    assert error_line(capsys, ["generate", str(shot), "--layer-prompt", "Nobody=x"]) == "LAYER_UNKNOWN"
    assert error_line(capsys, ["generate", str(shot), "--layer-prompt", "Walker"]) == "USAGE"
    assert error_line(capsys, ["generate", str(shot), "--steps", "0"]) == "USAGE"
    assert error_line(capsys, ["generate", str(shot), "--seed", "x"]) == "USAGE"
    assert error_line(capsys, ["contact-sheet", str(shot), "--take", "99", "--out", "x.png"]) == "TAKE_MISSING"
    assert error_line(capsys, ["run-take", str(shot), "1"]) == "TAKE_NOT_QUEUED"
    assert len(list_takes(shot)) == takes                     # nothing was reserved for a request that cannot run


def test_weights_that_cannot_be_used_fail_the_take(shot, capsys, tmp_path):
    assert error_line(capsys, ["generate", str(shot), "--weights", str(tmp_path / "none")]) == "WEIGHTS_MISSING"
    take = list_takes(shot)[-1]
    assert take.state() is State.FAILED and take.result()["error"]["code"] == "WEIGHTS_MISSING"


def test_weights_with_a_hole_or_a_pickle_are_refused_and_nothing_is_painted(tmp_path, capsys):
    folder = tmp_path / "a.lucid"
    make_shot(folder, frames=Frames(1, 3), size=Size(32, 32), figure=False)
    weights = shutil.copytree(MINI, tmp_path / "weights")
    (weights / "vae" / "config.json").unlink()
    assert error_line(capsys, ["generate", str(folder), "--weights", str(weights)]) == "WEIGHTS_MISSING"
    (weights / "vae" / "model.pkl").write_bytes(pickle.dumps({}))
    assert error_line(capsys, ["generate", str(folder), "--weights", str(weights)]) == "WEIGHTS_UNSAFE"
    for take in list_takes(folder):
        assert take.state() is State.FAILED and not frames_of(take)


def test_a_failure_that_nobody_foresaw_is_one_line_and_its_traceback_is_kept(tmp_path, capsys):
    """A camera without intrinsics, sealed with right hashes."""
    folder = tmp_path / "a.lucid"
    shot = make_shot(folder, frames=Frames(1, 2), size=Size(32, 32))
    np.savez(folder / "camera.npz", K=np.zeros(2), world_from_camera=np.zeros(2))
    (folder / "shot.json").unlink()
    seal(folder, shot)
    assert error_line(capsys, ["generate", str(folder), "--steps", "1"]) == "INTERNAL"
    result = get_take(folder, 1).result()
    assert result["state"] == "failed" and "IndexError" in result["traceback"]
    assert str(LucidError(**result["error"])).startswith("INTERNAL: IndexError")


def test_a_flipped_byte_and_a_newer_schema(tmp_path, capsys):
    folder = tmp_path / "a.lucid"
    make_shot(folder, frames=Frames(1, 3), figure=False)
    exr = folder / "passes/depth/depth.0002.exr"
    data = bytearray(exr.read_bytes())
    data[-5] ^= 1
    exr.write_bytes(data)
    assert error_line(capsys, ["generate", str(folder)]) == "SHOT_CORRUPT"
    assert error_line(capsys, ["inspect", str(folder)]) == "SHOT_CORRUPT"
    manifest = json.loads((folder / "shot.json").read_text())
    (folder / "shot.json").write_text(json.dumps(manifest | {"schema": "lucid.shot/99"}))
    assert error_line(capsys, ["generate", str(folder)]) == "SHOT_NEWER"


def test_a_shot_folder_that_cannot_be_written(tmp_path, capsys):
    folder = tmp_path / "sealed.lucid"
    make_shot(folder, frames=Frames(1, 1), size=Size(16, 16), figure=False)
    (folder / "takes").write_text("a file where the takes should go")      # permissions do not stop root
    assert error_line(capsys, ["generate", str(folder)]) == "DISK_WRITE"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_the_sheet_of_a_take_shows_its_rows(shot, tmp_path):
    assert main(["contact-sheet", str(shot), "--take", "1", "--out", str(tmp_path / "sheet.png")]) == 0
    sheet = read_png(tmp_path / "sheet.png")
    assert sheet.shape == (5 * (288 + 22), 4 * 384, 3)
