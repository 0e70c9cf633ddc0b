# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's frames through Lucid's timeline are the frames on the disk, whatever the file around it looks like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.timeline import import_take
from lucid.inference.shot.model import Frames, Size
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take
from lucid.tests.timelines import final_frame, rendered_frame

STEP = 1.0      # of 255: the most that a frame may differ from its PNG
Habit = Callable[[bpy.types.Scene], None]


def _as_it_comes(scene: bpy.types.Scene) -> None:
    assert (scene.view_settings.view_transform, scene.render.dither_intensity) == ("AgX", 1.0)


def _graded(scene: bpy.types.Scene) -> None:
    """AgX with a look, exposure, gamma, curves and white balance, and the strongest dither."""
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "AgX", "AgX - Punchy", 1.5, 1.4
    view.use_curve_mapping = True
    view.curve_mapping.curves[3].points.new(0.5, 0.8)
    view.curve_mapping.update()
    view.use_white_balance, view.white_balance_temperature = True, 3000.0
    scene.render.dither_intensity = 2.0


def _filmic(scene: bpy.types.Scene) -> None:
    scene.view_settings.view_transform, scene.view_settings.look = "Filmic", "Very High Contrast"


def _cropped(scene: bpy.types.Scene) -> None:
    """A border, a size and a stamp of the artist's own, over a film that is transparent."""
    render = scene.render
    render.use_border, render.use_crop_to_border = True, True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.5, 0.25, 0.5
    render.resolution_percentage, render.film_transparent = 37, True
    render.use_stamp, render.use_stamp_frame = True, True
    render.pixel_aspect_x = 2.0
    scene.sequencer_colorspace_settings.name = "sRGB"


def _edited(scene: bpy.types.Scene) -> None:
    """A compositor and strips of its own, which its renders go through."""
    tree = bpy.data.node_groups.new("Look", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    colour, out = tree.nodes.new("CompositorNodeRGB"), tree.nodes.new("NodeGroupOutput")
    tree.links.new(colour.outputs[0], out.inputs[0])
    scene.compositing_node_group = tree
    scene.render.use_compositing = scene.render.use_sequencer = True
    scene.sequence_editor.strips.new_effect("Red", "COLOR", channel=1, frame_start=1, length=50).color = (1.0, 0.0, 0.0)


def _other_display(scene: bpy.types.Scene) -> None:
    scene.display_settings.display_device = "Display P3"


HABITS: tuple[Habit, ...] = (_as_it_comes, _graded, _filmic, _cropped, _edited, _other_display)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_take(tmp_path / "walk.lucid", make_shot(tmp_path / "walk.lucid", frames=Frames(11, 12), size=Size(64, 48)))
    return tmp_path / "walk.lucid"


def _apart(rendered: np.ndarray, folder: Path, frame: int) -> float:
    wanted = final_frame(folder, 1, frame)
    assert rendered.shape == wanted.shape
    return float(np.abs(rendered - wanted).max())


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.__name__.strip("_"))
def test_a_frame_comes_back_as_it_is(scene: bpy.types.Scene, folder: Path, tmp_path: Path, habit: Habit) -> None:
    if not scene.sequence_editor:
        scene.sequence_editor_create()
    habit(scene)
    timeline = import_take(scene, folder, 1)
    for frame in (11, 12):
        assert _apart(rendered_frame(timeline, frame, tmp_path / "out.png"), folder, frame) <= STEP


@pytest.mark.parametrize("habit", [_graded, _cropped], ids=lambda habit: habit.__name__.strip("_"))
def test_also_from_a_file_that_was_saved_and_opened(scene: bpy.types.Scene, folder: Path, tmp_path: Path, habit: Habit) -> None:
    habit(scene)
    import_take(scene, folder, 1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "cut.blend"))
    bpy.ops.wm.read_factory_settings()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "cut.blend"))
    timeline = bpy.data.scenes["Scene timeline"]
    assert _apart(rendered_frame(timeline, 12, tmp_path / "out.png"), folder, 12) <= STEP


def test_at_sixteen_bits_it_is_the_png_itself(scene: bpy.types.Scene, folder: Path, tmp_path: Path) -> None:
    """The bar of one step is what eight bits cost; the strip keeps what the file has."""
    _graded(scene)
    timeline = import_take(scene, folder, 1)
    timeline.render.image_settings.file_format, timeline.render.image_settings.color_depth = "PNG", "16"
    assert _apart(rendered_frame(timeline, 11, tmp_path / "out.png") / 257.0, folder, 11) <= 2.0 / 257.0


def test_the_bar_can_be_missed(scene: bpy.types.Scene, folder: Path, tmp_path: Path) -> None:
    """The same strip in the captured scene, whose view is AgX: what the timeline's own scene is for."""
    timeline = import_take(scene, folder, 1)
    timeline.view_settings.view_transform = "AgX"
    assert _apart(rendered_frame(timeline, 11, tmp_path / "out.png"), folder, 11) > 20.0 * STEP


def test_the_artists_own_settings_stay(scene: bpy.types.Scene, folder: Path) -> None:
    _graded(scene)
    import_take(scene, folder, 1)
    view = scene.view_settings
    assert (view.view_transform, view.look, round(view.exposure, 3)) == ("AgX", "AgX - Punchy", 1.5)
    assert (view.use_white_balance, scene.render.dither_intensity) == (True, 2.0)
