# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of the shot, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from ..inference.shot.model import ENVIRONMENT, SHADOW, VOLUME
from .layer_settings import LayerWishes
from .panels import LucidPanel
from .timeline import source_scene
from .translation import iface_, n_


class LUCID_UL_actors(bpy.types.UIList):
    def draw_item(self, _context: bpy.types.Context, layout: bpy.types.UILayout, _data: object, item: object,
                  _icon: int, _active_data: object, _active_property: str) -> None:
        target = item.target
        if target is None:
            layout.label(text=iface_("{name} was deleted").format(name=item.name), icon="ERROR")
        else:
            _draw_row(layout, item, target.name, target.name, "OBJECT_DATA" if item.object else "OUTLINER_COLLECTION")


class LUCID_UL_references(bpy.types.UIList):
    def draw_item(self, _context: bpy.types.Context, layout: bpy.types.UILayout, _data: object, item: object,
                  _icon: int, _active_data: object, _active_property: str) -> None:
        layout.prop(item, "filepath", text="", emboss=False, icon="IMAGE_REFERENCE")


class LUCID_PT_layers(LucidPanel, bpy.types.Panel):
    bl_label = "Layers"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = source_scene(context.scene).lucid, self.layout
        layout.template_list("LUCID_UL_actors", "", settings, "actors", settings, "actor_index", rows=2)
        row = layout.row(align=True)        # below the list: a sidebar has no width to give away
        row.operator("lucid.actor_add", text="Object", icon="ADD").kind = "OBJECT"
        row.operator("lucid.actor_add", text="Collection", icon="COLLECTION_NEW").kind = "COLLECTION"
        row.operator("lucid.actor_remove", text="", icon="REMOVE")
        box = layout.box().column(align=True)
        _draw_row(box, settings.environment, ENVIRONMENT, iface_("Environment"), "WORLD")
        for name, label, icon in ((SHADOW, n_("Shadow"), "LIGHT_SUN"), (VOLUME, n_("Volume"), "OUTLINER_OB_VOLUME")):
            _draw_captured(box, settings, name, iface_(label), icon)


class LUCID_PT_layer_actor(LucidPanel, bpy.types.Panel):
    bl_label = "Active Actor"
    bl_options = {"DEFAULT_CLOSED"}
    bl_parent_id = "LUCID_PT_layers"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _active(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        actor = _active(context)
        _draw_wishes(self.layout, actor, actor.target.name)


class LUCID_PT_layer_environment(LucidPanel, bpy.types.Panel):
    bl_label = "Environment"
    bl_parent_id = "LUCID_PT_layers"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        _draw_wishes(self.layout, source_scene(context.scene).lucid.environment, ENVIRONMENT)


def _active(context: bpy.types.Context) -> LayerWishes | None:
    """The actor chosen in the list; None for one that was deleted."""
    settings = source_scene(context.scene).lucid
    chosen = settings.actors[settings.actor_index:settings.actor_index + 1]
    return next((actor for actor in chosen if actor.target is not None), None)


def _draw_row(layout: bpy.types.UILayout, wishes: LayerWishes, name: str, text: str, icon: str) -> None:
    """Name, prompt, lock, eye and the button that paints the layer again."""
    row = layout.row(align=True)
    split = row.split(factor=0.5)
    split.label(text=text, icon=icon, translate=False)
    prompt = split.row()
    prompt.active = not wishes.locked
    prompt.prop(wishes, "prompt", text="", emboss=False, placeholder=iface_("the shot's prompt"))
    row.prop(wishes, "locked", text="", emboss=False, icon="LOCKED" if wishes.locked else "UNLOCKED")
    row.prop(wishes, "visible", text="", emboss=False, icon="HIDE_OFF" if wishes.visible else "HIDE_ON")
    again = row.row()
    again.active = not wishes.locked
    again.operator("lucid.layer_regenerate", text="", icon="FILE_REFRESH", emboss=False).layer = name


def _draw_captured(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, name: str, label: str,
                   icon: str) -> None:
    """A layer that no model paints: name and eye, grey where the next capture leaves it out."""
    row = layout.row(align=True)
    row.active = name in settings.passes
    row.label(text=label if row.active else iface_("{layer} (not captured)").format(layer=label), icon=icon)
    seen = getattr(settings, f"{name}_visible")
    row.prop(settings, f"{name}_visible", text="", emboss=False, icon="HIDE_OFF" if seen else "HIDE_ON")
    row.label(text="", icon="BLANK1")       # below the eyes of the painted layers


def _draw_wishes(layout: bpy.types.UILayout, wishes: LayerWishes, name: str) -> None:
    column = layout.column()
    column.active = not wishes.locked
    column.prop(wishes, "prompt", text="", placeholder=iface_("The shot's prompt"))
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(wishes, "strength")
    row = column.row(heading="Own Seed")
    row.prop(wishes, "use_seed", text="")
    value = row.row()
    value.active = wishes.use_seed
    value.prop(wishes, "seed", text="")
    column.label(text="References")
    row = column.row()
    row.template_list("LUCID_UL_references", name, wishes, "references", wishes, "reference_index", rows=2)
    side = row.column(align=True)
    side.operator("lucid.reference_add", text="", icon="ADD").layer = name
    side.operator("lucid.reference_remove", text="", icon="REMOVE").layer = name


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_UL_actors, LUCID_UL_references, LUCID_PT_layers, LUCID_PT_layer_actor, LUCID_PT_layer_environment))
