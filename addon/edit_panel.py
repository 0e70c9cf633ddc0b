# SPDX-License-Identifier: GPL-3.0-or-later
"""``WindowManager.lucid_edit``, what is being edited and how, and its panel "Edit" beside the pictures of takes."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ..inference.conditioning.asked import check_request
from ..inference.conditioning.edits import CHANGE, edited, settled, unused_seed
from ..inference.conditioning.target import Target
from ..inference.shot.model import Shot, TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import Take, get_take
from .generate_panel import draw_progress
from .panels import LucidPanel
from .translation import iface_
from .wishes import SEEDS

_STARTS = [("noise", "Anew", "Painted anew, from noise"),
           ("parent", "The Take", "Painted over what the take shows"),
           ("beauty", "Beauty", "Painted over the captured Cycles picture of its layer (needs the pass Beauty)")]


class LucidEdit(bpy.types.PropertyGroup):
    """The target that was pointed at, and what is wished for it; never saved. ``was_*`` is what its take has."""

    shot: StringProperty(name="Shot", description="The folder of the shot that was pointed at")
    take: IntProperty(name="Take", description="The take that is changed; it stays as it is")
    layer: StringProperty(name="Layer", description="The layer that is painted again")
    instances: StringProperty(name="Instances", description="The ids of the target's instances")
    label: StringProperty(name="Target", description="The actor, the object of the environment, or the layer that is changed")
    item: StringProperty(name="Object", description="The object in the scene that was pointed at")
    frame: IntProperty(name="Frame", description="The frame that was pointed at")
    prompt: StringProperty(name="Prompt", description="What the target shows instead")
    seed: IntProperty(name="Seed", min=0, description="Another seed paints the same wish another way")
    use_strength: BoolProperty(name="Change Strength", description="Also change how strongly the target is obeyed")
    strength: FloatProperty(name="Strength", min=0.0, max=1.0, default=1.0, subtype="FACTOR",
                            description="How strongly the model follows the target's shape: 0 leaves it free, 1 makes it obey")
    start: EnumProperty(name="Start From", items=_STARTS, description="What the target is painted over")
    change: FloatProperty(name="Change", min=0.01, max=1.0, default=CHANGE, subtype="FACTOR",
                          description="How much of the picture it starts from is painted again")
    was_prompt: StringProperty(name="Prompt Before")
    was_seed: IntProperty(name="Seed Before")

    def target(self) -> Target:
        return Target(self.layer, tuple(map(int, self.instances.split())), self.label, self.item)

    def aim(self, folder: Path, shot: Shot, take: Take, target: Target, frame: int) -> None:
        """Show a target of a take and what the take has there. Raises TAKE_MISSING, TAKE_INVALID."""
        request = settled(folder, take, target.layer, target.parts(shot))
        known = request.strengths.get(target.label, 1.0)
        self.shot, self.take, self.frame = str(folder), take.number, frame
        self.layer, self.label, self.item = target.layer, target.label, target.seen
        self.instances = " ".join(map(str, target.instances))
        self.prompt = self.was_prompt = request.prompt_of(target.layer)
        self.seed = self.was_seed = request.seed_of(target.layer) % SEEDS      # only a seed that is changed is asked for
        self.use_strength, self.strength = False, 1.0 if isinstance(known, list) else known

    def request(self, shot: Shot, *, another_seed: bool = False) -> TakeRequest:
        """What is asked for of the shot; only what differs from the take is named in it. Raises what :func:`edited` and finding
        the take do."""
        folder = Path(self.shot)
        seed = unused_seed(folder, self.layer) if another_seed else self.seed if self.seed != self.was_seed else None
        return edited(
            folder, shot, get_take(folder, self.take), self.target(),
            prompt=self.prompt if self.prompt != self.was_prompt else None, seed=seed,
            strength=round(self.strength, 3) if self.use_strength else None,     # a property has 32 bits
            start=self.start, change=None if self.start == "noise" else round(self.change, 3))

    def wish(self, *, another_seed: bool = False) -> tuple[TakeRequest, dict[str, list[Path]]]:
        """The request, which the shot can be asked for, and the reference pictures that go with it. Raises what
        :meth:`request`, :func:`check_request` and opening the shot do."""
        folder = Path(self.shot)
        shot = open_shot(folder, verify=False)
        request = self.request(shot, another_seed=another_seed)
        check_request(request, shot, folder)
        return request, get_take(folder, self.take).reference_files()


def draw_wish(layout: bpy.types.UILayout, edit: LucidEdit) -> None:
    """The fields of an edit; the panel and the edit box show the same."""
    layout.prop(edit, "prompt", text="", placeholder=iface_("What '{target}' shows").format(target=edit.label))
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(edit, "seed")
    row = column.row(heading="Strength")
    row.prop(edit, "use_strength", text="")
    value = row.row()
    value.active = edit.use_strength
    value.prop(edit, "strength", text="")
    column.prop(edit, "start")
    if edit.start != "noise":
        column.prop(edit, "change")


class _EditPanel(LucidPanel):
    bl_label = "Edit"
    bl_order = 8

    def draw(self, context: bpy.types.Context) -> None:
        edit, layout = context.window_manager.lucid_edit, self.layout
        row = layout.row(align=True)
        row.operator("lucid.point", icon="EYEDROPPER")
        row.operator("lucid.point", text="", icon="WORLD").layer = "environment"
        if self.bl_space_type != "VIEW_3D":         # there it is under Generate
            draw_progress(layout, context.window_manager.lucid)
        if not edit.label:
            layout.label(text="Point at something in a take", icon="INFO")
            return
        layout.label(text=edit.label, icon="OBJECT_DATA" if edit.item else "RENDERLAYERS", translate=False)
        where = iface_("{layer}, take {take}, frame {frame}") if edit.item else iface_("{layer}, take {take}, the whole layer")
        row = layout.row()
        row.active = False
        row.label(text=where.format(layer=edit.layer, take=edit.take, frame=edit.frame))
        draw_wish(layout, edit)
        row = layout.row(align=True)
        row.operator_context = "EXEC_DEFAULT"       # the fields are above: no box
        row.operator("lucid.edit", icon="RENDER_ANIMATION")
        row.operator("lucid.edit", text="", icon="FILE_REFRESH").another_seed = True


class LUCID_PT_edit(_EditPanel, bpy.types.Panel):
    pass


class LUCID_PT_edit_sequencer(_EditPanel, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


class LUCID_PT_edit_image(_EditPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (LucidEdit, LUCID_PT_edit, LUCID_PT_edit_sequencer, LUCID_PT_edit_image))


def register() -> None:
    _register_classes()
    bpy.types.WindowManager.lucid_edit = PointerProperty(type=LucidEdit, name="Lucid Edit", options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.lucid_edit
    _unregister_classes()
