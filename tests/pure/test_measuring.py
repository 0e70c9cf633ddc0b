# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb measure: what it writes and says of takes, which one it calls the best, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.cli import main
from lucid.inference.errors import LucidError
from lucid.inference.measuring import EXIT_FAILED, ranked
from lucid.inference.shot.model import Edit, Shot, TakeRequest
from lucid.inference.shot.store import open_shot
from lucid.inference.shot.takes import get_take, new_take
from lucid.inference.shot.verdict_file import read_verdict, verdict_of
from lucid.inference.shot.verdicts import Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.meaning import MEANINGS
from lucid.inference.truth.measure import figures_of, measures, purity_of
from lucid.tests import raycast as rc

WORLD = rc.World(width=256, height=144, frames=16)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shot with two takes: the scene itself, and one that shakes its colours and lags behind."""
    folder = tmp_path_factory.mktemp("measuring") / "room.lucid"
    shot, clean = rc.write(WORLD, folder), rc.pictures(WORLD)
    noise = np.random.default_rng(0)
    rc.make_take(folder, shot, lambda index: np.clip(clean(max(index - 1, 0)) * noise.uniform(0.9, 1.1), 0, 1).astype(np.float32))
    rc.make_take(folder, shot, clean)
    return folder


def figures(world: rc.World, folder: Path) -> dict[str, object]:
    found, seconds = figures_of(Ground(folder, rc.write(world, folder)), rc.pictures(world))
    assert set(seconds) == {"observe", *(type(metric).__name__ for metric in measures(Ground(folder, open_shot(folder))))}
    return {figure.name: figure for figure in found}


def test_a_take_is_measured_into_its_folder(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(room), "--take", "1", "--heat"]) == 0
    out = capsys.readouterr().out
    assert "take 1: FAIL" in out and f"measured {WORLD.frames} of {WORLD.frames} frames" in out
    take = get_take(room, 1)
    verdict = read_verdict(take.folder / "verdict.json")
    assert verdict.total.outcome is Outcome.FAIL and verdict.take == 1 and len(verdict.total.failed) > 3
    page = (take.folder / "verdict.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for metric in ("drift", "warp_error"):
        assert len(list((take.folder / "heat" / metric).glob("frame.*.png"))) == WORLD.frames
    assert main(["takes", str(room)]) == 0
    assert "verdict: fail" in capsys.readouterr().out.splitlines()[0]


def test_the_newest_take_is_measured_and_json_is_the_file(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(room), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["take"] == 2 and said == json.loads((get_take(room, 2).folder / "verdict.json").read_text(encoding="utf-8"))


def test_strict_is_for_scripts(room: Path) -> None:
    assert main(["measure", str(room), "--take", "1", "--strict", "--json"]) == EXIT_FAILED


def test_the_scene_itself_is_better_than_a_broken_take(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shot = open_shot(room)
    best, worst = ranked(room, shot, [get_take(room, 1), get_take(room, 2)])
    assert (best.number, worst.number) == (2, 1)
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("1. take 2: ") and said[-1].startswith("2. take 1: fail")
    one, other = verdict_of(best.folder), verdict_of(worst.folder)
    assert one is not None and other is not None and (one.total.score or 0) > (other.total.score or 0) + 10


def test_every_metric_has_words_for_people(room: Path) -> None:
    verdict = verdict_of(get_take(room, 2).folder)
    assert verdict is not None
    assert {figure.metric for figure in verdict.figures} <= set(MEANINGS)


def test_an_edit_that_kept_to_its_object_is_pure(room: Path) -> None:
    shot, clean = open_shot(room), rc.pictures(WORLD)
    parent = get_take(room, 2)

    def redder(index: int, beyond: int = 0) -> np.ndarray:
        ids, _, _ = rc.cast(WORLD, index, rc.centres(WORLD))
        picture = clean(index).copy()
        picture[np.isin(ids, (rc.BALL, beyond))] = (1.0, 0.0, 0.0)
        return picture

    request = replace(TakeRequest("a room"), parent=parent.number, edit=Edit("Ball"))
    pure = rc.make_take(room, shot, redder, request=request)
    spilt = rc.make_take(room, shot, lambda index: redder(index, rc.SPHERE), request=request)
    assert purity_of(room, shot, pure)[0].outcome is Outcome.PASS
    figure, = purity_of(room, shot, spilt)
    assert figure.outcome is Outcome.FAIL and figure.object == "Ball" and figure.value > 100
    assert purity_of(room, shot, parent)[0].outcome is Outcome.NOT_MEASURABLE


def test_an_edit_of_the_environments_object_may_change_that_alone(room: Path) -> None:
    shot, clean = open_shot(room), rc.pictures(WORLD)
    request = replace(TakeRequest("a room"), parent=2, edit=Edit("environment", (rc.WALL,)))

    def painted(index: int) -> np.ndarray:
        ids, _, _ = rc.cast(WORLD, index, rc.centres(WORLD))
        return np.where((ids == rc.WALL)[..., None], np.float32(0.3), clean(index))

    assert purity_of(room, shot, rc.make_take(room, shot, painted, request=request))[0].outcome is Outcome.PASS


@pytest.mark.parametrize(("world", "unknown"), [
    (rc.World(width=256, height=144, frames=1), {"warp_error.1", "camera.rotation", "motion.epe.environment", "drift.slope"}),
    (rc.World(width=256, height=144, frames=16, truck=0, dolly=0, yaw=0), {"depth_from_motion.abs_rel", "camera.lag"}),
    (rc.World(width=256, height=144, frames=14, actors=()), {"registration.offset"})])
def test_what_cannot_be_measured_says_so(world: rc.World, unknown: set[str], tmp_path: Path) -> None:
    found = figures(world, tmp_path / "room.lucid")
    for name in unknown:
        outcomes = {figure.outcome for figure in found.values() if figure.name == name or figure.name.startswith(f"{name}.")}
        assert outcomes == {Outcome.NOT_MEASURABLE}, name
    if world.frames == 1:
        assert Outcome.PASS not in {figure.outcome for figure in found.values()}


def test_a_shot_that_shows_nothing_passes_nothing(tmp_path: Path) -> None:
    """A camera that looks past everything: all points are hidden."""
    away = rc.World(width=128, height=72, frames=6, yaw=0.0, actors=())
    shot = rc.write(away, tmp_path / "room.lucid")
    for number in shot.frames.numbers:
        empty = np.zeros((away.height, away.width))
        rc.write_exr(tmp_path / "room.lucid" / shot.sequence("id").path(number), {"id": empty.astype(np.uint32)})
        far = np.full(empty.shape, np.inf, np.float32)
        rc.write_exr(tmp_path / "room.lucid" / shot.sequence("depth").path(number), {"Z": far})
        rc.write_exr(tmp_path / "room.lucid" / shot.sequence("flow_forward").path(number),
                     {channel: empty.astype(np.float32) for channel in ("X", "Y", "valid", "visible")})
    found, _ = figures_of(Ground(tmp_path / "room.lucid", shot), rc.pictures(away))
    assert Outcome.PASS not in {figure.outcome for figure in found}


# ---- what is refused

def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["measure", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


def small(folder: Path) -> Shot:
    return rc.write(rc.World(width=64, height=40, frames=2), folder)


def test_only_takes_that_are_done_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a.lucid"
    small(folder)
    assert "TAKE_MISSING" in refused(str(folder), capsys=capsys)
    new_take(folder, TakeRequest("a room"))
    assert "TAKE_NOT_DONE" in refused(str(folder), "--take", "1", capsys=capsys)
    assert "TAKE_MISSING" in refused(str(folder), capsys=capsys)
    assert "PASS_MISSING" in refused(str(folder), "--beauty", capsys=capsys)
    assert "SHOT_MISSING" in refused(str(tmp_path / "b.lucid"), capsys=capsys)


def test_a_frame_that_is_damaged_or_of_another_size_leaves_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a.lucid"
    shot = small(folder)
    take = rc.make_take(folder, shot, lambda _: np.zeros((40, 64, 3), np.float32))
    frame = take.folder / "final" / "frame.0002.png"
    frame.write_bytes(frame.read_bytes()[:100])
    assert "PNG_INVALID" in refused(str(folder), "--take", "1", capsys=capsys)
    rc.make_take(folder, shot, lambda _: np.zeros((20, 20, 3), np.float32))
    assert "PNG_INVALID" in refused(str(folder), "--take", "2", capsys=capsys)
    assert verdict_of(take.folder) is None


def test_a_shot_without_the_passes_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "a.lucid"
    shot = small(folder)
    take = rc.make_take(folder, shot, lambda _: np.zeros((40, 64, 3), np.float32))
    without = replace(shot, passes=tuple(one for one in shot.passes if one.name != "flow_forward"))
    with pytest.raises(LucidError) as caught:
        ranked(folder, without, [take])
    assert caught.value.code == "PASS_MISSING"
