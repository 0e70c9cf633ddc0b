# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation scenes as the model bench asks about them: looks, true pictures, controls, exact motion and prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lucid.inference.adapters.base import GEOMETRY, LINES, NONE, Correspondence, Profile
from lucid.inference.conditioning.compose import box, dilate, overlay
from lucid.inference.generation.correspondence import correspondence
from lucid.inference.generation.noise import View, world_directions
from lucid.inference.truth.boundary import filled_plate, grow
from lucid.inference.truth.drift import Tracks, track_static
from lucid.inference.truth.geometry import static_flow
from lucid.scripts.training.captions import NOUNS
from lucid.scripts.training.dataset import Clip, Clips, picture
from lucid.scripts.training.palette import MOODS, Look, Mood, draw_look
from lucid.scripts.training.references import cut_out
from lucid.scripts.training.tasks import Window, depth_control, geometry_control, pose_control
from numpy.typing import NDArray

Video = NDArray[np.float32]
Mask = NDArray[np.bool_]

DAYLIGHT = MOODS[0]
#: share of the picture an actor covers on average for its colour and outline to be judged
SMALLEST, LARGEST = 0.01, 0.4


@dataclass(frozen=True, eq=False)
class Case:
    """One validation clip and the actor that is asked about. ``frames`` are shown to the model, ``judged`` measured;
    what is asked about the whole scene is asked with its ``leading`` actor."""

    clip: Clip
    actor: int
    seed: int
    frames: int
    judged: int
    leading: bool = True

    @property
    def noun(self) -> str:
        return NOUNS[self.clip.actors[self.actor]][0]

    @cached_property
    def matte(self) -> Mask:
        """(judged, H, W) pixels of the actor."""
        return self.clip.matte(self.actor, slice(0, self.judged))

    @cached_property
    def inside(self) -> Mask:
        """The matte without its rim, where no other colour bleeds in; the matte itself for a thin actor."""
        thin = grow(self.matte, -2)
        return thin if thin.sum() > 0.15 * self.matte.sum() else self.matte

    @cached_property
    def static(self) -> Mask:
        """(judged, H, W) surfaces that do not move."""
        table = np.zeros(256, bool)
        table[[slot for slot, (_, owner) in self.clip.slots.items() if owner < 0]] = True
        return table[self.clip.slot[: self.judged]]

    @cached_property
    def camera_flow(self) -> Video:
        """(judged - 1, H, W, 2) px, what the camera does to a world that stands still."""
        clip, n = self.clip, self.judged
        return static_flow(clip.z[:n].astype(np.float32), clip.intrinsics[:n], clip.camera[:n])

    @cached_property
    def flow(self) -> Video | None:
        """(judged - 1, H, W, 2) px of everything, from Lucid's own pass; None in clips that have none."""
        return None if self.clip.flow is None else self.clip.flow[: self.judged - 1].astype(np.float32)

    @cached_property
    def visible(self) -> Mask:
        """(judged - 1, H, W) where the next frame shows the same point, away from the outlines."""
        if self.clip.flow_valid is not None:
            seen = np.asarray(self.clip.flow_valid[: self.judged - 1])
        else:
            height, width = self.clip.slot.shape[1:]
            x, y = np.meshgrid(np.arange(width), np.arange(height))
            to = self.camera_flow + np.stack([x, y], -1)
            seen = (to >= 0).all(-1) & (to[..., 0] < width) & (to[..., 1] < height)
        return grow(seen, -1)

    @cached_property
    def correspondence(self) -> Correspondence | None:
        """From frame to frame of what is shown; None in clips without rest positions."""
        clip = self.clip
        if clip.instance is None or clip.rest is None:
            return None
        height, width = clip.slot.shape[1:]
        return correspondence([View(ids, rest, world_directions(K, pose, height, width)) for ids, rest, K, pose in
                               zip(clip.instance[: self.frames], clip.rest, clip.intrinsics, clip.camera, strict=False)])

    @cached_property
    def tracks(self) -> Tracks:
        """Static points of the first frame through the judged frames."""
        clip, n = self.clip, self.judged
        return track_static(clip.z[:n].astype(np.float32), clip.slot[:n], self.static, clip.intrinsics[:n], clip.camera[:n])

    def look(self, mood: Mood, colour: str | None = None, material: str = "", seed: int = 0) -> Look:
        """A look in clear air in which the actor wears the words given; the same seed gives the same rest. Without words
        it has a drawn colour and is matte, as all others are."""
        clip, mine = self.clip, [index == self.actor for index in range(len(self.clip.actors))]
        return draw_look(np.random.default_rng((self.seed, seed)), clip.kind, clip.actors, clip.slots, mood,
                         colours=tuple(colour if own else None for own in mine),
                         materials=tuple(material if own else "" for own in mine), fog="")

    def truth(self, look: Look) -> Video:
        """(frames, H, W, 3) sRGB in [0, 1]: the clip in that look."""
        shown = self.window
        return (picture(self.clip, look, shown.frames, shown.rows, shown.columns) + 1) / 2

    def plate(self, truth: Video) -> Video:
        """``truth`` with the actor (and the pixel its colour bleeds into) filled in from around it."""
        return filled_plate(truth[: self.judged], dilate(self.matte, 1))

    def shape(self, profile: Profile) -> Video:
        """(frames, H, W, 3) in [0, 1]: the control of all surfaces, in the form the model was trained on."""
        return (geometry_control if profile.control == GEOMETRY else depth_control)(self.clip, self.window)

    @property
    def window(self) -> Window:
        """The whole picture in the frames that are shown."""
        height, width = self.clip.slot.shape[1:]
        return Window(slice(0, self.frames), slice(0, height), slice(0, width), False)

    def painting(self, context: Video, profile: Profile, skeleton: bool = True) -> tuple[Video, Mask]:
        """Control and mask of the actor's layer as generation makes them: inside the grown silhouette the surfaces and
        the skeleton (of an actor that has one, unless it is left out), outside the kept picture."""
        matte = self.clip.matte(self.actor, slice(0, self.frames))
        mask = dilate(box(matte) if profile.mask_box else matte, profile.mask_grow)
        control = self.shape(profile)
        if skeleton and self.has_skeleton and profile.skeleton != NONE:
            pose = pose_control(self.clip, [self.actor], self.window)
            control = overlay(control, pose, pose.any(-1) if profile.skeleton == LINES else dilate(matte, profile.pose_grow))
        return np.where(mask[..., None], control, context), mask

    @property
    def has_skeleton(self) -> bool:
        return bool(np.isfinite(self.clip.joints[self.actor]).all())

    def reference(self, look: Look) -> Video:
        """(h, w, 3) sRGB in [0, 1]: the actor in that look on white, from one of the clip's frames."""
        return (cut_out(np.random.default_rng(self.seed), self.clip, look, self.actor) + 1) / 2


def make_cases(folder: Path, most: int, frames: int, judged: int) -> list[Case]:
    """The largest actor of every scene that is long enough, in the order of the seeds, then the second largest ones, of
    those that can be judged."""
    ranked: list[list[Case]] = [[], []]
    for seed, clip in enumerate(Clips(folder, validation=True).clips):
        if clip.frames < frames:
            continue
        sizes = [float(clip.matte(a, slice(0, judged)).mean()) for a in range(len(clip.actors))]
        for rank, actor in enumerate(np.argsort(sizes)[::-1][:2]):
            if SMALLEST <= sizes[actor] <= LARGEST:
                ranked[rank].append(Case(clip, int(actor), seed, frames, judged, leading=rank == 0))
    return [*ranked[0], *ranked[1]][:most]


def colour_prompt(case: Case, word: str) -> str:
    return f"{'an' if word[0] == 'o' else 'a'} {word} {case.noun}"


def scene_prompt(case: Case, look: Look) -> str:
    """Everybody with their colour, the set and the light: the longest caption of the training."""
    named = zip(case.clip.actors, look.actor_colours, strict=True)
    actors = [f"{'an' if colour[0] == 'o' else 'a'} {colour} {NOUNS[kind][0]}" for kind, colour in named]
    return f"{' and '.join(actors)} in {look.set_words}, {look.mood.words}"


def signature(frames: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Colour of the top quarter, mean and spread: enough to tell the moods of one scene apart."""
    top = frames[:, : frames.shape[1] // 4]
    return np.concatenate([top.mean((0, 1, 2)), frames.mean((0, 1, 2)), frames.std((0, 1, 2))])
