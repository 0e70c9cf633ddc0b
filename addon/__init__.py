# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender-facing library. Importing it needs no bpy; ``register()`` does."""


def register() -> None:
    """Settings, preferences, the capturing engine and the command line; before the operators."""
    from . import capture, commands, move_settings, pose_map, preferences, preview, settings

    settings.register()
    move_settings.register()
    pose_map.register()
    preferences.register()
    capture.register()
    commands.register()
    preview.register()


def unregister() -> None:
    from . import capture, commands, move_settings, pose_map, preferences, preview, settings

    preview.unregister()
    commands.unregister()
    capture.unregister()
    preferences.unregister()
    pose_map.unregister()
    move_settings.unregister()
    settings.unregister()


def register_interface() -> None:
    """Panels, which name operators by idname; after the operators."""
    from . import (
        cut_panel,
        edit_panel,
        engine_panel,
        handlers,
        moves_panel,
        panels,
        pose_panel,
        preflight_panel,
        preview_panel,
    )

    panels.register()
    cut_panel.register()
    engine_panel.register()
    pose_panel.register()
    moves_panel.register()
    preflight_panel.register()
    preview_panel.register()
    edit_panel.register()
    handlers.register()


def unregister_interface() -> None:
    from . import (
        cut_panel,
        edit_panel,
        engine_panel,
        handlers,
        measuring,
        moves_panel,
        panels,
        pose_panel,
        preflight_panel,
        preview_panel,
        session,
    )

    session.stop_polling()
    measuring.stop_polling()
    handlers.unregister()
    edit_panel.unregister()
    preview_panel.unregister()
    preflight_panel.unregister()
    moves_panel.unregister()
    pose_panel.unregister()
    engine_panel.unregister()
    cut_panel.unregister()
    panels.unregister()
