# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo scene, piece by piece: a street, a walker, a ball, a camera; `scripts/demo_scene.py` is the way in."""
