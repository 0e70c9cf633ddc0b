# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of the training samples, and every word they can hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .palette import COLOURS, FOGS, GROUNDS, MATERIALS, MOODS, PHRASES, WALLS, Look
from .pieces import NOUNS as PROPS

Rng = np.random.Generator

NOUNS: dict[str, tuple[str, ...]] = {
    "human": ("man", "woman", "person", "figure", "dancer", "astronaut", "man", "character", "actor"),
    "robot": ("robot", "robot", "android", "figure", "character"),
    "animal": ("animal", "creature"),
    "dog": ("dog", "dog", "dog", "wolf", "animal", "creature"),
    "fox": ("fox", "fox", "fox", "animal"),
    "horse": ("horse", "horse", "horse", "animal"),
    "cat": ("cat", "cat", "cat", "animal"),
    "ball": ("ball", "ball", "sphere"),
    "box": ("box", "cube", "crate"),
    "cylinder": ("cylinder", "barrel", "pillar"),
    "cone": ("cone",),
    "car": ("car", "car", "vehicle"),
}
_VERBS: dict[str, tuple[str, ...]] = {
    "human": ("walking", "standing", "running", "turning", "waving", "moving"),
    "robot": ("walking", "standing", "moving"),
    **dict.fromkeys(("animal", "dog", "fox", "horse", "cat"), ("walking", "running", "standing")),
    "ball": ("rolling", "bouncing", "flying"),
    "car": ("driving", "standing"),
}
_STYLES = ("cinematic", "film still", "photo", "video", "detailed")
_GLUE = (
    "a an the in on at of with and from left right street plaza field room houses walls floor house sky light night day shot "
    "scene city road tree trees grass snow sand wall building buildings wearing coat suit empty"
)


#: a camera's move as scenes have it -> its words
_MOVES: dict[str, tuple[str, ...]] = {
    "static": ("static shot", "static camera"),
    "pan left": ("camera pans left",),
    "pan right": ("camera pans right",),
    "tilt up": ("camera tilts up",),
    "tilt down": ("camera tilts down",),
    "zoom in": ("camera zooms in",),
    "zoom out": ("camera zooms out",),
    "dolly in": ("camera dollies in",),
    "dolly out": ("camera dollies out",),
    "truck left": ("camera trucks left",),
    "truck right": ("camera trucks right",),
    "pedestal up": ("camera pedestals up",),
    "pedestal down": ("camera pedestals down",),
    "tracking": ("tracking shot", "camera tracks"),
    "orbit left": ("camera orbits left",),
    "orbit right": ("camera orbits right",),
    "crane up": ("camera cranes up",),
    "crane down": ("camera cranes down",),
    "handheld": ("handheld shot", "handheld camera"),
    "dolly zoom": ("dolly zoom",),
}


def words() -> list[str]:
    """All words the captions use, sorted: the vocabulary of the tokenizer."""
    text = [_GLUE, *COLOURS, *GROUNDS, *WALLS, *MATERIALS, *FOGS, *PROPS, *_STYLES]
    text += [*PHRASES.values(), *(mood.words for mood in MOODS)]
    for group in (*NOUNS.values(), *_VERBS.values(), *_MOVES.values()):
        text += group
    return sorted(set(re.findall(r"[a-z]+", " ".join(text))))


def mirrored_move(move: str) -> str:
    """The move as a picture flipped left to right shows it."""
    return move.replace("left", "\0").replace("right", "left").replace("\0", "right")


def name_actor(rng: Rng, kind: str, colour: str | None, material: str = "") -> str:
    """ "a shiny red ball", "a red metal robot", "a man in red", "an animal" ..."""
    noun = str(rng.choice(NOUNS[kind]))
    before = material if material in ("shiny", "matte") else ""
    after = "" if before else material
    worn = colour is not None and kind == "human" and not material and rng.random() < 0.25
    named = " ".join(word for word in (before, "" if worn else colour, after, noun) if word)
    phrase = f"{'an' if named[0] in 'aeio' else 'a'} {named}"
    if worn:
        phrase += f" {rng.choice(['in', 'wearing'])} {colour}"
    if kind in _VERBS and rng.random() < 0.25:
        phrase += f" {rng.choice(_VERBS[kind])}"
    return phrase


def name_light(rng: Rng, look: Look, side: str) -> str:
    """The mood's words, and the sun's side unless the sky is overcast."""
    if side and look.mood.words != "soft overcast light" and rng.random() < 0.8:
        return f"{look.mood.words} from the {side}"
    return look.mood.words


def name_prop(noun: str) -> str:
    """ "a bench", "an arch", "stairs" ..."""
    return noun if noun.endswith("s") else f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _actors(rng: Rng, look: Look, kinds: list[str], chance: float) -> list[str]:
    """Each actor's phrase, with its colour by `chance`, and its material."""
    return [name_actor(rng, kind, colour if rng.random() < chance else None, material)
            for kind, colour, material in zip(kinds, look.actor_colours, look.actor_materials, strict=True)]


def full_caption(rng: Rng, look: Look, kinds: list[str], side: str, move: str = "", props: Sequence[str] = ()) -> str:
    """Actors, set, weather, light, now and then one of the set's `props` and the camera's `move`. The set is sometimes
    missing, the light only in daylight: no word means day, and no word of the weather clear air."""
    actors = _actors(rng, look, kinds, 0.9)
    chosen = [" and ".join(actors)] if actors else []
    if rng.random() < 0.95:
        chosen = [" in ".join([*chosen, look.set_words])]
        if props and rng.random() < 0.25:
            chosen[0] += f" with {name_prop(str(rng.choice(props)))}"
    if look.fog_words:
        chosen.append(look.fog_words)
    if look.mood.words != "bright daylight" or rng.random() < 0.8:
        chosen.append(name_light(rng, look, side))
    if move and rng.random() < 0.1:
        chosen.append(str(rng.choice(_MOVES[move])))
    if rng.random() < 0.1:
        chosen.append(str(rng.choice(_STYLES)))
    return ", ".join(chosen)


def actor_caption(rng: Rng, look: Look, kinds: list[str], index: int, side: str) -> str:
    """Just the actor, its colour word in four of five, the light in half of them, now and then the set and the weather."""
    chosen = [_actors(rng, look, kinds, 0.8)[index]]
    if rng.random() < 0.15:
        chosen = [f"{chosen[0]} in {look.set_words}"]
    if look.fog_words and rng.random() < 0.5:
        chosen.append(look.fog_words)
    if rng.random() < 0.55:
        chosen.append(name_light(rng, look, side))
    return ", ".join(chosen)
