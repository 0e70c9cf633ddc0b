# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the repository ``lucid`` for every ring, as the worker and Blender do, whatever its folder is called."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if "lucid" not in sys.modules:
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
