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
_LONGEST = 1e9      # seconds


def take_rows(folder: Path, shot: Shot) -> list[dict[str, Any]]:
    """One row for each take of the shot in ``folder``, by number."""
    return [take_row(take, shot) for take in list_takes(folder)]


def take_row(take: Take, shot: Shot | None) -> dict[str, Any]:
    """number, state, favourite, parent, edit (layer, objects, start, change), keep (the parent's layers that stay), seed and
    prompt (of an edit: those of its layer), steps (None while nobody knows the model's own), seconds, verdict (outcome, failed,
    score; None while it is not measured), error.

    A take whose files are not Lucid's is "damaged" and its error says why; a verdict that is not is "damaged" too. Objects of the
    environment are named as the shot names them; without one, by their ids.
    """
    row: dict[str, Any] = dict.fromkeys(("number", "state", "favourite", "parent", "edit", "keep", "seed", "steps", "seconds",
                                         "prompt", "verdict", "error"))
    row |= {"number": take.number, "favourite": take.favourite}
    try:
        request, result, state = take.request(), take.result() or {}, take.state()
        error = LucidError(**result["error"]) if result.get("error") else None
    except LucidError as damage:
        return row | {"state": DAMAGED, "error": str(damage)}
    edit, seconds = request.edit, result.get("seconds")
    return row | {"state": state.value, "parent": request.parent, "edit": None if edit is None else _edit(edit, shot),
                  "keep": list(request.keep), "seed": request.seed if edit is None else request.seed_of(edit.layer),
                  "steps": request.steps or result.get("steps"),
                  "prompt": request.prompt if edit is None else request.prompt_of(edit.layer),
                  "seconds": seconds if _is_time(seconds) else None, "verdict": _verdict(take),
                  "error": str(error) if error else None}


def row_text(row: dict[str, Any]) -> str:
    """A row in one line."""
    words = [f"take {row['number']}: {row['state']}", *(["favourite"] if row["favourite"] else [])]
    if row["state"] == DAMAGED:
        return ", ".join([*words, row["error"]])
    words += filter(None, [origin_text(row), f"seed {row['seed']}"])
    if row["seconds"] is not None:
        words.append(f"{row['seconds']:.1f} s")
    words.append(f'"{row["prompt"]}"')
    if row["verdict"] is not None:
        words.append(f"verdict: {verdict_text(row['verdict'])}")
    return ", ".join(words) + (f"; {row['error']}" if row["error"] else "")


def origin_text(row: dict[str, Any]) -> str:
    """What a take is a change of, or which layers it keeps of another; "" where it stands alone."""
    edit = row["edit"]
    if edit is None:
        return f"keeps {', '.join(row['keep'])} of take {row['parent']}" if row["keep"] else ""
    what = ", ".join(edit["objects"]) or edit["layer"]
    how = "" if edit["start"] == "noise" else f", {edit['change']:g} of the {edit['start']} painted again"
    return f"take {row['parent']} with another {what}{how}"


def verdict_text(verdict: dict[str, Any]) -> str:
    """Of a row's verdict, in a few words."""
    if verdict["outcome"] == DAMAGED:
        return DAMAGED
    return brief(Total(Outcome(verdict["outcome"]), tuple(verdict["failed"]), verdict["score"]))


def _is_time(seconds: Any) -> bool:
    """Of one that was really taken; 1e999 in a JSON file is infinite."""
    return isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST        # of NaN neither holds


def _verdict(take: Take) -> dict[str, Any] | None:
    try:
        verdict = verdict_of(take.folder)
    except LucidError:
        return {"outcome": DAMAGED, "failed": [], "score": None}
    if verdict is None:
        return None
    total = verdict.total
    return {"outcome": total.outcome.value, "failed": list(total.failed), "score": total.score}


def _edit(edit: Edit, shot: Shot | None) -> dict[str, Any]:
    known = {} if shot is None else shot.instances
    names = dict.fromkeys(known.get(number, str(number)) for number in edit.instances)
    return {"layer": edit.layer, "objects": list(names), "start": edit.start, "change": edit.change}
