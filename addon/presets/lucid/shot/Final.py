# SPDX-License-Identifier: GPL-3.0-or-later
"""For keeps: the largest picture that the embedded model learnt, shadows and volumes too, all of its steps."""

import bpy

settings = (bpy.context.scene.lucid.source or bpy.context.scene).lucid

settings.use_size = True
settings.width = 384
settings.height = 224
settings.passes = {"depth", "normal", "id", "flow_forward", "flow_backward", "rest", "alpha", "shadow", "volume"}
settings.samples = 64
settings.steps = 0
