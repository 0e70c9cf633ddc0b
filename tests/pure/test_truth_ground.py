# SPDX-License-Identifier: GPL-3.0-or-later
"""Points followed through a shot against closed forms: what moves, turns, deforms, hides and stands still."""

from dataclasses import replace

import numpy as np
import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_exr
from lucid.inference.truth.affine import FEWEST, fit_motions
from lucid.inference.truth.figures import Bar, Figure, Outcome, unmeasured
from lucid.inference.truth.ground import Ground
from lucid.inference.truth.points import MARGIN, Cloud, follow, sample
from lucid.inference.truth.watch import HISTORY, observe, watch
from lucid.tests import raycast as rc

WORLD = rc.World(frames=9)
LATER = 8


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth") / "room.lucid"
    return Ground(folder, rc.write(WORLD, folder))


def exact(world, cloud, frame):
    """Where the points of a cloud lie in the picture and the world, and whether they are seen, by the closed form."""
    points = np.zeros((len(cloud), 3))
    for number in rc.NAMES:
        pose, mine = world.object(number, frame), cloud.ids == number
        points[mine] = cloud.rest[mine] @ pose[:3, :3].T + pose[:3, 3]
    back = np.linalg.inv(world.camera(frame))
    local = points @ back[:3, :3].T + back[:3, 3]
    at = (local @ world.K.T)[:, :2] / local[:, 2:]
    ids, depth, _ = rc.cast(world, frame, at)
    inside = (at > 0).all(-1) & (at[:, 0] < world.width) & (at[:, 1] < world.height)
    return at, points, inside & (ids == cloud.ids) & (np.abs(depth - local[:, 2]) < 1e-3 * local[:, 2])


def test_points_are_followed_to_a_thousandth_of_a_pixel(ground):
    cloud = sample(ground.moment(0), 4)
    assert set(cloud.ids.tolist()) == set(rc.NAMES)
    for frame in (1, LATER):
        found = follow(cloud, ground.moment(frame))
        at, world, seen = exact(WORLD, cloud, frame)
        assert np.abs(found.at - at)[found.visible].max() < 1e-3
        assert np.abs(found.world - world)[found.visible].max() < 1e-4
        assert not (found.visible & ~seen).any()
        assert found.visible.sum() > 0.85 * seen.sum()


def test_what_turns_or_flies_does_not_stand_still(ground):
    cloud = sample(ground.moment(0), 4)
    found = follow(cloud, ground.moment(4))
    still = {number: found.still[cloud.ids == number] for number in rc.NAMES}
    assert still[rc.FLOOR].all() and still[rc.WALL].all()
    assert not still[rc.SPHERE].any() and not still[rc.BALL].any()


def test_a_cloud_is_seen_in_its_own_frame(ground):
    moment = ground.moment(3)
    cloud = sample(moment, 3)
    found = follow(cloud, moment)
    assert found.visible.mean() > 0.97
    assert np.abs(found.at - cloud.at)[found.visible].max() < 1e-3
    inside = (cloud.at >= MARGIN) & (cloud.at <= np.array([WORLD.width, WORLD.height]) - MARGIN)
    assert inside.all()


def test_a_cloud_can_be_of_some_pixels_alone(ground):
    moment = ground.moment(0)
    ball = sample(moment, 2, moment.covered([rc.BALL]))
    assert len(ball) > 20 and set(ball.ids.tolist()) == {rc.BALL}
    assert len(ball.where(ball.at[:, 0] < 0)) == 0


def test_the_background_has_no_points(ground):
    moment = ground.moment(0)
    nothing = replace(moment, ids=np.zeros_like(moment.ids), depth=np.full_like(moment.depth, np.inf))
    assert len(sample(nothing, 2)) == 0
    found = follow(sample(moment, 4), nothing)
    assert not found.visible.any() and not found.still.any() and np.isnan(found.at).all()


def test_points_without_a_rest_position_are_left_out(ground):
    moment = ground.moment(0)
    lost = replace(moment, rest=np.where((moment.ids == rc.WALL)[..., None], np.float32(np.nan), moment.rest))
    assert rc.WALL not in sample(lost, 4).ids
    found = follow(sample(moment, 4), lost)
    assert not found.visible[sample(moment, 4).ids == rc.WALL].any()


def test_what_deforms_is_found_by_its_place_on_the_surface(ground):
    """The wall bulges towards the camera: the world is another, the rest positions are the same."""
    first, later = ground.moment(0), ground.moment(1)
    wall = later.ids == rc.WALL
    bulge = 0.3 * np.cos(later.rest[..., 0])
    soft = replace(later, depth=np.where(wall, later.depth - bulge, later.depth).astype(np.float32))
    cloud = sample(first, 4, first.ids == rc.WALL)
    assert later.motions.stiff[later.motions.ids == rc.WALL].all()
    assert not soft.motions.stiff[soft.motions.ids == rc.WALL].any()
    found, plain = follow(cloud, soft), follow(cloud, later)
    both = found.visible & plain.visible
    assert both.sum() > 0.9 * plain.visible.sum()
    assert np.abs(found.at - plain.at)[both].max() < 0.05
    assert not found.still[both & (np.abs(np.cos(cloud.rest[:, 0])) > 0.2)].any()


def test_a_side_that_turned_away_is_not_taken_for_the_one_that_is_seen():
    """A box of which one frame shows one side and the next another: the map of the second says nothing of the first."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5), [0.0]), -1).reshape(-1, 3)
    motions = fit_motions(np.ones(25, np.uint32), grid.astype(np.float32), grid + 1.0, np.full(25, 1e-6))
    assert motions.stiff.all()
    assert np.allclose(motions.off[0] @ [0.3, 0.2, 0.0], 0, atol=1e-9)
    assert np.allclose(motions.off[0] @ [0.0, 0.0, 0.5], [0, 0, 0.5], atol=1e-9)


def test_motions_are_the_maps_that_made_the_points():
    rng = np.random.default_rng(0)
    ids = rng.permutation(np.repeat(np.uint32([7, 2, 900]), (40, 30, FEWEST - 1)))
    rest = rng.standard_normal((len(ids), 3)).astype(np.float32)
    maps = {number: rng.standard_normal((3, 4)) for number in (2, 7, 900)}
    world = np.stack([maps[int(n)][:, :3] @ r + maps[int(n)][:, 3] for n, r in zip(ids, rest, strict=True)])
    motions = fit_motions(ids, rest, world, np.full(len(ids), 1e-6))
    assert motions.ids.tolist() == [2, 7, 900] and motions.stiff.tolist() == [True, True, False]
    assert np.allclose(motions.maps[:2], [maps[2], maps[7]])
    place, known = motions.of(np.uint32([7, 900, 5, 2]))
    assert known.tolist() == [True, False, False, True] and place[[0, 3]].tolist() == [1, 0]
    empty = fit_motions(*(values[:0] for values in (ids, rest, world, np.zeros(0))))
    assert not empty.of(np.uint32([1]))[1].any()


def test_frames_are_seen_in_order_and_few_are_kept(ground):
    pictures = rc.pictures(WORLD)
    seen = []

    class Watcher:
        def see(self, recent):
            seen.append([one.moment.index for one in recent])
            assert (recent[-1].flow is None) == (len(recent) == 1)

        def figures(self):
            return []

    told = []
    seconds = watch(ground, pictures, [Watcher()], progress=lambda done, of: told.append((done, of)))
    assert [one[-1] for one in seen] == list(range(len(ground)))
    assert max(map(len, seen)) == HISTORY and seen[-1] == list(range(len(ground) - HISTORY, len(ground)))
    assert told[-1] == (len(ground), len(ground)) and set(seconds) == {"observe", "Watcher"}


def test_the_pictures_flow_is_the_scenes(ground):
    """To a third of a pixel in the median, at this size: what the estimator can see."""
    for recent in observe(ground, rc.pictures(WORLD)):
        if len(recent) > 1:
            before, now = recent[-2], recent[-1]
            error = np.linalg.norm(now.flow - before.moment.flow, axis=-1)[before.moment.flows]
            assert np.median(error) < 0.34


def test_a_shot_that_was_captured_without_a_pass_is_named(tmp_path):
    shot = rc.write(rc.World(frames=1), tmp_path / "a.lucid")
    without = replace(shot, passes=tuple(one for one in shot.passes if one.name != "rest"))
    with pytest.raises(LucidError, match="rest") as caught:
        Ground(tmp_path / "a.lucid", without)
    assert caught.value.code == "PASS_MISSING"


def test_a_pass_of_another_size_is_refused(tmp_path):
    shot = rc.write(rc.World(frames=1), tmp_path / "a.lucid")
    write_exr(tmp_path / "a.lucid" / shot.sequence("depth").path(1), {"Z": np.ones((4, 4), np.float32)})
    with pytest.raises(LucidError) as caught:
        Ground(tmp_path / "a.lucid", shot).moment(0)
    assert caught.value.code == "EXR_INVALID"


def test_another_camera_than_a_perspective_one_is_refused(tmp_path):
    shot = rc.write(rc.World(frames=1), tmp_path / "a.lucid")
    with pytest.raises(LucidError) as caught:
        Ground(tmp_path / "a.lucid", replace(shot, source={"projection": "orthographic"}))
    assert caught.value.code == "CAMERA_PERSPECTIVE"


def test_a_figure_is_a_number_or_a_reason():
    assert Figure("a", "b", 1.0, "px", Bar(highest=2.0)).outcome is Outcome.PASS
    assert Figure("a", "b", 3.0, "px", Bar(highest=2.0), beauty=1.5).ratio == 2.0
    assert Figure("a", "b", 3.0, "px", Bar(0.0, 2.0)).outcome is Outcome.FAIL
    assert Figure("a", "", 3.0, "px", object="Ball").name == "a.Ball"
    nothing = unmeasured("a", "b", "px", "one frame", bar=Bar(highest=2.0))
    assert nothing.outcome is Outcome.NOT_MEASURABLE and nothing.ratio is None
    for value, reason in ((None, ""), (float("nan"), ""), (1.0, "why")):
        with pytest.raises(ValueError, match="finite"):
            Figure("a", "b", value, "px", reason=reason)


def test_a_cloud_says_how_many_points_it_has():
    nothing = np.zeros((0, 3), np.float32)
    assert len(Cloud(0, nothing[:, :2], np.zeros(0, np.uint32), nothing, nothing, nothing[:, 0])) == 0
