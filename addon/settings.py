# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.lucid``, what is wished of the shot; it is saved with the file."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..inference.shot.model import Frames, Size
from .capture import GBUFFER_PASSES
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


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((LucidActor, LucidShotSettings))


def register() -> None:
    _register_classes()
    bpy.types.Scene.lucid = PointerProperty(type=LucidShotSettings, name="Lucid")


def unregister() -> None:
    del bpy.types.Scene.lucid
    _unregister_classes()
