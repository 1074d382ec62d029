"""A sheet that speaks: a made motion as a run of the model would write it, and what an animator may have."""

from __future__ import annotations

import bpy
import numpy as np

from codetalker_blender.blender import compat
from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import FaceMesh, FloatArray, Motion
from codetalker_blender.model_files import ModelCard
from tests.blender import scenes
from tests.blender.scenes import Coordinates

#: On a sheet of 26 cm, what float32 keys leave of an exact motion, and the cache of a lossless one.
EXACT = 5e-6
START = 5


def sheet_face() -> FaceMesh:
    """The sheet as a model's face: two rows of lips, a jaw below, brows above, lids between."""
    rows = np.arange(42, dtype=np.int32).reshape(6, 7)
    quads = scenes.sheet_quads()
    return FaceMesh(
        vertices=scenes.sheet_vertices(),
        triangles=np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32),
        mid_lips=rows[[2, 1], 3],
        lip_corners=rows[1, [6, 0]],
        regions={"lips": rows[1:3].ravel(), "jaw": rows[0], "eyelids": rows[4], "upper_face": rows[5]},
    )


def card() -> ModelCard:
    return ModelCard(1, "sheet", "", "CC0-1.0", 24.0, 1.0, "Z", ("neutral",), 0.0, {}, {}, {}, {})


def made_motion(frames: int = 20, seed: int = 0) -> FloatArray:
    """A sheet that moves by centimetres, smoothly, and not the same way twice."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.arange(frames)[:, None] * random.uniform(0.2, 1.2, 6) + random.uniform(0, 6, 6))
    shapes = random.normal(scale=0.004, size=(6, 42, 3)) * 0.6 ** np.arange(6)[:, None, None]
    offsets: FloatArray = np.einsum("tk,kvc->tvc", waves, shapes).astype(np.float32)
    return offsets


def speak(obj: bpy.types.Object, offsets: FloatArray, start: int = START) -> Outcome:
    """What a run of the model does with its motion."""
    motion = Motion(offsets, 24.0, np.zeros((1, 1), np.int32), 24.0)
    take = takes.capture(motion, sheet_face(), card())
    return tuning.write(obj, takes.Placed(take, start))


def assert_shows(
    obj: bpy.types.Object, offsets: FloatArray, start: float = START, limit: float = EXACT
) -> None:
    """Every frame shows rest + offsets, and around them the sheet is at rest."""
    rest = scenes.sheet_vertices()
    padded = np.pad(offsets, ((1, 1), (0, 0), (0, 0)))
    for index, expected in enumerate(padded):
        frame = start - 1 + index
        found = scenes.evaluated(obj, int(np.floor(frame)), frame - np.floor(frame))
        assert np.abs(found - rest - expected).max() <= limit, f"frame {frame}"
    for frame in (start - 30, start + len(offsets) + 30):
        assert np.abs(scenes.evaluated(obj, int(frame)) - rest).max() <= limit, f"frame {frame}"


def shown(obj: bpy.types.Object, frame: int) -> Coordinates:
    """The offsets from rest at a frame."""
    found: Coordinates = scenes.evaluated(obj, frame) - scenes.sheet_vertices()
    return found


def add_own(obj: bpy.types.Object, what: str) -> None:
    """Something of the animator's: a key, an action, NLA and a driver, or nothing."""
    if what == "nothing":
        return
    obj.shape_key_add(name="Basis", from_mix=False)
    smile = obj.shape_key_add(name="Smile", from_mix=False)
    key = obj.data.shape_keys
    if what == "key":
        return
    smile.keyframe_insert("value", frame=1)
    key.animation_data.action.name = "Mine"
    if what == "action":
        return
    animation_data = key.animation_data
    track = animation_data.nla_tracks.new()
    track.name = "Mine"
    compat.new_nla_strip(track, "Mine", 1, animation_data.action)
    animation_data.action = None
    obj.shape_key_add(name="Driven", from_mix=False)
    key.key_blocks["Driven"].driver_add("value").driver.expression = "0.25"


OWN = ["nothing", "key", "action", "nla and driver"]
