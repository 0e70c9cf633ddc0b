# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two sides say: everything that is right comes back, everything that is wrong is named. And the numbered events."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lucid.inference.errors import LucidError
from lucid.inference.worker.protocol import (
    PROTOCOL,
    SPOKEN,
    Hello,
    Job,
    Listing,
    Record,
    Submit,
    check_spoken,
    error_from_json,
    from_bytes,
    job_id,
    to_bytes,
)
from lucid.inference.worker.ring import Ring
from served import ENTRY

ERROR = LucidError("WEIGHTS_MISSING", "there are none", "get some").to_json()
JOB = Job("00ff00ff00ff00ff", "/shots/a.lucid", 3, "running", 4, 9, "environment, step 4", 1.5)
EVERY = [JOB, Job("1" * 16, "/ü/a.lucid", 1, "failed", error=ERROR), Listing("ab", 7, (JOB,)), Listing("ab", 0, ()),
         Hello(SPOKEN, "0.1.0", "ab", 12, "3.11.7", None, 0), Hello((1, 4), "0.2.0", "ab", 12, "3.11.7", "CPU", 2),
         Record(12, 1.5, 4711, "secret", SPOKEN, "0.1.0", "ab")]


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire_and_unknown_fields_are_ignored(message: Any) -> None:
    data = from_bytes(to_bytes(message.to_json()))
    assert type(message).from_json(data) == message
    assert type(message).from_json(data | {"mood": "good", "list": [1]}) == message


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_a_field_of_another_type_is_named(message: Any) -> None:
    data = message.to_json()
    for name, value in data.items():
        for wrong in ({}, True, 1 if isinstance(value, str) or name == "device" else "x", [1]):
            with pytest.raises(LucidError, match="^PROTOCOL_INVALID: '") as caught:
                type(message).from_json(data | {name: wrong})
            assert name in caught.value.text or name in ("error", "jobs")


@pytest.mark.parametrize(("data", "named"), [
    ({}, "shot"), ({"shot": "/a.lucid"}, "take"), ({"shot": "/a.lucid", "take": 0}, "take"), ({"shot": 3, "take": 1}, "shot"),
    ({"shot": "/a.lucid", "take": True}, "take"), ({"shot": "/a.lucid", "take": 1.0}, "take"),
    ({"shot": "/a.lucid", "take": 10**9}, "take"), ({"shot": "/a.lucid", "take": 1, "action": "delete"}, "action"),
    ({"shot": "/a.lucid", "take": 1, "action": None}, "action")])
def test_a_wrong_wish_is_named(data: dict[str, Any], named: str) -> None:
    with pytest.raises(LucidError, match=f"^PROTOCOL_INVALID: '{named}'"):
        Submit.from_json(data)


def test_a_wish() -> None:
    assert Submit.from_json({"shot": "/a.lucid", "take": 2, "colour": "red"}) == Submit("/a.lucid", 2, "run")
    assert Submit.from_json({"shot": "/a.lucid", "take": 2, "action": "resume"}).action == "resume"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b"[" * 60_000,
                                  b'{"a":' * 10_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(LucidError, match="^PROTOCOL_INVALID"):
        from_bytes(data)


def test_numbers_and_seconds_are_bounded() -> None:
    for change in ({"done": -1}, {"done": 2**60}, {"seconds_left": "soon"}, {"seconds_left": 1e999}, {"take": 0}):
        with pytest.raises(LucidError, match="^PROTOCOL_INVALID"):
            Job.from_json(JOB.to_json() | change)
    with pytest.raises(ValueError):
        to_bytes({"a": float("nan")})


def test_an_error_is_the_same_on_the_other_side() -> None:
    assert error_from_json(json.loads(json.dumps(ERROR))).to_json() == ERROR
    with pytest.raises(LucidError, match="^PROTOCOL_INVALID"):
        error_from_json({"code": "X"})


def test_only_the_same_take_is_the_same_job() -> None:
    base = job_id(Path("/shots/a.lucid"), "ab" * 32, 1)
    assert base == job_id(Path("/shots/a.lucid"), "ab" * 32, 1) and len(base) == 16 and int(base, 16) >= 0
    others = {job_id(Path("/shots/b.lucid"), "ab" * 32, 1), job_id(Path("/shots/a.lucid"), "ac" * 32, 1),
              job_id(Path("/shots/a.lucid"), "ab" * 32, 2), job_id(Path("/shots/\udcff.lucid"), "ab" * 32, 1)}
    assert len(others | {base}) == 5


def test_another_lucids_worker_is_told_apart() -> None:
    check_spoken(SPOKEN)
    check_spoken((1, PROTOCOL + 5))         # a newer one that still speaks this
    with pytest.raises(LucidError, match="^WORKER_OLDER"):
        check_spoken((0, SPOKEN[0] - 1))
    with pytest.raises(LucidError, match="^WORKER_NEWER"):
        check_spoken((PROTOCOL + 1, PROTOCOL + 2))


def test_blenders_side_needs_nothing_but_python() -> None:
    """``python -S -I`` has no site-packages, so neither fastapi nor numpy."""
    program = (f"import runpy; runpy.run_path({str(ENTRY / '__main__.py')!r})['load_package']"
               f"(__import__('pathlib').Path({str(ENTRY.parent)!r})); import lucid.inference.worker.feed")
    subprocess.run([sys.executable, "-S", "-I", "-c", program], check=True)


def names(ring: Ring, number: int) -> list[str]:
    return [event["event"] for event in ring.after(number)[0]]


def test_events_are_numbered_and_come_again() -> None:
    ring = Ring(3)
    assert ring.after(0) == ([], False) and ring.last == 0
    assert [ring.add({"event": name}) for name in "abc"] == [1, 2, 3]
    assert ring.after(0) == ([{"seq": 1, "event": "a"}, {"seq": 2, "event": "b"}, {"seq": 3, "event": "c"}], False)
    assert names(ring, 2) == ["c"] and ring.after(3) == ([], False)


def test_a_reader_that_was_away_too_long_is_told() -> None:
    ring = Ring(3)
    for name in "abcde":
        ring.add({"event": name})
    assert names(ring, 2) == ["c", "d", "e"] and not ring.after(2)[1]
    assert names(ring, 1) == ["c", "d", "e"] and ring.after(1)[1]
    assert ring.after(6)[1]                 # a number that another worker gave


def test_listeners_hear_as_long_as_they_listen() -> None:
    ring, heard = Ring(), []
    with ring.listening(lambda: heard.append(ring.last)):
        ring.add({"event": "a"})
        ring.close()
    ring.add({"event": "b"})
    assert heard == [1, 1] and ring.closed
