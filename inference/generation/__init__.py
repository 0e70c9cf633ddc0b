# SPDX-License-Identifier: GPL-3.0-or-later
"""One take from one shot: the environment, each actor in it, the composite."""
