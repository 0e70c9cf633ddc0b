# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the repository importable as the package `lucid`, as inference/__main__.py does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def load_package(root: Path) -> None:
    """Import the folder `root` as the package `lucid`; nothing happens when it is there already."""
    if "lucid" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location("lucid", root / "__init__.py", submodule_search_locations=[str(root)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lucid"] = module
    spec.loader.exec_module(module)
