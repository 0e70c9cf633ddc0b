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
from .panels import wrapped
from .translation import iface_, n_

_WIDTH = 110                # characters of a line
_SAID = {"cu130": n_("for drivers from 580 on"), "cu126": n_("for older drivers and GPUs"), "rocm": n_("for Linux"),
         "mps": n_("Apple's GPUs"), "cpu": n_("works everywhere, slow")}
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
        _draw_python(layout)
        _draw_worker(layout.box())
        self._draw_set_up(layout.box())
        layout.prop(self, "worker_python")

    def _draw_set_up(self, box: bpy.types.UILayout) -> None:
        from . import install

        job = install.running()
        column = box.column()
        column.enabled = job is None
        column.prop(self, "accelerator")
        for text in self._cost():
            column.label(text=text, icon="BLANK1")
        if not bpy.app.online_access:
            _draw_offline(box)
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

        found, place = install.found(), iface_("Place: {folder}").format(folder=lucid_home())
        if self.accelerator == "AUTO" and found is None:
            return [iface_("This machine is looked at when you install or check"), place]
        key = found.key if self.accelerator == "AUTO" else self.accelerator
        try:
            chosen = backends.backend(key)
        except LucidError as error:
            return [_sentence(error.text), _sentence(error.hint)]
        why = f"{found.words}: " if self.accelerator == "AUTO" else ""
        size = iface_("Download about {download:.1f} GB, on the disk about {disk:.1f} GB")
        return [_sentence(f"{why}{iface_(chosen.title)}"), size.format(download=chosen.download / 1000, disk=chosen.disk / 1000),
                place]


def _draw_python(layout: bpy.types.UILayout) -> None:
    """The one in use, as it was last looked for."""
    state = bpy.context.window_manager.lucid_worker
    if state.missing:
        _draw_error(layout, state.missing, state.hint)
    elif state.python:
        layout.label(text=iface_("In use: {path}").format(path=state.python), icon="CHECKMARK")


def _draw_offline(box: bpy.types.UILayout) -> None:
    """The first thing that somebody new meets: nothing is fetched without being allowed to."""
    box.label(text="Installing needs online access", icon="INTERNET_OFFLINE")
    if not bpy.app.online_access_override:      # Blender was not started with --offline-mode
        box.prop(bpy.context.preferences.system, "use_online_access")


def _draw_worker(box: bpy.types.UILayout) -> None:
    """The one that runs, as it last answered."""
    from . import worker_state

    worker_state.look_soon()
    state = bpy.context.window_manager.lucid_worker
    row = box.split(factor=0.8)
    row.label(text=state.text or iface_("The worker is asked"), icon="INFO")
    row.operator("lucid.worker_stop", text="Stopping" if state.stopping else "Stop Worker", icon="CANCEL")
    if state.error:
        wrapped(box, state.error, _WIDTH, alert=False)


def _draw_job(box: bpy.types.UILayout, job: object) -> None:
    fraction, step, tail = job.shown
    row = box.row(align=True)
    row.progress(factor=fraction, text=f"{iface_(job.kind.value)}: {iface_(step)}, {job.seconds:.0f} s")
    row.operator("lucid.worker_cancel", text="", icon="CANCEL")
    column = box.column(align=True)
    for line in tail:
        column.label(text=line[:140], icon="BLANK1")


def _draw_outcome(box: bpy.types.UILayout, job: object) -> None:
    if job.error is None:
        box.label(text=job.said, icon="CHECKMARK")
    else:
        _draw_error(box, job.error.text, job.error.hint)


def _draw_error(layout: bpy.types.UILayout, text: str, hint: str) -> None:
    column = layout.column(align=True)
    column.label(text=_sentence(text), icon="ERROR")
    column.label(text=_sentence(hint), icon="BLANK1")


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
