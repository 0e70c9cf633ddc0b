# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's pictures of the interface: parts of what the tests' session in a real Blender saw.

    python3 scripts/readme_pictures.py
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "scripts" / "pictures"
# picture: the session's screen, and left, top, right and bottom of the part that is shown, of a screen of 1600x1300
PARTS = {"panel": ("planned", 0, 0, 1320, 1186), "edit": ("edit_written", 0, 718, 1320, 1186),
         "takes": ("takes", 0, 718, 1320, 1186)}


def main() -> int:
    from lucid.inference.shot.images import read_png, write_png

    with tempfile.TemporaryDirectory(prefix="lucid-pictures-") as folder:
        launcher = [sys.executable, str(ROOT / "scripts" / "lucid.py")]
        status = subprocess.call([*launcher, "test", "--rings", "blender", "-k", "test_the_sessions_ended"],
                                 env={**os.environ, "LUCID_SCREENSHOTS": folder})
        if status:
            return status
        for name, (screen, left, top, right, bottom) in PARTS.items():
            write_png(PICTURES / f"{name}.png", read_png(Path(folder) / f"{screen}.png")[top:bottom, left:right])
            sys.stdout.write(f"{PICTURES / name}.png\n")
    return 0


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    if not all(map(importlib.util.find_spec, ("numpy", "PIL"))):       # the worker has them
        from lucid.scripts.setup.environments import worker_python

        os.execv(worker_python(), [str(worker_python()), *sys.argv])
    sys.exit(main())
