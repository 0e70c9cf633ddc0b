# SPDX-License-Identifier: GPL-3.0-or-later
"""Marched volumes against closed forms and a numpy twin of the shader."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from captured import add_camera
from lucid.addon.capture.camera import CameraView, view_of
from lucid.addon.capture.shading import ensure_gpu
from lucid.addon.capture.volume import CURVE, Marcher, VolumeGrid, VolumeSurface, near_plane
from lucid.inference.shot.model import Size
from numpy.typing import NDArray

SIZE = Size(40, 30)
Array = NDArray[Any]


def camera_view(scene: bpy.types.Scene, size: Size = SIZE, **settings: Any) -> CameraView:
    camera = add_camera(scene, **settings)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    return view_of(camera.evaluated_get(depsgraph), depsgraph, size)


def march(volumes: list[VolumeGrid], view: CameraView, stop: float | Array = np.inf, size: Size = SIZE) -> VolumeSurface:
    ensure_gpu()
    return Marcher(size).march(volumes, view, np.full((size.height, size.width), stop, np.float32)
                               if np.isscalar(stop) else stop)


def block(shape: tuple[int, int, int], side: float, *, at: tuple[float, float, float] = (0.0, 0.0, 0.0), value: float = 1.0,
          **light: Any) -> VolumeGrid:
    """A grid full of ``value``, with voxels of ``side`` metres, centred ``at``."""
    matrix = np.diag([side, side, side, 1.0])
    matrix[:3, 3] = np.array(at) - 0.5 * side * (np.array(shape) - 1)
    return VolumeGrid(np.full(shape, value, np.float32), matrix, **light)


def rays(view: CameraView, size: Size = SIZE) -> tuple[Array, Array]:
    """Origin and direction (H, W, 3) through the pixels' centres, OpenCV camera axes, of length 1 along z."""
    v, u = np.mgrid[0:size.height, 0:size.width] + 0.5
    x, y = (u - view.K[0, 2]) / view.K[0, 0], (v - view.K[1, 2]) / view.K[1, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    seen, straight = np.stack([x, y, zero], -1), np.stack([zero, zero, one], -1)
    return (seen, straight) if view.orthographic else (np.zeros_like(seen), seen + straight)


# Camera and surface inside one homogeneous medium, so that everything is a closed form along each ray.


@pytest.mark.parametrize("lens", [{"type": "PERSP", "lens": 24.0, "shift_x": 0.1}, {"type": "ORTHO", "ortho_scale": 2.0}],
                         ids=["perspective", "orthographic"])
def test_homogeneous_medium_is_exact(empty: bpy.types.Scene, lens: dict[str, Any]) -> None:
    view = camera_view(empty, at=(0.3, -1.0, 0.2), towards=(0.0, 3.0, 0.5), clip_start=0.25, **lens)
    sigma, glow, end = np.array([0.2, 0.7, 2.5]), np.array([3.0, 2.0, 1.0]), 4.0
    fog = block((40, 40, 40), 0.5, value=2.0, extinction=tuple(sigma / 2.0), emission=tuple(glow / 2.0))
    seen = march([fog], view, end)

    _, way = rays(view)
    length = np.linalg.norm(way, axis=-1)[..., None] * (end - 0.25)
    thick = sigma * length
    through = np.exp(-thick)
    np.testing.assert_allclose(seen.transmittance, through.mean(-1), rtol=0, atol=2e-6)
    np.testing.assert_allclose(seen.emission, glow / sigma * (1.0 - through), rtol=1e-5)
    mean = 0.25 + (end - 0.25) * (1.0 / thick - through / (1.0 - through))
    depth = (mean * (1.0 - through)).sum(-1) / (1.0 - through).sum(-1)
    np.testing.assert_allclose(seen.depth, depth, rtol=3e-5)


def test_a_thin_medium_keeps_its_digits(empty: bpy.types.Scene) -> None:
    view = camera_view(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=1.0)
    seen = march([block((20, 10, 20), 0.2, extinction=(1e-3,) * 3)], view)
    np.testing.assert_allclose(1.0 - seen.transmittance, 1.0 - np.exp(-2e-3), rtol=1e-4)
    # what lies in front hides a little: L (1/2 - tau / 12) into a slab of thickness L
    np.testing.assert_allclose(seen.depth, 4.0 + 2.0 * (0.5 - 2e-3 / 12.0), rtol=1e-5)


def test_a_box_takes_the_chord_of_each_ray(empty: bpy.types.Scene) -> None:
    """Beyond the outermost voxels the value falls to 0 over one voxel: on average the box is n voxels thick."""
    view = camera_view(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0), lens=80.0)
    seen = march([block((60, 16, 60), 0.125, extinction=(0.8,) * 3)], view)
    _, way = rays(view)
    np.testing.assert_allclose(seen.transmittance, np.exp(-0.8 * 2.0 * np.linalg.norm(way, axis=-1)), rtol=0, atol=1e-4)


def test_a_surface_stops_the_march(empty: bpy.types.Scene) -> None:
    view = camera_view(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=1.0)
    stop = np.full((30, 40), np.inf, np.float32)
    stop[:10], stop[10:20] = 3.0, 5.0           # in front of the box, in its middle; the rest sees all of it
    fog = block((40, 20, 40), 0.1, extinction=(0.5,) * 3, emission=(1.0, 0.0, 0.0))
    seen = march([fog], view, stop)
    np.testing.assert_array_equal(seen.transmittance[:10], 1.0)
    np.testing.assert_array_equal(seen.emission[:10], 0.0)
    assert np.all(np.isposinf(seen.depth[:10]))
    np.testing.assert_allclose(seen.transmittance[10:20], np.exp(-0.5), rtol=1e-4)
    np.testing.assert_allclose(seen.transmittance[20:], np.exp(-1.0), rtol=1e-4)
    assert np.all(seen.depth[10:20] < 4.6) and np.all(seen.depth[20:] > 4.75)


def test_nothing_in_view(empty: bpy.types.Scene) -> None:
    view = camera_view(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0), clip_end=8.0)
    behind = block((4, 4, 4), 0.5, at=(0.0, -20.0, 0.0), extinction=(1.0,) * 3, emission=(1.0,) * 3)
    beyond = block((4, 4, 4), 0.5, at=(0.0, 20.0, 0.0), extinction=(1.0,) * 3, emission=(1.0,) * 3)
    for volumes in ([], [behind, beyond]):
        seen = march(volumes, view)
        assert np.all(seen.transmittance == 1.0) and not seen.emission.any() and np.all(np.isposinf(seen.depth))


def test_volumes_that_overlap_add_up(empty: bpy.types.Scene) -> None:
    view = camera_view(empty, at=(2.0, -4.0, 1.0), towards=(0.0, 0.0, 0.0))
    light = {"extinction": (0.3, 0.6, 0.9), "emission": (1.0, 0.5, 0.0)}
    twice = march([block((9, 9, 9), 0.25, value=2.0, **light)], view)
    both = march([block((9, 9, 9), 0.25, **light), block((9, 9, 9), 0.25, **light)], view)
    for name in ("transmittance", "emission", "depth"):
        np.testing.assert_allclose(getattr(both, name), getattr(twice, name), rtol=2e-6)


def test_twin_of_the_shader(empty: bpy.types.Scene) -> None:
    rng = np.random.default_rng(7)
    view = camera_view(empty, at=(1.5, -4.0, 1.2), towards=(0.0, 0.0, 0.0))
    volumes = []
    for shape in ((7, 9, 5), (16, 12, 14), (3, 3, 4)):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        matrix = np.eye(4)
        matrix[:3, :3] = turn @ np.diag(rng.uniform(1.5, 3.0, 3) / shape)
        matrix[:3, 3] = rng.uniform(-0.4, 0.4, 3) - matrix[:3, :3] @ (0.5 * np.array(shape))
        values = rng.uniform(-0.5, 1.0, shape).astype(np.float32)
        curve = rng.uniform(0, 1, (CURVE, 3)).astype(np.float32).cumsum(axis=0) / CURVE if len(volumes) == 1 else None
        if curve is not None:
            curve[0] = 0.0
        volumes.append(VolumeGrid(values, matrix, tuple(rng.uniform(0, 2, 3)), tuple(rng.uniform(0, 2, 3)), curve, 0.8))
    stop = np.where(rng.random((30, 40)) < 0.5, rng.uniform(2.0, 7.0, (30, 40)), np.inf).astype(np.float32)
    ours, expected = march(volumes, view, stop), twin(volumes, view, stop)
    np.testing.assert_allclose(ours.transmittance, expected.transmittance, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.emission, expected.emission, rtol=0, atol=2e-5)
    clear = expected.transmittance < 0.999
    assert clear.sum() > 300
    np.testing.assert_allclose(ours.depth[clear], expected.depth[clear], rtol=1e-4)


def twin(volumes: list[VolumeGrid], view: CameraView, stop: Array) -> VolumeSurface:
    """The shader in numpy, float64, without its series; all pixels at once."""
    origin, way = (part.reshape(-1, 3) for part in rays(view))
    count, metres = len(origin), np.linalg.norm(way, axis=-1)
    lines, spans = [], []
    for volume in volumes:
        matrix = np.linalg.inv(volume.world_from_index) @ view.world_from_camera
        start, slope = origin @ matrix[:3, :3].T + matrix[:3, 3], way @ matrix[:3, :3].T
        sides = np.sort(np.stack([(-1.0 - start) / slope, (np.array(volume.values.shape) - start) / slope]), axis=0)
        lines.append((start, slope))
        spans.append((sides[0].max(-1), sides[1].min(-1)))
    end = np.minimum(stop.reshape(-1).astype(np.float64), view.far)
    begin = np.full(count, near_plane(view))
    through, glow, taken, moment = np.ones((count, 3)), *np.zeros((3, count, 3))
    for _ in range(2 * len(volumes) + 1):
        to, fastest = np.maximum(end, begin), np.zeros(count)
        for (_, slope), (enter, leave) in zip(lines, spans, strict=True):
            ahead = (enter < leave) & (leave > begin)
            inside = ahead & (enter <= begin)
            to = np.where(inside, np.minimum(to, leave), np.where(ahead, np.minimum(to, np.maximum(enter, begin)), to))
            fastest = np.where(inside, np.maximum(fastest, np.linalg.norm(slope, axis=-1)), fastest)
        steps = np.ceil((to - begin) * fastest * 2.0)
        size = (to - begin) / np.maximum(steps, 1)
        for number in range(int(steps.max())):
            near = begin + number * size
            on = (number < steps)[:, None]
            sigma, bright = np.zeros((2, count, 3))
            for volume, (start, slope) in zip(volumes, lines, strict=True):
                places = start + (near + 0.5 * size)[:, None] * slope
                sigma = sigma + sampled(volume.values, places)[:, None] * volume.extinction
                bright = bright + emitted(volume, places) * volume.emission
            thick = np.maximum(sigma * (size * metres)[:, None], 1e-12)
            lost = -np.expm1(-thick)
            place = near[:, None] + size[:, None] * (1.0 / thick - 1.0 / np.expm1(thick))
            glow += on * bright * (size * metres)[:, None] * through * lost / thick
            taken += on * through * lost
            moment += on * through * lost * np.where(thick > 1e-6, place, near[:, None] + 0.5 * size[:, None])
            through = np.where(on, through * (1.0 - lost), through)
        begin = to
    left = through.mean(-1)
    with np.errstate(invalid="ignore"):
        depth = np.where(left < 1.0 - 1e-7, moment.sum(-1) / taken.sum(-1), np.inf)
    return VolumeSurface(left.reshape(stop.shape), glow.reshape(*stop.shape, 3), depth.reshape(stop.shape))


def emitted(volume: VolumeGrid, places: Array) -> Array:
    """(N, 3) or (N, 1): a curve is of the voxels."""
    if volume.curve is None:
        return sampled(volume.values, places)[:, None]
    rows = np.linspace(0.0, volume.reach, CURVE)
    light = [np.interp(np.maximum(volume.values, 0.0), rows, volume.curve[:, channel]) for channel in range(3)]
    return np.stack([sampled(channel, places) for channel in light], axis=-1)


def sampled(values: Array, places: Array) -> Array:
    """Trilinear, 0 beyond the values and for what is below 0."""
    padded = np.pad(np.maximum(values.astype(np.float64), 0.0), 2)
    places = np.clip(places + 2.0, 0.5, np.array(padded.shape) - 1.5)
    corner = np.floor(places).astype(int)
    part = places - corner
    total = np.zeros(len(places))
    for offset in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(offset, part, 1.0 - part), axis=-1)
        total += weight * padded[tuple((corner + offset).T)]
    return total
