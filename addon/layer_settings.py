# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wished of each layer of the shot, the same for the environment and for every actor."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..inference.errors import LucidError


def see(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """An eye was clicked: what is on the timeline and in the compositor follows."""
    from .visibility import apply  # which needs these settings

    try:
        apply(settings.id_data)
    except LucidError as error:     # nobody to report to: the panel shows it
        context.window_manager.lucid.error = str(error)


class LucidReference(bpy.types.PropertyGroup):
    """A picture whose look a layer takes over."""

    filepath: StringProperty(name="File", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"},
                             description="A PNG picture with 8 bits of red, green and blue, best on white")

    @property
    def path(self) -> Path:
        return Path(bpy.path.abspath(self.filepath))


class LayerWishes:
    """Mixed into the groups of the layers that are painted."""

    prompt: StringProperty(name="Prompt", description="What this layer shows; empty: the shot's prompt is used")
    strength: FloatProperty(name="Strength", min=0.0, max=1.0, default=1.0, subtype="FACTOR", options=set(),
                            description="How strongly the model follows the layer's shape: 0 leaves it free, 1 makes it obey")
    use_seed: BoolProperty(name="Own Seed", default=False, options=set(),
                           description="Paint this layer from a seed of its own instead of the take's")
    seed: IntProperty(name="Seed", default=0, min=0, options=set(), description="Another seed paints the same wish another way")
    locked: BoolProperty(name="Lock", default=False, options=set(),
                         description="This layer stays, bit for bit, as the chosen take has it: Generate paints the others alone")
    visible: BoolProperty(name="Visible", default=True, options=set(), update=see,
                          description="See this layer in the cut and in the compositor. Where something is hidden, the cut shows "
                                      "the layers in place of the final, without shadows and volumes")
    references: CollectionProperty(type=LucidReference, name="References",
                                   description="Pictures whose look the layer takes over")
    reference_index: IntProperty(name="Active Reference", default=0, options=set())

    def reference_paths(self) -> list[Path]:
        """Their files, in the order of the list."""
        return [reference.path for reference in self.references]


class LucidEnvironment(LayerWishes, bpy.types.PropertyGroup):
    """Everything that no actor has."""


class LucidActor(LayerWishes, bpy.types.PropertyGroup):
    """One actor of the shot: an object (with what is parented to it) or a collection."""

    object: PointerProperty(type=bpy.types.Object, name="Object", description="The object that is this actor")
    collection: PointerProperty(type=bpy.types.Collection, name="Collection",
                                description="The collection that is this actor")

    @property
    def target(self) -> bpy.types.Object | bpy.types.Collection | None:
        """What the entry points at; None once that was deleted from the file."""
        return self.object or self.collection


register, unregister = bpy.utils.register_classes_factory((LucidReference, LucidEnvironment, LucidActor))
