# SPDX-License-Identifier: GPL-3.0-or-later
"""Lucid: direct video diffusion transformers with what a 3D scene knows exactly.

The composition root. Importing this package needs no bpy, so the worker and the tests share it; Blender calls
``register()`` and ``unregister()``.
"""


def register() -> None:
    from . import addon, operators

    addon.register()
    operators.register()
    addon.register_interface()


def unregister() -> None:
    from . import addon, operators

    addon.unregister_interface()
    operators.unregister()
    addon.unregister()
