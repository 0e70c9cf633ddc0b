# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured shot as generation reads it, and what is measured along its surfaces: noise, joins of windows, retakes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from lucid.inference.adapters.base import Adapter, Order, Profile, Video
from lucid.inference.conditioning.fit import Fit, fit
from lucid.inference.errors import LucidError
from lucid.inference.generation.correspondence import positions, shown
from lucid.inference.generation.director import layer_seed
from lucid.inference.generation.footage import Footage
from lucid.inference.generation.noise import View, named_ids
from lucid.inference.generation.source import LayerSource, Noise, Paintable
from lucid.inference.shot.model import Layer, Shot
from lucid.inference.shot.store import open_shot
from lucid.inference.truth.colour import delta_e
from lucid.inference.truth.drift import Tracks, track_colours, track_static
from lucid.scripts.bench.noise_measures import by_owner, same_points, whiteness
from numpy.typing import NDArray

CELL = 8                # pixels of a latent
SEEDS, CHANNELS = (1, 2), 64    # of a frame: as many fields as the share of a test's failures needs
SEED = 3


@dataclass(frozen=True, eq=False)
class Captured:
    """A shot, open for one model's rules."""

    folder: Path
    shot: Shot
    profile: Profile
    fit: Fit

    @classmethod
    def open(cls, folder: Path, adapter: Adapter, frames: int | None = None) -> Captured:
        """The first ``frames`` of it. Raises LucidError."""
        shot = open_shot(folder, verify=False)
        count = len(shot.frames) if frames is None else frames
        plan = fit(count, shot.size, frames=adapter.windows(count).frames, multiple=adapter.profile.multiple)
        return cls(folder, shot, adapter.profile, plan)

    @cached_property
    def footage(self) -> Footage:
        return Footage(self.folder, self.shot, self.fit, normals=True, points=True)

    @cached_property
    def camera(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """K (F, 3, 3) and world_from_camera (F, 4, 4)."""
        with np.load(self.folder / "camera.npz") as data:
            return data["K"], data["world_from_camera"]

    def paintable(self, layer: Layer, noise: Noise) -> Paintable:
        return Paintable(self.footage, layer, self.profile, noise, {})

    def view(self, layer: Layer, frame: int) -> View:
        found = self.footage.views(self.paintable(layer, Noise(0)).surface(frame, frame + 1), frame)
        if found is None:
            raise LucidError("PASS_MISSING", f"{self.folder} has no rest pass", "capture it with every pass")
        return found[0]


# ---- noise

def noise(walk: Captured, side: Captured, actor: str) -> dict[str, float]:
    """Of the actor's layer (the environment behind it) in every frame of both shots."""
    pair = [captured.shot.layer(actor) for captured in (walk, side)]
    fields = [_fields(captured, layer) for captured, layer in zip((walk, side), pair, strict=True)]
    found: dict[str, float] = {f"noise_{name}": value for name, value in whiteness(fields[0]).items()}
    across: dict[int, list[float]] = {}
    onward: list[float] = []
    views = [walk.view(pair[0], frame) for frame in range(walk.fit.count)]
    for frame, view in enumerate(views):
        for owner, value in _agreement(view, side.view(pair[1], frame), fields[0][:, frame], fields[1][:, frame]).items():
            across.setdefault(owner, []).append(value)
    for frame, (view, after) in enumerate(pairwise(views)):
        onward += _agreement(view, after, fields[0][:, frame], fields[0][:, frame + 1]).values()
    means = [float(np.mean(values)) for values in across.values()]
    return found | {"noise_correlation": float(np.mean(means)), "noise_correlation_min": min(means),
                    "noise_instances": len(means), "noise_frame_to_frame": float(np.mean(onward)),
                    "noise_fields": fields[0].shape[0] * fields[0].shape[1]}


def _fields(captured: Captured, layer: Layer) -> NDArray[np.float32]:
    """(channels of all seeds, F, h, w)."""
    with tempfile.TemporaryDirectory() as scratch:
        stacks = []
        for seed in SEEDS:
            source = LayerSource(captured.paintable(layer, Noise(layer_seed(seed, layer.name))), Path(scratch))
            frames = [source.noise(frame, CHANNELS, CELL) for frame in range(captured.fit.count)]
            stacks.append(np.stack([one for one in frames if one is not None], axis=1))
        return np.concatenate(stacks)


def _agreement(one: View, other: View, noise_one: Video, noise_other: Video) -> dict[int, float]:
    """By instance, how the noise of two pictures correlates where they show the same points."""
    height, width = one.ids.shape
    here, there = same_points(positions(shown(one), shown(other), height, width), CELL)
    owner = one.ids[CELL // 2::CELL, CELL // 2::CELL][here]
    return by_owner(noise_one, noise_other, here, there, owner)


# ---- joins

def seams(video: Video, before: Video, joins: Sequence[int]) -> dict[str, float]:
    """Mean jump into the frames ``joins``, which are not in the same windows as the frame before, over the median jump
    elsewhere; see :func:`jumps` for the rest."""
    found = jumps(video, before)
    at = np.isin(np.arange(1, len(video)), joins)
    return {"seam_ratio": float(found[at].mean() / np.median(found[~at])), "seam_jump": float(found[at].mean()),
            "inside_jump": float(np.median(found[~at])), "seams": int(at.sum())}


def jumps(video: Video, before: Video) -> NDArray[np.float64]:
    """(F - 1,) mean absolute difference of each frame (F, H, W, 3) to the one before it, fetched from where the frame's points
    were: ``before`` (F, H, W, 2) px, NaN where that is not known, and there is no difference."""
    found = []
    for frame in range(1, len(video)):
        seen = np.isfinite(before[frame]).all(-1)
        place = np.where(seen[..., None], before[frame], 0.0).astype(np.float32)
        past = cv2.remap(video[frame - 1], place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        found.append(float(np.abs(video[frame] - past)[seen].mean()))
    return np.array(found)


def before(captured: Captured) -> Video:
    """(F, H, W, 2) where the environment's points were in the frame before."""
    with tempfile.TemporaryDirectory() as scratch:
        source = LayerSource(captured.paintable(captured.shot.environment, Noise(0)), Path(scratch))
        moves = source.correspondence(0, source.frames)
        source.close()
    if moves is None:
        raise LucidError("PASS_MISSING", f"{captured.folder} has no rest pass", "capture it with every pass")
    return moves.before


# ---- retakes

def retake(walk: Captured, side: Captured, adapter: Adapter, prompt: str) -> tuple[dict[str, float], list[Video]]:
    """How far the same places of the world differ in colour between a take and its retake, with anchored noise, with white
    noise and with other white noise; and the pictures of the environment, two by two."""
    found, videos = {}, []
    for name, anchored in (("retake_de", True), ("retake_de_pixel", False)):
        pictures = [environment(captured, adapter, prompt, anchored) for captured in (walk, side)]
        found[name] = world_difference(walk, side, *pictures)
        videos += pictures
    other = environment(side, adapter, prompt, False, seed=SEED + 1)
    found["retake_de_other"] = world_difference(walk, side, videos[2], other)
    return {"retake_gain": 1.0 - found["retake_de"] / found["retake_de_pixel"], **found,
            "retake_gain_other": 1.0 - found["retake_de"] / found["retake_de_other"],
            "retake_shift_px": shift(walk, side)}, [*videos, videos[2], other]


def shift(walk: Captured, side: Captured) -> float:
    """Median px between where the two cameras see the same points of the environment, middle frame."""
    at = _both(walk, side, walk.fit.count // 2).at
    found: NDArray[np.float64] = np.linalg.norm(at[1] - at[0], axis=-1)
    return float(np.nanmedian(found))


def environment(captured: Captured, adapter: Adapter, prompt: str, anchored: bool, seed: int = SEED) -> Video:
    """(F, H, W, 3) in [0, 1]: the environment's layer as a take has it."""
    layer = captured.shot.environment
    seed = layer_seed(seed, layer.name)
    with tempfile.TemporaryDirectory() as scratch:
        source = LayerSource(captured.paintable(layer, Noise(seed, anchored)), Path(scratch))
        painted = adapter.paint(source, Order(prompt, seed, captured.profile.steps), Path(scratch), lambda _done, _of: None)
        source.close()
        return captured.fit.crop(np.concatenate([frames for _, frames in painted.frames()])[:captured.fit.count])


def world_difference(walk: Captured, side: Captured, one: Video, other: Video) -> float:
    """Median CIE76 over the points of the environment that both cameras see in the same frame, of all frames."""
    gaps = []
    for frame in range(walk.fit.count):
        tracks = _both(walk, side, frame)
        colours = track_colours(np.stack([one[frame], other[frame]]), tracks)
        gap = delta_e(colours[1], colours[0])
        gaps.append(gap[np.isfinite(gap)])
    return float(np.median(np.concatenate(gaps)))


def _both(walk: Captured, side: Captured, frame: int) -> Tracks:
    """Points of the first camera's picture where the second one sees them."""
    depth, ids, intrinsics, poses = [], [], [], []
    for captured in (walk, side):
        plate = captured.footage.environment(frame, frame + 1)
        assert plate.ids is not None
        K, pose = captured.camera
        depth.append(captured.fit.crop(plate.depth)[0])
        ids.append(named_ids(captured.fit.crop(plate.ids)[0], captured.shot.instances))
        intrinsics.append(K[frame])
        poses.append(pose[frame])
    return track_static(np.stack(depth), np.stack(ids), np.ones((2, *depth[0].shape), bool), np.stack(intrinsics),
                        np.stack(poses))
