# SPDX-License-Identifier: GPL-3.0-or-later
"""``WindowManager.lucid``, which mirrors the running job and the disk for the panels; it is never saved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

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

from ..inference.shot.takes import State, Take, list_takes
from . import take_rows, thumbnails
from .capture.preflight import Finding

_SLICE, _PAUSE = 0.02, 0.02     # seconds that reading goes on, and that it leaves to the interface then
_UNREAD = "UNREAD"
_unread: list[Take] = []        # takes whose rows have a number alone; the last is read first


class LucidTakeRow(bpy.types.PropertyGroup):
    """One take of the active shot, as last read off the disk."""

    number: IntProperty(name="Number")
    state: EnumProperty(name="State", items=[(_UNREAD, "Not Read Yet", ""),
                                             *((state.name, state.value.capitalize(), "") for state in State)])
    read: BoolProperty(name="Read", description="Whether the take was looked at yet; until then its number alone is known")
    favourite: BoolProperty(name="Favourite", description="Whether it is one to keep: it is not deleted")
    text: StringProperty(name="Text", description="Its seed and prompt, or what is wrong with its files")
    prompt: StringProperty(name="Prompt", description="What it was to show; of a change, what was changed was to show")
    details: StringProperty(name="Details", description="Its seed, its steps, how long it took")
    origin: StringProperty(name="Origin", description="Which take it changes or keeps layers of")
    parent: IntProperty(name="Parent", description="The number of that take; 0: none")
    frames: IntProperty(name="Frames", description="How many frames its final has; 0 while nobody knows")
    error: StringProperty(name="Error", description="Why it failed")
    verdict: StringProperty(name="Verdict", description="Whether it obeys the scene, how much fails, and the score")
    heat: BoolProperty(name="Heat Maps", description="Whether the take was measured with heat maps")
    picture: StringProperty(name="Picture", description="The file of the frame in the middle of its final")

    @property
    def done(self) -> bool:
        return self.state == State.DONE.name

    @property
    def resumable(self) -> bool:
        """Whether it was stopped, or waits: for a worker that may be gone."""
        return self.state in (State.INTERRUPTED.name, State.CANCELLED.name, State.QUEUED.name)


class LucidFindingRow(bpy.types.PropertyGroup):
    """One finding of the last preflight; ``frame`` counts where ``has_frame``."""

    severity: StringProperty(name="Severity")
    text: StringProperty(name="Text")
    hint: StringProperty(name="Hint")
    object: StringProperty(name="Object")
    frame: IntProperty(name="Frame")
    has_frame: BoolProperty(name="Has Frame")


class LucidRuntime(bpy.types.PropertyGroup):
    """The running job and the takes on disk; never saved, always rebuilt."""

    running: BoolProperty(name="Running")
    progress: FloatProperty(name="Progress", min=0.0, max=1.0, subtype="FACTOR")
    text: StringProperty(name="Text")
    seconds_left: FloatProperty(name="Seconds Left", default=-1.0)
    error: StringProperty(name="Error")
    measuring: BoolProperty(name="Measuring")
    measured: FloatProperty(name="Measured", min=0.0, max=1.0, subtype="FACTOR", description="Part of the take's frames")
    takes: CollectionProperty(type=LucidTakeRow, name="Takes")
    take_index: IntProperty(name="Active Take", default=0)
    takes_of: StringProperty(name="Takes Of")
    compare_a: IntProperty(name="A", description="The take that B is held against; 0: none yet")
    compare_b: IntProperty(name="B", description="The take that is held against A; 0: none yet")
    findings: CollectionProperty(type=LucidFindingRow, name="Findings")
    finding_index: IntProperty(name="Active Finding", default=-1)
    checked: StringProperty(name="Checked", description="The scene that the findings are about; empty before the first")

    def show_findings(self, scene: str, findings: Sequence[Finding]) -> None:
        """Mirror what a preflight of ``scene`` found; "" for none yet."""
        self.findings.clear()
        self.finding_index, self.checked = -1, scene
        for finding in findings:
            row = self.findings.add()
            row.severity, row.text, row.hint, row.object = finding.severity, finding.text, finding.hint, finding.object
            row.frame, row.has_frame = finding.frame or 0, finding.frame is not None

    def row(self, take: Take) -> LucidTakeRow | None:
        """The row of a take; None when the list shows another shot."""
        folder = Path(bpy.path.abspath(self.takes_of)).resolve() / "takes" if self.takes_of else None
        if folder != take.folder.parent:
            return None
        return next((row for row in self.takes if row.number == take.number), None)

    def read_takes(self, shot: str, *, choose: int | None = None) -> None:
        """Mirror the takes below the shot folder ``shot`` (absolute or ``//`` path); the newest becomes active, or the one with
        the number ``choose``. Where there are many, a timer reads on from the newest to the oldest."""
        if self.takes_of != shot:
            self.compare_a = self.compare_b = 0
        folder = Path(bpy.path.abspath(shot)).resolve() if shot else None
        take_rows.forget(keep=folder)
        takes = list_takes(folder) if folder is not None else []
        self.takes.clear()
        self.takes_of = shot
        for take in takes:
            self.takes.add().number = take.number
        numbers = [take.number for take in takes]
        self.take_index = numbers.index(choose) if choose in numbers else max(0, len(numbers) - 1)
        _unread[:] = sorted(takes, key=lambda take: (take.number == choose, take.number))
        if self.read_on(_turn()) and not bpy.app.timers.is_registered(_read_on):
            bpy.app.timers.register(_read_on, first_interval=_PAUSE, persistent=True)

    def read_on(self, seconds: float | None) -> bool:
        """Fill rows that were not read yet, for so long and at least one (None: all of them); True while some are left."""
        rows, ends = {row.number: row for row in self.takes}, None if seconds is None else time.perf_counter() + seconds
        while _unread:
            take = _unread.pop()
            if (row := rows.get(take.number)) is not None:
                for name, value in take_rows.facts(take).items():
                    setattr(row, name, value)
            if ends is not None and time.perf_counter() > ends:
                break
        if not _unread:
            thumbnails.show(row.picture for row in self.takes if row.picture)
        return bool(_unread)

    @property
    def chosen(self) -> LucidTakeRow | None:
        """The row that is active in the list; None in an empty one."""
        return self.takes[min(self.take_index, len(self.takes) - 1)] if self.takes else None


def _turn() -> float | None:
    """Without a window no timer would read the rest."""
    return None if bpy.app.background else _SLICE


def _read_on() -> float | None:
    if bpy.context.window_manager.lucid.read_on(_SLICE):
        return _PAUSE
    _draw_lists_again()
    return None


def _draw_lists_again() -> None:
    """The sidebars alone: the picture of a scene may take long to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type in {"VIEW_3D", "SEQUENCE_EDITOR"} else ():
                if region.type == "UI":
                    region.tag_redraw()


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((LucidTakeRow, LucidFindingRow, LucidRuntime))


def register() -> None:
    _register_classes()
    bpy.types.WindowManager.lucid = PointerProperty(type=LucidRuntime, name="Lucid", options={"SKIP_SAVE"})


def unregister() -> None:
    if bpy.app.timers.is_registered(_read_on):
        bpy.app.timers.unregister(_read_on)
    _unread.clear()
    take_rows.forget()
    del bpy.types.WindowManager.lucid
    _unregister_classes()
