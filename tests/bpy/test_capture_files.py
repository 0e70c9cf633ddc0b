# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of passes, as OpenEXR and Blender read them, and the pictures that a render by hand shows."""

from __future__ import annotations

from pathlib import Path

import bpy
import cv2
import numpy as np
import OpenEXR
import pytest
from lucid.addon.capture.gbuffer import ENGINE
from lucid.addon.capture.show import SHOWN
from lucid.inference.shot.model import PASSES, Frames, Size
from lucid.tests.captured import Captured, add_camera, add_cube, captured

DATA = tuple(name for name in PASSES if name not in ("alpha", "beauty"))


@pytest.fixture
def small(empty: bpy.types.Scene, tmp_path: Path) -> Captured:
    cube = add_cube("Cube")
    cube.data.materials.append(bpy.data.materials.new("Clay"))
    add_camera(empty)
    return captured(empty, tmp_path, frames=Frames(1, 2), size=Size(96, 54), passes=(*DATA, "alpha"))


def test_every_pass_asked_for_is_there_and_no_other(small: Captured) -> None:
    assert {sequence.name for sequence in small.shot.passes} == {*DATA, "alpha"}
    assert {path.name for path in (small.folder / "passes").iterdir()} == {*DATA, "alpha"}


@pytest.mark.parametrize("name", DATA)
def test_files_have_the_named_channels(name: str, small: Captured) -> None:
    for frame in (1, 2):
        path = small.folder / small.shot.sequence(name).path(frame)
        with OpenEXR.File(str(path), separate_channels=True) as file:
            assert len(file.parts) == 1
            assert set(file.channels()) == set(PASSES[name]) == set(small.shot.sequence(name).channels)
            assert {channel.pixels.shape for channel in file.channels().values()} == {(54, 96)}


@pytest.mark.parametrize("name", DATA)
def test_blender_opens_the_files(name: str, small: Captured) -> None:
    image = bpy.data.images.load(str(small.folder / small.shot.sequence(name).path(1)))
    assert tuple(image.size) == (96, 54)
    assert image.has_data and image.is_float


# the render window

@pytest.mark.parametrize("name", SHOWN)
def test_rendering_by_hand_shows_the_chosen_pass(name: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    cube = add_cube("Cube")
    cube.data.materials.append(bpy.data.materials.new("Clay"))
    for frame, turn in ((0, (0.0, 0.0, 0.0)), (2, (0.3, 0.2, 0.5))):
        cube.rotation_euler = turn
        cube.keyframe_insert("rotation_euler", frame=frame)
    add_camera(empty, at=(1.0, -3.0, 1.2))
    render = empty.render
    render.engine, render.filepath, empty.lucid.shown_pass = ENGINE, str(tmp_path / "still.png"), name
    render.resolution_x, render.resolution_y, render.image_settings.color_mode = 96, 54, "RGBA"
    bpy.ops.render.render(write_still=True)
    picture = cv2.imread(render.filepath, cv2.IMREAD_UNCHANGED)
    assert picture.shape == (54, 96, 4)
    opaque = picture[..., 3] == 255
    assert opaque.all() if name in ("alpha", "flow_forward", "flow_backward") else 0.05 < opaque.mean() < 0.9
    assert len(np.unique(picture[..., :3][opaque], axis=0)) >= (1 if name in ("id", "material") else 2)
    assert picture[27, 48, :3].any()
