# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the small pipeline: tokenizer, text encoder, transformer, VAE; from nothing or from an exported folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from .patch_vae import LATENTS, PATCH, LinearCodec, codec_of

TOKENS = 40
_TEXT_WIDTH = 128
_SPECIAL = ("<pad>", "</s>", "<unk>")


@dataclass
class Mini:
    """Everything `WanVACEPipeline` needs but the scheduler, and the codec that stands in for the VAE in training."""

    tokenizer: PreTrainedTokenizerFast
    text_encoder: UMT5EncoderModel
    transformer: WanVACETransformer3DModel
    vae: AutoencoderKLWan
    codec: LinearCodec

    def embed(self, prompts: list[str]) -> Tensor:
        """(B, TOKENS, 128) text states, zero behind the end, as the pipeline pads them."""
        batch = self.tokenizer(prompts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
        states = self.text_encoder(batch.input_ids, batch.attention_mask).last_hidden_state
        return states * batch.attention_mask[..., None]


def make_tokenizer(vocabulary: list[str]) -> PreTrainedTokenizerFast:
    """WordPiece over whole words with a fall-back to characters; `vocabulary` in id order, special tokens first."""
    ids = {word: index for index, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="<unk>", continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", ids["</s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
        padding_side="right",
    )


def _vocabulary(words: list[str], start: Path | None) -> list[str]:
    """Ids of the start folder stay, new words follow."""
    if start is None:
        letters = [c for ch in "abcdefghijklmnopqrstuvwxyz0123456789" for c in (ch, f"##{ch}")]
        old = [*_SPECIAL, *letters]
    else:
        ids = json.loads((start / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
        old = sorted(ids, key=ids.get)
    return old + [word for word in [",", *words] if word not in set(old)]


def _text_encoder(size: int, start: Path | None) -> UMT5EncoderModel:
    if start is None:
        return UMT5EncoderModel(
            UMT5Config(
                vocab_size=size,
                d_model=_TEXT_WIDTH,
                d_kv=32,
                d_ff=2 * _TEXT_WIDTH,
                num_layers=2,
                num_heads=4,
                dropout_rate=0.0,
                relative_attention_num_buckets=32,
                relative_attention_max_distance=64,
                feed_forward_proj="gated-gelu",
            )
        )
    encoder = UMT5EncoderModel.from_pretrained(start / "text_encoder", dtype=torch.float32)
    old = encoder.shared.weight.detach()
    if size > len(old):
        spread = old.std().item()
        encoder.resize_token_embeddings(size, mean_resizing=False)
        with torch.no_grad():
            encoder.shared.weight[len(old) :] = torch.randn(size - len(old), old.shape[1]) * spread
    return encoder


def _transformer(start: Path | None) -> WanVACETransformer3DModel:
    if start is not None:
        return single_frames(WanVACETransformer3DModel.from_pretrained(start / "transformer", dtype=torch.float32))
    transformer = WanVACETransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=4,
        attention_head_dim=64,
        in_channels=LATENTS,
        out_channels=LATENTS,
        text_dim=_TEXT_WIDTH,
        freq_dim=128,
        ffn_dim=768,
        num_layers=6,
        vace_layers=[0, 2, 4],
        vace_in_channels=2 * LATENTS + PATCH * PATCH,
    )
    torch.nn.init.zeros_(transformer.proj_out.weight)
    torch.nn.init.zeros_(transformer.proj_out.bias)
    return transformer


def single_frames(old: WanVACETransformer3DModel) -> WanVACETransformer3DModel:
    """The transformer with patches of one frame in place of several: on a still it computes what `old` computes on
    that still repeated. Its embeddings are summed, its predictions averaged over the frames of a patch."""
    frames, height, width = old.config.patch_size
    if frames == 1:
        return old
    new = WanVACETransformer3DModel.from_config({**old.config, "patch_size": (1, height, width)})
    state = old.state_dict()
    for name in ("patch_embedding.weight", "vace_patch_embedding.weight"):
        state[name] = state[name].sum(2, keepdim=True)
    for name in ("proj_out.weight", "proj_out.bias"):  # rows in the order frame, row, column, channel
        state[name] = state[name].unflatten(0, (frames, -1)).mean(0)
    new.load_state_dict(state)
    return new


def make_mini(words: list[str], start: Path | None, vae: AutoencoderKLWan | None = None) -> Mini:
    """Weights from the exported folder `start`, or fresh ones around a `vae` of patch_vae.build_vae."""
    if vae is None:
        if start is None:
            raise ValueError("without a folder to start from a VAE must be given")
        vae = AutoencoderKLWan.from_pretrained(start / "vae", dtype=torch.float32)
    vocabulary = _vocabulary(words, start)
    return Mini(
        make_tokenizer(vocabulary),
        _text_encoder(len(vocabulary), start),
        _transformer(start),
        vae.eval(),
        codec_of(vae),
    )
