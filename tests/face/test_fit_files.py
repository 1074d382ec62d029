"""Fits that are kept: found by what they answer, whole or not at all, and made anew when damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.face import binding, fit_files
from codetalker_blender.face.fit_files import KeptFit, Mesh, Question, keep_fit, kept_fit
from codetalker_blender.face.quality import Quality

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = np.eye(4)


def made_face() -> FaceMesh:
    points = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    triangles = np.array([[0, 1, 2], [2, 3, 4]], np.int32)
    lips = np.array([0, 1], np.int32)
    return FaceMesh(points, triangles, lips, lips, {"mouth": np.array([0, 1], np.int32)})


def made_mesh(seed: int = 2) -> Mesh:
    points = np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)
    return Mesh(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), NOWHERE)


def question() -> Question:
    marks = {"chin": np.array([1.0, 2.0, 3.0])}
    return Question(made_face(), 1.0, (made_mesh(), made_mesh(3), made_mesh(4)), marks)


def packed(asked: Question, number: int) -> bytes:
    """The binding of a mesh of which one vertex follows."""
    mesh, face = asked.meshes[number], asked.face
    return binding.pack(
        binding.Binding(
            model=binding.signature(face.vertices, face.triangles),
            mesh=binding.signature(mesh.points, mesh.triangles),
            source_count=5,
            vertex_count=6,
            moved=np.array([number], np.int32),
            sources=np.zeros((1, 4), np.int32),
            weights=np.ones((1, 4), np.float32),
            frames=np.ones((1, 3, 3), np.float32),
            anchored=np.zeros(0, np.int32),
            anchor_weights=np.zeros((0, 4), np.float32),
            anchor_counts=np.zeros(0, np.int32),
            distance_mm=np.zeros(6, np.float32),
            quality=Quality(0.1, 0.5, 1.0, 1.0, 1.1, 100, None),
        )
    )


def answer(asked: Question) -> KeptFit:
    """The third mesh does not follow."""
    return KeptFit((packed(asked, 0), packed(asked, 1), b""), asked.face.vertices + np.float32(1))


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    folder, asked = tmp_path / "new" / "fits", question()
    assert kept_fit(folder, asked) is None
    keep_fit(folder, asked, answer(asked))
    found = kept_fit(folder, question())
    assert found is not None and found.packed == answer(asked).packed
    np.testing.assert_array_equal(found.preview, answer(asked).preview)


def moved(points: FloatArray) -> FloatArray:
    changed = points.copy()
    changed[3, 1] = np.nextafter(changed[3, 1], np.float32(9))
    return changed


CHANGES: dict[str, Callable[[Question], Question]] = {
    "face": lambda q: replace(q, face=replace(q.face, vertices=moved(q.face.vertices))),
    "region": lambda q: replace(q, face=replace(q.face, regions={"jaw": q.face.regions["mouth"]})),
    "lips": lambda q: replace(q, face=replace(q.face, mid_lips=q.face.mid_lips[::-1])),
    "unit": lambda q: replace(q, units_per_metre=100.0),
    "points": lambda q: replace(
        q, meshes=(*q.meshes[:2], replace(q.meshes[2], points=moved(q.meshes[2].points)))
    ),
    "corners": lambda q: replace(
        q, meshes=(replace(q.meshes[0], triangles=q.meshes[0].triangles[::-1]), *q.meshes[1:])
    ),
    "place": lambda q: replace(q, meshes=(*q.meshes[:2], replace(q.meshes[2], matrix=2 * NOWHERE))),
    "fewer": lambda q: replace(q, meshes=q.meshes[:2]),
    "order": lambda q: replace(q, meshes=(q.meshes[0], q.meshes[2], q.meshes[1])),
    "landmark": lambda q: replace(q, landmarks={"nose_tip": q.landmarks["chin"]}),
    "no landmark": lambda q: replace(q, landmarks={}),
    "landmark's place": lambda q: replace(q, landmarks={"chin": q.landmarks["chin"] + 1e-9}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_a_fit_makes_another_question(tmp_path: Path, change: str) -> None:
    asked = question()
    keep_fit(tmp_path, asked, answer(asked))
    assert kept_fit(tmp_path, CHANGES[change](asked)) is None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    asked = question()
    values = {f"mesh_{number}": np.array([object()]) for number in range(3)}
    with path.open("wb") as stream:
        np.savez(stream, preview=asked.face.vertices, **values)


def of_another(path: Path) -> None:
    """The bindings of two meshes changed for each other."""
    asked = question()
    keep_fit(path.parent, asked, KeptFit((packed(asked, 1), packed(asked, 0), b""), asked.face.vertices))


def endless(path: Path) -> None:
    asked = question()
    keep_fit(path.parent, asked, KeptFit(answer(asked).packed, asked.face.vertices * np.float32(np.nan)))


@pytest.mark.parametrize("harm", [cut, flip, empty, pickled, of_another, endless])
def test_what_is_damaged_counts_as_none_and_is_replaced(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    asked = question()
    keep_fit(tmp_path, asked, answer(asked))
    harm(only_file(tmp_path))
    assert kept_fit(tmp_path, asked) is None
    keep_fit(tmp_path, asked, answer(asked))
    assert kept_fit(tmp_path, asked) is not None


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path: Path) -> None:
    file, asked = tmp_path / "file", question()
    file.write_text("in the way")
    keep_fit(file / "fits", asked, answer(asked))
    assert kept_fit(file / "fits", asked) is None
    assert list(tmp_path.iterdir()) == [file]


def test_those_not_asked_for_the_longest_go_first(tmp_path: Path) -> None:
    asked = [replace(question(), units_per_metre=1.0 + number) for number in range(fit_files.MOST_KEPT + 1)]
    for age, one in enumerate(asked[:-1]):
        keep_fit(tmp_path, one, answer(one))
        os.utime(tmp_path / f"fit-{one.digest}.npz", (1000.0 + age, 1000.0 + age))
    assert kept_fit(tmp_path, asked[0]) is not None, "asked for just now"
    keep_fit(tmp_path, asked[-1], answer(asked[-1]))
    assert len(list(tmp_path.iterdir())) == fit_files.MOST_KEPT
    assert [kept_fit(tmp_path, one) is None for one in asked[:3]] == [False, True, False]
    assert kept_fit(tmp_path, asked[-1]) is not None


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """While two write the same fit again and again, each that reads finds a whole one."""
    code = (
        "import pathlib, sys; from tests.face import test_fit_files as t; q = t.question()\n"
        "for _ in range(40): t.keep_fit(pathlib.Path(sys.argv[1]), q, t.answer(q))"
    )
    asked = question()
    keep_fit(tmp_path, asked, answer(asked))
    words = [sys.executable, "-c", code, str(tmp_path)]
    writers = [subprocess.Popen(words, cwd=ROOT) for _ in range(2)]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        assert kept_fit(tmp_path, asked) is not None
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0] and reads > 10
    assert only_file(tmp_path).name == f"fit-{asked.digest}.npz"
