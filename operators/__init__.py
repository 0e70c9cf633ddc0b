# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin verbs: poll, read the settings, call addon, report. Importing this needs no bpy; ``register()`` does."""

from __future__ import annotations

from types import ModuleType


def register() -> None:
    for module in _modules():
        module.register()


def unregister() -> None:
    for module in reversed(_modules()):
        module.unregister()


def _modules() -> tuple[ModuleType, ...]:
    from . import (
        actors,
        capture,
        compositor,
        edit,
        generate,
        install,
        layers,
        measure,
        moves,
        open_shot,
        pose,
        preflight,
        presets,
        preview,
        sequence,
        take_files,
        takes,
    )

    return (actors, moves, pose, preflight, preview, capture, sequence, generate, layers, takes, take_files, compositor,
            measure, edit, install, open_shot, presets)
