# SPDX-License-Identifier: GPL-3.0-or-later
"""``python PATH/TO/lucid/addon/installer install|remove PLAN.json``: a process of its own, with its log on standard output."""

import importlib
import runpy
import sys
from pathlib import Path


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    runpy.run_path(str(root / "inference" / "__main__.py"))["load_package"](root)
    jobs = importlib.import_module("lucid.addon.installer.job")
    return int(jobs.main(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())
