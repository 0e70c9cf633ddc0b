# SPDX-License-Identifier: GPL-3.0-or-later
"""Quick to see: the automatic size, no pass that Cycles draws, half of the embedded model's steps."""

import bpy

settings = (bpy.context.scene.lucid.source or bpy.context.scene).lucid

settings.use_size = False
settings.passes = {"depth", "normal", "id", "flow_forward", "flow_backward", "rest", "alpha"}
settings.samples = 4
settings.steps = 4
