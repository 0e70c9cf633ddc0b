# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of the house: what lies at the top, headers, lengths, and that no machine's paths are left in a file."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"addon", "operators", "inference", "shaders", "tests", "scripts", ".ci"}
FILES = {"blender_manifest.toml", "__init__.py", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"}
DOT_FILES = {".gitignore", ".gitattributes"}
HEADER = "# SPDX-License-Identifier: GPL-3.0-or-later"
MOST_LINES = 400
# below folders that are somebody's own on some machine; ~, /usr and relative paths are everybody's
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|Users|root|work|mnt|media)/[A-Za-z]|\b[A-Z]:\\{1,2}Users")
TEXT = {".py", ".md", ".toml", ".txt", ".glsl", ".json", ".yml", ".yaml", ".cfg", ""}


def committed() -> list[Path]:
    """What is or will be in the repository: tracked files, and new ones that are not ignored."""
    answer = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    if answer.returncode != 0:
        pytest.skip("not a git clone")
    return [ROOT / name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in committed() if path.suffix == ".py"]


def test_the_top_level_is_exactly_the_house() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in committed()}
    assert top <= FOLDERS | FILES | DOT_FILES, f"not part of the house: {sorted(top - FOLDERS - FILES - DOT_FILES)}"
    assert top >= FOLDERS | FILES, f"missing: {sorted((FOLDERS | FILES) - top)}"


def test_every_module_has_the_licence_header_first() -> None:
    wrong = [path.relative_to(ROOT).as_posix() for path in python_files()
             if not path.read_text(encoding="utf-8").startswith(HEADER + "\n")]
    assert not wrong, wrong


def test_every_module_says_what_it_is() -> None:
    wrong = [path.relative_to(ROOT).as_posix() for path in python_files()
             if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None]
    assert not wrong, wrong


def test_modules_stay_small() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
               for path in python_files()}
    wrong = {name: count for name, count in lengths.items() if count > MOST_LINES}
    assert not wrong, f"more than {MOST_LINES} lines: {wrong}"


def test_no_machine_path_is_left_in_a_file() -> None:
    wrong = []
    for path in committed():
        if path.suffix not in TEXT or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("line", "caught"), [
    ("open('/home/ann/a.blend')", True), ("/Users/bob/lucid", True), ("see /work/clips", True), ("/root/project", True),
    (r"C:\Users\ann", True), ("~/.cache/lucid", False), ("framework/model", False), ("/usr/bin/python3", False)])
def test_the_machine_path_pattern(line: str, caught: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is caught


def test_every_link_of_the_documents_leads_to_a_file() -> None:
    files, wrong = set(committed()), []
    for path in sorted(ROOT.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            if (path.parent / target).resolve() not in files:
                wrong.append(f"{path.name}: {target}")
    assert not wrong, wrong


def test_no_compiled_code_is_shipped() -> None:
    wrong = [path.relative_to(ROOT).as_posix() for path in committed()
             if path.suffix in {".so", ".dll", ".dylib", ".pyd", ".pyc", ".whl", ".exe", ".pkl", ".pt", ".bin", ".ckpt"}]
    assert not wrong, wrong


def test_the_licence_is_the_whole_gpl_3() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text and "Version 3, 29 June 2007" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) > 30_000
