# SPDX-License-Identifier: GPL-3.0-or-later
"""Points found again in another frame, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from lucid.inference.generation.correspondence import correspondence, shown
from lucid.inference.generation.noise import View, world_directions
from lucid.inference.surfaces import match

HEIGHT, WIDTH, FOCAL = 40, 60, 55.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def rays() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], -1)


def wall(shift: float = 0.0, instance: int = 1, away: float = 4.0) -> View:
    """A wall that faces the camera, seen from `shift` metres further right."""
    points = rays() * away + [shift, 0, 0]
    return View(np.full((HEIGHT, WIDTH), instance, np.uint32), points.astype(np.float32),
                world_directions(K, np.eye(4), HEIGHT, WIDTH))


def ball(turn: float) -> View:
    """A ball of radius 1 at 4 m that turns about its vertical axis, before nothing; its rest positions turn with it."""
    ray = rays()
    a, b = (ray * ray).sum(-1), 4.0 * ray[..., 2]
    inside = b * b - a * (16.0 - 1.0)
    hit = inside > 0
    z = np.where(hit, (b - np.sqrt(np.maximum(inside, 0))) / a, 0.0)
    local = ray * z[..., None] - [0, 0, 4.0]
    c, s = np.cos(turn), np.sin(turn)
    rest = local @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T          # undo the turn
    return View(hit.astype(np.uint32), np.where(hit[..., None], rest, 0).astype(np.float32),
                world_directions(K, np.eye(4), HEIGHT, WIDTH))


def found(first: View, second: View) -> tuple[np.ndarray, np.ndarray]:
    at, seen = match(shown(first), shown(second), WIDTH)
    return at.reshape(HEIGHT, WIDTH, 2), seen.reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize("pixels", [0.0, 0.25, 0.5, 3.7])
def test_a_wall_moves_by_the_parallax(pixels):
    at, seen = found(wall(), wall(pixels * 4.0 / FOCAL))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert seen[:, int(np.ceil(pixels)):].all() and not seen[:, : max(0, int(pixels) - 1)].any()
    assert np.abs(at[seen] - np.stack([x - pixels, y], -1)[seen]).max() < 1e-3


def test_a_turning_balls_points_are_found_where_they_turned_to():
    turn = 0.15
    shown = ball(0.0)
    at, seen = found(shown, ball(turn))
    seen &= shown.ids > 0
    local = shown.rest.astype(np.float64)
    c, s = np.cos(turn), np.sin(turn)
    moved = local @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + [0, 0, 4.0]
    exact = moved[..., :2] / moved[..., 2:] * FOCAL + [WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5]
    gap = np.linalg.norm(at - exact, axis=-1)[seen]
    assert seen.sum() > 0.5 * (shown.ids > 0).sum()
    assert np.median(gap) < 0.03 and np.percentile(gap, 95) < 0.25
    hidden = (moved * (moved - [0, 0, 4.0])).sum(-1) > 0.05                # turned away from the camera
    assert not seen[hidden & (shown.ids > 0)].any()


def test_the_background_follows_the_cameras_turn():
    angle = 0.05
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    empty = np.zeros((HEIGHT, WIDTH), np.uint32)
    nothing = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    at, seen = found(*(View(empty, nothing, world_directions(K, p, HEIGHT, WIDTH)) for p in (np.eye(4), pose)))
    towards = rays() @ pose[:3, :3]
    exact = towards[..., :2] / towards[..., 2:] * FOCAL + [WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5]
    assert seen.mean() > 0.9 and np.abs(at - exact)[seen].max() < 0.05


def test_instances_with_the_same_rest_positions_are_not_mixed():
    _, seen = found(wall(instance=1), wall(instance=2))
    assert not seen.any()


def test_unknown_rest_positions_and_single_samples_are_not_found():
    known = wall()
    rest = known.rest.copy()
    rest[:, :30] = np.nan
    holed = View(known.ids, rest, known.directions)
    for pair in ((holed, known), (known, holed)):
        _, seen = found(*pair)
        assert seen[:, 31:].all() and not seen[:, :29].any()
    ids = np.where(np.indices((HEIGHT, WIDTH)).sum(0) == 30, 7, 1).astype(np.uint32)
    lone = View(ids, known.rest, known.directions)
    _, seen = found(lone, lone)
    assert not seen[ids == 7].any()


def test_nothing_is_found_next_to_an_outline():
    ids = np.ones((HEIGHT, WIDTH), np.uint32)
    ids[:, 30:] = 2
    half = View(ids, wall().rest, wall().directions)
    _, seen = found(half, half)
    assert not seen[:, 29:31].any() and seen[:, :29].all() and seen[:, 31:].all()


def test_a_shot_is_joined_both_ways_and_has_two_ends():
    step = 4.0 / FOCAL
    joined = correspondence([wall(index * step) for index in range(3)])
    assert joined.before.shape == joined.after.shape == (3, HEIGHT, WIDTH, 2)
    assert np.isnan(joined.before[0]).all() and np.isnan(joined.after[2]).all()
    assert np.allclose(joined.after[0, 5, 10], [9, 5], atol=1e-3) and np.allclose(joined.before[1, 5, 10], [11, 5], atol=1e-3)
