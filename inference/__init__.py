# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that runs without Blender: the shot on disk, controls, generation. Never imports bpy, gpu or mathutils."""
