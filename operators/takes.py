# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the cut: put one on the timeline, show it there, put it in another's place, hold two against each other."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ..addon import visibility
from ..addon.capture import scene_now
from ..addon.cut import cut_of, is_cut, replace_take, replaceable, rivals, seen_take, show_take, shows_heat
from ..addon.shots import active_shot
from ..addon.timeline import place_take, source_scene
from ..addon.translation import rpt_
from ..addon.verified import VerifiedTake
from ..inference.errors import LucidError
from ..inference.shot.takes import State
from .common import OfTake, OfVerifiedTake, chooses_take, take_number
from .stepping import Steps


class _InCut(OfTake):
    """Of a shot that is on a timeline already."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not chooses_take(cls, context):
            return False
        if not is_cut(context, source_scene(context.scene).lucid.shot):
            cls.poll_message_set(rpt_("No take of this shot is on a timeline: press To Timeline first"))
            return False
        return True


class LUCID_OT_import_take(OfVerifiedTake, bpy.types.Operator):
    """Put the take on the timeline of this scene, at the shot's own frames: the final, each layer muted below it, and the
    shot's sound"""

    bl_idname = "lucid.import_take"
    bl_label = "To Timeline"
    bl_options = {"REGISTER", "UNDO"}

    heat: BoolProperty(name="Heat Maps", default=False, options={"SKIP_SAVE"},
                       description="Also the heat maps of its verdict, muted above it: unmute one to see where the take "
                                   "departs from the scene")

    def wanted(self, _context: bpy.types.Context, _folder: Path) -> dict[str, bool]:
        return {"heat": self.heat}

    def act_on(self, context: bpy.types.Context, found: VerifiedTake) -> str:
        scene = source_scene(context.scene)
        timeline = place_take(scene, found)
        visibility.apply(scene)
        context.window_manager.lucid_worker.notice = ""     # of takes to import
        return rpt_("Take {number} is on '{scene}': open a Sequencer to see it").format(
            number=found.take.number, scene=timeline.name)


class LUCID_OT_take_show(_InCut, bpy.types.Operator):
    """See the take on the timeline in place of the shot's other takes there, to compare them"""

    bl_idname = "lucid.take_show"
    bl_label = "Show"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str:
        cut = cut_of(context, folder)
        show_take(cut, folder, number)
        visibility.apply(source_scene(context.scene))
        return rpt_("'{scene}' shows take {number}").format(scene=cut.name, number=number)


class LUCID_OT_take_replace(OfVerifiedTake, _InCut, bpy.types.Operator):
    """Let the selected strips of this shot, or else those that are seen, show the take. Their trims, transforms, modifiers and
    keyframes stay"""

    bl_idname = "lucid.take_replace"
    bl_label = "Replace"
    bl_options = {"REGISTER", "UNDO"}

    def wanted(self, context: bpy.types.Context, folder: Path) -> dict[str, bool]:
        return {"heat": shows_heat(replaceable(cut_of(context, folder), folder))}

    def act_on(self, context: bpy.types.Context, found: VerifiedTake) -> str | None:
        number, strips = found.take.number, replaceable(cut_of(context, found.shot_folder), found.shot_folder)
        changed = replace_take(found, strips)
        if not changed:
            self.report({"WARNING"}, rpt_("They show take {number} already").format(number=number) if strips else
                        rpt_("Select the strips to replace: none of this shot is seen"))
            return None
        visibility.apply(source_scene(context.scene))
        told = rpt_("{count} strip shows take {number} now") if changed == 1 else rpt_("{count} strips show take {number} now")
        return told.format(count=changed, number=number)


class LUCID_OT_take_compare(OfVerifiedTake, _InCut, bpy.types.Operator):
    """See the other one of two takes, again and again: A is the take that is seen, B the one that is chosen in the list, or else
    the one that it is a change of, or the one before"""

    bl_idname = "lucid.take_compare"
    bl_label = "A/B"
    bl_options = {"REGISTER", "UNDO"}   # UNDO: strips are muted, and that is saved with the file

    def _steps(self, context: bpy.types.Context) -> Steps:
        scene, runtime = source_scene(context.scene), context.window_manager.lucid
        number, folder = scene.session_uid, active_shot(scene)
        cut = cut_of(context, folder)
        seen = seen_take(cut, folder)
        if seen is None:
            raise LucidError("TAKE_ABSENT", f"no take of {folder.stem} is seen on '{cut.name}'", "show one first")
        done = [row.number for row in runtime.takes if row.state == State.DONE.name]
        parent = next((row.parent for row in runtime.takes if row.number == seen), 0)
        pair = rivals((runtime.compare_a, runtime.compare_b), seen, take_number(self, context), parent, done)
        other = pair[1] if seen == pair[0] else pair[0]
        try:
            show_take(cut, folder, other)
        except LucidError as error:
            if error.code != "TAKE_ABSENT" or cut.lucid.source is None:     # an edit of the user's own gets no strips
                raise
            found = yield from self._verified(context, folder, other)
            place_take(scene_now(number), found)
        visibility.apply(scene_now(number))
        runtime = context.window_manager.lucid      # anew, too: no handle is held over a wait
        runtime.compare_a, runtime.compare_b = pair
        self.report({"INFO"}, (rpt_("B: take {number}") if other == pair[1] else rpt_("A: take {number}")).format(number=other))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_OT_import_take, LUCID_OT_take_show, LUCID_OT_take_replace, LUCID_OT_take_compare))
