# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of the training samples, and every word they can hold."""

from __future__ import annotations

import re

import numpy as np

from .palette import COLOURS, GROUNDS, MOODS, WALLS, Look

Rng = np.random.Generator

NOUNS: dict[str, tuple[str, ...]] = {
    "human": ("man", "woman", "person", "figure", "dancer", "astronaut", "man", "character", "actor"),
    "robot": ("robot", "robot", "android", "figure", "character"),
    "animal": ("dog", "fox", "animal", "creature", "horse", "wolf", "cat"),
    "ball": ("ball", "ball", "sphere"),
    "box": ("box", "cube", "crate"),
    "cylinder": ("cylinder", "barrel", "pillar"),
    "cone": ("cone",),
    "car": ("car", "car", "vehicle"),
}
_VERBS: dict[str, tuple[str, ...]] = {
    "human": ("walking", "standing", "running", "turning", "waving", "moving"),
    "robot": ("walking", "standing", "moving"),
    "animal": ("walking", "running", "standing"),
    "ball": ("rolling", "bouncing", "flying"),
    "car": ("driving", "standing"),
}
_STYLES = ("cinematic", "film still", "photo", "video", "detailed")
_GLUE = (
    "a an the in on at of with and from left right street plaza field room houses walls floor house sky light night day shot "
    "scene city road tree trees grass snow sand wall building buildings wearing coat suit empty"
)


def words() -> list[str]:
    """All words the captions use, sorted: the vocabulary of the tokenizer."""
    text = [_GLUE, *COLOURS, *GROUNDS, *WALLS, *_STYLES, *(mood.words for mood in MOODS)]
    for group in (*NOUNS.values(), *_VERBS.values()):
        text += group
    return sorted(set(re.findall(r"[a-z]+", " ".join(text))))


def name_actor(rng: Rng, kind: str, colour: str | None) -> str:
    """ "a red man", "a man in red", "a ball" ..."""
    noun = str(rng.choice(NOUNS[kind]))
    if colour is None:
        phrase = f"a {noun}"
    elif kind == "human" and rng.random() < 0.25:
        phrase = f"a {noun} {rng.choice(['in', 'wearing'])} {colour}"
    else:
        phrase = f"{'an' if colour[0] == 'o' else 'a'} {colour} {noun}"
    if kind in _VERBS and rng.random() < 0.25:
        phrase += f" {rng.choice(_VERBS[kind])}"
    return phrase


def name_light(rng: Rng, look: Look, side: str) -> str:
    """The mood's words, and the sun's side unless the sky is overcast."""
    if side and look.mood.words != "soft overcast light" and rng.random() < 0.8:
        return f"{look.mood.words} from the {side}"
    return look.mood.words


def full_caption(rng: Rng, look: Look, kinds: list[str], side: str) -> str:
    """Actors, set and light. The set is sometimes missing, the light only in daylight: no word means day."""
    actors = [
        name_actor(rng, kind, colour if rng.random() > 0.1 else None)
        for kind, colour in zip(kinds, look.actor_colours, strict=True)
    ]
    chosen = [" and ".join(actors)] if actors else []
    if rng.random() < 0.95:
        chosen = [" in ".join([*chosen, look.set_words])]
    if look.mood.words != "bright daylight" or rng.random() < 0.8:
        chosen.append(name_light(rng, look, side))
    if rng.random() < 0.1:
        chosen.append(str(rng.choice(_STYLES)))
    return ", ".join(chosen)


def actor_caption(rng: Rng, look: Look, kinds: list[str], index: int, side: str) -> str:
    """Just the actor, its colour word in four of five, the light in half of them, now and then the set."""
    chosen = [name_actor(rng, kinds[index], look.actor_colours[index] if rng.random() > 0.2 else None)]
    if rng.random() < 0.15:
        chosen = [f"{chosen[0]} in {look.set_words}"]
    if rng.random() < 0.55:
        chosen.append(name_light(rng, look, side))
    return ", ".join(chosen)
