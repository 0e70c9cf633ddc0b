# SPDX-License-Identifier: GPL-3.0-or-later
"""Training samples with VACE semantics: a picture, a control video, a mask (1 = generate), a prompt, loss weights.

The controls are made by lucid.inference.conditioning, the same functions the worker uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from lucid.inference.conditioning.compose import box, dilate, overlay
from lucid.inference.conditioning.geometry import geometry
from lucid.inference.conditioning.layout import layout
from lucid.inference.conditioning.pose import draw_openpose, mirrored
from numpy.typing import NDArray

from .captions import actor_caption, full_caption, mirrored_move, name_actor
from .coding import NORMAL_UNIT
from .dataset import Clip, picture
from .palette import Look, draw_look
from .references import cut_out, letterbox
from .shapes import Array

Rng = np.random.Generator

TASKS = {
    "geometry": 0.38,
    "depth": 0.05,
    "composed": 0.07,
    "actor": 0.32,
    "layout": 0.04,
    "gray": 0.03,
    "inpaint": 0.05,
    "first": 0.05,
    "none": 0.01,
}
KNOWN_WEIGHT, ACTOR_WEIGHT = 0.3, 3.5
_SEEN = 0.002  # of the window: a smaller actor is not named


@dataclass
class Sample:
    """(F, H, W, 3) `target` and `control` in [-1, 1], (F, H, W) `mask` in {0, 1} and `weight` >= 0, float32;
    `reference` (H, W, 3) in [-1, 1]: the actor on white, as the pipeline letterboxes it, or None."""

    target: Array
    control: Array
    mask: Array
    weight: Array
    prompt: str
    task: str
    reference: Array | None = None


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
    lens = clip.intrinsics[frames]
    focal, centre = lens[:, None, (0, 1), (0, 1)], lens[:, None, :2, 2]
    uv = local[..., :2] / np.maximum(z, 0.05)[..., None] * focal + centre
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


def _actor_task(rng: Rng, clip: Clip, window: Window, actor: int, shape: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Control inside the mask, and the mask: the actor's matte dilated 2-24 px or its box. The control is the `shape` of
    everything, with the skeleton's lines over it (as the worker draws it), or now and then nothing but the skeleton."""
    matte = _matte(clip, [actor], window)
    grown = dilate(matte, int(rng.integers(2, 25)))
    mask = box(grown) if rng.random() < 0.25 else grown
    if actor in _skeletons(clip) and rng.random() < 0.6:
        pose = pose_control(clip, [actor], window)
        alone = dilate(matte, int(rng.integers(2, 9))) & mask if rng.random() < 0.25 else pose.any(-1)
        shape = overlay(shape, pose, alone)
    return shape * 2 - 1, mask


def _matte(clip: Clip, actors: list[int], window: Window) -> NDArray[np.bool_]:
    """(F, h, w) pixels of any of these actors in the window."""
    mattes = [clip.matte(actor, window.frames)[:, window.rows, window.columns] for actor in actors]
    empty = np.zeros(clip.slot[window.frames, window.rows, window.columns].shape, bool)
    return _mirror(np.any(mattes, 0) if mattes else empty, window.flip)


def _choose(rng: Rng, clip: Clip, task: str | None, referenced: bool) -> tuple[str, int]:
    """The task, or one the clip can serve instead, and the actor it is about (-1 = none)."""
    weights = np.array(list(TASKS.values()))
    task = task or str(rng.choice(list(TASKS), p=weights / weights.sum()))
    if (task == "actor" and not clip.actors) or (task == "composed" and not _skeletons(clip)):
        task = "depth"
    if referenced:
        return task, int(np.argmax(clip.sizes.max(1)))
    if clip.actors and (task in ("actor", "composed") or rng.random() < 0.4):
        return task, int(rng.integers(len(clip.actors)))
    return task, -1


def draw(
    rng: Rng, clip: Clip, frames: int, height: int, width: int, task: str | None = None, referenced: bool = False
) -> Sample:
    """One sample of the given size; without `task` one is drawn by TASKS. `referenced` adds a reference image of an
    actor, and the prompt is then mostly silent about its colour; the clip must have an actor (see `can_refer`)."""
    task, actor = _choose(rng, clip, task, referenced)
    if task == "first" and frames == 1:
        task = "inpaint"
    window = _window(rng, clip, frames, height, width, actor)
    look = draw_look(rng, clip.kind, clip.actors, clip.slots)
    target = _mirror(picture(clip, look, window.frames, window.rows, window.columns), window.flip)
    depth, shape = depth_control(clip, window), geometry_control(clip, window)
    side = _side(clip, window.flip)
    mask = np.ones(shape.shape[:3], np.float32)
    prompt = _caption(rng, clip, look, window, side)
    control = shape * 2 - 1
    matte = _matte(clip, [actor] if actor >= 0 else [], window)
    weight = np.where(matte, 2.0, 1.0).astype(np.float32)
    if task == "actor":
        control, inside = _actor_task(rng, clip, window, actor, shape if rng.random() < 0.9 else depth)
        mask = inside.astype(np.float32)
        weight = np.where(matte, ACTOR_WEIGHT, np.where(inside, 1.0, KNOWN_WEIGHT)).astype(np.float32)
        control = np.where(inside[..., None], control, _context(rng, target))
        prompt = actor_caption(rng, look, clip.actors, actor, side)
    elif task in ("inpaint", "first"):
        control, mask = _fill_task(rng, task, target, control)
        weight = np.where(mask > 0, weight, KNOWN_WEIGHT).astype(np.float32)
    else:
        control = _whole_control(rng, clip, window, task, target, shape if task != "depth" else depth)
    reference = None
    if referenced:
        reference = letterbox(cut_out(rng, clip, look, actor), height, width)
        if rng.random() < 0.8:
            prompt = name_actor(rng, clip.actors[actor], None)
    return Sample(target, control, mask, weight, "" if rng.random() < 0.08 else prompt, task, reference)


def _caption(rng: Rng, clip: Clip, look: Look, window: Window, side: str) -> str:
    """The caption of the whole window: it names the actors that can be seen there."""
    seen = [a for a in range(len(clip.actors)) if _matte(clip, [a], window).mean() > _SEEN]
    shown = replace(
        look,
        actor_colours=tuple(look.actor_colours[a] for a in seen),
        actor_materials=tuple(look.actor_materials[a] for a in seen),
    )
    move = mirrored_move(clip.move) if window.flip else clip.move
    moving = len(clip.slot[window.frames]) > 1
    return full_caption(rng, shown, [clip.actors[a] for a in seen], side, move if moving else "", clip.props)


def _grey(values: Array) -> Array:
    return np.repeat(values[..., None], 3, -1)


def _inverse(clip: Clip, window: Window) -> Array:
    return _mirror(window.cut(clip.control).astype(np.float32), window.flip)


def depth_control(clip: Clip, window: Window) -> Array:
    """(F, h, w, 3) in [0, 1]: grey inverse depth of the window."""
    return _grey(_inverse(clip, window))


def geometry_control(clip: Clip, window: Window) -> Array:
    """(F, h, w, 3) in [0, 1]: depth and normals of the window."""
    normal = _mirror(window.cut(clip.normal), window.flip).astype(np.float32) / np.float32(NORMAL_UNIT)
    if window.flip:
        normal = normal * np.float32([-1.0, 1.0])
    return geometry(_inverse(clip, window), normal, _mirror(window.cut(clip.slot) > 0, window.flip))


def _whole_control(rng: Rng, clip: Clip, window: Window, task: str, target: Array, shape: Array) -> Array:
    """(F, h, w, 3) in [-1, 1]: the control of a picture that is painted whole; `shape` is its geometry or depth."""
    if task == "composed":
        people = _skeletons(clip)
        pose = pose_control(clip, people, window)
        region = pose.any(-1) if rng.random() < 0.5 else dilate(_matte(clip, people, window), int(rng.integers(2, 9)))
        return overlay(shape, pose, region) * 2 - 1
    if task == "layout":
        return layout(_mirror(_instances(clip, window), window.flip)) * 2 - 1
    if task == "gray":
        return _grey(target @ np.float32([0.299, 0.587, 0.114]))
    return np.zeros_like(target) if task == "none" else shape * 2 - 1


def _instances(clip: Clip, window: Window) -> NDArray[np.uint32]:
    """(F, h, w) ids: 0 the sky, one for each actor, one for each kind of surface of the set."""
    table = np.zeros(256, np.uint32)
    for slot, (_, owner) in clip.slots.items():
        table[slot] = 1 + owner if owner >= 0 else 16 + slot
    return table[window.cut(clip.slot)]


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
