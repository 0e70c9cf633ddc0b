# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is at, as far as its events have told. Standard library only: Blender keeps one while it has a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import LucidError
from .protocol import Job, error_from_json


class Board:
    """Give :meth:`hear` each event of a :class:`.feed.Feed`. ``known`` says that a worker is there and its jobs are these;
    ``error`` is why none is, None before that is known."""

    def __init__(self) -> None:
        self.known = False
        self.error: LucidError | None = None
        self._jobs: dict[str, Job] = {}         # in the worker's order: ended, the one that runs, those that wait

    def hear(self, event: Mapping[str, Any]) -> None:
        """Events that it does not know change nothing. Raises PROTOCOL_INVALID for what no worker sends."""
        kind = event.get("event")
        if kind == "found":
            jobs = [Job.from_json(job) for job in event.get("jobs", ())]
            self.known, self.error, self._jobs = True, None, {job.id: job for job in jobs}
        elif kind == "lost":
            self.lose(error_from_json(event.get("error")))
        elif isinstance(event.get("job"), Mapping):
            job = Job.from_json(event["job"])
            if kind == "queued":
                self._jobs.pop(job.id, None)    # a take that is asked for again comes last
            self._jobs[job.id] = job

    def lose(self, error: LucidError) -> None:
        """Nothing is known any more."""
        self.known, self.error, self._jobs = False, error, {}

    def job(self, number: str) -> Job | None:
        return self._jobs.get(number)

    def ahead(self, number: str) -> list[Job]:
        """The job that runs and those that wait before this one."""
        found = []
        for job in self._jobs.values():
            if job.id == number:
                break
            if not job.over:
                found.append(job)
        return found
