# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin verbs: poll, read the settings, call addon, report. Importing this needs no bpy; ``register()`` does."""


def register() -> None:
    from . import (
        actors,
        capture,
        compositor,
        edit,
        generate,
        install,
        measure,
        moves,
        pose,
        preflight,
        preview,
        sequence,
        takes,
    )

    for module in (actors, moves, pose, preflight, preview, capture, sequence, generate, takes, compositor, measure, edit,
                   install):
        module.register()


def unregister() -> None:
    from . import (
        actors,
        capture,
        compositor,
        edit,
        generate,
        install,
        measure,
        moves,
        pose,
        preflight,
        preview,
        sequence,
        takes,
    )

    for module in (install, edit, measure, compositor, takes, generate, sequence, capture, preview, preflight, pose, moves,
                   actors):
        module.unregister()
