# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours, palettes and light moods that turn a grey render of three lights into a picture, and the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Array

Rng = np.random.Generator
RGB = tuple[float, float, float]

#: linear albedo of the colour words; on display in white light the hues are 0, 27, 55, 120, 225, 280 and 330 degrees
COLOURS: dict[str, RGB] = {
    "red": (0.72, 0.03, 0.03),
    "orange": (0.80, 0.20, 0.015),
    "yellow": (0.80, 0.68, 0.03),
    "green": (0.04, 0.42, 0.04),
    "blue": (0.03, 0.113, 0.75),
    "purple": (0.307, 0.04, 0.55),
    "pink": (0.85, 0.25, 0.50),
    "white": (0.90, 0.90, 0.90),
    "black": (0.02, 0.02, 0.02),
    "gray": (0.27, 0.27, 0.27),
    "cyan": (0.05, 0.62, 0.70),
    "brown": (0.24, 0.11, 0.045),
}


@dataclass(frozen=True)
class Material:
    """How much of the albedo stays matte, and the share of what is mirrored: in white, and in the albedo's colour."""

    matte: float
    white: float = 0.0
    tinted: float = 0.0


#: word of an actor's material; without a word it is matte
MATERIALS: dict[str, Material] = {
    "matte": Material(1.0),
    "shiny": Material(1.0, white=0.05),
    "metal": Material(0.3, tinted=0.9),
    "glass": Material(0.12, white=0.05, tinted=0.6),
}
#: surfaces of the sets and of parts of actors that are not matte whatever the words
_SURFACES: dict[str, Material] = {"glass": Material(1.0, white=0.35), "metal": Material(0.8, white=0.2),
                                  "water": Material(0.5, white=0.6)}
#: words of the weather -> density of the fog per metre, from and to
FOGS: dict[str, tuple[float, float]] = {"in mist": (0.04, 0.07), "misty": (0.04, 0.07), "in thick fog": (0.09, 0.15)}
INDOORS, ALIVE = ("room", "hall"), ("human", "animal", "dog", "fox", "horse", "cat")

#: words -> linear albedo of materials of the sets
GROUNDS: dict[str, RGB] = {
    "grey": (0.17, 0.17, 0.18),
    "dark": (0.07, 0.07, 0.08),
    "sandy": (0.60, 0.46, 0.28),
    "snowy": (0.88, 0.90, 0.93),
    "stone": (0.40, 0.38, 0.35),
    "brick": (0.42, 0.19, 0.13),
    "green": (0.13, 0.34, 0.06),
    "dry": (0.48, 0.40, 0.16),
    "wooden": (0.42, 0.24, 0.12),
    "white": (0.80, 0.80, 0.79),
    "blue": (0.16, 0.26, 0.50),
    "muddy": (0.24, 0.16, 0.09),
}
WALLS: dict[str, RGB] = {
    "brick": (0.46, 0.18, 0.12),
    "white": (0.82, 0.81, 0.78),
    "beige": (0.66, 0.53, 0.37),
    "concrete": (0.42, 0.42, 0.41),
    "yellow": (0.78, 0.60, 0.24),
    "wooden": (0.40, 0.23, 0.11),
    "blue": (0.22, 0.36, 0.62),
    "green": (0.26, 0.46, 0.28),
    "red": (0.55, 0.10, 0.08),
    "grey": (0.45, 0.45, 0.46),
}
_SET_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "street": (
        ("grey", "grey", "dark", "sandy", "snowy", "stone"),
        ("brick", "brick", "white", "beige", "concrete", "yellow"),
    ),
    "plaza": (("stone", "stone", "grey", "sandy", "snowy", "brick"), ("brick", "white", "beige", "concrete")),
    "field": (("green", "green", "green", "dry", "snowy", "sandy", "muddy"), ("brick", "white", "wooden")),
    "room": (
        ("wooden", "wooden", "grey", "white", "stone", "blue"),
        ("white", "white", "wooden", "blue", "green", "beige", "brick", "grey", "red"),
    ),
    "hall": (("stone", "white", "grey", "wooden", "blue"), ("white", "beige", "brick", "concrete", "red", "green")),
    "desert": (("sandy", "sandy", "dry"), ("beige",)),
    "beach": (("sandy",), ("white",)),
    "harbour": (("stone", "grey", "wooden"), ("brick", "white", "beige", "yellow", "red")),
}
PHRASES = {
    "street": "a {ground} street with {wall} houses",
    "plaza": "a {ground} plaza with {wall} walls",
    "field": "a {ground} field",
    "room": "a {wall} room with a {ground} floor",
    "hall": "a {wall} hall with a {ground} floor",
    "desert": "a {ground} desert",
    "beach": "a {ground} beach by the sea",
    "harbour": "a {ground} harbour with {wall} houses",
}
_FIXED: dict[str, RGB] = {
    "trunk": (0.20, 0.12, 0.06),
    "leaves": (0.08, 0.27, 0.05),
    "metal": (0.14, 0.15, 0.16),
    "lamp": (0.85, 0.80, 0.62),
    "door": (0.26, 0.13, 0.07),
    "glass": (0.10, 0.14, 0.18),
    "roof": (0.36, 0.14, 0.09),
    "marking": (0.82, 0.82, 0.78),
    "fence": (0.36, 0.25, 0.15),
    "stone": (0.42, 0.41, 0.39),
    "hill": (0.14, 0.27, 0.10),
    "ceiling": (0.82, 0.82, 0.80),
    "trim": (0.70, 0.68, 0.64),
    "tyre": (0.03, 0.03, 0.03),
    "far": (0.20, 0.26, 0.12),
    "water": (0.05, 0.16, 0.22),
}
_SKIN: tuple[RGB, ...] = ((0.75, 0.48, 0.35), (0.58, 0.34, 0.22), (0.34, 0.18, 0.10), (0.82, 0.58, 0.46))
_HAIR: tuple[RGB, ...] = ((0.03, 0.02, 0.02), (0.14, 0.07, 0.03), (0.50, 0.34, 0.12), (0.30, 0.10, 0.04))


@dataclass(frozen=True)
class Mood:
    """Linear light of one mood: sun and sky fill colours, sky gradient from horizon to zenith, whether lamps burn."""

    words: str
    sun: RGB
    fill: RGB
    horizon: RGB
    zenith: RGB
    lamps: bool = False


MOODS = (
    Mood("bright daylight", (1.05, 0.98, 0.88), (0.40, 0.48, 0.60), (0.62, 0.76, 0.95), (0.20, 0.42, 0.88)),
    Mood("warm sunset light", (1.25, 0.58, 0.22), (0.34, 0.28, 0.36), (1.00, 0.52, 0.22), (0.36, 0.30, 0.50), True),
    Mood("cold moonlight", (0.13, 0.20, 0.42), (0.030, 0.046, 0.105), (0.035, 0.058, 0.15), (0.010, 0.018, 0.06), True),
    Mood("soft overcast light", (0.05, 0.05, 0.05), (0.78, 0.79, 0.81), (0.80, 0.81, 0.83), (0.66, 0.68, 0.71)),
)
_GLOW: dict[str, RGB] = {"lamp": (1.0, 0.72, 0.34), "glass": (0.75, 0.42, 0.13)}


def vary(rng: Rng, colour: RGB, tint: float = 0.04, level: float = 0.07) -> Array:
    """The colour a little lighter or darker and a little off, still fitting its word."""
    out = np.asarray(colour) * np.exp(rng.normal(0, tint, 3)) * np.exp(rng.normal(0, level))
    return np.clip(out, 0.012, 0.95).astype(np.float32)


def _actor_slots(rng: Rng, kind: str, names: list[str], base: Array) -> dict[str, Array]:
    """Colours of one actor's slots when `base` dominates: bare skin on half of the people, else one piece."""
    whole = kind != "human" or rng.random() < 0.5
    out = {}
    for name in names:
        if name in ("glass", "tyre"):
            out[name] = vary(rng, _FIXED[name])
        elif name == "skin" and not whole:
            out[name] = vary(rng, _SKIN[rng.integers(len(_SKIN))])
        elif name == "hair" and not whole:
            out[name] = vary(rng, _HAIR[rng.integers(len(_HAIR))])
        elif name == "shoes" and not whole:
            out[name] = vary(rng, (0.05, 0.05, 0.05))
        else:
            out[name] = np.clip(base * (1.0 if name == "top" else rng.uniform(0.7, 1.15)), 0.012, 0.95).astype(
                np.float32
            )
    return out


def _set_slots(rng: Rng, kind: str, ground: str, wall: str, names: list[str]) -> dict[str, Array]:
    """Colours of the set's slots for its two words. What no word names varies little: a small model can only average it."""
    out = {}
    near_wall = vary(rng, WALLS[wall])
    for name in names:
        if name == "ground":
            out[name] = vary(rng, GROUNDS[ground])
        elif name in ("hill", "far"):
            out[name] = vary(
                rng, GROUNDS[ground] if kind in ("field", "desert") or ground == "snowy" else _FIXED[name]
            ) * np.float32(0.85)
        elif name.startswith("wall"):
            out[name] = np.clip(near_wall * np.exp(rng.normal(0, 0.08)), 0.02, 0.92).astype(np.float32)
        elif name == "pavement":
            out[name] = vary(rng, (0.45, 0.44, 0.42) if ground != "snowy" else GROUNDS["snowy"])
        elif name in ("rug", "prop0", "prop1", "prop2"):
            out[name] = vary(rng, (0.38, 0.28, 0.18), 0.06, 0.15)
        else:
            out[name] = vary(rng, _FIXED[name])
    return out


@dataclass(frozen=True)
class Look:
    """What one sample looks like, and the words for it: `albedo`, `gloss` (the mirrored share) and `glow` (256, 3) by slot
    index, `fog` its density per metre, `actor_materials` "" where no word is said of one."""

    albedo: Array
    gloss: Array
    glow: Array
    mood: Mood
    fog: float
    set_words: str
    fog_words: str
    actor_colours: tuple[str, ...]
    actor_materials: tuple[str, ...]


def _draw_material(rng: Rng, kind: str) -> str:
    """A material word for a third of the actors; people and animals are not made of glass."""
    if rng.random() > 0.36:
        return ""
    chances = {"shiny": 0.34, "metal": 0.32, "matte": 0.18, "glass": 0.0 if kind in ALIVE else 0.16}
    weights = np.array(list(chances.values()))
    return str(rng.choice(list(chances), p=weights / weights.sum()))


def _draw_fog(rng: Rng, kind: str, words: str | None) -> tuple[str, float]:
    """The weather's words and density: clear indoors and in nine of ten outdoors, unless words are given."""
    if words is None:
        words = str(rng.choice(list(FOGS))) if kind not in INDOORS and rng.random() < 0.1 else ""
    return words, float(rng.uniform(*FOGS[words])) if words else 0.0


def _filled(wanted: tuple[str | None, ...] | None, drawn: tuple[str, ...]) -> tuple[str, ...]:
    """What was drawn where nothing is wanted. Raises ValueError for another number of actors."""
    if wanted is None:
        return drawn
    return tuple(d if w is None else w for w, d in zip(wanted, drawn, strict=True))


def draw_look(rng: Rng, kind: str, actor_kinds: list[str], slots: dict[int, tuple[str, int]], mood: Mood | None = None,
              colours: tuple[str | None, ...] | None = None, materials: tuple[str | None, ...] | None = None,
              fog: str | None = None) -> Look:
    """New colours and a new mood for a clip whose `slots` map index -> (surface name, actor index or -1).

    `colours` and `materials` name them by actor ("" = no word, matte), `fog` is a key of FOGS or "" for clear air; None,
    there or in place of one, = drawn. Raises KeyError for an unknown word, ValueError for another number of actors.
    """
    ground, wall = (str(rng.choice(words)) for words in _SET_WORDS[kind])
    mood = MOODS[rng.choice(4, p=[0.34, 0.26, 0.18, 0.22])] if mood is None else mood
    colours = _filled(colours, tuple(str(rng.choice(list(COLOURS))) for _ in actor_kinds))
    materials = _filled(materials, tuple(_draw_material(rng, actor) for actor in actor_kinds))
    albedo, gloss, glow = (np.zeros((256, 3), np.float32) for _ in range(3))
    table = {-1: _set_slots(rng, kind, ground, wall, sorted({n for n, a in slots.values() if a < 0}))}
    for index, (actor, colour) in enumerate(zip(actor_kinds, colours, strict=True)):
        names = sorted({n for n, a in slots.values() if a == index})
        table[index] = _actor_slots(rng, actor, names, vary(rng, COLOURS[colour], 0.05, 0.10))
    for slot, (name, owner) in slots.items():
        own = MATERIALS[materials[owner] or "matte"] if owner >= 0 and name not in ("glass", "tyre") else None
        material = own or _SURFACES.get(name, MATERIALS["matte"])
        albedo[slot] = table[owner][name] * np.float32(material.matte)
        gloss[slot] = material.white + table[owner][name] * np.float32(material.tinted)
        if mood.lamps and owner < 0 and name in _GLOW and (name == "lamp" or mood.words == "cold moonlight"):
            glow[slot] = _GLOW[name]
    fog_words, density = _draw_fog(rng, kind, fog)
    words = PHRASES[kind].format(ground=ground, wall=wall)
    return Look(albedo, gloss, glow, mood, density, words, fog_words, colours, materials)
