# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale that no camera gave: closed forms of the fit, honest pictures, a push-in with and without a camera's own move."""

from dataclasses import replace
from functools import lru_cache, partial

import cv2
import numpy as np
import pytest
from lucid.inference.truth.figures import Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.watch import watch
from lucid.inference.truth.zoom import ZoomHonesty, growth, widest
from lucid.tests import raycast as rc

FRAMES = 14
MOVES = {"a move": {}, "locked off": {"truck": 0.0, "dolly": 0.0, "yaw": 0.0}, "a pan": {"truck": 0.0, "dolly": 0.0, "yaw": 0.2},
         "a dolly": {"truck": 0.0, "dolly": 2.0, "yaw": 0.0}}


@pytest.fixture(scope="module", params=MOVES)
def clip(request, tmp_path_factory):
    """A shot of one camera move and its pictures."""
    world = rc.World(frames=FRAMES, **MOVES[request.param])
    folder = tmp_path_factory.mktemp("zoom") / "room.lucid"
    return Ground(folder, rc.write(world, folder)), lru_cache(None)(partial(rc.picture, world, side=2))


def measured(ground, pictures):
    metric = ZoomHonesty(ground)
    watch(ground, pictures, [metric])
    figure, = metric.figures()
    return figure


def pushed(pictures, scale):
    """The pictures enlarged about their middle by ``scale(index)``."""
    def picture(index):
        image = pictures(index)
        height, width = image.shape[:2]
        by = scale(index)
        about = np.array([[by, 0, (1 - by) * (width - 1) / 2], [0, by, (1 - by) * (height - 1) / 2]])
        made = cv2.warpAffine(image, about, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.clip(made, 0.0, 1.0)

    return picture


def test_growth_is_the_scale_whatever_turns_shifts_or_is_wrong():
    rng = np.random.default_rng(0)
    at = rng.uniform(-400, 400, (200, 2))
    angle = 0.01
    turned = 1.003 * at @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + (3.0, -1.0)
    shift = turned - at
    shift[:40] += rng.uniform(-30, 30, (40, 2))
    assert growth(at, shift) == pytest.approx(np.log(1.003 * np.cos(angle)), abs=1e-6)
    assert growth(at, np.zeros_like(at)) == 0.0
    assert growth(np.ones((30, 2)), rng.normal(0, 1, (30, 2))) == 0.0


def test_growth_of_noise_is_small():
    rng = np.random.default_rng(1)
    at = rng.uniform(-200, 200, (100, 2))
    found = [growth(at, rng.normal(0, 0.1, (100, 2))) for _ in range(50)]
    expected = 0.1 / np.sqrt((at**2).sum())
    assert np.std(found) == pytest.approx(expected, rel=0.3)


def test_widest_is_the_largest_difference_within_reach():
    sums = np.array([0.0, 1.0, 5.0, 4.0, -3.0, 0.0])
    assert widest(sums, 10) == (2, 4)
    assert widest(sums, 1) == (3, 4)
    assert widest(np.arange(100.0), 30)[1] - widest(np.arange(100.0), 30)[0] == 30
    assert widest(np.zeros(2), 96) == (0, 1)


def test_honest_pictures_gain_no_scale(clip):
    figure = measured(*clip)
    assert figure.outcome is Outcome.PASS and abs(figure.value) < 0.35 and not figure.worst
    assert len(figure.series) == FRAMES - 1


def test_a_push_in_is_measured(clip):
    ground, pictures = clip
    total = 1.08 ** ((FRAMES - 1) / 47)         # 8 % in 48 frames
    figure = measured(ground, pushed(pictures, lambda index: total ** (index / (FRAMES - 1))))
    assert figure.outcome is Outcome.FAIL
    assert figure.value == pytest.approx(100 * (total - 1), abs=0.35)
    assert figure.worst[0].first <= 4 and figure.worst[0].last >= FRAMES - 3


def test_a_pull_out_and_a_breath_are_measured(tmp_path):
    world = rc.World(frames=FRAMES, **MOVES["locked off"])
    ground = Ground(tmp_path / "room.lucid", rc.write(world, tmp_path / "room.lucid"))
    still = rc.picture(world, 0, side=2, shade=lambda ids, rest: rc.texture(np.where(ids > 2, 0, ids).astype(np.uint32), rest))
    out = measured(ground, pushed(lambda index: still, lambda index: 1 - 0.03 * index / 13))
    assert out.value == pytest.approx(-3.0, abs=0.2)
    breath = measured(ground, pushed(lambda index: still, lambda index: 1 + 0.02 * np.sin(np.pi * index / 13)))
    assert abs(breath.value) == pytest.approx(2.0, abs=0.2) and abs(breath.series[-1][1]) < 0.1


def test_one_frame_and_grey_pictures_are_not_measurable(tmp_path):
    for frames, word in ((1, "a single frame"), (3, "0 of 2 frames")):
        folder = tmp_path / f"{frames}.lucid"
        world = replace(rc.World(), frames=frames)
        figure = measured(Ground(folder, rc.write(world, folder)), lambda index: np.full((120, 208, 3), 0.5, np.float32))
        assert figure.outcome is Outcome.NOT_MEASURABLE and word in figure.reason
