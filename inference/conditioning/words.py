# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's path in words, for models that read only text: the shot's size, then its moves, stage by stage.

No distance is named, so that the same picture of a larger world has the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shot.model import Size
from .framing import Subject
from .moves import ROOM, Move, Stage, Story, stages_of

# The subject's upright height over the picture's: up to which ratio a size has its name. A full shot shows head to toe; what
# is larger is cut at the knees, the waist, the chest, the shoulders and the face, as film schools teach (Bordwell and
# Thompson, Film Art, chapter 5).
SIZES = ((0.15, "extreme wide shot"), (0.6, "wide shot"), (1.05, "full shot"), (1.5, "medium wide shot"),
         (2.3, "medium shot"), (3.6, "medium close-up"), (7.0, "close-up"), (np.inf, "extreme close-up"))
# Without a subject: the height that the picture shows at its median depth, in metres.
VIEWS = ((1.0, "close shot"), (4.0, "medium shot"), (np.inf, "wide shot"))
_CHANGED = 0.15         # log of the size: smaller changes go without saying
_PAUSE = 1.0            # seconds: shorter rests go without saying
_SLIGHT = 7.5           # degrees
_VERBS = {"pan": "pans", "tilt": "tilts", "roll": "rolls", "zoom": "zooms", "dolly": "dollies", "truck": "trucks",
          "pedestal": "pedestals", "crane": "cranes", "orbit": "orbits", "track": "tracks", "follow": "follows",
          "lead": "leads", "static": "holds"}


def camera_words(K: NDArray[np.floating[Any]], world_from_camera: NDArray[np.floating[Any]], size: Size, fps: float,
                 subjects: Sequence[Subject] = (), *, distance: NDArray[np.floating[Any]] | float | None = None,
                 up: Sequence[float] = (0.0, 0.0, 1.0), orthographic: bool = False) -> str:
    """One sentence such as "starts on a wide shot, dollies in to a medium close-up on HERO, then orbits 90 degrees left".

    Shapes as in :func:`.moves.stages_of`. ``distance``, finite, is the median depth of what the picture shows, per frame or
    for all. Without it and without a subject the size is left out, and the content is taken to be ROOM metres away.
    """
    story = stages_of(K, world_from_camera, size, fps, subjects, distance=ROOM if distance is None else distance, up=up,
                      orthographic=orthographic)
    view = None
    if distance is not None and not orthographic:
        view = np.broadcast_to(distance, len(K)) * size.height / np.asarray(K, np.float64)[:, 1, 1]
    return _Teller(story, fps, view).sentence()


def shot_size(height: float) -> str:
    """The name of a shot in which the subject's upright height is ``height`` times the picture's."""
    return next(name for limit, name in SIZES if height <= limit)


class _Teller:
    """Remembers whom it named, so that nobody is named twice in a row."""

    def __init__(self, story: Story, fps: float, view: NDArray[np.floating[Any]] | None) -> None:
        self._stages, self._fps, self._view = story.stages, fps, view
        self._handheld = "handheld " if story.handheld else ""
        self._framings = {framing.subject.name: framing for framing in story.framings}
        self._named: list[str] = []

    def sentence(self) -> str:
        begin = self._stages[0]
        first = self._first_target(begin)
        opening = self._framed(first, begin.start)
        if all(stage.move == "static" for stage in self._stages):
            return f"{self._handheld or 'static '}{opening or 'shot'}" + (f" of {first}" if first and opening else "")
        moves = ", then ".join(map(self._phrase, self._told_stages()))
        if not opening:
            return (f"{self._handheld.strip()}, " if self._handheld else "") + moves
        of = f" of {first}" if first and first not in self._named else ""
        return f"starts on {_article(self._handheld + opening)}{of}, {moves}"

    def _told_stages(self) -> list[Stage]:
        """A first rest, and short ones, go without saying."""
        return [stage for stage in self._stages if stage.move != "static"
                or stage is not self._stages[0] and stage.end - stage.start >= _PAUSE * self._fps]

    def _phrase(self, stage: Stage) -> str:
        words = _told(Move(stage.move, stage.amount, stage.unit))
        if stage.move in ("follow", "lead") or stage.move.endswith(" with") or stage.move.startswith("track"):
            self._named.append(stage.target)
            return f"{words} {stage.target}"
        if stage.beside is not None:
            words += f" and {_told(stage.beside)}"
        if stage.move.startswith("orbit"):
            return words + self._mention(stage.target, " around ")
        other = stage.target != self._first_target(stage)
        before, after = self._framed(stage.target, stage.start), self._framed(stage.target, stage.end)
        if after and (other or before != after and self._grew(stage)):
            words += f" to {_article(after)}" + self._mention(stage.target, " on ")
        return words

    def _mention(self, name: str, word: str) -> str:
        if not name or self._named[-1:] == [name]:
            return ""
        self._named.append(name)
        return word + name

    def _first_target(self, stage: Stage) -> str:
        """Whom the picture is about as the stage begins: its target unless somebody is twice as much in sight."""
        weights = {name: float(framing.weight[stage.start]) for name, framing in self._framings.items()}
        best = max(weights, key=lambda name: weights[name], default="")
        if not best or weights[best] <= 0.0:
            return ""
        return stage.target if weights.get(stage.target, 0.0) >= 0.5 * weights[best] else best

    def _framed(self, name: str, frame: int) -> str:
        """The size of the shot of ``name`` in a frame, or "" where it cannot be measured."""
        if name:
            height = float(self._framings[name].height[frame])
            return shot_size(height) if height > 0.0 else ""
        if self._view is None or self._framings:
            return ""
        return next(label for limit, label in VIEWS if self._view_at(frame) <= limit)

    def _view_at(self, frame: int) -> float:
        """Metres; the median of a second, because things pass through the picture."""
        assert self._view is not None
        reach = round(0.5 * self._fps)
        return float(np.median(self._view[max(frame - reach, 0):frame + reach + 1]))

    def _grew(self, stage: Stage) -> bool:
        """Whether the size changed enough to be worth a word."""
        if stage.target:
            height = self._framings[stage.target].height
            before, after = float(height[stage.start]), float(height[stage.end])
        else:
            before, after = self._view_at(stage.start), self._view_at(stage.end)
        return abs(float(np.log(after / before))) > _CHANGED


def _article(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _told(move: Move) -> str:
    """ "pans 40 degrees right": angles in steps of 5."""
    if move.name.startswith("dolly zoom"):
        return f"makes a {move.name}"
    verb, *ways = move.name.split()
    if verb == "track":
        ways.append("with")
    if move.unit != "degrees":
        return " ".join([_VERBS[verb], *ways])
    much = "slightly" if move.amount < _SLIGHT else f"{5 * round(move.amount / 5.0)} degrees"
    return " ".join([_VERBS[verb], much, *ways])
