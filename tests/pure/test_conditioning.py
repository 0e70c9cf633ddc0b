# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes to controls: depth against closed forms, masks against OpenCV, padding against its inverse."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lucid.inference.conditioning.compose import box, dilate, overlay
from lucid.inference.conditioning.depth import FAR_PERCENTILE, NEAR_PERCENTILE, inverse_depth, measure_range
from lucid.inference.conditioning.fit import fit
from lucid.inference.conditioning.layout import instance_colours, layout
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import DepthRange, Size

masks = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=24).flatmap(lambda shape: arrays.arrays(np.bool_, shape))


def test_inverse_depth_of_known_distances() -> None:
    """Between 2 m and 10 m: white, black, and 1/z in between; the background is black."""
    depth = np.float32([2.0, 10.0, 4.0, np.inf, 1.0, 50.0])
    expected = [1.0, 0.0, (1 / 4 - 1 / 10) / (1 / 2 - 1 / 10), 0.0, 1.0, 0.0]
    assert np.allclose(inverse_depth(depth, DepthRange(2.0, 10.0)), expected, atol=1e-6)


def test_inverse_depth_with_the_horizon_as_far() -> None:
    assert np.allclose(inverse_depth(np.float32([2.0, 4.0, 8.0, np.inf]), DepthRange(2.0, np.inf)), [1.0, 0.5, 0.25, 0.0])


def test_a_flat_shot_is_white_where_there_is_something() -> None:
    assert inverse_depth(np.float32([3.0, np.inf]), DepthRange(3.0, 3.0)).tolist() == [1.0, 0.0]


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=20), st.floats(0.1, 50.0), st.floats(1.01, 100.0))
def test_inverse_depth_is_monotonic_and_in_range(depths: list[float], near: float, ratio: float) -> None:
    ordered = np.sort(np.array(depths, np.float32))
    values = inverse_depth(ordered, DepthRange(near, near * ratio))
    assert values.dtype == np.float32
    assert values.min() >= 0.0 and values.max() <= 1.0
    assert (np.diff(values) <= 0.0).all()


def test_the_range_is_that_of_a_known_distribution() -> None:
    """Inverse depths 0.1 .. 1.0 evenly: the percentiles are known in closed form, and few outliers do not move them."""
    inverse = np.linspace(0.1, 1.0, 100_001)
    span = measure_range([inverse[:50_000], inverse[50_000:]])
    assert span.near == pytest.approx(1.0 / (0.1 + 0.9 * NEAR_PERCENTILE / 100), rel=1e-4)
    assert span.far == pytest.approx(1.0 / (0.1 + 0.9 * FAR_PERCENTILE / 100), rel=1e-4)
    with_grass_blade = measure_range([inverse, np.full(20, 1000.0)])
    assert with_grass_blade.near == pytest.approx(span.near, rel=1e-3)


def test_the_range_does_not_depend_on_how_frames_are_cut() -> None:
    inverse = np.random.default_rng(1).random((6, 8, 8))
    assert measure_range(list(inverse)) == measure_range([inverse[:2], inverse[2:]])


def test_sky_makes_the_far_end_infinite() -> None:
    assert measure_range([np.array([0.0] * 50 + [0.5] * 50)]).far == np.inf


def test_a_speck_in_an_empty_shot_is_still_seen() -> None:
    span = measure_range([np.array([0.0] * 9999 + [0.25])])
    assert span.near == pytest.approx(4.0)
    assert inverse_depth(np.float32([4.0, np.inf]), span).tolist() == [1.0, 0.0]


def test_an_empty_scene_is_told() -> None:
    with pytest.raises(LucidError, match="SCENE_EMPTY"):
        measure_range([np.zeros((4, 4)), np.zeros((4, 4))])


@given(masks, st.integers(0, 30))
def test_dilate_is_opencvs(mask: np.ndarray, radius: int) -> None:
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    frames = mask.reshape(-1, *mask.shape[-2:]).astype(np.uint8)
    expected = np.stack([cv2.dilate(frame, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) for frame in frames])
    assert np.array_equal(dilate(mask, radius), expected.reshape(mask.shape).astype(bool))


@given(masks)
def test_box_is_opencvs_bounding_rectangle(mask: np.ndarray) -> None:
    frames = mask.reshape(-1, *mask.shape[-2:])
    expected = np.zeros_like(frames)
    for frame, filled in zip(frames, expected, strict=True):
        x, y, width, height = cv2.boundingRect(frame.astype(np.uint8))
        filled[y:y + height, x:x + width] = True
    assert np.array_equal(box(mask), expected.reshape(mask.shape))


@given(masks)
def test_composed_controls_are_disjoint(actors: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    depth, pose = rng.random(actors.shape), rng.random((*actors.shape, 3)).astype(np.float32)
    video = overlay(np.repeat(depth[..., None], 3, axis=-1), pose, actors)
    assert video.dtype == np.float32 and video.shape == pose.shape
    assert np.array_equal(video[actors], pose[actors])
    grey = video[~actors]
    assert np.array_equal(grey, np.repeat(depth.astype(np.float32)[~actors][:, None], 3, axis=1))


@given(st.integers(1, 300), st.integers(1, 300))
def test_padding_is_minimal(width: int, height: int) -> None:
    found = fit(7, Size(width, height), frames=9, multiple=16)
    assert [found.shot_frame(index) for index in range(9)] == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    for model, own in ((found.size.width, width), (found.size.height, height)):
        assert model % 16 == 0 and 0 <= model - own < 16
    assert found.padded == (found.size != Size(width, height))


@pytest.mark.parametrize("channels", [(), (3,)])
def test_padding_repeats_the_edge(channels: tuple[int, ...]) -> None:
    video = np.random.default_rng(2).random((6, 30, 50, *channels))
    found = fit(6, Size(50, 30), frames=9, multiple=16)
    padded = found.pad(video)
    assert padded.shape == (6, 32, 64, *channels)
    assert np.array_equal(found.crop(padded), video)
    assert (padded[:, 31, :50] == video[:, 29]).all()


def test_layout_gives_each_id_one_colour_everywhere_and_the_background_none():
    ids = np.array([[0, 7, 7], [12, 4_000_000_001, 0]], np.uint32)
    control = layout(ids)
    assert control.shape == (2, 3, 3) and control.dtype == np.float32
    assert (control[0, 0] == 0).all() and (control[0, 1] == control[0, 2]).all()
    assert np.array_equal(layout(ids[:1])[0, 1], control[0, 1])              # whatever else is in the picture
    colours = instance_colours(np.arange(1, 40))
    assert colours.min() >= 0 and colours.max() <= 1 and (colours.max(-1) >= 0.6).all()
    neighbours = np.abs(np.diff(colours, axis=0)).max(-1)
    assert neighbours.min() > 0.3                                            # golden-ratio hues: 1 and 2 are far apart
