# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed layers: a key, all files' hashes, written last; damaged ones are never copied and always told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import TakeRequest
from lucid.inference.shot.sealed import (
    KEPT,
    LATENTS,
    SealedLayer,
    copy_layer,
    find_layer,
    keep_layers,
    latents_path,
    layer_path,
    seal_layer,
    sealed_layer,
    verify,
)
from lucid.inference.shot.takes import Take, new_take

KEY, OTHER = "a" * 64, "b" * 64


def make(folder: Path, key: str = KEY, *, latents: bool = True) -> tuple[Take, SealedLayer]:
    folder.mkdir(exist_ok=True)
    (folder / "shot.json").write_text("{}")
    take = new_take(folder, TakeRequest("a street"))
    layer = layer_path(take.folder, "Ball")
    (layer / "extra").mkdir(parents=True)
    (layer / "frame.0001.png").write_bytes(b"one")
    (layer / ".frame.0002.png.ab.tmp").write_bytes(b"half")
    (layer / "extra" / "note.json").write_bytes(b"{}")
    if latents:
        latents_path(layer).parent.mkdir()
        latents_path(layer).write_bytes(b"numbers")
    return take, seal_layer(take, "Ball", key)


def test_a_seal_survives_the_disk_and_names_every_file(tmp_path: Path) -> None:
    take, sealed = make(tmp_path)
    assert set(sealed.files) == {"frame.0001.png", "extra/note.json", LATENTS}
    assert sealed_layer(take, "Ball") == sealed and sealed.key == KEY
    verify(sealed)
    assert sealed_layer(take, "Walker") is None


@pytest.mark.parametrize("name", ["frame.0001.png", "extra/note.json", LATENTS])
def test_a_changed_or_missing_file_is_told(tmp_path: Path, name: str) -> None:
    _take, sealed = make(tmp_path)
    path = sealed.path(name)
    path.write_bytes(b"other")
    with pytest.raises(LucidError, match=f"LAYER_CHANGED: .*{path.name} is not what was painted"):
        verify(sealed)
    path.unlink()
    with pytest.raises(LucidError, match=f"LAYER_CHANGED: .*{path.name} is missing"):
        verify(sealed)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", ["frame.0001.png", LATENTS])
def test_a_link_that_leads_elsewhere_is_no_file_of_the_layer(tmp_path: Path, name: str) -> None:
    _take, sealed = make(tmp_path)
    outside = tmp_path / "outside"
    sealed.path(name).rename(outside)
    sealed.path(name).symlink_to(outside)
    with pytest.raises(LucidError, match="LAYER_CHANGED"):
        verify(sealed)


@pytest.mark.parametrize("change", [
    {"schema": "lucid.layer/2"}, {"key": "abc"}, {"files": {}}, {"files": {"../x": KEY}}, {"files": {"x": "1"}}, {"files": []}])
def test_a_seal_that_no_lucid_wrote_is_told(tmp_path: Path, change: dict) -> None:
    take, sealed = make(tmp_path)
    path = sealed.folder / "layer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LucidError, match=r"LAYER_CHANGED: .*layer\.json"):
        sealed_layer(take, "Ball")


def test_nothing_is_no_layer(tmp_path: Path) -> None:
    take, _ = make(tmp_path)
    with pytest.raises(LucidError, match="LAYER_CHANGED.*no files"):
        seal_layer(take, "Walker", KEY)
    with pytest.raises(LucidError, match="LAYER_CHANGED.*not finished"):
        copy_layer(layer_path(take.folder, "Walker"), take, "Ball")


def test_a_copy_is_the_same_layer_and_what_lay_there_is_gone(tmp_path: Path) -> None:
    _first, sealed = make(tmp_path)
    second = new_take(tmp_path, TakeRequest("a street"))
    (layer_path(second.folder, "Globe")).mkdir(parents=True)
    (layer_path(second.folder, "Globe") / "frame.0009.png").write_bytes(b"unfinished")
    copy = copy_layer(sealed.folder, second, "Globe")
    assert sealed_layer(second, "Globe") == copy and copy.files == sealed.files and copy.key == KEY
    verify(copy)
    assert not (copy.folder / "frame.0009.png").exists() and copy.path(LATENTS).read_bytes() == b"numbers"
    assert copy_layer(copy.folder, second, "Globe") == copy         # onto itself: nothing is lost
    verify(copy)


@pytest.mark.parametrize("name", ["frame.0001.png", LATENTS])
def test_a_damaged_layer_is_not_copied(tmp_path: Path, name: str) -> None:
    _first, sealed = make(tmp_path)
    second = new_take(tmp_path, TakeRequest("a street"))
    for damage in (lambda: sealed.path(name).write_bytes(b"other"), lambda: sealed.path(name).unlink()):
        damage()
        with pytest.raises(LucidError, match="LAYER_CHANGED"):
            copy_layer(sealed.folder, second, "Ball")
        assert sealed_layer(second, "Ball") is None


def test_the_newest_whole_layer_is_found_and_damaged_ones_are_told(tmp_path: Path) -> None:
    make(tmp_path)
    _second, sealed = make(tmp_path)
    make(tmp_path, OTHER)
    found, notes = find_layer(tmp_path, KEY, "Ball")
    assert found is not None and (found.take, found.layer.folder, notes) == (2, sealed.folder, [])
    sealed.path("frame.0001.png").write_bytes(b"other")
    found, notes = find_layer(tmp_path, KEY, "Ball")
    assert found is not None and found.take == 1 and len(notes) == 1 and "take 2" in notes[0]
    (sealed.folder / "layer.json").write_text("{")
    found, notes = find_layer(tmp_path, KEY, "Ball")
    assert found is not None and found.take == 1 and "layer.json" in notes[0]
    assert find_layer(tmp_path, "c" * 64, "Ball")[0] is None and find_layer(tmp_path, KEY, "Walker") == (None, [])


def test_layers_of_another_shot_are_kept_apart(tmp_path: Path) -> None:
    other, _ = make(tmp_path / "other")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "shot.json").write_text("{}")
    take = new_take(tmp_path / "mine", TakeRequest("a street"))
    assert keep_layers(take, other) == []
    assert find_layer(tmp_path / "mine", KEY, "Ball") == (None, [])
    found, _ = find_layer(tmp_path / "mine", KEY, "Ball", kept=take.folder / KEPT)
    assert found is not None and found.take is None
    copy = copy_layer(found.layer.folder, take, "Ball")
    assert copy.path(LATENTS) == take.folder / "latents" / "Ball.safetensors" and copy.path(LATENTS).is_file()
