# SPDX-License-Identifier: GPL-3.0-or-later
"""Take -> a node group in the compositor that rebuilds its final from its layers."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon import visibility
from ..addon.compositor import compositor_group
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from ..addon.verified import VerifiedTake
from .common import OfVerifiedTake


class LUCID_OT_compositor_group(OfVerifiedTake, bpy.types.Operator):
    """Rebuild the take's final from its layers in the compositor of a scene of its own, with a factor for each layer"""

    bl_idname = "lucid.compositor_group"
    bl_label = "To Compositor"
    bl_options = {"REGISTER", "UNDO"}

    def wanted(self, _context: bpy.types.Context, _folder: Path) -> dict[str, bool]:
        return {"captured": True}

    def act_on(self, context: bpy.types.Context, found: VerifiedTake) -> str:
        scene = source_scene(context.scene)
        place, group = compositor_group(scene, found)
        visibility.apply(scene)
        return rpt_("'{group}' is in the compositor of the scene '{scene}', and under Add > Group").format(
            group=group.name, scene=place.name)


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_compositor_group,))
