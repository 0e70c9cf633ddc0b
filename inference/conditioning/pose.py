# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons drawn as the pose-controlled models saw them: OpenPose's 18 joints, 21 points of each hand, 68 of the face.

Source: DWPose's ``util.py`` (``draw_bodypose``, ``draw_handpose``, ``draw_facepose``), as in controlnet_aux and VACE. VACE
draws on a picture whose short side is 1024, then shrinks it by area, and keeps the channels in BGR; it was trained on
bodies and faces, its hands are drawn by the same code. (Others: Wan-Fun draws the same strokes at 512; the xinsr
ControlNet wants sticks 2 to 7 times as thick, hands as here.)
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .strokes import disc, ellipse, reduced, thick_line

JOINTS = ("nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
          "r_ankle", "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
HANDS = tuple(f"{side}_{point}" for side in "lr" for point in
              ("hand", *(f"{finger}_{number}" for finger in FINGERS for number in (1, 2, 3, 4))))
# the 68 points of iBUG's faces, r for the person's own right: from ear to ear, brows, nose, eyes, outer and inner lips
_LIPS = ("top_2", "top_1", "top", "top_1", "top_2", "corner", "bottom_2", "bottom_1", "bottom", "bottom_1", "bottom_2")
_EYE = ("outer", "top_outer", "top_inner", "inner", "bottom_inner", "bottom_outer")
FACE = (*(f"r_jaw_{n}" for n in range(8, 0, -1)), "chin", *(f"l_jaw_{n}" for n in range(1, 9)),
        *(f"r_brow_{n}" for n in range(5, 0, -1)), *(f"l_brow_{n}" for n in range(1, 6)),
        *(f"bridge_{n}" for n in range(1, 5)), "r_nostril_2", "r_nostril_1", "septum", "l_nostril_1", "l_nostril_2",
        *(f"r_lid_{n}" for n in _EYE), *(f"l_lid_{_EYE[n]}" for n in (3, 2, 1, 0, 5, 4)),
        "r_lip_corner", *(f"{s}lip_{n}" for s, n in zip(("r_", "r_", "", "l_", "l_", "l_", "l_", "l_", "", "r_", "r_"), _LIPS,
                                                       strict=True)),
        "r_mouth_corner", "r_mouth_top", "mouth_top", "l_mouth_top", "l_mouth_corner", "l_mouth_bottom", "mouth_bottom",
        "r_mouth_bottom")
POINTS = JOINTS + HANDS + FACE
BODY_COUNT, HAND_COUNT, FACE_COUNT = 18, 21, 68

# the drawn limbs and the colours of limbs and joints, in OpenPose's order
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
         (0, 14), (14, 16), (0, 15), (15, 17))
COLOURS = ((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
           (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
           (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))
LIMB_DIMMING = 0.6
HAND_BONES = tuple((first if number else 0, first + 1) for finger in range(5)
                   for number, first in enumerate(range(4 * finger, 4 * finger + 4)))
HAND_COLOURS = tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in
                     (colorsys.hsv_to_rgb(bone / 20, 1.0, 1.0) for bone in range(20)))
HAND_JOINT, FACE_POINT = (0, 0, 255), (255, 255, 255)

# strokes in pixels of the picture that DWPose draws on, and its short side; sides are multiples of 64
DRAWN_SIDE, DRAWN_MULTIPLE = 1024, 64
STICK, FACE_DOT = 4, 3
# Below this short side such strokes are thinner than a line can be: there, bodies alone are drawn, with lines of
# 1.4 px, as the embedded model learnt them.
EXACT_SIDE = 360

# what pose.npz says of a joint in a frame
ABSENT, SEEN, HIDDEN_SELF, HIDDEN_OTHER, OUTSIDE = range(5)
_FACIAL = np.array([name == "nose" or name[2:] in {"eye", "ear"} or name in FACE for name in POINTS])


def stick_radius(height: int, width: int) -> float:
    """Half the stick width: 4 px at a short side of 1024, as DWPose draws, but never thinner than a line can be."""
    return max(STICK * min(height, width) / DRAWN_SIDE, 1.4)


def drawn(visibility: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Which of (..., N) points are drawn: seen ones, and those of body and hands that the actor itself hides (detectors
    report those too). ``N`` is 18, or 128 in the order of POINTS."""
    shown: NDArray[np.bool_] = (visibility == SEEN) | ((visibility == HIDDEN_SELF) & ~_FACIAL[:visibility.shape[-1]])
    return shown


def draw_openpose(points: NDArray[np.floating[Any]], shown: NDArray[np.bool_], height: int, width: int, *,
                  reverse_channels: bool = False) -> NDArray[np.float32]:
    """Draw people into one frame.

    ``points`` is (P, N, 2) in pixels (x, y; corner origin), ``shown`` (P, N); N is 18 for bodies alone, or 128 in the order
    of POINTS. Returns (height, width, 3) float32 in [0, 1] on black: limbs as ellipses dimmed to 0.6 in the order of
    LIMBS, joints as discs in full colour, then hands and faces. What ends in a point that is not shown is left out.
    ``reverse_channels`` gives BGR, as VACE was trained. From a short side of EXACT_SIDE on it is DWPose's drawing,
    pixel for pixel.
    """
    if min(height, width) < EXACT_SIDE:
        canvas = _thin_lines(points, shown, height, width)
    else:
        shown = shown & np.isfinite(points).all(-1)
        canvas = _as_dwpose(np.where(shown[..., None], points, 0.0), shown, height, width).astype(np.float32) / 255.0
    return canvas[..., ::-1].copy() if reverse_channels else canvas


def mirrored(points: NDArray[Any], width: float) -> NDArray[Any]:
    """Points (..., N, 2) of the horizontally flipped picture: x is mirrored and left and right change places."""
    names = POINTS[:points.shape[-2]]
    flipped = points[..., [names.index(_other_side(name)) for name in names], :].copy()
    flipped[..., 0] = width - flipped[..., 0]
    return flipped


def _other_side(name: str) -> str:
    return {"r_": "l_", "l_": "r_"}.get(name[:2], name[:2]) + name[2:]


def _as_dwpose(points: NDArray[Any], shown: NDArray[np.bool_], height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: drawn at DWPose's size and reduced; where the picture is larger than that, at its own."""
    scale = DRAWN_SIDE / min(height, width)
    size = (round(height * scale / DRAWN_MULTIPLE) * DRAWN_MULTIPLE, round(width * scale / DRAWN_MULTIPLE) * DRAWN_MULTIPLE)
    if size[0] < height or size[1] < width:
        size = (height, width)
    canvas = np.zeros((*size, 3), np.uint8)
    spots = points * (size[1] / width, size[0] / height)
    _draw_bodies(canvas, spots[:, :BODY_COUNT], shown[:, :BODY_COUNT])
    hands = slice(BODY_COUNT, BODY_COUNT + 2 * HAND_COUNT)
    for xy, ok in zip(spots[:, hands].reshape(-1, HAND_COUNT, 2), shown[:, hands].reshape(-1, HAND_COUNT), strict=True):
        _draw_hand(canvas, xy, ok)
    for xy in spots[:, hands.stop:][shown[:, hands.stop:]]:
        disc(canvas, _whole(xy), FACE_DOT, FACE_POINT)
    return canvas if size == (height, width) else reduced(canvas, height, width)


def _draw_bodies(canvas: NDArray[np.uint8], points: NDArray[Any], shown: NDArray[np.bool_]) -> None:
    for colour, (a, b) in zip(COLOURS, LIMBS, strict=False):
        dimmed = (int(colour[0] * LIMB_DIMMING), int(colour[1] * LIMB_DIMMING), int(colour[2] * LIMB_DIMMING))
        for xy in points[shown[:, a] & shown[:, b]]:
            x, y = xy[a] - xy[b]
            ellipse(canvas, _whole((xy[a] + xy[b]) / 2), (int(np.hypot(x, y) / 2), STICK),
                    int(np.degrees(np.arctan2(y, x))), dimmed)
    for joint, colour in enumerate(COLOURS):
        for xy in points[shown[:, joint], joint]:
            disc(canvas, _whole(xy), STICK, colour)


def _draw_hand(canvas: NDArray[np.uint8], points: NDArray[Any], shown: NDArray[np.bool_]) -> None:
    for (a, b), colour in zip(HAND_BONES, HAND_COLOURS, strict=True):
        if shown[a] and shown[b]:
            thick_line(canvas, _whole(points[a]), _whole(points[b]), colour)
    for xy in points[shown]:
        disc(canvas, _whole(xy), STICK, HAND_JOINT)


def _whole(xy: NDArray[Any]) -> tuple[int, int]:
    """The pixel that a point with corner origin lies in."""
    return int(xy[0]), int(xy[1])


def _thin_lines(points: NDArray[Any], shown: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float32]:
    """Bodies alone, unsmoothed, at the picture's own size."""
    canvas = np.zeros((height, width, 3), np.float32)
    radius = stick_radius(height, width)
    for xy, ok in zip(points, shown, strict=True):
        for colour, (a, b) in zip(COLOURS, LIMBS, strict=False):
            if ok[a] and ok[b]:
                _ellipse(canvas, xy[a], xy[b], radius, np.asarray(colour) * (LIMB_DIMMING / 255.0))
    for xy, ok in zip(points, shown, strict=True):
        for joint, colour in enumerate(COLOURS):
            if ok[joint]:
                _ellipse(canvas, xy[joint], xy[joint], radius, np.asarray(colour) / 255.0)
    return canvas


def _ellipse(canvas: NDArray[np.float32], a: NDArray[Any], b: NDArray[Any], radius: float,
             colour: NDArray[Any]) -> None:
    """Fill the ellipse whose major axis runs from a to b and whose minor half axis is ``radius`` (a disc if a = b)."""
    height, width = canvas.shape[:2]
    if not np.isfinite([*a, *b]).all():
        return
    reach = radius + 1.0
    x0, x1 = int(max(min(a[0], b[0]) - reach, 0)), int(min(max(a[0], b[0]) + reach + 1, width))
    y0, y1 = int(max(min(a[1], b[1]) - reach, 0)), int(min(max(a[1], b[1]) + reach + 1, height))
    if x0 >= x1 or y0 >= y1:
        return
    ys, xs = np.mgrid[y0:y1, x0:x1] + 0.5
    half = 0.5 * float(np.hypot(b[0] - a[0], b[1] - a[1]))
    cosine, sine = ((b[0] - a[0]) / (2 * half), (b[1] - a[1]) / (2 * half)) if half > 0 else (1.0, 0.0)
    dx, dy = xs - 0.5 * (a[0] + b[0]), ys - 0.5 * (a[1] + b[1])
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    inside = (along / max(half, radius)) ** 2 + (across / radius) ** 2 <= 1.0
    canvas[y0:y1, x0:x1][inside] = colour
