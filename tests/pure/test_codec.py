# SPDX-License-Identifier: GPL-3.0-or-later
"""The VAE in chunks against one call of it on the whole shot: the same values, in memory that does not grow."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch
from accelerate import cpu_offload_with_hook
from accelerate.hooks import remove_hook_from_module
from diffusers import AutoencoderKLWan
from lucid.inference.adapters.codec import Codec
from lucid.tests import tiny_wan

pytestmark = pytest.mark.torch
HEIGHT, WIDTH = 16, 24
ROUNDING = 1e-5         # a convolution of 1x1x1 over a chunk rounds otherwise than over the whole shot


@pytest.fixture(scope="module")
def large():
    return tiny_wan.large()


@pytest.fixture(scope="module")
def every_frame():
    return tiny_wan.every_frame()


@pytest.fixture(scope="module")
def deep():
    """Blocks and widths as in Wan2.1, 8 channels where it has 96: it looks back over 28 latent frames and more."""
    torch.manual_seed(0)
    return AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                            temperal_downsample=[False, True, True]).eval()


def random(*joins):
    """A VAE whose weights look back in time, however many frames it joins."""
    torch.manual_seed(0)
    return AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                            temperal_downsample=list(joins)).eval()


def make(vae, chunk=16):
    return Codec(vae, temporal=2 ** sum(vae.config.temperal_downsample), spatial=8, chunk=chunk)


def pictures(count, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(count).random((count, height, width, 3), np.float32) * 2.0 - 1.0


def whole(codec, video, latents):
    """Latents of the video and pictures of the latents, each by one call of the VAE."""
    with torch.no_grad():
        given = torch.from_numpy(video).permute(3, 0, 1, 2)[None].contiguous()
        found = ((codec.vae.encode(given).latent_dist.mode() - codec.mean) * codec.gain)[0]
        shown = codec.vae.decode(latents[None] / codec.gain + codec.mean).sample
    return found, shown[0].permute(1, 2, 3, 0).numpy()


def chunked(codec, video, latents):
    """The same chunk by chunk: each with the places that it says it has."""
    encoded = list(codec.encode(lambda start, stop: video[start:stop], len(video)))
    decoded = list(codec.decode(lambda start, stop: latents[:, start:stop], latents.shape[1]))
    for pieces, axis in ((encoded, 1), (decoded, 0)):
        places = np.cumsum([0, *(piece.shape[axis] for _, piece in pieces)])
        assert [start for start, _ in pieces] == places[:-1].tolist()
    return torch.cat([piece for _, piece in encoded], 1), np.concatenate([piece for _, piece in decoded])


def both(codec, length):
    video = pictures(1 + codec.temporal * (length - 1))
    latents = torch.randn((codec.mean.shape[1], length, HEIGHT // 8, WIDTH // 8),
                          generator=torch.Generator().manual_seed(length))
    return whole(codec, video, latents), chunked(codec, video, latents)


# ---- the values

@pytest.mark.parametrize("joins", [(False, True, True), (False, False, True), (False, False, False)])
def test_a_shot_of_one_chunk_is_the_vaes_own_call_bit_for_bit(joins):
    codec = make(random(*joins))
    (latents, video), (found, shown) = both(codec, 5)
    assert not codec.apart
    assert found.dtype == torch.float32 and torch.equal(found, latents)
    assert shown.dtype == np.float32 and np.array_equal(shown, video)


@pytest.mark.parametrize("joins, chunk", [((False, True, True), 1), ((False, True, True), 3), ((False, False, True), 2),
                                          ((False, False, True), 5), ((False, False, False), 4)])
def test_chunks_have_no_seams(joins, chunk):
    (latents, video), (found, shown) = both(make(random(*joins), chunk), 9)
    assert float((found - latents).abs().max()) < ROUNDING
    assert np.abs(shown - video).max() < ROUNDING


@pytest.mark.parametrize("chunk", [2, 7])
def test_chunks_have_no_seams_where_the_vae_looks_far_back(deep, chunk):
    """Chunks that were started anew two latent frames early would differ by more than the latents vary."""
    codec = make(deep, chunk)
    (latents, video), (found, shown) = both(codec, 12)
    assert float((found - latents).abs().max()) < ROUNDING and np.abs(shown - video).max() < ROUNDING
    late = pictures(1 + 4 * 11)[4 * 7:]
    anew = torch.cat([piece for _, piece in codec.encode(lambda start, stop: late[start:stop], len(late))], 1)
    assert float((anew[:, 2:] - latents[:, 9:]).abs().max()) > float(latents.std())


def test_the_embedded_vae_takes_frames_as_a_batch(every_frame):
    codec = make(every_frame.vae, chunk=4)
    (latents, video), (found, shown) = both(codec, 9)
    assert codec.apart
    assert float((found - latents).abs().max()) < ROUNDING and np.abs(shown - video).max() < ROUNDING


def test_a_vae_whose_weights_look_back_is_not_taken_for_one_of_single_frames(every_frame):
    vae = AutoencoderKLWan.from_config(every_frame.vae.config).eval()
    vae.load_state_dict(every_frame.vae.state_dict())
    assert make(vae).apart
    with torch.no_grad():
        vae.decoder.mid_block.resnets[1].conv2.weight[0, 0, -1, 1, 1] = 0.1     # what conv1 sees of the past counts now
    codec = make(vae, chunk=4)
    assert not codec.apart
    (latents, video), (found, shown) = both(codec, 9)
    assert np.abs(shown - video).max() < ROUNDING and float((found - latents).abs().max()) < ROUNDING


@pytest.mark.parametrize("count", [1, 2, 7, 12, 13])
def test_any_number_of_frames_has_the_latents_of_its_whole_groups(large, every_frame, count):
    video = pictures(count)
    for vae, each in ((large.vae, 4), (random(False, False, True), 2), (random(False, False, False), 1), (every_frame.vae, 1)):
        codec = make(vae, chunk=4)
        found = torch.cat([piece for _, piece in codec.encode(lambda start, stop: video[start:stop], count)], 1)
        assert found.shape[1] == (count - 1) // each + 1
        frames = np.concatenate([piece for _, piece in codec.decode(lambda a, b, z=found: z[:, a:b], found.shape[1])])
        assert frames.shape == (1 + each * (found.shape[1] - 1), HEIGHT, WIDTH, 3)
        padded = np.concatenate([video, *[video[-1:]] * (-(count - 1) % 4)])
        with torch.no_grad():
            stock = vae.encode(torch.from_numpy(padded).permute(3, 0, 1, 2)[None].contiguous()).latent_dist.mode()
        expected = ((stock - codec.mean) * codec.gain)[0, :, :found.shape[1]]
        assert float((found - expected).abs().max()) < ROUNDING


def test_latents_are_the_pipelines(large):
    """Bit for bit what the stock pipeline prepares and shows."""
    codec = make(large.vae)
    video = pictures(9)
    given = torch.from_numpy(video).permute(3, 0, 1, 2)[None].contiguous()
    with torch.no_grad():
        prepared = large.prepare_video_latents(given, torch.zeros_like(given), [[]], None, torch.device("cpu"))
    (_, found), = codec.encode(lambda start, stop: video[start:stop], 9)
    assert torch.equal(found, prepared[0, :16])

    def run(output):
        return large(prompt_embeds=torch.zeros((1, 8, 32)), height=HEIGHT, width=32, num_frames=9, num_inference_steps=2,
                     guidance_scale=1.0, generator=torch.Generator().manual_seed(1), output_type=output).frames

    latents = run("latent")[0]
    (_, shown), = codec.decode(lambda start, stop: latents[:, start:stop], 3)
    assert np.array_equal((shown * 0.5 + 0.5).clip(0.0, 1.0), run("np")[0])


# ---- the way there

def live_bytes():
    """What all tensors of the process hold together."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in gc.get_objects()
                if type(each) is torch.Tensor}
    return sum(storages.values())


def highest(codec, length):
    """The most bytes of tensors between chunks and of arrays at any time, while a shot is encoded and decoded."""
    latents, asked, tensors = torch.zeros((codec.mean.shape[1], codec.chunk, HEIGHT // 8, WIDTH // 8)), [], []
    video = pictures(codec.temporal * codec.chunk)

    def frames(start, stop):
        asked.append(stop - start)
        tensors.append(live_bytes())
        return video[:stop - start]

    def kept(start, stop):
        asked.append(stop - start)
        tensors.append(live_bytes())
        return latents[:, :stop - start]

    tracemalloc.start()
    for piece in codec.encode(frames, 1 + codec.temporal * (length - 1)):
        del piece
    for piece in codec.decode(kept, length):
        del piece
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(asked), max(tensors), arrays


def test_memory_does_not_grow_with_the_shot(large, every_frame):
    for vae in (large.vae, every_frame.vae):
        codec = make(vae, chunk=4)
        highest(codec, 4)                                           # what is made once is made here
        short, long = highest(codec, 8), highest(codec, 20)
        assert long[0] == short[0] <= codec.temporal * codec.chunk
        assert long[1] == short[1]
        assert long[2] < short[2] + 20_000                          # one chunk of pictures is 74 kB, or 18 kB


def test_two_shots_are_encoded_side_by_side(large):
    """What one remembers is not the other's, and the pipeline may use the VAE in between."""
    codec = make(large.vae, chunk=2)
    one, two = pictures(17), pictures(21)[:17]
    apart = [torch.cat([piece for _, piece in codec.encode(lambda a, b, v=v: v[a:b], 17)], 1) for v in (one, two)]
    together = ([], [])
    for pair in zip(codec.encode(lambda a, b: one[a:b], 17), codec.encode(lambda a, b: two[a:b], 17), strict=True):
        for pieces, (_, piece) in zip(together, pair, strict=True):
            pieces.append(piece)
        with torch.no_grad():
            large.vae.encode(torch.zeros((1, 3, 5, HEIGHT, WIDTH)))
    assert all(torch.equal(torch.cat(pieces, 1), alone) for pieces, alone in zip(together, apart, strict=True))


def test_gradients_are_neither_kept_nor_switched_off_for_others(large):
    codec = make(large.vae, chunk=1)
    video = pictures(9)
    with torch.enable_grad():
        for _, piece in codec.encode(lambda start, stop: video[start:stop], 9):
            assert not piece.requires_grad and torch.is_grad_enabled()


def test_offloading_is_asked_for_the_vae(monkeypatch):
    vae = random(False, True, True)
    expected = both(make(vae), 3)
    cpu_offload_with_hook(vae, torch.device("cpu"))
    calls, fetch = [], vae._hf_hook.pre_forward
    monkeypatch.setattr(vae._hf_hook, "pre_forward", lambda module: calls.append(module) or fetch(module))
    found = chunked(make(vae, chunk=1), pictures(9), torch.zeros((16, 3, 2, 3)))[0]
    assert len(calls) == 6 and float((found - expected[0][0]).abs().max()) < ROUNDING
    remove_hook_from_module(vae)


# ---- refusals

def test_what_cannot_be_done_in_chunks_is_refused(large):
    for vae, temporal, chunk in ((large.vae, 1, 16), (large.vae, 4, 0), (random(False, False, False), 1, 3)):
        with pytest.raises(ValueError, match="chunks"):
            Codec(vae, temporal=temporal, spatial=8, chunk=chunk)
    tiled = random(False, True, True)
    codec = make(tiled)
    tiled.enable_tiling()
    with pytest.raises(ValueError, match="tiles"):
        next(codec.encode(lambda start, stop: pictures(stop - start), 5))


@pytest.mark.parametrize("given", [pictures(4), pictures(5, height=20), pictures(5, width=20), pictures(5)[..., :1]])
def test_pictures_that_do_not_fit_are_refused(large, given):
    with pytest.raises(ValueError, match=r"came|cells"):
        next(make(large.vae).encode(lambda start, stop: given, 5))
    with pytest.raises(ValueError, match="came"):
        next(make(large.vae).decode(lambda start, stop: torch.zeros((16, 1, 2, 3)), 2))
