# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults that the verdict is measured on: each changes what it says, against closed forms, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from lucid.inference.conditioning.transfer import to_linear, to_srgb
from lucid.scripts.bench import verdict_faults, verdict_shots
from lucid.scripts.bench.verdict_cutouts import filled, lit_environment, slid
from lucid.scripts.bench.verdict_faults import FAULTS, faulty, unchanged

HEIGHT, WIDTH, FRAMES = 60, 96, 12
WALL, FLOOR = 3, 7
TWELVE = {"colour_drift", "texture_swim", "boil", "flicker", "shift", "wrong_gravity", "lag", "mirrored_pose", "swapped", "scale",
          "frozen_actor", "zoom"}
LSB = 1.0 / 255.0


def texture(seed, height=HEIGHT, width=WIDTH, cell=4):
    noise = np.random.default_rng(seed).random((height // cell, width // cell, 3)).astype(np.float32)
    return np.clip(0.2 + 0.6 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0.05, 0.95)


@dataclass(frozen=True)
class Plain:
    """A still wall and floor; "Walker", an L of soft edges that goes 2 px to the right a frame and shades the floor beside it;
    "Ball", a disc that falls by 0.1 px a frame and frame for each metre a second squared."""

    actors: tuple[str, ...] = ("Walker", "Ball")
    gravity: float = 9.81
    frames: tuple[int, ...] = tuple(range(5, 5 + FRAMES))

    def surfaces(self, _frame):
        return np.where(np.arange(HEIGHT)[:, None] < 40, WALL, FLOOR).repeat(WIDTH, axis=1).astype(np.uint32)

    def plate(self, _frame):
        return texture(1)

    def actor(self, name, frame):
        step = frame - self.frames[0]
        cover = np.zeros((HEIGHT, WIDTH), np.float32)
        if name == "Walker":
            cover[14:46, 14 + 2 * step:20 + 2 * step] = 1.0
            cover[40:46, 20 + 2 * step:28 + 2 * step] = 1.0
        else:
            cv2.circle(cover, (78, round(10 + 0.05 * self.gravity * step)), 7, 1.0, -1)
        colour = np.roll(texture({"Walker": 2, "Ball": 3}[name]), 2 * step, axis=1)
        return np.concatenate([colour, cv2.GaussianBlur(cover, (3, 3), 0)[..., None]], axis=-1)

    def shade(self, frame):
        ratio = np.ones((HEIGHT, WIDTH, 1), np.float32)
        step = frame - self.frames[0]
        ratio[50:56, 10 + 2 * step:30 + 2 * step] = 0.5 if "Walker" in self.actors else 1.0
        return ratio

    def beauty(self, frame):
        light = to_linear(self.plate(frame)) * self.shade(frame)
        for name in self.actors:
            layer = self.actor(name, frame)
            light = light * (1.0 - layer[..., 3:]) + to_linear(layer[..., :3]) * layer[..., 3:]
        return to_srgb(light)

    def at_gravity(self, gravity):
        return replace(self, gravity=gravity) if "Ball" in self.actors else None


CLIP = Plain()


def covered(clip, index, names=None, around=0):
    frame = clip.frames[index]
    mask = sum(clip.actor(name, frame)[..., 3] for name in names or clip.actors) > 0.0
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * around + 1,) * 2)) > 0


def clean(index, clip=CLIP):
    return clip.beauty(clip.frames[index])


def difference(name, index, clip=CLIP):
    return np.abs(faulty(clip, name)(index) - clean(index, clip)).max(axis=-1)


def test_there_are_the_twelve_faults_and_a_larger_picture():
    assert {fault.kind for fault in FAULTS.values()} == TWELVE | {"scale_picture"}
    with pytest.raises(KeyError):
        faulty(CLIP, "sepia")


@pytest.mark.parametrize("name", FAULTS)
def test_pictures_are_srgb_and_the_same_when_read_again_in_another_order(name):
    first, again = faulty(CLIP, name), faulty(CLIP, name)
    later = again(9), again(4)
    for index, picture in ((4, later[1]), (9, later[0])):
        made = first(index)
        assert made.shape == (HEIGHT, WIDTH, 3) and made.dtype == np.float32
        assert made.min() >= 0.0 and made.max() <= 1.0
        assert np.array_equal(made, picture)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_seen_somewhere(name):
    assert max(difference(name, index).max() for index in range(FRAMES)) > 4 * LSB


def test_an_actor_cut_out_and_put_back_gives_the_clean_picture():
    reader = unchanged(CLIP)
    for index in (0, 5, 11):
        assert np.abs(reader(index) - clean(index)).max() <= 2 * LSB


def test_the_environment_keeps_its_light_and_has_no_actor():
    index = 6
    frame = CLIP.frames[index]
    environment = to_srgb(lit_environment(CLIP, frame))
    truth = to_srgb(to_linear(CLIP.plate(frame)) * CLIP.shade(frame))
    assert np.abs(environment - truth)[~covered(CLIP, index)].max() < 1e-4
    assert np.median(np.abs(environment - truth)[covered(CLIP, index)]) < 2 * LSB


def test_colour_drift_is_linear_in_the_frame():
    for index in (0, 10):
        gains = np.array([1 + 0.003 * index, 1.0, 1 - 0.002 * index])
        assert np.abs(faulty(CLIP, "colour_drift")(index) - np.clip(clean(index) * gains, 0, 1)).max() < 1e-6


def test_flicker_is_one_gain_a_frame_of_two_per_cent():
    long = replace(CLIP, frames=tuple(range(5, 405)))
    rebuilt = [float(verdict_faults.flicker(Still(long.frames))(index)[0, 0, 0]) / 0.5 - 1.0 for index in range(400)]
    assert 0.018 < np.std(rebuilt) < 0.022 and abs(np.mean(rebuilt)) < 0.003
    ratio = faulty(CLIP, "flicker")(3) / clean(3)
    assert ratio.std() < 1e-5


@dataclass(frozen=True)
class Still:
    """Grey, with nobody in it."""

    frames: tuple[int, ...]

    def beauty(self, _frame):
        return np.full((8, 8, 3), 0.5, np.float32)


def test_boil_is_fresh_noise_of_15_per_cent():
    reader = faulty(CLIP, "boil")
    noise = [(reader(index) - 0.85 * clean(index)) / 0.15 for index in (2, 3)]
    assert abs(np.mean(noise) - 0.5) < 0.05
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.2
    shifted = [np.corrcoef(noise[0][:, :-step].ravel(), noise[0][:, step:].ravel())[0, 1] for step in (1, 12)]
    assert shifted[0] > 0.9 and abs(shifted[1]) < 0.2        # grains of 8 px


def test_lag_shows_the_frame_before():
    reader = faulty(CLIP, "lag")
    assert np.array_equal(reader(0), clean(0)) and np.array_equal(reader(7), clean(6))


@pytest.mark.parametrize(("name", "places"), [("swapped", (5, 6)), ("swapped_far", (3, 8))])
def test_swapped_exchanges_two_frames_in_the_middle(name, places):
    reader = faulty(CLIP, name)
    shown = [next(old for old in range(FRAMES) if np.array_equal(reader(index), clean(old))) for index in range(FRAMES)]
    order = list(range(FRAMES))
    order[places[0]], order[places[1]] = places[1], places[0]
    assert shown == order


def test_shift_moves_one_actor_by_four_pixels_and_leaves_its_shadow():
    index = 5
    made, frame = faulty(CLIP, "shift")(index), CLIP.frames[index]
    walker = CLIP.actor("Walker", frame)
    solid = np.roll(walker[..., 3] > 0.999, 4, axis=1)
    assert np.abs(made - np.roll(walker[..., :3], 4, axis=1))[solid].max() < 1e-3
    touched = covered(CLIP, index, ["Walker"]) | np.roll(covered(CLIP, index, ["Walker"]), 4, axis=1)
    assert difference("shift", index)[~touched].max() < 1e-4


def test_mirrored_actors_stay_in_their_columns():
    index = 4
    made, frame = faulty(CLIP, "mirrored_pose")(index), CLIP.frames[index]
    walker = CLIP.actor("Walker", frame)
    columns = np.flatnonzero((walker[..., 3] > 0.5).any(axis=0))
    box = slice(columns[0], columns[-1] + 1)
    flipped = walker[:, box][:, ::-1]
    solid = flipped[..., 3] > 0.999
    assert np.abs(made[:, box] - flipped[..., :3])[solid].max() < 1e-3
    assert np.abs(made[:, box] - walker[:, box, :3])[walker[:, box, 3] > 0.999].max() > 0.05    # an L is not its mirror image
    assert difference("mirrored_pose", index)[:, :columns[0] - 2].max() < 1e-4


def test_scale_keeps_the_feet_and_grows_by_three_per_cent():
    index = 5
    made = faulty(Plain(("Walker",)), "scale")
    base = lit_environment(Plain(("Walker",)), CLIP.frames[index])
    cover = CLIP.actor("Walker", CLIP.frames[index])[..., 3]
    changed = np.abs(to_linear(made(index)) - base).max(axis=-1) > 0.02
    rows, old = np.flatnonzero(changed.any(axis=1)), np.flatnonzero((cover > 0.02).any(axis=1))
    assert abs(rows.max() - old.max()) <= 1
    assert abs((rows.max() - rows.min() + 1) / (old.max() - old.min() + 1) - 1.03) < 0.03
    far = ~covered(CLIP, index, ["Walker"], around=3)
    assert difference("scale", index, Plain(("Walker",)))[far].max() < 1e-4


def test_a_frozen_actor_is_that_of_the_first_frame():
    index = 8
    made, walker = faulty(CLIP, "frozen_actor")(index), CLIP.actor("Walker", CLIP.frames[0])
    solid = walker[..., 3] > 0.999
    assert np.abs(made - walker[..., :3])[solid].max() < 1e-3
    touched = covered(CLIP, index, ["Walker"]) | covered(CLIP, 0, ["Walker"])
    assert difference("frozen_actor", index)[~touched].max() < 1e-4


def test_the_zoom_begins_at_one_and_ends_at_eight_per_cent():
    assert difference("zoom", 0).max() < 2 * LSB
    for name, index, factor in (("zoom", FRAMES - 1, 1.08), ("scale_picture", 0, 1.03)):
        middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
        matrix = np.column_stack([factor * np.eye(2), (1 - factor) * middle])
        found, _ = cv2.findTransformECC(cv2.cvtColor(clean(index), cv2.COLOR_RGB2GRAY),
                                        cv2.cvtColor(faulty(CLIP, name)(index), cv2.COLOR_RGB2GRAY), None,
                                        cv2.MOTION_AFFINE)[::-1]
        assert np.abs(found - matrix).max() < 0.05, name


def test_texture_slides_by_its_speed_and_leaves_actors_and_shadows():
    index, pixels = 10, 6
    made, frame = faulty(CLIP, "texture_swim")(index), CLIP.frames[index]
    inside = ~covered(CLIP, index)
    inside[36:44] = inside[:4] = inside[-4:] = inside[:, -12:] = inside[:, :4] = False
    slid_plate = np.roll(CLIP.plate(frame), -pixels, axis=1)
    truth = to_srgb(to_linear(slid_plate) * CLIP.shade(frame))
    assert np.abs(made - truth)[inside].max() < 1e-3
    walker = CLIP.actor("Walker", frame)
    assert np.abs(made - walker[..., :3])[walker[..., 3] > 0.999].max() < 1e-3
    assert difference("texture_swim", 0).max() < 1e-4


def test_what_slides_stays_on_its_surface():
    surfaces = np.where(np.arange(40) < 20, 1, 2)[None].repeat(30, axis=0)
    picture = np.where(surfaces[..., None] == 1, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]).astype(np.float32)
    for pixels in (0.6, 7.0, 55.5):
        assert np.array_equal(slid(picture, surfaces, pixels), picture)
    sky = texture(5, 30, 40, 2)
    assert np.array_equal(slid(sky, np.zeros((30, 40), int), 3.0), sky)


@pytest.mark.parametrize(("name", "gravity"), [("wrong_gravity", 8.83), ("wrong_gravity_far", 6.87)])
def test_wrong_gravity_shows_the_clip_of_that_gravity(name, gravity):
    assert np.array_equal(faulty(CLIP, name)(11), clean(11, replace(CLIP, gravity=gravity)))


def test_faults_without_a_meaning_are_none():
    nobody, short = Plain(actors=()), Plain(frames=(5, 6))
    for name, fault in FAULTS.items():
        needs = fault.kind in {"shift", "scale", "frozen_actor", "mirrored_pose", "wrong_gravity"}
        assert (faulty(nobody, name) is None) == needs, name
    assert faulty(Plain(("Walker",)), "wrong_gravity") is None and unchanged(nobody) is None
    assert faulty(short, "swapped") is None and faulty(short, "swapped_far") is None
    assert np.abs(faulty(nobody, "texture_swim")(0) - clean(0, nobody)).max() < 1e-4


def test_filling_continues_a_gradient_and_keeps_what_is_known():
    ramp = np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    known = np.ones((48, 64), np.float32)
    known[16:32, 20:40] = 0.0
    made = filled(ramp * known[..., None], known)
    assert np.array_equal(made[known > 0], ramp[known > 0])
    assert np.abs(made - ramp)[known == 0].max() < 0.06


def test_scenes_are_split_and_keyed_by_their_own_source():
    roles = [setup.role for setup in verdict_shots.SCENES.values()]
    assert roles.count(verdict_shots.TUNING) == 4 and roles.count(verdict_shots.HELD_OUT) == 10
    source = "A = 1\n\n\ndef scene_a(x):\n    return 1\n\n\ndef scene_b(x):\n    return 2\n"
    kept = verdict_shots.without_others(source, "b")
    assert "return 2" in kept and "A = 1" in kept and "scene_a" not in kept
    assert kept == verdict_shots.without_others(source.replace("return 1", "return 3"), "b")
    assert kept != verdict_shots.without_others(source.replace("return 2", "return 3"), "b")
    assert len({verdict_shots.key(name) for name in verdict_shots.SCENES}) == len(verdict_shots.SCENES)
