# SPDX-License-Identifier: GPL-3.0-or-later
"""Silhouette, permanence and registration of actors in a ray-cast scene: as it is, displaced, scaled, late, gone, twice there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from lucid.inference.truth.explain import box_around, carried, evidence
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.silhouette import MotionSilhouette, compare, silhouette
from lucid.inference.truth.watch import Pictures, observe, watch
from raycast import BALL, SPHERE, World, picture, write

WORLD = World(width=320, height=184, frames=13)


class Scene:
    """The world on disk, its pictures, each actor's cut-out and the plate behind, made when first asked for."""

    def __init__(self, folder: Path, world: World = WORLD) -> None:
        self.world, self.ground = world, Ground(folder, write(world, folder))
        self._made: dict[tuple[str, int], np.ndarray] = {}

    def _once(self, what: str, index: int, make: Callable[[], np.ndarray]) -> np.ndarray:
        if (what, index) not in self._made:
            self._made[what, index] = make()
        return self._made[what, index]

    def clean(self, index: int) -> np.ndarray:
        return self._once("clean", index, lambda: picture(self.world, index, side=2))

    def without(self, number: int, index: int) -> np.ndarray:
        return self._once(f"without {number}", index, lambda: picture(self.world, index, side=2, hidden=(number,)))

    def moved(self, number: int, x: float = 0.0, scale: float = 1.0) -> Pictures:
        """The actor cut out and put ``x`` px to the right, larger about its lowest point."""

        def of(index: int) -> np.ndarray:
            solid = cv2.GaussianBlur((self.ground.moment(index).ids == number).astype(np.float32), (3, 3), 0)[..., None]
            ys, xs = np.nonzero(solid[..., 0] > 0.5)
            if not len(ys):
                return self.clean(index)
            way = np.array([[scale, 0, x + (1 - scale) * xs.mean()], [0, scale, (1 - scale) * ys.max()]], np.float32)
            cut = cv2.warpAffine(np.dstack([self.clean(index) * solid, solid]), way, (self.world.width, self.world.height))
            return (self.without(number, index) * (1 - cut[..., 3:]) + cut[..., :3]).astype(np.float32)

        return of

    def judged(self, pictures: Pictures) -> dict[str, Figure]:
        metric = MotionSilhouette(self.ground)
        watch(self.ground, pictures, [metric])
        return {figure.name: figure for figure in metric.figures()}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("silhouette") / "a.lucid")


def test_clean_pictures_pass_with_room(scene: Scene) -> None:
    figures = scene.judged(scene.clean)
    assert {figure.outcome for figure in figures.values()} == {Outcome.PASS, Outcome.INFO}
    for name in ("Sphere", "Ball"):
        assert figures[f"silhouette.f.{name}"].value > 0.97 and figures[f"silhouette.iou.{name}"].value > 0.95
        assert figures[f"permanence.area.{name}"].value == pytest.approx(1.0, abs=0.06)
        assert figures[f"registration.offset.{name}"].value <= 0.75
        assert abs(figures[f"registration.scale.{name}"].value) <= 0.75
    assert abs(figures["registration.lag.Ball"].value) < 0.25
    numbers = [number for number, _ in figures["silhouette.f.Ball"].series]
    assert numbers == [3.0, 7.0, 11.0]              # scene frames, of which the first is 1


@pytest.mark.parametrize("x", [4, -4])
def test_an_actor_4_px_beside_its_place_is_measured(scene: Scene, x: int) -> None:
    figures = scene.judged(scene.moved(BALL, x))
    assert figures["registration.offset.Ball"].value == pytest.approx(4.0, abs=1.2)
    assert figures["registration.offset.Ball"].outcome is Outcome.FAIL
    assert figures["silhouette.f.Ball"].value < 0.9
    assert figures["registration.offset.Sphere"].outcome is Outcome.PASS        # the other one is where it was


def test_a_larger_actor_is_measured(scene: Scene) -> None:
    """By 12 %: the ball is 37 px tall here."""
    figures = scene.judged(scene.moved(BALL, scale=1.12))
    assert figures["registration.scale.Ball"].value > 3.0 and figures["registration.scale.Ball"].outcome is Outcome.FAIL


def test_late_pictures_have_late_outlines(scene: Scene) -> None:
    late = scene.judged(lambda index: scene.clean(max(index - 1, 0)))["registration.lag.Ball"]
    assert late.value == pytest.approx(1.0, abs=0.3) and late.outcome is Outcome.FAIL


def test_a_vanished_actor_has_no_area(scene: Scene) -> None:
    figures = scene.judged(lambda index: scene.without(BALL, index))
    assert figures["permanence.area.Ball"].value < 0.2 and figures["permanence.area.Ball"].outcome is Outcome.FAIL
    assert figures["silhouette.f.Ball"].outcome is Outcome.FAIL
    assert figures["permanence.area.Sphere"].outcome is Outcome.PASS
    spot = figures["permanence.area.Ball"].worst[0]
    assert spot.object == "Ball" and spot.at is not None
    assert np.hypot(*(np.array(spot.at) - np.argwhere(scene.ground.moment(spot.first - 1).ids == BALL).mean(0)[::-1])) < 30


def test_an_actor_that_is_there_twice_is_too_large(scene: Scene) -> None:
    def twice(index: int) -> np.ndarray:
        solid = np.roll(scene.ground.moment(index).ids == BALL, (-14, 0), (0, 1))[..., None]
        return np.where(solid, np.roll(scene.clean(index), -14, 0), scene.clean(index))

    assert scene.judged(twice)["permanence.area.Ball"].outcome is Outcome.FAIL


def test_an_actor_that_stays_behind_fails(scene: Scene) -> None:
    still = scene.judged(lambda index: scene.clean(0))
    assert still["silhouette.f.Ball"].outcome is Outcome.FAIL and still["permanence.area.Ball"].outcome is Outcome.FAIL


def test_what_does_not_move_against_its_surroundings_is_not_measurable(tmp_path: Path) -> None:
    world = replace(WORLD, frames=5, width=160, height=96, actors=(SPHERE,), spin=0.0, truck=0.0, dolly=0.0, yaw=0.0)
    scene = Scene(tmp_path / "a.lucid", world)
    figures = scene.judged(scene.clean)
    assert len(figures) == 7 and {figure.outcome for figure in figures.values()} == {Outcome.NOT_MEASURABLE}
    assert "against what is around it" in figures["silhouette.f.Sphere"].reason


@pytest.mark.parametrize(("changes", "reason"), [
    ({"frames": 1}, "fewer than 5 frames"), ({"actors": ()}, "no actor"),
    ({"actors": (BALL,), "gravity": 4e4}, "never in the picture"),
])
def test_what_cannot_be_measured_says_why(tmp_path: Path, changes: dict, reason: str) -> None:
    scene = Scene(tmp_path / "a.lucid", replace(WORLD, **{"frames": 5, "width": 160, "height": 96, **changes}))
    figures = scene.judged(scene.clean)
    assert figures and {figure.outcome for figure in figures.values()} == {Outcome.NOT_MEASURABLE}
    assert all(reason in figure.reason for figure in figures.values())


def test_motion_is_carried_over_the_other_side(scene: Scene) -> None:
    """On the ball's own pixels it is the ray-cast scene's exact flow; around it that of the nearest of these."""
    moment, after = scene.ground.moment(4), scene.ground.moment(5)
    ball = moment.covered([BALL])
    box = box_around(ball, 16)
    flows = carried(moment, [after], ball, box)
    part = slice(*box[:2]), slice(*box[2:])
    inner = cv2.erode(ball.astype(np.uint8), np.ones((5, 5), np.uint8))[part] > 0
    assert inner.sum() > 300
    assert np.abs(flows[0][..., :2] - moment.flow[part])[inner].max() < 0.05
    assert np.abs(flows[0][..., :2] - np.median(moment.flow[ball], 0)).max() < 1.0
    assert flows[0][..., 2][inner].mean() > 0.9                                 # nothing comes in front of it


def test_votes_part_the_ball_from_the_room(scene: Scene) -> None:
    recent = next(recent for recent in observe(scene.ground, scene.clean) if len(recent) == 5)
    ball = recent[2].moment.covered([BALL])
    box = box_around(ball, 16)
    found = evidence(recent[2], (recent[0], recent[4]), ball, box)
    inside = ball[box[0]:box[1], box[2]:box[3]]
    assert (found.votes[inside] > 0).mean() > 0.95 and (found.votes[~inside] < 0).mean() > 0.9
    assert np.abs(found.votes).max() <= 1.0
    assert evidence(recent[2], (recent[0], recent[4]), np.zeros_like(ball), box) is None


def test_where_nothing_can_be_told_the_matte_is_taken() -> None:
    matte = np.zeros((60, 80), bool)
    matte[20:40, 20:50] = True
    shape, sure = silhouette(np.zeros(matte.shape, np.float32), np.full(matte.shape, 5.0, np.float32), matte)
    assert (shape == matte).mean() > 0.99 and not sure.any()                    # the median filter rounds corners
    assert compare(shape, matte, sure) is None
    shape, sure = silhouette(np.where(matte, 1.0, -1.0).astype(np.float32), np.full(matte.shape, 0.5, np.float32), matte)
    assert not sure.any()                                                       # too little motion


def test_silhouettes_are_compared_as_in_closed_form() -> None:
    """Of a 30x20 rectangle moved by 5 px with a tolerance of 3, of 96 contour pixels each the sides' miss and the lines count
    where they overlap and 3 px further; the area is the same."""
    matte = np.zeros((60, 80), bool)
    matte[20:40, 20:50] = True
    found = np.roll(matte, 5, 1)
    outline = compare(found, matte, np.ones_like(matte))
    assert outline.judged == 96 and outline.area == pytest.approx(1.0)
    assert outline.iou == pytest.approx(25 / 35)
    hits = 2 * (25 + 3) + 2 * 3                     # both lines, and of the side inside the other 3 px at either end
    assert outline.f == pytest.approx(hits / 96)
