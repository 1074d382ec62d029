"""How well a model's face was fitted to a mesh, in numbers, and when that is too bad to animate it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TargetError

#: What a usable fit has at least or at most.
MOST_MEAN_MM, LEAST_COVERAGE, LEAST_AGREEMENT = 2.5, 0.75, 0.75
MOST_STRETCH = 2.5
LEAST_PARTING = 1.5
LEAST_VERTICES = 80
INSIDE_OUT = -0.3
LEAST_DEPTH = 0.02

HINT = "Choose the mesh of a head whose rest shape has a neutral face, or place landmarks and fit again."


@dataclass(frozen=True)
class Quality:
    """A fit in numbers; millimetres are those of the model's own face, so that the mesh's scale is no matter.

    mean_mm, max_mm: distance of the fitted face from the mesh, over the face proper
    coverage: share of the face proper that lies on the mesh and faces as the mesh does there
    agreement: mean cosine between normals of face and mesh
    stretch: the largest local change of size, as a factor of at least 1, beyond the common scale
    vertices: how many vertices the mesh has where the face proper lies
    parting: how much longer the way from lip to lip is than the straight line; under 1.5 they are joined;
        None where the model does not tell its lips apart
    """

    mean_mm: float
    max_mm: float
    coverage: float
    agreement: float
    stretch: float
    vertices: int
    parting: float | None

    def complaints(self) -> list[str]:
        """What is wrong with the fit, each with its number; empty for a usable one."""
        found = []
        if self.vertices < LEAST_VERTICES:
            found.append(_too_few(self.vertices))
        if self.mean_mm > MOST_MEAN_MM:
            found.append(
                f"the face is {self.mean_mm:.1f} mm off on average, and {MOST_MEAN_MM:.1f} mm are allowed"
            )
        if self.coverage < LEAST_COVERAGE:
            found.append(
                f"{self.coverage:.0%} of the face are found on it, and {LEAST_COVERAGE:.0%} are needed"
            )
        if self.agreement < LEAST_AGREEMENT:
            found.append(f"its surface faces elsewhere (agreement {self.agreement:.2f} of 1)")
        if self.stretch > MOST_STRETCH:
            found.append(f"the face had to be stretched {self.stretch:.1f} times")
        if self.parting is not None and self.parting < LEAST_PARTING:
            found.append(
                f"it has no opening between the lips (the way round is {self.parting:.1f} times as long)"
            )
        return found


def refuse_coarse(vertices: int) -> None:
    """Raises TargetError for a mesh that has fewer vertices in all than a face needs."""
    if vertices < LEAST_VERTICES:
        raise TargetError(f"The model's face cannot be fitted to this mesh: {_too_few(vertices)}.", HINT)


def _too_few(vertices: int) -> str:
    return f"it has {vertices} vertices in the face, and {LEAST_VERTICES} are needed"


def refuse_bad(quality: Quality) -> None:
    """Raises TargetError with the reasons when a fit is too bad to be used."""
    complaints = quality.complaints()
    if not complaints:
        return
    raise TargetError(f"The model's face cannot be fitted to this mesh: {'; '.join(complaints)}.", HINT)


def refuse_flat(points: NDArray[np.float64]) -> None:
    """Raises TargetError for a mesh (V, 3) that has no depth."""
    across = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points.T)), 0.0))
    if across[0] < LEAST_DEPTH * across[2]:
        share = across[0] / across[2]
        raise TargetError(
            f"The model's face cannot be fitted to this mesh: its depth is {share:.1%} of its size.",
            HINT,
        )


def refuse_inside_out(agreement: float) -> None:
    """Raises TargetError when the mesh's normals oppose the placed face's; agreement: as in Quality."""
    if agreement < INSIDE_OUT:
        raise TargetError(
            f"The model's face cannot be fitted to this mesh: its faces point inwards "
            f"(agreement {agreement:.2f} of 1).",
            "Turn its faces outwards: Mesh > Normals > Recalculate Outside, in Edit Mode.",
        )
