# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's installer without Blender: what is detected, what is pinned, what uv is fetched, what the probe names."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lucid.addon.installer import backends, plan, tool
from lucid.addon.installer.steps import PROBE, Cancelled
from lucid.inference.errors import LucidError

ROOT = Path(__file__).resolve().parents[2]


def _machine(**said: str) -> object:
    return lambda program, *_: said.get(Path(program).name.replace("-", "_"), "")


@pytest.mark.parametrize(("row", "key"), [
    ("NVIDIA H200, 580.82.07, 9.0\n", "cu130"),
    ("NVIDIA GeForce RTX 4090, 560.94, 8.9\nNVIDIA GeForce RTX 3060, 560.94, 8.6\n", "cu126"),
    ("NVIDIA GeForce GTX 1080, 582.10, 6.1\n", "cu126"),        # CUDA 13 has no Pascal
    ("NVIDIA GeForce RTX 5090, 572.16, 12.0\n", "cpu"),         # CUDA 12.6 has no Blackwell
    ("NVIDIA GeForce GTX 1080, 470.256.02, 6.1\n", "cpu"),
    ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver\n", "cpu"),
])
def test_nvidia_is_known_by_driver_and_capability(row: str, key: str) -> None:
    found = backends.detect(_machine(nvidia_smi=row), "linux", Path("/nowhere"))
    assert found.key == key
    assert ("too old" in found.words) == (key == "cpu" and "has failed" not in row)


def test_amd_apple_and_none() -> None:
    agents = "  Name:                    AMD Ryzen 9\n  Name:                    gfx1100\n"
    assert backends.detect(_machine(rocminfo=agents), "linux") == backends.Found("rocm", "AMD gfx1100")
    assert backends.detect(_machine(rocminfo=agents), "win32").key == "cpu"
    assert backends.detect(_machine(), "darwin").key == "mps"
    assert backends.detect(_machine(), "linux").key == "cpu"


def test_a_program_that_fails_or_hangs_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_PROBE_SECONDS", 0.2)
    assert backends._ask(sys.executable, "-c", "print('here')").strip() == "here"
    assert backends._ask(sys.executable, "-c", "print('here'); raise SystemExit(9)") == ""
    assert backends._ask(sys.executable, "-c", "import time; time.sleep(60)") == ""
    assert backends._ask("no-such-program-anywhere") == ""


def test_machines_without_a_worker_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, system, machine in (("cpu", "darwin", "x86_64"), ("cpu", "freebsd14", "amd64"), ("rocm", "win32", "AMD64")):
        with pytest.raises(LucidError) as raised:
            backends.backend(key, system, machine)
        assert raised.value.code == "PLATFORM_UNSUPPORTED"
    assert backends.backend("cu130", "linux", "x86_64").index == ""


@pytest.mark.parametrize("one", backends.BACKENDS, ids=lambda one: f"{one.platform}-{one.key}")
def test_every_build_has_its_lock_and_a_place_of_its_own(one: backends.Backend, tmp_path: Path) -> None:
    made = plan.plan_for(one, tmp_path)
    assert plan.Plan.from_json(made.to_json()) == made
    assert one.disk > one.download > 100 and (one.lock == backends.INDEX) == bool(one.index)
    for _, arguments in made.installs:
        assert Path(arguments[-1]).is_file() and ":all:" in arguments       # wheels alone: nothing is built here
        assert "--require-hashes" in arguments or one.index in arguments
    names = {plan.plan_for(other, tmp_path).name for other in backends.BACKENDS if other.platform == one.platform}
    assert len(names) == sum(other.platform == one.platform for other in backends.BACKENDS)


def _pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_the_locks_are_what_the_launcher_installs() -> None:
    locked = _pins(plan.REQUIREMENTS / "worker.txt")
    asked = _pins(ROOT / "scripts" / "requirements" / "worker.txt")
    assert len(asked) > 20 and asked.items() <= locked.items()
    torch = _pins(ROOT / "scripts" / "requirements" / "torch.txt")["torch"]
    assert _pins(plan.REQUIREMENTS / backends.PYPI)["torch"] == _pins(plan.REQUIREMENTS / backends.INDEX)["torch"] == torch
    for name in ("worker.txt", backends.PYPI):
        blocks = re.split(r"\n(?=[a-z])", (plan.REQUIREMENTS / name).read_text(encoding="utf-8"))
        assert all("--hash=sha256:" in block for block in blocks if "==" in block)
    assert not set(_pins(plan.REQUIREMENTS / backends.PYPI)) & set(locked)


def _wheel(path: Path, content: bytes) -> tool.Release:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("uv-0.13.8.data/scripts/" + tool._NAME, content)
    return tool.Release(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest())


def test_uv_is_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = _wheel(tmp_path / "uv.whl", b"#!/bin/sh\necho 'uv 0.13.8 (made up)'\n")
    folder, asked = tmp_path / "uv", []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert tool.find_uv(folder) is None
    program = tool.fetch_uv(folder, release, lambda: asked.append(1))
    assert asked and [path.name for path in folder.iterdir()] == [program.name]
    if sys.platform != "win32":
        assert tool.find_uv(folder) == program
        program.write_text("#!/bin/sh\necho 'uv 0.4.0 (old)'\n")
        assert tool.find_uv(folder) is None
    assert all(one.url.startswith("https://") and len(one.sha256) == 64 for one in tool.RELEASES.values())


def test_other_bytes_than_pinned_are_refused(tmp_path: Path) -> None:
    release = _wheel(tmp_path / "uv.whl", b"evil")
    wrong = tool.Release(release.url, "0" * 64)
    missing = tool.Release((tmp_path / "none.whl").as_uri(), release.sha256)
    for one in (wrong, missing):
        with pytest.raises(LucidError) as raised:
            tool.fetch_uv(tmp_path / "uv", one, lambda: None)
        assert raised.value.code == "UV_FETCH_FAILED"
        assert not list((tmp_path / "uv").iterdir())


def test_a_fetch_can_be_cancelled(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        tool.fetch_uv(tmp_path / "uv", _wheel(tmp_path / "uv.whl", b"uv"), stop)
    assert not list((tmp_path / "uv").iterdir())


def _probe(**wanted: object) -> dict[str, str]:
    asked = {"python": [3, 10], "imports": ["json"], "floors": {"numpy": "1.0"}, "device": ""} | wanted
    done = subprocess.run([sys.executable, "-I", str(PROBE), json.dumps(asked)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_probe_names_the_one_thing() -> None:
    assert "numpy" in _probe()["said"]
    old = _probe(python=[99, 1])
    assert old["code"] == "WORKER_OLD" and "99.1" in old["text"]
    assert "import no_such_module fails: ModuleNotFoundError" in _probe(imports=["json", "no_such_module"])["text"]
    stale = _probe(floors={"numpy": "99.0"})
    assert stale["code"] == "WORKER_OLD" and "Lucid needs 99.0" in stale["text"]
    assert _probe(floors={"no-such-package": "1"})["text"] == "no-such-package is not installed"


def test_only_environments_made_here_are_ours(tmp_path: Path) -> None:
    assert plan.installed(tmp_path) is None and plan.leftovers(tmp_path) == []
    ours = tmp_path / "envs" / "ui-worker-1"
    ours.mkdir(parents=True)
    (tmp_path / "envs" / "worker-launcher").mkdir()
    for python, answer in ((ours / "bin" / "python", ours), (tmp_path / "envs" / "worker-launcher" / "bin" / "python", None),
                           (Path("python"), None)):
        (tmp_path / "worker.json").write_text(json.dumps({"python": str(python)}))
        assert plan.installed(tmp_path) == answer
    (tmp_path / "worker.json").write_text("[]")
    assert plan.installed(tmp_path) is None
    assert plan.leftovers(tmp_path) == [ours]
