"""Act with 900 frames of 5023 vertices (half a minute of the FLAME topology): how long writing takes.

The motion is made: localised bumps that swell and fade, some millimetres, as a face's are.  What is
timed is what a slider and the end of a run do: the write, and the undo push that Blender adds to it.
"""

from __future__ import annotations

import time
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import Stage

FRAMES, VERTICES, BUMPS = 900, 5023, 24
Vertices = NDArray[np.float32]


def figures(stage: Stage) -> Steps:
    yield from stage.empty()
    vertices, quads = _globe()
    obj = _add(vertices, quads)
    stage.settings.target = obj
    yield from stage.open_tab()
    tuning, takes = extension.module("blender.retargeting.tuning"), extension.module("blender.writing.takes")
    began = time.perf_counter()
    packed = _take(vertices, quads)
    stage.measure("packing the motion, 900 x 5023 (beside Blender)", time.perf_counter() - began, "s")
    sizes = {}
    for output, name, limit_ms in (("PER_FRAME", "Per Frame", 0.5), ("COMPACT", "Compact", 1.0)):
        # nothing is animated yet, or the other output is replaced: both are what a new run does
        obj.codetalker.property_unset("strength_mouth")
        if obj.codetalker.output != output:
            obj.codetalker.output = output
        began = time.perf_counter()
        outcome = tuning.write(obj, takes.Placed(packed, 1))
        written = time.perf_counter() - began
        with stage.hands.over():
            bpy.ops.ed.undo_push(message="Generate from Audio")
        pushed = time.perf_counter() - began
        stage.measure(f"{name}: final write, 900 x 5023", written, "s", 0.3)
        stage.measure(f"{name}: final write with its undo push", pushed, "s", 0.7)
        stage.measure(f"{name}: shape keys", outcome.key_count, "")
        yield 1.5
        began = time.perf_counter()
        obj.codetalker.strength_mouth = 1.3
        stage.measure(f"{name}: moving a slider", time.perf_counter() - began, "s", 0.5)
        yield 1.5
        stage.measure(f"{name}: a frame of playback (evaluation)", _frame_ms(), "ms", limit_ms)
        path = stage.project / f"large_{output}.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=False)
        sizes[output] = path.stat().st_size
        path.unlink()
        yield 0.3
    growth = 100 * sizes["COMPACT"] / sizes["PER_FRAME"]
    stage.measure("Compact .blend in per cent of Per Frame's", growth, "%", 15.0)
    assert outcome.error_mm <= obj.codetalker.max_error_mm, "Compact is further off than it was asked to be"


def _globe() -> tuple[Vertices, NDArray[np.int64]]:
    """A globe of 10 cm radius in 71 x 71 points, less the last few."""
    side = 71
    longitude, latitude = np.meshgrid(np.linspace(0, 6.2, side), np.linspace(-1.5, 1.5, side))
    points = np.stack(
        (np.cos(latitude) * np.sin(longitude), -np.cos(latitude) * np.cos(longitude), np.sin(latitude)), -1
    )
    index = np.arange(side * side).reshape(side, side)
    quads = np.stack((index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]), -1).reshape(-1, 4)
    vertices: Vertices = (0.1 * points.reshape(-1, 3)[:VERTICES]).astype(np.float32)
    return vertices, quads[(quads < VERTICES).all(axis=1)]


def _add(vertices: Vertices, quads: NDArray[np.int64]) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Globe")
    mesh.from_pydata(vertices.tolist(), [], quads.tolist())
    obj = bpy.data.objects.new("Globe", mesh)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def _take(vertices: Vertices, quads: NDArray[np.int64]) -> bytes:
    contracts, model_files = extension.module("contracts"), extension.module("model_files")
    random = np.random.default_rng(0)
    centres = vertices[random.choice(VERTICES, BUMPS, replace=False)]
    spread = np.linalg.norm(vertices[None] - centres[:, None], axis=-1)  # (bumps, vertices)
    shapes = np.exp(-((spread / 0.03) ** 2))[..., None] * random.normal(scale=0.004, size=(BUMPS, 1, 3))
    time_s = np.arange(FRAMES) / 30.0
    weights = np.sin(
        time_s[:, None] * random.uniform(2, 25, BUMPS) + random.uniform(0, 6, BUMPS)
    )  # (frames, bumps)
    offsets = np.einsum("tk,kvc->tvc", weights, shapes).astype(np.float32)
    motion = contracts.Motion(offsets, 30.0, np.zeros((1, 1), np.int32), 30.0)
    face: Any = contracts.FaceMesh(
        vertices=vertices,
        triangles=np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32),
        mid_lips=np.array([2500, 2429], np.int32),
        lip_corners=np.array([2440, 2460], np.int32),
        regions={
            "lips": np.arange(2100, 2900, dtype=np.int32), "jaw": np.arange(800, 1600, dtype=np.int32),
            "eyelids": np.arange(3600, 4000, dtype=np.int32),
            "upper_face": np.arange(4200, 4800, dtype=np.int32),
        },
    )  # fmt: skip
    card = model_files.read_card(extension.folder() / "assets" / "models" / "default")
    return bytes(extension.module("blender.writing.takes").capture(motion, face, card))


def _frame_ms() -> float:
    """Milliseconds to bring the scene to the next frame, without drawing."""
    scene = bpy.context.scene
    frames = range(100, 500)
    for frame in range(90, 100):
        scene.frame_set(frame)
    began = time.perf_counter()
    for frame in frames:
        scene.frame_set(frame)
    return 1000 * (time.perf_counter() - began) / len(frames)
