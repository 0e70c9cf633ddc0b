# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: the worker's set-up, and where its Python is when another one is wanted."""

from __future__ import annotations

import sys

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import __package__ as base_package
from ..inference.errors import LucidError
from ..inference.home import lucid_home
from .installer import backends

_SAID = {"cu130": "for drivers from 580 on", "cu126": "for older drivers and GPUs", "rocm": "for Linux", "mps": "Apple's GPUs",
         "cpu": "works everywhere, slow"}
# what this platform has; kept here because Blender does not keep an enumeration's strings
ACCELERATORS = (("AUTO", "Automatic", "The best that this machine has: nvidia-smi and rocminfo are asked"),
                *((one.key, one.title, _SAID[one.key]) for one in backends.BACKENDS if one.platform == sys.platform))


class LucidPreferences(bpy.types.AddonPreferences):
    bl_idname = base_package

    worker_python: StringProperty(
        name="Worker Python", subtype="FILE_PATH",
        description="Python with torch and diffusers; empty: the one that was installed here or that the launcher set up")
    accelerator: EnumProperty(name="Accelerator", items=ACCELERATORS, default="AUTO",
                              description="What the worker computes with, for the next installation")

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        self._draw_state(layout)
        self._draw_set_up(layout.box())
        layout.prop(self, "worker_python")

    def _draw_state(self, layout: bpy.types.UILayout) -> None:
        from . import install
        from .worker import worker_python

        try:
            layout.label(text=f"In use: {worker_python()}", icon="CHECKMARK")
        except LucidError as error:
            error = install.advised(error)
            _draw_error(layout, error)

    def _draw_set_up(self, box: bpy.types.UILayout) -> None:
        from . import install

        job = install.running()
        column = box.column()
        column.enabled = job is None
        column.prop(self, "accelerator")
        for text in self._cost():
            column.label(text=text, icon="BLANK1")
        row = box.row(align=True)
        row.operator("lucid.worker_install", icon="IMPORT")
        row.operator("lucid.worker_check", icon="VIEWZOOM")
        row.operator("lucid.worker_repair", icon="FILE_REFRESH")
        row.operator("lucid.worker_remove", icon="TRASH")
        if job is not None:
            _draw_job(box, job)
        elif install.last() is not None:
            _draw_outcome(box, install.last())

    def _cost(self) -> list[str]:
        """What an installation costs, as far as it is known which one it would be."""
        from . import install

        found = install.found()
        if self.accelerator == "AUTO" and found is None:
            return ["This machine is looked at when you install or check", f"Place: {lucid_home()}"]
        key = found.key if self.accelerator == "AUTO" else self.accelerator
        try:
            chosen = backends.backend(key)
        except LucidError as error:
            return [_sentence(error.text), _sentence(error.hint)]
        why = f"{found.words}: " if self.accelerator == "AUTO" else ""
        size = f"Download about {chosen.download / 1000:.1f} GB, on the disk about {chosen.disk / 1000:.1f} GB"
        return [_sentence(f"{why}{chosen.title}"), size, f"Place: {lucid_home()}"]


def _draw_job(box: bpy.types.UILayout, job: object) -> None:
    fraction, step = job.progress()
    row = box.row(align=True)
    row.progress(factor=fraction, text=f"{job.kind.value}: {step}, {job.seconds:.0f} s")
    row.operator("lucid.worker_cancel", text="", icon="CANCEL")
    column = box.column(align=True)
    for line in job.tail():
        column.label(text=line[:140], icon="BLANK1")


def _draw_outcome(box: bpy.types.UILayout, job: object) -> None:
    if job.error is None:
        box.label(text=job.said, icon="CHECKMARK")
    else:
        _draw_error(box, job.error)


def _draw_error(layout: bpy.types.UILayout, error: LucidError) -> None:
    column = layout.column(align=True)
    column.label(text=_sentence(error.text), icon="ERROR")
    column.label(text=_sentence(error.hint), icon="BLANK1")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def preferences() -> LucidPreferences | None:
    """The preferences; None where Lucid is loaded by path and not as an installed extension."""
    addon = bpy.context.preferences.addons.get(base_package)
    return addon.preferences if addon is not None else None


register, _unregister = bpy.utils.register_classes_factory((LucidPreferences,))


def unregister() -> None:
    """With Lucid goes what its preferences started: no timer stays, and a job stops and cleans up after itself."""
    from . import install

    install.stop_polling()
    _unregister()
