"""Find a model's face in a mesh of unknown scale, place and direction: a similarity, from shape alone.

Several hundred starts (directions along the axes of the world and of the mesh, scales from a
head alone to a head on a body) run a few steps of closest points all at once; the best few are then
made exact.  What counts is how far the model's face is from the mesh, in the model's own metres,
and how far what the mesh has there is from the model.  Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from .closest import nearest
from .placement import Guess, Pairs, Placement, rotation_about, similarity, slide
from .surface import Floats, Index, Surface, spread

#: Distances count up to this one, metres of the model.
CAP_M = 0.03
#: Sizes tried, as shares of the size at which model and mesh spread equally.
_SCALES = 1.5 * 0.83 ** np.arange(16)
_CELLS, _EVEN_ROTATIONS = 44, 220
_STARTS_KEPT, _FINALISTS = 12, 4
_STEPS, _QUICK_STEPS, _EXACT_STEPS = 8, 7, 18
_NEIGHBOURS = 3500
#: Directions that are also tried as other forms: how much longer than broad, and how far up, metres.
_BASES, _LONGER, _SHIFTS_M = 3, (0.8, 1.0, 1.25), (-0.025, 0.0, 0.025)
#: A stretch by a factor of e is as bad as being off by this, metres.
_STRETCH_M = 0.004
#: If nothing fits better than this, a head is also looked for at every end of the mesh: heads of these
#: shares of its extent, and what else their size may be.
_DOUBTFUL_M = 0.012
_HEAD_SHARES, _HEAD_SIZES = (0.13, 0.18, 0.26, 0.38), np.array([0.75, 0.88, 1.0, 1.15])
_FEW_CELLS, _LEAST_TRIANGLES = 24, 60


@dataclass(frozen=True, eq=False)
class Pattern:
    """What is looked for: the model in metres.

    skin: its surface; core: vertices of the face proper, which must be found
    up: (3,) from the mouth to the brows, length 1
    """

    skin: Surface
    core: Index
    up: Floats


def align(pattern: Pattern, mesh: Surface, pairs: Pairs) -> Guess:
    """The best guess found.  Deterministic; whether it is good enough is for the caller to judge."""
    search = _Search(_Wanted(pattern), mesh, pairs, _CELLS)
    found = search.promising(search.starts())
    tried = [search.slid(guess, _QUICK_STEPS) for guess in [*found, *search.variants(found)]]
    if min(guess.score for guess in tried) > _DOUBTFUL_M:
        tried += [search.slid(guess, _QUICK_STEPS) for guess in search.crowns()]
    tried.sort(key=lambda guess: guess.score)
    return min(
        (search.slid(guess, _EXACT_STEPS) for guess in tried[:_FINALISTS]), key=lambda guess: guess.score
    )


class _Field:
    """Which of some points is nearest, by looking it up in a grid of cubes around them."""

    def __init__(self, points: Floats, margin: float, cells: int) -> None:
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        self._low, self._step, self._cells = low, (high - low) / cells, cells
        axes = [low[k] + (np.arange(cells) + 0.5) * self._step[k] for k in range(3)]
        centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        self._points, self._nearest = points, nearest(centres, points)

    def nearest(self, points: Floats) -> Floats:
        """(..., 3) the point nearest (nearly) to each of (..., 3)."""
        cube = np.clip(((points - self._low) / self._step).astype(np.int64), 0, self._cells - 1)
        row = (cube[..., 0] * self._cells + cube[..., 1]) * self._cells + cube[..., 2]
        return np.asarray(self._points[self._nearest[row]])


class _Wanted:
    """A pattern as samples."""

    def __init__(self, pattern: Pattern) -> None:
        points, used = pattern.skin.points, np.unique(pattern.skin.triangles)
        core = pattern.core[spread(points[pattern.core], 160)]
        rest = used[spread(points[used], 120)]
        rows = np.concatenate([core, rest])
        self.up = pattern.up
        self.points, self.normals = points[rows], pattern.skin.normals[rows]
        self.whole = points[rest]
        self.height = float(np.ptp(self.whole @ self.up))
        # The core counts fully, the rest of the head, which a mesh may lack, little.
        shares = [np.full(len(core), 1.0 / len(core)), np.full(len(rest), 0.3 / len(rest))]
        self.weight = np.concatenate(shares)
        box = points[pattern.core]
        self.low, self.high = box.min(axis=0) - 0.012, box.max(axis=0) + 0.012
        self.field = _Field(sampled(pattern.skin, 1600), 0.03, _CELLS)


class _Search:
    def __init__(self, wanted: _Wanted, mesh: Surface, pairs: Pairs, cells: int) -> None:
        self.wanted, self.mesh, self.pairs = wanted, mesh, pairs
        self.samples = sampled(mesh, 1600)
        self.used = np.unique(mesh.triangles)
        self.mesh_field = _Field(self.samples, 0.1 * float(np.ptp(self.samples, axis=0).max()), cells)

    def starts(self) -> list[Placement]:
        """Every direction, scale and place worth a try."""
        model_middle = self.wanted.whole.mean(axis=0)
        around = self.wanted.whole - model_middle
        samples, height = self.samples, self.wanted.height
        middle = samples.mean(axis=0)
        size = np.sqrt(((samples - middle) ** 2).sum(axis=1).mean() / (around**2).sum(axis=1).mean())
        found = []
        for rotation in self._upright_rotations(samples - middle, around):
            above = samples @ (rotation @ self.wanted.up)
            for scale in size * _SCALES:
                head = samples[above > above.max() - scale * height].mean(axis=0)
                found.append(Placement(rotation, scale, head - scale * rotation @ model_middle))
        # A head alone may be turned anyhow.
        found += [
            Placement(rotation, scale, middle - scale * rotation @ model_middle)
            for rotation in [
                *self._upright_rotations(samples - middle, around),
                *even_rotations(_EVEN_ROTATIONS),
            ]
            for scale in size * _SCALES[_SCALES > 0.6]
        ]
        if len(self.pairs.model) >= 3:
            found.append(similarity(self.pairs.model, self.pairs.mesh, np.ones(len(self.pairs.model))))
        return found

    def _upright_rotations(self, samples: Floats, around: Floats) -> list[Floats]:
        """Along the axes of the world and along those of the mesh, and turned by 45 degrees."""
        cubes = [
            np.eye(3)[list(order)] * np.array(signs)[:, None]
            for order in permutations(range(3))
            for signs in product((1.0, -1.0), repeat=3)
        ]
        cubes = [cube for cube in cubes if np.linalg.det(cube) > 0]
        turned = rotation_about(self.wanted.up, np.pi / 4)
        of_mesh, of_model = (np.linalg.svd(points, full_matrices=False)[2] for points in (samples, around))
        own = [of_mesh.T @ cube @ of_model for cube in cubes]
        own = [rotation * np.sign(np.linalg.det(rotation)) for rotation in own]
        return [*cubes, *(cube @ turned for cube in cubes), *own, *(one @ turned for one in own)]

    def promising(self, starts: list[Placement]) -> list[Guess]:
        """A few steps for all starts at once; the best that differ from each other."""
        rotation = np.stack([one.rotation for one in starts])
        scale = np.array([one.scale for one in starts])
        translation = np.stack([one.translation for one in starts])
        model, weight = self.wanted.points, self.wanted.weight
        pinned = len(self.pairs.model)
        if pinned:
            model = np.concatenate([model, self.pairs.model])
        for _ in range(_STEPS):
            placed = scale[:, None, None] * np.einsum("sij,nj->sni", rotation, model) + translation[:, None]
            target = self.mesh_field.nearest(placed)
            if pinned:
                target[:, -pinned:] = self.pairs.mesh
            square = ((placed - target) ** 2).sum(axis=2) / scale[:, None] ** 2
            share = np.ones((len(starts), len(model))) / pinned if pinned else np.zeros(square.shape)
            share[:, : len(weight)] = weight / (1.0 + square[:, : len(weight)] / CAP_M**2) ** 2
            share /= share.sum(axis=1, keepdims=True)
            mean = share @ model
            goal = np.einsum("sn,sni->si", share, target)
            spread_ = np.einsum("sn,sni,nj->sij", share, target - goal[:, None], model, optimize=True)
            left, _, right = np.linalg.svd(spread_)
            left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
            rotation = left @ right
            translation = goal - scale[:, None] * np.einsum("sij,sj->si", rotation, mean)
        scores = [self._looked_up(Placement(*one)) for one in zip(rotation, scale, translation, strict=True)]
        chosen: list[Guess] = []
        middle = self.wanted.points.mean(axis=0)
        for row in np.argsort(scores, kind="stable"):
            place = Placement(rotation[row], float(scale[row]), translation[row])
            one = Guess(place, np.eye(3), scores[row])
            if not any(_alike(one.placement, other.placement, middle) for other in chosen):
                chosen.append(one)
            if len(chosen) == _STARTS_KEPT:
                break
        return chosen

    def variants(self, guesses: list[Guess]) -> list[Guess]:
        """The best guesses as longer and broader faces, higher and lower."""
        up = self.wanted.up
        bases: list[Guess] = []
        for guess in guesses:
            if not any(_same_direction(guess.placement, other.placement) for other in bases):
                bases.append(guess)
        found = []
        for base in bases[:_BASES]:
            place = base.placement
            for longer in _LONGER:
                form = (np.eye(3) + (longer - 1.0) * np.outer(up, up)) / np.cbrt(longer)
                for shift in _SHIFTS_M:
                    middle = self.wanted.points.mean(axis=0)
                    held = (
                        place.to_mesh(middle + shift * up) - place.to_mesh(form @ middle) + place.translation
                    )
                    found.append(Guess(Placement(place.rotation, place.scale, held), form))
        return found

    def crowns(self) -> list[Guess]:
        """Guesses for a head on a body: each end of the mesh by itself, taken for a head of several sizes."""
        points = self.mesh.points[self.used]
        axes = np.concatenate([np.eye(3), np.linalg.svd(self.samples - self.samples.mean(axis=0))[2]])
        yaws = [rotation_about(self.wanted.up, turn) for turn in np.arange(8) * np.pi / 4]
        found = []
        for up in np.concatenate([axes, -axes]):
            upright = _between(self.wanted.up, up)
            above = points @ up
            for share in _HEAD_SHARES:
                height = share * float(np.ptp(above))
                middle = points[above > above.max() - 0.6 * height].mean(axis=0)
                off = self.mesh.points - middle
                aside = np.linalg.norm(off - (off @ up)[:, None] * up, axis=1)
                inside = (self.mesh.points @ up > above.max() - 1.15 * height) & (aside < 0.75 * height)
                kept = inside[self.mesh.triangles].all(axis=1)
                if kept.sum() < _LEAST_TRIANGLES:
                    continue
                part = _Search(self.wanted, self.mesh.part(kept), self.pairs, _FEW_CELLS)
                centre = part.samples.mean(axis=0)
                starts = [
                    Placement(turn, scale, centre - scale * turn @ self.wanted.whole.mean(axis=0))
                    for turn in (upright @ yaw for yaw in yaws)
                    for scale in height / self.wanted.height * _HEAD_SIZES
                ]
                found += part.promising(starts)[:1]
        found.sort(key=lambda guess: guess.score)
        return found[:_STARTS_KEPT]

    def _looked_up(self, placement: Placement) -> float:
        """The score by looked-up neighbours, metres of the model."""
        placed = placement.to_mesh(self.wanted.points)
        there = np.linalg.norm(placed - self.mesh_field.nearest(placed), axis=1) / placement.scale
        back = placement.to_model(self.samples)
        back = back[((back > self.wanted.low) & (back < self.wanted.high)).all(axis=1)]
        back = np.linalg.norm(back - self.wanted.field.nearest(back), axis=1)
        return self._score(there, back, Guess(placement, np.eye(3)))

    def _score(self, there: Floats, back: Floats, guess: Guess) -> float:
        """there, back: distances from model to mesh and from the mesh's face to the model, metres of it."""
        score = float(self.wanted.weight @ np.minimum(there, CAP_M))
        score += 0.5 * float(np.minimum(back, CAP_M).mean()) if len(back) else 0.5 * CAP_M
        score += _STRETCH_M * float(np.linalg.norm(np.log(np.linalg.eigvalsh(guess.form))))
        if len(self.pairs.model):
            off = np.linalg.norm(guess.to_mesh(self.pairs.model) - self.pairs.mesh, axis=1)
            score += float(off.mean()) / guess.placement.scale
        return score

    def slid(self, start: Guess, steps: int) -> Guess:
        """Steps along the mesh's tangent planes, first as a similarity, then with the form; and the score."""
        rows = self._around(start)
        if len(rows) < 20:
            return start
        points, normals = self.mesh.points[rows], self.mesh.normals[rows]
        own_normals = self.wanted.normals
        now = start
        for number in range(steps):
            placed = now.to_mesh(self.wanted.points)
            row = nearest(placed, points)
            off = np.linalg.norm(placed - points[row], axis=1) / now.placement.scale
            facing = np.abs(np.einsum("ij,ij->i", own_normals @ now.placement.rotation.T, normals[row]))
            reach = max(CAP_M * 0.8**number, 0.006)
            weight = self.wanted.weight / (1.0 + (off / reach) ** 2) ** 2 * (facing > 0.4)
            now = slide(now, self.wanted.points, points[row], normals[row], weight, self.pairs, number >= 2)
        placed = now.to_mesh(self.wanted.points)
        there = np.linalg.norm(placed - points[nearest(placed, points)], axis=1) / now.placement.scale
        back = now.to_model(points)
        back = back[((back > self.wanted.low) & (back < self.wanted.high)).all(axis=1)]
        back = np.linalg.norm(back - self.wanted.field.nearest(back), axis=1)
        return Guess(now.placement, now.form, self._score(there, back, now))

    def _around(self, guess: Guess) -> Index:
        """Vertices of the mesh near a guess, not too many."""
        middle = self.wanted.points.mean(axis=0)
        reach = 1.3 * float(np.linalg.norm(self.wanted.points - middle, axis=1).max())
        rows = self.used
        rows = rows[np.linalg.norm(guess.to_model(self.mesh.points[rows]) - middle, axis=1) < reach]
        if len(rows) > _NEIGHBOURS:
            rows = np.random.default_rng(0).choice(rows, _NEIGHBOURS, replace=False)
        return rows


def even_rotations(count: int) -> list[Floats]:
    """Rotations spread evenly (Alexa, "Super-Fibonacci spirals", CVPR 2022)."""
    place = np.arange(count) + 0.5
    share = place / count
    first, second = 2 * np.pi * place / np.sqrt(2.0), 2 * np.pi * place / 1.533751168755204
    low, high = np.sqrt(share), np.sqrt(1.0 - share)
    quaternions = [low * np.sin(first), low * np.cos(first), high * np.sin(second), high * np.cos(second)]
    return [_of_quaternion(*map(float, one)) for one in np.stack(quaternions, axis=1)]


def _of_quaternion(x: float, y: float, z: float, w: float) -> Floats:
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + 2.0 * w * cross + 2.0 * cross @ cross)


def _between(first: Floats, second: Floats) -> Floats:
    """(3, 3) a rotation that turns one direction of length 1 into another."""
    axis = np.cross(first, second)
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        if first @ second > 0:
            return np.eye(3)
        return rotation_about(np.eye(3)[np.abs(first).argmin()], np.pi)
    return rotation_about(axis / length, float(np.arctan2(length, first @ second)))


def sampled(surface: Surface, count: int) -> Floats:
    """(count, 3) points on a surface, half of them evenly spread, half as densely as it is modelled."""
    random = np.random.default_rng(0)
    used = np.unique(surface.triangles)
    vertices = surface.points[random.choice(used, count // 2, replace=len(used) < count // 2)]
    owner = random.choice(len(surface.triangles), count - count // 2, p=surface.areas / surface.areas.sum())
    weights = random.dirichlet((1.0, 1.0, 1.0), len(owner))
    inner = np.einsum("nk,nkj->nj", weights, surface.points[surface.triangles[owner]])
    return np.concatenate([vertices, inner])


def _alike(one: Placement, other: Placement, middle: Floats) -> bool:
    """Whether two placements would end at the same place."""
    ratio = one.scale / other.scale
    apart = np.linalg.norm(one.to_mesh(middle[None]) - other.to_mesh(middle[None])) / other.scale
    return bool(_same_direction(one, other) and 0.93 < ratio < 1.07 and apart < 0.015)


def _same_direction(one: Placement, other: Placement) -> bool:
    """Whether two placements are turned alike, to 12 degrees."""
    return bool(np.trace(one.rotation @ other.rotation.T) > 1 + 2 * np.cos(np.radians(12)))
