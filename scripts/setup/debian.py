# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian sid in a chroot, for its Blender: made once by debootstrap, entered through a wrapper usable as BLENDER_BIN.

The wrapper keeps arguments, working folder, environment, process id and exit status, and sees the same files as outside
(the clone, the home folder, the worker's Python, /tmp). It mounts inside a mount namespace of its own, so nothing stays
mounted however it ends. Needs root, for mounts and chroot.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ...inference.errors import LucidError
from .home import logs, lucid_home, read_json, write_json
from .lock import locked
from .steps import run_step, say

MIRROR = "http://deb.debian.org/debian"
# Blender with the Python modules that blender.org's own builds bundle, software GL, and a display without a screen
PACKAGES = ("blender", "python3-cattr", "python3-numpy", "python3-openvdb", "python3-requests", "python3-zstandard",
            "libgl1-mesa-dri", "libegl1", "xvfb", "xauth", "xdotool", "imagemagick")
# what the chroot must not take from outside: its own system
OWN_FOLDERS = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "proc", "run", "sbin",
               "sys", "usr", "var"}
STAMP = "lucid-chroot.json"

ENTER = """#!/bin/sh
# Run a command inside Lucid's Debian chroot: {name} COMMAND [ARGUMENT]...
if [ -z "$LUCID_CHROOT_INSIDE" ]; then
    LUCID_CHROOT_INSIDE=1 LUCID_CHROOT_CWD=$PWD exec unshare --mount --propagation unchanged "$0" "$@"
fi
set -e
root='{root}'
# keep the mounts below to this namespace, also where / is no mount of its own (in a chroot)
mount --make-rprivate / 2>/dev/null || {{ mount --bind "$root" "$root"; mount --make-private "$root"; }}
for folder in /proc /sys /dev{folders}; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done
{python}unset LUCID_CHROOT_INSIDE PYTHONHOME PYTHONPATH LD_LIBRARY_PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# the home folder is shared with the Mesa outside, whose shaders are another version's
MESA_SHADER_CACHE_DIR=/var/cache/lucid-mesa
export PATH MESA_SHADER_CACHE_DIR
exec chroot "$root" /bin/sh -c 'cd "$LUCID_CHROOT_CWD" 2>/dev/null || cd /; unset LUCID_CHROOT_CWD; exec "$@"' sh "$@"
"""


def wrapper_path() -> Path:
    """Where the Blender wrapper is, once made."""
    return lucid_home() / "debian-sid-bin" / "blender"


def ready() -> bool:
    stamp = read_json(_root() / STAMP)
    return stamp is not None and stamp.get("packages") == list(PACKAGES) and wrapper_path().is_file()


def may_enter() -> bool:
    """Mounts and chroot are root's."""
    return sys.platform.startswith("linux") and os.geteuid() == 0


def ensure_chroot() -> Path:
    """Make the chroot when it is not there; returns the wrapper. Raises CHROOT_UNAVAILABLE or SETUP_FAILED."""
    for tool in ("debootstrap", "unshare", "chroot"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            raise LucidError("CHROOT_UNAVAILABLE", f"{tool} is not installed",
                             f"apt-get install {tool}, or set BLENDER_BIN to a Blender 5.2")
    if not may_enter():
        raise LucidError("CHROOT_UNAVAILABLE", "only root can make and enter a chroot",
                         "run as root, or set BLENDER_BIN to a Blender 5.2")
    with locked(lucid_home() / "debian-sid.lock"):
        stamp = read_json(_root() / STAMP)
        if stamp is None or stamp.get("packages") != list(PACKAGES):
            _build()
        _write_wrappers()
    return wrapper_path()


def _root() -> Path:
    return lucid_home() / "debian-sid"


def _build() -> None:
    root, partial, log = _root(), lucid_home() / "debian-sid.partial", logs() / "debian-sid.log"
    log.unlink(missing_ok=True)
    for folder in (root, partial):
        if folder.exists():
            say(f"removing the incomplete {folder}")
            shutil.rmtree(folder)
    partial.parent.mkdir(parents=True, exist_ok=True)
    run_step("Debian sid, base system",
             ["debootstrap", "--variant=minbase", "--no-check-gpg", "sid", partial, MIRROR], log)
    (partial / "etc/dpkg/dpkg.cfg.d/lucid").write_text(
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n")
    enter = _write_enter(partial, lucid_home() / "debian-sid.partial-enter")
    apt: list[str | Path] = [enter, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"]
    run_step("Debian sid, Blender and what it needs", [*apt, "install", "--no-install-recommends", *PACKAGES], log)
    (partial / "etc/mtab").unlink(missing_ok=True)
    (partial / "etc/mtab").symlink_to("/proc/self/mounts")
    run_step("Debian sid, clean up", [*apt, "clean"], log)
    enter.unlink()
    write_json(partial / STAMP, {"packages": list(PACKAGES)})
    os.rename(partial, root)


def _write_wrappers() -> None:
    folder = wrapper_path().parent
    folder.mkdir(exist_ok=True)
    enter = _write_enter(_root(), folder / "enter")
    blender = wrapper_path()
    blender.write_text(f"#!/bin/sh\nexec '{enter}' blender \"$@\"\n", encoding="utf-8")
    blender.chmod(0o755)


def _write_enter(root: Path, script: Path) -> Path:
    folders = sorted(f"/{path.name}" for path in Path("/").iterdir()
                     if path.is_dir() and not path.is_symlink() and path.name not in OWN_FOLDERS)
    if Path(sys.base_prefix).is_relative_to("/usr/local"):
        folders.append("/usr/local")
    text = ENTER.format(name=script.name, root=root, folders="".join(f" {folder}" for folder in folders),
                        python=_system_python())
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def _system_python() -> str:
    """Shell lines that show the distribution's own Python (what a worker environment made from it runs) inside."""
    prefix = Path(sys.base_prefix)
    if prefix != Path("/usr"):
        return ""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return (f'mkdir -p "$root/usr/lib/{name}"; mount --bind /usr/lib/{name} "$root/usr/lib/{name}"\n'
            f'[ -e "$root/usr/bin/{name}" ] || : > "$root/usr/bin/{name}"\n'
            f'mount --bind /usr/bin/{name} "$root/usr/bin/{name}"\n')
