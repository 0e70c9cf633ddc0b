# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender-facing library. Importing it needs no bpy; ``register()`` does."""


def register() -> None:
    """Settings, preferences, the capturing engine and the command line; before the operators."""
    from . import capture, commands, pose_map, preferences, settings

    settings.register()
    pose_map.register()
    preferences.register()
    capture.register()
    commands.register()


def unregister() -> None:
    from . import capture, commands, pose_map, preferences, settings

    commands.unregister()
    capture.unregister()
    preferences.unregister()
    pose_map.unregister()
    settings.unregister()


def register_interface() -> None:
    """Panels, which name operators by idname; after the operators."""
    from . import engine_panel, handlers, panels, pose_panel, preflight_panel

    panels.register()
    engine_panel.register()
    pose_panel.register()
    preflight_panel.register()
    handlers.register()


def unregister_interface() -> None:
    from . import engine_panel, handlers, measuring, panels, pose_panel, preflight_panel, session

    session.stop_polling()
    measuring.stop_polling()
    handlers.unregister()
    preflight_panel.unregister()
    pose_panel.unregister()
    engine_panel.unregister()
    panels.unregister()
