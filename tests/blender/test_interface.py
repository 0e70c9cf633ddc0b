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

SESSION = Path(__file__).with_name("interface_session.py")
WIDTH, HEIGHT = 1600, 1300


@dataclass(frozen=True)
class Interface:
    notes: dict[str, Any]
    output: str
    screens: dict[str, np.ndarray]      # (HEIGHT, WIDTH, 3) uint8

    def sidebar(self, screen: str) -> np.ndarray:
        x, y, width, height = self.notes["sidebar"]     # from the bottom left
        return self.screens[screen][HEIGHT - y - height:HEIGHT - y, x:x + width].astype(int)


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
    folder = tmp_path_factory.mktemp("interface")
    opened = Path(shutil.copy(demo, folder / "street.blend"))
    notes = folder / "notes.json"
    home = folder / "home"
    home.mkdir()
    environ = blender.environ(DISPLAY=display[0], LIBGL_ALWAYS_SOFTWARE="1", LUCID_HOME=str(home))
    environ.pop("WAYLAND_DISPLAY", None)
    done = subprocess.run(
        [blender.executable, "--gpu-backend", "opengl", "--no-window-focus", "--enable-event-simulate", "--window-geometry",
         "0", "0", str(WIDTH), str(HEIGHT), str(opened), "--python", str(SESSION), "--", str(notes), str(display[1]),
         str(folder)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * LIMIT, check=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCID_HOME", str(home))
        served = client.stop()              # it outlives Blender
    assert notes.is_file(), done.stdout
    screens = {path.stem: _pixels(path) for path in folder.glob("*.xwd")}
    if kept := os.environ.get("LUCID_SCREENSHOTS"):
        for name, pixels in screens.items():
            write_png(Path(kept) / f"{name}.png", pixels)
    return Interface(json.loads(notes.read_text()) | {"served": served}, done.stdout, screens)


def _pixels(path: Path) -> np.ndarray:
    """An XWD dump (X11/XWDFile.h) of 32-bit BGRX pixels as (H, W, 3) RGB."""
    data = path.read_bytes()
    head = np.frombuffer(data, ">u4", 25)
    width, height, stride, start = int(head[4]), int(head[5]), int(head[12]), int(head[0] + 12 * head[19])
    rows = np.frombuffer(data, np.uint8, height * stride, start).reshape(height, stride)
    return rows[:, :4 * width].reshape(height, width, 4)[..., 2::-1].copy()


def test_the_session_ended_without_an_error(interface: Interface) -> None:
    assert interface.notes.get("whole"), interface.notes.get("traceback")
    assert "Traceback" not in interface.output and "Warning" not in interface.output, interface.output


def test_the_panel_is_drawn(interface: Interface) -> None:
    changed = np.abs(interface.sidebar("sidebar") - interface.sidebar("empty_panel")).max(-1) > 8
    assert changed.mean() > 0.1
    assert np.ptp(interface.sidebar("empty_panel")[..., 1]) > 100      # text on it


def test_actors_are_added(interface: Interface) -> None:
    assert interface.notes["actor_object"] == interface.notes["actor_collection"] == "FINISHED"


def test_escape_stops_a_capture_and_leaves_nothing(interface: Interface) -> None:
    assert interface.notes["capture_stopped"] == "RUNNING_MODAL"
    assert interface.notes["after_escape"] == ["", []]


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
    assert "being generated" in interface.notes["second_job"]


def test_blender_stays_usable_while_it_generates(interface: Interface) -> None:
    assert interface.notes["turns"] > 10      # of its event loop, between Generate and the last frame
    moved = np.abs(interface.sidebar("generating") - interface.sidebar("empty_panel")).max(-1) > 8
    assert moved.mean() > 0.02      # the progress bar and the list


def test_the_take_is_on_a_timeline_of_its_own(interface: Interface) -> None:
    name, strips, scene = interface.notes["timeline"]
    assert name == f"{scene} timeline"
    assert strips == [f"lucid street take 2 · {part}" for part in ("environment", "Ball", "Walker", "final")]
    assert "imported" in interface.screens
