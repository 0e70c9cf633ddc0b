# SPDX-License-Identifier: GPL-3.0-or-later
"""The graph of a take: each input changes exactly the keys it must, and what happens to each layer follows from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.generation.graph import FINAL, Action, composite_key, keys_of, plan
from lucid.inference.shot.model import (
    LAYER_PASSES,
    DepthRange,
    Edit,
    Frames,
    Kind,
    Layer,
    Rate,
    Shot,
    Size,
    TakeRequest,
    layer_sequence,
    pass_sequence,
)
from lucid.inference.shot.sealed import KEPT, copy_layer, keep_layers, layer_path, seal_layer
from lucid.inference.shot.takes import State, Take, new_take

SAME: dict[str, Any] = {"steps": 4, "weights": {"model": "aa"}, "profile": {"multiple": 16, "memory": 0.5},
                        "versions": {"torch": "2"}}
ENV, BALL, WALKER, SHADOW, VOLUME = "environment", "Ball", "Walker", "shadow", "volume"
ALL = {ENV, BALL, WALKER, SHADOW, VOLUME, FINAL}
OF_BALL, OF_WALKER = {BALL, VOLUME, FINAL}, {WALKER, VOLUME, FINAL}
REQUEST = TakeRequest("a street", seed=3)


def layer(name: str, kind: Kind, ids: tuple[int, ...] = (), pose: int | None = None) -> Layer:
    return Layer(name, name, ids, tuple(layer_sequence(kind, name, one) for one in LAYER_PASSES[kind]), pose, kind)


def make() -> Shot:
    layers = (layer(ENV, Kind.ENVIRONMENT), layer(BALL, Kind.ACTOR, (1,)), layer(WALKER, Kind.ACTOR, (2,), 0),
              layer(SHADOW, Kind.SHADOW), layer(VOLUME, Kind.VOLUME))
    passes = tuple(map(pass_sequence, ("depth", "id", "beauty")))
    shot = Shot("street", Rate(12), Frames(1, 2), Size(64, 48), 1.0, DepthRange(1.0, float("inf")), "Camera", passes, layers,
                {1: "Ball", 2: "Walker", 3: "Road", 4: "Tree"})
    named = [s.path(f) for s in (*passes, *(s for one in layers for s in one.sequences)) for f in (1, 2)]
    return replace(shot, files={name: f"hash of {name}" for name in (*named, "camera.npz", "pose.npz", "audio/mix.wav")})


SHOT = make()


def keys(shot: Shot = SHOT, request: TakeRequest = REQUEST, parent: Take | None = None, **changed: Any) -> dict[str, str]:
    return keys_of(shot, request, shot.actors, parent, **SAME | changed)


def changed(one: dict[str, str], other: dict[str, str]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


def test_equal_inputs_have_equal_keys_and_no_two_layers_share_one() -> None:
    assert keys() == keys(make(), TakeRequest("a street", seed=3)) and list(keys()) == [ENV, BALL, WALKER, SHADOW, VOLUME, FINAL]
    assert len(set(keys().values())) == len(ALL) and all(len(key) == 64 for key in keys().values())


@pytest.mark.parametrize(("path", "expected"), [
    *((f"layers/{ENV}/{name}.0002.exr", ALL) for name in ("depth", "normal", "id", "rest")),
    (f"layers/{ENV}/beauty.0001.exr", set()),
    *((f"layers/{BALL}/{name}.0001.exr", OF_BALL) for name in ("depth", "normal", "id", "rest")),
    (f"layers/{BALL}/matte.0002.png", OF_BALL), (f"layers/{BALL}/beauty.0001.exr", set()),
    ("camera.npz", ALL), ("pose.npz", OF_WALKER), ("audio/mix.wav", set()), ("passes/id/id.0001.exr", set()),
    ("passes/depth/depth.0001.exr", set()), ("passes/beauty/beauty.0001.exr", set()),
    (f"layers/{SHADOW}/ratio.0001.exr", {SHADOW, FINAL}), (f"layers/{VOLUME}/depth.0001.exr", {VOLUME, FINAL})])
def test_a_file_of_the_shot(path: str, expected: set[str]) -> None:
    assert path in SHOT.files
    assert changed(keys(), keys(replace(SHOT, files=SHOT.files | {path: "other"}))) == expected


@pytest.mark.parametrize(("fields", "expected"), [
    ({"prompt": "a road"}, ALL), ({"seed": 4}, ALL), ({"noise": "pixel"}, ALL), ({"stickiness": 0.5}, ALL), ({"pull": 0.5}, ALL),
    ({"layer_prompts": {BALL: "red"}}, OF_BALL), ({"layer_prompts": {ENV: "a road"}}, ALL),
    ({"layer_prompts": {BALL: "a street"}}, set()),
    ({"layer_seeds": {WALKER: 4}}, OF_WALKER), ({"layer_seeds": {ENV: 4}}, ALL), ({"layer_seeds": {WALKER: 3}}, set()),
    ({"strengths": {BALL: 0.5}}, OF_BALL), ({"strengths": {"Road": 0.5}}, ALL), ({"strengths": {ENV: 0.5}}, ALL),
    ({"strengths": {WALKER: [[1, 0.5], [2, 1.0]]}}, OF_WALKER),
    ({"references": {WALKER: ["a.png"]}}, OF_WALKER), ({"references": {ENV: ["a.png"]}}, ALL),
    ({"steps": 9, "weights": "elsewhere"}, set()), ({"stickiness": 0}, set())])
def test_a_wish(fields: dict[str, Any], expected: set[str]) -> None:
    """The request's own steps and weights are names: what they come to is among the facts below."""
    assert changed(keys(), keys(request=replace(REQUEST, **fields))) == expected


@pytest.mark.parametrize("fact", [{"steps": 5}, {"weights": {"model": "bb"}}, {"profile": {"multiple": 16, "memory": 0.6}},
                                  {"versions": {"torch": "3"}}])
def test_a_fact_of_the_model(fact: dict[str, Any]) -> None:
    assert changed(keys(), keys(**fact)) == ALL


@pytest.mark.parametrize(("fields", "expected"), [
    ({"frames": Frames(1, 1)}, ALL), ({"size": Size(64, 64)}, ALL), ({"depth_range": DepthRange(2.0, float("inf"))}, ALL),
    ({"depth_range": DepthRange(1.0, 80.0)}, ALL), ({"instances": {1: "Ball", 2: "Walker", 3: "Way", 4: "Tree"}}, ALL),
    ({"instances": {1: "Globe", 2: "Walker", 3: "Road", 4: "Tree"}}, OF_BALL),
    ({"name": "other"}, set()), ({"rate": Rate(24)}, set()), ({"prompt": "x"}, set()), ({"camera_words": "pans"}, set()),
    ({"source": {"blend": "b"}}, set()), ({"materials": {1: "Red"}}, set())])
def test_a_fact_of_the_shot(fields: dict[str, Any], expected: set[str]) -> None:
    assert changed(keys(), keys(replace(SHOT, **fields))) == expected


def test_actors_do_not_know_each_other() -> None:
    fewer = replace(SHOT, layers=tuple(one for one in SHOT.layers if one.name != BALL),
                    instances={number: name for number, name in SHOT.instances.items() if number != 1})
    assert keys(fewer)[WALKER] == keys()[WALKER] and keys(fewer)[ENV] == keys()[ENV]
    unseen = keys_of(SHOT, REQUEST, [SHOT.layer(WALKER)], **SAME)
    assert BALL not in unseen and unseen[WALKER] == keys()[WALKER] and unseen[FINAL] != keys()[FINAL]


def test_a_file_without_a_hash_is_refused() -> None:
    files = {name: digest for name, digest in SHOT.files.items() if name != "camera.npz"}
    with pytest.raises(LucidError, match=r"SHOT_INVALID: camera\.npz"):
        keys(replace(SHOT, files=files))


def test_a_composite_is_of_its_pictures_and_files() -> None:
    shadow, pictures = SHOT.layer(SHADOW), {ENV: "1"}
    assert composite_key(SHOT, pictures, shadow) == composite_key(make(), {ENV: "1"}, shadow)
    assert len({composite_key(SHOT, pictures, shadow), composite_key(SHOT, pictures, SHOT.layer(VOLUME)),
                composite_key(SHOT, {ENV: "2"}, shadow), composite_key(SHOT, pictures)}) == 4


def painted(folder: Path, request: TakeRequest = REQUEST, only: tuple[str, ...] = (ENV, BALL, WALKER)) -> Take:
    """A take whose layers are sealed with the keys of the request; the pictures are a few bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "shot.json").write_text("{}")
    take = new_take(folder, request)
    take.emit("started")
    for name in only:
        layer_path(take.folder, name).mkdir(parents=True)
        (layer_path(take.folder, name) / "frame.0001.png").write_bytes(name.encode())
        seal_layer(take, name, keys(request=request)[name])
    take.finish(State.DONE)
    return take


def actions(folder: Path, request: TakeRequest, parent: Take | None = None, **more: Any) -> dict[str, tuple[Action, int | None]]:
    steps, _ = plan(folder, SHOT, request, keys(request=request, parent=parent), parent, **more)
    return {step.layer: (step.action, step.take) for step in steps}


def test_the_same_wish_is_reused_from_the_newest_take(tmp_path: Path) -> None:
    assert actions(tmp_path, REQUEST) == dict.fromkeys((ENV, BALL, WALKER), (Action.GENERATE, None))
    painted(tmp_path)
    painted(tmp_path, only=(ENV,))
    assert actions(tmp_path, REQUEST) == {ENV: (Action.REUSE, 2), BALL: (Action.REUSE, 1), WALKER: (Action.REUSE, 1)}
    assert actions(tmp_path, replace(REQUEST, layer_prompts={BALL: "red"})) == {
        ENV: (Action.REUSE, 2), BALL: (Action.GENERATE, None), WALKER: (Action.REUSE, 1)}


def test_a_damaged_layer_is_passed_over_and_said(tmp_path: Path) -> None:
    painted(tmp_path)
    newest = painted(tmp_path, only=(ENV,))
    (newest.folder / "layers" / ENV / "frame.0001.png").write_bytes(b"scratched")
    steps, notes = plan(tmp_path, SHOT, REQUEST, keys())
    assert (steps[0].action, steps[0].take) == (Action.REUSE, 1)
    assert len(notes) == 1 and "take 2" in notes[0] and ENV in notes[0]


def test_an_edit_keeps_all_other_layers_whatever_their_keys_would_be(tmp_path: Path) -> None:
    parent = painted(tmp_path)
    child = replace(REQUEST, prompt="a road", parent=1, edit=Edit(ENV, (3,)))     # a new prompt would change every key
    assert actions(tmp_path, child, parent) == {ENV: (Action.GENERATE, None), BALL: (Action.KEEP, 1), WALKER: (Action.KEEP, 1)}
    assert changed(keys(), keys(request=child, parent=parent)) == {ENV, SHADOW, VOLUME, FINAL}


def test_layers_that_stay_are_the_parents_and_the_rest_is_painted_or_found(tmp_path: Path) -> None:
    """Another seed changes every key but that of what stays; the environment that stays is what actors are painted over."""
    parent = painted(tmp_path)
    other = replace(REQUEST, seed=9)
    actor = replace(other, parent=1, keep=(WALKER,))
    assert actions(tmp_path, actor, parent) == {ENV: (Action.GENERATE, None), BALL: (Action.GENERATE, None),
                                                WALKER: (Action.KEEP, 1)}
    assert changed(keys(request=other), keys(request=actor, parent=parent)) == {WALKER, VOLUME, FINAL}
    place = replace(other, parent=1, keep=(ENV,))
    assert actions(tmp_path, place, parent) == {ENV: (Action.KEEP, 1), BALL: (Action.GENERATE, None),
                                                WALKER: (Action.GENERATE, None)}
    over = keys(request=place, parent=parent)
    assert over[ENV] == keys()[ENV] and changed(over, keys(request=replace(REQUEST, layer_seeds={BALL: 9, WALKER: 9}))) == set()
    same = replace(REQUEST, parent=1, keep=(WALKER,))
    assert actions(tmp_path, same, parent) == {ENV: (Action.REUSE, 1), BALL: (Action.REUSE, 1), WALKER: (Action.KEEP, 1)}
    assert keys(request=same, parent=parent) == keys()


@pytest.mark.parametrize("other", [
    Edit(BALL, (), "parent", 0.4), Edit(BALL, (), "beauty", 0.5), Edit(BALL, (), "noise"), None])
def test_each_edit_has_its_own_key(tmp_path: Path, other: Edit | None) -> None:
    parent = painted(tmp_path)
    edited = keys(request=replace(REQUEST, parent=1, edit=Edit(BALL, (), "parent", 0.5)), parent=parent)
    assert changed(edited, keys(request=replace(REQUEST, parent=1, edit=other), parent=parent)) == OF_BALL


def test_an_edit_of_another_parent_is_another_layer(tmp_path: Path) -> None:
    parent = painted(tmp_path)
    child = replace(REQUEST, parent=1, edit=Edit(BALL, (), "parent", 0.5))
    first = keys(request=child, parent=parent)
    seal_layer(parent, BALL, "0" * 64)
    assert changed(first, keys(request=child, parent=parent)) == OF_BALL


def test_only_an_edit_that_starts_from_the_beauty_reads_it(tmp_path: Path) -> None:
    parent = painted(tmp_path)

    def seen(start: str, path: str) -> set[str]:
        child = replace(REQUEST, parent=1, edit=Edit(BALL, (), start, 0.5))
        return changed(keys(request=child, parent=parent),
                       keys(replace(SHOT, files=SHOT.files | {path: "other"}), child, parent))

    own = f"layers/{BALL}/beauty.0001.exr"
    assert seen("beauty", own) == OF_BALL and seen("parent", own) == set()
    assert seen("beauty", f"layers/{ENV}/beauty.0001.exr") == seen("beauty", f"layers/{WALKER}/beauty.0001.exr") == set()


def test_a_parent_without_seals_cannot_be_changed(tmp_path: Path) -> None:
    parent = painted(tmp_path, only=(ENV,))
    with pytest.raises(LucidError, match="LAYER_MISSING.*'Ball'"):
        keys(request=replace(REQUEST, parent=1, edit=Edit(ENV)), parent=parent)
    with pytest.raises(LucidError, match="LAYER_MISSING.*'Ball'"):
        keys(request=replace(REQUEST, parent=1, keep=(BALL,)), parent=parent)
    assert keys(request=replace(REQUEST, parent=1, keep=(ENV,)), parent=parent) == keys()
    for wish in ({"edit": Edit(ENV)}, {"keep": (ENV,)}):
        with pytest.raises(ValueError, match="needs the take"):
            keys(request=replace(REQUEST, parent=1, **wish))      # type: ignore[arg-type]


def test_what_is_kept_of_another_shot_is_found_last(tmp_path: Path) -> None:
    other, mine = painted(tmp_path / "other"), tmp_path / "mine"
    (other.folder / "layers" / BALL / "frame.0001.png").unlink()
    mine.mkdir()
    (mine / "shot.json").write_text('{"another": "shot"}')
    take = new_take(mine, REQUEST)
    assert len(keep_layers(take, other)) == 1
    kept = take.folder / KEPT
    assert actions(mine, REQUEST, kept=kept) == {ENV: (Action.REUSE, None), BALL: (Action.GENERATE, None),
                                                 WALKER: (Action.REUSE, None)}
    copy_layer(layer_path(kept, ENV), take, ENV)
    assert actions(mine, REQUEST, kept=kept)[ENV] == (Action.REUSE, 1)
