# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's set-up from Blender, with real uv and a real environment that holds one small wheel."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from lucid.addon import install, session, worker_state
from lucid.addon.install import Kind
from lucid.addon.installer import job, tool
from lucid.addon.installer.plan import Plan, python_of
from lucid.inference.errors import LucidError
from lucid.inference.home import lucid_home
from lucid.inference.shot.processes import locked
from lucid.inference.shot.takes import Take

OPERATORS = ("worker_install", "worker_repair", "worker_remove", "worker_check", "worker_cancel", "worker_stop",
             "preferences_open")
PATIENCE = 60.0


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program called uv: the pinned release, kept for the next run."""
    kept = lucid_home() / "test-uv"
    try:
        program = tool.find_uv(kept) or tool.fetch_uv(kept, tool.RELEASES[sys.platform], lambda: None)
    except LucidError as error:
        pytest.skip(f"uv is not here and cannot be fetched: {error}")
    folder = tmp_path_factory.mktemp("bin")
    (folder / program.name.replace(program.name.removesuffix(".exe"), "uv")).symlink_to(program)
    return folder


@pytest.fixture
def home(scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, nothing installed, Blender allowed to go online."""
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LUCID_WORKER_PYTHON", raising=False)
    bpy.context.preferences.system.use_online_access = True
    yield tmp_path / "home"
    item = install.running()
    install.stop_polling()
    if item is not None:
        item.wait(PATIENCE)


def _wheel(folder: Path, content: bytes = b"ANSWER = 42\n") -> str:
    """A wheel with one module in it; returns its line in a requirements file, with its hash."""
    folder.mkdir(exist_ok=True)
    path = folder / "tinything-1.0-py3-none-any.whl"
    files = {"tinything.py": content,
             "tinything-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n",
             "tinything-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
                     for name, data in files.items()) + "tinything-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**files, "tinything-1.0.dist-info/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return f"tinything==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def plan(home: Path, uv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A small worker: this Python, one wheel from a folder. The operators install it instead of torch."""
    monkeypatch.setenv("PATH", f"{uv}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "lock.txt").write_text(_wheel(tmp_path / "wheels"), encoding="utf-8")
    arguments = ("--no-index", "--find-links", str(tmp_path / "wheels"), "--require-hashes", "-r", str(tmp_path / "lock.txt"))
    wanted = {"python": [3, 11], "imports": ["tinything"], "floors": {"tinything": "1.0"}, "device": ""}
    made = Plan(str(home), "ui-worker-test", "nothing", ("--python", sys.executable), (("one wheel", arguments),), wanted, 10)
    monkeypatch.setattr(install, "make_plan", lambda choice: made)
    return made


def _through(item: install.SetUp) -> install.SetUp:
    end = time.monotonic() + PATIENCE
    while install.mirror():
        assert time.monotonic() < end, item.lines()
        item.wait(0.1)
    return item


def _refusal(name: str, **arguments: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        getattr(bpy.ops.lucid, name)(**arguments)
    return str(raised.value)


def _run(python: Path, program: str) -> str:
    return subprocess.run([str(python), "-I", "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_install_check_repair_remove(plan: Plan, home: Path) -> None:
    assert bpy.ops.lucid.worker_install() == {"FINISHED"}
    python = Path(json.loads((home / "worker.json").read_text())["python"])
    assert python == python_of(plan.folder) and _run(python, "import tinything; print(tinything.ANSWER)") == "42"
    assert Path(_run(python, "import sys; print(sys.prefix)")).name == plan.name      # moved whole: it knows where it is
    assert sorted(path.name for path in (home / "envs").iterdir()) == [plan.name]
    assert install.last().said == "The worker is ready" and install.last().progress() == (5 / 6, "in its place")
    with pytest.raises(ModuleNotFoundError):
        __import__("tinything")         # nothing went into Blender's Python

    said = _refusal("worker_check")
    assert "import numpy fails: ModuleNotFoundError" in said and "(repair it in the Lucid preferences)" in said

    module = next(plan.folder.rglob("tinything.py"))
    module.unlink()
    assert bpy.ops.lucid.worker_repair() == {"FINISHED"}
    assert module.is_file() and sorted(path.name for path in (home / "envs").iterdir()) == [plan.name]

    (home / "envs" / "worker-launcher").mkdir()
    assert bpy.ops.lucid.worker_remove() == {"FINISHED"}
    assert not (home / "worker.json").exists() and not (home / "uv").exists()
    assert [path.name for path in (home / "envs").iterdir()] == ["worker-launcher"]
    assert "no worker that was installed here" in _refusal("worker_remove")
    assert "no worker that was installed here" in _refusal("worker_repair")


def test_a_changed_file_is_refused_and_an_earlier_worker_stays(plan: Plan, home: Path, tmp_path: Path) -> None:
    assert bpy.ops.lucid.worker_install() == {"FINISHED"}
    _wheel(tmp_path / "wheels", b"ANSWER = 666\n")
    (home / "uv" / "cache").rename(home / "uv" / "elsewhere")
    said = _refusal("worker_install")
    assert "SETUP_FAILED" in said and "hash" in said.lower()
    assert "SETUP_FAILED" in str(install.last().error) and install.last().error.text.count("SETUP_FAILED") == 0
    assert sorted(path.name for path in (home / "envs").iterdir()) == [plan.name]
    assert _run(python_of(plan.folder), "import tinything; print(tinything.ANSWER)") == "42"


def test_what_the_first_start_finds_wrong_leaves_nothing(plan: Plan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Plan(**{**plan.__dict__, "probe": plan.probe | {"imports": ["not_there"]}})
    monkeypatch.setattr(install, "make_plan", lambda choice: bad)
    assert "import not_there fails" in _refusal("worker_install")
    assert install.last().error.code == "WORKER_BROKEN"
    assert not list((home / "envs").iterdir()) and not (home / "worker.json").exists()


def test_no_room_is_told_before_anything_is_fetched(plan: Plan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = Plan(**{**plan.__dict__, "disk": 10 ** 9})
    monkeypatch.setattr(install, "make_plan", lambda choice: huge)
    assert "DISK_FULL" in _refusal("worker_install")
    assert [path.name for path in home.iterdir()] == ["installer"]


@pytest.fixture
def stuck(plan: Plan) -> Iterator[Plan]:
    """A plan that waits for a package index that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        yield Plan(**{**plan.__dict__, "installs": (("stuck", ("--index-url", address, "tinything")),)})


def test_cancel_leaves_nothing(stuck: Plan, home: Path) -> None:
    item = install.start(Kind.INSTALL, stuck)
    end = time.monotonic() + PATIENCE
    while item.progress()[1] != "stuck":
        assert install.mirror() and time.monotonic() < end, item.lines()
        time.sleep(0.05)
    assert stuck.partial.is_dir() and item.progress()[0] == 0.5
    assert "wait for it, or cancel it" in _refusal("worker_install")
    assert "wait for it, or cancel it" in _refusal("worker_check")
    with pytest.raises(LucidError, match="JOB_RUNNING"):
        install.start(Kind.CHECK, stuck)
    assert bpy.ops.lucid.worker_cancel() == {"FINISHED"}
    assert _through(item).said == "Installing was cancelled" and item.error is None
    assert not list((home / "envs").iterdir()) and not (home / "worker.json").exists()
    assert not (home / "installer" / job.CANCEL).exists()


def test_one_that_does_not_listen_is_killed_with_its_programs(stuck: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    item = install.start(Kind.INSTALL, stuck)
    while item.progress()[1] != "stuck":
        time.sleep(0.05)
    monkeypatch.setattr(install, "KILL_AFTER", 0.0)
    monkeypatch.setattr(job, "CANCEL", "cancel-unheard")
    item.cancel()
    _through(item)
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.killpg(item._process.pid, 0)     # as long as one of the group is there this does not raise
            time.sleep(0.05)


def test_switching_off_stops_the_job_and_leaves_no_timer(stuck: Plan, home: Path) -> None:
    item = install.start(Kind.INSTALL, stuck)
    while item.progress()[1] != "stuck":
        time.sleep(0.05)
    install.stop_polling()
    assert install.running() is None and install.last() is None and not bpy.app.timers.is_registered(install._tick)
    item.wait(PATIENCE)
    assert item.over and not list((home / "envs").iterdir())


def test_another_blender_at_work_is_told(plan: Plan, home: Path) -> None:
    (home / "installer").mkdir(parents=True)
    lock = home / "installer" / job.LOCK
    lock.touch()
    with locked(lock) as mine:
        assert mine and "another Blender" in _refusal("worker_install")
    assert install.running() is None and not (home / "installer" / job.PLAN).exists()


def test_offline_nothing_is_fetched(plan: Plan, home: Path) -> None:
    assert bpy.ops.lucid.worker_install() == {"FINISHED"}
    bpy.context.preferences.system.use_online_access = False
    for name in ("worker_install", "worker_repair"):
        assert "Allow online access in the preferences' System tab" in _refusal(name)
    with pytest.raises(LucidError, match="NETWORK_OFF"):
        install.start(Kind.INSTALL, plan)
    assert install.running() is None
    (home / "worker.json").unlink()
    assert "not set up on this machine (Allow online access" in _refusal("worker_check")
    assert bpy.ops.lucid.worker_remove() == {"FINISHED"}


def test_check_names_the_one_thing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not set up on this machine (press Install Worker" in _refusal("worker_check")
    python = tmp_path / "python"
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(python))
    assert "is not there" in _refusal("worker_check")
    python.write_text("#!/bin/sh\necho 'no libpython here' >&2\nexit 127\n")
    assert "cannot be started: Permission denied" in _refusal("worker_check")
    python.chmod(0o755)
    assert "does not run: no libpython here (press Install Worker" in _refusal("worker_check")
    python.write_text("#!/bin/sh\necho '{\"said\": \"Python 3.12, torch 2.13\"}'\n")
    assert bpy.ops.lucid.worker_check() == {"FINISHED"}
    assert install.last().said == "All is well: Python 3.12, torch 2.13" and install.found() is not None


def test_a_worker_that_is_not_the_one_in_use_says_so(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_WORKER_PYTHON", sys.executable)
    assert bpy.ops.lucid.worker_install() == {"FINISHED"}
    assert install.last().said.startswith("The worker is ready, but not in use") and sys.executable in install.last().said
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(tmp_path / "none"))
    assert bpy.ops.lucid.worker_repair() == {"FINISHED"}
    assert "not in use: the worker's Python" in install.last().said


def test_without_a_worker_there_is_none_to_stop_and_no_window_for_preferences(home: Path) -> None:
    assert bpy.ops.lucid.worker_stop() == {"FINISHED"}
    state = bpy.context.window_manager.lucid_worker
    assert (state.there, state.text, state.error) == (False, "No worker runs: the next take starts one", "")
    state.stopping = True
    assert "being stopped" in _refusal("worker_stop")
    state.stopping = False
    assert "it has no preferences" in _refusal("preferences_open")


def test_what_the_preferences_show_is_read_before_they_are_drawn(plan: Plan, home: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    state = bpy.context.window_manager.lucid_worker
    _look()
    assert state.python == "" and "not set up on this machine" in state.missing and "Install Worker" in state.hint
    monkeypatch.setenv("LUCID_WORKER_PYTHON", sys.executable)
    _look()
    assert (state.python, state.missing, state.hint) == (sys.executable, "", "")
    item = install.start(Kind.INSTALL, plan)
    assert item.shown == (0.0, "Installing", [])
    seen = [item.shown]
    while install.mirror():
        seen.append(item.shown)
        item.wait(0.02)
    assert any(step != "Installing" for _part, step, _tail in seen), seen


def _look() -> None:
    worker_state.look()
    while worker_state.mirror():
        time.sleep(0.01)


def test_a_record_that_others_may_have_written_is_told(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    (home / "run" / "worker.json").write_text("{}")
    (home / "run" / "worker.json").chmod(0o644)
    assert "WORKER_FOREIGN" in _refusal("worker_stop")
    assert "WORKER_FOREIGN" in bpy.context.window_manager.lucid_worker.error
    _look()
    assert "WORKER_FOREIGN" in bpy.context.window_manager.lucid_worker.error


def test_what_is_missing_is_said_with_what_to_do(home: Path, tmp_path: Path) -> None:
    """Also in the panel, where the report is gone after seconds."""
    with pytest.raises(LucidError, match="^WORKER_MISSING.*press Install Worker in the Lucid preferences"):
        session.resume(tmp_path, Take(tmp_path / "takes" / "0001"))
    assert "press Install Worker" in bpy.context.window_manager.lucid.error and not session.running()
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(LucidError, match="^WORKER_MISSING.*Allow online access"):
        session.resume(tmp_path, Take(tmp_path / "takes" / "0001"))


def test_wrong_choices_are_reports(home: Path) -> None:
    assert "PLATFORM_UNSUPPORTED" in _refusal("worker_install", accelerator="abacus")
    assert "is not being set up" in _refusal("worker_cancel")


def test_setting_up_is_nothing_to_undo(registered: None) -> None:
    for name in OPERATORS:
        kind = getattr(bpy.types, f"LUCID_OT_{name}")
        assert kind.bl_options == {"REGISTER"} and kind.__doc__
