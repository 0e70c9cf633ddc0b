# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender as a module: Lucid is registered once, every test starts from the default file."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import lucid
import pytest


@pytest.fixture(scope="session")
def registered() -> Iterator[None]:
    lucid.register()
    yield
    lucid.unregister()


@pytest.fixture
def scene(registered: None) -> bpy.types.Scene:
    """The scene of Blender's default file: cube, light, camera, AgX."""
    bpy.ops.wm.read_factory_settings()
    return bpy.context.scene


@pytest.fixture
def empty(registered: None) -> bpy.types.Scene:
    """A scene with nothing in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene
