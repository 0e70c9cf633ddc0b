# SPDX-License-Identifier: GPL-3.0-or-later
"""The on-disk contract between Blender and the worker: a shot is a folder, a take is a folder inside it."""
