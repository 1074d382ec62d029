"""Where a model lies in a mesh's space: a similarity, a first guess at its form, and steps to better ones.

Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .surface import Floats, unit

#: A form stretches no direction by more than this, or squeezes it by more than the inverse.
_MOST_STRETCH = 1.4
#: No step turns by more (radians), moves by more (metres of the model) or stretches by more than this.
_MOST_TURN, _MOST_MOVE, _MOST_GROWTH = 0.3, 0.03, 0.1
#: What holds a step's stretch where the data leave it open, and what forbids it, square metres.
_LOOSE, _FIXED = 2e-6, 1e3


@dataclass(frozen=True, eq=False)
class Placement:
    """``mesh = scale * model @ rotation.T + translation``.

    rotation: (3, 3), determinant 1; scale: mesh units per metre of the model
    """

    rotation: Floats
    scale: float
    translation: Floats

    def to_mesh(self, points: Floats) -> Floats:
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)

    def to_model(self, points: Floats) -> Floats:
        return np.asarray((points - self.translation) @ self.rotation / self.scale)


@dataclass(frozen=True, eq=False)
class Guess:
    """A placement of a model that was stretched first: broad faces and long ones.

    form: (3, 3) symmetric, determinant 1; score: how badly it fits, metres of the model
    """

    placement: Placement
    form: Floats
    score: float = np.inf

    def to_mesh(self, points: Floats) -> Floats:
        return self.placement.to_mesh(points @ self.form.T)

    def to_model(self, points: Floats) -> Floats:
        return np.asarray(self.placement.to_model(points) @ np.linalg.inv(self.form).T)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Named points: (n, 3) on the model in metres, and (n, 3) on the mesh in its units."""

    model: Floats
    mesh: Floats


def similarity(model: Floats, mesh: Floats, weight: Floats) -> Placement:
    """The weighted least-squares similarity without reflection (Umeyama 1991) of paired points (n, 3)."""
    share = weight / weight.sum()
    mean, goal = share @ model, share @ mesh
    centred = model - mean
    left, values, right = np.linalg.svd((share[:, None] * (mesh - goal)).T @ centred)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    rotation = (left * signs) @ right
    scale = float((values * signs).sum() / max(float(share @ (centred**2).sum(axis=1)), 1e-300))
    return Placement(rotation, scale, goal - scale * rotation @ mean)


def rotation_about(axis: Floats, angle: float) -> Floats:
    """(3, 3) turn by ``angle`` (radians) about an axis of length 1 (Rodrigues)."""
    cross = np.cross(np.eye(3), axis)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def slide(
    now: Guess,
    model: Floats,
    target: Floats,
    normals: Floats,
    weight: Floats,
    pairs: Pairs,
    stretch: bool,
) -> Guess:
    """One linearised step of point-to-plane distances over turn, move, scale and, with ``stretch``, form.

    model: (n, 3) metres; target, normals: (n, 3) their counterparts on the mesh; weight: (n,), sum about 1
    """
    place = now.placement
    placed = now.to_mesh(model)
    # About the placed model's middle, in the model's metres: the unknowns are then of one size.
    middle = placed.mean(axis=0)
    arm, goal = (placed - middle) / place.scale, (target - middle) / place.scale
    root = np.sqrt(np.maximum(weight, 0.0))
    normals = unit(normals)
    rows = root[:, None] * _along(arm, normals)
    wanted = root * np.einsum("ij,ij->i", goal - arm, normals)
    if len(pairs.model):
        own = (now.to_mesh(pairs.model) - middle) / place.scale
        there = (pairs.mesh - middle) / place.scale
        share = np.sqrt(1.0 / len(own))
        for axis in np.eye(3):
            rows = np.concatenate([rows, share * _along(own, np.tile(axis, (len(own), 1)))])
            wanted = np.concatenate([wanted, share * (there - own) @ axis])
    system = rows.T @ rows + 1e-9 * np.eye(12)
    # Of the six numbers of a stretch, all but their common growth may be held.
    uneven = np.eye(6)
    uneven[:3, :3] -= 1.0 / 3.0
    system[6:, 6:] += (_LOOSE if stretch else _FIXED) * uneven
    step = np.linalg.solve(system, rows.T @ wanted)
    angle = float(np.linalg.norm(step[:3]))
    turn = rotation_about(step[:3] / angle, min(angle, _MOST_TURN)) if angle > 1e-12 else np.eye(3)
    x, y, z, xy, xz, yz = np.clip(step[6:], -_MOST_GROWTH, _MOST_GROWTH)
    change = turn @ (np.eye(3) + np.array([[x, xy, xz], [xy, y, yz], [xz, yz, z]]))
    move = step[3:6] * min(1.0, _MOST_MOVE / max(float(np.linalg.norm(step[3:6])), 1e-12))
    translation = middle + change @ (place.translation - middle) + place.scale * move
    return _split(place.scale * change @ place.rotation @ now.form, translation)


def _along(arm: Floats, normals: Floats) -> Floats:
    """(n, 12) how far points at ``arm`` go along ``normals`` by turn, move and stretch."""
    a, n = arm.T, normals.T
    mixed = [a[i] * n[j] + a[j] * n[i] for i, j in ((0, 1), (0, 2), (1, 2))]
    return np.column_stack([np.cross(arm, normals), normals, arm * normals, *mixed])


def _split(linear: Floats, translation: Floats) -> Guess:
    """A linear map as rotation, scale and symmetric form (its polar decomposition)."""
    left, values, right = np.linalg.svd(linear)
    scale = float(np.cbrt(values.prod()))
    sizes = np.clip(values / scale, 1.0 / _MOST_STRETCH, _MOST_STRETCH)
    form = (right.T * sizes / np.cbrt(sizes.prod())) @ right
    return Guess(Placement(left @ right, scale, translation), form)
