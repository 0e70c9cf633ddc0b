# SPDX-License-Identifier: GPL-3.0-or-later
"""The import directions of the house, held by parsing every module, so that no module has to be importable here."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLENDER = {"bpy", "bpy_extras", "gpu", "gpu_extras", "mathutils", "bmesh", "blf", "idprop", "aud", "bl_ext"}
MODELS = {"torch", "diffusers", "transformers", "cv2", "accelerate", "safetensors"}
FILES = {"OpenEXR", "PIL"}
MODEL_ROOMS = ("inference/generation/", "inference/adapters/", "inference/truth/")
ROOMS = ("addon", "operators", "inference")

# which part of Lucid may import which (prefixes); a part may always import itself
MAY_IMPORT = {
    "__init__": ("addon", "operators"),
    "operators": ("addon", "inference.errors", "inference.shot"),
    "addon": ("inference.errors", "inference.home", "inference.console",
              "inference.shot", "inference.conditioning", "inference.worker"),
    "inference.errors": (),
    "inference.home": (),
    "inference.heap": (),
    "inference.surfaces": (),
    "inference.shot": ("inference.errors",),
    "inference.conditioning": ("inference.shot", "inference.errors"),
    "inference.adapters": ("inference.conditioning", "inference.shot", "inference.errors"),
    "inference.generation": ("inference.adapters", "inference.conditioning", "inference.shot", "inference.surfaces",
                             "inference.home", "inference.errors"),
    "inference.truth": ("inference.shot", "inference.conditioning", "inference.surfaces", "inference.errors"),
    "inference.console": ("inference.shot", "inference.errors"),
    "inference.worker": ("inference.generation", "inference.adapters", "inference.shot", "inference.home", "inference.errors"),
    "inference.serve": ("inference.worker", "inference.shot", "inference.console", "inference.heap", "inference.errors"),
    "inference.measuring": ("inference.truth", "inference.shot", "inference.console", "inference.errors"),
    "inference.cli": ("inference",),
    "inference.__main__": ("inference.cli",),
}


@dataclass(frozen=True)
class Import:
    """One import statement's target: ``name`` is absolute; ``own`` when it is Lucid's, then without the package name."""

    file: str
    line: int
    name: str
    own: bool
    top_level: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"


def modules() -> list[Path]:
    return [ROOT / "__init__.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def imports_of(path: Path) -> list[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {id(inner) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) or _typing_only(outer)
            for inner in ast.walk(outer)}
    found = []
    for node in ast.walk(tree):
        for name, own in _targets(node, path):
            found.append(Import(path.relative_to(ROOT).as_posix(), node.lineno, name, own, id(node) not in lazy))
    return found


def _typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _targets(node: ast.AST, path: Path) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.name.removeprefix("lucid."), alias.name.startswith("lucid"))
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        name = node.module or ""
        if name.split(".")[0] == "lucid":
            yield from _members(name.removeprefix("lucid").lstrip("."), node)
        else:
            yield (name, False)
    elif isinstance(node, ast.ImportFrom):
        package = path.relative_to(ROOT).with_suffix("").parts[:-1]
        assert node.level - 1 <= len(package), f"{path} imports from above the package"
        base = package[:len(package) - node.level + 1]
        yield from _members(".".join((*base, *filter(None, [node.module]))), node)


def _members(base: str, node: ast.ImportFrom) -> Iterator[tuple[str, bool]]:
    """``from . import a`` imports the module ``a``; ``from .a import name`` imports ``a``."""
    for alias in node.names:
        full = f"{base}.{alias.name}".lstrip(".")
        place = ROOT.joinpath(*full.split("."))
        yield (full if place.is_dir() or place.with_suffix(".py").is_file() else base, True)


def part_of(module: str) -> str:
    """``inference.shot.model`` belongs to ``inference.shot``, ``addon.capture`` to ``addon``."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "inference" else parts[0]


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name if name == "__init__" else name.removesuffix(".__init__")


EVERY = [found for path in modules() for found in imports_of(path)]


def listed(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_there_are_imports_to_judge() -> None:
    assert len(EVERY) > 50
    assert any(found.own for found in EVERY)


def test_inference_never_imports_blender() -> None:
    wrong = [f for f in EVERY if f.file.startswith("inference/") and f.name.split(".")[0] in BLENDER]
    assert not wrong, listed(wrong)


def test_models_are_imported_in_their_rooms_only() -> None:
    wrong = [f for f in EVERY if f.name.split(".")[0] in MODELS and not f.file.startswith(MODEL_ROOMS)]
    assert not wrong, listed(wrong)


def test_blender_never_imports_what_only_the_worker_has() -> None:
    wrong = [f for f in EVERY if not f.file.startswith("inference/") and f.name.split(".")[0] in MODELS | FILES]
    assert not wrong, listed(wrong)


def test_shot_imports_nothing_heavy_when_imported() -> None:
    wrong = [f for f in EVERY if f.file.startswith("inference/shot/") and f.top_level and not f.own
             and f.name.split(".")[0] not in sys.stdlib_module_names | {"numpy"}]
    assert not wrong, listed(wrong)


def test_the_package_imports_no_part_of_itself_when_imported() -> None:
    wrong = [f for f in EVERY if f.file == "__init__.py" and f.top_level]
    assert not wrong, listed(wrong)


def test_lucid_is_imported_relatively() -> None:
    """Installed, the package is called bl_ext.REPOSITORY.lucid. Only a script that named it ``lucid`` itself may say so."""
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else [])
            if any(name.split(".")[0] == "lucid" for name in names) and path != ROOT / "inference" / "__main__.py":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, wrong


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    here = part_of(module_name(path))
    if here == "inference":
        return
    assert here in MAY_IMPORT, f"{here} is a part that DESIGN section 2 does not know"
    wrong = [f for f in imports_of(path) if f.own and not _allowed(here, f.name)]
    assert not wrong, listed(wrong)


def _allowed(here: str, target: str) -> bool:
    if target in ("", "__init__"):         # the package itself, for its name
        return True
    return any(target == prefix or target.startswith(prefix + ".") for prefix in (*MAY_IMPORT[here], here))


def test_the_rules_catch_a_wrong_import(tmp_path: Path) -> None:
    """The judge is judged: the names that a relative import stands for."""
    node = ast.parse("from ..generation import run").body[0]
    assert list(_targets(node, ROOT / "inference" / "shot" / "model.py"))[0][0].startswith("inference.generation")
    assert not _allowed("inference.shot", "inference.generation")
    assert not _allowed("addon", "operators")
    assert _allowed("addon", "inference.shot.model")
    assert not _allowed("inference.shot", "inference.shotgun")


def test_importing_the_package_needs_nothing_but_python() -> None:
    """``python -S -I`` has no site-packages, so neither bpy nor numpy."""
    program = (f"import runpy; runpy.run_path({str(ROOT / 'inference' / '__main__.py')!r})['load_package']"
               f"(__import__('pathlib').Path({str(ROOT)!r})); import lucid; lucid.register; import lucid.inference.errors")
    subprocess.run([sys.executable, "-S", "-I", "-c", program], check=True)
