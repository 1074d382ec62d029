"""Faces for the import command: template files, meshes and regions, and what is known without them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from codetalker_blender.face import topology
from codetalker_blender.face.topology import FLAME
from codetalker_blender.model_files import read_card, read_face
from tests.training.importing import TEMPLATE, Importer, state_of, write_state


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path, capsys)


# -- templates -----------------------------------------------------------------------------------

QUADS = [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9, 10, 11]]
FANS = [[0, 1, 2], [0, 2, 3], [4, 5, 6], [7, 8, 9], [7, 9, 10], [7, 10, 11]]


def ply(vertices: NDArray[Any], order: str) -> bytes:
    """A .ply with a colour per vertex and an extra element, in any of the three encodings."""
    header = [
        "ply",
        f"format {order} 1.0",
        "comment made for a test",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        "property uchar red",
        f"element face {len(QUADS)}",
        "property list uchar int vertex_indices",
        "element edge 1",
        "property int vertex1",
        "end_header",
    ]
    text = ("\n".join(header) + "\n").encode()
    if order == "ascii":
        rows = [" ".join(map(repr, map(float, v))) + " 200" for v in vertices]
        rows += [" ".join(map(str, [len(quad), *quad])) for quad in QUADS] + ["5"]
        return text + ("\n".join(rows) + "\n").encode()
    mark = "<" if "little" in order else ">"
    table = np.empty(len(vertices), [("p", mark + "f4", 3), ("red", "u1")])
    table["p"], table["red"] = vertices, 200
    faces = b"".join(bytes([len(q)]) + np.array(q, mark + "i4").tobytes() for q in QUADS)
    return text + table.tobytes() + faces + np.array(5, mark + "i4").tobytes()


def obj(vertices: NDArray[Any]) -> bytes:
    """An .obj with every way to write a corner."""
    lines = [
        "# made for a test",
        "o face",
        *(f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()),
        "vt 0 0",
    ]
    lines += ["f 1 2/1 3//1 4/1/1", "f -16 -15 -14", "s 1", "f 8 9 10 \\", " 11 12"]
    return "\n".join(lines).encode()


def numpy_file(array: NDArray[Any]) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def bytes_file(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


TEMPLATE_FILES: dict[str, Callable[[Path], object]] = {
    "rows.npy": numpy_file(TEMPLATE),
    "flat.npy": numpy_file(TEMPLATE.ravel().astype(np.float64)),
    "framed.npy": numpy_file(TEMPLATE.reshape(1, -1)),
    "text.ply": bytes_file(ply(TEMPLATE, "ascii")),
    "little.ply": bytes_file(ply(TEMPLATE, "binary_little_endian")),
    "big.ply": bytes_file(ply(TEMPLATE, "binary_big_endian")),
    "mesh.obj": bytes_file(obj(TEMPLATE)),
    "one.pkl": bytes_file(pickle.dumps({"F2": TEMPLATE})),
}


@pytest.mark.parametrize("name", TEMPLATE_FILES)
def test_template_files(importer: Importer, name: str) -> None:
    path = importer.folder / name
    TEMPLATE_FILES[name](path)
    face = importer.bundle(template=path).face
    np.testing.assert_array_equal(face.vertices, TEMPLATE)
    faces = FANS if path.suffix in (".ply", ".obj") else np.zeros((0, 3))
    np.testing.assert_array_equal(face.triangles, faces)


def python2_pickle(name: str, array: NDArray[Any]) -> bytes:
    """``{name: array}`` as Python 2 with numpy 1 wrote it (protocol 2, arrays of float64)."""
    content = array.astype("<f8").tobytes()
    shape = b"K" + bytes([array.shape[0]]) + b"K" + bytes([array.shape[1]]) + b"\x86"
    return (
        b"\x80\x02}q\x00U" + bytes([len(name)]) + name.encode() + b"q\x01"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07"
        b"(K\x01" + shape + b"q\x08cnumpy\ndtype\nq\tU\x02f8q\nK\x00K\x01\x87q\x0bRq\x0c"
        b"(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb"
        b"\x89T" + len(content).to_bytes(4, "little") + content + b"q\x0ftq\x10bs."
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_templates_pickle_of_every_protocol(importer: Importer, protocol: int) -> None:
    path = importer.folder / "templates.pkl"
    subjects = {"F2": TEMPLATE + 1.0, "M3": np.asfortranarray(TEMPLATE.astype(np.float64))}
    path.write_bytes(pickle.dumps(subjects, protocol=protocol))
    face = importer.bundle(template=path, subject="M3").face
    np.testing.assert_array_equal(face.vertices, TEMPLATE)


def test_templates_pickle_of_python_2(importer: Importer) -> None:
    path = importer.folder / "templates.pkl"
    path.write_bytes(python2_pickle("FaceTalk", TEMPLATE))
    np.testing.assert_array_equal(importer.bundle(template=path).face.vertices, TEMPLATE)


def test_subject_must_be_chosen_and_known(importer: Importer) -> None:
    path = importer.folder / "templates.pkl"
    path.write_bytes(pickle.dumps({"F2": TEMPLATE, "M3": TEMPLATE}))
    assert "F2, M3" in importer.refusal(template=path)
    assert "no subject 'M9'" in importer.refusal(template=path, subject="M9")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.npy", None),
        ("odd.npy", np.zeros(7)),
        ("nan.npy", np.full((20, 3), np.nan)),
        ("text.txt", b"1 2 3"),
        ("short.ply", ply(TEMPLATE, "binary_little_endian")[:400]),
        ("short_text.ply", ply(TEMPLATE, "ascii")[:400]),
        ("header.ply", b"ply\nformat ascii 1.0\nelement vertex 20\n"),
        ("words.ply", b"ply\nformat ascii 1.0\nproperty float x\nend_header\n"),
        ("words.obj", b"v 1 2 three\n"),
        ("outside.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"),
        ("nothing.obj", b"o face\n"),
        ("objects.npy", np.array([{}], dtype=object)),
        ("list.pkl", pickle.dumps([1, 2])),
        ("short.pkl", pickle.dumps({"F2": TEMPLATE})[:-20]),
        ("text.pkl", pickle.dumps({"F2": "face"})),
        ("empty.pkl", b""),
    ],
)
def test_unreadable_templates(importer: Importer, name: str, content: Any) -> None:
    path = importer.folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    assert name in importer.refusal(template=path)


def test_template_of_another_face(importer: Importer) -> None:
    np.save(importer.folder / "big.npy", np.zeros((23, 3)))
    said = importer.refusal(template=importer.folder / "big.npy")
    assert "23 vertices" in said
    assert "20" in said


# -- meshes, regions, what is known of faces -----------------------------------------------------


def test_mesh_gives_triangles(importer: Importer) -> None:
    path = importer.folder / "mesh.obj"
    path.write_bytes(obj(TEMPLATE * 3.0))
    face = importer.bundle(mesh=path).face
    np.testing.assert_array_equal(face.triangles, FANS)
    np.testing.assert_array_equal(face.vertices, TEMPLATE)


def test_meshes_that_do_not_fit(importer: Importer) -> None:
    path = importer.folder / "mesh.obj"
    path.write_bytes(obj(np.vstack((TEMPLATE, TEMPLATE[:2]))))
    said = importer.refusal(mesh=path)
    assert "22 vertices" in said
    assert "20" in said
    path.write_bytes(obj(TEMPLATE).split(b"f ")[0])
    assert "no faces" in importer.refusal(mesh=path)


def test_region_lists(importer: Importer) -> None:
    (importer.folder / "lve.txt").write_text("3, 1,2,\n7", encoding="utf-8")
    (importer.folder / "fdd.txt").write_text("11,12", encoding="utf-8")
    regions = importer.bundle(regions=importer.folder).face.regions
    assert regions["lips"].tolist() == [1, 2, 3, 7]
    assert regions["upper_face"].tolist() == [11, 12]
    assert not len(regions["jaw"])


def test_flame_masks(importer: Importer) -> None:
    masks = {
        "lips": [4, 2],
        "forehead": [1, 5],
        "eye_region": [5, 6],
        "left_eyeball": [8],
        "right_eyeball": [9],
    }
    arrays = {name: np.array(indices) for name, indices in masks.items()}
    (importer.folder / "FLAME_masks.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    regions = importer.bundle(regions=importer.folder).face.regions
    assert regions["lips"].tolist() == [2, 4]
    assert regions["upper_face"].tolist() == [1, 5, 6]
    assert regions["eyes"].tolist() == [8, 9]


def test_regions_that_do_not_fit(importer: Importer) -> None:
    assert "lve.txt" in importer.refusal(regions=importer.folder)
    (importer.folder / "lve.txt").write_text("3,20", encoding="utf-8")
    said = importer.refusal(regions=importer.folder)
    assert "3 to 20" in said
    (importer.folder / "lve.txt").write_text("3,x", encoding="utf-8")
    assert "lve.txt" in importer.refusal(regions=importer.folder)


@pytest.mark.parametrize("option", ["template", "mesh", "regions"])
def test_names_that_the_disk_refuses(importer: Importer, option: str) -> None:
    path = importer.folder / ("a" * 300 + ".ply")
    said = importer.refusal(flavour="vocaset", **{option: path})
    assert str(path) in said
    assert "too long" in said


def resized(folder: Path, flavour: str, vertices: int) -> dict[str, Path]:
    """The small checkpoints with another number of vertices."""
    numbers = 3 * vertices
    stage1, stage2 = state_of(flavour, 1), state_of(flavour, 2)
    stage1["encoder.vertice_mapping.0.weight"] = torch.zeros(32, numbers)
    stage1["decoder.vertice_map_reverse.weight"] = torch.zeros(numbers, 32)
    if "decoder.vertice_map_reverse.bias" in stage1:
        stage1["decoder.vertice_map_reverse.bias"] = torch.zeros(numbers)
    stage2["vertice_map.weight"] = torch.zeros(32, numbers)
    np.save(folder / "sized.npy", np.random.default_rng(0).random((vertices, 3)))
    return {
        "stage1": write_state(folder / "s1.pth.tar", stage1),
        "stage2": write_state(folder / "s2.pth.tar", stage2),
        "template": folder / "sized.npy",
    }


@pytest.mark.parametrize(
    ("flavour", "vertices", "metres", "mid_lips"),
    [("vocaset", 5023, 1.0, list(FLAME.mid_lips)), ("biwi", 23370, 0.187, []), ("biwi", 40, 1.0, [])],
)
def test_known_faces_need_no_facts(
    importer: Importer, flavour: str, vertices: int, metres: float, mid_lips: list[int]
) -> None:
    files = resized(importer.folder, flavour, vertices)
    assert importer.run(flavour=flavour, **files) == 0
    card = read_card(importer.output)
    face = read_face(importer.output, card)
    assert 1.0 / card.units_per_metre == pytest.approx(metres)
    assert card.up_axis == "Y"
    assert face.mid_lips.tolist() == mid_lips
    assert face.triangles.shape == (0, 3)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_known_mesh_is_known_in_both_windings(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, flipped: bool
) -> None:
    # The published faces may not be handed out, so the small one of these tests is made known.
    triangles = np.array(FANS, np.int32)
    ours = topology.KnownTopology("small", topology.fingerprint(triangles), 20, 6, 12, 0.25, (4, 5))
    monkeypatch.setattr(topology, "KNOWN_TOPOLOGIES", (*topology.KNOWN_TOPOLOGIES, ours))
    lines = obj(TEMPLATE).decode().partition("f 1")[0].splitlines()
    lines += ["f " + " ".join(str(corner + 1) for corner in row[:: -1 if flipped else 1]) for row in FANS]
    path = importer.folder / "mesh.obj"
    path.write_text("\n".join(lines), encoding="utf-8")
    bundle = importer.bundle(template=path)
    assert bundle.face.mid_lips.tolist() == [4, 5]
    assert bundle.card.units_per_metre == 4.0


def test_one_rule_tells_the_scale_and_the_lips(importer: Importer) -> None:
    files = resized(importer.folder, "biwi", 23370)
    mesh = importer.folder / "other.obj"
    lines = ["v 0 0 0"] * 23370 + ["f 1 2 3"]  # BIWI's count, another face's triangles
    mesh.write_text("\n".join(lines), encoding="utf-8")
    bundle = importer.bundle(flavour="biwi", mesh=mesh, **files)
    assert (bundle.card.units_per_metre, len(bundle.face.mid_lips)) == (1.0, 0)


@pytest.mark.parametrize(
    ("vertices", "says"),
    [(5023, "taken from the first recognised mesh"), (40, "give --mesh, or no mesh can be animated")],
)
def test_the_summary_tells_where_triangles_come_from(
    importer: Importer, capsys: pytest.CaptureFixture[str], vertices: int, says: str
) -> None:
    assert importer.run(flavour="vocaset", **resized(importer.folder, "vocaset", vertices)) == 0
    said = capsys.readouterr().out
    assert says in said
    assert "1 m per unit" in said


def test_stages_of_different_faces(importer: Importer) -> None:
    files = resized(importer.folder, "vocaset", 23)
    said = importer.refusal(stage2=files["stage2"])
    assert "23 vertices" in said
    assert "20" in said
