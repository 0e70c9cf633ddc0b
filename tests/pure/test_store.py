# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot on disk: round trips, atomic writes, seals, damage and hostile manifests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lucid.inference.errors import LucidError
from lucid.inference.shot import upgrade
from lucid.inference.shot.manifest import shot_from_json, shot_to_json
from lucid.inference.shot.model import ENVIRONMENT, DepthRange, Frames, Kind, Layer, Marker, Rate, Sequence, Shot, Size
from lucid.inference.shot.paths import check_relative, folder_name, frame_path
from lucid.inference.shot.store import new_shot_folder, open_shot, seal, sha256_file, write_atomic, write_json
from lucid.tests.shots import make_shot

ROOT = Path(__file__).resolve().parents[2]
TINY = {"frames": Frames(1, 2), "size": Size(32, 16)}


def raises(code: str):
    return pytest.raises(LucidError, match=rf"^{code}: ")


def manifest(folder: Path) -> dict:
    return json.loads((folder / "shot.json").read_text(encoding="utf-8"))


def edit(folder: Path, **changes: object) -> None:
    (folder / "shot.json").write_text(json.dumps(manifest(folder) | changes), encoding="utf-8")


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    make_shot(tmp_path / "street.lucid", **TINY)
    return tmp_path / "street.lucid"


names = st.text(min_size=1, max_size=20)
sequences = st.builds(lambda name, found: Sequence(name, f"passes/{folder_name(name, set())}/a.####.exr", found), names,
                      st.lists(names, min_size=1, max_size=3).map(tuple))
frame_ranges = st.builds(lambda start, length, step: Frames(start, start + length, step), st.integers(-9999, 9999),
                         st.integers(0, 500), st.integers(1, 9))
layers = st.builds(lambda name, ids, found, pose, kind: Layer(name, folder_name(name, set()), tuple(ids), tuple(found), pose,
                                                              kind),
                   names, st.lists(st.integers(0, 2**32 - 1), max_size=4), st.lists(sequences, max_size=3),
                   st.none() | st.integers(0, 5), st.sampled_from(sorted(set(Kind) - {Kind.ENVIRONMENT}, key=str)))
positive = st.floats(1e-3, 1e6)
shots = st.builds(
    Shot, name=names, rate=st.builds(Rate, st.integers(1, 120_000), st.integers(1, 1001)), frames=frame_ranges,
    size=st.builds(Size, st.integers(1, 9999), st.integers(1, 9999)), pixel_aspect=positive,
    depth_range=st.builds(DepthRange, positive, positive | st.just(float("inf"))), camera=names,
    passes=st.lists(sequences, max_size=3).map(tuple),
    layers=st.lists(layers, max_size=2).map(lambda rest: (Layer(ENVIRONMENT, ENVIRONMENT, (), (), None, Kind.ENVIRONMENT),
                                                                 *rest)),
    instances=st.dictionaries(st.integers(0, 2**32 - 1), names, max_size=3), prompt=st.text(max_size=40),
    source=st.dictionaries(names, names, max_size=2),
    files=st.dictionaries(names.map(lambda name: f"passes/{folder_name(name, set())}"),
                          st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=2),
    materials=st.dictionaries(st.integers(1, 999), names, max_size=2), camera_words=st.text(max_size=40),
    audio=st.sampled_from(["", "audio/mix.wav"]),
    markers=st.lists(st.builds(Marker, st.integers(-99, 999), names, st.text(max_size=9)), max_size=2).map(tuple))


@given(shots)
def test_a_shot_survives_json(shot: Shot) -> None:
    text = json.dumps(shot_to_json(shot), allow_nan=False)
    assert shot_from_json(json.loads(text)) == shot


def test_a_sealed_shot_opens_with_every_hash(shot: Path) -> None:
    opened = open_shot(shot)
    files = {path.relative_to(shot).as_posix() for path in shot.rglob("*") if path.is_file()}
    assert set(opened.files) == files - {"shot.json"}
    assert all(sha256_file(shot / name) == digest for name, digest in opened.files.items())


def test_a_take_added_later_does_not_disturb_the_seal(shot: Path) -> None:
    (shot / "takes" / "0001").mkdir(parents=True)
    (shot / "takes" / "0001" / "request.json").write_text("{}")
    open_shot(shot)


def test_one_flipped_byte_is_found_in_every_file(shot: Path) -> None:
    for name in sorted(open_shot(shot).files):
        path = shot / name
        whole = path.read_bytes()
        broken = bytearray(whole)
        broken[len(broken) // 2] ^= 1
        path.write_bytes(bytes(broken))
        with raises("SHOT_CORRUPT") as caught:
            open_shot(shot)
        assert name in str(caught.value)
        path.write_bytes(whole)
    open_shot(shot)


def test_a_missing_file_is_found(shot: Path) -> None:
    (shot / "camera.npz").unlink()
    with raises("SHOT_CORRUPT"):
        open_shot(shot)


def test_a_folder_without_manifest_is_no_shot(tmp_path: Path) -> None:
    with raises("SHOT_MISSING"):
        open_shot(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\x01", '{"schema": 1}', '{"schema": "lucid.shot/x"}',
                                  '{"schema": "lucid.shot/1"}', '{"schema": "other/1"}'])
def test_a_broken_manifest_is_one_clear_error(shot: Path, text: str) -> None:
    (shot / "shot.json").write_text(text)
    with raises("SHOT_INVALID"):
        open_shot(shot)


@pytest.mark.parametrize(("field", "value"), [("rate", 24), ("frames", {"start": "a"}), ("size", None), ("layers", [{}]),
                                              ("passes", [3]), ("instances", {"x": "y"}), ("files", []), ("layers", []),
                                              ("rate", {"num": 24, "den": 0}), ("size", {"width": 0, "height": 9})])
def test_a_field_of_the_wrong_kind_is_one_clear_error(shot: Path, field: str, value: object) -> None:
    edit(shot, **{field: value})
    with raises("SHOT_INVALID"):
        open_shot(shot)


def test_an_empty_range_in_a_manifest_is_told(shot: Path) -> None:
    edit(shot, frames={"start": 5, "end": 1, "step": 1})
    with raises("RANGE_EMPTY"):
        open_shot(shot)


def test_a_newer_schema_is_told_with_both_versions(shot: Path) -> None:
    edit(shot, schema="lucid.shot/7")
    with raises("SHOT_NEWER") as caught:
        open_shot(shot)
    assert "lucid.shot/7" in str(caught.value) and "lucid.shot/3" in str(caught.value)


def test_a_shot_of_the_first_schema_is_still_read() -> None:
    old = json.loads((Path(__file__).parent / "fixtures" / "shot_1.json").read_text(encoding="utf-8"))
    shot = shot_from_json(upgrade.upgraded(old))
    assert [(layer.name, layer.kind) for layer in shot.layers] == [
        ("environment", Kind.ENVIRONMENT), ("Walker", Kind.ACTOR), ("Ball", Kind.ACTOR)]
    assert shot.actors[0].pose == 0 and shot.frames.numbers == range(1, 2)
    assert (shot.materials, shot.camera_words, shot.audio, shot.markers) == ({}, "", "", ())


def test_a_shot_of_the_second_schema_keeps_the_passes_that_its_layers_have() -> None:
    old = json.loads((Path(__file__).parent / "fixtures" / "shot_2.json").read_text(encoding="utf-8"))
    shot = shot_from_json(upgrade.upgraded(old))
    assert [(layer.name, layer.kind, tuple(sequence.name for sequence in layer.sequences)) for layer in shot.layers] == [
        ("environment", Kind.ENVIRONMENT, ("depth", "normal")), ("Walker", Kind.ACTOR, ("matte", "depth", "normal")),
        ("Ball", Kind.ACTOR, ("matte", "depth", "normal"))]
    assert shot.environment.has("normal") and not shot.environment.has("id") and not shot.actors[0].has("rest")
    with raises("PASS_MISSING"):
        shot.environment.sequence("id")
    assert shot.sequence("rest").channels == ("X", "Y", "Z") and shot.markers[0].name == "Start"
    assert shot_to_json(shot) == {**old, "schema": "lucid.shot/3"}


def test_an_older_schema_is_upgraded_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "SCHEMA", "lucid.shot/3")
    monkeypatch.setitem(upgrade.UPGRADES, 1, lambda data: {**data, "steps": [1]})
    monkeypatch.setitem(upgrade.UPGRADES, 2, lambda data: {**data, "steps": [*data["steps"], 2]})
    assert upgrade.upgraded({"schema": "lucid.shot/1"})["steps"] == [1, 2]


HOSTILE = ["/etc/passwd", "../outside", "a/../../b", "a\\..\\b", "C:/x", "c:x", "", ".", "./a", "a//b", "a/", "a\0b",
           "//host/x", "..", "passes/../../../x"]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused(path: str) -> None:
    with raises("SHOT_PATH"):
        check_relative(path)


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_in_a_manifest_is_refused(shot: Path, path: str) -> None:
    data = manifest(shot)
    for place in ("files", "pattern", "folder"):
        changed = json.loads(json.dumps(data))
        if place == "files":
            changed["files"][path] = "0" * 64
        elif place == "pattern":
            changed["passes"][0]["pattern"] = path
        else:
            changed["layers"][0]["folder"] = path
        (shot / "shot.json").write_text(json.dumps(changed))
        with raises("SHOT_PATH|SHOT_INVALID"):
            open_shot(shot)


def test_a_link_out_of_the_shot_is_refused(shot: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside.npz"
    (shot / "camera.npz").rename(secret)
    (shot / "camera.npz").symlink_to(secret)
    with raises("SHOT_CORRUPT"):
        open_shot(shot)


def test_a_sequence_without_hashes_is_refused(shot: Path) -> None:
    files = manifest(shot)["files"]
    del files["passes/depth/depth.0002.exr"]
    edit(shot, files=files)
    with raises("SHOT_INVALID"):
        open_shot(shot)


@given(st.lists(st.text(max_size=12), max_size=8))
def test_folder_names_are_safe_and_unique_whatever_the_layers_are_called(layer_names: list[str]) -> None:
    taken: set[str] = set()
    for name in layer_names:
        folder = folder_name(name, taken)
        assert folder and all(c.isascii() and (c.isalnum() or c in "_-") for c in folder)
        assert check_relative(folder) == folder
        assert folder.casefold() not in {other.casefold() for other in taken}
        taken.add(folder)


def test_folder_names_are_no_devices_of_windows() -> None:
    assert [folder_name(name, set()) for name in ("Con", "lpt1", "COM10")] == ["Con_2", "lpt1_2", "COM10"]


@given(st.integers(-99999, 99999))
def test_frame_paths_are_padded_and_keep_the_sign(frame: int) -> None:
    name = frame_path("a/depth.####.exr", frame)
    assert int(name.removeprefix("a/depth.").removesuffix(".exr")) == frame
    assert len(name) >= len("a/depth.0001.exr")


@pytest.mark.parametrize(("start", "end", "step"), [(2, 1, 1), (1, 5, 0), (1, 5, -1)])
def test_a_range_without_frames_is_refused(start: int, end: int, step: int) -> None:
    with raises("RANGE_EMPTY"):
        Frames(start, end, step)


def test_an_existing_shot_is_never_written_over(shot: Path) -> None:
    before = sha256_file(shot / "shot.json")
    with raises("SHOT_EXISTS"), new_shot_folder(shot):
        pytest.fail("the body must not run")
    assert sha256_file(shot / "shot.json") == before


def test_a_shot_folder_has_the_suffix(tmp_path: Path) -> None:
    for target in (tmp_path / "street", Path(), Path("..")):
        with raises("SHOT_NAME"), new_shot_folder(target):
            pytest.fail("the body must not run")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_capture_that_stops_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), new_shot_folder(tmp_path / "new" / "folder" / "a.lucid") as folder:
        (folder / "passes").mkdir()
        (folder / "passes" / "half.exr").write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with raises("DISK_WRITE"):
        write_atomic(tmp_path / "file" / "a.json", b"x")
    with raises("DISK_WRITE"), new_shot_folder(tmp_path / "file" / "a.lucid"):
        pytest.fail("the body must not run")


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sealing_twice_gives_the_same_manifest(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "a.lucid", **TINY)
    first = (tmp_path / "a.lucid" / "shot.json").read_bytes()
    (tmp_path / "a.lucid" / "shot.json").unlink()
    assert seal(tmp_path / "a.lucid", replace(shot, files={})) == shot
    assert (tmp_path / "a.lucid" / "shot.json").read_bytes() == first


WRITER = """
import runpy, sys
from pathlib import Path
root, target = Path(sys.argv[1]), Path(sys.argv[2])
runpy.run_path(str(root / "inference" / "__main__.py"))["load_package"](root)
from lucid.inference.shot.store import write_atomic
number = 0
while True:
    write_atomic(target, bytes([number % 256]) * 3_000_000)
    number += 1
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_minus_nine_leaves_a_whole_file(tmp_path: Path) -> None:
    """Killed at ten moments, the file is always one that was written to its end."""
    target = tmp_path / "state.json"
    for moment in range(10):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(ROOT), str(target)], stderr=subprocess.DEVNULL)
        before = target.stat().st_mtime_ns if target.exists() else 0
        while not target.exists() or target.stat().st_mtime_ns == before:
            time.sleep(0.002)
            assert writer.poll() is None
        time.sleep(0.003 * moment)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        data = target.read_bytes()
        assert len(data) == 3_000_000 and len(set(data)) == 1
