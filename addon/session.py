# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface's job: one take at a time, mirrored into ``WindowManager.lucid``.

With a window it is in the hands of the worker that outlives Blender and serves every Blender of this user; without one, in a
process of its own, which ends with it. What a Blender that is gone left behind is taken up by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.takes import State, Take, list_takes
from .following import FollowedJob, ServedJob
from .jobs import Job, JobStatus, OwnJob, References
from .redraw import tick
from .translation import iface_

_TO_END = 1.0                   # seconds for each thread of a job to end; they are woken, and do so at once
_job: Job | None = None         # one job at a time in the interface: it is the user's only GPU
_found: list[Take] = []         # takes that another Blender handed over; the first of them may be the job


def running() -> bool:
    return _job is not None


def current() -> Job | None:
    """The interface's job."""
    return _job


def start(shot: Path, request: TakeRequest, references: References | None = None) -> Job:
    """Start the interface's job and the timer that mirrors it into ``WindowManager.lucid``. ``references`` are pictures of each
    layer. Raises JOB_RUNNING, and what the job raises."""
    kind = OwnJob if bpy.app.background else ServedJob
    return _begin(lambda: kind(shot, request, references=references))


def resume(shot: Path, take: Take) -> Job:
    """Go on with a take that was interrupted or cancelled, or that waits and that no worker has, as the interface's job, whose
    status tells what the worker says of it. Raises JOB_RUNNING, and what the job raises."""
    return _begin(lambda: ServedJob(shot, None, take))


def _begin(make: Callable[[], Job]) -> Job:
    global _job
    if _job is not None:
        raise LucidError("JOB_RUNNING", "a take is being generated already", "wait for it, or cancel it")
    manager = bpy.context.window_manager
    try:
        job = make()
    except LucidError as error:
        manager.lucid.error = str(error)        # also where a report is gone after seconds
        raise
    _job, manager.lucid_worker.notice = job, ""
    _found.clear()
    _keep_looking()
    mirror()
    return job


def look_around() -> None:
    """Another file is open, or Lucid was switched on: what the takes of the listed shot came to without this Blender."""
    global _job
    manager = bpy.context.window_manager
    manager.lucid_worker.notice = ""
    if _found and _job is not None:     # taken up for the file that was open before
        _job.forget()
        _job, manager.lucid.running = None, False
        _found.clear()
    try:
        ended = [take for take in _listed() if _result(take).is_file()]
        if ended and bpy.data.filepath and _result(ended[-1]).stat().st_mtime > Path(bpy.data.filepath).stat().st_mtime \
                and ended[-1].state() is State.DONE:
            manager.lucid_worker.notice = iface_(
                "Take {number} was finished after this file was saved: press To Timeline").format(number=ended[-1].number)
    except (OSError, LucidError):       # deleted at this moment, or damaged: the list tells
        return
    if not bpy.app.background:          # without a window nobody would look after a job
        take_up()


def take_up() -> None:
    """Make a take of the listed shot that waits or runs, and that this Blender did not hand over, the interface's job: one that
    runs first, then the next. Those that nobody has are left as they are, and the notice says so."""
    if _job is not None:
        return
    # one that has a result has ended: of many takes, few are read for this
    open_ones = [(_state(take), take) for take in _listed() if not _result(take).is_file()]
    _found[:] = [take for wanted in (State.RUNNING, State.QUEUED) for state, take in open_ones if state is wanted]
    if _take_up_next():
        _keep_looking()


def _state(take: Take) -> State | None:
    """None for one that is damaged: the list says so."""
    try:
        return take.state()
    except LucidError:
        return None


def _result(take: Take) -> Path:
    return take.folder / "result.json"


def _listed() -> list[Take]:
    """The takes of the shot that the list shows; read off the disk, for the list may still be reading."""
    shot = bpy.context.window_manager.lucid.takes_of
    return list_takes(Path(bpy.path.abspath(shot)).resolve()) if shot else []


def _take_up_next() -> bool:
    global _job
    try:
        _job = FollowedJob(_found[0].folder.parents[1], _found[0]) if _found else None
    except LucidError:          # the shot was moved away
        _found.clear()
    return _job is not None


def _keep_looking() -> None:
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):      # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)


def cancel() -> None:
    """Cancel the interface's job, if there is one."""
    if _job is not None:
        _job.cancel()
        bpy.context.window_manager.lucid.text = iface_("cancelling")


def mirror() -> bool:
    """Copy the job's status into ``WindowManager.lucid``; True while it goes on, or another was taken up."""
    if _job is None:
        return False
    job, runtime = _job, bpy.context.window_manager.lucid
    try:
        status = job.status()
    except LucidError as error:     # a timer that raises would never run again, and the job never end
        status = JobStatus(State.FAILED, error=error)
    runtime.running = not status.over
    runtime.progress, runtime.text = status.fraction, status.text
    runtime.seconds_left = -1.0 if status.seconds_left is None else status.seconds_left
    runtime.error = str(status.error) if status.error else ""
    if status.over:
        return _end(job, status)
    if (row := runtime.row(job.take)) is not None:
        row.state = status.state.name
    return True


def _end(job: Job, status: JobStatus) -> bool:
    """The job is over: its take is listed as it is now. True where another was taken up."""
    global _job
    manager = bpy.context.window_manager
    runtime, taken_up = manager.lucid, bool(_found)
    listed = runtime.row(job.take) is not None
    if taken_up:
        _found.pop(0)
    if status.state is State.DONE and (taken_up or not listed):
        manager.lucid_worker.notice = iface_("Take {number} of {shot} was finished meanwhile: press To Timeline").format(
            number=job.take.number, shot=job.shot.stem)
    elif taken_up and status.state is State.QUEUED:
        runtime.error = ""
        manager.lucid_worker.notice = iface_("Take {number} waits, and no worker has it: press Resume").format(
            number=job.take.number)
    job.forget()
    _job = None
    goes_on = taken_up and _take_up_next()
    if listed:                                  # another shot's list is left alone
        runtime.read_takes(runtime.takes_of, choose=job.take.number)
    return goes_on


def stop_polling() -> None:
    """Forget the job when Lucid is switched off. The worker goes on: the take on disk loses nothing."""
    global _job
    if _job is not None:
        _job.forget(_TO_END)
    _job = None
    _found.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    return tick(mirror)
