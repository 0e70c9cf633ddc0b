# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference images of training samples: an actor on white, as WanVACEPipeline gets them."""

from __future__ import annotations

import cv2
import numpy as np

from .dataset import Clip, picture
from .palette import Look
from .shapes import Array

SMALLEST = 150  # pixels of an actor that is worth a reference image


def can_refer(clip: Clip) -> bool:
    """Whether an actor of the clip is large enough somewhere to be a reference."""
    return bool((clip.sizes >= SMALLEST).any())


def cut_out(rng: np.random.Generator, clip: Clip, look: Look, actor: int) -> Array:
    """(h, w, 3) in [-1, 1]: the actor on white in a frame where it can be seen, cropped to it with a little air."""
    sizes = clip.sizes[actor]
    frames = np.flatnonzero(sizes >= min(SMALLEST, sizes.max()))
    frame = int(rng.choice(frames))
    span = slice(frame, frame + 1)
    matte = clip.matte(actor, span)[0]
    ys, xs = np.nonzero(matte)
    air = 2 + int(0.06 * (ys.max() - ys.min()))
    rows = slice(max(int(ys.min()) - air, 0), int(ys.max()) + air + 1)
    columns = slice(max(int(xs.min()) - air, 0), int(xs.max()) + air + 1)
    whole = picture(clip, look, span, slice(0, matte.shape[0]), slice(0, matte.shape[1]))[0]
    return np.where(matte[rows, columns, None], whole[rows, columns], np.float32(1.0)).astype(np.float32)


def letterbox(subject: Array, height: int, width: int) -> Array:
    """The subject (h, w, 3) scaled to fit (height, width, 3) and centred on white (1.0), as WanVACEPipeline's
    preprocess_conditions does it (bilinear, half-pixel centres)."""
    scale = min(height / subject.shape[0], width / subject.shape[1])
    fit_h, fit_w = int(subject.shape[0] * scale), int(subject.shape[1] * scale)
    canvas = np.ones((height, width, 3), np.float32)
    top, left = (height - fit_h) // 2, (width - fit_w) // 2
    canvas[top : top + fit_h, left : left + fit_w] = cv2.resize(subject, (fit_w, fit_h), interpolation=cv2.INTER_LINEAR)
    return canvas
