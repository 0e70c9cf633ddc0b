# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawing against the published one by OpenCV, as the annotators of the pose-controlled models draw it."""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
import pytest
from lucid.inference.conditioning.pose import (
    ABSENT,
    COLOURS,
    EXACT_SIDE,
    FACE,
    HANDS,
    HIDDEN_OTHER,
    HIDDEN_SELF,
    JOINTS,
    LIMB_DIMMING,
    LIMBS,
    OUTSIDE,
    POINTS,
    SEEN,
    draw_openpose,
    drawn,
    mirrored,
    stick_radius,
)

HEIGHT, WIDTH = 480, 832
ALL = np.ones((1, 18), bool)
EVERY = np.ones((1, 128), bool)


def person(scale: float = 0.45, x: float = 0.0, y: float = 0.0, lean: float = 0.0) -> np.ndarray:
    """A standing person of 700 px times ``scale`` in the middle of the picture, (1, 18, 2)."""
    points = {"nose": (0, -330), "neck": (0, -250), "r_shoulder": (-80, -245), "r_elbow": (-115, -120), "r_wrist": (-100, 0),
              "l_shoulder": (80, -245), "l_elbow": (130, -130), "l_wrist": (170, -20), "r_hip": (-50, 20), "r_knee": (-60, 180),
              "r_ankle": (-70, 340), "l_hip": (50, 20), "l_knee": (80, 180), "l_ankle": (60, 335), "r_eye": (-18, -350),
              "l_eye": (18, -350), "r_ear": (-42, -335), "l_ear": (42, -335)}
    xy = np.array([points[name] for name in JOINTS], np.float64)
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    return (scale * xy @ turn.T + [WIDTH / 2 + x, HEIGHT / 2 + y])[None]


def whole_person(seed: int = 3, **place: float) -> np.ndarray:
    """``person`` with fingers spread from the wrists and a face around the nose, (1, 128, 2)."""
    body, rng = person(**place), np.random.default_rng(seed)
    hands = []
    for side in "lr":
        spread = rng.uniform(-20.0, 20.0, (21, 2))
        spread[0] = 0.0
        hands.append(body[:, JOINTS.index(f"{side}_wrist"), None] + spread)
    face = body[:, :1] + rng.uniform(-15.0, 15.0, (1, 68, 2))
    return np.concatenate([body, *hands, face], axis=1)


def as_published(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """What DWPose draws into a picture of this size, by OpenCV: (height, width, 3) uint8.

    util.py of DWPose: draw_bodypose, draw_handpose and draw_facepose, on coordinates from 0 to 1."""
    canvas = np.zeros((height, width, 3), np.uint8)
    for colour, (a, b) in zip(COLOURS, LIMBS, strict=False):
        for xy in points:
            dx, dy = xy[a] - xy[b]
            middle = (int(np.mean(xy[[a, b], 0])), int(np.mean(xy[[a, b], 1])))
            axes = (int((dx ** 2 + dy ** 2) ** 0.5 / 2), 4)
            polygon = cv2.ellipse2Poly(middle, axes, int(math.degrees(math.atan2(dy, dx))), 0, 360, 1)
            cv2.fillConvexPoly(canvas, polygon, colour)
    canvas = (canvas * 0.6).astype(np.uint8)
    for joint, colour in enumerate(COLOURS):
        for xy in points:
            cv2.circle(canvas, (int(xy[joint][0]), int(xy[joint][1])), 4, colour, thickness=-1)
    bones = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (0, 9), (9, 10), (10, 11), (11, 12), (0, 13),
             (13, 14), (14, 15), (15, 16), (0, 17), (17, 18), (18, 19), (19, 20)]
    for hand in points[:, 18:60].reshape(-1, 21, 2).astype(int).tolist():
        for number, (a, b) in enumerate(bones):
            colour = np.array(colorsys.hsv_to_rgb(number / 20.0, 1.0, 1.0)) * 255
            cv2.line(canvas, hand[a], hand[b], colour, thickness=2)
        for spot in hand:
            cv2.circle(canvas, spot, 4, (0, 0, 255), thickness=-1)
    for spot in points[:, 60:].reshape(-1, 2).astype(int).tolist():
        cv2.circle(canvas, spot, 3, (255, 255, 255), thickness=-1)
    return canvas


def annotated(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """What VACE's annotator gives: drawn with a short side of 1024 and sides of 64s, shrunk by area."""
    scale = 1024 / min(height, width)
    rows, columns = (int(np.round(side * scale / 64.0)) * 64 for side in (height, width))
    canvas = as_published(points * [columns / width, rows / height], rows, columns)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


POSES = {"upright": {}, "leaning": {"lean": 0.7}, "small": {"scale": 0.3, "x": 200, "y": 90, "lean": -1.2},
         "head down": {"scale": 0.3, "lean": 2.5}}


@pytest.mark.parametrize("place", POSES.values(), ids=POSES)
@pytest.mark.parametrize("size", [(480, 832), (832, 480), (720, 1280), (384, 672)], ids=str)
def test_the_drawing_is_the_annotators_pixel_for_pixel(place: dict[str, float], size: tuple[int, int]) -> None:
    points = np.concatenate([whole_person(**place), whole_person(5, **place) + 31.7])
    points = points * np.min(size) / HEIGHT
    points += np.array(size[::-1]) / 2 - points[:, :18].mean((0, 1))
    ours = np.round(draw_openpose(points, np.repeat(EVERY, 2, 0), *size) * 255).astype(int)
    difference = np.abs(ours - annotated(points, *size)).max(-1)
    # a sum of floats that falls on the other side of a half: one level; and OpenCV's fixed-point lines, once in thousands
    assert (difference > 1).sum() <= 4
    assert (difference > 0).mean() < 1e-3


def test_a_large_picture_is_drawn_on_as_it_is() -> None:
    points = 2.0 * whole_person()
    ours = np.round(draw_openpose(points, EVERY, 1088, 1920) * 255).astype(np.uint8)
    assert (ours != as_published(points, 1088, 1920)).any(-1).sum() <= 4


def test_a_hand_and_a_face_without_some_points() -> None:
    points, shown = whole_person(), EVERY.copy()
    shown[0, 18 + np.array([2, 6, 7, 8])] = False            # one bone of the thumb, most of the left index finger
    shown[0, 39:60] = False                                  # the right hand
    shown[0, 61:] = False                                    # all of the face but one
    colours = draw_openpose(points, shown, 1088, 1920)
    found = {tuple(np.round(c * 255).astype(int)) for c in colours[colours.any(-1)]}
    bone = {number: tuple(round(255 * v) for v in colorsys.hsv_to_rgb(number / 20, 1.0, 1.0)) for number in range(20)}
    assert not {bone[1], bone[2], bone[5], bone[6]} & (found - set(COLOURS))
    assert {bone[3], bone[11], bone[19], (255, 255, 255)} <= found
    points[0, ~shown[0]] = np.nan                            # absent points are NaN in a shot
    assert np.array_equal(colours, draw_openpose(points, shown, 1088, 1920))


def test_a_small_picture_has_lines_and_no_hands() -> None:
    """As the embedded model learnt them."""
    size = (EXACT_SIDE - 8, 480)
    points = whole_person() * 0.4
    assert np.array_equal(draw_openpose(points, EVERY, *size), draw_openpose(points[:, :18], ALL, *size))
    assert set(np.unique(draw_openpose(points, EVERY, 144, 256)[..., 0] * 255).round().astype(int)) <= {
        0, 51, 102, 153, 85, 170, 255}                       # nothing is smoothed


def test_nobody_is_black() -> None:
    assert not draw_openpose(np.zeros((0, 18, 2)), np.zeros((0, 18), bool), 48, 64).any()
    assert not draw_openpose(person(), ~ALL, HEIGHT, WIDTH).any()


def test_a_limb_needs_both_joints() -> None:
    shown = np.zeros((1, 18), bool)
    shown[0, [JOINTS.index("neck"), JOINTS.index("r_elbow")]] = True       # no limb joins these two
    picture = draw_openpose(person(), shown, 1088, 1920)
    colours = {tuple(np.round(c * 255).astype(int)) for c in picture[picture.any(-1)]}
    assert colours == {COLOURS[JOINTS.index("neck")], COLOURS[JOINTS.index("r_elbow")]}


def test_limbs_are_dimmed_and_joints_are_not() -> None:
    shown = np.zeros((1, 18), bool)
    neck, shoulder = JOINTS.index("neck"), JOINTS.index("r_shoulder")
    shown[0, [neck, shoulder]] = True
    pose = person()
    picture = draw_openpose(pose, shown, 1088, 1920)
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
    for size in ((256, 256), (480, 832)):
        picture = draw_openpose(pose, ALL, *size)
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
    """Detectors report a hand behind the back, but no nose or eye from behind."""
    for code, wanted in ((ABSENT, set()), (SEEN, set(POINTS)), (HIDDEN_OTHER, set()), (OUTSIDE, set()),
                         (HIDDEN_SELF, {*JOINTS, *HANDS} - {"nose", "l_eye", "r_eye", "l_ear", "r_ear"})):
        for count in (18, 128):
            shown = drawn(np.full((2, count), code, np.uint8))
            assert shown.shape == (2, count)
            assert {POINTS[i] for i in np.flatnonzero(shown[1])} == wanted & set(POINTS[:count])


def test_the_names_of_points_are_the_models() -> None:
    """Counts of OpenPose, DWPose's hands (left first) and iBUG's 68, and landmarks known by number."""
    assert len(set(POINTS)) == 128 and POINTS[18:39] == HANDS[:21] and POINTS[18] == "l_hand"
    assert HANDS[:21].index("l_index_4") == 8 and HANDS[21:].index("r_pinky_1") == 17
    known = {0: "r_jaw_8", 8: "chin", 16: "l_jaw_8", 17: "r_brow_5", 21: "r_brow_1", 22: "l_brow_1", 27: "bridge_1",
             30: "bridge_4", 31: "r_nostril_2", 33: "septum", 36: "r_lid_outer", 39: "r_lid_inner", 42: "l_lid_inner",
             45: "l_lid_outer", 48: "r_lip_corner", 51: "lip_top", 54: "l_lip_corner", 57: "lip_bottom",
             60: "r_mouth_corner", 62: "mouth_top", 64: "l_mouth_corner", 66: "mouth_bottom"}
    assert {number: FACE[number] for number in known} == known


def test_mirroring_twice_is_nothing_and_swaps_sides() -> None:
    pose = whole_person()
    flipped = mirrored(pose, WIDTH)
    assert np.allclose(mirrored(flipped, WIDTH), pose)
    assert np.array_equal(mirrored(pose[:, :18], WIDTH), flipped[:, :18])
    assert np.allclose(flipped[0, 60:77, 0], WIDTH - pose[0, 76:59:-1, 0])       # the jaw runs the other way
    left, right = JOINTS.index("l_wrist"), JOINTS.index("r_wrist")
    assert flipped[0, left, 0] == pytest.approx(WIDTH - pose[0, right, 0])
    assert flipped[0, left, 1] == pose[0, right, 1]


def test_the_drawing_of_a_mirrored_person_differs_from_the_mirrored_drawing() -> None:
    """Colours name sides: a mirrored picture needs its skeleton drawn again."""
    pose = person(lean=0.3)
    again = draw_openpose(mirrored(pose, WIDTH), ALL, HEIGHT, WIDTH)
    turned = draw_openpose(pose, ALL, HEIGHT, WIDTH)[:, ::-1]
    overlap = (again.any(-1) & turned.any(-1)).sum() / (again.any(-1) | turned.any(-1)).sum()
    assert overlap > 0.8                                     # whole pixels are cut off towards the left
    assert not np.allclose(again, turned)
