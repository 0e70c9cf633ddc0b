# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender-facing library. Importing it needs no bpy; ``register()`` does."""


def register() -> None:
    """Settings, preferences, the capturing engine and the command line; before the operators."""
    from . import capture, commands, preferences, settings

    settings.register()
    preferences.register()
    capture.register()
    commands.register()


def unregister() -> None:
    from . import capture, commands, preferences, settings

    commands.unregister()
    capture.unregister()
    preferences.unregister()
    settings.unregister()


def register_interface() -> None:
    """Panels, which name operators by idname; after the operators."""
    from . import handlers, panels

    panels.register()
    handlers.register()


def unregister_interface() -> None:
    from . import handlers, panels, session

    session.stop_polling()
    handlers.unregister()
    panels.unregister()
