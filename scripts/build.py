# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the extension: ``python3 scripts/build.py [--out-dir DIR]`` writes dist/lucid-VERSION.zip with Blender's own
builder and has it validated. Uses BLENDER_BIN, Blender on PATH, or the bpy environment (made when missing)."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.inference.console import run_verb
    from lucid.scripts.setup.package import build

    sys.exit(run_verb(lambda: build(sys.argv[1:])))
