# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on disk, window by window, so that it can be killed and goes on to the same bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import LucidError
from ..shot.store import disk_error, write_atomic
from .hooks import Step
from .windows import Place

SCHEMA = "lucid.latents/1"
TENSOR, FACTS = "latents", "facts"


class RunStore:
    """A run on disk, for :func:`~lucid.inference.adapters.hooks.starting_at` and for edits that keep a part of it.

    ``latents/state.####`` are the latents after so many steps (0: the noise it started from), ``windows/`` the predictions
    of the step at hand. ``run`` is a hash of all that decides the latents (request, weights, plan, settings): files of
    another run are refused. ``keep`` keeps every state, not only the newest. As a hook, after those that edit, it saves.
    Every method raises DISK_WRITE or RUN_INVALID.
    """

    edits: ClassVar[bool] = False

    def __init__(self, folder: Path, run: str, *, keep: bool = False) -> None:
        self.folder, self.run, self.keep = folder, run, keep

    def __call__(self, step: Step, latents: Tensor) -> Tensor:
        self.save(step.index + 1, step.after, latents)
        return latents

    def save(self, done: int, sigma: float, latents: Tensor) -> None:
        """The latents after ``done`` steps, at noise level ``sigma``; what led there is no longer needed."""
        self._write(self._state(done), latents, {"sigma": float(sigma).hex()})
        old = [] if self.keep else [path for path in self._states() if path != self._state(done)]
        for path in [*old, *(self.folder / "windows").glob("step.*.safetensors")]:
            _remove(path)

    def newest(self) -> int | None:
        """How many steps are done; None before the first state is saved."""
        return max((int(path.name.split(".")[1]) for path in self._states()), default=None)

    def state(self, done: int, sigma: float | None = None) -> Tensor:
        """The latents after ``done`` steps, on the CPU; with ``sigma``, only if that was the noise level."""
        latents, facts = self._read(self._state(done))
        if sigma is not None and facts.get("sigma") != float(sigma).hex():
            raise LucidError("RUN_INVALID", f"{self._state(done)} was made with other steps", "use the same steps as that run")
        return latents

    def prediction(self, place: Place) -> Tensor | None:
        path = self._prediction(place)
        return self._read(path)[0] if path.is_file() else None

    def save_prediction(self, place: Place, prediction: Tensor) -> None:
        self._write(self._prediction(place), prediction, {})

    def _state(self, done: int) -> Path:
        return self.folder / "latents" / f"state.{done:04d}.safetensors"

    def _states(self) -> list[Path]:
        return sorted((self.folder / "latents").glob("state.*.safetensors"))

    def _prediction(self, place: Place) -> Path:
        return self.folder / "windows" / f"step.{place.step:04d}.{place.call}.{place.window:04d}.safetensors"

    def _write(self, path: Path, tensor: Tensor, facts: dict[str, str]) -> None:
        write_latents(path, tensor, self.run, facts)

    def _read(self, path: Path) -> tuple[Tensor, dict[str, str]]:
        return read_latents(path, self.run)


def write_latents(path: Path, tensor: Tensor, run: str, facts: dict[str, str] | None = None) -> None:
    """A tensor with a hash of itself and of the ``run`` that made it, whole or not at all. Raises DISK_WRITE."""
    tensor = tensor.detach().cpu().contiguous()
    said = {"schema": SCHEMA, "run": run, "sha256": _digest(tensor), **(facts or {})}
    # one entry: safetensors writes several in another order each time
    write_atomic(path, save({TENSOR: tensor}, metadata={FACTS: json.dumps(said, sort_keys=True)}))


def read_latents(path: Path, run: str) -> tuple[Tensor, dict[str, str]]:
    """What :func:`write_latents` wrote for that run, and the facts. Raises RUN_INVALID."""
    try:
        with safe_open(path, framework="pt") as stream:
            facts, tensor = json.loads((stream.metadata() or {})[FACTS]), stream.get_tensor(TENSOR)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise LucidError("RUN_INVALID", f"{path} cannot be read: {error}", "generate a new take") from error
    if facts.get("schema") != SCHEMA or facts.get("sha256") != _digest(tensor):
        raise LucidError("RUN_INVALID", f"{path} is not what was written there", "generate a new take")
    if facts.get("run") != run:
        raise LucidError("RUN_INVALID", f"{path} belongs to a run with another request, other weights or settings",
                         "generate a new take")
    return tensor, facts


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(memoryview(tensor.flatten().view(torch.uint8).numpy())).hexdigest()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise disk_error(path, error) from error
