# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip, made and validated by Blender's own extension tool."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ...inference.console import Parser
from ...inference.errors import LucidError
from .blender import Host, find_host
from .home import REPOSITORY, logs
from .steps import run_step

EXTENSION_TOOL = "lib/python3.13/site-packages/bpy/5.2/scripts/addons_core/bl_pkg/cli/blender_ext.py"


def build(argv: Sequence[str]) -> int:
    """Write ``lucid-VERSION.zip`` and print its path. Raises SETUP_FAILED with the tool's complaint."""
    parser = Parser(prog="build.py", description="Build the extension's zip.")
    parser.add_argument("--out-dir", type=Path, default=REPOSITORY / "dist", metavar="DIR")
    folder: Path = parser.parse_args(argv).out_dir.absolute()
    manifest = tomllib.loads((REPOSITORY / "blender_manifest.toml").read_text(encoding="utf-8"))
    archive = folder / f"{manifest['id']}-{manifest['version']}.zip"
    folder.mkdir(parents=True, exist_ok=True)
    tool, log = extension_tool(find_host()), logs() / "build.log"
    run_step(f"building {archive.name}", [*tool, "build", "--source-dir", REPOSITORY, "--output-filepath", archive], log)
    run_step(f"validating {archive.name}", [*tool, "validate", archive], log)
    sys.stdout.write(f"{archive}\n")
    return 0


def extension_tool(host: Host) -> list[str]:
    """The command line of Blender's extension tool, which the bpy module carries as a plain script."""
    if host.binary is not None:
        return [str(host.binary), "--command", "extension"]
    assert host.python is not None
    script = host.python.parents[1] / EXTENSION_TOOL
    if not script.is_file():
        raise LucidError("BLENDER_MISSING", f"{script} is not there", "set BLENDER_BIN to a Blender 5.2")
    return [str(host.python), str(script)]
