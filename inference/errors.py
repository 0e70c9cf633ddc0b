# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error family. Raise it anywhere; only operators and the command line turn it into words for people."""

from __future__ import annotations


class LucidError(Exception):
    """A failure the user can act on.

    ``code`` is stable and UPPER_SNAKE_CASE, ``text`` says what is wrong in one line, ``hint`` says what to do next.
    """

    def __init__(self, code: str, text: str, hint: str) -> None:
        super().__init__(code, text, hint)
        self.code = code
        self.text = text
        self.hint = hint

    def to_json(self) -> dict[str, str]:
        """The error as a take's result holds it; ``LucidError(**data)`` is the way back."""
        return {"code": self.code, "text": self.text, "hint": self.hint}

    def __str__(self) -> str:
        return f"{self.code}: {self.text} ({self.hint})"
