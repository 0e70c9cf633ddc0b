# SPDX-License-Identifier: GPL-3.0-or-later
"""From a training folder to the checkpoint that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .batches import make_batch
from .dataset import Clips
from .deblock import fit_decoder
from .export import export
from .train import restore


def export_run(work: Path, data: Path, folder: Path) -> dict[str, float]:
    """Exports the averaged weights of a training folder with a decoder fitted to them; returns its figures."""
    mini, state = restore(work)
    mini.transformer.load_state_dict(state["average"]["transformer"])
    mini.text_encoder.load_state_dict(state["average"]["text_encoder"])
    clips, rng = Clips(data), np.random.default_rng(11)
    torch.manual_seed(11)
    before, after = fit_decoder(mini, [make_batch(clips, mini.codec, rng, (9, 144, 256)) for _ in range(12)])
    return {"error_plain": before, "error_fitted": after, "bytes": export(mini, None, folder)}
