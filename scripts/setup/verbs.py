# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's verbs: which process runs each, with its arguments and exit status passed through."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from ...inference.console import EXIT_ERROR, WORKER_VERBS, run_verb
from ...inference.errors import LucidError
from .blender import find_host
from .environments import BPY, WORKER, explicit_worker, worker_python
from .home import REPOSITORY, lucid_home, make_home

USAGE = """usage: python3 scripts/lucid.py VERB [...]

  demo      build the demo scene, run the whole loop on it, show where everything is   [--out DIR]
  run       BLEND --prompt T --out DIR [...]        capture, generate and import, all of it
  capture   BLEND --out S.lucid [--camera N] [--frames A:B[:STEP]] [--size WxH] [--actors A,B]
            [--action [OBJECT=]ACTION] let that action play   [--frame-camera ACTOR] look at it with a new camera
  generate  S.lucid [--prompt T] [--layer-prompt NAME=T]... [--seed N] [--steps N] [--weights mini|PATH|REPO]
            [--strength NAME=V] [--reference NAME=PNG] [--best-of N] [--like OTHER.lucid:N] [...]
  edit      S.lucid --take N --at X,Y,FRAME | --object NAME  [--prompt T] [--seed N] [--strength V]    change one thing
  takes     S.lucid                                 what was made of it
  measure   S.lucid [--take N] [--heat] [--html FILE]    hold a take against the scene: verdict, report, what to repair
  resume    S.lucid N                               go on with a take that was stopped
  import    S.lucid --take N --blend IN --out OUT
  inspect   S.lucid
  camera    S.lucid --format re10k|pluecker|words --out FILE      the camera's path for other models
  test      every ring of tests that this machine can run   [--rings pure,bpy,blender] [pytest arguments]
  setup     make the environments now   [--tests]
  doctor    what is found on this machine, and what to do about each gap

VERB --help says more about one. Environments are kept below LUCID_HOME (now {home}).
Set BLENDER_BIN to use your own Blender 5.2, LUCID_WORKER_PYTHON to use your own worker environment.
"""
IN_BLENDER = ("capture", "import", "run")


def run(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit status. Errors are one line on stderr and status 2."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        (sys.stdout if argv else sys.stderr).write(USAGE.format(home=lucid_home()))
        return 0 if argv else EXIT_ERROR
    return run_verb(lambda: _dispatch(argv[0], list(argv[1:])))


def _dispatch(verb: str, arguments: list[str]) -> int:
    if verb != "doctor":        # which says itself what is wrong with the home
        make_home()
    if verb in IN_BLENDER:
        return replace_process(blender_verb(verb, arguments))
    if verb in WORKER_VERBS:
        return replace_process(worker_verb(verb, arguments))
    own = {"demo": _demo, "test": _test, "setup": _setup, "doctor": _doctor}.get(verb)
    if own is None:
        names = ", ".join((*sorted(("demo", "test", "setup", "doctor")), *IN_BLENDER, *WORKER_VERBS))
        raise LucidError("USAGE", f"'{verb}' is not a verb", f"one of {names}; see --help")
    return own(arguments)


def blender_verb(verb: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs a verb in Blender. Only ``run`` needs the worker, so only it waits for one to be made."""
    if verb == "run" and "--help" not in arguments and "-h" not in arguments:
        _publish_worker()
    return find_host().command(REPOSITORY / "scripts" / "blender_entry.py", [verb, *arguments])


def worker_verb(verb: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs a verb in the worker."""
    return [str(explicit_worker() or worker_python()), str(REPOSITORY / "inference"), verb, *arguments]


def replace_process(command: Sequence[str]) -> int:
    """Become that command, so that signals and the exit status are its own; a child process on Windows.

    Raises NOT_STARTED.
    """
    environ = child_environ()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "nt":
            return subprocess.call(command, env=environ)
        os.execve(command[0], list(command), environ)
    except OSError as error:
        raise LucidError("NOT_STARTED", f"{command[0]} cannot be started: {error.strerror or error}",
                         "run `python3 scripts/lucid.py doctor`") from error


def child_environ() -> dict[str, str]:
    """The environment of every process started: where the home is, and the worker where there is one."""
    environ = {**os.environ, "LUCID_HOME": str(lucid_home())}
    if "LUCID_WORKER_PYTHON" not in environ and WORKER.ready():
        environ["LUCID_WORKER_PYTHON"] = str(WORKER.python)
    return environ


def _publish_worker() -> None:
    if explicit_worker() is None:
        worker_python()


def _demo(arguments: list[str]) -> int:
    from .demo import demo

    return demo(arguments)


def _test(arguments: list[str]) -> int:
    from .rings import test

    return test(arguments)


def _doctor(arguments: list[str]) -> int:
    from .doctor import doctor

    if arguments:
        raise LucidError("USAGE", "doctor takes no arguments", "run `python3 scripts/lucid.py doctor`")
    return doctor()


def _setup(arguments: list[str]) -> int:
    if arguments not in ([], ["--tests"]):
        raise LucidError("USAGE", f"setup does not know {' '.join(arguments)}", "setup [--tests]")
    tests = bool(arguments)
    paths: dict[str, Callable[[], object]] = {"worker": lambda: worker_python(tests=tests),
                                              "bpy": lambda: BPY.ensure(tests=tests)}
    for name, ensure in paths.items():
        sys.stdout.write(f"{name}: {ensure()}\n")
    return 0
