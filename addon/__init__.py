# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender-facing library. Importing it needs no bpy; ``register()`` does."""

from __future__ import annotations

from types import ModuleType


def register() -> None:
    """Settings, preferences, the capturing engine and the command line; before the operators."""
    for module in _foundations():
        module.register()


def unregister() -> None:
    for module in reversed(_foundations()):
        module.unregister()


def _foundations() -> tuple[ModuleType, ...]:
    from . import (
        capture,
        commands,
        move_settings,
        pose_map,
        preferences,
        preview,
        runtime,
        settings,
        thumbnails,
        translation,
        window_overlay,
        worker_state,
    )

    return (translation, settings, runtime, thumbnails, worker_state, move_settings, pose_map, preferences, capture, commands,
            preview, window_overlay)


def register_interface() -> None:
    """Panels, which name operators by idname; after the operators."""
    for module in _panels():
        module.register()


def unregister_interface() -> None:
    from . import measuring, session

    session.stop_polling()
    measuring.stop_polling()
    for module in reversed(_panels()):
        module.unregister()


def _panels() -> tuple[ModuleType, ...]:
    """In the order in which panels and their children are known."""
    from . import (
        cut_panel,
        drop,
        edit_panel,
        engine_panel,
        generate_panel,
        handlers,
        layers_panel,
        moves_panel,
        pose_panel,
        preflight_panel,
        preview_panel,
        render_panel,
        shot_panel,
        shot_presets,
        takes_panel,
    )

    return (shot_presets, shot_panel, layers_panel, moves_panel, preview_panel, preflight_panel, generate_panel, takes_panel,
            cut_panel, edit_panel, pose_panel, render_panel, engine_panel, drop, handlers)
