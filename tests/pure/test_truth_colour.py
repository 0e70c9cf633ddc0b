# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour measures against the standard's own numbers and OpenCV's conversion."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.truth.colour import (
    chroma,
    delta_e,
    hue_degrees,
    hue_difference,
    names_colour,
    region_colour,
    srgb_to_lab,
)

#: sRGB primaries in L*a*b* under D65 (Lindbloom's calculator)
KNOWN = {(1, 1, 1): (100, 0, 0), (0, 0, 0): (0, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 1, 0): (87.73, -86.18, 83.18),
         (0, 0, 1): (32.30, 79.19, -107.86), (0.5, 0.5, 0.5): (53.39, 0, 0)}
TRUTHS = {"red": (0.8, 0.15, 0.1), "orange": (0.9, 0.5, 0.1), "blue": (0.15, 0.25, 0.8), "white": (0.93, 0.95, 0.97),
          "gray": (0.5, 0.52, 0.54), "black": (0.12, 0.12, 0.13)}


@pytest.mark.parametrize(("rgb", "lab"), KNOWN.items())
def test_primaries_have_the_published_coordinates(rgb, lab):
    assert np.allclose(srgb_to_lab(np.float32(rgb)), lab, atol=0.03)


def test_it_agrees_with_opencv_to_the_steps_of_its_table():
    colours = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    assert np.abs(srgb_to_lab(colours) - cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)).max() < 0.5


def test_grey_has_no_chroma_and_a_ramp_is_monotonic():
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None].repeat(3, 1)
    assert chroma(ramp).max() < 1e-3
    assert (np.diff(srgb_to_lab(ramp)[:, 0]) > 0).all()


def test_delta_e_is_the_distance():
    assert delta_e(np.float32([50, 3, 0]), np.float32([[50, 0, 4], [50, 3, 0]])).tolist() == [5.0, 0.0]


@pytest.mark.parametrize(("rgb", "degrees"), [((1, 0, 0), 0), ((1, 0.5, 0), 30), ((1, 1, 0), 60), ((0, 1, 0), 120),
                                              ((0, 0, 1), 240), ((1, 0, 1), 300), ((1, 0, 0.5), 330)])
def test_hues_of_the_circle(rgb, degrees):
    assert hue_degrees(np.float32(rgb)) == pytest.approx(degrees, abs=1e-4)


def test_a_grey_has_no_hue():
    assert np.isnan(hue_degrees(np.float32([0.4, 0.4, 0.4])))


@given(st.floats(0, 360), st.floats(-180, 180))
def test_hue_difference_goes_the_short_way(start, turn):
    assert hue_difference((start + turn) % 360, start) == pytest.approx(abs(turn), abs=1e-6)


def test_the_region_alone_counts():
    frames = np.zeros((2, 4, 4, 3), np.float32)
    region = np.zeros((2, 4, 4), bool)
    region[1, 1:3, 1:3] = True
    frames[region] = (0.2, 0.4, 0.6)
    assert np.allclose(region_colour(frames, region), (0.2, 0.4, 0.6))
    with pytest.raises(ValueError, match="empty"):
        region_colour(frames, np.zeros_like(region))


@pytest.mark.parametrize(("found", "word", "right"), [
    ((0.7, 0.1, 0.1), "red", True), ((0.7, 0.1, 0.1), "blue", False), ((0.9, 0.5, 0.1), "red", False),
    ((0.5, 0.49, 0.49), "red", False),                       # hue 0, but nobody calls it red
    ((0.9, 0.92, 0.92), "white", True), ((0.55, 0.55, 0.55), "gray", True), ((0.55, 0.55, 0.55), "white", False),
    ((0.2, 0.2, 0.2), "black", True), ((0.5, 0.2, 0.2), "gray", False)])
def test_what_passes_for_a_word(found, word, right):
    truths = {name: np.float32(rgb) for name, rgb in TRUTHS.items()}
    assert names_colour(np.float32(found), truths, word) is right
