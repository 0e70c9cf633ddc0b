# SPDX-License-Identifier: GPL-3.0-or-later
"""``lucid.py doctor``: what is found on this machine, and what to do about each gap."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass

from ...inference.errors import LucidError
from . import debian
from .blender import blender_version, find_binary
from .environments import BPY, WORKER, Environment, explicit_worker
from .home import REPOSITORY, lucid_home, read_json
from .libraries import missing_packages
from .pythons import find_bpy_python, version_of

PROBE_SECONDS = 120
NEEDED_GIB = 6.0
GL_PROBE = "import bpy, gpu; gpu.init(); print(gpu.platform.vendor_get(), gpu.platform.renderer_get(), sep=', ')"


@dataclass(frozen=True)
class Finding:
    """``state`` is ok, later (made on first use) or gap; ``advice`` says what to do about it."""

    name: str
    state: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.state:>5}  {self.name:<18} {self.text}" + (f"  -> {self.advice}" if self.advice else "")


def doctor() -> int:
    """Print one line per finding. Returns 0, or 2 when something stands in the way."""
    gaps = later = 0
    for probe in (_home, _python, _bpy_python, _libraries, _worker, _worker_itself, _bpy, _gl, _blender, _pointer):
        finding = probe()
        gaps += finding.state == "gap"
        later += finding.state == "later"
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
    if gaps:
        sys.stdout.write(f"{gaps} gap{'s' if gaps > 1 else ''}, see above\n")
    else:
        sys.stdout.write("nothing is in the way\n" if later else "everything is in place\n")
    return 2 if gaps else 0


def _home() -> Finding:
    home = lucid_home()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 2**30
    text = f"{home}, {free:.1f} GiB free"
    if not os.access(place, os.W_OK):
        return Finding("home", "gap", text, f"{place} is not yours to write: set LUCID_HOME to another folder")
    whole = WORKER.ready() and BPY.ready()
    if free < NEEDED_GIB and not whole:
        return Finding("home", "gap", text, f"about {NEEDED_GIB:.0f} GiB are needed: free some, or set LUCID_HOME")
    return Finding("home", "ok", text)


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()}, {sys.executable}")


def _bpy_python() -> Finding:
    python = find_bpy_python()
    if python is not None:
        return Finding("python 3.13", "ok", str(python))
    if shutil.which("uv") or BPY.ready():
        return Finding("python 3.13", "later", "not found", "uv fetches it on first use")
    return Finding("python 3.13", "later", "not found",
                   "uv is tried on first use; if that fails install Python 3.13, or set BLENDER_BIN to a Blender 5.2")


def _libraries() -> Finding:
    missing = missing_packages()
    if not missing:
        return Finding("system libraries", "ok", "all there")
    names = " ".join(missing)
    if debian.may_enter() and shutil.which("apt-get"):
        return Finding("system libraries", "later", f"missing {names}", "installed on first use")
    return Finding("system libraries", "gap", f"missing {names} (Debian's names)",
                   f"on Debian or Ubuntu: sudo apt-get install {names}")


def _worker() -> Finding:
    return _environment(WORKER)


def _worker_itself() -> Finding:
    """What the worker says of itself: versions, the device, the embedded model."""
    try:
        python = explicit_worker()
    except LucidError as error:
        return Finding("worker runs", "gap", error.text, error.hint)
    if python is None and not WORKER.ready():
        return Finding("worker runs", "later", "not made yet")
    status, text = _ask([str(python or WORKER.python), str(REPOSITORY / "inference"), "doctor"])
    return Finding("worker runs", "ok", text) if status == 0 else Finding("worker runs", "gap", text, _remake(WORKER))


def _bpy() -> Finding:
    return _environment(BPY)


def _gl() -> Finding:
    if not BPY.ready():
        return Finding("OpenGL", "later", "asked once the Blender module is there")
    status, text = _ask([str(BPY.python), "-c", GL_PROBE])
    if status == 0:
        return Finding("OpenGL", "ok", text.split("; ")[-1])
    return Finding("OpenGL", "gap", text, "install a GL driver; Mesa's software GL does: libegl-mesa0 libgl1-mesa-dri")


def _blender() -> Finding:
    try:
        binary = find_binary()
    except LucidError as error:
        return Finding("blender", "gap", error.text, error.hint)
    if binary is None and debian.ready() and debian.may_enter():
        binary = debian.wrapper_path()
    if binary is not None:
        version = blender_version(binary)
        return Finding("blender", "ok", f"{version[0]}.{version[1]}, {binary}" if version else str(binary))
    found = shutil.which("blender")
    text = f"{found} is older than 5.2" if found else "no executable"
    return Finding("blender", "later", text, "only the third ring of tests needs one: set BLENDER_BIN")


def _pointer() -> Finding:
    named = (read_json(lucid_home() / "worker.json") or {}).get("python")
    if named is None:
        return Finding("worker.json", "later", "Blender learns of the worker once it is made")
    if version_of(named) is None:
        return Finding("worker.json", "gap", f"{named} does not run", "run `python3 scripts/lucid.py setup`")
    return Finding("worker.json", "ok", str(named))


def _environment(environment: Environment) -> Finding:
    if environment.ready():
        return Finding(environment.title, "ok", str(environment.folder))
    if environment.folder.exists():
        return Finding(environment.title, "later", f"{environment.folder} is incomplete", "made again on next use")
    return Finding(environment.title, "later", "not made yet", "made on first use, or now by lucid.py setup")


def _remake(environment: Environment) -> str:
    return f"delete {environment.folder} and run `python3 scripts/lucid.py setup`"


def _ask(command: list[str]) -> tuple[int, str]:
    """Exit status and what was said, on one line."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    said = answer.stdout.strip() if answer.returncode == 0 else (answer.stdout + answer.stderr).strip()
    return answer.returncode, "; ".join(said.splitlines()[-6:])
