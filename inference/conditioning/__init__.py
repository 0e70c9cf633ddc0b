# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes to controls, pure numpy. One function per control; values as the model families were trained."""
