# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher: its words, its environments (whole or not at all), its way to Blender and to the tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lucid.inference.errors import LucidError
from lucid.scripts.setup import blender, demo, environments, home, libraries, pythons, rings, steps, verbs
from lucid.scripts.setup.lock import locked

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "scripts" / "lucid.py"
POSIX = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for programs")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUCID_HOME", str(tmp_path / "home"))
    for name in ("BLENDER_BIN", "LUCID_WORKER_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def launch(*arguments: str, python_flags: tuple[str, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *python_flags, str(LAUNCHER), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environ}, check=False, timeout=120)


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


# words

def test_help_names_every_verb_of_the_issue() -> None:
    answer = launch("--help")
    assert answer.returncode == 0 and not answer.stderr
    for verb in ("demo", "test", "capture", "generate", "import", "run", "inspect", "doctor"):
        assert re.search(rf"^  {verb}\b", answer.stdout, re.MULTILINE)


def test_the_launcher_needs_the_standard_library_only() -> None:
    """-S and -I: no site-packages, no environment variables, no current folder."""
    assert launch("--help", python_flags=("-S", "-I")).returncode == 0
    assert launch("nonsense", python_flags=("-S", "-I")).returncode == 2


@pytest.mark.parametrize(("arguments", "code"), [
    (("nonsense",), "USAGE"), (("test", "--rings", "fire"), "USAGE"), (("setup", "--now"), "USAGE"),
    (("doctor", "please"), "USAGE"), (("demo", "--colour", "red"), "USAGE"), (("demo", "--seed", "x"), "USAGE")])
def test_a_mistake_is_one_line_and_status_2(arguments: tuple[str, ...], code: str) -> None:
    answer = launch(*arguments)
    assert answer.returncode == 2
    assert re.fullmatch(rf"lucid: {code}: .+ \(.+\)\n", answer.stderr)


def test_no_verb_is_a_mistake_with_help() -> None:
    answer = launch()
    assert answer.returncode == 2 and "usage:" in answer.stderr


@POSIX
def test_a_verb_for_blender_gets_arguments_and_gives_its_status(tmp_path: Path) -> None:
    """The named Blender is a program that writes down how it was called."""
    calls = tmp_path / "calls"
    binary = program(tmp_path / "blender", f'[ "$1" = --version ] && echo "Blender 5.2.2 LTS" && exit 0\n'
                                           f'printf "%s\\n" "$@" > {calls}\nexit 7')
    answer = launch("capture", "a b.blend", "--out", "s.lucid", BLENDER_BIN=str(binary))
    assert answer.returncode == 7
    words = calls.read_text().splitlines()
    assert words[words.index("--") + 1:] == ["capture", "a b.blend", "--out", "s.lucid"]
    assert words[words.index("--python") + 1] == str(ROOT / "scripts" / "blender_entry.py")
    assert "--background" in words and "--factory-startup" in words


@POSIX
def test_a_verb_for_the_worker_gets_arguments_and_gives_its_status(tmp_path: Path) -> None:
    worker = program(tmp_path / "python", 'printf "%s|" "$@"; exit 5')
    answer = launch("inspect", "s.lucid", "--json", LUCID_WORKER_PYTHON=str(worker))
    assert answer.returncode == 5
    assert answer.stdout == f"{ROOT / 'inference'}|inspect|s.lucid|--json|"


def test_a_named_worker_that_is_not_there_is_told() -> None:
    answer = launch("inspect", "s.lucid", LUCID_WORKER_PYTHON="nowhere/python")
    assert answer.returncode == 2
    assert answer.stderr.startswith("lucid: WORKER_MISSING: ")


def test_a_worker_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("no program")
    answer = launch("inspect", "s.lucid", LUCID_WORKER_PYTHON=str(tmp_path / "python"))
    assert answer.returncode == 2
    assert re.fullmatch(r"lucid: NOT_STARTED: .+ \(.+\)\n", answer.stderr)


@pytest.mark.parametrize("verb", ["capture", "inspect", "demo", "setup"])
def test_a_home_that_cannot_be_written_is_told(verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = launch(verb, LUCID_HOME=str(tmp_path / "file" / "home"))
    assert answer.returncode == 2
    assert re.fullmatch(r"lucid: HOME_UNWRITABLE: .+ \(.+LUCID_HOME.+\)\n", answer.stderr)


def test_usage_and_dispatch_name_the_same_verbs() -> None:
    named = set(re.findall(r"^  ([a-z]+)\b", verbs.USAGE, re.MULTILINE))
    assert named == {*verbs.IN_BLENDER, *verbs.WORKER_VERBS, "demo", "test", "setup", "doctor"} - {"contact-sheet"}


# the home

def test_home_follows_the_platform(tmp_path: Path) -> None:
    assert home.lucid_home({"LUCID_HOME": str(tmp_path)}, "linux") == tmp_path
    assert home.lucid_home({}, "linux") == Path.home() / ".cache" / "lucid"
    assert home.lucid_home({"XDG_CACHE_HOME": "/x"}, "linux") == Path("/x/lucid")
    assert home.lucid_home({"XDG_CACHE_HOME": "/x"}, "darwin") == Path.home() / "Library" / "Caches" / "lucid"
    assert home.lucid_home({"LOCALAPPDATA": "/y"}, "win32") == Path("/y/lucid")


def test_json_that_is_not_whole_reads_as_nothing(tmp_path: Path) -> None:
    assert home.read_json(tmp_path / "a.json") is None
    (tmp_path / "a.json").write_text('{"a": ')
    assert home.read_json(tmp_path / "a.json") is None
    home.write_json(tmp_path / "a.json", {"a": 1})
    assert home.read_json(tmp_path / "a.json") == {"a": 1}
    assert [path.name for path in tmp_path.glob("*a.json*")] == ["a.json"]


# environments

def test_folder_names_change_with_the_requirements(tmp_path: Path) -> None:
    def folder(*lines: str) -> Path:
        (tmp_path / "pins.txt").write_text("\n".join(lines))
        return tiny(tmp_path).folder

    assert folder("a==1") == folder("a==1")
    assert len({folder("a==1"), folder("a==2"), folder("a==1", "b==1")}) == 3
    assert re.fullmatch(r"tiny-[0-9a-f]{10}", folder("a==1").name)


def test_every_requirement_is_pinned() -> None:
    for path in sorted(home.REQUIREMENTS.glob("*.txt")):
        for line in path.read_text().splitlines():
            assert not line or line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line), (path.name, line)


def test_tests_bring_no_other_version_than_the_environment() -> None:
    for name in ("worker", "bpy"):
        both = [(home.REQUIREMENTS / f"{name}{kind}.txt").read_text().splitlines() for kind in ("", "-tests")]
        pins = [dict(line.lower().split("==") for line in lines if "==" in line) for lines in both]
        assert not {key for key in pins[0].keys() & pins[1].keys() if pins[0][key] != pins[1][key]}


def tiny(folder: Path) -> environments.Environment:
    """An environment that installs nothing."""
    for name in ("pins.txt", "test-pins.txt"):
        if not (folder / name).exists():
            (folder / name).write_text("# nothing\n")
    return environments.Environment("tiny", "tiny", (str(folder / "pins.txt"),), str(folder / "test-pins.txt"),
                                    sys.version_info[:2], lambda: Path(sys.executable), "import pip")


MAKE = f"""
import runpy, sys
from pathlib import Path
runpy.run_path({str(ROOT / "inference" / "__main__.py")!r})["load_package"](Path({str(ROOT)!r}))
from lucid.scripts.setup.environments import Environment
folder = Path(sys.argv[1])
tiny = Environment("tiny", "tiny", (str(folder / "pins.txt"),), str(folder / "test-pins.txt"), sys.version_info[:2],
                   lambda: Path(sys.executable), "import pip")
print(tiny.ensure(tests=True))
"""


def test_a_half_environment_is_made_again_and_two_launchers_do_not_race(tmp_path: Path) -> None:
    environment = tiny(tmp_path)
    (environment.folder / "lib").mkdir(parents=True)
    (environment.folder / "lib" / "half.py").write_text("broken")
    assert not environment.ready()
    both = [subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert {out.strip() for out, _ in said} == {str(environment.python)}
    assert sum("starting over" in err for _, err in said) == 1
    assert sum("new environment: done" in err for _, err in said) == 1
    assert environment.ready(tests=True) and not (environment.folder / "lib" / "half.py").exists()

    started = time.monotonic()
    assert environment.ensure(tests=True) == environment.python
    assert time.monotonic() - started < 0.3

    (tmp_path / "test-pins.txt").write_text("# changed\n")
    assert environment.ready() and not environment.ready(tests=True)
    environment.python.unlink()
    assert not environment.ready()


HOLD = f"""
import runpy, sys, time
from pathlib import Path
runpy.run_path({str(ROOT / "inference" / "__main__.py")!r})["load_package"](Path({str(ROOT)!r}))
from lucid.scripts.setup.lock import locked
from lucid.scripts.setup.steps import run_step
folder = Path(sys.argv[1])
with locked(folder / "x.lock"):
    if sys.argv[2] == "alone":
        print("held", flush=True)
        time.sleep(60)
    step = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(1.5); open(sys.argv[2], 'w').close()"
    run_step("step", [sys.executable, "-c", step, folder / "started", folder / "ended"], folder / "log")
"""


@POSIX
def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), "alone"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path / "x.lock"):
        pass


@POSIX
def test_a_step_that_outlives_its_launcher_keeps_the_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), "step"], stderr=subprocess.DEVNULL)
    while not (tmp_path / "started").exists():
        assert holder.poll() is None
        time.sleep(0.01)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not (tmp_path / "ended").exists()
    with locked(tmp_path / "x.lock"):
        assert (tmp_path / "ended").exists()


# steps

def test_a_step_hides_its_chatter_in_a_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps.run_step("counting", [sys.executable, "-c", "print('chatter')"], tmp_path / "logs" / "a.log")
    out, err = capfd.readouterr()
    assert not out and "chatter" not in err and "counting: done" in err
    assert (tmp_path / "logs" / "a.log").read_text() == "chatter\n"


def test_a_step_that_fails_shows_its_last_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LucidError, match="SETUP_FAILED: counting failed: ERROR: no such number") as caught:
        steps.run_step("counting", [sys.executable, "-c", "print('one'); raise SystemExit('ERROR: no such number')"],
                       tmp_path / "a.log")
    assert str(tmp_path / "a.log") in caught.value.hint
    assert "    one\n" in capfd.readouterr().err


def test_a_step_that_cannot_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(LucidError, match="SETUP_FAILED"):
        steps.run_step("counting", [tmp_path / "missing"], tmp_path / "a.log")


# Pythons, libraries, Blender

def test_pythons_say_their_version(tmp_path: Path) -> None:
    assert pythons.version_of(sys.executable) == sys.version_info[:2]
    assert pythons.version_of(tmp_path / "python3.13") is None


@POSIX
def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    assert pythons.version_of(program(tmp_path / "shim", "echo 'pyenv: command not found' >&2; exit 127")) is None


def test_libraries_are_debian_names() -> None:
    for names, packages in libraries.LIBRARIES.items():
        assert all(re.fullmatch(r"lib\w+\.so\.\d+", name) for name in names)
        assert all(re.fullmatch(r"lib[a-z0-9.+-]+", package) for package in packages.split())


@POSIX
@pytest.mark.parametrize(("says", "found"), [("Blender 5.2.2 LTS", (5, 2)), ("Blender 6.0.0 Alpha", (6, 0)), ("Krita 5.2", None)])
def test_blenders_say_their_version_once(tmp_path: Path, says: str, found: tuple[int, int] | None) -> None:
    count = tmp_path / "count"
    binary = program(tmp_path / "blender", f"echo x >> {count}; echo '{says}'")
    assert [blender.blender_version(binary), blender.blender_version(binary)] == [found, found]
    assert len(count.read_text().split()) == (1 if found else 2)


@POSIX
@pytest.mark.parametrize(("says", "code"), [("Blender 3.4.1", "BLENDER_OLD"), ("hello", "BLENDER_MISSING")])
def test_a_named_blender_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: str) -> None:
    monkeypatch.setenv("BLENDER_BIN", str(program(tmp_path / "blender", f"echo {says}")))
    with pytest.raises(LucidError, match=code):
        blender.find_binary()


@POSIX
def test_an_old_blender_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path / "blender", "echo Blender 3.4.1")
    assert blender.find_binary() is None
    program(tmp_path / "blender", "echo Blender 5.3.0 # newer")
    assert blender.find_binary() == tmp_path / "blender"


# rings

def test_reports_are_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite name="a" errors="1" failures="2" skipped="3" tests="20"/></testsuites>')
    assert rings.read_report(report) == rings.Tally(14, 3, 3)
    assert str(rings.Tally(1, 0, 2) + rings.Tally(2, 1, 0)) == "3 passed, 1 failed, 2 skipped"
    report.write_text('<testsuites><testsuite name="a"')
    assert rings.read_report(report) is None
    assert rings.read_report(tmp_path / "missing.xml") is None


# the demo's folder

def test_the_demo_replaces_only_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo._folder(None) == tmp_path / "lucid-demo"
    (tmp_path / "lucid-demo").mkdir()
    (tmp_path / "lucid-demo" / "mine.txt").write_text("precious")
    assert demo._folder(None) == tmp_path / "lucid-demo-2"
    with pytest.raises(LucidError, match="DEMO_EXISTS"):
        demo._folder(Path("lucid-demo"))
    with demo._fresh(tmp_path / "lucid-demo-2") as folder:
        (folder / "first").write_text("")
    assert demo._folder(None) == tmp_path / "lucid-demo-2"
    with demo._fresh(tmp_path / "lucid-demo-2") as folder:
        (folder / "second").write_text("")
    assert sorted(path.name for path in folder.iterdir()) == [demo.STAMP, "second"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lucid-demo", "lucid-demo-2"]


def test_a_demo_that_fails_brings_the_last_one_back(tmp_path: Path) -> None:
    with demo._fresh(tmp_path / "d") as folder:
        (folder / "good").write_text("")
    with pytest.raises(LucidError, match="X: y"), demo._fresh(tmp_path / "d") as folder:
        (folder / "half").write_text("")
        raise LucidError("X", "y", "z")
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [demo.STAMP, "good"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_demo_where_nothing_may_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LucidError, match="DISK_WRITE"), demo._fresh(tmp_path / "file" / "d"):
        pytest.fail("the body must not run")


@pytest.mark.parametrize(("tail", "expected"), [
    (["  step", "lucid: CAMERA_MISSING: the scene has no camera (add one)", ""],
     "CAMERA_MISSING: the scene has no camera (add one)"), (["Segmentation fault"], "DEMO_FAILED: the loop ended with status 3")])
def test_the_demo_hands_on_the_verbs_own_error(tmp_path: Path, tail: list[str], expected: str) -> None:
    assert str(demo._failure(3, tail, tmp_path / "demo.log")).startswith(expected)
