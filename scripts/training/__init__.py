# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes, tasks and the training loop of the embedded checkpoint; `scripts/train_mini.py` is the way in."""
