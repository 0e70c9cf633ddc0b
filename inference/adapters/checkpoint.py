# SPDX-License-Identifier: GPL-3.0-or-later
"""Where weights come from and what is let in: diffusers folders, safetensors only, no code, no pickles."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..conditioning.habits import MINI as MINI
from ..conditioning.habits import PROFILE as PROFILE
from ..errors import LucidError
from ..shot.store import sha256_file
from .pinned import SHA256

PIPELINE = "WanVACEPipeline"
HASHED_BYTES = 1 << 30
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_UNSAFE = {".bin", ".pt", ".pth", ".pt2", ".ckpt", ".pkl", ".pickle", ".py", ".pyc", ".h5", ".msgpack", ".onnx"}
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]


def find(weights: str) -> Path:
    """The checked local folder of ``mini``, a path, or a hub repository (fetched once, then from its cache).

    Raises WEIGHTS_MISSING, WEIGHTS_UNSAFE, WEIGHTS_INVALID or WEIGHTS_UNREACHABLE.
    """
    if weights == "mini":
        folder = MINI
    elif Path(weights).is_dir():
        folder = Path(weights)
    elif _REPOSITORY.fullmatch(weights) and not Path(weights).exists():
        folder = _fetch(weights)
    else:
        raise LucidError("WEIGHTS_MISSING", f"there is no weights folder '{weights}'",
                         "give mini, a diffusers folder, or a hub repository OWNER/NAME")
    check(folder)
    return folder


def check(folder: Path) -> None:
    """Every component of the pipeline is there as safetensors, and nothing in the folder could run code."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _UNSAFE:
            raise LucidError("WEIGHTS_UNSAFE", f"{path.relative_to(folder)} can carry code; only safetensors are loaded",
                             "remove it, or convert the weights to safetensors")
    index = read_json(folder, "model_index.json")
    if index.get("_class_name") != PIPELINE:
        raise LucidError("WEIGHTS_INVALID", f"{folder} holds a {index.get('_class_name')}, not a {PIPELINE}",
                         "give a Wan-VACE checkpoint in diffusers' layout")
    for name, value in index.items():
        if isinstance(value, list) and value and value[0] is not None:
            _check_component(folder, name)


def check_pinned(folder: Path, found: Mapping[str, str]) -> None:
    """The embedded model's files, with the hashes ``found``, are the ones that were shipped; other folders' may be any.
    Raises WEIGHTS_MISSING, WEIGHTS_CHANGED."""
    for name, digest in SHA256.items() if folder == MINI else ():
        if name not in found:
            raise _missing(folder, name)
        if found[name] != digest:
            raise LucidError("WEIGHTS_CHANGED", f"the embedded model's {name} is not the file Lucid was made with",
                             "install Lucid again; your own weights belong into a folder of their own")


def profile(folder: Path) -> dict[str, Any]:
    """The checkpoint's own habits (lucid_profile.json), or nothing: then the family's defaults hold."""
    return read_json(folder, PROFILE) if (folder / PROFILE).is_file() else {}


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file below 1 GiB; larger ones are named by their size, to keep a take's start quick."""
    return {path.relative_to(folder).as_posix():
            sha256_file(path) if path.stat().st_size < HASHED_BYTES else f"size:{path.stat().st_size}"
            for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".safetensors")}


def _check_component(folder: Path, name: str) -> None:
    if name == "scheduler":
        read_json(folder, "scheduler/scheduler_config.json")
        return
    if name == "tokenizer":
        read_json(folder, "tokenizer/tokenizer_config.json")
        return
    read_json(folder, f"{name}/config.json")
    shards = sorted((folder / name).glob("*.safetensors.index.json"))
    needed = (_shards(folder, f"{name}/{shards[0].name}") if shards
              else {"model.safetensors" if name.startswith("text_encoder") else "diffusion_pytorch_model.safetensors"})
    for file in sorted(needed):
        if not (folder / name / file).is_file():
            raise _missing(folder, f"{name}/{file}")


def _shards(folder: Path, name: str) -> set[str]:
    table = read_json(folder, name).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise LucidError("WEIGHTS_INVALID", f"{folder / name} maps no weights to files", "get that file again")
    return {str(value) for value in table.values()}


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """One JSON object of a checkpoint. Raises WEIGHTS_MISSING or WEIGHTS_INVALID."""
    path = folder / name
    if not path.is_file():
        raise _missing(folder, name)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LucidError("WEIGHTS_INVALID", f"{path} is not JSON: {error}", "get that file again") from error
    if not isinstance(data, dict):
        raise LucidError("WEIGHTS_INVALID", f"{path} holds no JSON object", "get that file again")
    return data


def _missing(folder: Path, name: str) -> LucidError:
    return LucidError("WEIGHTS_MISSING", f"the weights in {folder} have no {name}", "get the checkpoint again, whole")


def _fetch(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise LucidError("WEIGHTS_UNREACHABLE", f"the repository {repository} cannot be fetched: {reason}",
                         "check the name and the network, or give a local folder") from error
