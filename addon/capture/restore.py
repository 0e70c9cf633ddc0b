# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a capture touches in a scene comes back, also after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

# a single render() of our engine: no strips, no compositor, no extra passes, and nothing kept from earlier renders
PLAIN_RENDER = {"use_sequencer": False, "use_compositing": False, "use_freestyle": False, "use_multiview": False,
                "use_border": False, "use_persistent_data": False}


@contextmanager
def restored(scene: bpy.types.Scene) -> Iterator[None]:
    """Put back the render engine, the render switches of PLAIN_RENDER, the camera and the frame on leaving."""
    render = scene.render
    switches = {name: getattr(render, name) for name in ("engine", *PLAIN_RENDER)}
    camera, frame, subframe = scene.camera, scene.frame_current, scene.frame_subframe
    try:
        yield
    finally:
        for name, value in switches.items():
            setattr(render, name, value)
        # the frame before the camera: a marker that binds a camera switches it when the frame is set
        if (scene.frame_current, scene.frame_subframe) != (frame, subframe):
            scene.frame_set(frame, subframe=subframe)
        if scene.camera != camera:
            scene.camera = camera
