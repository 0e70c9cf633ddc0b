# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.lucid``, saved with the file, and ``WindowManager.lucid``, which mirrors the running job and the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..inference.errors import LucidError
from ..inference.shot.model import Frames, Size
from ..inference.shot.takes import State, Take, list_takes
from ..inference.shot.verdict_file import heat_maps, verdict_of
from ..inference.shot.verdicts import brief
from .capture import GBUFFER_PASSES
from .capture.preflight import Finding
from .capture.show import PASS_TEXTS, SHOWN

OUTPUT_DEFAULT = "//lucid/"
_RELATIVE = {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"}


def _is_camera(_settings: LucidShotSettings, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


class LucidActor(bpy.types.PropertyGroup):
    """One actor of the shot: an object (with what is parented to it) or a collection."""

    object: PointerProperty(type=bpy.types.Object, name="Object", description="The object that is this actor")
    collection: PointerProperty(type=bpy.types.Collection, name="Collection",
                                description="The collection that is this actor")
    prompt: StringProperty(name="Prompt", description="What this actor looks like; empty: the shot's prompt is used")

    @property
    def target(self) -> bpy.types.Object | bpy.types.Collection | None:
        """What the entry points at; None once that was deleted from the file."""
        return self.object or self.collection


class LucidShotSettings(bpy.types.PropertyGroup):
    """How the shot of this scene is captured and generated."""

    camera: PointerProperty(type=bpy.types.Object, poll=_is_camera, name="Camera",
                            description="The camera of the shot; empty: the scene's camera")
    use_scene_range: BoolProperty(name="Scene Range", default=True,
                                  description="Capture the scene's own frame range and step")
    frame_start: IntProperty(name="Start", default=1, description="First frame of the shot")
    frame_end: IntProperty(name="End", default=45, description="Last frame of the shot")
    frame_step: IntProperty(name="Step", default=1, min=1, description="Capture every n-th frame")
    use_size: BoolProperty(name="Custom Size", default=False,
                           description="Choose the size in pixels; otherwise the scene's shape at a size the "
                                       "embedded model is quick with")
    width: IntProperty(name="Width", default=256, min=16, soft_max=1920, step=16, subtype="PIXEL",
                       description="Width of the frames; models work in multiples of 16")
    height: IntProperty(name="Height", default=144, min=16, soft_max=1088, step=16, subtype="PIXEL",
                        description="Height of the frames; models work in multiples of 16")
    prompt: StringProperty(name="Prompt", description="What the shot shows, in words: the place, the light, the look")
    environment_prompt: StringProperty(name="Environment",
                                       description="What is behind the actors; empty: the shot's prompt is used")
    seed: IntProperty(name="Seed", default=0, min=0, description="Another seed gives another take of the same shot")
    steps: IntProperty(name="Steps", default=0, min=0, soft_max=50,
                       description="Denoising steps; 0: as many as the model was made for")
    weights: StringProperty(name="Weights", default="mini",
                            description="'mini' is the embedded model; or a folder with Wan VACE weights, or the name "
                                        "of their repository")
    actors: CollectionProperty(type=LucidActor, name="Actors")
    actor_index: IntProperty(name="Active Actor", default=0)
    output: StringProperty(name="Folder", default=OUTPUT_DEFAULT, subtype="DIR_PATH", options=_RELATIVE,
                           description="Where shots are kept; // is the folder of this .blend")
    shot: StringProperty(name="Shot", subtype="DIR_PATH", options=_RELATIVE,
                         description="The captured shot that Generate and the takes list work on",
                         update=lambda settings, context: context.window_manager.lucid.read_takes(settings.shot))
    passes: EnumProperty(name="Passes", options={"ENUM_FLAG"}, default=set(GBUFFER_PASSES),
                         description="What is captured beside the layers",
                         items=[(name, label, text, 1 << place) for place, (name, (label, text))
                                in enumerate(PASS_TEXTS.items())])
    samples: IntProperty(name="Samples", default=16, min=1, soft_max=512,
                         description="Cycles samples a pixel of the beauty and of the shadows and reflections. Blender waits "
                                     "for each picture; Esc is heard between two")
    shown_pass: EnumProperty(name="Pass", description="What a render with the engine Lucid Passes shows",
                             items=[(name, name.replace("_", " ").title(), text) for name, text in SHOWN.items()])
    source: PointerProperty(type=bpy.types.Scene, name="Source",
                            description="On a timeline made by Lucid: the scene its shots were captured from")

    def frames(self, scene: bpy.types.Scene) -> Frames:
        """The range to capture. Raises RANGE_EMPTY."""
        if self.use_scene_range:
            return Frames(scene.frame_start, scene.frame_end, scene.frame_step)
        return Frames(self.frame_start, self.frame_end, self.frame_step)

    def size(self) -> Size | None:
        """The chosen size, or None for the automatic one."""
        return Size(self.width, self.height) if self.use_size else None

    def layer_prompts(self) -> dict[str, str]:
        """Prompts by layer name, only those that say something."""
        prompts = {actor.target.name: actor.prompt.strip() for actor in self.actors if actor.target is not None}
        prompts["environment"] = self.environment_prompt.strip()
        return {name: text for name, text in prompts.items() if text}


class LucidTakeRow(bpy.types.PropertyGroup):
    """One take of the active shot, as last read off the disk."""

    number: IntProperty(name="Number")
    state: EnumProperty(name="State", items=[(state.name, state.value.capitalize(), "") for state in State])
    text: StringProperty(name="Text")
    verdict: StringProperty(name="Verdict", description="Whether it obeys the scene, how much fails, and the score")
    heat: BoolProperty(name="Heat Maps", description="Whether the take was measured with heat maps")


class LucidFindingRow(bpy.types.PropertyGroup):
    """One finding of the last preflight; ``frame`` counts where ``has_frame``."""

    severity: StringProperty(name="Severity")
    text: StringProperty(name="Text")
    hint: StringProperty(name="Hint")
    object: StringProperty(name="Object")
    frame: IntProperty(name="Frame")
    has_frame: BoolProperty(name="Has Frame")


class LucidRuntime(bpy.types.PropertyGroup):
    """The running job and the takes on disk; never saved, always rebuilt."""

    running: BoolProperty(name="Running")
    progress: FloatProperty(name="Progress", min=0.0, max=1.0, subtype="FACTOR")
    text: StringProperty(name="Text")
    seconds_left: FloatProperty(name="Seconds Left", default=-1.0)
    error: StringProperty(name="Error")
    measuring: BoolProperty(name="Measuring")
    measured: FloatProperty(name="Measured", min=0.0, max=1.0, subtype="FACTOR", description="Part of the take's frames")
    takes: CollectionProperty(type=LucidTakeRow, name="Takes")
    take_index: IntProperty(name="Active Take", default=0)
    takes_of: StringProperty(name="Takes Of")
    findings: CollectionProperty(type=LucidFindingRow, name="Findings")
    finding_index: IntProperty(name="Active Finding", default=-1)
    checked: StringProperty(name="Checked", description="The scene that the findings are about; empty before the first")

    def show_findings(self, scene: str, findings: Sequence[Finding]) -> None:
        """Mirror what a preflight of ``scene`` found; "" for none yet."""
        self.findings.clear()
        self.finding_index, self.checked = -1, scene
        for finding in findings:
            row = self.findings.add()
            row.severity, row.text, row.hint, row.object = finding.severity, finding.text, finding.hint, finding.object
            row.frame, row.has_frame = finding.frame or 0, finding.frame is not None

    def row(self, take: Take) -> LucidTakeRow | None:
        """The row of a take; None when the list shows another shot."""
        folder = Path(bpy.path.abspath(self.takes_of)).resolve() / "takes" if self.takes_of else None
        if folder != take.folder.parent:
            return None
        return next((row for row in self.takes if row.number == take.number), None)

    def read_takes(self, shot: str, *, choose: int | None = None) -> None:
        """Mirror the takes below the shot folder ``shot`` (absolute or ``//`` path); the newest becomes active, or the one with
        the number ``choose``."""
        self.takes.clear()
        self.takes_of = shot
        for take in list_takes(Path(bpy.path.abspath(shot))) if shot else []:
            row = self.takes.add()
            row.number, row.heat = take.number, bool(heat_maps(take.folder))
            try:
                request, verdict = take.request(), verdict_of(take.folder)
                row.state, row.text = take.state().name, f"seed {request.seed}, {request.prompt}"
                row.verdict = "" if verdict is None else brief(verdict.total)
            except LucidError as error:
                row.state, row.text = State.FAILED.name, error.text
        places = [place for place, row in enumerate(self.takes) if row.number == choose]
        self.take_index = places[0] if places else max(0, len(self.takes) - 1)


CLASSES = (LucidActor, LucidShotSettings, LucidTakeRow, LucidFindingRow, LucidRuntime)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)


def register() -> None:
    _register_classes()
    bpy.types.Scene.lucid = PointerProperty(type=LucidShotSettings, name="Lucid")
    bpy.types.WindowManager.lucid = PointerProperty(type=LucidRuntime, name="Lucid", options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.lucid
    del bpy.types.Scene.lucid
    _unregister_classes()
