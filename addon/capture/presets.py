# SPDX-License-Identifier: GPL-3.0-or-later
"""The bone names of well-known rigs: Rigify, Mixamo, VRM, MPFB, Unreal, and those of motion-capture files.

In a table a joint stands for a bone's head, or its tail where ``>`` follows; ``|`` parts alternatives; ``{0}`` is the
side in the rig's own words, and then the joint is there twice, as l_ and r_.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ...inference.conditioning.pose import FINGERS, HANDS
from .bones import JointMap, end_of

# a finger's last bone has a tip where its tail carries on in the finger's direction; importers make up other tails
_TIP_COSINE = 0.5


@dataclass(frozen=True)
class Preset:
    """``sides`` are the words for left and right; ``elsewhere`` are prefixes to look behind when the rig's own has no such
    bone; ``marker`` is a bone without which it is another kind of rig."""

    source: str
    sides: tuple[str, str]
    bones: Mapping[str, str]
    elsewhere: tuple[str, ...] = ()
    marker: str = ""


def _limbs(shoulder: str, elbow: str, wrist: str, hip: str, knee: str, ankle: str) -> dict[str, str]:
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hip": hip, "knee": knee, "ankle": ankle}


def _fingers(pattern: str, names: tuple[str, ...], tip: bool = False) -> dict[str, str]:
    """Heads of three bones and the tip: the fourth bone's head where rigs have one, else the third one's tail.
    ``pattern`` has a ``*`` for the finger and a ``#`` for the number of the bone."""
    def bone(name: str, number: int) -> str:
        return pattern.replace("*", name).replace("#", str(number))

    return {f"{finger}_{number}": bone(name, number) if number < 4 else
            (f"{bone(name, 4)}|" if tip else "") + f"{bone(name, 3)}>"
            for finger, name in zip(FINGERS, names, strict=True) for number in (1, 2, 3, 4)}


_PLAIN = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_MIXAMO = _limbs("{0}Arm", "{0}ForeArm", "{0}Hand", "{0}UpLeg", "{0}Leg", "{0}Foot") | {"eye": "{0}Eye", "head": "Head"}
_RIGIFY_FACE = {
    "eye": "eye.{0}", "ear": "ear.{0}", "nose": "nose.001>", "chin": "chin", "jaw_2": "jaw.{0}.001>",
    "jaw_4": "jaw.{0}.001", "jaw_8": "jaw.{0}", "brow_1": "brow.T.{0}.003", "brow_3": "brow.T.{0}.002",
    "brow_5": "brow.T.{0}.001", "bridge_1": "nose", "bridge_3": "nose.001", "bridge_4": "nose.001>", "septum": "nose.004",
    "nostril_2": "nose.{0}>", "lid_outer": "lid.T.{0}", "lid_top_outer": "lid.T.{0}.002", "lid_top_inner": "lid.T.{0}.003",
    "lid_inner": "lid.B.{0}", "lid_bottom_inner": "lid.B.{0}.001", "lid_bottom_outer": "lid.B.{0}.002",
    "lip_top": "lip.T.L", "lip_top_2": "lip.T.{0}.001", "lip_corner": "lip.T.{0}.001>", "lip_bottom": "lip.B.L",
    "lip_bottom_2": "lip.B.{0}.001"}
_MPFB_FACE = {
    "eye": "eye.{0}", "nose": "special03>", "chin": "jaw>", "brow_1": "oculi01.{0}>", "brow_3": "oculi01.{0}",
    "brow_5": "oculi02.{0}", "lip_top": "oris05", "mouth_top": "oris05>", "mouth_bottom": "oris01>", "lip_bottom": "oris01"}

PRESETS = (
    Preset("rigify", ("L", "R"), {
        **_limbs("upper_arm.{0}", "forearm.{0}", "hand.{0}", "thigh.{0}", "shin.{0}", "foot.{0}"), "head": "spine.006",
        **_fingers("*.0#.{0}", ("thumb", "f_index", "f_middle", "f_ring", "f_pinky")), **_RIGIFY_FACE}, ("ORG-", "")),
    # CMU's motion capture as BVH, and MPFB's and MakeHuman's rig for it
    Preset("bvh", ("Left", "Right"), _MIXAMO, marker="LHipJoint"),
    Preset("mixamo", ("Left", "Right"), _MIXAMO | _fingers("{0}Hand*#", _PLAIN, tip=True)),
    Preset("vrm", ("L", "R"), {
        **_limbs("J_Bip_{0}_UpperArm", "J_Bip_{0}_LowerArm", "J_Bip_{0}_Hand", "J_Bip_{0}_UpperLeg", "J_Bip_{0}_LowerLeg",
                 "J_Bip_{0}_Foot"), "head": "J_Bip_C_Head", "eye": "J_Adj_{0}_FaceEye",
        **_fingers("J_Bip_{0}_*#", ("Thumb", "Index", "Middle", "Ring", "Little"))}),
    Preset("mpfb", ("L", "R"), {
        **_limbs("upperarm01.{0}", "lowerarm01.{0}", "wrist.{0}", "upperleg01.{0}", "lowerleg01.{0}", "foot.{0}"),
        "head": "head", **_fingers("finger*-#.{0}", ("1", "2", "3", "4", "5")), **_MPFB_FACE}),
    Preset("mpfb", ("L", "R"), {**_limbs("{0}Shoulder", "{0}Elbow", "{0}Wrist", "{0}Hip", "{0}Knee", "{0}Ankle"),
                                "eye": "{0}Eye", "ear": "{0}Ear", "nose": "Nose"}),
    Preset("unreal", ("l", "r"), {
        **_limbs("upperarm_{0}", "lowerarm_{0}", "hand_{0}", "thigh_{0}", "calf_{0}", "foot_{0}"), "head": "head",
        "eye": "FACIAL_{0}_Eye|eye_{0}", **_fingers("*_0#_{0}", ("thumb", "index", "middle", "ring", "pinky"))}),
    # CMU's motion capture as ASF/AMC; Poser's and DAZ's BVH; the older names of BVH
    Preset("bvh", ("l", "r"), _limbs("{0}humerus", "{0}radius", "{0}wrist", "{0}femur", "{0}tibia", "{0}foot")
           | {"head": "head"}),
    Preset("bvh", ("l", "r"), {
        **_limbs("{0}Shldr", "{0}ForeArm", "{0}Hand", "{0}Thigh", "{0}Shin", "{0}Foot"), "head": "head",
        "eye": "{0}Eye|{0}eftEye|{0}ightEye", **_fingers("{0}*#", ("Thumb", "Index", "Mid", "Ring", "Pinky"))}),
    Preset("bvh", ("Left", "Right"), _limbs("{0}Shoulder", "{0}Elbow", "{0}Wrist", "{0}Hip", "{0}Knee", "{0}Ankle")
           | {"head": "Head"}),
)
# the human bones that VRM's own extension names, whatever the rig calls them
_VRM = Preset("vrm", ("left", "right"), {
    **_limbs("{0}_upper_arm", "{0}_lower_arm", "{0}_hand", "{0}_upper_leg", "{0}_lower_leg", "{0}_foot"), "head": "head",
    "eye": "{0}_eye", **{key: name.replace("_1", "_proximal").replace("_2", "_intermediate").replace("_3", "_distal")
                         for key, name in _fingers("{0}_*_#", ("thumb", "index", "middle", "ring", "little")).items()},
    "thumb_1": "{0}_thumb_metacarpal", "thumb_2": "{0}_thumb_proximal"})
# what the first version of VRM called the thumb's bones
_VRM0_THUMB = {"thumb_proximal": "thumb_metacarpal", "thumb_intermediate": "thumb_proximal"}
_BEST_PREFIXES = ("DEF-", "ORG-")


def named(armature: bpy.types.Armature) -> Iterator[tuple[str, JointMap]]:
    """What each table finds in the armature, under each prefix that fits, with the table's source."""
    extended = _vrm_names(armature)
    if extended:
        yield _VRM.source, _found(armature, _VRM, extended.get)
    for preset in PRESETS:
        for prefix in _prefixes(armature, preset):
            places = (prefix, *preset.elsewhere)
            yield preset.source, _found(armature, preset, lambda name, places=places: next(
                (place + name for place in places if place + name in armature.bones), None))


def _prefixes(armature: bpy.types.Armature, preset: Preset) -> list[str]:
    """What stands before the name of the left elbow's bone: deforming bones first, then the shortest."""
    anchor = preset.bones["elbow"].format(preset.sides[0])
    prefixes = [bone.name.removesuffix(anchor) for bone in armature.bones if bone.name.endswith(anchor)]
    fitting = [prefix for prefix in prefixes if not preset.marker or prefix + preset.marker in armature.bones]
    return sorted(fitting, key=lambda p: (_BEST_PREFIXES.index(p) if p in _BEST_PREFIXES else len(_BEST_PREFIXES), len(p)))


def _found(armature: bpy.types.Armature, preset: Preset, bone_called: Callable[[str], str | None]) -> JointMap:
    found: JointMap = {}
    for part, names in preset.bones.items():
        for joint, side in ((f"l_{part}", 0), (f"r_{part}", 1)) if "{0}" in names else ((part, 0),):
            for name in names.format(preset.sides[side]).split("|"):
                bone = armature.bones.get(bone_called(name.removesuffix(">")) or "")
                tail = name.endswith(">")
                if bone is not None and not (tail and joint in HANDS and not _carries_on(bone)):
                    found[joint] = (end_of(bone, tail),)
                    break
    for side in "lr":
        if f"{side}_wrist" in found and any(joint[:2] == f"{side}_" and joint in HANDS for joint in found):
            found[f"{side}_hand"] = found[f"{side}_wrist"]
    return found


def _carries_on(bone: bpy.types.Bone) -> bool:
    if bone.parent is None:
        return False
    before, own = bone.head_local - bone.parent.head_local, bone.tail_local - bone.head_local
    return before.length > 0.0 and before.dot(own) >= _TIP_COSINE * before.length * own.length


def _vrm_names(armature: bpy.types.Armature) -> dict[str, str]:
    """Human bone, as VRM 1.0 names it in snake case, to bone; {} where the VRM add-on stores nothing."""
    extension: Any = getattr(armature, "vrm_addon_extension", None)
    if extension is None:
        return {}
    if extension.spec_version == "0.0":
        pairs = ((_snake(human.bone), human.node.bone_name) for human in extension.vrm0.humanoid.human_bones)
        return {_modern(name): bone for name, bone in pairs if bone}
    humans = extension.vrm1.humanoid.human_bones
    wanted = {part for names in _VRM.bones.values() for side in _VRM.sides
              for part in names.format(side).replace(">", "").split("|")}
    return {name: bone for name in wanted for bone in [getattr(humans, name).node.bone_name] if bone}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _modern(name: str) -> str:
    side, _, rest = name.partition("_")
    return f"{side}_{_VRM0_THUMB[rest]}" if rest in _VRM0_THUMB else name
