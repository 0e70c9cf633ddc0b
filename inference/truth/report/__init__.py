# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verdict says to people: a screen of text, and a page with plots and stills of the worst spots."""
