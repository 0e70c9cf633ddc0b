# SPDX-License-Identifier: GPL-3.0-or-later
"""One shot from the first simulated frame to the last written file, in steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree

import bpy

from ...inference.shot.model import VOLUME, DepthRange, Rate, Shot
from ..beside import beside
from .audio import Mix, write_audio
from .camera import camera_at
from .contacts import Contact, contacts_of
from .cycles import Cycles, changed
from .gbuffer import Walk, Wanted, render_some
from .hybrid import ExactFrames
from .instances import Registry
from .layers import Actor, actor_index
from .lit import lit_frames
from .physics import first_unbaked_frame, walk_through
from .pose import PoseTrack, skeletons_of
from .record import Recorder
from .restore import PLAIN_RENDER, rest_positions, restored
from .scout import Scout
from .sequence import markers_of
from .spec import CaptureSpec, Progress
from .volume_cycles import cycles_volume
from .volume_grids import VolumeReader

_FLOW, _DETAIL, _LIT = {"flow_forward", "flow_backward"}, {"material", "rest", "uv"}, {"beauty", "shadow"}
_EXACT = ".exact"       # a folder below the shot's while it is taken


@dataclass
class Shooting:
    """``registry`` numbers the instances of every shot of a sequence alike; ``folder`` is the shot's temporary one."""

    scene: bpy.types.Scene
    view_layer: str
    spec: CaptureSpec
    camera: bpy.types.Object | None
    actors: tuple[Actor, ...]
    folder: Path
    registry: Registry
    contacts: tuple[Contact, ...] = ()
    notes: tuple[str, ...] = ()
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        track = PoseTrack(skeletons_of(self.actors), partial(actor_index, self.actors))
        self.recorder = Recorder(self.folder, self.spec.frames, self.actors, track, self.registry, self.spec.passes)

    def steps(self) -> Iterator[Progress]:
        """Take every frame. Between steps every setting is the user's."""
        self.registry.actors.clear()        # of the shot before
        self.registry.notes.clear()
        self.registry.judged.clear()
        yield from self._settled_physics()
        walk, scout = self._walk(), self._scouted()
        yield self._progress(0, "looked at the scene")
        for name, reason in scout.reasons.items():
            self.registry.notes[f"'{name}' goes through Cycles: {reason}"] = None
        if scout.owned:
            exact = ExactFrames(self.folder / _EXACT, self._cycles(), self.actors, self.registry, scout.owned,
                                alpha=walk.wanted.alpha)
            for frame in exact.render(self.spec.frames.numbers, flow=self.spec.frames.step == 1):
                yield self._progress(0, f"frame {frame}: what only Cycles can draw")
            walk.skipped, walk.amend = scout.wanted, exact.amended
        reasons = list(scout.obstacles) if VOLUME in self.spec.passes else []
        walk.volumes = VolumeReader() if VOLUME in self.spec.passes and not reasons else None
        yield from self._walked(walk)
        rmtree(self.folder / _EXACT, ignore_errors=True)
        yield from self._volumes(reasons, scout.volumes)
        yield from self._lit()
        self.contacts = yield from self._contacts()
        self.notes = tuple(self.registry.notes)

    def sealing(self, *, name: str, rate: Rate, span: DepthRange, camera: str, source: Mapping[str, str],
                mix: Mix | None) -> Generator[None, None, Shot]:
        """Write the sound and the small files, then the manifest; yields while files are hashed. Closing it early waits for
        one of them."""
        render = self.scene.render
        return (yield from beside(partial(
            self.recorder.seal, name=name, rate=rate, size=self.spec.size, span=span, prompt=self.spec.prompt, camera=camera,
            pixel_aspect=render.pixel_aspect_x / render.pixel_aspect_y, source=source,
            audio=write_audio(self.scene, self.spec.frames, self.folder, self.contacts, mix),
            markers=markers_of(self.scene, self.spec.frames), notes=self.notes)))

    def _settled_physics(self) -> Iterator[Progress]:
        """Walk through unbaked simulations once; meanwhile the scene's frame moves, afterwards it is back."""
        first, frames = first_unbaked_frame(self.scene), self.spec.frames
        if first is None or first >= frames.end:
            return
        with restored(self.scene):
            for frame in walk_through(self.scene, first, frames.end):
                yield self._progress(0, f"simulating physics, frame {frame} of {frames.end}")

    def _walk(self) -> Walk:
        passes = set(self.spec.passes)
        wanted = Wanted(bool((_FLOW | _DETAIL) & passes), bool(_FLOW & passes), "alpha" in passes, "rest" in passes)
        return Walk(deque(self.spec.frames.numbers), self.spec.size, self.camera, self.recorder.add, self.registry, wanted,
                    len(self.actors), partial(actor_index, self.actors), self.recorder.read)

    def _walked(self, walk: Walk) -> Iterator[Progress]:
        """Draw every frame into the recorder."""
        total = len(walk.pending)
        while walk.pending:
            with self.recorder.writing(), rest_positions("rest" in self.spec.passes), self._rendering(walk.pending[0]):
                render_some(self.scene, self.view_layer, walk)
            done = total - len(walk.pending)
            yield self._progress(done, f"captured frame {done} of {total}")
        with self.recorder.writing():
            self.recorder.complete(self.spec.size)
        for note in walk.volumes.notes if walk.volumes is not None else ():
            self.registry.notes[note] = None

    def _volumes(self, reasons: Sequence[str], volumes: Collection[int]) -> Iterator[Progress]:
        """The volume layer by Cycles, where it could not be marched."""
        for reason in reasons:
            self.registry.notes[f"the volumes go through Cycles: {reason}"] = None
        for frame in self.spec.frames.numbers if reasons else ():
            found = cycles_volume(self._cycles(), frame, self.spec.samples, volumes)
            with self.recorder.writing():
                self.recorder.add_volume(frame, found)
            yield self._progress(len(self.spec.frames), f"frame {frame}: volumes")

    def _lit(self) -> Iterator[Progress]:
        lit = _LIT & set(self.spec.passes)
        if not lit:
            return
        for item in lit_frames(self._cycles(), self.spec.frames.numbers, self.spec.samples, self.actors, lit):
            if isinstance(item, str):
                yield self._progress(len(self.spec.frames), item)
                continue
            with self.recorder.writing():
                self.recorder.add_lit(item)

    def _contacts(self) -> Generator[Progress, None, tuple[Contact, ...]]:
        steps = contacts_of(self.scene, self.spec.frames)
        while True:
            try:
                frame = next(steps)
            except StopIteration as end:
                found: tuple[Contact, ...] = end.value
                return found
            yield self._progress(len(self.spec.frames), f"looking for contacts, frame {frame}")

    def _scouted(self) -> Scout:
        """The first, the middle and the last frame, as renders evaluate them."""
        numbers = self.spec.frames.numbers
        looked_at = sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
        scout = Scout(deque(looked_at), partial(actor_index, self.actors))
        with self._rendering(numbers[0]):
            render_some(self.scene, self.view_layer, scout)
        return scout

    @contextmanager
    def _rendering(self, frame: int) -> Iterator[None]:
        """The scene as a plain render() of the engine wants it."""
        layer = self.scene.view_layers[self.view_layer]
        with restored(self.scene), changed(layer, use=True):
            for name, value in PLAIN_RENDER.items():
                setattr(self.scene.render, name, value)
            # Blender renders nothing for a scene without a camera, even when markers bring theirs later
            self.scene.camera = camera_at(self.scene, frame, self.camera)
            yield

    def _cycles(self) -> Cycles:
        return Cycles(self.scene, self.view_layer, self.spec.size, self.camera)

    def _progress(self, done: int, text: str) -> Progress:
        return Progress(done, len(self.spec.frames), text)
