# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours, palettes and light moods that turn a two-light grey render into a picture, and the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Array

Rng = np.random.Generator
RGB = tuple[float, float, float]

#: linear albedo of the colour words
COLOURS: dict[str, RGB] = {
    "red": (0.80, 0.05, 0.04),
    "green": (0.07, 0.52, 0.09),
    "blue": (0.05, 0.14, 0.78),
    "yellow": (0.90, 0.74, 0.07),
    "orange": (0.92, 0.36, 0.03),
    "purple": (0.38, 0.07, 0.56),
    "pink": (0.92, 0.40, 0.58),
    "cyan": (0.07, 0.66, 0.74),
    "white": (0.90, 0.90, 0.90),
    "black": (0.025, 0.025, 0.025),
    "gray": (0.33, 0.33, 0.34),
    "brown": (0.27, 0.13, 0.06),
}

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
    Mood("bright daylight", (1.05, 0.98, 0.88), (0.44, 0.52, 0.64), (0.62, 0.76, 0.95), (0.22, 0.44, 0.88)),
    Mood("warm sunset light", (1.25, 0.58, 0.22), (0.34, 0.28, 0.36), (1.00, 0.52, 0.22), (0.36, 0.30, 0.50), True),
    Mood(
        "cold moonlight", (0.20, 0.29, 0.52), (0.050, 0.070, 0.135), (0.055, 0.085, 0.19), (0.015, 0.025, 0.075), True
    ),
    Mood("soft overcast light", (0.22, 0.22, 0.23), (0.66, 0.68, 0.71), (0.80, 0.82, 0.85), (0.62, 0.66, 0.71)),
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
                rng, GROUNDS[ground] if kind == "field" or ground == "snowy" else _FIXED[name]
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
    """What one sample looks like: `albedo` and `glow` (256, 3) by slot index, the mood, and the words for them."""

    albedo: Array
    glow: Array
    mood: Mood
    set_words: str
    actor_colours: tuple[str, ...]


def draw_look(
    rng: Rng, kind: str, actor_kinds: list[str], slots: dict[int, tuple[str, int]], mood: Mood | None = None
) -> Look:
    """New colours and a new mood for a clip whose `slots` map index -> (surface name, actor index or -1)."""
    grounds, walls = _SET_WORDS[kind]
    ground, wall = str(rng.choice(grounds)), str(rng.choice(walls))
    mood = MOODS[rng.choice(4, p=[0.34, 0.26, 0.18, 0.22])] if mood is None else mood
    colours = tuple(str(rng.choice(list(COLOURS))) for _ in actor_kinds)
    albedo, glow = np.zeros((256, 3), np.float32), np.zeros((256, 3), np.float32)
    table = {-1: _set_slots(rng, kind, ground, wall, sorted({n for n, a in slots.values() if a < 0}))}
    for index, (actor, colour) in enumerate(zip(actor_kinds, colours, strict=True)):
        names = sorted({n for n, a in slots.values() if a == index})
        table[index] = _actor_slots(rng, actor, names, vary(rng, COLOURS[colour], 0.06, 0.10))
    for slot, (name, actor_index) in slots.items():
        albedo[slot] = table[actor_index][name]
        if mood.lamps and actor_index < 0 and name in _GLOW and (name == "lamp" or mood.words == "cold moonlight"):
            glow[slot] = _GLOW[name]
    words = {
        "street": f"a {ground} street with {wall} houses",
        "plaza": f"a {ground} plaza with {wall} walls",
        "field": f"a {ground} field",
        "room": f"a {wall} room with a {ground} floor",
    }[kind]
    return Look(albedo, glow, mood, words, colours)
