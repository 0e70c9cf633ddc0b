# SPDX-License-Identifier: GPL-3.0-or-later
"""The one launcher: ``python3 scripts/lucid.py VERB``. Standard library only; makes what it needs on first use."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():  # type: ignore[no-untyped-def]  # an old Python has to get as far as the message below
    if sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write("lucid: PYTHON_OLD: this is Python " + version + ", Lucid needs 3.11 or newer "
                         "(run it with python3.11 or newer)\n")
        return 2
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    from lucid.scripts.setup.verbs import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
