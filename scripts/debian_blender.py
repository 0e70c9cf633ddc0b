# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender 5.2 for a Debian without one: ``python3 scripts/debian_blender.py`` prints a path for BLENDER_BIN."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.inference.errors import LucidError
    from lucid.scripts.setup.debian import ensure_chroot

    try:
        sys.stdout.write(f"{ensure_chroot()}\n")
    except LucidError as error:
        sys.stderr.write(f"lucid: {error}\n")
        sys.exit(2)
