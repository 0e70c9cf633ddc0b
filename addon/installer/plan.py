# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation is to do, written down for the process that does it, and where its results lie."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from ...inference.errors import LucidError
from ...inference.shot.store import read_json
from .backends import INDEX, Backend

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
PREFIX = "ui-worker-"
PYTHON = "3.12"
STAMP = "lucid-env.json"
POINTER = "worker.json"
# each is imported by some part of the worker
IMPORTS = ("numpy", "scipy", "PIL", "OpenEXR", "cv2", "safetensors", "torch", "transformers", "diffusers", "accelerate",
           "fastapi", "uvicorn")
# diffusers 0.42.1 and transformers 5.3 close holes through which a model folder could run code
FLOORS = {"torch": "2.6", "diffusers": "0.42.1", "transformers": "5.3"}
NEEDS: dict[str, Any] = {"python": [3, 11], "imports": list(IMPORTS), "floors": FLOORS}
_LOCKED = ("--require-hashes", "--no-deps", "--only-binary", ":all:")     # what is installed is data: no package's code runs


@dataclass(frozen=True)
class Plan:
    """``python`` are arguments of ``uv venv``; ``installs`` titles with the arguments of one ``uv pip install`` each;
    ``probe`` is what probe.py is asked in the end; ``disk`` is in megabytes."""

    home: str
    name: str
    title: str
    python: tuple[str, ...]
    installs: tuple[tuple[str, tuple[str, ...]], ...]
    probe: dict[str, Any]
    disk: int

    @property
    def folder(self) -> Path:
        return Path(self.home) / "envs" / self.name

    @property
    def partial(self) -> Path:
        return self.folder.with_name(f"{self.name}.partial")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        data = json.loads(text)
        data["installs"] = tuple((title, tuple(arguments)) for title, arguments in data["installs"])
        data["python"] = tuple(data["python"])
        return cls(**{field.name: data[field.name] for field in fields(cls)})


def plan_for(backend: Backend, home: Path) -> Plan:
    """The worker for one build of torch. The environment's name changes with whatever is in it."""
    locks = [REQUIREMENTS / "worker.txt", REQUIREMENTS / backend.lock]
    told = "\0".join([backend.key, PYTHON, *(lock.read_text(encoding="utf-8") for lock in locks)])
    torch = (("--torch-backend", backend.index, "--only-binary", ":all:") if backend.lock == INDEX else _LOCKED)
    return Plan(str(home), PREFIX + hashlib.sha256(told.encode()).hexdigest()[:10], backend.title,
                ("--managed-python", "--python", PYTHON),
                (("libraries", (*_LOCKED, "-r", str(locks[0]))), (f"torch for {backend.title}", (*torch, "-r", str(locks[1])))),
                NEEDS | {"device": backend.device}, backend.disk)


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed(home: Path) -> Path | None:
    """The environment made here that worker.json points to, also when it is damaged; None when it points elsewhere or nowhere."""
    pointer = home / POINTER
    try:
        python = Path(str(read_json(pointer, "WORKER_MISSING", "").get("python", ""))) if pointer.is_file() else None
    except LucidError:
        return None
    folder = python.parents[1] if python is not None and len(python.parents) > 1 else None
    mine = folder is not None and folder.parent == home / "envs" and folder.name.startswith(PREFIX)
    return folder if mine else None


def leftovers(home: Path) -> list[Path]:
    """Every folder that installing here may have made, whole or not."""
    made = sorted((home / "envs").glob(f"{PREFIX}*")) if (home / "envs").is_dir() else []
    return [*made, *(path for path in [home / "uv"] if path.is_dir())]


def free_megabytes(home: Path) -> int:
    """Room on the disk that ``home`` is on, or will be."""
    place = next(path for path in (home, *home.parents) if path.is_dir())
    return shutil.disk_usage(place).free // 1_000_000
