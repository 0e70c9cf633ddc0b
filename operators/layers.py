# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: paint one again, give it pictures to look like, and put a take's wishes back into the panel."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..addon.layer_settings import LayerWishes
from ..addon.shots import active_shot
from ..addon.strips import blend_path
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from ..addon.wishes import another_seed, check_references, restore_request
from ..inference.errors import LucidError
from ..inference.shot.store import open_shot
from ..inference.shot.takes import get_take
from .common import OfTake, chooses_take, idle, is_own, lists_takes
from .generate import begin

_KEEP = {"SKIP_SAVE"}
_LAYER = "An actor's name, or environment; empty: the actor chosen in the list"


class LUCID_OT_layer_regenerate(bpy.types.Operator):
    """Paint this layer of the chosen take once more, with a seed that no take has used for it; all the rest of the take stays
    as it is, to the pixel"""

    bl_idname = "lucid.layer_regenerate"
    bl_label = "Regenerate Layer"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    layer: StringProperty(name="Layer", options=_KEEP, description=_LAYER)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return idle(cls) and chooses_take(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = source_scene(context.scene)
        folder = active_shot(scene)
        try:
            name, wish = _named(scene, self.layer)
            if wish.locked:
                raise LucidError("LAYER_LOCKED", f"'{name}' is locked", "unlock it to paint it again")
            take, request, references = another_seed(scene, open_shot(folder, verify=False), name)
            job = begin(self, context, folder, request, references)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if job is None:
            return {"CANCELLED"}
        self.report({"INFO"}, rpt_("Take {number} paints '{layer}' of take {old} again").format(
            number=job.take.number, layer=name, old=take.number))
        return {"FINISHED"}


class LUCID_OT_reference_add(bpy.types.Operator):
    """Add pictures whose look the layer takes over: PNG with 8 bits of red, green and blue, best on white"""

    bl_idname = "lucid.reference_add"
    bl_label = "Add References"
    bl_options = {"REGISTER", "UNDO"}

    layer: StringProperty(name="Layer", options=_KEEP, description=_LAYER)
    filepath: StringProperty(subtype="FILE_PATH", options=_KEEP, description="The picture")
    directory: StringProperty(subtype="DIR_PATH", options=_KEEP, description="The folder of the pictures")
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options=_KEEP, description="Several pictures of a folder")
    filter_glob: StringProperty(default="*.png", options={"HIDDEN"}, description="Which files are listed")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_own(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        names = [Path(self.directory) / item.name for item in self.files if item.name] or [Path(self.filepath)]
        paths = [Path(bpy.path.abspath(str(path))) for path in names]
        try:
            name, wish = _named(source_scene(context.scene), self.layer)
            check_references({name: paths}, [name])
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        known = wish.reference_paths()
        new = [path for path in dict.fromkeys(paths) if path not in known]
        for path in new:
            wish.references.add().filepath = blend_path(path)
        if not new:
            self.report({"WARNING"}, rpt_("'{layer}' has that reference already").format(layer=name))
            return {"CANCELLED"}
        wish.reference_index = len(wish.references) - 1
        count = len(wish.references)
        told = rpt_("'{layer}' has {count} reference") if count == 1 else rpt_("'{layer}' has {count} references")
        self.report({"INFO"}, told.format(layer=name, count=count))
        return {"FINISHED"}


class LUCID_OT_reference_remove(bpy.types.Operator):
    """Take the reference chosen in the list away from the layer; the file stays"""

    bl_idname = "lucid.reference_remove"
    bl_label = "Remove Reference"
    bl_options = {"REGISTER", "UNDO"}

    layer: StringProperty(name="Layer", options=_KEEP, description=_LAYER)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_own(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            name, wish = _named(source_scene(context.scene), self.layer)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not 0 <= wish.reference_index < len(wish.references):
            self.report({"WARNING"}, rpt_("'{layer}' has no reference to take away").format(layer=name))
            return {"CANCELLED"}
        wish.references.remove(wish.reference_index)
        wish.reference_index = max(0, min(wish.reference_index, len(wish.references) - 1))
        return {"FINISHED"}


class LUCID_OT_take_restore(OfTake, bpy.types.Operator):
    """Put what the take was asked for back into the panel: prompts, seeds, steps, weights, strengths and references"""

    bl_idname = "lucid.take_restore"
    bl_label = "Restore Settings"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_own(cls, context) and lists_takes(cls, context)

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str:
        lost = restore_request(source_scene(context.scene), get_take(folder, number))
        runtime = context.window_manager.lucid      # layers that it kept are locked now: as the chosen take has them
        runtime.take_index = next((place for place, row in enumerate(runtime.takes) if row.number == number), runtime.take_index)
        if lost:
            self.report({"WARNING"}, rpt_("The panel has no place for {things}").format(things="; ".join(lost)))
        return rpt_("What take {number} was asked for is back in the panel").format(number=number)


def _named(scene: bpy.types.Scene, layer: str) -> tuple[str, LayerWishes]:
    """The layer called so, else the active actor. Raises LAYER_UNKNOWN."""
    settings = scene.lucid
    chosen = settings.actors[settings.actor_index:settings.actor_index + 1]
    name = layer or next((actor.target.name for actor in chosen if actor.target is not None), "")
    wish = settings.layer(name)
    if wish is None:
        raise LucidError("LAYER_UNKNOWN", f"the scene has no layer '{name}'" if name else "no actor is chosen in the list",
                         f"its layers are: {', '.join(name for name, _wish in settings.layers())}")
    return name, wish


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_OT_layer_regenerate, LUCID_OT_reference_add, LUCID_OT_reference_remove, LUCID_OT_take_restore))
