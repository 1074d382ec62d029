"""How long carrying motion to other meshes and other shapes takes; numpy alone.

bind   the default model's face fitted and bound to a copy of itself of 19,000 vertices
apply  its motion carried over, frame by frame
solve  its motion as weights of the 52 ARKit shapes
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from codetalker_blender.face import registration, transfer
from codetalker_blender.face.binding import Binding
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.residual import residual
from codetalker_blender.face.weights import solve_weights
from tests.face import heads
from tests.face.known_weights import lively

from .machine import OtherLoad, peak_memory_gib
from .requests import Request
from .result import Row

FPS = 30.0
#: What each is wanted to take at most for half a minute, seconds.
WANTED_S = {"bind": 20.0, "apply": 2.0, "solve": 0.5}
#: More than this share of the motion's size is a wrong result, whatever its speed.
_MOST_ERROR = 0.02


def dense_head() -> heads.Mesh:
    """The model's face with every triangle in four."""
    head = demo_head_face()
    return heads.subdivided(head.vertices.astype(np.float64), head.triangles.astype(np.int64))


def bound(mesh: heads.Mesh) -> Binding:
    head = demo_head_face()
    fit = registration.fit(head, 1.0, mesh.points, mesh.triangles)
    return transfer.bind(fit, head, mesh.points, mesh.triangles)


def motion(seconds: float) -> FloatArray:
    """(T, V, 3) metres of the model's face, by known weights."""
    shapes = demo_head_shapes()
    return shapes.motion(lively(shapes.names, round(seconds * FPS), FPS))


def share_missed(moved: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The mean distance of (..., 3) offsets as a share of their mean length."""
    apart = np.linalg.norm(moved - wanted, axis=-1).mean()
    return float(apart / np.linalg.norm(wanted, axis=-1).mean())


class _Clock:
    """Seconds by the clock and of the processor until ``stop``, and what others took of it meanwhile."""

    def __init__(self) -> None:
        self._load, self._processor, self._began = OtherLoad(), time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self.seconds = time.perf_counter() - self._began
        self.processor_s = time.process_time() - self._processor
        self.others_cores = self._load.cores()


def bind_row(request: Request) -> Row:
    mesh = dense_head()
    clock = _Clock()
    binding = bound(mesh)
    clock.stop()
    jaw = demo_head_shapes().chosen(["jawOpen"]).offsets
    missed = share_missed(transfer.apply(binding, jaw), mesh.of(jaw.astype(np.float64)))
    return _row(request, clock, missed, f"{len(mesh.points):,} vertices")


def apply_row(request: Request) -> Row:
    mesh = dense_head()
    binding, offsets = bound(mesh), motion(request.seconds)
    clock = _Clock()
    moved = transfer.apply(binding, offsets)
    clock.stop()
    missed = share_missed(moved[::50], mesh.of(offsets[::50].astype(np.float64)))
    return _row(request, clock, missed, f"{len(offsets):,} frames of {len(mesh.points):,} vertices")


def solve_row(request: Request) -> Row:
    shapes, offsets = demo_head_shapes(), motion(request.seconds)
    mid_lips = demo_head_face().mid_lips
    solve_weights(shapes, offsets[:30], FPS, mid_lips=mid_lips)  # libraries set themselves up
    clock = _Clock()
    found = solve_weights(shapes, offsets, FPS, mid_lips=mid_lips)
    clock.stop()
    size_mm = 1e3 * float(np.sqrt((offsets.astype(np.float64) ** 2).sum(axis=2).mean()))
    missed = residual(shapes, found, offsets).rms_mm / size_mm
    return _row(request, clock, missed, f"{len(offsets):,} frames × {len(shapes.names)} shapes")


def _row(request: Request, clock: _Clock, missed: float, what: str) -> Row:
    wanted = WANTED_S[request.kind]
    verdict = "met" if clock.seconds <= wanted else "MISSED"
    failed = f"{100 * missed:.1f} % of the motion are missed" if missed > _MOST_ERROR else ""
    return Row(
        config=request.label, clip_s=request.seconds, fast_s=clock.seconds, peak_gib=peak_memory_gib(),
        others_cores=clock.others_cores, failed=failed,
        notes=(
            f"{what}; at most {wanted:g} s are wanted for 30 s of motion: {verdict}",
            f"{clock.processor_s:.2f} s of the processor",
        ),
    )  # fmt: skip
