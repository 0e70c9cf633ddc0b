# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model is told of a layer, against closed forms: each region gets exactly one control."""

import dataclasses

import numpy as np
from lucid.inference.adapters.base import Profile
from lucid.inference.conditioning.depth import inverse_depth
from lucid.inference.generation.director import layer_seed
from lucid.inference.generation.footage import Actor, Surface
from lucid.inference.generation.layers import actor_painting, environment_painting, surface_control
from lucid.inference.shot.model import DepthRange, Layer

SPAN = DepthRange(2.0, float("inf"))
PROFILE = Profile((9,), 16, 8, 1.0, 40, mask_grow=2, mask_box=False, pose_grow=1, pose_reversed=False)


def _actor(posed: bool, profile: Profile = PROFILE) -> Actor:
    matte = np.zeros((1, 20, 30), np.float32)
    matte[0, 8:14, 10:16] = 1.0
    depth = np.where(matte > 0, np.float32(4.0), np.float32(np.inf))
    joints = np.full((1, 18, 2), 12.5, np.float32) if posed else None
    shown = np.ones((1, 18), bool) if posed else None
    normal = np.zeros((1, 20, 30, 2), np.float32) if profile.control == "geometry" else None
    return Actor(Layer("A", "A", (1,), ()), matte, Surface(depth, normal), joints, shown)


def _wall(depth: float | np.ndarray, side: float | None = None) -> Surface:
    """What is behind: at this depth everywhere, its normal turned by `side`."""
    return Surface(np.zeros((1, 20, 30), np.float32) + np.float32(depth),
                   None if side is None else np.full((1, 20, 30, 2), side, np.float32))


def test_environment_is_painted_everywhere_from_its_inverse_depth():
    depth = np.linspace(2.0, 40.0, 600, dtype=np.float32).reshape(1, 20, 30)
    painting = environment_painting(_wall(depth), SPAN, PROFILE)
    assert painting.mask.all()
    assert np.array_equal(painting.control[..., 1], inverse_depth(depth, SPAN))


def test_actor_control_is_depth_inside_and_the_kept_picture_outside():
    context = np.full((1, 20, 30, 3), 0.25, np.float32)
    painting = actor_painting(_actor(posed=False), _wall(8.0), context, SPAN, PROFILE)
    assert painting.mask.sum() == 10 * 10                       # 6x6 grown by 2
    assert (painting.control[~painting.mask] == 0.25).all()
    assert np.allclose(painting.control[0, 10, 12], 0.5) and np.allclose(painting.control[0, 6, 8], 0.25)


def test_pose_replaces_depth_inside_the_actor_alone():
    context = np.full((1, 20, 30, 3), 0.25, np.float32)
    painting = actor_painting(_actor(posed=True), _wall(8.0), context, SPAN, PROFILE)
    inside = painting.control[0, 7:15, 9:17]                    # silhouette grown by 1
    colours = {tuple(c) for c in np.round(inside.reshape(-1, 3), 3).tolist()}
    assert (0.0, 0.0, 0.0) in colours and not any(a == b == c != 0 for a, b, c in colours)
    assert np.allclose(painting.control[0, 6, 8], 0.25)         # depth of what is behind, in the rest of the mask


def test_geometry_holds_depth_and_normals_of_what_is_seen_and_only_the_lines_of_the_skeleton():
    told = dataclasses.replace(PROFILE, control="geometry", skeleton="lines")
    control = surface_control(_wall(8.0, side=-1.0), SPAN, told)
    assert np.allclose(control, [0.5, 0.0, 0.0])                # sqrt((1/8) / (1/2)), (1 - 1) / 2
    assert (surface_control(_wall(np.inf, side=0.0), SPAN, told) == 0.0).all()
    context = np.full((1, 20, 30, 3), 0.25, np.float32)
    painting = actor_painting(_actor(posed=False, profile=told), _wall(8.0, side=-1.0), context, SPAN, told)
    assert np.allclose(painting.control[0, 10, 12], [0.5**0.5, 0.5, 0.5], atol=1e-6)
    assert np.allclose(painting.control[0, 7, 9], [0.5, 0.0, 0.0]) and np.allclose(painting.control[0, 2, 2], 0.25)
    posed = actor_painting(_actor(posed=True, profile=told), _wall(8.0, side=-1.0), context, SPAN, told)
    lines = (posed.control != painting.control).any(-1)
    silent = dataclasses.replace(told, skeleton="none")
    unposed = actor_painting(_actor(posed=True, profile=silent), _wall(8.0, side=-1.0), context, SPAN, silent)
    assert np.array_equal(unposed.control, painting.control)
    assert 0 < lines.sum() < 40 and not (posed.control[0, 8:14, 10:16] == 0.0).all(-1).any()


def test_an_actor_behind_something_is_painted_only_where_it_is_in_front():
    behind = np.full((1, 20, 30), 8.0, np.float32)
    behind[..., 13:] = 1.0
    actor = _actor(posed=False)
    actor.matte[..., 13:] = 0.0
    painting = actor_painting(actor, _wall(behind), np.zeros((1, 20, 30, 3), np.float32), SPAN, PROFILE)
    assert painting.mask[0, :, :15].any() and not painting.mask[0, :, 15:].any()


def test_layer_seeds_differ_by_seed_and_name_and_stay_put():
    seeds = {layer_seed(s, n) for s in (0, 1) for n in ("environment", "Walker", "Ball")}
    assert len(seeds) == 6 and all(0 <= s < 2**63 for s in seeds)
    assert layer_seed(0, "environment") == 3133563782166024792
