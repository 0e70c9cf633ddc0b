# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a shot as people and programs list them: what each is a change of, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import LucidError
from .model import Edit, Shot
from .takes import Take, list_takes
from .verdict_file import verdict_of
from .verdicts import Outcome, Total, brief

DAMAGED = "damaged"


def take_rows(folder: Path, shot: Shot) -> list[dict[str, Any]]:
    """One row for each take of the shot in ``folder``, by number: number, state, parent, edit (layer, objects, start, change),
    seed and prompt (of an edit: those of its layer), seconds, verdict (outcome, failed, score; None while it is not measured),
    error. A take whose files are not Lucid's is "damaged" and its error says why; a verdict that is not is "damaged" too."""
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
    if row["verdict"] is not None:
        words.append(f"verdict: {_brief(row['verdict'])}")
    return ", ".join(words) + (f"; {row['error']}" if row["error"] else "")


def _row(take: Take, shot: Shot) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("number", "state", "parent", "edit", "seed", "seconds", "prompt", "verdict", "error"))
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
                  "seconds": seconds if isinstance(seconds, (int, float)) else None, "verdict": _verdict(take),
                  "error": str(error) if error else None}


def _verdict(take: Take) -> dict[str, Any] | None:
    try:
        verdict = verdict_of(take.folder)
    except LucidError:
        return {"outcome": DAMAGED, "failed": [], "score": None}
    if verdict is None:
        return None
    total = verdict.total
    return {"outcome": total.outcome.value, "failed": list(total.failed), "score": total.score}


def _brief(verdict: dict[str, Any]) -> str:
    if verdict["outcome"] == DAMAGED:
        return DAMAGED
    return brief(Total(Outcome(verdict["outcome"]), tuple(verdict["failed"]), verdict["score"]))


def _edit(edit: Edit, shot: Shot) -> dict[str, Any]:
    names = dict.fromkeys(shot.instances.get(number, str(number)) for number in edit.instances)
    return {"layer": edit.layer, "objects": list(names), "start": edit.start, "change": edit.change}
