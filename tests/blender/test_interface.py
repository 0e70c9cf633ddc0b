# SPDX-License-Identifier: GPL-3.0-or-later
"""The real interface on a display without a screen. Pictures are kept in LUCID_SCREENSHOTS, when that names a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lucid.inference.shot.images import write_png
from lucid.inference.worker import client
from lucid.tests.blender.conftest import LIMIT, Blender

WALK, NEXT = (Path(__file__).with_name(name) for name in ("interface_session.py", "next_session.py"))
WIDTH, HEIGHT = 1600, 1300
CANCELLED_IN = 5.0      # seconds: a step of the model on two busy cores, which is what a cancel waits for
LONGEST = 50.0          # milliseconds that Lucid may hold the main thread
WAITED = 300.0          # by the clock on the wall, on two cores that generate


@dataclass(frozen=True)
class Interface:
    notes: dict[str, Any]
    output: str
    folder: Path
    screens: dict[str, np.ndarray]      # (HEIGHT, WIDTH, 3) uint8

    def part(self, screen: str, region: str = "sidebar") -> np.ndarray:
        """What a region showed."""
        x, y, width, height = self.notes[region]        # from the bottom left
        return self.screens[screen][HEIGHT - y - height:HEIGHT - y, x:x + width].astype(int)

    def changed(self, one: str, other: str, region: str = "sidebar") -> float:
        """Part of a region's pixels that differ between two screens."""
        return float((np.abs(self.part(one, region) - self.part(other, region)).max(-1) > 8).mean())


@pytest.fixture(scope="module")
def display(bare: Blender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A display and the file that mirrors its frame buffer."""
    beside = Path(bare.executable).with_name("enter")       # the chroot that the wrapper enters has an Xvfb of its own
    server = ["Xvfb"] if shutil.which("Xvfb") else [str(beside), "Xvfb"] if beside.is_file() else None
    if server is None:
        pytest.skip("there is no Xvfb: the interface is not tested")
    folder = tmp_path_factory.mktemp("display")
    name = folder / "number"
    with name.open("wb") as stream:
        process = subprocess.Popen([*server, "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(folder),
                                    "-nolisten", "tcp"], stdout=stream, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30.0
        while not name.read_text().strip():
            assert process.poll() is None and time.monotonic() < deadline, "Xvfb did not start"
            time.sleep(0.1)
        yield f":{name.read_text().strip()}", folder / "Xvfb_screen0"
    finally:
        process.terminate()
        process.wait(10.0)


@pytest.fixture(scope="module")
def interface(blender: Blender, demo: Path, display: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Interface:
    """The whole path, whose Blender is killed at its end; and, below "next", the Blender after it."""
    folder = tmp_path_factory.mktemp("interface")
    opened = Path(shutil.copy(demo, folder / "street.blend"))
    home = folder / "home"
    home.mkdir()
    environ = blender.environ(DISPLAY=display[0], LIBGL_ALWAYS_SOFTWARE="1", LUCID_HOME=str(home))
    environ.pop("WAYLAND_DISPLAY", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCID_HOME", str(home))
        try:
            notes, output = _watched(blender, WALK, opened, display[1], environ)
            if notes.get("left"):
                after, more = _watched(blender, NEXT, opened, display[1], environ)
                notes["next"], output = after, output + more
        finally:
            served = client.stop()          # it outlives Blender
    screens = {path.stem: _pixels(path) for path in folder.glob("*.xwd")}
    if kept := os.environ.get("LUCID_SCREENSHOTS"):
        for name, pixels in screens.items():
            write_png(Path(kept) / f"{name}.png", pixels)
    return Interface(notes | {"served": served}, output, folder, screens)


def _watched(blender: Blender, session: Path, opened: Path, screen: Path, environ: dict[str, str]) -> tuple[dict[str, Any], str]:
    """What a session noted, and what Blender said."""
    notes = opened.with_name(f"{session.stem}.json")
    done = subprocess.run(
        [blender.executable, "--gpu-backend", "opengl", "--no-window-focus", "--enable-event-simulate", "--window-geometry",
         "0", "0", str(WIDTH), str(HEIGHT), str(opened), "--python", str(session), "--", str(notes), str(screen),
         str(opened.parent)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=4 * LIMIT,
        check=False)
    assert notes.is_file(), done.stdout
    return json.loads(notes.read_text()), done.stdout


def _pixels(path: Path) -> np.ndarray:
    """An XWD dump (X11/XWDFile.h) of 32-bit BGRX pixels as (H, W, 3) RGB."""
    data = path.read_bytes()
    head = np.frombuffer(data, ">u4", 25)
    width, height, stride, start = int(head[4]), int(head[5]), int(head[12]), int(head[0] + 12 * head[19])
    rows = np.frombuffer(data, np.uint8, height * stride, start).reshape(height, stride)
    return rows[:, :4 * width].reshape(height, width, 4)[..., 2::-1].copy()


def test_the_sessions_ended_without_an_error(interface: Interface) -> None:
    assert interface.notes.get("left") == "FINISHED", (interface.notes.get("part"), interface.notes.get("traceback"))
    assert interface.notes["next"].get("whole"), interface.notes["next"].get("traceback")
    assert "Traceback" not in interface.output and "Warning" not in interface.output, interface.output


def test_the_panel_is_drawn(interface: Interface) -> None:
    assert interface.changed("sidebar", "empty_panel") > 0.1
    assert np.ptp(interface.part("empty_panel")[..., 1]) > 100      # text on it


def test_every_panel_is_drawn(interface: Interface) -> None:
    """An error in a draw would be in the output."""
    assert {"LUCID_PT_preflight", "LUCID_PT_moves", "LUCID_PT_preview", "LUCID_PT_render_shot"} <= set(interface.notes["drawn"])
    assert interface.notes["preferences"] == "FINISHED"


def test_actors_are_added(interface: Interface) -> None:
    assert interface.notes["actor_object"] == interface.notes["actor_collection"] == "FINISHED"


def test_the_preview_lies_over_the_view_and_goes(interface: Interface) -> None:
    assert interface.notes["preview"] == interface.notes["preview_off"] == "FINISHED"
    assert interface.changed("preview_depth", "preview_off", "viewport") > 0.1
    assert interface.changed("preview_composed", "preview_depth", "viewport") > 0.003      # skeletons
    assert interface.changed("preview_off", "empty_panel", "viewport") < 0.05       # who is active


def test_escape_stops_a_capture_and_leaves_nothing(interface: Interface) -> None:
    assert interface.notes["capture_stopped"] == "RUNNING_MODAL"
    assert interface.notes["after_escape"] == ["", []]
    assert interface.notes["escape_seconds"] < 1.0


def test_capture_and_generate_go_through(interface: Interface) -> None:
    assert interface.notes["capture"] == "RUNNING_MODAL"
    assert interface.notes["shot"] == "//lucid/street.lucid/"
    assert interface.notes["generate"] == "FINISHED"
    assert interface.notes["error"] == ""
    assert interface.notes["takes"] == ["CANCELLED", "DONE"]


def test_the_worker_outlives_blender(interface: Interface) -> None:
    assert interface.notes["served"]


def test_a_job_is_cancelled_and_is_alone(interface: Interface) -> None:
    assert interface.notes["cancel"] == "FINISHED"
    assert interface.notes["cancelled"] == ["CANCELLED"]
    assert interface.notes["cancel_seconds"] < CANCELLED_IN
    assert "being generated" in interface.notes["second_job"]


def test_blender_stays_usable_while_it_generates(interface: Interface) -> None:
    assert interface.notes["turns"] > 10      # of its event loop, between Generate and the last frame
    assert interface.changed("generating", "empty_panel") > 0.02      # the progress bar and the list


@pytest.mark.parametrize("phase", ["capture", "generate", "import", "point", "cut", "delete"])
def test_lucid_never_holds_the_main_thread(interface: Interface, phase: str) -> None:
    """Frames of a capture do not count. The worker works at the same time, so the longest call by the clock on the wall, which
    also counts what others had the processor for, may be longer: a disk that is waited for, or a lock, would be seen there."""
    calls = interface.notes["calls"][phase]
    assert calls and {name: spent for name, spent in calls.items() if max(spent[:2]) > LONGEST or spent[2] > WAITED} == {}


def test_the_take_is_on_a_timeline_of_its_own(interface: Interface) -> None:
    name, strips, scene = interface.notes["timeline"]
    assert name == f"{scene} timeline"
    assert strips == [f"lucid street take 2 · {part}" for part in ("environment", "Ball", "Walker", "final")]
    assert "imported" in interface.screens


@pytest.mark.parametrize("place", ["preview", "camera", "image"])
def test_a_click_finds_the_ball_wherever_a_take_is_seen(interface: Interface, place: str) -> None:
    found = interface.notes["pointed"][place]
    assert found["begun"] == "RUNNING_MODAL" and "LUCID_OT_point" in found["waiting"]
    assert (found["label"], found["take"]) == ("Ball", 2) and found["frame"] == interface.notes["pointed"]["preview"]["frame"]
    assert "LUCID_OT_point" not in found["still"]
    assert place == "preview" or found["selected"] == ["Ball"]


def test_escape_ends_pointing_and_undo_what_it_selected(interface: Interface) -> None:
    stopped = interface.notes["pointed"]["escape"]
    assert "LUCID_OT_point" in stopped["waiting"] and "LUCID_OT_point" not in stopped["still"]
    assert (stopped["label"], stopped["selected"]) == ("", [])
    assert interface.notes["after_undo"] == []


def test_from_the_click_to_the_queued_take(interface: Interface) -> None:
    """Under two seconds, but for drawing the whole window, which takes as long as software takes for it: once until the target
    is known, and once for the box."""
    notes = interface.notes
    assert notes["point"] == "RUNNING_MODAL"
    assert notes["aimed"] == ["Ball", "Ball", 2, ["Ball"]]
    assert notes["edit_prompt"] == "a blue ball"
    drawing = max(place["turn"] for place in notes["pointed"].values())
    assert notes["click_seconds"] + notes["edit_seconds"] - 2.0 * drawing < 2.0


def test_an_edit_changes_that_alone(interface: Interface) -> None:
    assert interface.notes["edited"] == ["CANCELLED", "DONE", "DONE"]
    takes = [interface.folder / "lucid" / "street.lucid" / "takes" / number / "layers" for number in ("0002", "0003")]
    for layer in ("environment", "Ball", "Walker"):
        before, after = ([path.read_bytes() for path in sorted((take / layer).glob("*.png"))] for take in takes)
        assert len(before) == 13
        assert (before == after) is (layer != "Ball")


def test_takes_take_turns_and_everything_is_undone(interface: Interface) -> None:
    """Import of take 3, A/B, A/B; then three times undo."""
    finals = [[f"lucid street take {number} · final"] for number in (3, 2, 3, 2, 3, 2)]
    assert interface.notes["compared_2"] == interface.notes["compared_3"] == "FINISHED"
    assert interface.notes["shown"] == finals
    assert interface.changed("compared_2", "compared_3", "picture") > 0.005       # a yellow ball, a blue one


def test_a_closed_eye_hides_a_layer_in_the_cut(interface: Interface) -> None:
    assert interface.notes["hidden"] == [f"lucid street take 3 · {layer}" for layer in ("environment", "Walker")]
    assert interface.changed("ball_hidden", "compared_3", "picture") > 0.005


def test_a_take_is_deleted(interface: Interface) -> None:
    assert interface.notes["deleted"] == "FINISHED" and interface.notes["after_delete"] == [2, 3]
    assert not (interface.folder / "lucid" / "street.lucid" / "takes" / "0001").exists()


def test_a_take_outlives_the_blender_that_was_killed(interface: Interface) -> None:
    """The next one sees it, follows it to its end, and imports it."""
    after = interface.notes["next"]
    states = dict(after["takes"])
    assert states.pop(4) in ("QUEUED", "RUNNING") and after["running"]
    assert states == {2: "DONE", 3: "DONE"}
    assert after["after"][-1] == [4, "DONE"]
    assert "Take 4" in after["notice"] and "To Timeline" in after["notice"]
    assert after["import"] in ("RUNNING_MODAL", "FINISHED") and after["shown"] == ["lucid street take 4 · final"]
