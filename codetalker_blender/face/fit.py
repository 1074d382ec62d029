"""Align a bundle's face to the user's mesh.

The two have the same vertices in the same order; scale, axes and identity may differ.  What is found is the
similarity (rotation, scale, translation) that brings the template closest to the mesh; offsets are turned and
scaled by it.  Numpy only; no bpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray
from ..errors import TargetError

#: Below this share of the largest extent the points count as lying in one plane or on one line.
FLATNESS = 1e-6


@dataclass(frozen=True)
class Similarity:
    """``mesh ≈ scale * template @ rotation.T + translation``.

    rotation: (3, 3) float64, orthogonal; its determinant is -1 for a mirrored mesh
    scale: mesh units per template unit
    translation: (3,) float64, mesh units
    residual: root mean square distance left over the vertices, in TEMPLATE units
    """

    rotation: NDArray[np.float64]
    scale: float
    translation: NDArray[np.float64]
    residual: float

    @property
    def mirrored(self) -> bool:
        return bool(np.linalg.det(self.rotation) < 0)

    def residual_mm(self, units_per_metre: float) -> float:
        """The residual in millimetres of the template's own size."""
        return self.residual / units_per_metre * 1000.0


def fit_similarity(template: FloatArray, mesh: FloatArray) -> Similarity:
    """The least-squares similarity from template to mesh coordinates, both (V, 3), row by row.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (PAMI 1991), equations 38 to 42, except for one thing: where a reflection fits strictly better,
    it is kept instead of being forced into a rotation, so that a mirrored head moves mirrored.

    Raises TargetError when the mesh holds no finite, extended shape.
    """
    source = np.asarray(template, np.float64)
    target = np.asarray(mesh, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise TargetError(
            f"The model's face has {len(source)} vertices and the mesh has {len(target)}.",
            "Choose a mesh with the model's own topology.",
        )
    if not np.isfinite(target).all():
        bad = int((~np.isfinite(target).all(axis=1)).sum())
        raise TargetError(
            f"The mesh has {bad} vertices whose coordinates are not finite numbers.", "Repair the mesh."
        )
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_centred, target_centred = source - source_mean, target - target_mean
    variance = (source_centred**2).sum() / len(source)
    covariance = target_centred.T @ source_centred / len(source)
    left, values, right = np.linalg.svd(covariance)
    if variance == 0 or values[0] <= FLATNESS * variance * np.sqrt((target_centred**2).sum() / len(source)):
        raise TargetError(
            "The mesh has no extent: its vertices lie in one point or bear no likeness to the model's face.",
            "Restore the mesh's rest shape.",
        )
    signs = np.ones(3)
    if np.linalg.det(left @ right) < 0 and values[2] <= FLATNESS * values[0]:
        # A flat shape fits a rotation and a reflection equally well; take the rotation.
        signs[2] = -1.0
    rotation = left @ np.diag(signs) @ right
    scale = float((values * signs).sum() / variance)
    if scale <= 0:
        raise TargetError("The mesh bears no likeness to the model's face.", "Restore the mesh's rest shape.")
    translation = target_mean - scale * rotation @ source_mean
    left_over = scale * source_centred @ rotation.T - target_centred
    residual = float(np.sqrt((left_over**2).sum(axis=1).mean()) / scale)
    return Similarity(rotation, scale, translation, residual)
