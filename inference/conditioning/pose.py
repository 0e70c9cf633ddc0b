# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenPose-18 skeletons drawn as the pose-controlled models saw them (DWPose's ``draw_bodypose``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

JOINTS = ("nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
          "r_ankle", "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear")

# the drawn limbs and the colours of limbs and joints, in OpenPose's order
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
         (0, 14), (14, 16), (0, 15), (15, 17))
COLOURS = ((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
           (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
           (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))
LIMB_DIMMING = 0.6

# what pose.npz says of a joint in a frame
ABSENT, SEEN, HIDDEN_SELF, HIDDEN_OTHER, OUTSIDE = range(5)


def stick_radius(height: int, width: int) -> float:
    """Half the stick width: 4 px at a short side of 1024, as DWPose draws, but never thinner than a line can be."""
    return max(4.0 * min(height, width) / 1024.0, 1.4)


def drawn(visibility: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Which joints are drawn: seen ones and those hidden by the actor itself (detectors report those too)."""
    return np.isin(visibility, (SEEN, HIDDEN_SELF))


def draw_openpose(joints: NDArray[np.floating[Any]], shown: NDArray[np.bool_], height: int, width: int, *,
                  reverse_channels: bool = False) -> NDArray[np.float32]:
    """Draw people into one frame.

    ``joints`` is (P, 18, 2) in pixels (x, y; corner origin), ``shown`` (P, 18). Returns (height, width, 3) float32 in
    [0, 1] on black: limbs as ellipses dimmed to 0.6 in the order of LIMBS, then joints as discs in full colour.
    A limb with a joint that is not shown is left out. ``reverse_channels`` gives BGR, as VACE was trained.
    Source: DWPose ``util.draw_bodypose`` (ellipse2Poly with the limb's half length and the stick width).
    """
    canvas = np.zeros((height, width, 3), np.float32)
    radius = stick_radius(height, width)
    for xy, ok in zip(joints, shown, strict=True):
        for colour, (a, b) in zip(COLOURS, LIMBS, strict=False):
            if ok[a] and ok[b]:
                _ellipse(canvas, xy[a], xy[b], radius, np.asarray(colour) * (LIMB_DIMMING / 255.0))
    for xy, ok in zip(joints, shown, strict=True):
        for joint, colour in enumerate(COLOURS):
            if ok[joint]:
                _ellipse(canvas, xy[joint], xy[joint], radius, np.asarray(colour) / 255.0)
    return canvas[..., ::-1].copy() if reverse_channels else canvas


def mirrored(joints: NDArray[Any], width: float) -> NDArray[Any]:
    """Joints (..., 18, 2) of the horizontally flipped picture: x is mirrored and left and right change places."""
    order = [JOINTS.index(_other_side(name)) for name in JOINTS]
    flipped = joints[..., order, :].copy()
    flipped[..., 0] = width - flipped[..., 0]
    return flipped


def _other_side(name: str) -> str:
    return {"r_": "l_", "l_": "r_"}.get(name[:2], name[:2]) + name[2:]


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
