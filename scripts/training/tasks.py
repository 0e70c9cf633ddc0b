# SPDX-License-Identifier: GPL-3.0-or-later
"""Training samples with VACE semantics: a picture, a control video, a mask (1 = generate), a prompt, loss weights.

The controls are made by lucid.inference.conditioning, the same functions the worker uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lucid.inference.conditioning.compose import box, compose, dilate
from lucid.inference.conditioning.pose import draw_openpose, mirrored
from numpy.typing import NDArray

from .captions import actor_caption, full_caption
from .dataset import Clip, picture
from .palette import draw_look
from .shapes import Array

Rng = np.random.Generator

TASKS = {"depth": 0.50, "composed": 0.08, "actor": 0.32, "gray": 0.02, "inpaint": 0.04, "first": 0.03, "none": 0.01}
KNOWN_WEIGHT, ACTOR_WEIGHT = 0.3, 3.5


@dataclass
class Sample:
    """(F, H, W, 3) `target` and `control` in [-1, 1], (F, H, W) `mask` in {0, 1} and `weight` >= 0, float32."""

    target: Array
    control: Array
    mask: Array
    weight: Array
    prompt: str
    task: str


@dataclass
class Window:
    """What part of a clip a sample shows."""

    frames: slice
    rows: slice
    columns: slice
    flip: bool

    def cut(self, volume: NDArray[np.generic]) -> NDArray[np.generic]:
        """(F, H, W) of the clip -> the window's part, not flipped."""
        return volume[self.frames, self.rows, self.columns]


def _window(rng: Rng, clip: Clip, frames: int, height: int, width: int, actor: int) -> Window:
    """A random window, around the actor when one is given (-1 = anywhere)."""
    step = 2 if clip.frames >= 2 * frames and rng.random() < 0.3 else 1
    start = int(rng.integers(clip.frames - (frames - 1) * step))
    span = slice(start, start + (frames - 1) * step + 1, step)
    full_h, full_w = clip.slot.shape[1:]
    top, left = rng.integers(full_h - height + 1), rng.integers(full_w - width + 1)
    if actor >= 0:
        ys, xs = np.nonzero(clip.matte(actor, slice(start + (frames // 2) * step, start + (frames // 2) * step + 1))[0])
        if len(ys):
            y, x = rng.uniform(ys.min(), ys.max() + 1), rng.uniform(xs.min(), xs.max() + 1)
            y, x = 0.6 * (ys.min() + ys.max()) / 2 + 0.4 * y, 0.6 * (xs.min() + xs.max()) / 2 + 0.4 * x
            top = int(np.clip(y - height / 2 + rng.normal(0, height / 10), 0, full_h - height))
            left = int(np.clip(x - width / 2 + rng.normal(0, width / 10), 0, full_w - width))
    return Window(
        span, slice(int(top), int(top) + height), slice(int(left), int(left) + width), bool(rng.random() < 0.5)
    )


def project(clip: Clip, actor: int, frames: slice) -> tuple[Array, NDArray[np.bool_]]:
    """Joints of one actor in pixels of the whole picture (F, 18, 2) and which of them are seen or self-hidden."""
    view = np.linalg.inv(clip.camera[frames].astype(np.float64))
    local = np.einsum("fij,fkj->fki", view[:, :3, :3], clip.joints[actor, frames]) + view[:, None, :3, 3]
    z = local[..., 2]
    uv = local[..., :2] / np.maximum(z, 0.05)[..., None] * np.diag(clip.intrinsics)[:2] + clip.intrinsics[:2, 2]
    height, width = clip.slot.shape[1:]
    inside = (z > 0.05) & (uv >= 0).all(-1) & (uv[..., 0] < width) & (uv[..., 1] < height)
    xs, ys = np.clip(uv[..., 0], 0, width - 1).astype(int), np.clip(uv[..., 1], 0, height - 1).astype(int)
    f = np.arange(len(uv))[:, None]
    own = clip.matte(actor, frames)[f, ys, xs]
    return uv.astype(np.float32), inside & (own | (clip.z[frames][f, ys, xs].astype(np.float32) > z - 0.3))


def pose_control(clip: Clip, actors: list[int], window: Window) -> Array:
    """(F, h, w, 3) OpenPose drawing of the actors in the window, already flipped when the window is."""
    height, width = window.rows.stop - window.rows.start, window.columns.stop - window.columns.start
    found = [project(clip, actor, window.frames) for actor in actors]
    joints = np.stack([uv for uv, _ in found], 1) - np.float32([window.columns.start, window.rows.start])
    shown = np.stack([ok for _, ok in found], 1)
    if window.flip:
        joints = mirrored(joints, width)
        shown = mirrored(np.repeat(shown[..., None], 2, -1).astype(np.float32), 1.0)[..., 1] > 0.5
    return np.stack([draw_openpose(j, s, height, width) for j, s in zip(joints, shown, strict=True)])


def _mirror(volume: NDArray[np.generic], flip: bool) -> NDArray[np.generic]:
    return volume[:, :, ::-1] if flip else volume


def _context(rng: Rng, target: Array) -> Array:
    """The picture kept around a mask: now and then soft, as a generated environment is."""
    if rng.random() > 0.35:
        return target
    soft = target
    for _ in range(rng.integers(1, 5)):
        soft = 0.5 * soft + 0.25 * (np.roll(soft, 1, 1) + np.roll(soft, -1, 1))
        soft = 0.5 * soft + 0.25 * (np.roll(soft, 1, 2) + np.roll(soft, -1, 2))
    return soft.astype(np.float32)


def _skeletons(clip: Clip) -> list[int]:
    return [i for i in range(len(clip.actors)) if np.isfinite(clip.joints[i]).all()]


def _side(clip: Clip, flip: bool) -> str:
    lean = -clip.sun_right if flip else clip.sun_right
    return "" if abs(lean) < 0.35 else "right" if lean > 0 else "left"


def _actor_task(rng: Rng, clip: Clip, window: Window, actor: int, depth: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Control inside the mask, and the mask: the actor's matte dilated 2-24 px or its box, depth or pose in it."""
    matte = _mirror(clip.matte(actor, window.frames)[:, window.rows, window.columns], window.flip)
    grown = dilate(matte, int(rng.integers(2, 25)))
    mask = box(grown) if rng.random() < 0.25 else grown
    if actor in _skeletons(clip) and rng.random() < 0.5:
        control = compose(depth, pose_control(clip, [actor], window), dilate(matte, int(rng.integers(2, 9))) & mask)
    else:
        control = np.repeat(depth[..., None], 3, -1)
    return control * 2 - 1, mask


def _matte(clip: Clip, actors: list[int], window: Window) -> NDArray[np.bool_]:
    """(F, h, w) pixels of any of these actors in the window."""
    mattes = [clip.matte(actor, window.frames)[:, window.rows, window.columns] for actor in actors]
    empty = np.zeros(clip.slot[window.frames, window.rows, window.columns].shape, bool)
    return _mirror(np.any(mattes, 0) if mattes else empty, window.flip)


def _choose(rng: Rng, clip: Clip, task: str | None) -> tuple[str, int]:
    """The task, or one the clip can serve instead, and the actor it is about (-1 = none)."""
    weights = np.array(list(TASKS.values()))
    task = task or str(rng.choice(list(TASKS), p=weights / weights.sum()))
    if (task == "actor" and not clip.actors) or (task == "composed" and not _skeletons(clip)):
        task = "depth"
    if clip.actors and (task in ("actor", "composed") or rng.random() < 0.4):
        return task, int(rng.integers(len(clip.actors)))
    return task, -1


def draw(rng: Rng, clip: Clip, frames: int, height: int, width: int, task: str | None = None) -> Sample:
    """One sample of the given size; without `task` one is drawn by TASKS."""
    task, actor = _choose(rng, clip, task)
    window = _window(rng, clip, frames, height, width, actor)
    look = draw_look(rng, clip.kind, clip.actors, clip.slots)
    target = _mirror(picture(clip, look, window.frames, window.rows, window.columns), window.flip)
    depth = _mirror(window.cut(clip.control).astype(np.float32), window.flip)
    side = _side(clip, window.flip)
    mask = np.ones(depth.shape, np.float32)
    prompt = full_caption(rng, look, clip.actors, side)
    control = np.repeat(depth[..., None], 3, -1) * 2 - 1
    matte = _matte(clip, [actor] if actor >= 0 else [], window)
    weight = np.where(matte, 2.0, 1.0).astype(np.float32)
    if task == "actor":
        control, inside = _actor_task(rng, clip, window, actor, depth)
        mask = inside.astype(np.float32)
        weight = np.where(matte, ACTOR_WEIGHT, np.where(inside, 1.0, KNOWN_WEIGHT)).astype(np.float32)
        control = np.where(inside[..., None], control, _context(rng, target))
        prompt = actor_caption(rng, look, clip.actors, actor, side)
    elif task == "composed":
        people = _skeletons(clip)
        grown = dilate(_matte(clip, people, window), int(rng.integers(2, 9)))
        control = compose(depth, pose_control(clip, people, window), grown) * 2 - 1
    elif task in ("gray", "none"):
        luma = target @ np.float32([0.299, 0.587, 0.114])
        control = np.repeat(luma[..., None], 3, -1) if task == "gray" else np.zeros_like(target)
    elif task in ("inpaint", "first"):
        control, mask = _fill_task(rng, task, target, control)
        weight = np.where(mask > 0, weight, KNOWN_WEIGHT).astype(np.float32)
    return Sample(target, control, mask, weight, "" if rng.random() < 0.08 else prompt, task)


def _fill_task(rng: Rng, task: str, target: Array, depth: Array) -> tuple[Array, Array]:
    """Kept first frames, or a rectangle to fill, with depth or nothing (0) where it is generated."""
    frames, height, width = target.shape[:3]
    mask = np.ones((frames, height, width), np.float32)
    if task == "first":
        mask[: int(rng.choice([1, min(3, frames - 1)]))] = 0
    else:
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask[:] = 0
        mask[
            :, top : top + int(rng.integers(height // 4, height)), left : left + int(rng.integers(width // 4, width))
        ] = 1
    inside = depth if rng.random() < 0.5 else np.zeros_like(depth)
    return np.where(mask[..., None] > 0, inside, target).astype(np.float32), mask
