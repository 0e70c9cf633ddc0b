# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin verbs: poll, read the settings, call addon, report. Importing this needs no bpy; ``register()`` does."""


def register() -> None:
    from . import actors, capture, generate, measure, pose, preflight, sequence, takes

    for module in (actors, pose, preflight, capture, sequence, generate, takes, measure):
        module.register()


def unregister() -> None:
    from . import actors, capture, generate, measure, pose, preflight, sequence, takes

    for module in (measure, takes, generate, sequence, capture, preflight, pose, actors):
        module.unregister()
