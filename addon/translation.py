# SPDX-License-Identifier: GPL-3.0-or-later
"""Lucid's words in the language that Blender's preferences name; a language is a file ``translations/LANGUAGE.po``.

Blender translates by itself what it is given as it stands: names and tooltips of operators, properties, panels and enumeration
items, and texts that layouts, confirmations and reports get as they are written. What is composed, or told in another way, goes
through one of these, each of which heeds its own switch in the preferences:

- ``iface_``: what panels, lists and boxes show;
- ``tip_``: tooltips that an operator's ``description`` gives;
- ``rpt_``: reports, poll messages, the status bar;
- ``n_``: no translation, a mark for one that is made where the text is used.

A text is translated first and filled then, ``rpt_("Take {number} goes on").format(number=3)``; one that counts is two texts, for
one and for more. What a LucidError says stays English, and so does all else that the command line, the worker and the logs say
too (findings, progress, verdicts): it is searched for. So do the names of what is made in a file. ``scripts/translations.py``
finds what there is to translate.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_n as n_
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.app.translations import pgettext_tip as tip_

from .. import __package__ as base_package

__all__ = ["iface_", "n_", "read_catalogue", "register", "rpt_", "tip_", "unregister"]

FOLDER = Path(__file__).with_name("translations")
DEFAULT = bpy.app.translations.contexts.default     # of all but operators' names

Message = tuple[str, str]       # context and text, as written in the source


def read_catalogue(path: Path) -> dict[Message, str]:
    """The texts of a .po file (gettext): each context and text on its line, or on more, in quotes; untranslated ones are ""."""
    found = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        fields, name = {"msgctxt": DEFAULT, "msgid": "", "msgstr": ""}, ""
        for line in block.splitlines():
            if line.startswith(("msgctxt ", "msgid ", "msgstr ")):
                name, _, line = line.partition(" ")
                fields[name] = ""
            if line.startswith('"'):
                fields[name] += json.loads(line)
        if fields["msgid"]:         # else it is the file's head
            found[fields["msgctxt"], fields["msgid"]] = fields["msgstr"]
    return found


def register() -> None:
    bpy.app.translations.register(base_package, {
        path.stem: {message: text for message, text in read_catalogue(path).items() if text} for path in FOLDER.glob("*.po")})


def unregister() -> None:
    bpy.app.translations.unregister(base_package)
