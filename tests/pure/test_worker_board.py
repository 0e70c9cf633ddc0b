# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender makes of the worker's events: which job is where, and what is known when the worker is gone."""

from __future__ import annotations

import socket

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.worker.board import Board
from lucid.inference.worker.held import Held
from lucid.inference.worker.protocol import Job


def job(number: str, state: str = "queued", **more: object) -> dict[str, object]:
    return Job(number, "/shots/street.lucid", 1, state, **more).to_json()


def numbers(jobs: list[Job]) -> list[str]:
    return [each.id for each in jobs]


def test_jobs_are_in_the_workers_order() -> None:
    board = Board()
    assert not board.known and board.error is None and board.job("a") is None
    board.hear({"event": "found", "epoch": "1", "jobs": [job("z", "done"), job("a", "running", done=1, total=4), job("b")]})
    board.hear({"seq": 1, "event": "queued", "job": job("c")})
    assert board.known and numbers(board.ahead("c")) == ["a", "b"] and board.ahead("a") == []
    board.hear({"seq": 2, "event": "progress", "job": job("a", "running", done=2, total=4, text="step", seconds_left=3.0)})
    found = board.job("a")
    assert found is not None and (found.done, found.total, found.text, found.seconds_left) == (2, 4, "step", 3.0)
    board.hear({"seq": 3, "event": "ended", "job": job("a", "cancelled")})
    board.hear({"seq": 4, "event": "started", "job": job("b", "running")})
    board.hear({"seq": 5, "event": "queued", "job": job("a")})
    assert numbers(board.ahead("a")) == ["b", "c"]          # resumed, it comes last


def test_what_is_lost_is_not_known() -> None:
    board = Board()
    board.hear({"event": "found", "epoch": "1", "jobs": [job("a", "running")]})
    board.hear({"event": "lost", "error": {"code": "WORKER_GONE", "text": "no worker is running", "hint": "start it"}})
    assert not board.known and board.job("a") is None and board.error is not None and board.error.code == "WORKER_GONE"
    board.hear({"event": "found", "epoch": "2", "jobs": []})
    assert board.known and board.error is None and board.job("a") is None


def test_events_of_a_later_lucid_change_nothing_and_nonsense_is_refused() -> None:
    board = Board()
    board.hear({"event": "found", "epoch": "1", "jobs": [job("a", "running")]})
    board.hear({"seq": 1, "event": "weather", "sky": "blue"})
    assert board.job("a") == Job("a", "/shots/street.lucid", 1, "running")
    for wrong in ({"event": "ended", "job": {"id": 3}}, {"event": "lost", "error": "why"}, {"event": "found", "jobs": [{}]}):
        with pytest.raises(LucidError, match="^PROTOCOL_INVALID"):
            board.hear(wrong)


def test_a_cut_socket_wakes_its_reader_and_no_other_is_taken() -> None:
    held = Held()
    one, other = socket.socketpair()
    with one, other:
        held(one)
        assert held.current is one and not held.over and not held.sleep(0.0)
        held.patience(5.0)
        held.cut()
        assert one.recv(1) == b"" and held.over and held.sleep(5.0)
        with pytest.raises(LucidError, match="^WORKER_GONE"):
            held(other)
        held.release()
        held.cut()
        assert held.current is None
