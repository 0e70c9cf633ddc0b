# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion of pictures against a ray-cast scene's exact flow: as it is, still, exchanged, dropped; and distributions of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lucid.inference.truth.fidelity import Histograms, MotionFidelity, comparable, stray_share, textured
from lucid.inference.truth.figures import Figure, Outcome
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.watch import Pictures, luma, watch
from raycast import SPHERE, World, picture, write

WORLD = World(width=320, height=184, frames=10)


class Scene:
    def __init__(self, folder: Path, world: World = WORLD) -> None:
        self.world, self.ground = world, Ground(folder, write(world, folder))
        self._made: dict[int, np.ndarray] = {}

    def clean(self, index: int) -> np.ndarray:
        if index not in self._made:
            self._made[index] = picture(self.world, index, side=2)
        return self._made[index]

    def judged(self, pictures: Pictures) -> dict[str, Figure]:
        metric = MotionFidelity(self.ground)
        watch(self.ground, pictures, [metric])
        return {figure.name: figure for figure in metric.figures()}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("fidelity") / "a.lucid")


def test_clean_pictures_pass_with_room(scene: Scene) -> None:
    figures = scene.judged(scene.clean)
    slow = {figure.outcome for figure in figures.values() if figure.object != "Ball"}
    assert slow == {Outcome.PASS, Outcome.INFO}
    assert figures["motion.epe.Ball"].outcome is Outcome.NOT_MEASURABLE         # 9 px a frame of 320 px
    for name in ("environment", "Sphere"):
        assert figures[f"motion.epe.{name}"].value < 0.2 and figures[f"motion.over_one.{name}"].value < 1.5
        assert figures[f"motion.dynamic.{name}"].value == pytest.approx(1.0, abs=0.15)
    assert figures["motion.worst_frame.environment"].value < 0.1
    assert [number for number, _ in figures["motion.epe.environment"].series] == list(range(1, 10))


def test_a_still_has_no_motion_and_its_error_is_the_motion(scene: Scene) -> None:
    figures = scene.judged(lambda index: scene.clean(0))
    moments = [scene.ground.moment(index) for index in range(len(scene.ground) - 1)]
    lengths = np.concatenate([np.linalg.norm(m.flow, axis=-1)[comparable(m, luma(scene.clean(0))).repeat(2, 0).repeat(2, 1)]
                              for m in moments])
    assert figures["motion.epe.environment"].value == pytest.approx(float(np.median(lengths)), rel=0.15)
    for name in ("environment", "Sphere"):
        assert figures[f"motion.dynamic.{name}"].value < 0.05
        assert figures[f"motion.dynamic.{name}"].outcome is Outcome.FAIL


@pytest.mark.parametrize("order", [{4: 5, 5: 4}, {5: 4}, {index: min(index + 1, 9) for index in range(5, 10)}],
                         ids=["exchanged", "twice", "dropped"])
def test_a_single_wrong_step_is_seen(scene: Scene, order: dict[int, int]) -> None:
    figures = scene.judged(lambda index: scene.clean(order.get(index, index)))
    worst = figures["motion.worst_frame.environment"]
    assert worst.outcome is Outcome.FAIL and worst.value > 1.0
    assert worst.worst[0].first - 1 in (3, 4, 5, 8)         # the scene's first frame is 1


def test_one_actor_that_stops_does_not_blame_the_set(scene: Scene) -> None:
    """The sphere's picture of the first frame, kept where the sphere is: its surface does not turn."""
    def stuck(index: int) -> np.ndarray:
        sphere = (scene.ground.moment(index).ids == SPHERE)[..., None]
        return np.where(sphere, scene.clean(0), scene.clean(index))

    figures = scene.judged(stuck)
    assert figures["motion.epe.Sphere"].outcome is Outcome.FAIL
    assert figures["motion.epe.environment"].outcome is Outcome.PASS
    assert figures["motion.worst_instance"].worst[0].object == "Sphere"


def test_a_stranger_that_crosses_the_picture_is_found(scene: Scene) -> None:
    def stranger(index: int) -> np.ndarray:
        out = scene.clean(index).copy()
        out[10:50, 60 + 4 * index:100 + 4 * index] = scene.clean(0)[100:140, 200:240]
        return out

    stray = scene.judged(stranger)["motion.stray"]
    assert stray.outcome is Outcome.FAIL
    x, y = stray.worst[0].at
    assert 20 < y < 45 and 60 < x < 140


@pytest.mark.parametrize(("changes", "reason"), [
    ({"frames": 1}, "one frame"), ({"frames": 4, "truck": 0.0, "dolly": 0.0, "yaw": 0.0, "actors": ()}, "less than 0.5 px"),
])
def test_what_cannot_be_measured_says_why(tmp_path: Path, changes: dict, reason: str) -> None:
    scene = Scene(tmp_path / "a.lucid", replace(WORLD, **{"width": 160, "height": 96, **changes}))
    dynamic = scene.judged(scene.clean)["motion.dynamic.environment"]
    assert dynamic.outcome is Outcome.NOT_MEASURABLE and reason in dynamic.reason


def test_pictures_without_texture_are_no_answer(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "a.lucid", replace(WORLD, frames=3, width=160, height=96, actors=(SPHERE,)))
    figures = scene.judged(lambda index: np.full((96, 160, 3), 0.5, np.float32))
    assert figures["motion.epe.environment"].outcome is Outcome.NOT_MEASURABLE
    assert figures["motion.epe.Sphere"].outcome is Outcome.NOT_MEASURABLE
    assert figures["motion.worst_instance"].outcome is Outcome.NOT_MEASURABLE


def test_a_shot_without_flow_is_no_answer(tmp_path: Path) -> None:
    world = replace(WORLD, frames=3, width=160, height=96)
    ground = Ground(tmp_path / "a.lucid", write(world, tmp_path / "a.lucid", hide_flow=True))
    metric = MotionFidelity(ground)
    watch(ground, lambda index: picture(world, index, side=1), [metric])
    assert {figure.outcome for figure in metric.figures() if figure.metric == "motion" and figure.key != "stray"} == {
        Outcome.NOT_MEASURABLE}


def test_only_both_ways_of_change_are_texture() -> None:
    ramp = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
    noise = np.random.default_rng(0).integers(0, 255, (64, 96)).astype(np.uint8)
    assert not textured(ramp)[4:-4, 4:-4].any() and not textured(np.full((64, 96), 9, np.uint8)).any()
    assert textured(noise)[4:-4, 4:-4].all() and textured(noise).shape == (32, 48)


@pytest.mark.parametrize("scale", [0.02, 0.5, 12.0])
def test_medians_of_histograms_are_within_their_bins(scale: float) -> None:
    lengths = np.random.default_rng(1).rayleigh(scale, 20000)
    histograms = Histograms(3)
    for part in np.array_split(lengths, 7):
        histograms.add(part, np.full(len(part), 1))
    assert histograms.median(1) == pytest.approx(np.median(lengths), rel=0.03, abs=3e-4)
    assert histograms.share_above(1, scale) == pytest.approx(np.exp(-0.5), abs=0.03)        # of Rayleigh's distribution
    assert np.isnan(histograms.median(0)) and histograms.share_above(0, 1.0) == 0.0


def test_the_largest_patch_counts_and_thin_lines_do_not() -> None:
    error = np.zeros((60, 80), np.float32)
    error[10:20, 30:50], error[40:48, 10:18], error[:, 70:73] = 2.0, 5.0, 9.0
    known = np.ones(error.shape, bool)
    share, at = stray_share(error, known)
    assert share == pytest.approx(200 / 4800) and at == (39, 14)
    assert stray_share(error, error < 1) == (0.0, (0, 0))
