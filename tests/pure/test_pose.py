# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenPose drawing against OpenCV's own polygons, drawn as the annotators of the pose-controlled models draw."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from lucid.inference.conditioning.pose import (
    ABSENT,
    COLOURS,
    HIDDEN_OTHER,
    HIDDEN_SELF,
    JOINTS,
    LIMB_DIMMING,
    LIMBS,
    OUTSIDE,
    SEEN,
    draw_openpose,
    drawn,
    mirrored,
    stick_radius,
)

HEIGHT, WIDTH = 1024, 1360
STICK = 4
ALL = np.ones((1, 18), bool)


def person(scale: float = 1.0, x: float = 0.0, y: float = 0.0, lean: float = 0.0) -> np.ndarray:
    """A standing person in pixels of a 1024 px high picture, (1, 18, 2)."""
    points = {"nose": (0, -330), "neck": (0, -250), "r_shoulder": (-80, -245), "r_elbow": (-115, -120), "r_wrist": (-100, 0),
              "l_shoulder": (80, -245), "l_elbow": (130, -130), "l_wrist": (170, -20), "r_hip": (-50, 20), "r_knee": (-60, 180),
              "r_ankle": (-70, 340), "l_hip": (50, 20), "l_knee": (80, 180), "l_ankle": (60, 335), "r_eye": (-18, -350),
              "l_eye": (18, -350), "r_ear": (-42, -335), "l_ear": (42, -335)}
    xy = np.array([points[name] for name in JOINTS], np.float64)
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    return (scale * xy @ turn.T + [WIDTH / 2 + x, HEIGHT / 2 + y])[None]


def drawn_by_opencv(joints: np.ndarray) -> np.ndarray:
    """Limbs as ellipse polygons, everything dimmed, then joints as filled circles: (H, W, 3) in [0, 1].

    OpenCV's integer coordinates name pixel centres, ours pixel corners, hence the half pixel."""
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for xy in joints - 0.5:
        for colour, (a, b) in zip(COLOURS, LIMBS, strict=False):
            (xa, ya), (xb, yb) = xy[a], xy[b]
            middle = (round((xa + xb) / 2), round((ya + yb) / 2))
            axes = (int(math.hypot(xb - xa, yb - ya) / 2), STICK)
            angle = int(math.degrees(math.atan2(yb - ya, xb - xa)))
            cv2.fillConvexPoly(canvas, cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1), colour)
        canvas = (canvas * LIMB_DIMMING).astype(np.uint8)
        for joint, colour in enumerate(COLOURS):
            cv2.circle(canvas, (round(xy[joint][0]), round(xy[joint][1])), STICK, colour, thickness=-1)
    return canvas.astype(np.float32) / 255.0


@pytest.mark.parametrize("pose", [person(), person(lean=0.7), person(0.6, 200, 90, -1.2), person(1.3, lean=2.5)],
                         ids=["upright", "leaning", "small", "head down"])
def test_the_drawing_is_opencvs_within_two_pixels(pose: np.ndarray) -> None:
    """OpenCV rounds centres, axes and angles to integers: our pixels may lie 2 px off theirs, and the other way round,
    the shapes overlap by 80 % and where both are well inside, the colours are equal."""
    ours, theirs = draw_openpose(pose, ALL, HEIGHT, WIDTH), drawn_by_opencv(pose)
    a, b = ours.any(-1), theirs.any(-1)
    assert (a & b).sum() / (a | b).sum() >= 0.8
    for inner, outer in ((a, b), (b, a)):
        distance = cv2.distanceTransform((~outer).astype(np.uint8), cv2.DIST_L2, 5)
        assert distance[inner].max() <= 2.0 + 1.0         # + 1: the transform measures to pixel centres
    kernel = np.ones((3, 3), np.uint8)
    same = (np.abs(ours - theirs).max(-1) <= 1.5 / 255.0)[a & b]
    assert same.mean() >= 0.9
    inside = cv2.erode((a & b).astype(np.uint8), kernel).astype(bool)
    assert (np.abs(ours - theirs).max(-1) <= 1.5 / 255.0)[inside].mean() >= 0.93


def test_nobody_is_black() -> None:
    assert not draw_openpose(np.zeros((0, 18, 2)), np.zeros((0, 18), bool), 48, 64).any()
    assert not draw_openpose(person(), ~ALL, HEIGHT, WIDTH).any()


def test_a_limb_needs_both_joints() -> None:
    shown = np.zeros((1, 18), bool)
    shown[0, [JOINTS.index("neck"), JOINTS.index("r_elbow")]] = True       # no limb joins these two
    picture = draw_openpose(person(), shown, HEIGHT, WIDTH)
    colours = {tuple(np.round(c * 255).astype(int)) for c in picture[picture.any(-1)]}
    assert colours == {COLOURS[JOINTS.index("neck")], COLOURS[JOINTS.index("r_elbow")]}


def test_limbs_are_dimmed_and_joints_are_not() -> None:
    shown = np.zeros((1, 18), bool)
    neck, shoulder = JOINTS.index("neck"), JOINTS.index("r_shoulder")
    shown[0, [neck, shoulder]] = True
    pose = person()
    picture = draw_openpose(pose, shown, HEIGHT, WIDTH)
    x, y = pose[0, [neck, shoulder]].mean(0)
    assert np.allclose(picture[int(y), int(x)] * 255, np.array(COLOURS[0]) * LIMB_DIMMING, atol=0.5)
    assert np.allclose(picture[int(pose[0, neck, 1]), int(pose[0, neck, 0])] * 255, COLOURS[neck], atol=0.5)


def test_reversed_channels_are_the_same_picture_in_bgr() -> None:
    plain = draw_openpose(person(), ALL, HEIGHT, WIDTH)
    assert np.array_equal(draw_openpose(person(), ALL, HEIGHT, WIDTH, reverse_channels=True), plain[..., ::-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9, -1e9])
def test_joints_far_outside_or_undefined_do_no_harm(bad: float) -> None:
    pose = person()
    pose[0, JOINTS.index("r_wrist")] = bad
    picture = draw_openpose(pose, ALL, 256, 256)
    assert np.isfinite(picture).all() and picture.max() <= 1.0 and picture.min() >= 0.0


def test_a_later_joint_is_drawn_over_an_earlier_one() -> None:
    pose = np.full((1, 18, 2), 32.0)
    picture = draw_openpose(pose, ALL, 64, 64)
    assert np.allclose(picture[32, 32] * 255, COLOURS[-1], atol=0.5)


def test_sticks_scale_with_the_picture_but_stay_lines() -> None:
    assert stick_radius(1024, 2000) == 4.0
    assert stick_radius(2048, 4000) == 8.0
    assert stick_radius(144, 256) == stick_radius(64, 64) > 1.0


def test_which_joints_are_drawn() -> None:
    codes = np.array([ABSENT, SEEN, HIDDEN_SELF, HIDDEN_OTHER, OUTSIDE], np.uint8)
    assert drawn(codes).tolist() == [False, True, True, False, False]


def test_mirroring_twice_is_nothing_and_swaps_sides() -> None:
    pose = person()
    flipped = mirrored(pose, WIDTH)
    assert np.allclose(mirrored(flipped, WIDTH), pose)
    left, right = JOINTS.index("l_wrist"), JOINTS.index("r_wrist")
    assert flipped[0, left, 0] == pytest.approx(WIDTH - pose[0, right, 0])
    assert flipped[0, left, 1] == pose[0, right, 1]


def test_the_drawing_of_a_mirrored_person_differs_from_the_mirrored_drawing() -> None:
    """Colours name sides: a mirrored picture needs its skeleton drawn again."""
    pose = person(lean=0.3)
    again = draw_openpose(mirrored(pose, WIDTH), ALL, HEIGHT, WIDTH)
    turned = draw_openpose(pose, ALL, HEIGHT, WIDTH)[:, ::-1]
    overlap = (again.any(-1) & turned.any(-1)).sum() / (again.any(-1) | turned.any(-1)).sum()
    assert overlap > 0.95
    assert not np.allclose(again, turned)
