# SPDX-License-Identifier: GPL-3.0-or-later
"""``python PATH/TO/lucid/inference VERB``: the worker, started by path whatever the extension's folder is called."""

import importlib.util
import sys
from pathlib import Path


def load_package(root: Path) -> None:
    """Import the folder ``root`` as the package ``lucid``."""
    spec = importlib.util.spec_from_file_location("lucid", root / "__init__.py", submodule_search_locations=[str(root)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lucid"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    load_package(Path(__file__).resolve().parents[1])
    from lucid.inference.cli import main

    sys.exit(main())
