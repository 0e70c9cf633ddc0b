# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer stack against closed forms: coverages become an exact over; each region gets exactly one control."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.adapters.base import Profile
from lucid.inference.conditioning.depth import inverse_depth
from lucid.inference.generation.footage import Actor
from lucid.inference.generation.layers import actor_painting, environment_painting, over, over_alphas
from lucid.inference.generation.run import layer_seed
from lucid.inference.shot.model import DepthRange, Layer

SPAN = DepthRange(2.0, float("inf"))
PROFILE = Profile((9,), 16, 8, 1.0, 40, mask_grow=2, mask_box=False, pose_grow=1, pose_reversed=False)


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_over_of_layers_equals_the_disjoint_coverages(parts, seed):
    """sum(m_k c_k) + (1 - sum m_k) background, whatever the number of layers."""
    rng = np.random.default_rng(seed)
    coverage = np.float32(parts) / max(sum(parts), 1.0)
    mattes = [np.full((1, 1, 1), value, np.float32) for value in coverage]
    colours = rng.random((len(parts), 1, 1, 1, 3)).astype(np.float32)
    background = rng.random((1, 1, 1, 3)).astype(np.float32)
    painted = sum(m[..., None] * c for m, c in zip(mattes, colours, strict=True))
    expected = painted + (1 - sum(mattes))[..., None] * background
    picture = background
    for colour, alpha in zip(colours, over_alphas(mattes), strict=True):
        picture = over(picture, colour, alpha)
    assert np.abs(picture - expected).max() < 2e-3


def _actor(posed: bool) -> Actor:
    matte = np.zeros((1, 20, 30), np.float32)
    matte[0, 8:14, 10:16] = 1.0
    depth = np.where(matte > 0, np.float32(4.0), np.float32(np.inf))
    joints = np.full((1, 18, 2), 12.5, np.float32) if posed else None
    shown = np.ones((1, 18), bool) if posed else None
    return Actor(Layer("A", "A", (1,), ()), matte, depth, joints, shown)


def test_environment_is_painted_everywhere_from_its_inverse_depth():
    depth = np.linspace(2.0, 40.0, 600, dtype=np.float32).reshape(1, 20, 30)
    painting = environment_painting(depth, SPAN)
    assert painting.mask.all()
    assert np.array_equal(painting.control[..., 1], inverse_depth(depth, SPAN))


def test_actor_control_is_depth_inside_and_the_kept_picture_outside():
    context = np.full((1, 20, 30, 3), 0.25, np.float32)
    behind = np.full((1, 20, 30), 8.0, np.float32)
    painting = actor_painting(_actor(posed=False), behind, context, SPAN, PROFILE)
    assert painting.mask.sum() == 10 * 10                       # 6x6 grown by 2
    assert (painting.control[~painting.mask] == 0.25).all()
    assert np.allclose(painting.control[0, 10, 12], 0.5) and np.allclose(painting.control[0, 6, 8], 0.25)


def test_pose_replaces_depth_inside_the_actor_alone():
    context = np.full((1, 20, 30, 3), 0.25, np.float32)
    behind = np.full((1, 20, 30), 8.0, np.float32)
    painting = actor_painting(_actor(posed=True), behind, context, SPAN, PROFILE)
    inside = painting.control[0, 7:15, 9:17]                    # silhouette grown by 1
    colours = {tuple(c) for c in np.round(inside.reshape(-1, 3), 3).tolist()}
    assert (0.0, 0.0, 0.0) in colours and not any(a == b == c != 0 for a, b, c in colours)
    assert np.allclose(painting.control[0, 6, 8], 0.25)         # depth of what is behind, in the rest of the mask


def test_an_actor_behind_something_is_painted_only_where_it_is_in_front():
    behind = np.full((1, 20, 30), 8.0, np.float32)
    behind[..., 13:] = 1.0
    actor = _actor(posed=False)
    actor.matte[..., 13:] = 0.0
    painting = actor_painting(actor, behind, np.zeros((1, 20, 30, 3), np.float32), SPAN, PROFILE)
    assert painting.mask[0, :, :15].any() and not painting.mask[0, :, 15:].any()


def test_layer_seeds_differ_by_seed_and_name_and_stay_put():
    seeds = {layer_seed(s, n) for s in (0, 1) for n in ("environment", "Walker", "Ball")}
    assert len(seeds) == 6 and all(0 <= s < 2**63 for s in seeds)
    assert layer_seed(0, "environment") == 3133563782166024792
