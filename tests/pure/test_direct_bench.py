# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench of directing counts and compares, on takes and fields whose answers are known."""

import json
import math
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from lucid.inference.adapters.base import Profile
from lucid.inference.conditioning.fit import fit
from lucid.inference.shot.images import read_png, write_png
from lucid.inference.shot.model import Frames, Size
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.sealed import seal_layer
from lucid.inference.truth.colour import delta_e, srgb_to_lab
from lucid.scripts.bench import direct
from lucid.scripts.bench.direct_shots import key
from lucid.scripts.bench.direct_speed import median_times
from lucid.scripts.bench.direct_takes import (
    Failed,
    Runner,
    _begun,
    _killed,
    changed_files,
    changes,
    hashes,
    made,
    repeated,
)
from lucid.scripts.bench.direct_views import Captured, before, jumps, noise, seams, shift, world_difference
from lucid.scripts.bench.direct_worker import Log, after, read_log
from lucid.scripts.bench.noise_measures import by_owner, moran_z, same_points, whiteness
from lucid.scripts.bench.report import json_line, table
from shots import ROAD, make_shot
from takes import make_take

SIZE = Size(128, 96)
PROFILE = Profile((9,), 16, 1, 1.0, 40, mask_grow=8, mask_box=False, pose_grow=4, pose_reversed=False)


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("direct") / "street.lucid"
    shot = make_shot(folder, frames=Frames(1, 5), size=SIZE)
    return Captured(folder, shot, PROFILE, fit(5, SIZE, frames=5, multiple=16))


# ---- fields

def test_whiteness_of_what_is_not_white():
    fields = np.random.default_rng(0).standard_normal((64, 8, 18, 32))
    found = whiteness(2.0 * fields + 0.5)
    assert found["mean"] == pytest.approx(0.5, abs=0.01) and found["variance"] == pytest.approx(4.0, abs=0.05)
    assert found["ks_share"] == 1.0 and abs(found["moran_mean"]) < 0.2 and found["band_min"] > 3.8
    smooth = (fields + np.roll(fields, 1, -1)) / math.sqrt(2.0)
    assert whiteness(smooth)["moran_mean"] > 5.0


def test_moran_of_a_chessboard_is_as_far_below_0_as_it_can_be():
    """I = -1 for a perfect alternation: z = (-1 + 1 / (n - 1)) sqrt(pairs)."""
    rows, columns = np.mgrid[:4, :6]
    board = (-1.0) ** (rows + columns)
    assert moran_z(board) == pytest.approx((-1.0 + 1 / 23) * math.sqrt(4 * 5 + 3 * 6))


def test_same_points_of_a_picture_moved_by_a_cell_and_by_half_a_pixel_less():
    rows, columns = np.mgrid[:16, :24].astype(float)
    at = np.stack([columns + 8.0, rows], -1)
    at[:8, 8:16] = np.nan
    here, there = same_points(at, 8)
    assert list(zip(*here, strict=True)) == [(0, 0), (1, 0), (1, 1)]        # the last column has left the picture
    assert list(zip(*there, strict=True)) == [(0, 1), (1, 1), (1, 2)]
    here, there = same_points(np.stack([columns - 5.0, rows], -1), 8)       # the middle, 4.5, comes to -0.5
    assert there[1].tolist() == [0, 1, 0, 1] and here[1].tolist() == [1, 2, 1, 2]


def test_the_correlation_of_each_owner_is_its_own():
    noise_one = np.random.default_rng(1).standard_normal((256, 4, 8))
    other = noise_one.copy()
    other[:, 2:] *= -1.0
    rows, columns = (axis.ravel() for axis in np.mgrid[:4, :8])
    owner = np.where(rows < 2, 5, 9)
    owner[-3:] = 7                                                          # too few to be judged
    found = by_owner(noise_one, other, (rows, columns), (rows, columns), owner, least=10)
    assert found.keys() == {5, 9}
    assert found[5] == pytest.approx(1.0, abs=0.1) and found[9] == pytest.approx(-1.0, abs=0.1)


def test_the_noise_of_one_shot_beside_itself_agrees_wholly(captured):
    found = noise(captured, captured, "Ball")
    assert found["noise_correlation"] == pytest.approx(1.0, abs=0.1)
    assert abs(found["noise_frame_to_frame"]) < 0.1 and found["noise_fields"] == 128 * 5
    assert found["noise_variance"] == pytest.approx(1.0, abs=0.05)


# ---- joins and places

def test_a_picture_that_moves_exactly_does_not_jump_and_a_brighter_window_does():
    rng = np.random.default_rng(2)
    wide = rng.random((12, 40, 3)).astype(np.float32)
    video = np.stack([wide[:, 2 * frame:2 * frame + 16] for frame in range(10)])
    rows, columns = np.mgrid[:12, :16].astype(np.float32)
    moved = np.repeat(np.stack([columns + 2.0, rows], -1)[None], 10, 0)
    moved[:, :, -2:] = np.nan                                               # has come into sight
    np.testing.assert_allclose(jumps(video, moved), 0.0, atol=1e-6)
    video += 0.01 * np.arange(10, dtype=np.float32)[:, None, None, None]
    video[5:] += 0.05
    found = seams(video, moved, (5,))
    assert found["seams"] == 1 and found["seam_jump"] == pytest.approx(0.06, abs=1e-5)
    assert found["seam_ratio"] == pytest.approx(6.0, rel=1e-3)


def test_a_road_that_stands_still_was_where_it_is(captured):
    moves = before(captured)
    seen = np.isfinite(moves[1]).all(-1)
    rows, columns = np.mgrid[:96, :128].astype(np.float32)
    assert seen.mean() > 0.3 and np.isnan(moves[0]).all()
    np.testing.assert_allclose(moves[1][seen], np.stack([columns, rows], -1)[seen], atol=1e-3)


def test_the_same_places_differ_by_what_the_pictures_differ(captured):
    grey, light = (np.full((5, 96, 128, 3), value, np.float32) for value in (0.5, 0.6))
    gap = float(delta_e(srgb_to_lab(grey[0]), srgb_to_lab(light[0]))[0, 0])
    assert world_difference(captured, captured, grey, light) == pytest.approx(gap, rel=1e-4)
    assert world_difference(captured, captured, grey, grey) == 0.0


def test_places_are_followed_to_where_the_other_camera_sees_them(captured):
    """The road's colour depends on the place; the other camera's picture lies 2 pixels further right."""
    other = Captured(captured.folder, captured.shot, PROFILE, captured.fit)
    K, pose = captured.camera
    moved = K.copy()
    moved[:, 0, 2] += 2.0                                                   # depth and ids hardly change along a row
    vars(other)["camera"] = moved, pose
    columns = np.linspace(0.2, 0.8, 128, dtype=np.float32)
    one = np.broadcast_to(columns[None, None, :, None], (5, 96, 128, 3)).copy()
    shifted = np.roll(one, 2, axis=2)
    assert world_difference(captured, other, one, shifted) < 0.01
    assert world_difference(captured, other, one, one) > 0.5
    assert shift(captured, other) == pytest.approx(2.0, abs=1e-4) and shift(captured, captured) == pytest.approx(0.0, abs=1e-4)


# ---- takes

@pytest.fixture
def takes(captured, tmp_path):
    folder = tmp_path / "street.lucid"
    shot = make_shot(folder, frames=Frames(1, 2), size=SIZE)
    return folder, shot, make_take(folder, shot), make_take(folder, shot)


def test_changed_pixels_are_counted_on_both_sides_of_the_alpha(takes):
    folder, shot, one, two = takes
    assert changes(folder, one, two, None) == (0, 0)
    layer, final = (two.folder / frame_path(pattern, 2)
                    for pattern in (two.layer_pattern(shot.layer("Walker").folder), two.final_pattern))
    rgba, picture = read_png(layer), read_png(final)
    rgba[..., 3] = 0
    rgba[10:20, 10:20, 3] = 1
    picture[5:12, 12] ^= 1                                                  # 5 pixels outside, 2 inside
    write_png(layer, rgba)
    write_png(final, picture)
    assert changes(folder, one, two, None) == (5, 2)


def test_changed_pixels_of_an_object_are_counted_by_the_plates_ids(takes):
    folder, shot, one, two = takes
    final = two.folder / frame_path(two.final_pattern, 1)
    picture = read_png(final)
    picture[0, :7], picture[-1, :4] = picture[0, :7] ^ 1, picture[-1, :4] ^ 1       # sky above, road below
    write_png(final, picture)
    assert changes(folder, one, two, shot.instances[ROAD]) == (7, 4)


def test_files_of_other_layers_are_compared_by_their_bytes(takes):
    _, shot, one, two = takes
    assert changed_files(one, two, "Walker") == 0
    for take, data in ((one, b"a"), (two, b"b")):
        (take.folder / "latents").mkdir()
        for name in ("Ball", "Walker"):
            (take.folder / "latents" / f"{name}.safetensors").write_bytes(data)
    picture = next((two.folder / "layers" / "environment").glob("*.png"))
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert changed_files(one, two, "Walker") == 2
    assert changed_files(one, two, "environment") == 2                      # both latents


def test_every_file_that_a_take_is_made_of_is_hashed(takes):
    """Also a layer's seal; what its process wrote of itself is not."""
    _, _, one, two = takes
    for take in (one, two):
        seal_layer(take, "Ball", "a" * 64)
        take.emit("note", text=str(take.number))
    assert hashes(one) == hashes(two) and "layers/Ball/layer.json" in hashes(one)
    assert {path.partition("/")[0] for path in hashes(one)} == {"layers", "final"}
    seal_layer(two, "Ball", "b" * 64)
    assert [path for path in hashes(one) if hashes(one)[path] != hashes(two)[path]] == ["layers/Ball/layer.json"]


# ---- processes

def test_what_a_log_says_and_which_predictions_were_made_twice(tmp_path):
    def add(one, two):
        """Adds."""
        return one + two

    log = Log(tmp_path / "log")
    counted = after(add, lambda one, two: log(call=1, of=[one, two]))
    assert counted(2, 3) == 5 and counted.__doc__ == "Adds."
    for step in (0, 1, 1, 1):
        log(kept=["Walker", step, 0, 0])
    facts = read_log(tmp_path / "log")
    assert facts[0] == {"call": 1, "of": [2, 3]} and len(made(facts)) == 4
    assert repeated(made(facts)) == 2 and read_log(tmp_path / "none") == []


def test_a_process_is_killed_once_it_has_begun_and_kept_enough(tmp_path):
    shot, log = tmp_path / "s.lucid", tmp_path / "log"
    (shot / "takes" / "0001").mkdir(parents=True)
    events = shot / "takes" / "0001" / "events.jsonl"
    script = ("import json, os, sys, time\n"
              "open(sys.argv[1], 'w').write(json.dumps({'event': 'started', 'pid': os.getpid()}) + chr(10))\n"
              "open(sys.argv[2], 'w').write(json.dumps({'kept': ['a', 0, 0, 0]}) + chr(10))\n"
              "time.sleep(float(sys.argv[3]))\n")
    sleeper = subprocess.Popen([sys.executable, "-c", script, str(events), str(log), "60"])
    assert _killed(sleeper, log, shot, 0.5, 0.0) and sleeper.returncode == -signal.SIGKILL
    assert _begun(shot, sleeper.pid) and not _begun(shot, sleeper.pid + 1)
    quick = subprocess.Popen([sys.executable, "-c", script, str(events), str(log), "0"])
    assert not _killed(quick, log, shot, 5.0, 0.0) and quick.returncode == 0


def test_a_command_line_that_fails_is_told_with_its_last_words(tmp_path):
    run = Runner(tmp_path, 1)
    (tmp_path / "said").write_text("lucid: USAGE: no such verb")
    run.wait(subprocess.Popen([sys.executable, "-c", ""]))
    with pytest.raises(Failed, match="USAGE: no such verb"):
        run.wait(subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"]))


def test_a_part_that_fails_leaves_the_others_their_figures(tmp_path, monkeypatch, capsys):
    def broken(_bench, _rows):
        raise Failed("no room")

    monkeypatch.setitem(direct._PART, "kills", broken)
    monkeypatch.setitem(direct._PART, "speed", lambda _bench, _rows: {"overhead": 1.01})
    found = direct.measure(direct.Bench(True, 1, tmp_path), ("kills", "speed"), None)
    assert found["overhead"] == 1.01 and found["parts_failed"] == 1 and math.isnan(found["resume_identical"])
    assert "kills failed: no room" in capsys.readouterr().err


def test_runs_take_turns_and_the_first_round_is_not_counted():
    turns = []
    found = median_times([lambda: turns.append("a"), lambda: turns.append("b")], 3)
    assert turns == ["a", "b"] * 4 and len(found) == 2 and all(seconds < 0.1 for seconds in found)


def test_the_table_says_what_is_met_what_is_not_and_what_was_not_measured():
    figures = dict.fromkeys((name for name, _, _ in direct.BARS), math.nan)
    text = table(figures | {"calls_edit": 1.0, "seam_ratio": 1.5}, direct.BARS).splitlines()
    said = {line.split()[0]: line.split()[-1] for line in text}
    assert said["calls_edit"] == "yes" and said["seam_ratio"] == "NO" and said["overhead"] == "measured"
    assert json.loads(json_line({"nothing": math.nan, "something": 1.23456})) == {"nothing": None, "something": 1.235}


def test_parts_and_the_docstring_name_the_same_figures():
    assert direct._parts("noise,speed") == ("noise", "speed")
    with pytest.raises(Exception, match="no part sound"):
        direct._parts("noise,sound")
    assert all(name in direct.__doc__ for name, _, _ in direct.BARS)
    assert set(direct._PART) == set(direct.PARTS)


def test_the_shots_key_is_of_their_sources():
    assert key() == key() and len(key()) == 10


def test_part_of_a_shot_is_read_like_the_whole(captured):
    first = replace(captured, fit=replace(captured.fit, count=2, frames=2))
    environment = captured.shot.environment
    np.testing.assert_array_equal(first.view(environment, 1).rest, captured.view(environment, 1).rest)
