# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at a pixel: a shot whose ids are known in closed form, and names as people write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.conditioning.target import Target, named, parse_at, pick, whole
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_exr
from lucid.inference.shot.model import SHADOW, DepthRange, Frames, Kind, Layer, Rate, Shot, Size, pass_sequence
from lucid.inference.shot.store import sha256_file
from lucid.tests.shots import make_shot

INSTANCES = {1: "Ball", 2: "Body", 3: "Hat", 4: "Lamp", 5: "lamp", 6: "Forest/Tree[0]", 7: "Forest/Tree[1]", 8: SHADOW}
BALL, CROWD = Target("Ball", (1,), "Ball"), Target("Crowd", (2, 3), "Crowd")
# frame 1 from the top left: the background, then each instance; the other frames are background but for one corner
ROW = np.array([[0, 1, 2, 3, 4], [5, 6, 7, 8, 99]], np.uint32)


def layer(name: str, ids: tuple[int, ...] = (), kind: Kind = Kind.ACTOR) -> Layer:
    return Layer(name, name, ids, (), kind=kind)


def small_shot(frames: Frames | None = None) -> Shot:
    layers = (layer("environment", kind=Kind.ENVIRONMENT), layer("Ball", (1,)), layer("Crowd", (2, 3)),
              layer(SHADOW, kind=Kind.SHADOW))
    return Shot("a", Rate(24), frames or Frames(1, 1), Size(5, 2), 1.0, DepthRange(1.0, 9.0), "Camera", (pass_sequence("id"),),
                layers, INSTANCES)


def written(folder: Path, shot: Shot) -> Shot:
    """The shot with the hashes of its id pass, which is written."""
    for frame in shot.frames.numbers:
        ids = ROW if frame == shot.frames.start else np.full_like(ROW, 4)
        write_exr(folder / shot.sequence("id").path(frame), {"id": ids})
    return hashed(folder, shot)


def hashed(folder: Path, shot: Shot) -> Shot:
    names = map(shot.sequence("id").path, shot.frames.numbers)
    return replace(shot, files={name: sha256_file(folder / name) for name in names})


def failure(code: str, *words: str) -> pytest.RaisesExc[LucidError]:
    def told(error: BaseException) -> bool:
        return isinstance(error, LucidError) and error.code == code and all(word in str(error) for word in words)
    return pytest.RaisesExc(LucidError, check=told)


def test_what_is_painted_and_what_no_actor_has() -> None:
    shot = small_shot()
    assert [layer.name for layer in shot.painted] == ["environment", "Ball", "Crowd"] and not shot.layer(SHADOW).is_painted
    assert shot.environment_ids == set(INSTANCES) - {1, 2, 3} and shot.environment_ids


# ---- at a pixel

@pytest.mark.parametrize("x, y, target", [
    (1, 0, BALL), (2, 0, CROWD), (3, 0, CROWD),                 # an actor is picked as a whole, whichever part is hit
    (4, 0, Target("environment", (4,), "Lamp")), (0, 1, Target("environment", (5,), "lamp")),
    (2, 1, Target("environment", (7,), "Forest/Tree[1]")), (3, 1, Target("environment", (8,), SHADOW))])
def test_the_object_at_a_pixel(tmp_path: Path, x: int, y: int, target: Target) -> None:
    assert pick(tmp_path, written(tmp_path, small_shot()), x, y, 1) == target


@pytest.mark.parametrize("x, y, label, seen", [(3, 0, "Crowd", "Hat"), (4, 0, "Lamp", "Lamp"), (1, 0, "Ball", "Ball")])
def test_which_part_was_hit_is_kept_and_makes_no_other_target(tmp_path: Path, x: int, y: int, label: str, seen: str) -> None:
    found = pick(tmp_path, written(tmp_path, small_shot()), x, y, 1)
    assert (found.label, found.seen) == (label, seen)
    assert named(small_shot(), label) == found and named(small_shot(), "Crowd").seen == ""


def test_the_ids_are_those_that_were_captured(tmp_path: Path) -> None:
    """Only the frame that is pointed at is looked at."""
    shot = written(tmp_path, small_shot(Frames(1, 2)))
    changed, gone = (tmp_path / shot.sequence("id").path(frame) for frame in (1, 2))
    write_exr(changed, {"id": ROW + np.uint32(1)})
    with failure("SHOT_CORRUPT", "is not what was captured"):
        pick(tmp_path, shot, 1, 0, 1)
    assert pick(tmp_path, shot, 1, 0, 2).label == "Lamp"
    gone.unlink()
    with failure("SHOT_CORRUPT"):
        pick(tmp_path, shot, 1, 0, 2)


def test_each_frame_has_its_own_ids_also_before_frame_zero(tmp_path: Path) -> None:
    shot = written(tmp_path, small_shot(Frames(-3, 1, 2)))
    assert pick(tmp_path, shot, 1, 0, -3) == BALL
    assert pick(tmp_path, shot, 1, 0, -1) == pick(tmp_path, shot, 1, 0, 1) == Target("environment", (4,), "Lamp")


def test_a_captured_shot_is_asked_where_its_ball_is(tmp_path: Path) -> None:
    """The ball's centre projects to f x / z from the middle; right of it, above the horizon, is nothing."""
    folder = tmp_path / "street.lucid"
    shot = make_shot(folder, frames=Frames(1, 2), size=Size(64, 48))
    x, y = int(32 + 1.1 * 64 * 0.9 / 4.0), int(24 + 1.1 * 64 * 1.1 / 4.0)
    assert pick(folder, shot, x, y, 1) == Target("Ball", (1,), "Ball")
    with failure("PIXEL_BACKGROUND"):
        pick(folder, shot, 63, 0, 1)


def test_objects_of_one_name_are_one_but_for_an_actors(tmp_path: Path) -> None:
    shot = replace(written(tmp_path, small_shot()), instances={**INSTANCES, 3: "Lamp", 5: "Lamp"})
    assert pick(tmp_path, shot, 4, 0, 1) == Target("environment", (4, 5), "Lamp")


def test_the_background_is_no_object(tmp_path: Path) -> None:
    with failure("PIXEL_BACKGROUND", "(0, 0)", '"environment"'):
        pick(tmp_path, written(tmp_path, small_shot()), 0, 0, 1)


@pytest.mark.parametrize("x, y", [(-1, 0), (5, 0), (0, -1), (0, 2)])
def test_a_pixel_outside_the_picture(tmp_path: Path, x: int, y: int) -> None:
    with failure("PIXEL_OUTSIDE", "5x2", "0 to 4"):
        pick(tmp_path, written(tmp_path, small_shot()), x, y, 1)


@pytest.mark.parametrize("frame", [0, 2, 6, 7])
def test_a_frame_that_was_not_captured(tmp_path: Path, frame: int) -> None:
    with failure("FRAME_OUTSIDE", f"frame {frame}", "1 to 5 in steps of 2"):
        pick(tmp_path, small_shot(Frames(1, 6, 2)), 0, 0, frame)


def test_a_shot_without_ids(tmp_path: Path) -> None:
    with failure("PASS_MISSING", "'id'"):
        pick(tmp_path, replace(small_shot(), passes=()), 1, 0, 1)


@pytest.mark.parametrize("channels", [{"Z": ROW}, {"id": ROW[:1]}])
def test_ids_of_another_form(tmp_path: Path, channels: dict[str, np.ndarray]) -> None:
    shot = small_shot()
    write_exr(tmp_path / shot.sequence("id").path(1), channels)
    with failure("EXR_INVALID", "5x2"):
        pick(tmp_path, hashed(tmp_path, shot), 1, 0, 1)


def test_an_id_that_nobody_has(tmp_path: Path) -> None:
    with failure("SHOT_INVALID", "99"):
        pick(tmp_path, written(tmp_path, small_shot()), 4, 1, 1)


# ---- by name

@pytest.mark.parametrize("name, target", [
    ("Ball", BALL), ("BALL", BALL), ("Crowd", CROWD), ("Hat", CROWD), ("hat", CROWD),
    ("environment", Target("environment", (), "environment")), ("Environment", Target("environment", (), "environment")),
    ("Lamp", Target("environment", (4,), "Lamp")), ("lamp", Target("environment", (5,), "lamp")),
    ("forest/tree[0]", Target("environment", (6,), "Forest/Tree[0]")),
    (SHADOW, Target("environment", (8,), SHADOW))])              # the object: nothing is painted in the shadow's layer
def test_a_name_is_a_layers_then_an_objects_then_one_in_another_case(name: str, target: Target) -> None:
    assert named(small_shot(), name) == target


def test_a_layer_goes_before_an_object_of_its_name() -> None:
    assert named(replace(small_shot(), instances={**INSTANCES, 4: "Crowd"}), "Crowd") == CROWD


def test_two_names_of_one_target_in_another_case_are_no_question() -> None:
    assert named(replace(small_shot(), instances={**INSTANCES, 3: "crowd"}), "CROWD") == CROWD


def test_a_name_in_a_case_that_two_objects_share() -> None:
    with failure("OBJECT_UNKNOWN", "Lamp or lamp"):
        named(small_shot(), "LAMP")


@pytest.mark.parametrize("name, words", [
    ("Bal", ["did you mean Ball?"]), ("CROUD", ["did you mean Crowd?"]), ("Forest/tree", ["did you mean Forest/Tree["]),
    ("Zeppelin", ["the shot has: environment, Ball, Crowd"])])
def test_an_unknown_name_is_told_the_nearest(name: str, words: list[str]) -> None:
    with failure("OBJECT_UNKNOWN", f"'{name}'", *words):
        named(small_shot(), name)


@pytest.mark.parametrize("name, instances, parts", [("environment", (), ()), ("Crowd", (2, 3), ())])
def test_a_layer_as_a_whole(name: str, instances: tuple[int, ...], parts: tuple[int, ...]) -> None:
    found = whole(small_shot(), name)
    assert (found, found.seen, found.parts(small_shot())) == (Target(name, instances, name), "", parts)
    for other in ("crowd", "Lamp", SHADOW):
        with failure("LAYER_UNKNOWN", f"'{other}'", "environment, Ball, Crowd"):
            whole(small_shot(), other)


def test_an_edit_names_the_parts_of_the_environment_alone() -> None:
    assert named(small_shot(), "Lamp").parts(small_shot()) == (4,)


def test_a_layer_that_nothing_is_painted_in_is_no_target() -> None:
    with failure("OBJECT_UNKNOWN", "'shadow'"):
        named(replace(small_shot(), instances={1: "Ball"}), SHADOW)


# ---- X,Y,FRAME

@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1), st.integers(1 - 10**9, 10**9 - 1), st.sampled_from(["", " "]))
def test_a_pixel_and_a_frame_as_people_write_them(x: int, y: int, frame: int, space: str) -> None:
    assert parse_at(f"{space}{x}{space},{y}{space},{space}{frame}{space}") == (x, y, frame)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "-1,2,3", "1,-2,3", "1.5,2,3", "a,b,c", "1;2;3", "1,2,--3", "1,2,3\n4",
                                  "1,2," + "9" * 5000, "\u0661,2,3"])
def test_another_form_is_refused(text: str) -> None:
    with failure("USAGE", "X,Y,FRAME"):
        parse_at(text)
