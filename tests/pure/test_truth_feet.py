# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that stand in the scene and slide in the picture; the foot is the front of a ball that stands on a floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import raycast
from lucid.inference.conditioning.pose import JOINTS
from lucid.inference.errors import LucidError
from lucid.inference.shot import store
from lucid.inference.shot.model import Shot
from lucid.inference.truth.feet import FootSlide, crossings, planted
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.watch import watch

DT = 1 / raycast.FPS


@dataclass(frozen=True)
class Standing(raycast.World):
    """The sphere slides by ``slide`` m/s to the right; nothing else moves but the camera."""

    width: int = 320
    height: int = 184
    frames: int = 14
    spin: float = 0.0
    actors: tuple[int, ...] = (raycast.SPHERE,)
    slide: float = 0.0

    def object(self, number: int, frame: float) -> np.ndarray:
        pose = super().object(number, frame)
        if number == raycast.SPHERE:
            pose[0, 3] += self.slide * frame / raycast.FPS
        return pose


WORLD = Standing()
ANKLE = np.array([0.8, -0.45, 1.1])             # at the sphere's front


def posed(folder: Path, world: raycast.World, ankle: np.ndarray) -> Shot:
    """A shot whose sphere has a skeleton: its right ankle (F, 3), nothing more."""
    shot = raycast.write(world, folder)
    joints = np.full((1, world.frames, len(JOINTS), 3), np.nan, np.float32)
    joints[0, :, JOINTS.index("r_ankle")] = ankle
    np.savez(folder / "pose.npz", actors=np.array(["Sphere"]), joints=np.array(JOINTS), world=joints)
    (folder / "shot.json").unlink()
    layers = tuple(replace(layer, pose=0) if layer.name == "Sphere" else layer for layer in shot.layers)
    return store.seal(folder, replace(shot, layers=layers, files={}))


def measured(ground: Ground, pictures: Callable[[int], np.ndarray]) -> Figure:
    metric = FootSlide(ground)
    watch(ground, pictures, [metric])
    (figure,) = metric.figures()
    return figure


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("shots") / "a.lucid"
    return Ground(folder, posed(folder, WORLD, np.tile(ANKLE, (WORLD.frames, 1))))


def test_a_foot_that_stands_does_not_slide(ground: Ground) -> None:
    figure = measured(ground, raycast.pictures(WORLD, 2))
    assert figure.outcome is Outcome.PASS and figure.value is not None and figure.value < 1.0
    assert figure.object == "Sphere" and figure.counts == {"contacts": 1, "of": 1} and not figure.worst


@pytest.mark.parametrize("slide", [0.05, 0.2])
def test_a_foot_that_slides_in_the_picture_does_so_as_fast_as_it_is_made_to(ground: Ground, slide: float) -> None:
    figure = measured(ground, raycast.pictures(replace(WORLD, slide=slide), 2))
    assert figure.outcome is Outcome.FAIL and figure.value == pytest.approx(100 * slide, abs=1.5)
    assert (figure.worst[0].first, figure.worst[0].last) == (1, WORLD.frames)


def test_who_has_no_skeleton_no_contact_or_no_texture_is_not_judged(tmp_path: Path, ground: Ground) -> None:
    clean = raycast.pictures(replace(WORLD, width=64, height=40, frames=3), 2)
    bare = replace(WORLD, width=64, height=40, frames=3)
    figure = measured(Ground(tmp_path / "a.lucid", raycast.write(bare, tmp_path / "a.lucid")), clean)
    assert figure.reason == "no actor has a skeleton" and figure.outcome is Outcome.NOT_MEASURABLE
    swings = ANKLE + np.arange(3)[:, None] * (0.1, 0, 0)
    figure = measured(Ground(tmp_path / "b.lucid", posed(tmp_path / "b.lucid", bare, swings)), clean)
    assert figure.reason == "no foot stands for long enough, clear of the other"
    grey = np.full((WORLD.height, WORLD.width, 3), 0.5, np.float32)
    figure = measured(ground, lambda index: grey)
    assert figure.reason.startswith("untrackable") and figure.object == "Sphere"
    one = replace(bare, frames=1)
    figure = measured(Ground(tmp_path / "c.lucid", posed(tmp_path / "c.lucid", one, ANKLE[None])), clean)
    assert figure.outcome is Outcome.NOT_MEASURABLE


def test_a_small_foot_that_stands_for_three_frames_is_too_coarse_to_tell(tmp_path: Path) -> None:
    short = replace(WORLD, frames=3)
    folder = tmp_path / "a.lucid"
    figure = measured(Ground(folder, posed(folder, short, np.tile(ANKLE, (3, 1)))), raycast.pictures(short, 2))
    assert "too small" in figure.reason


def test_a_skeleton_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    bare = replace(WORLD, width=64, height=40, frames=2)
    folder = tmp_path / "a.lucid"
    shot = posed(folder, bare, np.tile(ANKLE, (2, 1)))
    np.savez(folder / "pose.npz", joints=np.array(["nose"]), world=np.zeros((1, 2, 1, 3)))
    with pytest.raises(LucidError) as error:
        FootSlide(Ground(folder, shot))
    assert error.value.code == "SHOT_INVALID"


def test_feet_stand_while_they_are_low_and_slow() -> None:
    t = np.arange(48)
    ankle = np.zeros((48, 3))
    ankle[:, 0] = np.where(t < 12, 0, np.where(t < 24, (t - 11) * 0.1, 1.3))        # stands, swings, stands
    ankle[:, 2] = np.where((t >= 12) & (t < 24), 0.3, 0.08)
    assert planted(ankle, DT) == [range(12), range(24, 48)]
    ankle[40:, 2] += 0.2                                                           # lifted without moving on
    assert planted(ankle, DT) == [range(12), range(24, 40)]
    assert planted(ankle, DT, (t > 4) & (t < 10)) == [range(5), range(24, 40)]     # two frames are no contact
    assert planted(np.full((48, 3), np.nan), DT) == [] and planted(ankle[:2], DT) == []


def test_a_foot_is_crossed_while_the_other_swings_past_it(ground: Ground) -> None:
    stands = np.tile([0.0, 0.0, 0.1], (14, 1))
    swings = stands + np.stack([np.linspace(-0.8, 0.8, 14), np.full(14, 0.3), np.full(14, 0.1)], 1)
    crossed = crossings(stands, swings, ground)
    assert crossed[6:8].all() and not crossed[[0, 13]].any()
    assert not crossings(stands, stands + (0.1, 0, 0), ground).any()               # it stands too
    assert not crossings(stands, np.full((14, 3), np.nan), ground).any()
