# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of the real training from nothing: scenes' files in, a checkpoint out that the worker's adapter loads."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lucid.inference.adapters.base import load
from lucid.inference.shot.images import read_png

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, FRAMES = 144, 256, 5


@pytest.fixture(scope="module")
def training():
    """The package of scripts/training, importable in this process and in those it spawns."""
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


def write_clip(path: Path, seed: int) -> None:
    """A ball that moves over a plane under the sky, as scenes.py stores a clip."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    horizon, radius = rng.uniform(40, 70), rng.uniform(22, 34)
    depth, slot = np.full((FRAMES, HEIGHT, WIDTH), np.inf, np.float32), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    normal = np.zeros((FRAMES, HEIGHT, WIDTH, 2), np.float32)
    ground = ys > horizon + 1
    for frame in range(FRAMES):
        depth[frame][ground], slot[frame][ground] = (300.0 / (ys - horizon))[ground], 1
        normal[frame][ground] = (0.0, -1.0)
        x, y = (xs - 90 - 12 * frame) / radius, (ys - 90) / radius
        ball = x**2 + y**2 < 1
        depth[frame][ball], slot[frame][ball] = 4.0, 2
        normal[frame][ball] = np.stack([x, y], -1)[ball]
    meta = {"seed": seed, "set": "field", "indoor": False, "move": "static", "sun_right": 0.5, "sun_elevation": 0.8,
            "fps": 10.0, "props": [], "actors": ["ball"], "slots": {"1": ["ground", -1], "2": ["top", 0]}}
    lens = np.array([[220.0, 0, WIDTH / 2], [0, 220.0, HEIGHT / 2], [0, 0, 1]], np.float32)
    np.savez_compressed(path, light=np.full((FRAMES, HEIGHT, WIDTH, 3), 180, np.uint8), depth=depth.astype(np.float16),
                        slot=slot, normal=np.rint(normal * 127).astype(np.int8), meta=json.dumps(meta),
                        joints=np.full((1, FRAMES, 18, 3), np.nan, np.float32),
                        camera=np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1)), K=np.tile(lens, (FRAMES, 1, 1)))


def error_of(batches, mini, batch) -> float:
    """The error at the same noise and levels, whatever was drawn before."""
    torch.manual_seed(5)
    with torch.no_grad():
        return float(batches.loss_of(mini, batch)[1].mean())


def test_from_nothing_to_a_checkpoint_the_adapter_loads(training, tmp_path, monkeypatch):
    from training import batches, train
    from training.curve import plot
    from training.finish import export_run, pin

    data, work, out = tmp_path / "clips", tmp_path / "run", tmp_path / "mini"
    data.mkdir()
    for seed in (0, *range(1000, 1004)):
        write_clip(data / f"{seed:06d}.npz", seed)
    monkeypatch.setattr(batches, "TOKEN_BUDGET", 150)
    monkeypatch.setattr(train, "learning_rate", lambda *_: 1e-3)              # the real one warms up over 100 steps
    monkeypatch.setattr(train, "REPORT_SECONDS", 0.5)
    monkeypatch.setattr(train, "JUDGE_SECONDS", 2.0)
    work.mkdir()
    train.save(work, *train.begin(data, work, None))
    mini, state = train.restore(work)
    torch.manual_seed(0)
    run = train.Run(mini, state, train.Clips(data), 0, 1)
    judged = batches.make_batch(train.Clips(data, validation=True), mini.codec, np.random.default_rng(1), (5, 96, 128))
    before = error_of(batches, mini, judged)
    for minutes in (0.25, 0.5, 1.0, 2.0):                                     # a busy machine needs longer
        run.train(work, minutes, None)
        if state["step"] >= 40:
            break
    assert error_of(batches, mini, judged) < 0.9 * before
    for name in ("loss.csv", "validation.csv"):
        with (work / name).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows and all(np.isfinite(float(row["error"])) for row in rows)
    assert train.restore(work)[1]["step"] == state["step"] > 4
    command = [sys.executable, str(ROOT / "scripts" / "train_mini.py"), "train", "--data", str(data), "--work", str(work),
               "--minutes", str(state["seconds"] / 60 + 0.02), "--processes", "2"]
    subprocess.run(command, check=True, timeout=600)                          # two processes go on where one stopped
    assert train.restore(work)[1]["step"] > state["step"]
    plot(work, tmp_path / "curve.png")
    assert read_png(tmp_path / "curve.png").std() > 5
    figures = export_run(work, data, out)
    assert figures["error_fitted"] <= figures["error_plain"] and figures["bytes"] <= 32 * 2**20
    pin(out, tmp_path / "pinned.py")
    assert '"transformer/diffusion_pytorch_model.safetensors"' in (tmp_path / "pinned.py").read_text()
    adapter = load(str(out))
    control, steps = np.full((5, 48, 64, 3), 0.5, np.float32), []
    frames = adapter.generate(control, np.ones((5, 48, 64), bool), "a red ball", 0, 2, lambda *at: steps.append(at))
    assert frames.shape == (5, 48, 64, 3) and frames.std() > 0.005 and steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
