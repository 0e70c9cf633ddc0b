# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's own environment: what this machine can compute with, uv, the steps. No bpy; it runs in a process of its own."""
