# SPDX-License-Identifier: GPL-3.0-or-later
"""The system libraries that Blender's Python module loads, and the Debian packages that bring them."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys

from ...inference.errors import LucidError
from .home import logs
from .steps import run_step

# any one of the libraries of an entry will do; (a GL driver is Mesa's or NVIDIA's)
LIBRARIES = {
    ("libX11.so.6",): "libx11-6",
    ("libXrender.so.1",): "libxrender1",
    ("libXfixes.so.3",): "libxfixes3",
    ("libXi.so.6",): "libxi6",
    ("libxkbcommon.so.0",): "libxkbcommon0",
    ("libSM.so.6",): "libsm6",
    ("libICE.so.6",): "libice6",
    ("libGL.so.1",): "libgl1",
    ("libEGL.so.1",): "libegl1",
    ("libEGL_mesa.so.0", "libEGL_nvidia.so.0"): "libegl-mesa0 libgl1-mesa-dri",
}


def missing_packages() -> list[str]:
    """Debian names of what is not there; empty on other systems than Linux, whose bpy brings all it needs."""
    if not sys.platform.startswith("linux"):
        return []
    return [package for names, packages in LIBRARIES.items() if not any(map(_loads, names))
            for package in packages.split()]


def ensure_libraries() -> None:
    """Install what is missing where that may be done, else raise LIBRARIES_MISSING naming it."""
    packages = missing_packages()
    if packages:
        apt_install(packages, "system libraries for Blender", "LIBRARIES_MISSING")


def apt_install(packages: list[str], purpose: str, code: str) -> None:
    """``apt-get install`` as root on Debian and its kin; otherwise raise ``code``, naming the packages."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise LucidError(code, f"{purpose}: missing {names} (Debian's names)",
                         f"install them, on Debian or Ubuntu with: sudo apt-get install {names}")
    log, apt = logs() / "apt.log", ["apt-get", "-y"]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_step("apt-get update", [*apt, "update"], log, env=environ)
    run_step(f"{purpose} ({names})", [*apt, "install", "--no-install-recommends", *packages], log, env=environ)


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
