# SPDX-License-Identifier: GPL-3.0-or-later
"""A take in the compositor: the group's picture is the final, and each factor takes its layer out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from lucid.addon.compositor import compositor_group, groups_showing, remove_groups
from lucid.addon.timeline import import_take
from lucid.addon.verified import verified_take
from lucid.inference.conditioning.transfer import codes_to_linear
from lucid.inference.errors import LucidError
from lucid.inference.generation.composite import Shadow, Volume, alphas, composite, mean_linear
from lucid.inference.shot import store
from lucid.inference.shot.images import read_png, to_unit, write_exr, write_png
from lucid.inference.shot.model import Frames, Kind, Layer, Shot, Size, TakeRequest, layer_sequence
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.takes import State, Take, new_take
from lucid.tests.shots import make_shot

SIZE = Size(48, 32)
RNG = np.random.default_rng


def _shot(folder: Path, frames: Frames) -> tuple[Shot, dict[int, Shadow], dict[int, Volume]]:
    """The road, ball and figure with a shadow layer (ratios beyond 4 and exactly 1, reflections) and a volume."""
    shot, random, plane = make_shot(folder, frames=frames, size=SIZE), RNG(5), (SIZE.height, SIZE.width)
    layers = [Layer(name, name, (), tuple(layer_sequence(kind, name, each) for each in passes), None, kind)
              for name, kind, passes in (("shadow", Kind.SHADOW, ("ratio", "difference")),
                                         ("volume", Kind.VOLUME, ("transmittance", "emission")))]
    shadows, volumes = {}, {}
    for frame in frames.numbers:
        ratio = random.uniform(0.0, 7.0, (*plane, 3)).astype(np.float32)
        ratio[: SIZE.height // 2] = np.minimum(ratio[: SIZE.height // 2], 1.0)
        shadows[frame] = Shadow(ratio, random.uniform(-0.3, 0.5, (*plane, 3)).astype(np.float32))
        volumes[frame] = Volume(random.uniform(0.0, 1.0, plane).astype(np.float32),
                                random.uniform(0.0, 0.2, (*plane, 3)).astype(np.float32))
        for layer, images in ((layers[0], {"ratio": ratio, "difference": shadows[frame].difference}),
                              (layers[1], {"transmittance": volumes[frame].transmittance, "emission": volumes[frame].emission})):
            for name, image in images.items():
                channels = {"Y": image} if image.ndim == 2 else dict(zip("RGB", np.moveaxis(image, -1, 0), strict=True))
                write_exr(folder / layer.sequence(name).path(frame), channels)
    return store.seal(folder, replace(shot, layers=(*shot.layers, *layers), files={})), shadows, volumes


def _take(folder: Path, shot: Shot, seed: int = 0) -> Take:
    """Noise whose actors share their edges: visible coverages that add up to 1 at most, as the worker writes them."""
    take, noise = new_take(folder.resolve(), TakeRequest("noise", seed=seed)), RNG(seed)
    take.emit("started")
    plane = (SIZE.height, SIZE.width)
    for frame in shot.frames.numbers:
        free = noise.integers(0, 3, plane) * 32767 + 1      # nothing, half or all of a pixel is an actor's
        parts = {"environment": np.full(plane, 65535), "Ball": noise.integers(0, free)}
        parts["Walker"] = free - parts["Ball"]
        for layer in (*shot.actors, shot.environment):
            rgb = noise.integers(0, 65536, (*plane, 3))
            rgba = np.concatenate([rgb, parts[layer.name][..., None]], -1).astype(np.uint16)
            write_png(take.folder / frame_path(take.layer_pattern(layer.folder), frame), rgba)
    return take


def _finished(folder: Path, shot: Shot, take: Take, shadows: dict[int, Shadow], volumes: dict[int, Volume]) -> Take:
    for frame in shot.frames.numbers:
        write_png(take.folder / frame_path(take.final_pattern, frame), _expected(shot, take, frame, shadows, volumes))
    take.finish(State.DONE, error=None, final=take.final_pattern, seconds=0.0, frames={},
                layers={layer.name: take.layer_pattern(layer.folder) for layer in shot.layers if layer.is_painted})
    return take


def _expected(shot: Shot, take: Take, frame: int, shadows: dict[int, Shadow], volumes: dict[int, Volume],
              off: str = "") -> np.ndarray:
    """As ``director`` composes it; without the layer ``off``."""
    painted = (shot.environment, *shot.actors)
    pictures = [read_png(take.folder / frame_path(take.layer_pattern(layer.folder), frame)) for layer in painted]
    covers = [to_unit(picture[..., 3]) * np.float32(layer.name != off) for layer, picture in zip(painted, pictures, strict=True)]
    ambient = mean_linear(read_png(take.folder / frame_path(take.layer_pattern("environment"), each))[..., :3]
                          for each in shot.frames.numbers)
    return composite([(picture[..., :3], alpha) for picture, alpha in
                      zip(pictures, [covers[0], *alphas(np.stack(covers[1:]))], strict=True)],
                     shadows.get(frame), volumes.get(frame), ambient if volumes else None,
                     shadow_strength=float(off != "shadow"), volume_strength=float(off != "volume"))


def _rendered(place: bpy.types.Scene, frame: int, path: Path, mode: str = "RGB") -> np.ndarray:
    """RGB(A) in steps of 8 bits."""
    place.frame_set(frame)
    place.render.image_settings.file_format, place.render.image_settings.color_mode = "PNG", mode
    place.render.image_settings.color_depth = "16"
    place.render.filepath = str(path)
    bpy.context.window.scene = place
    bpy.ops.render.render(write_still=True)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(read, cv2.COLOR_BGR2RGB if mode == "RGB" else cv2.COLOR_BGRA2RGBA) / 257.0


def _node(place: bpy.types.Scene) -> bpy.types.Node:
    """The group's node that the compositor gives."""
    return next(link.from_node for link in place.compositing_node_group.links if link.to_node.bl_idname == "NodeGroupOutput")


@pytest.mark.parametrize("frames", [Frames(11, 13), Frames(0, 6, 3)])
def test_the_group_is_the_final(scene: bpy.types.Scene, tmp_path: Path, frames: Frames) -> None:
    """In a default file (AgX), shadows, volume and shared edges included; with a step each image is held."""
    folder = tmp_path / "walk.lucid"
    shot, shadows, volumes = _shot(folder, frames)
    take = _finished(folder, shot, _take(folder, shot), shadows, volumes)
    place, group = compositor_group(scene, verified_take(folder, 1, captured=True))
    assert group.name == "Lucid walk take 1" and scene.compositing_node_group is None
    assert scene.view_settings.view_transform == "AgX" and place.view_settings.view_transform == "Standard"
    for frame in range(frames.start, frames.end + 1):
        image = frame - (frame - frames.start) % frames.step
        final = read_png(take.folder / frame_path(take.final_pattern, image)) / 257.0
        assert np.abs(_rendered(place, frame, tmp_path / "out.png") - final).max() <= 1.0, frame


def test_each_factor_takes_its_layer_out(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot, shadows, volumes = _shot(folder, Frames(4, 4))
    take = _finished(folder, shot, _take(folder, shot), shadows, volumes)
    place, group = compositor_group(scene, verified_take(folder, 1, captured=True))
    node = _node(place)
    assert [(socket.name, socket.default_value) for socket in node.inputs] == [
        (name, 1.0) for name in ("environment", "Ball", "Walker", "shadow", "volume")]
    for name in ("Ball", "Walker", "shadow", "volume"):
        node.inputs[name].default_value = 0.0
        expected = _expected(shot, take, 4, shadows, volumes, off=name) / 257.0
        assert np.abs(_rendered(place, 4, tmp_path / "out.png") - expected).max() <= 1.0, name
        assert np.abs(expected - read_png(take.folder / "final/frame.0004.png") / 257.0).max() > 50.0, name
        node.inputs[name].default_value = 1.0


def test_without_the_environment_the_actors_stand_alone(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """Premultiplied, so that they can be laid over something else."""
    folder = tmp_path / "walk.lucid"
    shot, shadows, _ = _shot(folder, Frames(4, 4))
    take = _finished(folder, shot, _take(folder, shot), shadows, {})
    place, _ = compositor_group(scene, verified_take(folder, 1, captured=True))
    node = _node(place)
    node.inputs["environment"].default_value = node.inputs["volume"].default_value = 0.0
    place.render.film_transparent = True
    straight = _rendered(place, 4, tmp_path / "out.png", "RGBA")
    parts = [read_png(take.folder / f"layers/{name}/frame.0004.png") for name in ("Ball", "Walker")]
    covers = [to_unit(part[..., 3])[..., None] for part in parts]
    cover = sum(covers)
    assert np.abs(straight[..., 3] - 255.0 * cover[..., 0]).max() <= 1.0
    light = sum(codes_to_linear(part[..., :3]) * alpha for part, alpha in zip(parts, covers, strict=True))
    there = cover[..., 0] > 0.4
    found = codes_to_linear(np.round(straight[..., :3] * 257.0).astype(np.uint16))[there]
    assert np.abs(found - (light / np.maximum(cover, 1e-6))[there]).max() < 0.01


def test_another_take_lies_beside_and_the_same_comes_once(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(4, 5), size=SIZE)
    takes = [_finished(folder, shot, _take(folder, shot, seed), {}, {}) for seed in (1, 2)]
    place, first = compositor_group(scene, verified_take(folder, 1, captured=True))
    _node(place).inputs["Ball"].default_value = 0.25
    second = compositor_group(place, verified_take(folder, 2, captured=True))
    assert second[0] == place and second[1] != first and _node(place).node_tree == second[1]
    final = read_png(takes[1].folder / "final/frame.0005.png") / 257.0
    assert np.abs(_rendered(place, 5, tmp_path / "out.png") - final).max() <= 1.0
    assert compositor_group(scene, verified_take(folder, 1, captured=True)) == (place, first)
    assert len(bpy.data.node_groups) == 3 and _node(place).inputs["Ball"].default_value == 0.25


def test_a_takes_group_goes_with_its_nodes_and_images(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(4, 5), size=SIZE)
    first, second, third = (_finished(folder, shot, _take(folder, shot, seed), {}, {}) for seed in (1, 2, 3))
    place, _ = compositor_group(scene, verified_take(folder, 1, captured=True))
    compositor_group(scene, verified_take(folder, 2, captured=True))
    assert [len(groups_showing(take)) for take in (first, second, third)] == [1, 1, 0]
    assert remove_groups(third) == 0 and len(bpy.data.node_groups) == 3
    assert remove_groups(second) == 1 and not groups_showing(second)
    assert _node(place).node_tree == groups_showing(first)[0]       # what is left is seen
    assert not any("takes/0002" in image.filepath.replace("\\", "/") for image in bpy.data.images)
    final = read_png(first.folder / "final/frame.0005.png") / 257.0
    assert np.abs(_rendered(place, 5, tmp_path / "out.png") - final).max() <= 1.0
    assert remove_groups(first) == 1 and [tree.name for tree in bpy.data.node_groups] == [place.compositing_node_group.name]
    assert [node.bl_idname for node in place.compositing_node_group.nodes] == ["NodeGroupOutput"]


def test_it_is_no_timeline(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(4, 5), size=SIZE)
    _finished(folder, shot, _take(folder, shot), {}, {})
    place, _ = compositor_group(scene, verified_take(folder, 1, captured=True))
    timeline = import_take(place, folder, 1)
    assert timeline not in (place, scene) and place.sequence_editor is None


def test_paths_are_relative_and_survive_a_move(scene: bpy.types.Scene, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shot, shadows, volumes = _shot(project / "walk.lucid", Frames(4, 5))
    _finished(project / "walk.lucid", shot, _take(project / "walk.lucid", shot), shadows, volumes)
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "edit.blend"))
    compositor_group(bpy.context.scene, verified_take(project / "walk.lucid", 1, captured=True))
    paths = [image.filepath for image in bpy.data.images if image.source == "SEQUENCE"]
    assert len(paths) == 7 and all(path.startswith("//walk.lucid/") for path in paths)
    bpy.ops.wm.save_mainfile()
    shutil.move(project, tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "edit.blend"))
    place, moved = bpy.data.scenes["Scene compositor"], tmp_path / "moved" / "walk.lucid"
    final = read_png(moved / "takes/0001/final/frame.0005.png") / 257.0
    assert np.abs(_rendered(place, 5, tmp_path / "out.png") - final).max() <= 1.0
    assert compositor_group(bpy.data.scenes["Scene"], verified_take(moved, 1, captured=True))[0] == place
    assert len([image for image in bpy.data.images if image.source == "SEQUENCE"]) == 7


def test_what_cannot_be_rebuilt_is_refused(scene: bpy.types.Scene, tmp_path: Path) -> None:
    early, folder = tmp_path / "early.lucid", tmp_path / "walk.lucid"
    shot = make_shot(early, frames=Frames(-2, 1), size=SIZE)
    _finished(early, shot, _take(early, shot), {}, {})
    shot, shadows, volumes = _shot(folder, Frames(4, 4))
    _finished(folder, shot, _take(folder, shot), shadows, volumes)
    path = folder / "layers/shadow/ratio.0004.exr"
    path.write_bytes(path.read_bytes()[:-9])
    for place, number, code in ((early, 1, "FRAMES_NEGATIVE"), (folder, 1, "SHOT_CORRUPT"), (folder, 7, "TAKE_MISSING")):
        with pytest.raises(LucidError) as raised:
            compositor_group(scene, verified_take(place, number, captured=True))
        assert raised.value.code == code
    assert len(bpy.data.scenes) == 1 and not bpy.data.node_groups
    assert not [image for image in bpy.data.images if image.source == "SEQUENCE"]


def test_in_another_working_space(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """*Over* is exact there too; ratios are not, so they are refused."""
    plain, lit = tmp_path / "walk.lucid", tmp_path / "lit.lucid"
    shot = make_shot(plain, frames=Frames(4, 4), size=SIZE)
    take = _finished(plain, shot, _take(plain, shot), {}, {})
    shot, shadows, volumes = _shot(lit, Frames(4, 4))
    _finished(lit, shot, _take(lit, shot), shadows, volumes)
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    place, _ = compositor_group(scene, verified_take(plain, 1, captured=True))
    final = read_png(take.folder / "final/frame.0004.png") / 257.0
    assert np.abs(_rendered(place, 4, tmp_path / "out.png") - final).max() <= 1.0
    with pytest.raises(LucidError, match="COLOUR_CONFIG: .*ACEScg"):
        compositor_group(scene, verified_take(lit, 1, captured=True))


def test_the_operator_reports_and_is_undone(scene: bpy.types.Scene, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Capture the shot first"):
        bpy.ops.lucid.compositor_group()
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(4, 5), size=SIZE)
    scene.lucid.shot = str(folder)
    with pytest.raises(RuntimeError, match="No take is done yet"):
        bpy.ops.lucid.compositor_group()
    take = _finished(folder, shot, _take(folder, shot), {}, {})
    bpy.ops.lucid.takes_refresh()
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.lucid.compositor_group("EXEC_DEFAULT", True) == {"FINISHED"}
    assert "Lucid walk take 1" in bpy.data.node_groups and "Scene compositor" in bpy.data.scenes
    bpy.ops.ed.undo()
    assert not bpy.data.node_groups and "Scene compositor" not in bpy.data.scenes
    (take.folder / "layers/Ball/frame.0005.png").unlink()
    with pytest.raises(RuntimeError, match="TAKE_CORRUPT"):
        bpy.ops.lucid.compositor_group()
