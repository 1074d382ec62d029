"""The flags of `generate` that lay blinks, head motion and gaze on top → the object's own settings."""

from __future__ import annotations

import argparse

import bpy

from ...errors import UserError
from .bounds import check_bounds

#: Flag -> the property that it switches on.
_LAYERS = {"blinks": "use_blinks", "head-motion": "use_head", "gaze": "use_gaze"}
#: All flags without a value.
SWITCHES = (*_LAYERS, "look-at-camera")
#: Flag -> the property that takes its number, and what it is.
NUMBERS = {
    "blink-rate": ("blink_rate", "blinks per minute"),
    "blink-closure": ("blink_amount", "how far lids shut, up to 1"),
    "head-amount": ("head_amount", "factor on the head's turns"),
    "gaze-hold": ("gaze_amount", "how much of a turn the eyes take back, up to 1"),
    "gaze-flicks": ("gaze_flicks", "size of the eyes' small jumps"),
}
#: All that a row of a batch may set.
OPTIONS = (*SWITCHES, *NUMBERS, "layer-seed", "turned", "look-at")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags; what is not given stays as the object has it."""
    group = parser.add_argument_group("layers", "on top of the animation; the default is the object's own")
    for flag in _LAYERS:
        group.add_argument(f"--{flag}", action="store_true", help=f"lay {flag.replace('-', ' ')} on top")
    for flag, (_, what) in NUMBERS.items():
        group.add_argument(f"--{flag}", type=float, metavar="X", help=what)
    group.add_argument("--layer-seed", type=int, metavar="N", help="of all three layers")
    group.add_argument("--turned", metavar="NAME", help="the object that turns the head (default: the mesh)")
    group.add_argument("--look-at", metavar="NAME", help="the object that the gaze holds")
    group.add_argument("--look-at-camera", action="store_true", help="the gaze holds the scene's camera")


def apply(options: argparse.Namespace, target: bpy.types.Object) -> None:
    """Put what is given into the target's settings.  Raises UserError, with nothing set."""
    given = vars(options)
    settings = target.codetalker.layers
    values: dict[str, object] = {}
    for flag, (name, _) in NUMBERS.items():
        number = given[flag.replace("-", "_")]
        if number is None:
            continue
        bounds = settings.bl_rna.properties[name]
        check_bounds(f"--{flag}", number, bounds.hard_min, bounds.hard_max)
        values[name] = number
    if options.layer_seed is not None:
        bounds = settings.bl_rna.properties["blink_seed"]
        check_bounds("--layer-seed", options.layer_seed, bounds.hard_min, bounds.hard_max)
        values |= dict.fromkeys(("blink_seed", "head_seed", "gaze_seed"), options.layer_seed)
    if options.turned is not None:
        turned: bpy.types.Object | None = bpy.data.objects.get(options.turned)
        if turned is None or turned.type == "ARMATURE":
            raise UserError(
                f"'{options.turned}' cannot turn the head: there is no such object, or it is an armature.",
                "Name an empty or a mesh after --turned.",
            )
        values["head_object"] = turned
    values |= _looked_at(options, target)
    values |= {name: True for flag, name in _LAYERS.items() if given[flag.replace("-", "_")]}
    for name, value in values.items():
        setattr(settings, name, value)


def _looked_at(options: argparse.Namespace, target: bpy.types.Object) -> dict[str, object]:
    """The settings of whom the eyes look at, as far as they are given.  Raises UserError."""
    if options.look_at is None:
        return {"gaze_at": "CAMERA"} if options.look_at_camera else {}
    if options.look_at_camera:
        raise UserError("Whom the eyes look at is not clear.", "Give --look-at or --look-at-camera.")
    found: bpy.types.Object | None = bpy.data.objects.get(options.look_at)
    if found is None or found == target:
        raise UserError(
            f"The eyes of '{target.name}' cannot look at '{options.look_at}': "
            f"{'there is no such object' if found is None else 'it is the face itself'}.",
            "Name another object after --look-at.",
        )
    return {"gaze_at": "OBJECT", "gaze_object": found}
