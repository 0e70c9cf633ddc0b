# SPDX-License-Identifier: GPL-3.0-or-later
"""uv, which makes the environment: the one on PATH when it is new enough, else the pinned release, checked byte for byte."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...inference.errors import LucidError

VERSION = (0, 13, 8)
OLDEST = (0, 13, 0)         # knows the indexes of CUDA 13.0 and ROCm 7.2
_NAME = "uv.exe" if os.name == "nt" else "uv"
_HINT = "check the connection, then install again"
_CERTIFICATE = "set SSL_CERT_FILE to the certificates of whoever runs the network, or put uv on PATH yourself"
_CHUNK = 1 << 18
_TIMEOUT = 60.0
_FILES = "https://files.pythonhosted.org/packages/"


@dataclass(frozen=True)
class Release:
    """A wheel that carries the program. It is read as a zip and never installed."""

    url: str
    sha256: str


# the files of uv 0.13.8 on PyPI
RELEASES = {
    "linux": Release(
        _FILES + "c5/32/52ee34636aea1ab3f8baeeae1c3599461b8cddfb379862cc72ac61b8d91c/"
        "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984"),
    "darwin": Release(
        _FILES + "84/46/deb3a1eb3020575e41d1f9840c07185761d8d4c25cd6f58e813afb017476/uv-0.13.8-py3-none-macosx_11_0_arm64.whl",
        "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49"),
    "win32": Release(
        _FILES + "6a/1d/d813afac1a7cbe3eeeca8709b47bdcd5e5189d08364b8d7a9f693082f0f1/uv-0.13.8-py3-none-win_amd64.whl",
        "cfbc13020a64cdf2f116d2936824c38edbf41e5c07f1ea291baf02e31ebf3ed0"),
}


def find_uv(folder: Path) -> Path | None:
    """The uv on PATH, or the one that was fetched into ``folder`` before; None when neither is there and new enough."""
    for path in (shutil.which("uv"), folder / _name_of_version()):
        if path and Path(path).is_file() and _version(Path(path)) >= OLDEST:
            return Path(path)
    return None


def fetch_uv(folder: Path, release: Release, alive: Callable[[], None]) -> Path:
    """Download ``release`` and unpack its program into ``folder``; returns it. ``alive`` is called meanwhile and may raise.

    Raises UV_FETCH_FAILED, with nothing left behind, when the server cannot be reached or sends other bytes than pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel, program = folder / "uv.whl.part", folder / _name_of_version()
    try:
        _download(release, wheel, alive)
        with zipfile.ZipFile(wheel) as archive:
            inside = next(name for name in archive.namelist() if name.endswith(f"/scripts/{_NAME}"))
            part = program.with_name(f"{program.name}.part")
            part.write_bytes(archive.read(inside))
        part.chmod(0o755)
        os.replace(part, program)
    finally:
        wheel.unlink(missing_ok=True)
    return program


def _download(release: Release, target: Path, alive: Callable[[], None]) -> None:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(release.url, timeout=_TIMEOUT, context=_trust()) as source, target.open("wb") as stream:
            while chunk := source.read(_CHUNK):
                alive()
                digest.update(chunk)
                stream.write(chunk)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        certificate = isinstance(reason, ssl.SSLCertVerificationError)
        raise LucidError("UV_FETCH_FAILED", f"uv cannot be fetched from {urllib.parse.urlsplit(release.url).netloc}: {reason}",
                         _CERTIFICATE if certificate else _HINT) from error
    if digest.hexdigest() != release.sha256:
        raise LucidError("UV_FETCH_FAILED", f"{release.url} is not the file that Lucid knows", "something between you and it "
                         "changes downloads; ask whoever runs the network, or put uv on PATH yourself")


def _trust() -> ssl.SSLContext:
    """The system's certificates, and those that Blender brings: its Python may not find the system's."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _name_of_version() -> str:
    return f"uv-{'.'.join(map(str, VERSION))}{'.exe' if sys.platform == 'win32' else ''}"


def _version(program: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([str(program), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20.0,
                              check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"uv (\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()
