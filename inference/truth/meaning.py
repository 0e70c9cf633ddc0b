# SPDX-License-Identifier: GPL-3.0-or-later
"""What the metrics of a verdict mean, in words for animators, and which kind of change may mend them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from .figures import Bar, Figure, Spot

_POWER = re.compile(r"1e-?\d+")
_MANY = 1000        # a ratio to next to nothing says no more than this


class Cure(Enum):
    """How a take is changed where a metric fails."""

    #: it does not follow the scene: a higher strength, or another seed where it is obeyed in full
    OBEY = "obey"
    #: it follows, and its look changes: paint it again over what is there
    LOOK = "look"
    #: nothing that an edit of one object can mend
    NONE = "none"


@dataclass(frozen=True)
class Meaning:
    """A metric's name for people, what it says in one sentence, and its cure."""

    title: str
    text: str
    cure: Cure


MEANINGS = {
    "warp_error": Meaning("surface constancy", "The same spot of a surface keeps its look from one frame to a later one: texture "
                          "that swims, boils or changes colour counts.", Cure.LOOK),
    "warp_median": Meaning("surface constancy, usual point", "Half of the spots of an actor's surface keep their look better "
                           "than this.", Cure.LOOK),
    "drift": Meaning("colour drift", "Spots of what stands still keep their colour over the shot; a slow change of hue or "
                     "brightness counts.", Cure.LOOK),
    "flicker": Meaning("flicker", "The brightness of what stands still does not jump from frame to frame.", Cure.LOOK),
    "long_similarity": Meaning("long similarity", "A patch of a surface still looks like itself many frames later.", Cure.LOOK),
    "seam_ratio": Meaning("seams", "No jump is seen where two windows of the generation were joined.", Cure.LOOK),
    "frame_jump": Meaning("jumps", "No frame differs more from the one before than its neighbours do.", Cure.LOOK),
    "motion": Meaning("motion", "What is seen to move moves as the scene says, pixel by pixel, and as far: no less, as "
                      "texture that sticks does, and no more.", Cure.OBEY),
    "silhouette": Meaning("silhouette", "What moves with an actor has the actor's outline.", Cure.OBEY),
    "permanence": Meaning("permanence", "An actor is there in every frame, once and at its size: it does not vanish, double, "
                          "shrink or grow.", Cure.OBEY),
    "registration": Meaning("place", "An actor stands where the scene puts it, at its size.", Cure.OBEY),
    "purity": Meaning("layer purity", "An edit of one thing left every pixel of all others as it was.", Cure.NONE),
    "adherence": Meaning("edges", "Where the scene has an edge between things, the picture has one.", Cure.NONE),
    "camera": Meaning("camera", "The camera found from the picture alone is where the scene's camera is, and turned as it is.",
                      Cure.OBEY),
    "depth_from_motion": Meaning("depth", "Things near and far shift against each other as their true distances ask.", Cure.OBEY),
    "epipolar": Meaning("camera rays", "Points move along the lines on which the camera's move can move them.", Cure.OBEY),
    "zoom": Meaning("zoom", "The picture does not creep in or out beyond what the camera does.", Cure.OBEY),
    "trajectory": Meaning("trajectory", "A thing follows the path of the scene across the picture.", Cure.OBEY),
    "gravity": Meaning("gravity", "What flies falls as fast as in the scene: the acceleration found in the pictures.", Cure.OBEY),
    "contact": Meaning("contacts", "Things touch and bounce in the scene's own frame, and as high.", Cure.OBEY),
    "foot_slide": Meaning("foot slide", "A foot that stands on the ground stays where it stands.", Cure.OBEY),
}


#: keys that do not say it themselves
KEYS = {"epe": "median error", "over_one": "off by over 1 px", "dynamic": "share of the motion", "stray": "stray pixels",
        "f": "outline (F)", "f_worst": "outline (F), worst frames", "iou": "overlap (IoU)", "abs_rel": "relative error",
        "within": "share that is right",
        "g": "found", "g_scene": "of the scene"}


def meaning(metric: str) -> Meaning:
    """Of a metric; its plain name, no sentence and no cure for one that is not listed."""
    return MEANINGS.get(metric) or Meaning(metric.replace("_", " "), "", Cure.NONE)


def label(figure: Figure) -> str:
    """A figure for people, without its object: "camera: rotation"."""
    return ": ".join(part for part in (meaning(figure.metric).title, key_words(figure)) if part)


def key_words(figure: Figure) -> str:
    """A figure's key for people; one that is a number is one of frames."""
    if figure.key.isdecimal():
        return f"{figure.key} frame{'s' * (figure.key != '1')}"
    return KEYS.get(figure.key) or figure.key.replace("_", " ")


def amount(value: float, unit: str = "") -> str:
    """Three digits and the unit, which may be a power of ten: "4.46 px", "4.46e-3"."""
    digits = f"{value:.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"
    return digits + unit[1:] if _POWER.fullmatch(unit) else f"{digits} {unit}".rstrip()


def beside_beauty(figure: Figure) -> str:
    """What the beauty has: as the ratio "x 2.1" where less is better, else its value; "" without one."""
    if figure.bar is not None and math.isfinite(figure.bar.highest) and not math.isfinite(figure.bar.lowest):
        return "" if figure.ratio is None else f"x {amount(figure.ratio)}" if figure.ratio < _MANY else f"x {_MANY} up"
    return "" if figure.beauty is None else amount(figure.beauty, figure.unit)


def allowed(bar: Bar | None, unit: str = "") -> str:
    """A bar in plain signs: "<= 0.3 px", "0.8 to 1.2"."""
    lowest, highest = (None, None) if bar is None else (bar.lowest, bar.highest)
    low, high = (value is not None and math.isfinite(value) for value in (lowest, highest))
    if low and high:
        return f"{amount(lowest or 0.0)} to {amount(highest or 0.0, unit)}"
    if high:
        return f"<= {amount(highest or 0.0, unit)}"
    return f">= {amount(lowest or 0.0, unit)}" if low else ""


def spot_text(spot: Spot, unit: str) -> str:
    """ "Walker, frames 12-17: 4.2 px"."""
    frames = f"frame {spot.first}" if spot.first == spot.last else f"frames {spot.first}-{spot.last}"
    return f"{spot.object or 'picture'}, {frames}: {amount(spot.value, unit)}"
