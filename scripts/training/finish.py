# SPDX-License-Identifier: GPL-3.0-or-later
"""From a training folder to the checkpoint that ships."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from .batches import make_batch
from .dataset import Clips
from .deblock import fit_decoder
from .export import export
from .train import restore

_PINNED = '''# SPDX-License-Identifier: GPL-3.0-or-later
"""sha256 of the embedded model's files, written by `scripts/train_mini.py export`."""

SHA256 = {{
{lines}
}}
'''


def export_run(work: Path, data: Path, folder: Path) -> dict[str, float]:
    """Exports the averaged weights of a training folder with a decoder fitted to them; returns its figures."""
    mini, state = restore(work)
    mini.transformer.load_state_dict(state["average"]["transformer"])
    mini.text_encoder.load_state_dict(state["average"]["text_encoder"])
    clips, rng = Clips(data), np.random.default_rng(11)
    torch.manual_seed(11)
    batches = [make_batch(clips, mini.codec, rng, size) for size in ((1, 144, 256), (5, 144, 256)) for _ in range(8)]
    before, after = fit_decoder(mini, batches)
    return {"error_plain": before, "error_fitted": after, "bytes": export(mini, None, folder)}


def pin(folder: Path, module: Path) -> None:
    """Writes the module that pins the shipped files: sha256 by name, of everything the pipeline loads."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in (".safetensors", ".json"))
    lines = [f'    "{name}": "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}",' for name in names]
    module.write_text(_PINNED.format(lines="\n".join(lines)), encoding="utf-8")
