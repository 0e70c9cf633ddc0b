# SPDX-License-Identifier: GPL-3.0-or-later
"""What torch can compute with on this machine, and what that build costs to download and to keep."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...inference.errors import LucidError

PYPI, INDEX = "torch-pypi.txt", "torch-index.txt"
CUDA_13_DRIVER, CUDA_12_DRIVER = 580, 525       # NVIDIA's release notes: the oldest drivers for CUDA 13 and for any CUDA 12
TURING, BLACKWELL = 7.5, 10.0                   # CUDA 13 has no older ones; CUDA 12.6 does not know newer ones
_PROBE_SECONDS = 5.0
_NAMES = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}


@dataclass(frozen=True)
class Backend:
    """One build of torch. ``lock`` is its requirements file; ``index`` uv's name of PyTorch's index, empty for PyPI.

    ``download`` and ``disk`` are in megabytes, without weights.
    """

    key: str
    title: str
    platform: str
    device: str
    lock: str
    index: str
    download: int
    disk: int


@dataclass(frozen=True)
class Found:
    """What the machine has: a key of BACKENDS for its platform, and the words for people."""

    key: str
    words: str


# Downloads: torch and what it brings + 165 MB for the rest, 17 MB for uv, 33 MB for Python. Linux cu130 (2730 MB), cpu (192 MB)
# and what Windows (122 MB) and macOS (111 MB) get from PyPI are the sums of the files' sizes that the indexes give; the others
# are estimates. Disk: 1404 MB is an environment for Linux cpu (du); CUDA and ROCm are estimates (libraries grow to 2.5 times).
BACKENDS = (
    Backend("cu130", "NVIDIA, CUDA 13.0", "linux", "cuda", PYPI, "", 2950, 7500),
    Backend("cu126", "NVIDIA, CUDA 12.6", "linux", "cuda", INDEX, "cu126", 2950, 7500),
    Backend("rocm", "AMD, ROCm 7.2", "linux", "cuda", INDEX, "rocm7.2", 5500, 16000),
    Backend("cpu", "processor alone", "linux", "cpu", INDEX, "cpu", 410, 1410),
    Backend("mps", "Apple, Metal", "darwin", "mps", PYPI, "", 310, 1300),
    Backend("cpu", "processor alone", "darwin", "cpu", PYPI, "", 310, 1300),
    Backend("cu130", "NVIDIA, CUDA 13.0", "win32", "cuda", INDEX, "cu130", 2200, 5500),
    Backend("cu126", "NVIDIA, CUDA 12.6", "win32", "cuda", INDEX, "cu126", 2800, 5500),
    Backend("cpu", "processor alone", "win32", "cpu", PYPI, "", 320, 1300),
)
_MACHINES = {"linux": ("x86_64",), "darwin": ("arm64",), "win32": ("AMD64",)}


def backend(key: str, system: str = sys.platform, machine: str = platform.machine()) -> Backend:
    """The build ``key`` for this system. Raises PLATFORM_UNSUPPORTED where torch or that build does not exist."""
    if machine not in _MACHINES.get(system, ()):
        raise LucidError("PLATFORM_UNSUPPORTED", f"there is no worker for {_NAMES.get(system, system)} on {machine}",
                         "name a Python with torch and diffusers in the preferences")
    for one in BACKENDS:
        if (one.key, one.platform) == (key, system):
            return one
    has = ", ".join(one.key for one in BACKENDS if one.platform == system)
    raise LucidError("PLATFORM_UNSUPPORTED", f"there is no '{key}' on {_NAMES[system]}", f"choose automatic, or one of {has}")


def _ask(*command: str) -> str:
    """What a program prints; empty when it is missing, fails or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    hidden = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
    try:
        done = subprocess.run([program, *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=_PROBE_SECONDS, check=False, **hidden)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def detect(ask: Callable[..., str] = _ask, system: str = sys.platform, rocm: Path = Path("/opt/rocm")) -> Found:
    """The best build for this machine: NVIDIA by its driver, AMD by rocminfo, Apple by its processor, else the processor.

    Takes up to five seconds for each program that hangs.
    """
    if system == "darwin":
        return Found("mps", "Apple graphics")
    said = ask("nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader")
    row = re.match(r"\s*(.+?), (\d+)\.[\d.]+, (\d+\.\d+)", said)
    if row:
        return nvidia(row[1], int(row[2]), float(row[3]))
    if system == "linux":
        agent = re.search(r"Name:\s+(gfx\w+)", ask("rocminfo") or ask(str(rocm / "bin" / "rocminfo")))
        if agent:
            return Found("rocm", f"AMD {agent[1]}")
    return Found("cpu", "no NVIDIA driver" + (" and no ROCm" if system == "linux" else "") + " answers")


def nvidia(name: str, driver: int, capability: float) -> Found:
    """The build for one NVIDIA GPU: major number of the driver, compute capability."""
    if driver >= CUDA_13_DRIVER and capability >= TURING:
        return Found("cu130", name)
    if driver >= CUDA_12_DRIVER and capability < BLACKWELL:
        return Found("cu126", name)
    needed = CUDA_13_DRIVER if capability >= BLACKWELL else CUDA_12_DRIVER
    return Found("cpu", f"the driver of {name} is {driver}, too old: {needed} or later is needed")
