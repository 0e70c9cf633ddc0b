# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text of the interface can be translated, and every language is whole. That Blender shows it is for a Blender that has
languages, which the bpy module has not: tests/blender/test_translation.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from lucid.addon.translation import FOLDER, read_catalogue
from lucid.scripts import translations

CATALOGUES = sorted(FOLDER.glob("*.po"))


@pytest.fixture(scope="module")
def texts(registered: None) -> dict[translations.Message, list[str]]:
    return translations.messages()


def test_what_there_is_to_translate_is_found(texts: dict[translations.Message, list[str]]) -> None:
    assert {("Operator", "Capture"), ("*", "Capture and Generate"), ("*", "Nothing is being generated"),
            ("*", "Denoising steps; 0: as many as the model was made for"), ("*", "On Surfaces"), ("*", "Dolly Zoom"),
            ("*", "Captured {names}"), ("*", "Own Seed"), ("Operator", "To Timeline"), ("*", "interrupted"),
            ("*", "Apple, Metal"), ("*", "Windows on Timelines")} <= set(texts)
    assert not {("*", "Capture"), ("*", "filepath"), ("*", "Seconds Left")} & set(texts)
    assert "operators/actors.py" in texts["*", "'{name}' is an actor"]


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_a_language_is_whole(catalogue: Path, texts: dict[translations.Message, list[str]]) -> None:
    known = read_catalogue(catalogue)
    assert len(known) > 500
    assert not list(translations.wrong(texts, known))
    assert catalogue.read_text(encoding="utf-8") == translations.po(catalogue.stem, texts, known), "run scripts/translations.py"


def test_german_is_there() -> None:
    assert "de" in [path.stem for path in CATALOGUES]
    assert read_catalogue(FOLDER / "de.po")["Operator", "Capture"] == "Aufnehmen"


def test_what_keeps_a_language_from_being_whole() -> None:
    asked = {("*", "Take {number}"): ["here"], ("*", "took {seconds:.1f} s"): ["here"], ("Operator", "Show"): ["here"]}
    given = {("*", "Take {number}"): "Take {Nummer}", ("*", "took {seconds:.1f} s"): "{seconds} s", ("Operator", "Show"): "",
             ("*", "Gone"): "Fort"}
    told = list(translations.wrong(asked, given))
    assert [fault.partition(":")[0] for fault in told] == [
        "other placeholders than the text's", "other placeholders than the text's", "not translated", "stale"]
    assert not list(translations.wrong({("*", "{a} of {b}"): ["here"]}, {("*", "{a} of {b}"): "{b} mit {a}"}))


def test_a_catalogue_is_read_as_it_was_written(tmp_path: Path) -> None:
    known = {("Operator", "Show"): "Zeigen", ("*", "New"): "",
             ("*", 'a "quoted" {name},\nof two lines'): "ein »zitierter« {name}\\"}
    path = tmp_path / "de.po"
    path.write_text(translations.po("de", dict.fromkeys(known, ["here"]), known), encoding="utf-8")
    assert read_catalogue(path) == known
    path.write_text('msgid ""\nmsgstr "head"\n\n#: here\nmsgid ""\n"two "\n"lines"\nmsgstr "zwei Zeilen"\n', encoding="utf-8")
    assert read_catalogue(path) == {("*", "two lines"): "zwei Zeilen"}      # as other programs wrap it


@pytest.mark.parametrize("module", translations.sources(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_text_is_told_that_cannot_be_translated(module: Path) -> None:
    assert not list(translations.faults(module))


@pytest.mark.parametrize(("line", "count"), [
    ('layout.label(text="Camera")', 0), ("layout.label(text=row.text)", 0), ('layout.label(text=f"{row.text}: {row.hint}")', 0),
    ('layout.label(text=iface_("Take {number}").format(number=3))', 0), ('layout.label(text=f"take {number}")', 1),
    ('layout.label(text="one" if one else iface_("many"))', 0), ('layout.label(text="take " + number)', 1),
    ('layout.operator("lucid.x", text="Move it" if one else f"Move {name}")', 1), ('row.label(text=str(number))', 0),
    ('self.report({"INFO"}, "It is done")', 0), ('self.report({"INFO"}, f"{name} is done")', 1),
    ('self.report({"INFO"}, ("one" if one else "many") + " are done")', 1), ('self.report({"ERROR"}, str(error))', 0),
    ('cls.poll_message_set("Capture first")', 1), ('cls.poll_message_set(rpt_("Capture first"))', 0),
    ('said(layout, "It is known")', 1), ('said(layout, iface_("It is known"), known)', 0),
    ('layout.prop(data, "prompt", placeholder="What it shows")', 1), ('rpt_(f"Take {number}")', 1)])
def test_a_text_that_cannot_be_translated_is_seen(line: str, count: int, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(line, encoding="utf-8")
    assert len(list(translations.faults(module))) == count


def test_operators_compose_texts_of_translated_ones(tmp_path: Path) -> None:
    """What they return is told by those they inherit from."""
    module = tmp_path / "operators" / "take.py"
    module.parent.mkdir()
    module.write_text('def act():\n    raise LucidError("TAKE", f"take {n} is gone", f"see {n} there")\n'
                      '    return f"take {n} is done"\n', encoding="utf-8")
    assert [fault.partition(":")[0] for fault in translations.faults(module)] == ["3"]
