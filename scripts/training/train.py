# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: x-prediction flow matching of the small Wan-VACE transformer and its text encoder, on CPU.

One process per core, each with one thread and its own batch; gradients are averaged once per step. On a busy machine
that is far faster than threads inside every operator, which wait for each other hundreds of times per step.
"""

from __future__ import annotations

import csv
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from diffusers import AutoencoderKLWan
from torch import Tensor

from .batches import Batch, batches, loss_of, make_batch
from .captions import words
from .dataset import Clips
from .export import export
from .model import Mini, make_mini
from .patch_vae import PATCH, build_vae, principal_axes
from .tasks import draw

AVERAGE = 0.998
PEAK_RATE = 4e-4
CHECKPOINT_SECONDS, EXPORT_SECONDS, JUDGE_SECONDS, REPORT_SECONDS, REFRESH_SECONDS = 300.0, 900.0, 240.0, 30.0, 60.0


def learning_rate(progress: float, step: int, peak: float) -> float:
    """Warm-up, a plateau for 30 % of the time, cosine to 1 %."""
    fade = 1.0 if progress < 0.3 else 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) * 0.99 + 0.01
    return peak * min(1.0, (step + 1) / 100) * fade


def fit_vae(clips: Clips, rng: np.random.Generator) -> AutoencoderKLWan:
    """The VAE of the principal axes of pictures and controls of these clips."""
    patches = []
    large = [clip for clip in clips.clips if clip.slot.shape[1] >= 144 and clip.slot.shape[2] >= 256]
    for clip in large[:120]:
        for task in ("depth", "composed"):
            sample = draw(rng, clip, 1, 144, 256, task)
            for video, keep in ((sample.target, 600), (sample.control, 200)):
                grid = (
                    video[0]
                    .reshape(144 // PATCH, PATCH, 256 // PATCH, PATCH, 3)
                    .transpose(0, 2, 4, 3, 1)
                    .reshape(-1, 3 * PATCH * PATCH)
                )
                patches.append(grid[rng.integers(len(grid), size=keep)])
    return build_vae(*principal_axes(np.concatenate(patches).astype(np.float32)))


def begin(data: Path, work: Path, start: Path | None) -> tuple[Mini, dict[str, Any]]:
    """The parts and the state of a run: restored when the work folder has one, else from `start`, else fresh."""
    if (work / "state.pt").exists():
        return restore(work)
    vae = fit_vae(Clips(data), np.random.default_rng(0)) if start is None else None
    mini = make_mini(words(), start, vae)
    average = {
        name: {k: v.clone() for k, v in getattr(mini, name).state_dict().items()}
        for name in ("transformer", "text_encoder")
    }
    return mini, {"average": average, "optimizer": None, "step": 0, "seconds": 0.0}


def restore(work: Path) -> tuple[Mini, dict[str, Any]]:
    """What `save` wrote; the parts hold the raw weights, the state the averaged ones."""
    state: dict[str, Any] = torch.load(work / "state.pt", weights_only=True)
    mini = make_mini(words(), work / "parts")
    mini.transformer.load_state_dict(state["raw"]["transformer"])
    mini.text_encoder.load_state_dict(state["raw"]["text_encoder"])
    return mini, state


def save(work: Path, mini: Mini, state: dict[str, Any]) -> None:
    """Raw weights, averaged weights, optimizer, clock; whole or not at all."""
    if not (work / "parts" / "model_index.json").exists():
        export(mini, None, work / "parts")
    raw = {name: getattr(mini, name).state_dict() for name in ("transformer", "text_encoder")}
    torch.save({**state, "raw": raw}, work / "state.partial")
    (work / "state.partial").replace(work / "state.pt")


class Averager:
    """Exponential moving average of the trained parameters, kept in the state's "average"."""

    def __init__(self, mini: Mini, average: dict[str, dict[str, Tensor]]) -> None:
        named = [
            (part, name, p)
            for part in ("transformer", "text_encoder")
            for name, p in getattr(mini, part).named_parameters()
        ]
        self._live = [p.detach() for _, _, p in named]
        self._mean = [average[part][name] for part, name, _ in named]
        self._tied = [
            (average["text_encoder"][k], average["text_encoder"]["shared.weight"])
            for k in average["text_encoder"]
            if k.endswith("embed_tokens.weight")
        ]

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The parts hold the averages inside; the live weights are back afterwards."""
        live = [p.clone() for p in self._live]
        torch._foreach_copy_(self._live, self._mean)
        try:
            yield
        finally:
            torch._foreach_copy_(self._live, live)

    def update(self, step: int) -> None:
        """A shorter memory in the first steps."""
        torch._foreach_lerp_(self._mean, self._live, 1 - min(AVERAGE, (step + 1) / (step + 20)))
        for alias, shared in self._tied:
            alias.copy_(shared)


def train(data: Path, work: Path, minutes: float, start: Path | None, count: int, out: Path | None) -> None:
    """Trains in `count` processes until the clock of the run (it survives restarts) shows `minutes`."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "state.pt").exists():
        save(work, *begin(data, work, start))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.spawn(_process, (count, port, data, work, minutes, out), nprocs=count)


def _process(rank: int, count: int, port: int, data: Path, work: Path, minutes: float, out: Path | None) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
    mini, state = restore(work)
    mini.transformer.set_attention_backend("_native_math")  # faster than the fused one at these lengths, on CPU
    Run(mini, state, Clips(data), rank, count).train(work, minutes, out if rank == 0 else None)
    dist.destroy_process_group()


class Run:
    """One process of a run. Process 0 also reports, saves and exports."""

    def __init__(self, mini: Mini, state: dict[str, Any], clips: Clips, rank: int, count: int) -> None:
        self.mini, self.state, self.clips, self.rank, self.count = mini, state, clips, rank, count
        groups = [
            {"params": list(mini.transformer.parameters()), "peak": PEAK_RATE},
            {"params": list(mini.text_encoder.parameters()), "peak": 1.5 * PEAK_RATE},
        ]
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        if state["optimizer"] is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self.averager = Averager(mini, state["average"])
        self.origin = time.monotonic() - state["seconds"]
        torch.manual_seed(state["step"] * 64 + rank)

    def train(self, work: Path, minutes: float, out: Path | None) -> None:
        """Steps until the time is over."""

        def progress() -> float:
            return (time.monotonic() - self.origin) / (minutes * 60)

        seed = self.state["step"]
        rng, shared = np.random.default_rng([7, seed, self.rank]), np.random.default_rng([8, seed])
        report, due = (
            _Report(work / "loss.csv"),
            _Timers(
                refresh=REFRESH_SECONDS,
                report=REPORT_SECONDS,
                save=CHECKPOINT_SECONDS,
                judge=JUDGE_SECONDS,
                export=EXPORT_SECONDS,
            ),
        )
        judge = Judge(self.mini, self.averager, self.clips.folder, work / "validation.csv") if self.rank == 0 else None
        for batch in batches(self.clips, self.mini.codec, rng, shared, progress):
            common = self._step(batch, progress(), report)
            if due("refresh"):
                self.clips.refresh(40)
            if self.rank == 0 and due("report"):
                report.write(self.state, len(self.clips.clips), self.optimizer.param_groups[0]["lr"], self.count)
            if self.rank == 0 and due("save"):
                save(work, self.mini, {**self.state, "optimizer": self.optimizer.state_dict()})
            if judge is not None and due("judge"):
                judge(self.state)
            if out is not None and due("export"):
                export(self.mini, self.state["average"], out)
            if common >= 1:
                break
        if self.rank == 0:
            save(work, self.mini, {**self.state, "optimizer": self.optimizer.state_dict()})
        if out is not None:
            export(self.mini, self.state["average"], out)

    def _step(self, batch: Batch, progress: float, report: _Report) -> float:
        """One update from the mean gradient of all processes; returns the mean progress, equal in all of them."""
        loss, error, t = loss_of(self.mini, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        report.add(loss.item(), error, t)
        flat = torch.cat(
            [
                *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in self.parameters),
                torch.tensor([progress]),
            ]
        )
        if self.count > 1:
            dist.all_reduce(flat)
        flat /= self.count
        norm = flat[:-1].norm()
        flat[:-1] *= (1.0 / (norm + 1e-6)).clamp_max(1.0)
        for p, grad in zip(self.parameters, flat[:-1].split([p.numel() for p in self.parameters]), strict=True):
            p.grad = grad.view_as(p)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(float(flat[-1]), self.state["step"], group["peak"])
        self.optimizer.step()
        self.averager.update(self.state["step"])
        self.state["step"] += 1
        self.state["seconds"] = time.monotonic() - self.origin
        return float(flat[-1])


class Judge:
    """The averaged weights' error on the validation scenes: the same samples, noise and levels every time."""

    SIZES = ((1, 144, 256), (1, 144, 256), (5, 144, 256))

    def __init__(self, mini: Mini, averager: Averager, data: Path, path: Path) -> None:
        self.mini, self.averager, self.path = mini, averager, path
        clips, rng = Clips(data, validation=True), np.random.default_rng(3)
        self.batches = [make_batch(clips, mini.codec, rng, size) for size in self.SIZES for _ in range(3)] if clips.clips else []
        if self.batches and not path.exists():
            path.write_text("seconds,step,error\n")

    def __call__(self, state: dict[str, Any]) -> None:
        if not self.batches:
            return
        with self.averager.shown(), torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(3)
            errors = [loss_of(self.mini, batch)[1].mean() for batch in self.batches]
        with self.path.open("a", newline="") as stream:
            csv.writer(stream).writerow((round(state["seconds"]), state["step"], f"{torch.stack(errors).mean():.5f}"))


class _Timers:
    """`due("name")` is true once per period of that name, in seconds."""

    def __init__(self, **periods: float) -> None:
        self.periods, self.last = periods, dict.fromkeys(periods, time.monotonic())

    def __call__(self, name: str) -> bool:
        late = time.monotonic() > self.last[name] + self.periods[name]
        if late:
            self.last[name] = time.monotonic()
        return late


class _Report:
    """Means since the last line, appended to a CSV file and printed."""

    FIELDS = ("seconds", "step", "samples", "loss", "error", "error_at_start", "clips", "lr")

    def __init__(self, path: Path) -> None:
        self.path, self.samples, self.rows = path, 0, [np.zeros((0, 3))]
        if not path.exists():
            path.write_text(",".join(self.FIELDS) + "\n")

    def add(self, loss: float, error: Tensor, t: Tensor) -> None:
        self.samples += len(t)
        self.rows.append(np.stack([np.full(len(t), loss), error.numpy(), t.numpy()], 1))

    def write(self, state: dict[str, Any], clips: int, rate: float, count: int) -> None:
        rows = np.concatenate(self.rows)
        early = rows[rows[:, 2] > 0.8, 1]
        values = (
            round(state["seconds"]),
            state["step"],
            self.samples * count,
            *(f"{v:.4f}" for v in (*rows[:, :2].mean(0), early.mean() if len(early) else 0)),
            clips,
            f"{rate:.2e}",
        )
        with self.path.open("a", newline="") as stream:
            csv.writer(stream).writerow(values)
        self.rows = [np.zeros((0, 3))]
