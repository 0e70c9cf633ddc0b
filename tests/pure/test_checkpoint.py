# SPDX-License-Identifier: GPL-3.0-or-later
"""What is let in as weights: whole safetensors checkpoints, nothing that can run code."""

import json
import shutil

import pytest
from lucid.inference.adapters import checkpoint
from lucid.inference.errors import LucidError


@pytest.fixture
def weights(tmp_path):
    """A copy of the embedded checkpoint that a test may break."""
    return shutil.copytree(checkpoint.MINI, tmp_path / "weights")


def refused(weights, code):
    with pytest.raises(LucidError) as caught:
        checkpoint.find(str(weights))
    assert caught.value.code == code
    return caught.value.text


def test_the_embedded_checkpoint_passes_and_is_small():
    assert checkpoint.find("mini") == checkpoint.MINI
    assert sum(p.stat().st_size for p in checkpoint.MINI.rglob("*") if p.is_file()) <= 32 * 2**20


def test_the_embedded_checkpoint_is_the_pinned_one():
    found = checkpoint.hashes(checkpoint.MINI)
    checkpoint.check_pinned(checkpoint.MINI, found)
    name = "transformer/diffusion_pytorch_model.safetensors"
    with pytest.raises(LucidError, match=f"WEIGHTS_CHANGED: .*{name}"):
        checkpoint.check_pinned(checkpoint.MINI, found | {name: "0" * 64})
    with pytest.raises(LucidError, match="WEIGHTS_MISSING"):
        checkpoint.check_pinned(checkpoint.MINI, {key: value for key, value in found.items() if key != name})


@pytest.mark.parametrize("name", ["model_index.json", "vae/config.json", "scheduler/scheduler_config.json",
                                  "transformer/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer_config.json"])
def test_a_missing_file_is_named(weights, name):
    (weights / name).unlink()
    assert name in refused(weights, "WEIGHTS_MISSING")


@pytest.mark.parametrize("name", ["vae/diffusion_pytorch_model.bin", "pipeline.py", "text_encoder/model.PT", "x.pkl"])
def test_files_that_can_carry_code_are_refused(weights, name):
    (weights / name).write_bytes(b"\x80\x04.")
    assert name in refused(weights, "WEIGHTS_UNSAFE")


def test_a_missing_shard_is_named(weights):
    folder = weights / "transformer"
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors"}}))
    assert "00001-of-00002" in refused(weights, "WEIGHTS_MISSING")
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    refused(weights, "WEIGHTS_INVALID")


def test_another_pipeline_and_broken_json_are_refused(weights):
    index = weights / "model_index.json"
    index.write_text(index.read_text().replace("WanVACEPipeline", "FluxPipeline"))
    assert "FluxPipeline" in refused(weights, "WEIGHTS_INVALID")
    index.write_text("{")
    refused(weights, "WEIGHTS_INVALID")


def test_no_folder_and_an_unreachable_repository(tmp_path, monkeypatch):
    refused(tmp_path / "nothing", "WEIGHTS_MISSING")
    refused("./nothing", "WEIGHTS_MISSING")
    refused("../nothing", "WEIGHTS_MISSING")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("nobody/nothing-of-that-name", "WEIGHTS_UNREACHABLE")


def test_a_profile_that_makes_no_sense_is_a_clear_error(weights):
    from lucid.inference.adapters.base import load

    (weights / checkpoint.PROFILE).write_text('{"steps": "many"}')
    with pytest.raises(LucidError, match=rf"WEIGHTS_INVALID: .*{checkpoint.PROFILE}"):
        load(str(weights))


def test_truncated_tensors_are_a_clear_error(weights):
    from lucid.inference.adapters.base import load

    path = weights / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LucidError) as caught:
        load(str(weights))
    assert caught.value.code == "WEIGHTS_INVALID"
