# SPDX-License-Identifier: GPL-3.0-or-later
"""The final composite against closed forms, and the pixel rule bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.conditioning.transfer import codes_to_linear, linear_to_codes, to_linear, to_srgb
from lucid.inference.errors import LucidError
from lucid.inference.generation.composite import (
    Shadow,
    Volume,
    alphas,
    composite,
    mean_linear,
    read_shadow,
    read_volume,
    shadowed,
    veiled,
)
from lucid.inference.shot.images import write_exr
from lucid.inference.shot.model import LAYER_PASSES, Frames, Kind, Layer, Shot, Size, layer_sequence
from shots import make_shot

GREY = np.float32([0.3, 0.4, 0.5])
NAN, INF = np.float32(np.nan), np.float32(np.inf)
SHAPE = (6, 8)


def picture(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65536, (*shape, 3), np.uint16)


def layer(seed: int, alpha: float | np.ndarray = 1.0, shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    return picture(seed, shape), np.broadcast_to(np.float32(alpha), shape)


def no_shadow(shape: tuple[int, int] = SHAPE) -> Shadow:
    return Shadow(np.ones((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32))


def clear(shape: tuple[int, int] = SHAPE) -> Volume:
    return Volume(np.ones(shape, np.float32), np.zeros((*shape, 3), np.float32))


def some_shadow(seed: int) -> Shadow:
    """As captured of a random plate, a part of it black, with effects from deep shadow to a lamp in the dark."""
    rng = np.random.default_rng(seed)
    plate = rng.random((*SHAPE, 3)).astype(np.float32) * (rng.random((*SHAPE, 3)) < 0.8)
    return captured(plate, rng.random((*SHAPE, 3)).astype(np.float32) * np.float32(2.0))


def captured(plate: np.ndarray, lit: np.ndarray) -> Shadow:
    """What the shadow layer holds: ratio 1 where the plate is black."""
    bright = plate > 1e-6
    return Shadow(np.where(bright, lit / np.where(bright, plate, 1.0), 1.0).astype(np.float32), lit - plate)


def some_volume(seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    return Volume(rng.random(SHAPE).astype(np.float32), rng.random((*SHAPE, 3)).astype(np.float32))


# --- the transfer


def test_the_transfer_is_the_standards_curve() -> None:
    """IEC 61966-2-1, by hand: black, the straight part, where it ends, middle grey, white, and above."""
    encoded = np.float64([0.0, 0.02, 0.04045, 0.5, 0.735356983052449, 1.0, 1.3532560461493])
    linear = np.float64([0.0, 0.02 / 12.92, 0.0031308, 0.214041140482232, 0.5, 1.0, 2.0])
    assert np.allclose(to_linear(encoded), linear, rtol=0, atol=3e-8)
    assert np.allclose(to_srgb(linear), encoded, rtol=0, atol=3e-7)
    assert to_linear(np.float32([0.5])).dtype == to_srgb(np.float32([0.5])).dtype == np.float32
    assert to_linear(np.float64([0.5])).dtype == to_srgb(np.float64([0.5])).dtype == np.float64


def test_every_16_bit_code_comes_back() -> None:
    codes = np.arange(65536, dtype=np.uint16)
    linear = codes_to_linear(codes)
    assert linear.dtype == np.float32 and linear[0] == 0.0 and linear[-1] == 1.0 and (np.diff(linear) > 0).all()
    assert np.array_equal(linear_to_codes(linear), codes)
    assert np.array_equal(linear_to_codes(np.float32([-0.5, 1.5])), [0, 65535])


def test_an_8_bit_picture_is_not_taken_for_a_dark_one() -> None:
    with pytest.raises(ValueError, match="uint8"):
        codes_to_linear(np.zeros((2, 2, 3), np.uint8))


# --- the pixel rule


def test_where_nothing_applies_every_code_of_the_environment_comes_back() -> None:
    shape = (256, 256)
    codes = np.random.default_rng(0).permutation(np.arange(65536, dtype=np.uint16)).reshape(shape)
    environment = np.stack([codes, codes.T, 65535 - codes], -1)
    final = composite([(environment, np.ones(shape, np.float32)), layer(1, 0.0, shape), layer(2, 0.0, shape)],
                      no_shadow(shape), clear(shape), GREY)
    assert final.dtype == np.uint16 and np.array_equal(final, environment)


@given(st.integers(0, 2**32 - 1))
def test_a_colour_has_no_influence_where_its_alpha_is_0_or_what_is_over_it_is_1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.choice(np.float32([0.0, 0.3, 1.0]), SHAPE) for _ in range(2))
    environment, far, near = picture(seed), picture(seed + 1), picture(seed + 2)
    shadow, volume = some_shadow(seed), some_volume(seed)

    def made(environment: np.ndarray, far: np.ndarray, near: np.ndarray, shadow: Shadow) -> np.ndarray:
        return composite([(environment, np.ones(SHAPE, np.float32)), (far, first), (near, second)], shadow, volume, GREY)

    hidden, unseen = ((first == 1.0) | (second == 1.0))[..., None], ((first == 0.0) | (second == 1.0))[..., None]
    garbage = Shadow(np.where(hidden, np.float32(1e30), shadow.ratio), np.where(hidden, np.float32(1e38), shadow.difference))
    other = made(np.where(hidden, picture(seed + 3), environment), np.where(unseen, picture(seed + 4), far),
                 np.where((second == 0.0)[..., None], picture(seed + 5), near), garbage)
    assert np.array_equal(other, made(environment, far, near, shadow))


def test_a_pixel_depends_on_that_pixel_alone() -> None:
    """Each pixel alone, a picture of 1 x 1, gives what it gives among the others."""
    shadow, volume = some_shadow(3), some_volume(4)
    layers = [layer(1), layer(2, np.random.default_rng(2).random(SHAPE)), layer(3, np.random.default_rng(3).random(SHAPE))]
    whole = composite(layers, shadow, volume, GREY, shadow_strength=0.7, volume_strength=0.6)
    for y, x in np.ndindex(*SHAPE):
        part = np.s_[y:y + 1, x:x + 1]
        alone = composite([(codes[part], alpha[part]) for codes, alpha in layers],
                          Shadow(shadow.ratio[part], shadow.difference[part]),
                          Volume(volume.transmittance[part], volume.emission[part]), GREY,
                          shadow_strength=0.7, volume_strength=0.6)
        assert np.array_equal(alone[0, 0], whole[y, x])


# --- over


def test_an_opaque_layer_is_its_own_codes_and_stands_in_no_shadow_of_the_environment() -> None:
    final = composite([layer(1), layer(2, 1.0)], some_shadow(5), None)
    assert np.array_equal(final, picture(2))


def test_half_of_white_over_black_is_half_the_light() -> None:
    black, white = np.zeros((*SHAPE, 3), np.uint16), np.full((*SHAPE, 3), 65535, np.uint16)
    final = composite([(black, np.ones(SHAPE, np.float32)), (white, np.full(SHAPE, 0.5, np.float32))], None, None)
    assert (final == round(0.735356983052449 * 65535)).all()


@given(st.lists(st.floats(0.0, 1.0), min_size=0, max_size=5), st.integers(0, 2**32 - 1))
def test_over_of_layers_equals_the_disjoint_coverages(parts: list[float], seed: int) -> None:
    """sum(m_k c_k) + (1 - sum m_k) background in light, whatever the number of layers."""
    coverage = (np.array(parts) / max(sum(parts), 1.0)).astype(np.float32)
    found = alphas(np.broadcast_to(coverage[:, None, None], (len(parts), 1, 1)))
    pictures = [picture(seed + k, (1, 1)) for k in range(len(parts) + 1)]
    final = composite([(pictures[0], np.ones((1, 1), np.float32)), *zip(pictures[1:], found, strict=True)], None, None)
    light = np.stack([to_linear(p.astype(np.float64) / 65535.0) for p in pictures])
    weights = np.array([1.0 - coverage.sum(dtype=np.float64), *coverage])
    assert np.abs(codes_to_linear(final) - np.tensordot(weights, light, 1)).max() < 1.1e-3


def test_alphas_are_a_part_of_what_is_left_free_and_exactly_0_where_there_is_no_coverage() -> None:
    mattes = np.float32([[[0.5, 0.0, 0.25]], [[0.25, 0.0, 0.5]], [[0.25, 1.0, 0.0]]])
    assert np.array_equal(alphas(mattes), np.float32([[[1.0, 0.0, 0.5]], [[1 / 3, 0.0, 0.5]], [[0.25, 1.0, 0.0]]]))
    assert alphas(np.zeros((0, 2, 3), np.float32)).shape == (0, 2, 3)
    covered = np.float32([[[0.0]], [[200 / 255]], [[55 / 255]]])
    assert alphas(covered)[0, 0, 0] == 0.0
    assert alphas(np.float32([[[0.7]], [[1.0]]])).ravel().tolist() == [0.0, 1.0]


# --- shadow


def test_the_captured_plate_becomes_the_captured_picture_in_every_pixel() -> None:
    """Whatever the ratio: shadow, reflection, a lamp beside what is nearly black, and what is black."""
    plate = np.float32([0.8, 0.2, 0.2, 0.1, 1e-5, 1e-6, 0.0, 0.0])[None, :, None] * np.ones((1, 8, 3), np.float32)
    lit = np.float32([0.1, 0.0, 0.3, 0.9, 0.7, 0.5, 0.6, 0.0])[None, :, None] * np.ones((1, 8, 3), np.float32)
    shadow = captured(plate, lit)
    assert shadow.ratio.max() > 1e4 and (shadow.ratio[0, 5:] == 1.0).all()
    assert np.allclose(shadowed(plate, shadow, 1.0), lit, rtol=1e-5, atol=2e-6)


def test_a_ratio_multiplies_light_and_a_huge_one_adds_no_more_than_was_captured() -> None:
    ratio = np.float32([0.0, 0.25, 1.0, 3.0, 1e5, 1e5, 1e5])[None, :, None].repeat(3, -1)
    difference = np.float32([-0.1, -0.1, 0.0, 9.0, 0.2, 1e-3, 1e8])[None, :, None].repeat(3, -1)
    made = shadowed(np.full((1, 7, 3), 0.01, np.float32), Shadow(ratio, difference), 1.0)[0, :, 1]
    # the fifth by the difference, the sixth by MOST_RATIO, the last by the ratio
    assert np.allclose(made, [0.0, 0.0025, 0.01, 0.03, 0.21, 0.04, 1000.0], rtol=1e-5)


@pytest.mark.parametrize(("ratio", "difference"), [(NAN, 0.5), (2.0, NAN), (INF, 0.5), (2.0, INF), (-INF, -INF)])
def test_where_the_shadow_is_not_known_nothing_is_done(ratio: float, difference: float) -> None:
    shadow = no_shadow()
    shadow.ratio[2, 3, 1], shadow.difference[2, 3, 1] = ratio, difference
    assert np.array_equal(composite([layer(1)], shadow, None), picture(1))


# --- volume


def test_the_veil_is_what_comes_through_what_glows_and_what_scatters() -> None:
    volume = Volume(np.float32([[0.0, 0.25, 1.0]]), np.float32([[[0, 0, 0], [0.1, 0.2, 0.3], [0, 0, 0]]]))
    light = np.full((1, 3, 3), 0.8, np.float32)
    assert np.allclose(veiled(light, volume, GREY, 1.0), [[GREY, 0.2 + np.float32([0.1, 0.2, 0.3]) + 0.75 * GREY,
                                                          [0.8, 0.8, 0.8]]], rtol=1e-6)
    assert np.array_equal(veiled(light, volume, GREY, 1.0)[0, 0], GREY)
    half = veiled(light, volume, GREY, 0.5)
    assert np.allclose(half, (light + veiled(light, volume, GREY, 1.0)) / 2, rtol=1e-6)


def test_the_veil_lies_over_the_actors_too() -> None:
    thick = dataclasses.replace(clear(), transmittance=np.zeros(SHAPE, np.float32))
    final = composite([layer(1), layer(2, 0.5), layer(3, 1.0)], None, thick, GREY)
    assert (final == linear_to_codes(GREY)).all()


@pytest.mark.parametrize("emission", [NAN, INF, 0.25])
@pytest.mark.parametrize("transmittance", [NAN, INF, -INF, 0.5])
def test_where_the_volume_is_not_known_nothing_is_done(transmittance: float, emission: float) -> None:
    volume = clear()
    volume.transmittance[1, 1], volume.emission[1, 1, 2] = transmittance, emission
    known = transmittance == 0.5 and emission == 0.25
    assert np.array_equal(composite([layer(1)], None, volume, GREY), picture(1)) is not known


# --- strengths, and what is asked of the arrays


def test_a_strength_of_0_is_off_and_others_lie_between() -> None:
    layers, shadow, volume = [layer(1), layer(2, 0.3)], some_shadow(7), some_volume(8)
    plain = composite(layers, None, None)
    assert np.array_equal(composite(layers, shadow, volume, GREY, shadow_strength=0.0, volume_strength=0.0), plain)
    assert not np.array_equal(composite(layers, shadow, None), plain)
    assert not np.array_equal(composite(layers, None, volume, GREY), plain)
    light = codes_to_linear(picture(1))
    half = shadowed(light, shadow, 0.5)
    assert np.allclose(half, (light + shadowed(light, shadow, 1.0)) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("which", ["shadow_strength", "volume_strength"])
def test_a_strength_beyond_its_range_is_refused(which: str, wrong: float) -> None:
    with pytest.raises(LucidError, match="STRENGTH_INVALID"):
        composite([layer(1)], no_shadow(), clear(), GREY, **{which: wrong})


@pytest.mark.parametrize("call", [
    lambda: composite([], None, None),
    lambda: composite([layer(1, 0.5)], None, None),
    lambda: composite([layer(1), layer(2, 1.5)], None, None),
    lambda: composite([layer(1), layer(2, NAN)], None, None),
    lambda: composite([layer(1), layer(2, 1.0, (1, 8))], None, None),
    lambda: composite([layer(1)], no_shadow((1, 1)), None),
    lambda: composite([layer(1)], None, clear((6, 1)), GREY),
    lambda: composite([layer(1)], None, clear()),
    lambda: composite([(np.zeros((*SHAPE, 3), np.uint8), np.ones(SHAPE, np.float32))], None, None),
    lambda: mean_linear([]),
], ids=["none", "see-through", "alpha", "nan", "size", "shadow", "volume", "ambient", "8 bit", "no mean"])
def test_what_does_not_fit_is_an_error(call) -> None:
    with pytest.raises(ValueError):
        call()


def test_the_mean_is_of_light_over_all_pictures() -> None:
    pictures = [np.zeros((2, 2, 3), np.uint16), np.full((2, 2, 3), 65535, np.uint16)]
    pictures[0][0, 0] = 65535, 0, 0
    assert mean_linear(iter(pictures)).tolist() == [0.625, 0.5, 0.5]


# --- reading


def shot_with(tmp_path: Path, *kinds: Kind) -> tuple[Path, Shot]:
    folder = tmp_path / "a.lucid"
    shot = make_shot(folder, frames=Frames(3, 4), size=Size(8, 6))
    layers = [Layer(kind.value, kind.value, (), tuple(layer_sequence(kind, kind.value, name) for name in LAYER_PASSES[kind]),
                    kind=kind) for kind in kinds]
    for number, found in enumerate(layers):
        for index, sequence in enumerate(found.sequences):
            for frame in (3, 4):
                write_exr(folder / sequence.path(frame), {
                    name: np.full(SHAPE, 100 * number + 10 * index + channel + frame / 10, np.float32)
                    for channel, name in enumerate(sequence.channels)})
    return folder, dataclasses.replace(shot, layers=(*shot.layers, *layers))


def test_a_shot_without_these_layers_has_none(tmp_path: Path) -> None:
    folder, shot = shot_with(tmp_path)
    assert read_shadow(folder, shot, 3) is None and read_volume(folder, shot, 3) is None


def test_the_layers_are_read_frame_by_frame(tmp_path: Path) -> None:
    folder, shot = shot_with(tmp_path, Kind.SHADOW, Kind.VOLUME)
    shadow, volume = read_shadow(folder, shot, 4), read_volume(folder, shot, 3)
    assert shadow is not None and volume is not None
    assert shadow.ratio.shape == shadow.difference.shape == volume.emission.shape == (*SHAPE, 3)
    assert volume.transmittance.shape == SHAPE and volume.transmittance.dtype == np.float32
    assert np.allclose(shadow.ratio[2, 2], [0.4, 1.4, 2.4]) and np.allclose(shadow.difference[2, 2], [10.4, 11.4, 12.4])
    assert np.allclose(volume.transmittance, 100.3) and np.allclose(volume.emission[5, 7], [110.3, 111.3, 112.3])


@pytest.mark.parametrize(("names", "shape"), [("RG", SHAPE), ("RGB", SHAPE[::-1])], ids=["channel", "size"])
def test_a_layer_that_lacks_a_channel_or_has_another_size_is_refused(tmp_path: Path, names: str,
                                                                     shape: tuple[int, int]) -> None:
    folder, shot = shot_with(tmp_path, Kind.SHADOW, Kind.VOLUME)
    for kind, name, read in ((Kind.SHADOW, "difference", read_shadow), (Kind.VOLUME, "emission", read_volume)):
        path = folder / layer_sequence(kind, kind.value, name).path(3)
        write_exr(path, {channel: np.ones(shape, np.float32) for channel in names})
        with pytest.raises(LucidError, match="EXR_INVALID"):
            read(folder, shot, 3)
        assert read(folder, shot, 4) is not None


def test_a_layer_without_its_pass_is_refused(tmp_path: Path) -> None:
    folder, shot = shot_with(tmp_path, Kind.SHADOW)
    poorer = dataclasses.replace(shot.layers[-1], sequences=shot.layers[-1].sequences[:1])
    with pytest.raises(LucidError, match="PASS_MISSING"):
        read_shadow(folder, dataclasses.replace(shot, layers=(*shot.layers[:-1], poorer)), 3)
