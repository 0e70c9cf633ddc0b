# SPDX-License-Identifier: GPL-3.0-or-later
"""Every camera move of the taxonomy, made from closed forms, is told by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lucid.inference.conditioning.moves import stages_of
from lucid.inference.conditioning.words import camera_words
from lucid.tests.paths import (
    AHEAD,
    AMOUNTS,
    FOCAL,
    NAMES,
    RIGHT,
    SHOTS,
    SIZE,
    UP,
    arrays,
    circling,
    ease,
    hero,
    jitter,
    joined,
    perturbed,
    simple,
    standing,
    still,
    take,
)
from scipy.spatial.transform import Rotation


@pytest.mark.parametrize("kind", ["linear", "smooth", "sine"])
@pytest.mark.parametrize("fps", [24.0, 30.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("move", NAMES)
def test_elementary_moves(move: str, sign: float, fps: float, kind: str) -> None:
    s = ease(2.5, fps, kind)
    shot = simple(move, sign, s, fps)
    for seed, noise in enumerate((0.0, 0.002, 0.005)):
        stages = perturbed(shot, noise, seed).stages()
        assert [stage.move for stage in stages] == [f"{move} {NAMES[move][sign < 0.0]}"]
        assert stages[0].beside is None
        assert (stages[0].amount, stages[0].unit) == (pytest.approx(AMOUNTS[move][0], rel=0.03), AMOUNTS[move][1])
        assert stages[0].start <= 0.15 * len(s) and stages[0].end >= 0.85 * len(s)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(NAMES)), st.floats(0.35, 1.6), st.floats(0.8, 6.0), st.sampled_from([24.0, 25.0, 30.0]),
       st.sampled_from(["linear", "smooth", "sine"]), st.booleans())
def test_elementary_moves_of_any_length_and_speed(move: str, share: float, seconds: float, fps: float, kind: str,
                                                  there: bool) -> None:
    sign = 1.0 if there else -1.0
    stage, = simple(move, sign, share * ease(seconds, fps, kind), fps).stages()
    assert (stage.move, stage.beside) == (f"{move} {NAMES[move][sign < 0.0]}", None)
    expected = 2.0**share if move == "zoom" else share * AMOUNTS[move][0]
    assert stage.amount == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("count", [1, 2, 3, 60])
def test_static(count: int) -> None:
    assert take(still(count), tilt=-20.0).moves() == ["static"]
    assert perturbed(take(still(count), tilt=-20.0), 0.002).moves() == ["static"]
    assert take(still(count)).words() == "static shot"
    assert take(still(count), subjects=(standing(count, (0.0, 5.0, 1.0)),)).words() == "static full shot of HERO"


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("angle", [30.0, 90.0, 180.0, 350.0])
def test_orbit(angle: float, sign: float) -> None:
    """With the subject, and with nothing but the axes that meet; straight paths past something are no orbit."""
    d = sign * ease(3.0, 24.0)
    for subjects in ((standing(len(d)),), ()):
        stages = circling(angle * d, subjects=subjects).stages()
        assert [stage.move for stage in stages] == ["orbit " + ("right" if sign > 0 else "left")]
        assert stages[0].amount == pytest.approx(angle, rel=0.02) and stages[0].unit == "degrees"
        assert stages[0].target == ("HERO" if subjects else "")
        assert stages[0].beside is None


def test_an_orbit_need_not_look_at_the_middle() -> None:
    s = ease(3.0, 24.0)
    shot = circling(120.0 * s, subjects=(standing(len(s)),))
    aside = Rotation.from_euler("z", 6.0, degrees=True).as_matrix()
    shot.poses[:, :3, :3] = aside @ shot.poses[:, :3, :3]
    assert shot.moves() == ["orbit right"]


def test_a_straight_path_past_something_is_no_orbit() -> None:
    x = 2.2 * (2.0 * ease(3.0, 24.0) - 1.0)
    shot = take(np.stack([x, np.full_like(x, -5.0), np.ones_like(x)], axis=1), pan=np.degrees(np.arctan2(-x, 5.0)),
                subjects=(standing(len(x)),))
    stage, = shot.stages()
    assert {stage.move, stage.beside.name} == {"truck right", "pan left"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("known", [True, False])
def test_dolly_zoom(sign: float, known: bool) -> None:
    """The size focal / distance stays, from 6 m to 3 m or back."""
    s = ease(3.0, 24.0)
    distance = 6.0 - 3.0 * s if sign > 0.0 else 3.0 + 3.0 * s
    shot = take(np.stack([0.0 * s, -distance, 1.0 + 0.0 * s], axis=1), focal=FOCAL * distance / 6.0,
                subjects=(standing(len(s)),) if known else ())
    if known:
        stage, = shot.stages()
        words = shot.words()
    else:
        stage, = stages_of(shot.K, shot.poses, SIZE, 24.0, distance=distance).stages
        words = camera_words(shot.K, shot.poses, SIZE, 24.0, distance=distance)
    assert stage.move == "dolly zoom " + ("in" if sign > 0.0 else "out")
    assert "makes a dolly zoom" in words and " to a" not in words


def test_zoom_and_dolly_the_same_way_is_no_dolly_zoom() -> None:
    s = ease(3.0, 24.0)
    shot = take(still(len(s)) + 2.0 * s[:, None] * AHEAD, focal=FOCAL * 1.6**s, subjects=(standing(len(s), (0.0, 5.0, 1.0)),))
    stage, = shot.stages()
    assert {stage.move, stage.beside.name} == {"dolly in", "zoom in"}


@pytest.mark.parametrize(("way", "place", "expected"), [
    (RIGHT, (0.0, 4.0, 1.0), "track right"), (-RIGHT, (0.5, 4.0, 1.0), "track left"),
    (AHEAD, (0.0, 4.0, 1.0), "follow"), (-AHEAD, (0.0, 4.0, 1.0), "lead")])
def test_tracking(way: np.ndarray, place: tuple[float, ...], expected: str) -> None:
    """With a walker that bobs; the same camera without a walker trucks or dollies."""
    n = 72
    walk = np.linspace(0.0, 4.0, n)[:, None] * way
    bob = 0.03 * np.sin(np.arange(n) * 2.0 * np.pi * 2.0 / 24.0)[:, None] * UP
    shot = take(still(n) + walk, subjects=(hero(np.array(place) + walk + bob),))
    stage, = shot.stages()
    assert (stage.move, stage.target) == (expected, "HERO") and stage.amount == pytest.approx(4.0, rel=0.05)
    told = {"follow": "follows", "lead": "leads"}.get(expected, f"{expected.replace('track', 'tracks')} with")
    assert shot.words() == f"starts on a full shot, {told} HERO"
    plain = replace(shot, subjects=()).moves()
    assert plain == [{"track right": "truck right", "track left": "truck left", "follow": "dolly in",
                      "lead": "dolly out"}[expected]]


def test_tracking_around_a_corner() -> None:
    """Behind a walker on a curve: the camera turns with it, nothing changes in the picture."""
    turn = np.radians(80.0 * ease(4.0, 24.0, "linear"))
    walker = np.stack([8.0 - 8.0 * np.cos(turn), 8.0 * np.sin(turn), np.ones_like(turn)], axis=1)
    heading = np.stack([np.sin(turn), np.cos(turn), 0.0 * turn], axis=1)
    assert take(walker - 4.0 * heading, pan=np.degrees(turn), subjects=(hero(walker),)).moves() == ["follow"]


def test_a_pan_that_holds_somebody() -> None:
    angle = 60.0 * ease(3.0, 24.0)
    turn = np.radians(angle)
    runner = 6.0 * np.stack([np.sin(turn), np.cos(turn), 0.0 * turn], axis=1) + UP
    shot = take(still(len(turn)), pan=angle, subjects=(hero(runner),))
    stage, = shot.stages()
    assert (stage.move, stage.target) == ("pan right with", "HERO")
    assert shot.words() == "starts on a wide shot, pans 60 degrees right with HERO"


def test_a_pan_from_one_to_another() -> None:
    s = ease(2.0, 24.0)
    n = len(s)
    far = 5.0 * np.array([np.sin(np.radians(60.0)), np.cos(np.radians(60.0)), 0.0]) + UP
    shot = take(still(n), pan=60.0 * s, subjects=(standing(n, (0.0, 3.0, 1.0), "Al"), standing(n, far, "VILLAIN")))
    assert shot.words() == "starts on a medium wide shot of Al, pans 60 degrees right to a full shot on VILLAIN"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_crane(sign: float) -> None:
    """Up or down while the camera keeps looking at the same point."""
    height = 1.0 + 2.5 * ease(3.0, 24.0)[::int(sign)]
    at = np.stack([0.0 * height, 0.0 * height - 5.0, height], axis=1)
    shot = take(at, tilt=-np.degrees(np.arctan2(height - 1.0, 5.0)), subjects=(standing(len(height)),))
    stage, = shot.stages()
    assert stage.move == "crane " + ("up" if sign > 0 else "down")
    assert stage.beside is not None and stage.beside.name == "tilt " + ("down" if sign > 0 else "up")


def test_a_push_along_a_tilted_axis_is_a_dolly() -> None:
    s = ease(3.0, 24.0)
    axis = np.array([0.0, np.cos(np.radians(35.0)), -np.sin(np.radians(35.0))])
    stage, = take(still(len(s), (0.0, 0.0, 5.0)) + 3.0 * s[:, None] * axis, tilt=-35.0).stages()
    assert (stage.move, stage.beside) == ("dolly in", None)


def test_looking_straight_down() -> None:
    """There is no level there: up is the picture's own."""
    s = ease(3.0, 24.0)
    down = {"tilt": -90.0}
    assert take(still(len(s), (0.0, 0.0, 5.0)) - 2.0 * s[:, None] * UP, **down).moves() == ["dolly in"]
    assert take(still(len(s), (0.0, 0.0, 5.0)) + 2.0 * s[:, None] * RIGHT, **down).moves() == ["truck right"]
    assert take(still(len(s), (0.0, 0.0, 5.0)) + 2.0 * s[:, None] * AHEAD, **down).moves() == ["pedestal up"]


@pytest.mark.parametrize("fps", [24.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("move", [None, "pan", "dolly", "truck", "zoom"])
def test_handheld_goes_with_every_move(move: str | None, seed: int, fps: float) -> None:
    s = ease(3.0, fps)
    steady = simple(move, 1.0, s, fps) if move else take(still(len(s)), fps=fps)
    shaken = steady.poses.copy()
    tremble = Rotation.from_euler("xyz", jitter(len(s), 0.15, fps, seed).T, degrees=True).as_matrix()
    shaken[:, :3, :3] = tremble @ shaken[:, :3, :3]
    shaken[:, :3, 3] += jitter(len(s), 0.003, fps, seed + 9).T
    story = stages_of(steady.K, shaken, SIZE, fps, steady.subjects)
    assert story.handheld
    assert [stage.move for stage in story.stages] == steady.moves()
    assert "handheld" in replace(steady, poses=shaken).words()
    assert not stages_of(steady.K, steady.poses, SIZE, fps, steady.subjects).handheld


def test_quick_moves_are_not_handheld() -> None:
    """Four pans to and fro in four seconds, with the hardest eases: nothing trembles."""
    there = ease(1.0, 24.0)
    pan = 20.0 * np.concatenate([there, there[::-1][1:], there[1:], there[::-1][1:]])
    story = stages_of(*arrays(take(still(len(pan)), pan=pan)))
    assert not story.handheld
    assert [stage.move for stage in story.stages] == ["pan right", "pan left"] * 2


def test_a_twitch_is_no_stage() -> None:
    pan = joined(np.zeros(30), 4.0 * ease(0.1, 24.0), np.full(30, 4.0))
    assert take(still(len(pan)), pan=pan).moves() == ["static"]


def test_someone_who_is_not_there_is_not_named() -> None:
    points = np.full((40, 3), np.nan)
    behind = standing(40, (0.0, -4.0, 1.0), "GHOST")
    assert take(still(40), subjects=(hero(points), behind)).words() == "static shot"
    assert take(still(40), pan=30.0 * ease(39 / 24.0, 24.0), subjects=(hero(points), behind)).moves() == ["pan right"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["pan", "tilt", "zoom", "dolly", "truck", "pedestal", "rest"]), st.booleans(),
                          st.floats(0.8, 3.0), st.sampled_from(["linear", "smooth"])), min_size=1, max_size=5),
       st.sampled_from([24.0, 30.0]), st.sampled_from([0.0, 0.003]))
def test_any_moves_one_after_another(plan: list[tuple[str, bool, float, str]], fps: float, noise: float) -> None:
    """Each from where the last one ended, along the axes that the camera has by then."""
    plan = [step for index, step in enumerate(plan) if index == 0 or step[0] != plan[index - 1][0]]
    state = {name: np.zeros(1) for name in ("pan", "tilt", "zoom")}
    at = np.zeros((1, 3))
    for move, there, seconds, kind in plan:
        d = (1.0 if there else -1.0) * ease(seconds, fps, kind)[1:]
        heading = np.radians(state["pan"][-1])
        ahead = np.array([np.sin(heading), np.cos(heading), 0.0])
        way = {"dolly": ahead, "truck": np.array([ahead[1], -ahead[0], 0.0]), "pedestal": UP}.get(move, np.zeros(3))
        at = np.concatenate([at, at[-1] + 1.8 * d[:, None] * way])
        for name, size in (("pan", 35.0), ("tilt", 15.0), ("zoom", 0.8)):
            state[name] = np.concatenate([state[name], state[name][-1] + (size * d if name == move else 0.0 * d)])
    shot = take(at, pan=state["pan"], tilt=state["tilt"], focal=FOCAL * 2.0 ** state["zoom"], fps=fps)
    told = ["static" if move == "rest" else f"{move} {NAMES[move][not there]}" for move, there, _seconds, _kind in plan]
    if np.abs(state["tilt"]).max() > 60.0:
        return      # there, level is the picture's
    assert perturbed(shot, noise).moves() == told


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SHOTS)), st.integers(0, 10_000))
def test_small_errors_do_not_change_the_moves(name: str, seed: int) -> None:
    assert perturbed(SHOTS[name], 0.004, seed).moves() == SHOTS[name].moves()
