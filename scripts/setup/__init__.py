# SPDX-License-Identifier: GPL-3.0-or-later
"""What the launcher is made of: finding and making environments, and running verbs in them. Standard library only."""
