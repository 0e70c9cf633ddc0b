# SPDX-License-Identifier: GPL-3.0-or-later
"""Contacts read off exact paths and found again in pictures: when, and how high it bounces."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import raycast
from lucid.inference.errors import LucidError
from lucid.inference.truth.contacts import WINDOW, bounce, cues_of, jumps
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.physics import Physics
from lucid.inference.truth.watch import watch

DT = 1 / raycast.FPS


@dataclass(frozen=True)
class Bouncing(raycast.World):
    """The ball hits the floor after about 0.5 s, ``late`` frames later than it should, and keeps ``kept`` of its speed."""

    width: int = 288
    height: int = 166
    frames: int = 22
    actors: tuple[int, ...] = (raycast.BALL,)
    late: float = 0.0
    kept: float = 0.7

    @property
    def hits(self) -> float:
        """In frames."""
        return float(1.0 + np.sqrt(1.0 + 2 * self.gravity * 0.85)) / self.gravity / DT + self.late

    def ball(self, frame: float) -> np.ndarray:
        t, hit = frame * DT, self.hits * DT
        early = min(t, hit)
        z = 1.2 + early - 0.5 * self.gravity * early**2
        after = max(t - hit, 0.0)
        z += self.kept * (self.gravity * hit - 1.0) * after - 0.5 * self.gravity * after**2
        return np.array([-1.6 + 1.6 * t, 0.0, z])


WORLD = Bouncing()


def measured(ground: Ground, pictures: Callable[[int], np.ndarray]) -> dict[str, Figure]:
    return raycast.judged(Physics(ground), ground, pictures)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("shots") / "a.lucid"
    return Ground(folder, raycast.write(WORLD, folder))


@pytest.fixture(scope="module")
def clean() -> Callable[[int], np.ndarray]:
    return raycast.pictures(WORLD, 2)


def test_a_clean_bounce_is_on_time_and_as_high(ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    found = measured(ground, clean)
    error, height = found["contact.error.Ball"], found["contact.bounce.Ball"]
    assert error.outcome is Outcome.PASS and error.value is not None and error.value < 0.15
    assert height.outcome is Outcome.PASS and height.value is not None and height.value < 3
    assert error.counts == {"contacts": 1, "untrackable": 0}


def test_what_bounces_too_low_or_too_late_fails(ground: Ground) -> None:
    low = measured(ground, raycast.pictures(replace(WORLD, kept=0.55), 2))
    assert low["contact.error.Ball"].outcome is Outcome.PASS
    height = low["contact.bounce.Ball"]
    assert height.outcome is Outcome.FAIL and height.value == pytest.approx(100 * (1 - (0.55 / 0.7) ** 2), abs=4)
    error = measured(ground, raycast.pictures(replace(WORLD, late=-2.5), 2))["contact.error.Ball"]
    assert error.outcome is Outcome.FAIL and error.value == pytest.approx(2.5, abs=0.3)
    assert error.worst[0].value == pytest.approx(-2.5, abs=0.3) and error.worst[0].first in (13, 14)


def test_a_still_picture_has_no_contact(ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    found = measured(ground, lambda index: clean(0))
    assert found["contact.error.Ball"].value == WINDOW and found["contact.error.Ball"].outcome is Outcome.FAIL
    assert "contact.bounce.Ball" not in found


def test_a_ball_that_is_lost_when_it_hits_is_untrackable(ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    empty = raycast.picture(WORLD, 0, hidden=(raycast.BALL,), side=1)
    hidden = range(int(WORLD.hits) - 1, int(WORLD.hits) + 3)
    error = measured(ground, lambda index: empty if index in hidden else clean(index))["contact.error.Ball"]
    assert error.outcome is Outcome.NOT_MEASURABLE and "lost at the contact in frame" in error.reason


def test_cues_tell_what_a_contact_is(tmp_path: Path, ground: Ground, clean: Callable[[int], np.ndarray]) -> None:
    folder = tmp_path / "a.lucid"
    (folder / "audio").mkdir(parents=True)
    assert cues_of(tmp_path, 1, 1) is None

    def cued(*contacts: dict[str, object]) -> Figure:
        (folder / "audio/cues.json").write_text(json.dumps({"strips": [], "contacts": contacts}))
        heard = Ground(ground.folder, ground.shot)
        heard.folder = folder
        metric = Physics(heard)
        heard.folder = ground.folder
        watch(heard, clean, [metric])
        return next(figure for figure in metric.figures() if figure.metric == "contact" and figure.key == "error")

    frame = round(1 + WORLD.hits, 2)
    assert cued({"frame": frame, "objects": ["Floor", "Ball"], "impulse": 3.0}).object == "Ball"
    assert cued({"frame": frame, "objects": ["Floor", "Crate"], "impulse": 3.0}).reason == "nothing is seen to hit anything"
    assert cues_of(folder, 1, 2) == [((frame - 1) / 2, frozenset({"Floor", "Crate"}))]
    (folder / "audio/cues.json").write_text('{"contacts": [{"frame": "soon"}]}')
    with pytest.raises(LucidError) as error:
        cues_of(folder, 1, 1)
    assert error.value.code == "SHOT_INVALID"


def test_jumps_of_velocity_are_found_between_frames() -> None:
    for late in (0.0, 0.3, 0.7):
        world = replace(WORLD, late=late)
        found = jumps(np.array([world.ball(index) for index in range(world.frames)]), DT)
        assert len(found) == 1 and found[0].at == pytest.approx(world.hits, abs=0.12)
        speed = 1.7 * (world.gravity * world.hits * DT - 1.0)
        assert found[0].change == pytest.approx([0, 0, speed], abs=0.06 * speed)


def test_what_moves_smoothly_hits_nothing() -> None:
    t = np.arange(48) * DT
    walks = np.stack([1.4 * t, 0.03 * np.sin(6 * t), 1 + 0.04 * np.abs(np.sin(6 * t)) ** 2], 1)
    thrown = np.stack([2 * t, 0 * t, 4 * t - 4.9 * t * t], 1)
    for path in (walks, thrown, np.zeros((48, 3)), np.full((48, 3), np.nan), thrown[:3]):
        assert jumps(path, DT) == []


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_the_bounce_is_the_square_of_the_speed_that_is_kept(kept: float) -> None:
    world = replace(WORLD, kept=kept)
    heights = np.array([world.ball(index)[2] for index in range(world.frames)])
    assert bounce(heights, world.hits) == pytest.approx(kept**2, rel=1e-6)
    assert np.isnan(bounce(heights[:4], world.hits)) and np.isnan(bounce(-heights, world.hits))
