# SPDX-License-Identifier: GPL-3.0-or-later
"""Do things move as the simulation has it? Trajectories, gravity and contacts of actors and of whatever else moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .contacts import TIME, contact_figures, cues_of
from .figures import Figure, unmeasured
from .flight import ERROR, gravity_figures
from .geometry import project
from .ground import Double, Ground, Ids, Moment
from .trajectories import DEVIATION, Track, deviation_figure
from .watch import Observed

#: px from frame to frame by which something of the environment moves, and px² seen of it, to be followed; and how many are
_MOVES, _LARGE, _MOST = 0.5, 400, 6
#: every this many pixels each way something that moves is looked for
_STRIDE = 4


class Physics:
    """Follows every actor, and every stiff instance of the environment that moves, through the pictures:
    "trajectory.deviation" px, "gravity.error" %, "contact.error" frames and "contact.bounce" %. Raises SHOT_INVALID for cues that
    cannot be read."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        frames = ground.shot.frames
        self._cues = cues_of(ground.folder, frames.start, frames.step)
        self._tracks = [Track(layer.name, layer.ids) for layer in ground.actors]
        self._taken = {number for layer in ground.actors for number in layer.ids}

    def see(self, recent: Sequence[Observed]) -> None:
        if len(recent) > 1:
            self._find(recent[-2].moment, recent[-1].moment)
        for item in self._tracks:
            item.see(recent)

    def _find(self, before: Moment, now: Moment) -> None:
        """Take up what of the environment has begun to move."""
        room = _MOST + len(self._ground.actors) - len(self._tracks)
        for number in movers(before, now, self._taken)[:room]:
            self._taken.add(number)
            self._tracks.append(Track(self._ground.shot.instances.get(number, str(number)), (number,)))

    def figures(self) -> list[Figure]:
        if not self._tracks:
            reason = "there are no actors and nothing moves"
            return [unmeasured(metric, key, unit, reason, bar=bar) for metric, key, unit, bar in
                    (("trajectory", "deviation", "px", DEVIATION), ("gravity", "error", "%", ERROR),
                     ("contact", "error", "frames", TIME))]
        seconds, instances = self._ground.seconds, self._ground.shot.instances
        found = [deviation_figure(item) for item in self._tracks]
        falls = [figure for item in self._tracks for figure in gravity_figures(item, seconds)]
        hits = [figure for item in self._tracks for figure in contact_figures(
            item, {item.name, *(instances[number] for number in item.ids if number in instances)}, seconds, self._cues)]
        return [*found,
                *(falls or [unmeasured("gravity", "error", "%", "nothing flies freely for long enough", bar=ERROR)]),
                *(hits or [unmeasured("contact", "error", "frames", "nothing is seen to hit anything", bar=TIME)])]


def movers(before: Moment, now: Moment, known: set[int]) -> list[int]:
    """The stiff instances that move in the world by half a pixel or more from one frame to the next and are large enough to be
    followed, the largest first; without the ``known`` ones."""
    (was, _, some), (ids, counts, others) = _places(before), _places(now)
    both = np.isin(ids, was) & (counts >= _LARGE) & ~np.isin(ids, [0, *known])
    ids, counts, others = ids[both], counts[both], others[both]
    some = some[np.searchsorted(was, ids)]
    # a map may say nothing off the plane of what was seen: what moves does so by where it was seen before, and by where it is now
    moves = np.minimum(_moved(before, now, ids, some), _moved(before, now, ids, others)) >= _MOVES
    return [int(number) for number in ids[moves][np.argsort(-counts[moves], kind="stable")]]


def _places(moment: Moment) -> tuple[Ids, NDArray[np.intp], Double]:
    """The instances seen, in order, how many px² of each, and one rest position (I, 3) of each: anywhere, because the outermost
    points of what turns may stand still."""
    pick = (slice(_STRIDE // 2, None, _STRIDE),) * 2
    every = moment.ids[pick].ravel()
    order = np.random.default_rng(0).permutation(len(every))
    ids, first, counts = np.unique(every[order], return_index=True, return_counts=True)
    return ids, counts * _STRIDE**2, moment.rest[pick].reshape(-1, 3)[order[first]].astype(np.float64)


def _moved(before: Moment, now: Moment, ids: Ids, rest: Double) -> Double:
    """(I,) px in today's picture by which the points ``rest`` (I, 3) of instances moved in the world; 0 of what is not stiff."""
    (was, stiff), (lies, still) = before.motions.of(ids), now.motions.of(ids)
    use = stiff & still & np.isfinite(rest).all(-1)
    points = np.concatenate([rest[use], np.ones((int(use.sum()), 1))], 1)[:, :, None]
    ends = [(moment.motions.maps[place[use]] @ points)[..., 0] for moment, place in ((before, was), (now, lies))]
    at = [project(end, now.K, now.world_from_camera)[0] for end in ends]
    px = np.zeros(len(ids))
    px[use] = np.nan_to_num(np.linalg.norm(at[1] - at[0], axis=-1))
    return px
