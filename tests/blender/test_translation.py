# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender that speaks German shows Lucid's texts in German: its own, those that Blender looks up, and composed ones."""

from __future__ import annotations

import json
import subprocess

import pytest
from lucid.tests.blender.conftest import LIMIT, Blender

SESSION = """
import json
import sys

import addon_utils
import bpy

translations, package = bpy.app.translations, "bl_ext.user_default.lucid"


def refused(operator, **values):
    try:
        operator(**values)
    except RuntimeError as error:
        return str(error)


scene = bpy.context.scene
said = {
    "locale": translations.locale,
    "label": translations.pgettext_iface("Capture and Generate"),
    "operator": translations.pgettext_iface("Capture", "Operator"),
    "item": bpy.types.UILayout.enum_item_name(scene.lucid, "noise", "surface"),
    "tooltip": bpy.types.UILayout.enum_item_description(scene.lucid, "noise", "surface"),
    "poll": refused(bpy.ops.lucid.generate),
}
bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection
said["report"] = refused(bpy.ops.lucid.actor_add, kind="COLLECTION")
bpy.ops.lucid.actor_add(kind="OBJECT")      # prints its composed report
addon_utils.disable(package)
said["after"] = translations.pgettext_iface("Capture and Generate")
translations.register(package, {})          # Blender takes one for each add-on: none is left
translations.unregister(package)
sys.stdout.write("said " + json.dumps(said) + chr(10))
"""


@pytest.fixture(scope="module")
def german(blender: Blender) -> str:
    """What is printed by a Blender whose language is the system's, and that is German."""
    environ = blender.environ(LC_ALL="de_DE.UTF-8", LANG="de_DE.UTF-8", LANGUAGE="de")
    done = subprocess.run([blender.executable, "-b", "--python-exit-code", "1", "--python-expr", SESSION], env=environ,
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_texts_are_german(german: str) -> None:
    said = json.loads(next(line for line in german.splitlines() if line.startswith("said ")).removeprefix("said "))
    assert said["locale"].startswith("de")
    assert (said["label"], said["operator"], said["item"]) == ("Aufnehmen und Generieren", "Aufnehmen", "Auf Oberflächen")
    assert said["tooltip"].startswith("Das Rauschen geht mit")
    assert "Zuerst den Shot aufnehmen" in said["poll"]
    assert "Die Sammlung der Szene selbst enthält alles" in said["report"]      # as it is written in the source
    assert "'Cube' ist ein Akteur" in german                                    # composed
    assert said["after"] == "Capture and Generate"
