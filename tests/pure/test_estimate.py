# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a take will take: the habits of a checkpoint, the scaling, the records on disk, and what the worker really took."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from lucid.inference.cli import main
from lucid.inference.conditioning.estimate import (
    ALIKE,
    FILE,
    KEPT,
    UNMEASURED,
    Speed,
    Work,
    add_speed,
    duration,
    estimate,
    painted_layers,
    read_speeds,
    told,
    weights_id,
    windows_text,
    work_of,
    work_of_take,
)
from lucid.inference.conditioning.habits import MINI, PROFILE, local_folder, read_habits
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Edit, Frames, Size, TakeRequest
from lucid.inference.shot.takes import get_take, list_takes
from lucid.tests.shots import make_shot

HABITS = read_habits(MINI)
SIZE = Size(256, 144)


def speed(work: Work, *, token: float = 1e-3, pixel: float = 1e-6, loading: float = 2.0, memory: int = 10**9) -> Speed:
    """What a machine with these costs takes for ``work``."""
    return Speed(work, "CPU", loading, token * work.volume, pixel * work.pixels, memory, 9 * 10**8, 8 * 10**9)


def work(frames: int = 45, size: Size = SIZE, steps: int = 8, layers: int = 3) -> Work:
    return work_of(HABITS, "mini", frames, size, steps, [0] * layers)


# ---- habits

def test_the_embedded_model_says_how_it_is_cut() -> None:
    plan = HABITS.windows(45)
    assert (plan.frames, plan.window, plan.overlap) == (45, 9, 4)
    assert windows_text(HABITS, 45) == "9 windows of 9 frames, overlap 4 to 5"
    assert windows_text(HABITS, 7) == "1 window of 9 frames"
    assert HABITS.tokens(plan, SIZE) == 9 * (256 // 16) * (144 // 16)
    assert HABITS.tokens(plan, SIZE, references=2) == 11 * 16 * 9
    assert HABITS.predictions(plan, 8) == 8 * 9
    assert HABITS.size(Size(250, 130)) == Size(256, 144)


def test_a_checkpoint_without_a_profile_has_the_familys_habits(tmp_path: Path) -> None:
    for part, config in (("vae", {"temperal_downsample": [False, True, True]}), ("transformer", {"patch_size": [1, 2, 2]})):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(config))
    habits = read_habits(tmp_path)
    assert habits.legal[-1] == 81 and habits.factor == 4 and habits.cell == 8 and habits.steps == 30 and habits.calls == 2
    assert windows_text(habits, 161) == "3 windows of 81 frames, overlap 44"
    (tmp_path / PROFILE).write_text(json.dumps({"steps": "many"}))
    with pytest.raises(LucidError, match="WEIGHTS_INVALID"):
        read_habits(tmp_path)


def test_weights_are_found_without_loading_them(tmp_path: Path) -> None:
    assert local_folder("mini") == MINI
    assert local_folder(str(tmp_path)) == tmp_path and weights_id(str(tmp_path)) == str(tmp_path.resolve())
    hub = {"HF_HUB_CACHE": str(tmp_path)}
    assert local_folder("owner/name", hub) is None
    kept = tmp_path / "models--owner--name"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc")
    assert local_folder("owner/name", hub) is None      # named, and not whole
    (kept / "snapshots" / "abc").mkdir(parents=True)
    assert local_folder("owner/name", hub) == kept / "snapshots" / "abc"
    assert local_folder("../name", hub) is None


# ---- scaling

@pytest.mark.parametrize("change", [{"frames": 90}, {"size": Size(384, 224)}, {"steps": 4}, {"layers": 1}])
def test_one_record_is_scaled_by_what_is_asked_for(change: dict) -> None:
    """A machine whose costs are constant is foretold exactly: tokens x predictions, and pixels."""
    wanted = work(**change)
    found = estimate(wanted, [speed(work())])
    truth = speed(wanted)
    assert found is not None
    assert found.seconds == pytest.approx(truth.loading + truth.predictions + truth.rest)


def test_between_two_sizes_costs_are_interpolated() -> None:
    small, large, middle = work(size=Size(128, 80)), work(size=Size(512, 320)), work(size=Size(256, 160))
    known = [speed(large, token=4e-3), speed(small, token=2e-3)]
    found = estimate(middle, known)
    assert found is not None
    cost = (found.seconds - 2.0 - 1e-6 * middle.pixels) / middle.volume
    assert cost == pytest.approx(3e-3)      # the tokens' geometric mean
    assert found.seconds == pytest.approx(estimate(middle, reversed(known)).seconds)


def test_the_newest_record_of_a_size_counts_and_loading_is_the_longest() -> None:
    found = estimate(work(), [speed(work(), token=9.0, loading=5.0), speed(work(), loading=0.0)])
    assert found is not None and found.seconds == pytest.approx(5.0 + 1e-3 * work().volume + 1e-6 * work().pixels)


def test_no_record_of_these_weights_gives_no_figure() -> None:
    assert estimate(work(), []) is None
    assert estimate(work(), [speed(replace(work(), weights="others"))]) is None
    assert told(HABITS, work(), None) == ["9 windows of 9 frames, overlap 4 to 5", UNMEASURED]
    assert told(None, None, None)[0] == "windows: known once the weights are loaded"


def test_another_device_is_another_machine() -> None:
    gpu = replace(speed(work(), token=1e-6), device="GPU X")
    found = estimate(work(), [speed(work()), gpu])
    assert found is not None and found.device == "GPU X" and found.seconds < speed(work()).predictions


def test_far_from_what_was_measured_it_says_so() -> None:
    near, far = (estimate(work(size=size), [speed(work())]) for size in (Size(384, 224), Size(1024, 576)))
    assert near is not None and near.text.startswith("about ") and far is not None and far.text.startswith("very roughly ")


def test_memory_grows_with_the_window_and_not_with_the_shot() -> None:
    known = [speed(work())]
    long, large = estimate(work(frames=900), known), estimate(work(size=Size(512, 288)), known)
    assert long is not None and long.memory == 10**9
    assert large is not None and large.memory == 9 * 10**8 + 4 * 10**8      # four times the tokens above the loaded weights
    assert large.warning == ""
    huge = estimate(work(size=Size(2560, 1440)), known)
    assert huge is not None and huge.memory > 8 * 10**9 and "take a smaller size" in huge.warning
    line = [*known, speed(work(size=Size(512, 288)), memory=3 * 10**9)]
    middle = estimate(work(size=Size(256, 288)), line)
    assert middle is not None and middle.memory == pytest.approx(10**9 + 2 * 10**9 / 3)


def test_durations_are_for_people() -> None:
    assert [duration(seconds) for seconds in (0.2, 45.0, 600.0, 7200.0)] == ["1 s", "45 s", "10 min", "2.0 h"]


# ---- what is painted

def test_what_stays_does_not_count(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "street.lucid")
    whole = work_of_take(HABITS, "mini", shot, TakeRequest("a street"), {})
    assert whole.layers == 3
    locked = TakeRequest("a street", parent=1, keep=("environment", "Ball"))
    assert painted_layers(shot, locked) == ["Walker"]
    assert work_of_take(HABITS, "mini", shot, locked, {}).volume * 3 == whole.volume
    edit = TakeRequest("a street", parent=1, edit=Edit("Walker", start="parent", change=0.5))
    assert work_of_take(HABITS, "mini", shot, edit, {}).volume * 6 == whole.volume
    told_more = work_of_take(HABITS, "mini", shot, locked, {"Walker": ["face.png"]})
    assert told_more.tokens * 9 == whole.tokens * 10
    nothing = estimate(replace(whole, layers=0, volume=0, tokens=0), [speed(whole)])
    assert nothing is not None and nothing.seconds == 0.0


# ---- records

def test_records_are_bounded_and_sizes_are_not_pushed_out(tmp_path: Path) -> None:
    path = tmp_path / FILE
    other = replace(speed(work()), device="GPU X")
    add_speed(path, other)
    for number in range(ALIKE + 2):
        add_speed(path, speed(work(), loading=float(number)))
    found = read_speeds(path)
    assert found[0] == other
    assert [one.loading for one in found[1:]] == [2.0, 3.0]
    for number in range(KEPT + 3):
        add_speed(path, speed(work(size=Size(16 * (number + 1), 16))))
    assert sum(one.device == "CPU" for one in read_speeds(path)) == KEPT and other in read_speeds(path)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"schema": "lucid.speed/9", "records": []}',
                                    '{"schema": "lucid.speed/1", "records": [{}]}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / FILE
    path.write_text(damage)
    assert read_speeds(path) == ()
    add_speed(path, speed(work()))
    assert read_speeds(path) == (speed(work()),)


@pytest.mark.parametrize("change", [{"predictions": -1.0}, {"memory": "much"}, {"rest": float("inf")}])
def test_figures_that_are_none_are_not_used(tmp_path: Path, change: dict) -> None:
    path = tmp_path / FILE
    record = asdict(speed(work())) | change
    path.write_text(json.dumps({"schema": "lucid.speed/1", "records": [record]}))
    assert read_speeds(path) == ()


# ---- the worker

@pytest.mark.torch
def test_a_take_measures_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The embedded model: what the first take took foretells one of more frames and steps within a factor that noise on a busy
    machine stays in; and `--estimate` says so and makes no take."""
    monkeypatch.setenv("LUCID_HOME", str(tmp_path))
    folder, longer = tmp_path / "a.lucid", tmp_path / "b.lucid"
    make_shot(folder)
    make_shot(longer, frames=Frames(1, 17), size=Size(96, 64), figure=False)
    ask = ["generate", str(longer), "--steps", "3", "--estimate"]
    assert main(ask) == 0
    assert capsys.readouterr().out.splitlines() == ["3 windows of 9 frames, overlap 5", UNMEASURED]
    assert main(["generate", str(folder), "--steps", "2"]) == 0
    (first,) = read_speeds(tmp_path / FILE)
    assert (first.work.layers, first.work.volume) == (3, 3 * 2 * first.work.tokens)
    assert first.predictions > 0.0 and first.rest > 0.0 and first.capacity > first.memory > first.base > 10**7
    capsys.readouterr()
    assert main(ask) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "3 windows of 9 frames, overlap 5" and " for 2 layers on " in said[1]
    assert list_takes(longer) == []
    assert main(ask[:-1]) == 0
    result = get_take(longer, 1).result()
    second = read_speeds(tmp_path / FILE)[-1]
    found = estimate(second.work, [first])
    assert found is not None
    ratio = (found.seconds - first.loading) / (result["seconds"] - second.loading)
    assert 0.2 < ratio < 5.0, f"foretold over measured: {ratio:.2f}"


@pytest.mark.torch
def test_a_home_that_cannot_be_written_fails_no_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    monkeypatch.setenv("LUCID_HOME", str(home))
    folder = tmp_path / "a.lucid"
    make_shot(folder, frames=Frames(1, 5), figure=False)
    assert main(["generate", str(folder), "--steps", "2"]) == 0
    assert "is not recorded" in capsys.readouterr().out
