# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of how well pictures obey a scene, from the scene's own exact data: no weights, no judge."""
