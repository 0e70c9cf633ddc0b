# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender -b --factory-startup --python scripts/blender_entry.py -- VERB ...``, or the same with a Python that has bpy:
Lucid's verbs without installing the extension."""

import runpy
import sys
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str]) -> int:
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    import lucid
    from lucid.addon import commands

    # whoever names a model repository on this command line has asked for the network; nothing is saved
    bpy.context.preferences.system.use_online_access = True
    lucid.register()
    return commands.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1:]))
