# SPDX-License-Identifier: GPL-3.0-or-later
"""A take becomes strips on a timeline: one for the final, one below it for each layer.

The strips live in a scene of their own ("NAME timeline"), never in the scene that was captured. Strips there would
replace the 3D render, and exact frames need settings an artist's scene should keep: the view transform (AgX, the
default, changes sequencer output by up to half of the range; Standard returns every value as it was), the space that
strips are blended in (scene-linear, as the worker composites), no dither, the resolution and the frame rate.
Workspaces show the timeline through ``workspace.sequencer_scene``.

The final is seen; the layers are muted, and composited by alpha-over they give the painted part of the final again
(``compositor`` rebuilds all of it: shadows, volumes and the edges that two actors share). Heat maps of the take's verdict,
where they are wanted, lie above everything, muted too: unmute one to see it over the final. The sound of the shot comes
with its first take, below it, once.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import Frames, Rate, Shot
from ..inference.shot.paths import frame_path
from ..inference.shot.takes import Take
from ..inference.shot.verdict_file import HEAT
from .soundtrack import add_sound, hear, sound_file, sound_strip
from .strips import blend_path as blend_path
from .strips import directory, lucid_strips, overlaps, shot_strips
from .verified import Patterns, VerifiedTake, verified_take

VIEW_TRANSFORM = "Standard"
COMPOSITE_SPACE = "Linear Rec.709"      # where strips are blended: as the worker composites its layers
COMPOSITING = "lucid_compositing"       # on a scene made for the compositor: it is no timeline
_CHANNELS = 128             # Blender's limit
_COLOURS = {"final": "COLOR_04", "environment": "COLOR_05"}
_ACTOR_COLOUR = "COLOR_06"
_HEAT_COLOUR = "COLOR_01"


def import_take(scene: bpy.types.Scene, shot_folder: Path, number: int, *, heat: bool = False) -> bpy.types.Scene:
    """:func:`place_take`, of a take that is verified here. Raises what :func:`verified_take` does, too."""
    return place_take(scene, verified_take(shot_folder, number, heat=heat))


def place_take(scene: bpy.types.Scene, found: VerifiedTake) -> bpy.types.Scene:
    """Put a finished take on the timeline of ``scene`` and show it; returns the timeline's scene.

    Frames are named by scene frame and sit there; with a step, each is held until the next. Other takes in the same
    range are muted. A take that is there already is shown again, never doubled. Its heat maps are there too, where they are
    found. Raises SHOT_CORRUPT, TIMELINE_FULL, COLOUR_CONFIG; then nothing has been changed.
    """
    shot, take, shot_folder = found.shot, found.take, found.shot_folder
    sound = sound_file(shot_folder, shot)
    timeline = _matching_timeline(scene, shot)
    present = [] if timeline is None else [s for s in lucid_strips(timeline) if directory(s).is_relative_to(take.folder)]
    missing = _missing(take, found.sequences, found.maps, {directory(strip) for strip in present})
    if timeline is not None and (shot_strips(timeline, shot_folder) or (sound and sound_strip(timeline, sound))):
        sound = None            # it came with the shot's first take; one that was deleted since stays away
    count = len(missing) + (sound is not None)
    channel = 1 if timeline is None or not count else _free_channel(timeline, shot.frames, count)
    timeline = timeline or _new_timeline(scene, shot)
    if sound is not None:
        add_sound(timeline, shot, sound, channel)
        channel += 1
    if missing:
        present += [_add_strip(timeline, shot, take, name, pattern, channel + offset)
                    for offset, (name, pattern) in enumerate(missing)]
        _include(timeline, shot.frames)
    _show(timeline, shot.frames, present, take)
    hear(timeline, shot, shot_folder)
    for workspace in bpy.data.workspaces:
        shown = workspace.sequencer_scene
        if shown is None or shown.lucid.source is not None:     # an edit of the user's own stays where it is
            workspace.sequencer_scene = timeline
    return timeline


def strip_name(shot: Shot, take: Take, part: str) -> str:
    return f"lucid {shot.name} take {take.number} · {part}"


def source_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """The scene that shots are captured from: ``scene`` itself, or the one its timeline belongs to."""
    return scene.lucid.source or scene


def _missing(take: Take, sequences: Patterns, maps: Patterns,
             there: set[Path]) -> list[tuple[str, str]]:
    """What is not on the timeline yet, which shows the folders ``there`` of the take: a layer that was deleted from a take that
    is there stays away."""
    heat = {(take.folder / pattern).parent: (name, pattern) for name, pattern in maps}
    whole = any(not folder.is_relative_to(take.folder / HEAT) for folder in there)
    return [*([] if whole else sequences), *(each for folder, each in heat.items() if folder not in there)]


def _matching_timeline(scene: bpy.types.Scene, shot: Shot) -> bpy.types.Scene | None:
    """The timeline of the same source with the shot's size and rate: a cut can hold several shots and takes."""
    source = source_scene(scene)
    for other in bpy.data.scenes:
        if other.lucid.source == source and not other.get(COMPOSITING) and _picture(other) == _wanted(shot):
            return other
    return None


def _picture(scene: bpy.types.Scene) -> tuple[int, int, int, int, int, float]:
    render = scene.render
    return (render.resolution_x, render.resolution_y, render.resolution_percentage, render.fps,
            round(render.fps_base * 1e5), round(render.pixel_aspect_x / render.pixel_aspect_y, 4))


def _wanted(shot: Shot) -> tuple[int, int, int, int, int, float]:
    fps, base = _blender_rate(shot.rate)
    return shot.size.width, shot.size.height, 100, fps, round(base * 1e5), round(shot.pixel_aspect, 4)


def _blender_rate(rate: Rate) -> tuple[int, float]:
    """24000/1001 is fps 24, base 1.001, as Blender's own presets write it."""
    fps = max(1, round(rate.fps))
    return fps, fps / rate.fps


def exact_scene(source: bpy.types.Scene, shot: Shot, name: str) -> bpy.types.Scene:
    """A new scene of the shot's size, rate and range that shows values as they are. Raises COLOUR_CONFIG."""
    made = bpy.data.scenes.new(name)
    made.lucid.source = source
    render, view = made.render, made.view_settings
    render.resolution_x, render.resolution_y, render.resolution_percentage = shot.size.width, shot.size.height, 100
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, shot.pixel_aspect), max(1.0, 1.0 / shot.pixel_aspect)
    render.fps, render.fps_base = _blender_rate(shot.rate)
    render.dither_intensity = 0.0           # noise on the way from 16 bits to 8
    made.frame_start, made.frame_end = shot.frames.start, shot.frames.end
    made.frame_current = shot.frames.start
    try:
        view.view_transform = VIEW_TRANSFORM
        made.sequencer_colorspace_settings.name = COMPOSITE_SPACE
    except TypeError as error:
        bpy.data.scenes.remove(made)
        raise LucidError("COLOUR_CONFIG",
                         f"this colour configuration has no '{VIEW_TRANSFORM}' view of {COMPOSITE_SPACE}: {error}",
                         "start Blender without the OCIO environment variable") from error
    view.look, view.exposure, view.gamma, view.use_curve_mapping = "None", 0.0, 1.0, False
    return made


def _new_timeline(scene: bpy.types.Scene, shot: Shot) -> bpy.types.Scene:
    source = source_scene(scene)
    timeline = exact_scene(source, shot, f"{source.name} timeline")
    timeline.sequence_editor_create()
    return timeline


def _add_strip(timeline: bpy.types.Scene, shot: Shot, take: Take, name: str, pattern: str,
               channel: int) -> bpy.types.ImageStrip:
    frames = shot.frames
    files = [take.folder / frame_path(pattern, frame) for frame in frames.numbers
             for _ in range(min(frames.step, frames.end - frame + 1))]
    strip = timeline.sequence_editor.strips.new_image(
        name=strip_name(shot, take, name), filepath=str(files[0]), channel=channel, frame_start=frames.start,
        fit_method="ORIGINAL")
    for path in files[1:]:
        strip.elements.append(path.name)
    strip.directory = blend_path(files[0].parent) + "/"
    strip.colorspace_settings.name = "sRGB"
    strip.alpha_mode = "STRAIGHT"
    strip.blend_type = "ALPHA_OVER"
    strip.select = False        # Replace acts on what the user selects, else on what is seen
    strip.color_tag = _HEAT_COLOUR if pattern.startswith(f"{HEAT}/") else _COLOURS.get(name, _ACTOR_COLOUR)
    return strip


def _free_channel(timeline: bpy.types.Scene, frames: Frames, count: int) -> int:
    """The first of ``count`` channels above everything in the range, also what is not Lucid's."""
    editor = timeline.sequence_editor
    strips = editor.strips if editor is not None else ()
    channel = max((strip.channel for strip in strips if overlaps(strip, frames)), default=0) + 1
    if channel + count - 1 > _CHANNELS:
        raise LucidError("TIMELINE_FULL", f"'{timeline.name}' has no {count} free channels left at these frames",
                         "delete strips of takes you do not want there")
    return channel


def _include(timeline: bpy.types.Scene, frames: Frames) -> None:
    timeline.frame_start = min(timeline.frame_start, frames.start)
    timeline.frame_end = max(timeline.frame_end, frames.end)


def _show(timeline: bpy.types.Scene, frames: Frames, strips: list[bpy.types.ImageStrip], take: Take) -> None:
    """This take's final is seen; its layers and every other take in the range are muted."""
    for strip in lucid_strips(timeline):
        if overlaps(strip, frames):
            strip.mute = True
    for strip in strips:
        strip.mute = directory(strip) != take.folder / "final"
