# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a server of its own, and how Blender talks to it: HTTP, JSON and server-sent events on this machine alone."""
