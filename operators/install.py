# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's set-up: install, cancel, repair, remove, check; stop the one that runs. All of it happens in other processes."""

from __future__ import annotations

import time

import bpy
from bpy.props import StringProperty

from ..addon import install, measuring, session, worker_state
from ..addon.install import Kind
from ..addon.installer.backends import Backend
from ..addon.installer.plan import Plan, installed, leftovers
from ..addon.preferences import base_package, preferences
from ..addon.translation import iface_, rpt_
from ..addon.worker import NO_NETWORK
from ..inference.errors import LucidError


def _choice() -> str:
    """The accelerator that the preferences name; automatic where Lucid is no installed extension."""
    chosen = preferences()
    return install.AUTOMATIC if chosen is None else chosen.accelerator


def _free(cls: type[bpy.types.Operator], *, online: bool, alone: bool = True) -> bool:
    """Whether a job may start, else the poll message says why not. ``alone``: no take may be at work."""
    if install.running() is not None:
        cls.poll_message_set(rpt_("The worker is being set up: wait for it, or cancel it"))
        return False
    if online and not bpy.app.online_access:
        cls.poll_message_set(rpt_(NO_NETWORK))
        return False
    if alone and (session.running() or measuring.running() is not None):
        cls.poll_message_set(rpt_("The worker is at work: wait for it, or cancel it"))
        return False
    return True


def _run(operator: bpy.types.Operator, kind: Kind, plan: Plan) -> set[str]:
    """Start a job; without a window there is no timer to look after it, so it is waited for."""
    item = install.start(kind, plan)
    if bpy.app.background:
        while install.mirror():
            item.wait(0.25)
        if item.error is not None:
            raise item.error
        operator.report({"INFO"}, item.said)
    return {"FINISHED"}


class _Starts:
    """What the operators that start a job share: a LucidError becomes a report."""

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            return self.go()
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}


def _told(backend: Backend) -> str:
    """What the person agrees to: accelerator, size, place."""
    told = iface_("For {accelerator}. About {download:.1f} GB to download, {disk:.1f} GB on the disk, in {folder}. "
                  "Nothing enters Blender's own Python.")
    return told.format(accelerator=iface_(backend.title), download=backend.download / 1000, disk=backend.disk / 1000,
                       folder=install.place())


class LUCID_OT_worker_install(_Starts, bpy.types.Operator):
    """Make the worker a Python environment of its own, with torch for this machine. Blender stays usable meanwhile"""

    bl_idname = "lucid.worker_install"
    bl_label = "Install Worker"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files outside Blender

    accelerator: StringProperty(name="Accelerator", options={"SKIP_SAVE"},
                                description="cu130, cu126, rocm, mps, cpu or AUTO; empty: what the preferences say")

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _free(cls, online=True)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            told = _told(install.chosen_backend(self.accelerator or _choice()))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_confirm(self, event, title=iface_("Install the worker?"), message=told,
                                                     confirm_text=iface_("Install"))

    def go(self) -> set[str]:
        return _run(self, Kind.INSTALL, install.make_plan(self.accelerator or _choice()))


class LUCID_OT_worker_repair(_Starts, bpy.types.Operator):
    """Make the environment anew beside the damaged one and put it in its place. What was downloaded before is used again"""

    bl_idname = "lucid.worker_repair"
    bl_label = "Repair"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files outside Blender

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if installed(install.place()) is None:
            cls.poll_message_set(rpt_("There is no worker that was installed here"))
            return False
        return _free(cls, online=True)

    def go(self) -> set[str]:
        return _run(self, Kind.REPAIR, install.make_plan(_choice()))


class LUCID_OT_worker_remove(_Starts, bpy.types.Operator):
    """Delete the worker's environment, its Python and all that was downloaded for it. Shots and takes stay"""

    bl_idname = "lucid.worker_remove"
    bl_label = "Remove"
    bl_options = {"REGISTER"}   # no UNDO: it only deletes files outside Blender

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not leftovers(install.place()):
            cls.poll_message_set(rpt_("There is no worker that was installed here"))
            return False
        return _free(cls, online=False)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event, title=iface_("Remove the worker?"), icon="WARNING",
                                                     message=iface_("To generate again it has to be downloaded again."),
                                                     confirm_text=iface_("Remove"))

    def go(self) -> set[str]:
        return _run(self, Kind.REMOVE, install.place_plan())


class LUCID_OT_worker_check(_Starts, bpy.types.Operator):
    """Start the worker's Python and name the one thing that is wrong with it, if there is one"""

    bl_idname = "lucid.worker_check"
    bl_label = "Check"
    bl_options = {"REGISTER"}   # no UNDO: it only looks

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _free(cls, online=False, alone=False)

    def go(self) -> set[str]:
        install.look()
        return _run(self, Kind.CHECK, install.place_plan())


class LUCID_OT_worker_cancel(bpy.types.Operator):
    """Stop setting up the worker; what was begun is deleted, an earlier worker stays"""

    bl_idname = "lucid.worker_cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}   # no UNDO: it only stops a process

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if install.running() is None:
            cls.poll_message_set(rpt_("The worker is not being set up"))
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        install.cancel()
        return {"FINISHED"}


class LUCID_OT_worker_stop(bpy.types.Operator):
    """End the worker that runs, of this Lucid or another. A take that it makes is stopped and can be resumed; the next take
    starts a worker anew"""

    bl_idname = "lucid.worker_stop"
    bl_label = "Stop Worker"
    bl_options = {"REGISTER"}   # no UNDO: it only ends a process

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.window_manager.lucid_worker.stopping:
            cls.poll_message_set(rpt_("The worker is being stopped"))
            return False
        if not bpy.app.background and not context.window_manager.lucid_worker.there:
            cls.poll_message_set(rpt_("No worker runs"))
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event, title=iface_("Stop the worker?"), icon="WARNING",
                                                     message=iface_("Takes that run or wait, of any Blender, stop; they can be "
                                                                    "resumed."), confirm_text=iface_("Stop"))

    def execute(self, context: bpy.types.Context) -> set[str]:
        worker_state.end_worker()
        if not bpy.app.background:
            return {"FINISHED"}
        while worker_state.mirror():        # without a window there is no timer to look after it
            time.sleep(0.05)
        state = context.window_manager.lucid_worker
        self.report({"ERROR" if state.error else "INFO"}, state.error or state.text)
        return {"CANCELLED" if state.error else "FINISHED"}


class LUCID_OT_preferences_open(bpy.types.Operator):
    """Show Lucid's preferences, where the worker is installed, checked and stopped"""

    bl_idname = "lucid.preferences_open"
    bl_label = "Lucid Preferences"
    bl_options = {"REGISTER"}   # no UNDO: it only opens a window

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if preferences() is None:
            cls.poll_message_set(rpt_("Lucid is not installed as an extension: it has no preferences"))
            return False
        if bpy.app.background:
            cls.poll_message_set(rpt_("There is no window to show them in"))
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        bpy.ops.preferences.addon_show(module=base_package)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((
    LUCID_OT_worker_install, LUCID_OT_worker_repair, LUCID_OT_worker_remove, LUCID_OT_worker_check, LUCID_OT_worker_cancel,
    LUCID_OT_worker_stop, LUCID_OT_preferences_open))
