# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit against its parent: what it may change, what it may not, and what is no edit."""

from __future__ import annotations

import numpy as np
import pytest
from lucid.inference.errors import LucidError
from lucid.inference.truth.figures import Outcome
from lucid.inference.truth.purity import layer_purity, strays

FRAMES = np.random.default_rng(0).integers(0, 65536, (4, 24, 32, 3)).astype(np.uint16)
COVERAGE = np.zeros((24, 32), bool)
COVERAGE[5:12, 8:20] = True


def test_an_edit_that_keeps_to_its_layer_changes_nothing_else() -> None:
    child = FRAMES.copy()
    child[:, COVERAGE] = 7
    figure = layer_purity(FRAMES.__getitem__, child.__getitem__, lambda index: COVERAGE, range(10, 14), layer="Hero")
    assert figure.value == 0.0 and figure.outcome is Outcome.PASS and figure.object == "Hero" and figure.worst == ()
    assert figure.series == tuple((float(number), 0.0) for number in range(10, 14))


def test_one_step_of_one_channel_of_one_pixel_fails() -> None:
    child = FRAMES.copy()
    child[2, 20, 30, 1] ^= 1
    figure = layer_purity(FRAMES.__getitem__, child.__getitem__, lambda index: COVERAGE, [10, 12, 14, 16])
    assert figure.value == 1.0 and figure.outcome is Outcome.FAIL
    assert figure.worst[0].first == 14 and figure.worst[0].at == (30, 20)


def test_what_differs_most_comes_first() -> None:
    child = FRAMES.copy()
    child[1, 0, :3], child[3, 1, :9] = 0, 0
    figure = layer_purity(FRAMES.__getitem__, child.__getitem__, lambda index: COVERAGE, range(4))
    assert figure.value == 12.0 and [(spot.first, spot.value) for spot in figure.worst] == [(3, 9.0), (1, 3.0)]


def test_frames_are_asked_for_once_and_in_order() -> None:
    asked: list[int] = []

    def parent(index: int) -> np.ndarray:
        asked.append(index)
        return FRAMES[index]

    layer_purity(parent, FRAMES.__getitem__, lambda index: COVERAGE, range(4))
    assert asked == [0, 1, 2, 3]


def test_a_take_that_is_no_edit_is_no_answer() -> None:
    assert "no edit" in layer_purity(None, FRAMES.__getitem__, lambda index: COVERAGE, range(4)).reason
    assert layer_purity(FRAMES.__getitem__, FRAMES.__getitem__, lambda index: COVERAGE, []).outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize("child", [FRAMES[0, :-1], FRAMES[0].astype(np.float32), FRAMES[0, ..., :1]])
def test_frames_of_another_kind_are_refused(child: np.ndarray) -> None:
    with pytest.raises(LucidError) as caught:
        strays(FRAMES[0], child, COVERAGE)
    assert caught.value.code == "TAKE_INVALID"


def test_frames_of_one_channel_are_compared_too() -> None:
    one = FRAMES[0, ..., 0]
    assert strays(one, one + np.uint16(1), COVERAGE).sum() == (~COVERAGE).sum()
