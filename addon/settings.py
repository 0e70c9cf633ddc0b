# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.lucid``, what is wished of the shot; it is saved with the file."""

from __future__ import annotations

from collections.abc import Iterator

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

from ..inference.shot.model import ENVIRONMENT, SHADOW, VOLUME, Frames, Size
from . import layer_settings
from .capture import GBUFFER_PASSES
from .capture.show import PASS_TEXTS, SHOWN
from .layer_settings import LayerWishes, LucidActor, LucidEnvironment, see
from .redraw import redraw_timelines

OUTPUT_DEFAULT = "//lucid/"
_RELATIVE = {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"}


def _is_camera(_settings: LucidShotSettings, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


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
    seed: IntProperty(name="Seed", default=0, min=0, description="Another seed gives another take of the same shot")
    steps: IntProperty(name="Steps", default=0, min=0, soft_max=50,
                       description="Denoising steps; 0: as many as the model was made for")
    weights: StringProperty(name="Weights", default="mini",
                            description="'mini' is the embedded model; or a folder with Wan VACE weights, or the name "
                                        "of their repository")
    noise: EnumProperty(name="Noise", description="Where the noise lies that a take is painted from",
                        items=[("surface", "On Surfaces", "Noise goes with the surfaces, into retakes and other cameras too"),
                               ("pixel", "In Pixels", "White noise in each pixel, from the seed alone")])
    stickiness: FloatProperty(name="Stickiness", default=0.0, min=0.0, max=1.0, subtype="FACTOR",
                              description="How much of the noise on a surface stays from frame to frame")
    pull: FloatProperty(name="Pull", default=0.0, min=0.0, max=1.0, subtype="FACTOR",
                        description="How far each object's colours are held to where it is first seen")
    environment: PointerProperty(type=LucidEnvironment, name="Environment")
    actors: CollectionProperty(type=LucidActor, name="Actors")
    actor_index: IntProperty(name="Active Actor", default=0)
    show_windows: BoolProperty(name="Windows on Timelines", default=True, options=set(),
                               update=lambda _settings, _context: redraw_timelines(),
                               description="Draw the windows that the shot is denoised in, and where they overlap, at the top of "
                                           "timelines, dope sheets and the sequencer")
    shadow_visible: BoolProperty(name="Visible", default=True, options=set(), update=see,
                                 description="See the actors' shadows and reflections. Where something is hidden, the cut shows "
                                             "the layers in place of the final; the compositor hides shadows alone")
    volume_visible: BoolProperty(name="Visible", default=True, options=set(), update=see,
                                 description="See smoke, fire and fog. Where something is hidden, the cut shows the layers in "
                                             "place of the final; the compositor hides volumes alone")
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

    def layers(self) -> Iterator[tuple[str, LayerWishes]]:
        """The layers that are painted, by name, the farthest first; actors whose object was deleted are left out."""
        yield ENVIRONMENT, self.environment
        for actor in self.actors:
            if actor.target is not None:
                yield actor.target.name, actor

    def layer(self, name: str) -> LayerWishes | None:
        """The wishes for the layer called so; None where there is none."""
        return dict(self.layers()).get(name)

    def hidden(self) -> frozenset[str]:
        """The layers whose eye is closed."""
        names = {name for name, wishes in self.layers() if not wishes.visible}
        names |= {name for name, seen in ((SHADOW, self.shadow_visible), (VOLUME, self.volume_visible)) if not seen}
        return frozenset(names)


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((LucidShotSettings,))


def register() -> None:
    layer_settings.register()
    _register_classes()
    bpy.types.Scene.lucid = PointerProperty(type=LucidShotSettings, name="Lucid")


def unregister() -> None:
    del bpy.types.Scene.lucid
    _unregister_classes()
    layer_settings.unregister()
