# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the texts of the interface into addon/translations/*.po: run it with the bpy Python, after every change of a text.

``PYTHON scripts/translations.py`` adds new texts, without a translation, and drops those that are gone; ``--check`` changes
nothing, says what is missing, stale or cannot be translated, and ends with status 2 where there is anything. A new language
begins as an empty file ``LANGUAGE.po``, called as Blender calls the language.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import runpy
import string
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucid.addon.translation import Message

ROOT = Path(__file__).resolve().parents[1]
DEFAULT, OPERATOR = "*", "Operator"         # bpy.app.translations.contexts
WRAPPERS = {"iface_", "tip_", "rpt_", "n_", "say"}      # say: where there is no bpy
# what Blender translates when it gets it as it is written: the arguments, and the context
AUTOMATIC = {"label": (("text",), DEFAULT), "prop": (("text",), DEFAULT), "row": (("heading",), DEFAULT),
             "column": (("heading",), DEFAULT), "operator": (("text",), OPERATOR), "report": ((1,), DEFAULT)}
# what it takes as it comes
PLAIN = {"poll_message_set": (0,), "status_text_set": (0,), "said": (1, 2, 3), "wrapped": (1,), "progress": ("text",),
         "prop": ("placeholder",), "invoke_confirm": ("title", "message", "confirm_text"),
         "invoke_props_dialog": ("title", "confirm_text")}
MIRRORS = ("runtime", "worker_state")       # modules whose properties are drawn as text alone
HEAD = ("# SPDX-License-Identifier: GPL-3.0-or-later\n# Lucid's texts, collected by scripts/translations.py.\nmsgid \"\"\nmsgstr "
        "\"MIME-Version: 1.0\\nContent-Type: text/plain; charset=UTF-8\\nContent-Transfer-Encoding: 8bit\\nLanguage: {}\\n\"\n")


# ---- from the sources

def sources() -> list[Path]:
    """The modules that tell something to people; the command line is told in English."""
    found = [path for path in sorted((*ROOT.glob("addon/*.py"), *ROOT.glob("operators/*.py"))) if path.stem != "commands"]
    return [*found, ROOT / "inference" / "conditioning" / "estimate.py"]


def source_messages(path: Path) -> Iterator[Message]:
    """The texts that a module marks, or gives to Blender as they are."""
    for call in _calls(path):
        name = _name(call)
        if name in WRAPPERS and call.args and isinstance(call.args[0], ast.Constant):
            yield DEFAULT, call.args[0].value
        places, context = AUTOMATIC.get(name, ((), DEFAULT))
        for node in (node for argument in _arguments(call, places) for node in _parts(argument)):
            if isinstance(node, ast.Constant) and _is_text(node.value):
                yield context, node.value


def faults(path: Path) -> Iterator[str]:
    """Texts that are told and can not be translated, as "line: why"."""
    for call in _calls(path):
        name = _name(call)
        for node in _inside(call, AUTOMATIC.get(name, ((), ""))[0]):
            if not isinstance(node, ast.Constant):
                yield f"{node.lineno}: {name} gets a composed text"
        for node in _inside(call, PLAIN.get(name, ())):
            if not isinstance(node, ast.Constant) or _is_text(node.value):
                yield f"{node.lineno}: {name} gets a text without iface_ or rpt_"
        if name in WRAPPERS and isinstance(call.args[0], ast.JoinedStr):
            yield f"{call.lineno}: {name} gets an f-string: translate first, then format"
    if path.parent.name == "operators" or "panel" in path.stem or path.stem == "preferences":
        for node in _told(ast.parse(path.read_text(encoding="utf-8"))):
            yield f"{node.lineno}: an f-string with words: translate first, then format"


def _calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _arguments(call: ast.Call, places: Iterable[int | str]) -> Iterator[ast.expr]:
    for place in places:
        if isinstance(place, int):
            yield from call.args[place:place + 1]
        else:
            yield from (keyword.value for keyword in call.keywords if keyword.arg == place)


def _inside(call: ast.Call, places: Iterable[int | str]) -> Iterator[ast.expr]:
    """The texts and compositions with words that the arguments may come to."""
    for argument in _arguments(call, places):
        yield from _parts(argument)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from (*_parts(node.body), *_parts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (part for value in node.values for part in _parts(value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) or isinstance(node, (ast.JoinedStr, ast.BinOp)) \
            and _has_words(node):
        yield node


def _told(node: ast.AST) -> Iterator[ast.JoinedStr]:
    """f-strings with words, but for those of errors, which stay English."""
    if isinstance(node, ast.JoinedStr) and _has_words(node) and any(" " in part.value for part in _constants(node)):
        yield node
    elif not (isinstance(node, ast.Call) and _name(node) == "LucidError"):
        for child in ast.iter_child_nodes(node):
            yield from _told(child)


def _has_words(node: ast.expr) -> bool:
    return any(_is_text(part.value) for part in _constants(node))


def _constants(node: ast.expr) -> Iterator[ast.Constant]:
    """The texts of a composition; not those that formats, conditions and calls within it are made of."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, (ast.JoinedStr, ast.BinOp)):
        for part in node.values if isinstance(node, ast.JoinedStr) else (node.left, node.right):
            yield from _constants(part)
    elif isinstance(node, ast.IfExp):
        yield from (*_constants(node.body), *_constants(node.orelse))


def _is_text(value: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", value))


# ---- from what is registered

def registered_messages() -> Iterator[tuple[Message, str]]:
    """Names and tooltips of Lucid's operators, panels, properties and enumeration items, each with where it is from."""
    import bpy

    for cls in _classes(bpy.types.bpy_struct):
        rna, where = cls.bl_rna, cls.__name__
        if issubclass(cls, bpy.types.Operator):
            rna = getattr(bpy.ops.lucid, cls.bl_idname.partition(".")[2]).get_rna_type()
        if hasattr(cls, "bl_label"):
            yield (OPERATOR if issubclass(cls, bpy.types.Operator) else DEFAULT, cls.bl_label), where
        if vars(cls).get("__doc__") and issubclass(cls, (bpy.types.Operator, bpy.types.Panel)):
            yield (DEFAULT, rna.description), where
        names = [name for base in cls.__mro__ if base.__module__.startswith("lucid.")
                 for name in vars(base).get("__annotations__", ())]
        for name in dict.fromkeys(names):
            if name in rna.properties and not name.endswith("_index"):
                yield from ((message, f"{where}.{name}") for message in _of_property(rna.properties[name]))


def _classes(base: type) -> Iterator[Any]:
    for cls in base.__subclasses__():
        if cls.__module__.startswith("lucid.") and getattr(cls, "is_registered", False) \
                and cls.__module__.rpartition(".")[2] not in MIRRORS:
            yield cls
        yield from _classes(cls)


def _of_property(item: Any) -> Iterator[Message]:
    import bpy

    group = item.type == "POINTER" and isinstance(item.fixed_type, bpy.types.PropertyGroup)
    if item.is_hidden or item.type == "COLLECTION" or group:
        return
    if item.name != item.identifier:        # else nobody named it
        yield DEFAULT, item.name
    yield DEFAULT, item.description
    for choice in item.enum_items if item.type == "ENUM" else ():
        yield from ((DEFAULT, text) for text in (choice.name, choice.description))


def named_messages() -> Iterator[tuple[Message, str]]:
    """Words of other modules, which have no bpy, that are shown by themselves."""
    from lucid.addon.install import Kind
    from lucid.addon.installer.backends import BACKENDS
    from lucid.inference.conditioning.estimate import UNMEASURED
    from lucid.inference.shot.takes import State

    words = [(UNMEASURED, "estimate"), *((state.value, "State") for state in State), *((kind.value, "Kind") for kind in Kind),
             *((backend.title, "Backend") for backend in BACKENDS)]
    steps = [call.args[0] for call in _calls(ROOT / "addon" / "installer" / "steps.py") if _name(call) == "_step"]
    words += [(title.value, "Steps") for title in steps if isinstance(title, ast.Constant)]
    return (((DEFAULT, text), where) for text, where in words)


def messages() -> dict[Message, list[str]]:
    """Every text of the interface, and where it is from. Lucid is registered."""
    found: dict[Message, list[str]] = {}
    told = [*registered_messages(), *named_messages(),
            *((message, path.relative_to(ROOT).as_posix()) for path in sources() for message in source_messages(path))]
    for message, where in told:
        if _is_text(message[1]) and where not in (places := found.setdefault(message, [])):
            places.append(where)
    return dict(sorted(found.items(), key=lambda item: (item[0][1].casefold(), item[0])))


# ---- catalogues

def po(language: str, texts: dict[Message, list[str]], known: dict[Message, str]) -> str:
    """The file of a language (gettext), with what is translated already."""
    blocks = [HEAD.format(language)]
    for message, places in texts.items():
        context, text = message
        flag = "#, python-brace-format\n" if placeholders(text) else ""
        named = f"msgctxt {_quoted(context)}\n" if context != DEFAULT else ""
        blocks.append(f"#: {' '.join(places)}\n{flag}{named}msgid {_quoted(text)}\nmsgstr {_quoted(known.get(message, ''))}\n")
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def placeholders(text: str) -> set[tuple[str, str]]:
    """The names and formats in braces."""
    return {(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def wrong(texts: dict[Message, list[str]], known: dict[Message, str]) -> Iterator[str]:
    """What keeps a language from being whole."""
    for message in texts:
        if not known.get(message):
            yield f"not translated: {message}"
        elif placeholders(message[1]) != placeholders(known[message]):
            yield f"other placeholders than the text's: {message}: {known[message]!r}"
    yield from (f"stale: {message}" for message in known if message not in texts)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Collect the texts of the interface into addon/translations.")
    parser.add_argument("--check", action="store_true", help="change nothing; status 2 where something is missing or stale")
    asked = parser.parse_args(arguments)
    import lucid
    from lucid.addon.translation import FOLDER, read_catalogue

    lucid.register()
    texts = messages()
    lucid.unregister()
    said = [f"{path.relative_to(ROOT)}:{fault}" for path in sources() for fault in faults(path)]
    for path in sorted(FOLDER.glob("*.po")):
        known = read_catalogue(path)
        if not asked.check:
            path.write_text(po(path.stem, texts, known), encoding="utf-8")
            known = {message: text for message, text in known.items() if message in texts}
        said += [f"{path.name}: {fault}" for fault in wrong(texts, known)]
    sys.stdout.write("".join(f"{line}\n" for line in said) + f"{len(texts)} texts, {len(said)} faults\n")
    return 2 if said else 0


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "inference" / "__main__.py"))["load_package"](ROOT)
    sys.exit(main(sys.argv[1:]))
