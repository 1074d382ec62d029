"""The import command: what it takes, what it makes of it, what it refuses in one sentence."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker_blender.engine.bundle import Bundle, load_bundle
from codetalker_blender.face.topology import FLAME
from codetalker_blender.model_files import read_card, read_face
from tests.engine import golden
from training import import_official

TEMPLATE = golden.arrays("vocaset")["c0_template"].reshape(-1, 3)
OFFICIAL_STYLES = {"vocaset": "FaceTalk_170728_03272_TA", "biwi": "F2"}


class Importer:
    """Runs the command in a folder, and says what it answered."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.output = folder, folder / "bundle"
        self._capsys = capsys
        np.save(folder / "template.npy", TEMPLATE)

    def run(self, *extra: object, flavour: str = "vocaset", **files: object) -> int:
        """``files``: option name -> value, on top of a complete set."""
        options: dict[str, object] = {
            "stage1": golden.checkpoint(flavour, 1),
            "stage2": golden.checkpoint(flavour, 2),
            "template": self.folder / "template.npy",
            "output": self.output,
        } | files
        arguments = [f"--{name}={value}" for name, value in options.items()]
        return import_official.main([*arguments, *golden.HEAD_OPTIONS, *map(str, extra)])

    def bundle(self, *extra: object, flavour: str = "vocaset", **files: object) -> Bundle:
        assert self.run(*extra, flavour=flavour, **files) == 0
        return load_bundle(self.output)

    def refusal(self, *extra: object, flavour: str = "vocaset", **files: object) -> str:
        """The one line of a refused import, which must have left the folder as it was."""
        before = sorted(self.folder.rglob("*"))
        self._capsys.readouterr()
        assert self.run(*extra, flavour=flavour, **files) == 2
        said = self._capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1
        assert sorted(self.folder.rglob("*")) == before
        return said.err


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path, capsys)


def state_of(flavour: str, stage: int) -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = torch.load(golden.checkpoint(flavour, stage), weights_only=True)["state_dict"]
    return loaded


def write_state(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"state_dict": state}, path)
    return path


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


def test_stages_of_different_faces(importer: Importer) -> None:
    files = resized(importer.folder, "vocaset", 23)
    said = importer.refusal(stage2=files["stage2"])
    assert "23 vertices" in said
    assert "20" in said


# -- the card ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flavour", "fps", "rows"), [("vocaset", 30.0, 8), ("biwi", 25.0, 6)])
def test_card_of_a_plain_import(importer: Importer, flavour: str, fps: float, rows: int) -> None:
    card = importer.bundle(flavour=flavour).card
    assert (card.fps, len(card.styles), card.styles[0]) == (fps, rows, OFFICIAL_STYLES[flavour])
    assert (card.name, card.temperature) == ("bundle", 0.0)


def test_card_of_an_import_with_options(importer: Importer) -> None:
    names = "a,b,c,d,e,f,g,ä h"
    text = ("--name=My face", "--description=Trained at home.", "--licence=CC0-1.0", "--up-axis=Z")
    bundle = importer.bundle("--metres-per-unit=0.5", "--fps=60", "--period=24", f"--styles={names}", *text)
    card = bundle.card
    assert (card.name, card.description, card.licence, card.up_axis) == (
        "My face",
        "Trained at home.",
        "CC0-1.0",
        "Z",
    )
    assert (card.units_per_metre, card.fps, bundle.speech.config.fps) == (2.0, 60.0, 60.0)
    assert bundle.query.config.period == 24
    assert card.styles == tuple(names.split(","))


def test_other_style_counts_get_numbers(importer: Importer) -> None:
    state = state_of("vocaset", 2)
    state["learnable_style_emb.weight"] = torch.ones(3, 32)
    stage2 = write_state(importer.folder / "three.pth.tar", state)
    assert importer.bundle(stage2=stage2).card.styles == ("style_0", "style_1", "style_2")
    assert "2 names" in importer.refusal("--styles=a,b", stage2=stage2, output=importer.folder / "other")


def test_newer_weight_norm_names_are_read(importer: Importer) -> None:
    state = state_of("vocaset", 2)
    stem = "audio_encoder.encoder.pos_conv_embed.conv."
    for index, kind in enumerate(("weight_g", "weight_v")):
        state[f"{stem}parametrizations.weight.original{index}"] = state.pop(stem + kind)
    renamed = importer.bundle(stage2=write_state(importer.folder / "new.pth.tar", state))
    plain = golden.networks("vocaset").speech.state_dict()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in renamed.speech.state_dict().items())


# -- checkpoints that are refused ----------------------------------------------------------------


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (1, "encoder.vertice_mapping.0.weight"),
        (1, "decoder.decoder_transformer.net.3.fn.fn.l2.bias"),
        (1, "quantize.embedding.weight"),
        (2, "feat_map.weight"),
        (2, "learnable_style_emb.weight"),
        (2, "transformer_decoder.layers.1.self_attn.in_proj_weight"),
        (2, "audio_encoder.encoder.pos_conv_embed.conv.weight_v"),
        (2, "audio_encoder.encoder.layers.0.attention.k_proj.bias"),
    ],
)
def test_wrong_tensors_are_named(importer: Importer, flavour: str, stage: int, name: str) -> None:
    path = importer.folder / "changed.pth.tar"

    def refusal(state: dict[str, Tensor]) -> str:
        return importer.refusal(f"--stage{stage}={write_state(path, state)}", flavour=flavour)

    path.touch()  # so that only what the command writes could be new
    state = state_of(flavour, stage)
    whole = state.pop(name)
    assert f"'{name}' is missing" in refusal(state)
    assert f"'{name}' has shape" in refusal(state | {name: whole[None]})
    assert f"'{name}' holds NaN" in refusal(state | {name: torch.full_like(whole, torch.nan)})
    extra = "module." + name
    assert f"'{extra}' is not expected" in refusal(state | {name: whole, extra: whole})


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stages_in_the_wrong_order(importer: Importer, flavour: str) -> None:
    first, second = golden.checkpoint(flavour, 1), golden.checkpoint(flavour, 2)
    assert "stage-2 checkpoint" in importer.refusal(stage1=second, stage2=first)
    assert "stage-1 checkpoint" in importer.refusal(stage2=first)


@pytest.mark.parametrize(("flavour", "other"), [("vocaset", "biwi"), ("biwi", "vocaset")])
def test_mixed_flavours(importer: Importer, flavour: str, other: str) -> None:
    said = importer.refusal(flavour=flavour, stage2=golden.checkpoint(other, 2))
    assert f"{flavour.upper()} flavour" in said
    assert "25" in said
    assert "30" in said


@pytest.mark.parametrize(
    "extra",
    [
        "--codec-heads=5",
        "--codec-heads=0",
        "--query-heads=5",
        "--speech-heads=5",
        "--period=0",
        "--fps=24",
    ],
)
def test_options_that_do_not_fit(importer: Importer, extra: str) -> None:
    assert extra.split("=")[0] in importer.refusal(extra, flavour="biwi")


def truncated(path: Path) -> None:
    path.write_bytes(golden.checkpoint("vocaset", 1).read_bytes()[:5000])


@pytest.mark.parametrize(
    "write",
    [
        truncated,
        lambda path: path.write_bytes(b"not a checkpoint"),
        lambda path: path.write_bytes(b""),
        lambda path: torch.save({"weights": torch.zeros(3)}, path),
        lambda path: torch.save({"state_dict": {"a": 1}}, path),
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_files_that_are_no_checkpoints(
    importer: Importer, stage: str, write: Callable[[Path], object]
) -> None:
    path = importer.folder / "odd.pth.tar"
    write(path)
    assert "odd.pth.tar" in importer.refusal(f"--{stage}={path}")


# -- files that would run something --------------------------------------------------------------


class Malice:
    """Unpickled without care, it makes a folder."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call


def malices(trace: Path) -> list[Malice]:
    return [
        Malice(os.mkdir, str(trace)),
        Malice(os.system, f"mkdir '{trace}'"),
        Malice(eval, f"__import__('os').mkdir({str(trace)!r})"),
        Malice(getattr, Path(trace), "mkdir"),
    ]


def test_the_malice_of_these_tests_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(malices(tmp_path / "trace")[0]))  # noqa: S301 -- our own, to know that it bites
    assert (tmp_path / "trace").is_dir()


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_files_run_nothing(importer: Importer, kind: int, protocol: int) -> None:
    trace = importer.folder / "trace"
    malice = malices(trace)[kind]
    plain = pickle.dumps({"F2": TEMPLATE, "lips": malice}, protocol=protocol)
    for name in ("templates.pkl", "FLAME_masks.pkl", "bare.pth.tar"):
        (importer.folder / name).write_bytes(plain)
    state = state_of("vocaset", 1)
    torch.save({"state_dict": state, "extra": malice}, importer.folder / "zipped.pth.tar")
    old_format = {"_use_new_zipfile_serialization": False}
    torch.save({"state_dict": state, "extra": malice}, importer.folder / "old.pth.tar", **old_format)
    assert "without running" in importer.refusal(template=importer.folder / "templates.pkl")
    assert "without running" in importer.refusal(regions=importer.folder)
    for name in ("bare.pth.tar", "zipped.pth.tar", "old.pth.tar"):
        assert name in importer.refusal(stage1=importer.folder / name)
        assert name in importer.refusal(stage2=importer.folder / name)
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([[{}, [], 1]], dtype=object),
        np.zeros(3, [("a", "f4")]),
        np.array(["text"]),
        np.zeros(3, complex),
    ],
)
def test_arrays_of_other_than_numbers_are_refused(importer: Importer, value: NDArray[Any]) -> None:
    path = importer.folder / "templates.pkl"
    path.write_bytes(pickle.dumps({"F2": value}))
    assert "without running" in importer.refusal(template=path)


# -- the output ----------------------------------------------------------------------------------


def test_output_that_is_no_bundle_is_left_alone(importer: Importer) -> None:
    importer.output.mkdir()
    (importer.output / "letter.txt").write_text("dear", encoding="utf-8")
    assert "no model bundle" in importer.refusal()
    assert [path.name for path in importer.output.iterdir()] == ["letter.txt"]


def test_an_older_bundle_is_replaced(importer: Importer) -> None:
    assert len(importer.bundle(flavour="vocaset").card.styles) == 8
    assert len(importer.bundle(flavour="biwi").card.styles) == 6
    left = {path.name for path in importer.folder.iterdir()}
    assert left == {"bundle", "template.npy"}
