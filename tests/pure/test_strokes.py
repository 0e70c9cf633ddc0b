# SPDX-License-Identifier: GPL-3.0-or-later
"""Lucid's strokes against OpenCV's, pixel for pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from lucid.inference.conditioning.strokes import disc, ellipse, reduced, thick_line

SIZE = (240, 320)
COLOUR = (10, 200, 30)


def canvases() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((*SIZE, 3), np.uint8), np.zeros((*SIZE, 3), np.uint8)


@pytest.mark.parametrize("angle", range(-180, 181, 15))
def test_ellipses(angle: int) -> None:
    for length in (0, 1, 2, 3, 5, 8, 13, 34, 55, 110):
        ours, theirs = canvases()
        ellipse(ours, (160, 120), (length, 4), angle, COLOUR)
        cv2.fillConvexPoly(theirs, cv2.ellipse2Poly((160, 120), (length, 4), angle, 0, 360, 1), COLOUR)
        assert np.array_equal(ours, theirs), length


def test_lines_of_two_pixels() -> None:
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(600):
        a = rng.integers((8, 8), (312, 232))
        b = np.clip(a + rng.integers(-70, 70, 2), (8, 8), (312, 232))
        ours, theirs = canvases()
        thick_line(ours, tuple(a.tolist()), tuple(b.tolist()), COLOUR)
        cv2.line(theirs, a.tolist(), b.tolist(), COLOUR, thickness=2)
        wrong += int((ours != theirs).any(-1).sum())
    assert wrong <= 2


def test_discs_also_over_the_border() -> None:
    for radius in range(12):
        for middle in ((160, 120), (0, 0), (-3, 100), (319, 239), (322, 5), (100, -12), (400, 400)):
            ours, theirs = canvases()
            disc(ours, middle, radius, COLOUR)
            cv2.circle(theirs, middle, radius, COLOUR, thickness=-1)
            assert np.array_equal(ours, theirs), (radius, middle)


def test_strokes_at_the_border_lie_within_a_pixel() -> None:
    """OpenCV clips lines before it rounds them."""
    around = np.ones((3, 3), np.uint8)
    rng = np.random.default_rng(5)
    for _ in range(300):
        ours, theirs = canvases()
        a, b = [0, int(rng.integers(240))], rng.integers((0, 0), (320, 240)).tolist()
        ellipse(ours, tuple(a), (40, 4), 33, COLOUR)
        thick_line(ours, tuple(a), tuple(b), COLOUR)
        cv2.fillConvexPoly(theirs, cv2.ellipse2Poly(a, (40, 4), 33, 0, 360, 1), COLOUR)
        cv2.line(theirs, a, b, COLOUR, thickness=2)
        mine, other = ours.any(-1).astype(np.uint8), theirs.any(-1).astype(np.uint8)
        assert (mine <= cv2.dilate(other, around)).all() and (other <= cv2.dilate(mine, around)).all()


@pytest.mark.parametrize(("source", "target"), [((1024, 1792), (480, 832)), ((1024, 1792), (720, 1280)),
                                                ((1024, 1344), (512, 672)), ((640, 640), (640, 601))])
def test_reduction_by_area(source: tuple[int, int], target: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    picture = np.zeros((*source, 3), np.uint8)
    for _ in range(80):
        cv2.circle(picture, (int(rng.integers(source[1])), int(rng.integers(100, source[0]))), int(rng.integers(1, 20)),
                   rng.integers(0, 256, 3).tolist(), thickness=-1)
    theirs = cv2.resize(picture, target[::-1], interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(reduced(picture, *target) - theirs)
    assert difference.max() <= 1 and (difference > 0).mean() < 5e-3          # halves that are rounded the other way


def test_nothing_stays_nothing() -> None:
    assert not reduced(np.zeros((64, 64, 3), np.uint8), 32, 48).any()
