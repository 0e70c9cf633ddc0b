# SPDX-License-Identifier: GPL-3.0-or-later
"""Silhouettes against known shapes that are shifted, grown, cut and painted."""

import numpy as np
import pytest
from lucid.inference.truth.boundary import (
    appearance_silhouette,
    boundary_f,
    contour,
    filled_plate,
    grow,
    motion_silhouette,
    outline_threshold,
)

HEIGHT, WIDTH = 72, 96


def square(top=20, left=30, size=28):
    out = np.zeros((HEIGHT, WIDTH), bool)
    out[top:top + size, left:left + size] = True
    return out


def texture(seed, height=HEIGHT, width=WIDTH):
    import cv2

    noise = np.random.default_rng(seed).random((height // 3, width // 3, 3)).astype(np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def test_the_contour_is_the_inner_line():
    assert contour(square()).sum() == 4 * 28 - 4


def test_the_pictures_border_is_no_contour():
    half = np.zeros((HEIGHT, WIDTH), bool)
    half[:, :40] = True
    assert contour(half).sum() == HEIGHT            # the right side alone
    assert not contour(np.ones((HEIGHT, WIDTH), bool)).any()


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (3, 1.0), (5, 58 / 108), (12, 44 / 108)])
def test_a_square_shifted_sideways(shift, expected):
    """Up to the tolerance nothing is lost. Beyond it, of 108 contour pixels the top and bottom lines count where they
    overlap and 3 px further, 2 (28 - shift + 3), and of the side inside the other square 3 px at either end."""
    assert boundary_f(np.roll(square(), shift, 1), square(), 3) == pytest.approx(expected)


def test_a_silhouette_8_px_too_large_scores_nothing():
    assert boundary_f(grow(square()[None], 8)[0], square(), 3) == 0.0


def test_nothing_found_scores_nothing_and_no_matte_is_no_answer():
    assert boundary_f(np.zeros((HEIGHT, WIDTH), bool), square(), 3) == 0.0
    assert np.isnan(boundary_f(square(), np.zeros((HEIGHT, WIDTH), bool), 3))


def test_frames_without_the_actor_do_not_count():
    matte = np.stack([square(), np.zeros((HEIGHT, WIDTH), bool)])
    assert boundary_f(matte.copy(), matte, 3) == 1.0
    assert boundary_f(np.stack([np.zeros_like(square()), square()]), matte, 3) == 0.0


def test_growing_is_by_a_disc_and_shrinking_spares_the_border():
    dot = np.zeros((1, HEIGHT, WIDTH), bool)
    dot[0, 30, 40] = True
    assert grow(dot, 3).sum() == 29                 # lattice points within 3
    half = np.zeros((1, HEIGHT, WIDTH), bool)
    half[..., :40] = True
    assert (grow(half, -5)[0, :, :35]).all()
    assert not grow(half, -5)[0, :, 35:].any()


def test_the_painted_actor_is_found_and_a_filled_mask_scores_nothing():
    plate = texture(1)[None] * 0.3
    matte = square()[None]
    region = grow(matte, 8)
    good = np.where(matte[..., None], np.float32([0.8, 0.1, 0.1]), plate)
    filled = np.where(region[..., None], np.float32([0.8, 0.1, 0.1]), plate)
    assert boundary_f(appearance_silhouette(good, plate, region), matte, 3) > 0.99
    assert boundary_f(appearance_silhouette(filled, plate, region), matte, 3) == 0.0
    assert not appearance_silhouette(plate, plate, region).any()


def test_specks_are_dropped_and_small_differences_are_none():
    plate = np.full((1, HEIGHT, WIDTH, 3), 0.5, np.float32)
    specks = plate.copy()
    specks[0, ::7, ::7] = 1.0
    everywhere = np.ones(plate.shape[:3], bool)
    assert not appearance_silhouette(specks, plate, everywhere).any()
    assert not appearance_silhouette(plate + 0.05, plate, everywhere).any()
    assert appearance_silhouette(plate + 0.05, plate, everywhere, threshold=3.0).all()


def test_a_soft_outline_with_a_halo_is_found_where_it_belongs():
    """Blurred by 3 px, with a tint of 12 dE all over the mask: at a fixed 8 dE all of the mask is found."""
    import cv2

    plate = np.full((1, HEIGHT, WIDTH, 3), 0.45, np.float32)
    matte = square()[None]
    region = grow(matte, 8)
    tinted = np.where(region[..., None], plate + np.float32([0.06, -0.02, -0.02]), plate)
    soft = cv2.GaussianBlur(matte[0].astype(np.float32), (0, 0), 3)[None, ..., None]
    painted = (tinted * (1 - soft) + np.float32([0.8, 0.1, 0.1]) * soft).astype(np.float32)
    threshold = outline_threshold(painted, plate, grow(matte, -4))
    assert threshold == 18.0
    assert boundary_f(appearance_silhouette(painted, plate, region, threshold=threshold), matte, 3) > 0.8
    assert boundary_f(appearance_silhouette(painted, plate, region, threshold=8.0), matte, 3) < 0.1


def test_the_threshold_is_half_of_the_contrast_within_its_bounds():
    """Greys have no a* and b*, so that the contrast is the difference of L*."""
    plate, matte = np.full((1, HEIGHT, WIDTH, 3), 0.5, np.float32), square()[None]
    for level, expected in ((0.5, 8.0), (0.75, 0.5 * (77.43 - 53.39)), (1.0, 18.0)):
        painted = np.where(matte[..., None], np.float32(level), plate)
        assert outline_threshold(painted, plate, matte) == pytest.approx(expected, abs=0.05)
    assert outline_threshold(plate, plate, ~np.ones_like(matte)) == 8.0


def test_a_plate_is_filled_from_around():
    ramp = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, None, :, None] * np.ones((1, HEIGHT, 1, 3), np.float32)
    hidden = square(30, 40, 9)[None]
    dirty = np.where(hidden[..., None], np.float32([1, 0, 0]), ramp)
    plate = filled_plate(dirty, hidden)
    assert np.abs(plate - ramp)[hidden].max() < 0.08
    assert (plate[~hidden] == dirty[~hidden]).all()


@pytest.mark.parametrize(("painted_off", "low", "high"), [(0, 0.9, 1.0), (8, 0.0, 0.8)])
def test_motion_tells_where_the_actor_is(painted_off, low, high):
    """A textured square moves 3 px a frame before a still texture; painted 8 px beside its place it is not accepted."""
    back, skin, speed = texture(2), texture(3), 3
    frames, flows = {}, {}
    for frame in (0, 2, 4):
        matte = np.roll(square(), speed * (frame - 2) + painted_off, 1)
        frames[frame] = np.where(matte[..., None], np.roll(skin, speed * (frame - 2), 1), back)
        if frame != 2:
            flows[frame] = np.where(square()[..., None], np.float32([speed * (frame - 2), 0]), np.float32([0, 0]))
    found = motion_silhouette(frames, 2, square(), flows)
    assert low <= boundary_f(found, square(), 3) <= high
