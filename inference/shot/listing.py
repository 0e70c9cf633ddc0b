# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a shot as people and programs list them: what each is a change of, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import LucidError
from .model import Edit, Shot
from .takes import Take, list_takes

DAMAGED = "damaged"


def take_rows(folder: Path, shot: Shot) -> list[dict[str, Any]]:
    """One row for each take of the shot in ``folder``, by number: number, state, parent, edit (layer, objects, start, change),
    seed and prompt (of an edit: those of its layer), seconds, error. A take whose files are not Lucid's is "damaged" and its
    error says why."""
    return [_row(take, shot) for take in list_takes(folder)]


def row_text(row: dict[str, Any]) -> str:
    """A row in one line."""
    words = [f"take {row['number']}: {row['state']}"]
    if row["state"] == DAMAGED:
        return f"{words[0]}, {row['error']}"
    if row["edit"] is not None:
        edit = row["edit"]
        what = ", ".join(edit["objects"]) or edit["layer"]
        how = "" if edit["start"] == "noise" else f", {edit['change']:g} of the {edit['start']} painted again"
        words.append(f"take {row['parent']} with another {what}{how}")
    words.append(f"seed {row['seed']}")
    if row["seconds"] is not None:
        words.append(f"{row['seconds']:.1f} s")
    words.append(f'"{row["prompt"]}"')
    return ", ".join(words) + (f"; {row['error']}" if row["error"] else "")


def _row(take: Take, shot: Shot) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("number", "state", "parent", "edit", "seed", "seconds", "prompt", "error"))
    row["number"] = take.number
    try:
        request, result, state = take.request(), take.result() or {}, take.state()
        error = LucidError(**result["error"]) if result.get("error") else None
    except LucidError as damage:
        return row | {"state": DAMAGED, "error": str(damage)}
    except TypeError:
        return row | {"state": DAMAGED, "error": f"{take.folder / 'result.json'} names an error that is none"}
    edit, seconds = request.edit, result.get("seconds")
    return row | {"state": state.value, "parent": request.parent, "edit": None if edit is None else _edit(edit, shot),
                  "seed": request.seed if edit is None else request.seed_of(edit.layer),
                  "prompt": request.prompt if edit is None else request.prompt_of(edit.layer),
                  "seconds": seconds if isinstance(seconds, (int, float)) else None, "error": str(error) if error else None}


def _edit(edit: Edit, shot: Shot) -> dict[str, Any]:
    names = dict.fromkeys(shot.instances.get(number, str(number)) for number in edit.instances)
    return {"layer": edit.layer, "objects": list(names), "start": edit.start, "change": edit.change}
