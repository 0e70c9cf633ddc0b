# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.lucid_moves``: the camera move that the panel adds next; the operator has the same properties."""

from __future__ import annotations

import math

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty

# (name, label, tooltip); a positive amount goes the way that is named first, as in inference/conditioning/moves.py
KINDS = (
    ("PAN", "Pan", "Turn about the vertical; positive: right"),
    ("TILT", "Tilt", "Turn about the camera's own horizontal axis; positive: up"),
    ("ZOOM", "Zoom", "Change the focal length; above 1: in"),
    ("DOLLY", "Dolly", "Move along the camera's axis; positive: in"),
    ("TRUCK", "Truck", "Move sideways, along the camera's x axis; positive: right"),
    ("PEDESTAL", "Pedestal", "Move along the vertical; positive: up"),
    ("CRANE", "Crane", "Move along the vertical and tilt, so that the target stays in the picture; positive: up"),
    ("ORBIT", "Orbit", "Circle the target and keep facing it; positive: the camera goes to its right"),
    ("TRACK", "Track", "Go with the target, so that it stays where it is in the picture"),
    ("DOLLY_ZOOM", "Dolly Zoom", "Move along the camera's axis and zoom against it, so that the target keeps its size; "
                                 "positive: the camera goes in"),
    ("HANDHELD", "Handheld", "Add a tremble to what the camera does in these frames: noise modifiers on its rotation"),
)
EASINGS = (
    ("LINEAR", "Linear", "Constant speed"),
    ("EASE_IN", "Ease In", "Start slowly"),
    ("EASE_OUT", "Ease Out", "End slowly"),
    ("EASE_IN_OUT", "Both", "Start and end slowly"),
)
AMOUNTS = {"PAN": "angle", "TILT": "angle", "ORBIT": "angle", "ZOOM": "factor", "DOLLY": "distance", "TRUCK": "distance",
           "PEDESTAL": "distance", "CRANE": "distance", "DOLLY_ZOOM": "distance", "HANDHELD": "shake"}     # by kind
AIMED = frozenset({"CRANE", "ORBIT", "TRACK", "DOLLY_ZOOM"})      # kinds with a target
STEADY = frozenset({"TRACK", "HANDHELD"})                         # kinds without easing


class MoveProperties:
    """What a move is. ``angle`` and ``shake`` in radians, ``distance`` in Blender's units."""

    kind: EnumProperty(name="Move", items=KINDS, description="What the camera does")
    angle: FloatProperty(name="Angle", default=math.radians(30.0), subtype="ANGLE", step=500,
                         soft_min=-2.0 * math.pi, soft_max=2.0 * math.pi,
                         description="How far the camera turns; negative: the other way")
    distance: FloatProperty(name="Distance", default=1.0, subtype="DISTANCE", soft_min=-100.0, soft_max=100.0,
                            description="How far the camera goes; negative: the other way")
    factor: FloatProperty(name="Factor", default=1.5, min=0.05, max=20.0, soft_min=0.25, soft_max=4.0, subtype="FACTOR",
                          description="How much larger the picture's middle gets; below 1: smaller")
    shake: FloatProperty(name="Shake", default=math.radians(0.3), min=0.0, soft_max=math.radians(3.0), subtype="ANGLE",
                         step=10, precision=2, description="How far the camera trembles to either side")
    duration: IntProperty(name="Duration", default=48, min=1, soft_max=500, subtype="TIME", description="In frames")
    easing: EnumProperty(name="Easing", items=EASINGS, default="EASE_IN_OUT", description="How the move starts and ends")


class LucidMoveSettings(MoveProperties, bpy.types.PropertyGroup):
    """The panel's next move."""

    after_last: BoolProperty(name="After the Last Key", default=True,
                             description="Start where the camera's last key is, so that moves follow each other; before "
                                         "there is a key, at the scene's first frame")
    frame_start: IntProperty(name="Start", default=1, description="The frame in which the move starts")
    target: PointerProperty(type=bpy.types.Object, name="Target",
                            description="What the move is about; empty: the first actor, or else what is in the middle "
                                        "of the picture")


_register_class, _unregister_class = bpy.utils.register_classes_factory((LucidMoveSettings,))


def register() -> None:
    _register_class()
    bpy.types.Scene.lucid_moves = PointerProperty(type=LucidMoveSettings, name="Lucid Camera Moves")


def unregister() -> None:
    del bpy.types.Scene.lucid_moves
    _unregister_class()
