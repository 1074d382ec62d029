"""A smooth displacement of space, as wanted at some places: Gaussian-process regression with few nodes.

Widths from a head's to a lip's make it coarse and fine at once; how much of each is used follows
from how sure the wishes are (Lüthi et al., "Gaussian process morphable models", PAMI 2018).  The side
of the mouth is a fourth coordinate, so that lips that touch may yet move apart.  Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .surface import Floats

#: Widths of the Gaussians and how far each may usually displace, metres.
SCALES = ((0.110, 0.030), (0.050, 0.012), (0.022, 0.005), (0.011, 0.0025))
#: One lip is as far from the other as this length, metres, besides where they are.
SIDE_M = 0.012


@dataclass(frozen=True, eq=False)
class Wishes:
    """Where some places should go.

    basis: (n, M) how much each node's Gaussian is at them
    moves: (n, 3) metres; normals: (n, 3) of length 1
    along: (n,) certainty along the normal, 1 / metres; across: (n,) the same at right angles to it
    """

    basis: Floats
    moves: Floats
    normals: Floats
    along: Floats
    across: Floats

    def joined(self, other: Wishes) -> Wishes:
        """Both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Wishes(*(np.concatenate(pair) for pair in pairs))


def placed(points: Floats, sides: Floats) -> Floats:
    """(n, 4) places: points (n, 3) in metres, and the side of the mouth (n,) as a length."""
    return np.column_stack([points, SIDE_M * sides])


def kernel(first: Floats, second: Floats) -> Floats:
    """(n, m) covariance of the displacements at (n, 4) and (m, 4) places, square metres."""
    middle = second.mean(axis=0)
    a, b = first - middle, second - middle
    squares = np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T, 0.0)
    found = np.zeros(squares.shape)
    for width, size in SCALES:
        found += size**2 * np.exp(squares * (-0.5 / width**2))
    return found


def solve(prior: Floats, wishes: Wishes) -> Floats:
    """(M, 3) weights of the nodes' Gaussians: the likeliest displacement for the wishes.

    prior: (M, M) :func:`kernel` of the nodes with themselves.  Per wish the squared miss counts
    ``along**2`` along its normal and ``across**2`` across, against the displacement's own norm.
    """
    basis, count = wishes.basis, len(prior)
    across = wishes.across**2
    extra = wishes.along**2 - across
    goal = across[:, None] * wishes.moves
    goal += (extra * np.einsum("ij,ij->i", wishes.normals, wishes.moves))[:, None] * wishes.normals
    prior = prior + 1e-6 * prior[0, 0] * np.eye(count)
    system = np.empty((3, count, 3, count))
    plain = (across[:, None] * basis).T @ basis + prior
    for row in range(3):
        for column in range(row, 3):
            share = extra * wishes.normals[:, row] * wishes.normals[:, column]
            block = (share[:, None] * basis).T @ basis
            system[row, :, column] = block + plain if row == column else block
            system[column, :, row] = system[row, :, column]
    wanted = (basis.T @ goal).T
    found = np.linalg.solve(system.reshape(3 * count, 3 * count), wanted.reshape(-1))
    return np.asarray(found.reshape(3, count).T)
