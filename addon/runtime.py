# SPDX-License-Identifier: GPL-3.0-or-later
"""``WindowManager.lucid``, which mirrors the running job and the disk for the panels; it is never saved."""

from __future__ import annotations

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

from ..inference.errors import LucidError
from ..inference.shot.takes import State, Take, list_takes
from ..inference.shot.verdict_file import heat_maps, verdict_of
from ..inference.shot.verdicts import brief
from .capture.preflight import Finding


class LucidTakeRow(bpy.types.PropertyGroup):
    """One take of the active shot, as last read off the disk."""

    number: IntProperty(name="Number")
    state: EnumProperty(name="State", items=[(state.name, state.value.capitalize(), "") for state in State])
    text: StringProperty(name="Text")
    verdict: StringProperty(name="Verdict", description="Whether it obeys the scene, how much fails, and the score")
    heat: BoolProperty(name="Heat Maps", description="Whether the take was measured with heat maps")


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
        the number ``choose``."""
        self.takes.clear()
        self.takes_of = shot
        for take in list_takes(Path(bpy.path.abspath(shot))) if shot else []:
            row = self.takes.add()
            row.number, row.heat = take.number, bool(heat_maps(take.folder))
            try:
                request, verdict = take.request(), verdict_of(take.folder)
                row.state, row.text = take.state().name, f"seed {request.seed}, {request.prompt}"
                row.verdict = "" if verdict is None else brief(verdict.total)
            except LucidError as error:
                row.state, row.text = State.FAILED.name, error.text
        places = [place for place, row in enumerate(self.takes) if row.number == choose]
        self.take_index = places[0] if places else max(0, len(self.takes) - 1)


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((LucidTakeRow, LucidFindingRow, LucidRuntime))


def register() -> None:
    _register_classes()
    bpy.types.WindowManager.lucid = PointerProperty(type=LucidRuntime, name="Lucid", options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.lucid
    _unregister_classes()
