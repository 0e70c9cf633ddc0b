# SPDX-License-Identifier: GPL-3.0-or-later
"""Occluding edges of a scene against the edges of pictures: planes and steps in closed form, a ray-cast scene, blank pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.truth.adherence import ControlAdherence, edge_recall, occlusion_edges, picture_edges
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.watch import Pictures, watch
from raycast import World, picture, write

WORLD = World(width=240, height=140, frames=5)


def judged(ground: Ground, pictures: Pictures) -> dict[str, Figure]:
    metric = ControlAdherence(ground)
    watch(ground, pictures, [metric])
    return {figure.key: figure for figure in metric.figures()}


def test_a_box_before_a_wall_has_its_outline_on_the_box() -> None:
    depth, ids = np.full((40, 60), 5.0, np.float32), np.ones((40, 60), np.uint32)
    depth[10:30, 20:40] = 3.0
    edges = occlusion_edges(depth, ids)
    assert edges.sum() == 4 * 20 - 4 and edges[10, 20:40].all() and not edges[9].any()


def test_a_slanted_plane_has_none_and_two_objects_that_touch_have() -> None:
    depth = (1.0 / np.linspace(0.05, 0.5, 40)[:, None] * np.ones((1, 60))).astype(np.float32)
    ids = np.ones((40, 60), np.uint32)
    assert not occlusion_edges(depth, ids).any()
    ids[:, 30:] = 2
    assert occlusion_edges(depth, ids).sum() == 40


def test_the_sky_is_behind_everything() -> None:
    depth, ids = np.full((40, 60), np.inf, np.float32), np.zeros((40, 60), np.uint32)
    depth[20:] = 9.0
    ids[20:] = 1
    edges = occlusion_edges(depth, ids)
    assert edges[20].all() and edges.sum() == 60


@pytest.mark.parametrize(("away", "recall"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_edges_count_within_two_pixels(away: int, recall: float) -> None:
    exact, found = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    exact[:, 30], found[:, 30 + away] = True, True
    share, chance, missed = edge_recall(exact, found)
    assert share == recall and chance == pytest.approx(5 / 60) and missed.sum() == (1 - recall) * 40
    assert np.isnan(edge_recall(~np.ones_like(exact), found)[0]) and edge_recall(exact, exact & False)[:2] == (0.0, 0.0)


def test_canny_finds_a_step_and_nothing_in_a_blank() -> None:
    step = np.full((40, 60), 90, np.uint8)
    assert not picture_edges(step).any()
    step[:, 30:] = 150
    assert picture_edges(step)[5:-5].any(1).all() and not picture_edges(step)[:, :27].any()


def test_the_scenes_own_picture_has_its_edges_and_another_place_has_not(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "a.lucid", write(WORLD, tmp_path / "a.lucid"))

    def shade(ids: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return np.array([0.1, 0.3, 0.5, 0.9, 0.7])[ids][..., None] * np.ones(3)

    clean = judged(ground, lambda index: picture(WORLD, index, side=2, shade=shade))
    aside = judged(ground, lambda index: np.roll(picture(WORLD, index, side=2, shade=shade), 12, 1))
    assert clean["edge_recall"].value > 97 and clean["edge_recall"].outcome is Outcome.INFO and clean["edge_lift"].value > 5
    assert aside["edge_recall"].value < 0.8 * clean["edge_recall"].value
    assert [number for number, _ in clean["edge_recall"].series] == [1.0, 5.0]
    assert aside["edge_recall"].worst[0].object in ("Sphere", "Ball", "Floor", "Wall")


def test_a_blank_picture_and_a_scene_without_outlines(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "a.lucid", write(replace(WORLD, frames=1), tmp_path / "a.lucid"))
    blank = judged(ground, lambda index: np.full((140, 240, 3), 0.4, np.float32))
    assert blank["edge_recall"].value == 0.0 and "no edge" in blank["edge_lift"].reason
    small = replace(WORLD, frames=1, width=48, height=32, actors=())
    bare = Ground(tmp_path / "b.lucid", write(small, tmp_path / "b.lucid"))
    assert judged(bare, lambda index: np.zeros((32, 48, 3), np.float32))["edge_recall"].outcome is Outcome.NOT_MEASURABLE
