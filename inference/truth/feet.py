# SPDX-License-Identifier: GPL-3.0-or-later
"""Do feet stay where they stand? What the picture shows of a planted foot, against how the scene's foot moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LucidError
from ..shot.model import Layer
from .figures import Bar, Figure, Spot, unmeasured
from .geometry import project
from .ground import Ground, Mask, Moment
from .trajectories import Fix, Seeding, Track, unbroken
from .watch import Observed

Double = NDArray[np.float64]

ANKLES = ("r_ankle", "l_ankle")
#: cm/s more than in the scene, the median of the contacts; measured: floor 0.2 to 0.4, a picture one frame late 11
SLIDE = Bar(highest=2.0)
#: a foot stands when its ankle is slower than this, m/s, this near to where it is lowest, m, for so many frames
SLOW, LOW, FEWEST = 0.15, 0.06, 3
#: m around an ankle, and above it, in which what is seen of its actor is the foot
_AROUND, _ABOVE = 0.25, 0.02
#: m in the picture between a foot that stands and one that swings past it
_APART = 0.35
#: how a foot is followed: it is small, so its points may lie near its outline
_EDGE, _SMALLEST, _HALF = 1, 40, 5
#: px by which a contact's points may err from its first frame to its last
_NOISE = 0.2


@dataclass
class Contact:
    """A foot that stands in frames ``first`` to ``last``, counted from 0: how the picture's points of it leave the scene's."""

    joint: int
    first: int
    last: int
    track: Track

    def fixes(self) -> list[Fix]:
        """Those that tell: of the longest unbroken track."""
        return unbroken(self.track.fixes)

    def slide(self, seconds: float) -> float:
        """cm/s in the world, at the depth of the foot: the slope of the line through the deviations."""
        fixes = self.fixes()
        drift = np.stack([fix.turn @ np.append(fix.deviation / fix.K[[0, 1], [0, 1]], 0.0) * fix.centre[2] for fix in fixes])
        times = np.array([fix.index for fix in fixes]) * seconds
        times = times - times.mean()
        return 100 * float(np.linalg.norm(times @ drift / (times @ times)))

    def finest(self, seconds: float) -> float:
        """cm/s that the picture is too coarse to tell from none."""
        fixes = self.fixes()
        return 100 * _NOISE * float(fixes[0].centre[2] / fixes[0].K[0, 0]) / ((len(fixes) - 1) * seconds)

    def tells(self, seconds: float) -> bool:
        """Whether it can be told that the foot slides, or that it does not."""
        slide, finest = self.slide(seconds), self.finest(seconds)
        return slide + finest < SLIDE.highest or slide - 3 * finest > SLIDE.highest


def planted(ankle: NDArray[np.floating], seconds: float, crossed: Mask | None = None) -> list[range]:
    """The spans of frames in which a foot stands. ``ankle`` (F, 3) metres, z up, NaN where unknown, ``seconds`` apart: slower
    than 0.15 m/s, and within 6 cm of how low it is within a second around, for 3 frames or more, in which it is not
    ``crossed`` (F,) by the other one."""
    frames, reach = len(ankle), max(round(1.0 / seconds), 1)
    if frames < FEWEST:
        return []
    heights = np.nan_to_num(ankle[:, 2], nan=np.inf)
    lowest = np.array([heights[max(index - reach, 0):index + reach + 1].min() for index in range(frames)])
    with np.errstate(invalid="ignore"):
        fine = heights - lowest < LOW
        if crossed is not None:
            fine &= ~crossed
        stands = (speeds(ankle, seconds) < SLOW) & fine[:-1] & fine[1:]
    edges = np.flatnonzero(np.diff(np.pad(stands.astype(np.int8), 1)))
    return [range(first, last + 1) for first, last in edges.reshape(-1, 2).tolist() if last + 1 - first >= FEWEST]


def speeds(ankle: NDArray[np.floating], seconds: float) -> Double:
    """(F-1,) m/s of places (F, 3), ``seconds`` apart."""
    return np.asarray(np.linalg.norm(np.diff(ankle, axis=0), axis=1) / seconds)


def crossings(ankle: Double, other: Double, ground: Ground) -> Mask:
    """(F,) where the ``other`` ankle (F, 3) swings past ``ankle`` (F, 3) in the picture, so that one foot hides the other or
    lies beside it."""
    if len(ankle) < 2:
        return np.zeros(len(ankle), bool)
    swings = np.pad(speeds(other, ground.seconds) >= SLOW, (0, 1), mode="edge")
    crossed = np.zeros(len(ankle), bool)
    for index, (one, two) in enumerate(zip(ankle, other, strict=True)):
        at, depth = project(np.stack([one, two]), ground.K[index], ground.world_from_camera[index])
        apart = np.linalg.norm(at[0] - at[1]) * depth.min() / ground.K[index, 0, 0]
        crossed[index] = swings[index] and not apart >= _APART
    return crossed


def foot(moment: Moment, ankle: NDArray[np.floating]) -> Mask:
    """(H, W) what lies within 20 cm of ``ankle`` (3,) metres, and not above it."""
    with np.errstate(invalid="ignore"):
        away = moment.world - ankle.astype(np.float32)
        return np.asarray((np.linalg.norm(away, axis=-1) < _AROUND) & (away[..., 2] < _ABOVE))


class FootSlide:
    """"foot_slide.speed" of every actor with a skeleton: cm/s, the median over its contacts of how far the foot drifts in one,
    more than in the scene, over how long it lasts. Raises SHOT_INVALID for a shot whose pose.npz cannot be read."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._ankles = {layer.name: _ankles(ground, layer) for layer in ground.actors if layer.pose is not None}
        self._contacts = {layer.name: self._planted(layer) for layer in ground.actors if layer.pose is not None}

    def _planted(self, layer: Layer) -> list[Contact]:
        contacts = []
        ankles = self._ankles[layer.name]
        for joint, ankle in enumerate(ankles):
            def where(moment: Moment, ankle: Double = ankle) -> Mask:
                return foot(moment, ankle[moment.index])

            seeding = Seeding(where, _EDGE, _SMALLEST, _HALF)
            spans = planted(ankle, self._ground.seconds, crossings(ankle, ankles[1 - joint], self._ground))
            contacts += [Contact(joint, span[0], span[-1], Track(layer.name, layer.ids, seeding)) for span in spans]
        return contacts

    def see(self, recent: Sequence[Observed]) -> None:
        for contacts in self._contacts.values():
            for contact in contacts:
                if contact.first <= recent[-1].moment.index <= contact.last:
                    contact.track.see(recent)

    def figures(self) -> list[Figure]:
        if not self._ankles:
            return [unmeasured("foot_slide", "speed", "cm/s", "no actor has a skeleton", bar=SLIDE)]
        return [self._figure(name) for name in self._ankles]

    def _figure(self, name: str) -> Figure:
        every, seconds = self._contacts[name], self._ground.seconds
        seen = [contact for contact in every if len(contact.fixes()) >= FEWEST]
        told = [contact for contact in seen if contact.tells(seconds)]
        if not told:
            reason = ("no foot stands for long enough, clear of the other" if not every else
                      "untrackable: no standing foot is seen well for long enough" if not seen else
                      "feet are too small in the picture, or stand too short, to tell whether they slide")
            return unmeasured("foot_slide", "speed", "cm/s", reason, bar=SLIDE, object=name)
        numbers = self._ground.shot.frames.numbers
        order = sorted(told, key=lambda contact: -contact.slide(seconds))
        worst = [Spot(name, numbers[c.first], numbers[c.last], c.slide(seconds), self._pixel(name, c))
                 for c in order[:5] if not SLIDE.holds(c.slide(seconds))]
        return Figure("foot_slide", "speed", float(np.median([c.slide(seconds) for c in told])), "cm/s", SLIDE, name,
                      series=tuple((float(numbers[c.first]), c.slide(seconds)) for c in told), worst=tuple(worst),
                      counts={"contacts": len(told), "of": len(every)})

    def _pixel(self, name: str, contact: Contact) -> tuple[int, int]:
        pose = self._ground.world_from_camera[contact.first]
        local = (self._ankles[name][contact.joint][contact.first] - pose[:3, 3]) @ pose[:3, :3]
        x, y, z = self._ground.K[contact.first] @ local
        return int(x / z), int(y / z)


def _ankles(ground: Ground, layer: Layer) -> Double:
    """(2, F, 3) metres in the world, right before left. Raises SHOT_INVALID."""
    try:
        with np.load(ground.folder / "pose.npz", allow_pickle=False) as data:
            joints = [str(name) for name in data["joints"]]
            world = data["world"][layer.pose].astype(np.float64)
        return np.stack([world[:, joints.index(name)] for name in ANKLES])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise LucidError("SHOT_INVALID", f"pose.npz has no skeleton for '{layer.name}': {error}",
                         "capture the shot again") from error
