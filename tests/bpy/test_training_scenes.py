# SPDX-License-Identifier: GPL-3.0-or-later
"""The training renderer: what Cycles lights and what Lucid captures are the same scene, pixel by pixel."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WIDTH, HEIGHT, FRAMES = 64, 48, 3
SEED = 2013     # a plaza, a person who walks, a camera that orbits


@pytest.fixture(scope="module")
def scenes(registered: None) -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    from training import scenes

    yield scenes
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def clip(scenes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A clip, and Cycles' own passes of its frames."""
    from training import capture

    folder = tmp_path_factory.mktemp("clip")
    made = scenes.make_clip(SEED, (WIDTH, HEIGHT), FRAMES, 1, 1, folder, truth=True)
    import bpy

    layer = bpy.context.scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = True
    return made, [capture.rendered(bpy.context.scene, frame, folder / "frame.exr") for frame in range(1, FRAMES + 1)]


def _cycles(passes: list[dict[str, Any]], *names: str) -> np.ndarray:
    found = next(name for name in names if name in passes[0])
    return np.stack([frame[found] for frame in passes])


def test_cycles_sees_what_lucid_captures(clip: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    made, passes = clip
    index = np.rint(_cycles(passes, "object index.x", "indexob.x", "object index.v")).astype(int)
    assert (index == made["slot"]).mean() > 0.995
    owners = {int(slot): owner for slot, (_name, owner) in json.loads(made["meta"])["slots"].items()}
    actor = np.isin(made["slot"], [slot for slot, owner in owners.items() if owner == 0])
    assert actor.mean() > 0.005 and (index[actor] == made["slot"][actor]).mean() > 0.95, "the walker is not where Cycles has it"
    depth, same = made["depth"].astype(np.float32), (index == made["slot"]) & (index > 0)
    z = _cycles(passes, "depth.z", "depth.v")
    assert same.mean() > 0.5 and np.isinf(depth[made["slot"] == 0]).all()
    error = np.abs(z[same] - depth[same]) / depth[same]
    assert np.percentile(error, 99) < 2e-3     # half floats have 11 bits


def test_ground_flow_is_the_cameras(clip: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    made, _ = clip
    ground = [int(slot) for slot, (name, _owner) in json.loads(made["meta"])["slots"].items() if name == "ground"]
    camera, depth = made["camera"].astype(np.float64), made["depth"].astype(np.float64)
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    pixels = np.stack([u, v, np.ones_like(u)], -1)
    for frame in range(FRAMES - 1):
        still = np.isin(made["slot"][frame], ground) & made["flow_valid"][frame]
        assert still.mean() > 0.1
        local = pixels[still] @ np.linalg.inv(made["K"][frame]).T * depth[frame][still][:, None]
        world = local @ camera[frame, :3, :3].T + camera[frame, :3, 3]
        there = (world - camera[frame + 1, :3, 3]) @ camera[frame + 1, :3, :3] @ made["K"][frame + 1].T
        expected = there[:, :2] / there[:, 2:] - pixels[still][:, :2]
        assert np.abs(expected).max() > 0.2, "the camera does not move"
        assert np.abs(expected - made["flow"][frame][still]).max() < 0.02


def test_light_is_told_apart(clip: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    light, slot = clip[0]["light"], clip[0]["slot"]
    assert light.shape == (FRAMES, HEIGHT, WIDTH, 3) and light.dtype == np.uint8
    lit = light[slot > 0]
    assert (lit.std(0) > 5).all() and abs(np.corrcoef(lit[:, 0], lit[:, 1])[0, 1]) < 0.95


def test_plan_splits_by_scene(scenes: ModuleType) -> None:
    assert {scenes.plan(seed, 5) for seed in range(20)} == {((256, 144), 49)}
    plans = [scenes.plan(seed, 5) for seed in range(1000, 1400)]
    assert {frames for _, frames in plans} == {9, 21, 49}
    assert all(width % 16 == 0 and height % 16 == 0 for (width, height), _ in plans)
    assert {size for size, _ in plans} == set(scenes.SIZES)
