# SPDX-License-Identifier: GPL-3.0-or-later
"""Training samples without Blender: words, colours, materials, fog, camera paths, and clips on disk."""

from __future__ import annotations

import colorsys
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
HUES = {"red": 0, "orange": 27, "yellow": 55, "green": 120, "blue": 225, "purple": 280, "pink": 330}
FRAMES, HEIGHT, WIDTH = 3, 32, 48
ALL = slice(0, FRAMES), slice(0, HEIGHT), slice(0, WIDTH)
SLOTS = {1: ("ground", -1), 2: ("top", 0)}


@pytest.fixture(scope="module")
def training() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(SCRIPTS))
    from training import cameras, captions, coding, dataset, figures, palette, sets

    yield SimpleNamespace(cameras=cameras, captions=captions, coding=coding, dataset=dataset, figures=figures,
                          palette=palette, sets=sets)
    sys.path.remove(str(SCRIPTS))


def _arrays(flow: bool) -> dict[str, Any]:
    """A ground plane 5 m away with a ball's square in the middle, evenly lit by the sun and the sky, and some sky above."""
    slot = np.ones((FRAMES, HEIGHT, WIDTH), np.uint8)
    slot[:, :6], slot[:, 10:22, 16:32] = 0, 2
    depth = np.where(slot == 0, np.inf, 5.0).astype(np.float16)
    meta = {"set": "field", "indoor": False, "actors": ["ball"], "slots": {str(k): v for k, v in SLOTS.items()},
            "sun_right": 0.5, "move": "static", "props": []}
    lens = np.array([[40, 0, 24], [0, 40, 16], [0, 0, 1]], np.float32)
    pose = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1], [0, 0, 0, 1]], np.float32)
    coded = np.rint(255 * np.sqrt(np.full((FRAMES, HEIGHT, WIDTH, 3), 0.625) / 2)).astype(np.uint8)
    coded[..., 2] = 104                                             # 255 sqrt(1 / 6): a mirrored sky
    arrays = {"depth": depth, "slot": slot, "joints": np.full((1, FRAMES, 18, 3), np.nan, np.float32),
              "camera": np.tile(pose, (FRAMES, 1, 1)), "meta": json.dumps(meta), "light": coded,
              "K": np.tile(lens, (FRAMES, 1, 1)), "normal": np.zeros((FRAMES, HEIGHT, WIDTH, 2), np.int8)}
    if not flow:
        return arrays
    return arrays | {"flow": np.ones((FRAMES, HEIGHT, WIDTH, 2), np.float16),
                     "flow_valid": np.ones((FRAMES, HEIGHT, WIDTH), bool)}


@pytest.fixture
def clip(training: SimpleNamespace, tmp_path: Path) -> Any:
    np.savez_compressed(tmp_path / "000003.npz", **_arrays(flow=True))
    return training.dataset.load_clip(tmp_path / "000003.npz")


def _ball(training: SimpleNamespace, clip: Any, **wanted: Any) -> np.ndarray:
    """Mean display colour in [0, 1] of the ball in clear daylight."""
    look = training.palette.draw_look(np.random.default_rng(1), clip.kind, clip.actors, clip.slots,
                                      training.palette.MOODS[0], fog="", **wanted)
    shown = (training.dataset.picture(clip, look, *ALL) + 1) / 2
    return shown[:, 12:20, 18:30].mean((0, 1, 2))


def test_colours_look_like_their_words(training: SimpleNamespace, clip: Any) -> None:
    for word, hue in HUES.items():
        found, saturation, _ = colorsys.rgb_to_hsv(*_ball(training, clip, colours=(word,), materials=("matte",)))
        assert abs((found * 360 - hue + 180) % 360 - 180) < 9, word
        assert saturation > 0.4, word
    levels = [_ball(training, clip, colours=(word,), materials=("matte",)) for word in ("black", "gray", "white")]
    assert all(np.ptp(level) < 0.06 for level in levels)
    assert levels[0].mean() < 0.25 < 0.45 < levels[1].mean() < 0.72 < 0.85 < levels[2].mean()


def test_materials_differ_and_keep_their_colour(training: SimpleNamespace, clip: Any) -> None:
    shown = {word: _ball(training, clip, colours=("red",), materials=(word,)) for word in training.palette.MATERIALS}
    assert np.allclose(_ball(training, clip, colours=("red",), materials=("",)), shown["matte"])
    for one in shown:
        assert shown[one][0] > 1.25 * shown[one][1:].max(), one
        assert all(np.abs(shown[one] - shown[other]).max() > 0.03 for other in shown if other != one), one


def test_fog_is_beer_lamberts(training: SimpleNamespace, clip: Any) -> None:
    made = training.dataset.in_fog(np.float32([[0.8, 0.2, 0.0]]), np.float32([4.0]), 0.25, np.float32([0.5, 0.5, 0.5]))
    assert np.allclose(made, np.exp(-1.0) * np.array([0.8, 0.2, 0.0]) + (1 - np.exp(-1.0)) * 0.5, atol=1e-6)
    look = training.palette.draw_look(np.random.default_rng(1), clip.kind, clip.actors, clip.slots, fog="in thick fog")
    assert 0.09 <= look.fog <= 0.15 and "thick fog" in training.captions.full_caption(
        np.random.default_rng(0), look, clip.actors, "")
    sky = training.dataset.picture(clip, look, *ALL)[:, :4].mean((0, 1, 2))
    assert np.allclose(sky, np.float32(look.mood.horizon) ** (1 / 2.2) * 2 - 1, atol=0.02)


def test_captions_use_the_vocabulary(training: SimpleNamespace) -> None:
    known, rng = set(training.captions.words()), np.random.default_rng(2)
    assert len(known) <= 320
    moves = [f"{move} {sign}" for move, signs in training.cameras.SIGNS.items() for sign in signs]
    moves += [move for move in training.cameras.MOVES if move not in training.cameras.SIGNS]
    used: set[str] = set()
    for index in range(1500):
        kind = str(rng.choice(list(training.palette.PHRASES)))
        kinds = [str(kind) for kind in rng.choice(list(training.captions.NOUNS), 2)]
        slots = {1: ("ground", -1), 2: ("top", 0), 3: ("top", 1)}
        look = training.palette.draw_look(rng, kind, kinds, slots)
        side = str(rng.choice(["", "left", "right"]))
        move = training.captions.mirrored_move(moves[index % len(moves)])
        for text in (training.captions.full_caption(rng, look, kinds, side, move, ["arch", "stairs"]),
                     training.captions.actor_caption(rng, look, kinds, 1, side)):
            used |= set(re.findall(r"[a-z]+", text))
            assert not re.search(r"\ba [aeio]", text), text
    assert used <= known, used - known
    assert {"shiny", "metal", "glass", "matte", "mist", "fog", "zooms", "handheld", "arch"} <= used


def test_wanted_words_are_taken(training: SimpleNamespace) -> None:
    rng, slots = np.random.default_rng(3), {1: ("top", 0), 2: ("top", 1)}
    look = training.palette.draw_look(rng, "room", ["ball", "box"], slots, colours=("pink", None), materials=(None, "glass"))
    assert look.actor_colours[0] == "pink" and look.actor_materials[1] == "glass"
    with pytest.raises(ValueError):
        training.palette.draw_look(rng, "room", ["ball", "box"], slots, colours=("pink",))


@pytest.mark.parametrize("flow", [False, True])
def test_clips_load_with_and_without_flow(training: SimpleNamespace, tmp_path: Path, flow: bool) -> None:
    np.savez_compressed(tmp_path / "001000.npz", **_arrays(flow))
    found = training.dataset.Clips(tmp_path)
    assert len(found.clips) == 1 and not training.dataset.Clips(tmp_path, validation=True).clips
    clip = found.clips[0]
    assert clip.intrinsics.shape == (FRAMES, 3, 3) and clip.matte(0, slice(0, 1)).sum() == 12 * 16
    assert (clip.flow is None) == (clip.flow_valid is None) == (not flow)
    assert clip.normal.shape == (FRAMES, HEIGHT, WIDTH, 2)
    look = training.palette.draw_look(np.random.default_rng(4), clip.kind, clip.actors, clip.slots, materials=("metal",))
    assert np.isfinite(training.dataset.picture(clip, look, *ALL)).all()


def test_light_survives_its_coding(training: SimpleNamespace) -> None:
    light = np.random.default_rng(5).uniform(0, 1, (64, 3)).astype(np.float32) * training.coding.CEILINGS
    back = training.coding.decode_light(training.coding.code_light(light))
    step = 2 * np.sqrt(light / training.coding.CEILINGS) * training.coding.CEILINGS / 255
    assert (np.abs(back - light) <= step / 2 + 1e-4).all()


def test_camera_paths_are_rigid_and_moderate(training: SimpleNamespace) -> None:
    seen, still, distance = set(), [], 8.0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        stage = training.sets.build_stage(rng)
        t = np.arange(9) / 10
        actors = training.figures.cast(rng, t, 1)
        path = training.cameras.shoot(rng, stage, t, actors, (256, 144))
        seen.add(path.move.split(" ")[0])
        turn = path.poses[:, :3, :3].astype(np.float64)
        assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(3), atol=1e-5) and np.allclose(np.linalg.det(turn), 1)
        assert (path.poses[:, 2, 3] > 0.25).all(), "the camera is in the ground"
        world = path.poses[0, :3, :3] @ np.array([0, 0, distance]) + path.poses[0, :3, 3]
        local = np.einsum("fji,fj->fi", path.poses[:, :3, :3], world - path.poses[:, :3, 3])
        pixels = local[:, :2] / local[:, 2:] * path.focal[:, None]
        still.append(float(np.linalg.norm(np.diff(pixels, axis=0), axis=1).mean()))
    assert seen == {move.split(" ")[0] for move in training.cameras.MOVES}
    assert np.percentile(still, 95) < 6 and np.median(still) > 0.1
