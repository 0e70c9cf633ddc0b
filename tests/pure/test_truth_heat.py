# SPDX-License-Identifier: GPL-3.0-or-later
"""Heat maps: values stay inside their instance, colours have an order, files lie where the timeline looks for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.shot.images import read_png
from lucid.inference.truth import constancy, warp
from lucid.inference.truth.constancy import Constancy
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.heat import HeatMap, coloured, spread
from lucid.inference.truth.warp import WarpError
from lucid.inference.truth.watch import watch
from lucid.tests.raycast import World, pictures, write


def grid(height: int, width: int, step: int) -> np.ndarray:
    y, x = np.mgrid[step // 2:height:step, step // 2:width:step].reshape(2, -1)
    return np.stack([x, y], -1) + np.float32(0.5)


def test_a_ramp_of_points_is_a_ramp_of_pixels() -> None:
    at = grid(60, 80, 6)
    field = spread(at, np.ones(len(at), np.uint32), at[:, 0], np.ones((60, 80), np.uint32), 6)
    inner = np.s_[12:-12, 12:-12]
    assert np.isfinite(field).all()
    assert np.abs(field - (np.arange(80) + 0.5))[inner].max() < 1.5


def test_values_stay_inside_their_instance() -> None:
    owner = np.ones((40, 60), np.uint32)
    owner[:, 30:] = 7
    at = grid(40, 60, 6)
    ids = owner[at[:, 1].astype(int), at[:, 0].astype(int)]
    field = spread(at, ids, np.where(ids == 7, 5.0, 1.0).astype(np.float32), owner, 6)
    assert np.allclose(field[:, :30], 1.0) and np.allclose(field[:, 30:], 5.0)


def test_what_was_not_measured_is_transparent() -> None:
    owner = np.ones((40, 60), np.uint32)
    owner[30:] = 2
    field = spread(np.float32([[10.5, 10.5]]), np.uint32([1]), np.float32([3.0]), owner, 8)
    assert field[10, 10] == pytest.approx(3.0) and np.isnan(field[30:]).all() and np.isnan(field[:, 30:]).all()
    assert 7 ** 2 <= np.isfinite(field).sum() <= 19 ** 2
    nothing = spread(np.zeros((0, 2), np.float32), np.zeros(0, np.uint32), np.zeros(0, np.float32), owner, 8)
    assert np.isnan(nothing).all() and not coloured(nothing, 1.0).any()


def test_colours_get_lighter_with_the_value() -> None:
    shown = coloured(np.linspace(0.0, 12.0, 256, dtype=np.float32)[None], 10.0)
    assert shown.dtype == np.uint8 and (shown[..., 3] == 255).all()
    light = shown[0, :, :3].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > -1.0).all() and light[-1] - light[0] > 150
    assert tuple(shown[0, 0, :3]) == (68, 1, 84) and tuple(shown[0, -1, :3]) == (253, 231, 37)      # viridis, red first
    assert np.array_equal(shown[0, -1], coloured(np.float32([[10.0]]), 10.0)[0, 0])


def test_the_measures_write_a_frame_for_every_frame(tmp_path: Path) -> None:
    world = World(width=104, height=64, frames=4)
    ground = Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid"))
    clean = pictures(world)

    def spoilt(index: int) -> np.ndarray:
        shown = clean(index).copy()
        shown[:, :40] = np.clip(shown[:, :40] + 0.1 * index, 0.0, 1.0)
        return shown

    heat = tmp_path / "heat"
    watch(ground, spoilt, [WarpError(ground, heat=warp.heat_map(heat, ground)),
                           Constancy(ground, heat=constancy.heat_map(heat, ground))])
    for metric, first in (("warp_error", 0.0), ("drift", 0.6)):
        files = sorted(path.name for path in (heat / metric).iterdir())
        assert files == [*(f"frame.{number:04d}.png" for number in range(1, 5)), "scale.json"]
        scale = json.loads((heat / metric / "scale.json").read_text(encoding="utf-8"))
        assert scale["lowest"] == 0.0 and scale["highest"] > 0.0 and scale["metric"] == metric
        last = read_png(heat / metric / "frame.0004.png")
        assert last.shape == (64, 104, 4) and (last[..., 3] > 0).mean() > 0.6
        left, right = (last[:, part][last[:, part, 3] > 0][:, 1].mean() for part in (np.s_[8:30], np.s_[60:]))
        assert left > right + 50                                                # green grows with the value
        assert (read_png(heat / metric / "frame.0001.png")[..., 3] > 0).mean() >= first


def test_the_scale_does_not_depend_on_the_shot(tmp_path: Path) -> None:
    HeatMap(tmp_path, "drift", 10.0, "dE", 8)
    assert json.loads((tmp_path / "drift" / "scale.json").read_text(encoding="utf-8")) == {
        "metric": "drift", "lowest": 0.0, "highest": 10.0, "unit": "dE", "colours": "viridis"}
