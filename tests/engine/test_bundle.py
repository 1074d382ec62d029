"""Bundles on disk: exact round trips, every refusal in one sentence, nothing half-written."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from codetalker_blender.contracts import Waveform
from codetalker_blender.engine.bundle import Bundle, load_bundle, save_bundle
from codetalker_blender.engine.generate import generate
from codetalker_blender.errors import BundleError, OutputError
from codetalker_blender.model_files import CONFIG_FILE, FACE_FILE, WEIGHTS_FILE, file_record
from tests.engine.tiny import FLAVOURS, tiny_bundle

FILES = (CONFIG_FILE, WEIGHTS_FILE, FACE_FILE)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_saved_and_loaded_is_the_same(tmp_path: Path, flavour: str) -> None:
    first = load_bundle(tiny_bundle(tmp_path / "one", flavour))
    save_bundle(tmp_path / "two", first)
    second = load_bundle(tmp_path / "two")
    weights = second.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in first.state_dict().items())
    assert first.card == second.card
    np.testing.assert_array_equal(first.face.vertices, second.face.vertices)
    np.testing.assert_array_equal(first.face.triangles, second.face.triangles)
    assert {name: list(rows) for name, rows in first.face.regions.items()} == {
        name: list(rows) for name, rows in second.face.regions.items()
    }
    assert not second.training
    assert contents(tmp_path / "one").keys() == set(FILES)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_all_of_a_studio_may_read_a_bundle(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "shared")
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o044 == 0o044, path.name


@pytest.mark.parametrize("flavour", ["vocaset", "streamable"])
def test_half_precision_keeps_codes(tmp_path: Path, flavour: str) -> None:
    exact = load_bundle(tiny_bundle(tmp_path / "exact", flavour))
    save_bundle(tmp_path / "half", exact, half=True)
    half = load_bundle(tmp_path / "half")
    assert (tmp_path / "half" / WEIGHTS_FILE).stat().st_size < 0.6 * (
        tmp_path / "exact" / WEIGHTS_FILE
    ).stat().st_size
    assert torch.equal(half.codec.quantiser.codebook, exact.codec.quantiser.codebook)
    if exact.codec.config.basis_rank:
        assert torch.equal(half.codec.vertex_basis, exact.codec.vertex_basis)
    for name, tensor in half.state_dict().items():
        torch.testing.assert_close(tensor, exact.state_dict()[name], rtol=1e-3, atol=1e-6)
    sound = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    style = np.array([[1.0, 0.0, 0.0]], np.float32)
    ours, theirs = (generate(b, Waveform(sound, 16_000), style, device="cpu") for b in (half, exact))
    assert (ours.codes == theirs.codes).mean() > 0.9


# -- loading refuses -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "bundle", "streamable")


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    return said


def edit_config(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / CONFIG_FILE
    values = json.loads(path.read_text(encoding="utf-8"))
    edit(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def renew_records(folder: Path) -> None:
    """Make config.json vouch for the files as they are now."""
    records = {name: dataclasses.asdict(file_record(folder / name)) for name in (WEIGHTS_FILE, FACE_FILE)}
    edit_config(folder, lambda values: values.update(files=records))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 100])
def test_a_file_cut_short(folder: Path, name: str, kept: int) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:kept])
    assert name in refusal(folder)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, FACE_FILE])
def test_a_changed_byte(folder: Path, name: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "sha256" in refusal(folder)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, FACE_FILE])
def test_a_file_that_is_something_else(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"something else altogether")
    renew_records(folder)
    assert name in refusal(folder)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    assert "no model bundle" in refusal(tmp_path) or "not a model bundle" in refusal(tmp_path)
    assert "absent" in refusal(tmp_path / "absent")
    assert "too long" in refusal(tmp_path / ("a" * 300))


def test_a_file_that_cannot_be_opened(folder: Path) -> None:
    (folder / FACE_FILE).unlink()
    (folder / FACE_FILE).symlink_to("a" * 300)
    assert "too long" in refusal(folder)


PARTS = ("codec", "query", "speech")


@pytest.mark.parametrize("part", ["", *PARTS])
def test_an_unknown_field(folder: Path, part: str) -> None:
    edit_config(folder, lambda values: (values[part] if part else values).update(colour="red"))
    assert "'colour'" in refusal(folder)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("", "fps"),
        ("", "styles"),
        ("", "files"),
        ("codec", "layers"),
        ("query", "period"),
        ("speech", "level"),
    ],
)
def test_a_missing_field(folder: Path, part: str, name: str) -> None:
    edit_config(folder, lambda values: (values[part] if part else values).pop(name))
    assert f"'{name}'" in refusal(folder)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("", "fps", "30"),
        ("", "fps", 0),
        ("", "fps", True),
        pytest.param("", "fps", 10**400, id="fps-huge"),
        pytest.param("", "temperature", -(10**400), id="temperature-huge"),
        ("", "units_per_metre", -1),
        ("", "temperature", -0.1),
        ("", "up_axis", "up"),
        ("", "styles", []),
        ("", "styles", ["a", "a", "b"]),
        ("", "styles", "neutral"),
        ("", "name", None),
        ("", "notes", []),
        ("", "codec", []),
        ("", "files", {}),
        ("codec", "layers", 2.0),
        ("codec", "layers", "2"),
        ("codec", "causal", 1),
        ("codec", "dropout", "0.1"),
        ("codec", "look_back", 2.5),
        ("query", "period", None),
        ("speech", "level", 3),
        ("speech", "level", "loud"),
        ("codec", "heads", 3),
    ],
)
def test_a_field_of_the_wrong_kind(folder: Path, part: str, name: str, value: object) -> None:
    edit_config(folder, lambda values: (values[part] if part else values).update({name: value}))
    assert name in refusal(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version(folder: Path, version: object) -> None:
    edit_config(folder, lambda values: values.update(format_version=version))
    assert "format version" in refusal(folder)


def test_a_config_that_is_nested_without_end(folder: Path) -> None:
    path = folder / CONFIG_FILE
    card = path.read_text(encoding="utf-8")
    for depth in (100_000, *range(900, 1000, 10)):  # the lower ones are read, but cannot be quoted
        path.write_text("[" * depth + "]" * depth, encoding="utf-8")
        assert CONFIG_FILE in refusal(folder)
        name = json.dumps(json.loads(card)["name"])
        path.write_text(card.replace(name, "[" * depth + "]" * depth, 1), encoding="utf-8")
        assert CONFIG_FILE in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": NaN'])
def test_a_config_that_is_no_object(folder: Path, text: str) -> None:
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    assert CONFIG_FILE in refusal(folder)


@pytest.mark.parametrize(
    ("part", "name", "value", "quoted"),
    [
        ("codec", "vertex_count", 43, ("42", "43")),
        ("query", "motion_dim", 126, ("126", "16")),
        ("query", "code_count", 31, ("31", "32")),
        ("query", "styles", 4, ("4", "3")),
        ("query", "temporal_unit", 2, ("2", "1")),
        ("query", "speech_dim", 64, ("64", "32")),
        ("", "fps", 25.0, ("25", "30")),
        ("query", "speech_frames", 2, ("2", "1")),
    ],
)
def test_parts_that_do_not_fit_each_other(
    folder: Path, part: str, name: str, value: object, quoted: tuple[str, str]
) -> None:
    edit_config(folder, lambda values: (values[part] if part else values).update({name: value}))
    said = refusal(folder)
    assert "inconsistent" in said
    assert all(number in said for number in quoted)


@pytest.mark.parametrize("kind", ["missing", "unexpected", "misshaped", "nan", "infinite"])
def test_weights_that_do_not_fit(folder: Path, kind: str) -> None:
    path, name = folder / WEIGHTS_FILE, "query.speech_map.bias"
    tensors = load_file(path)
    if kind == "missing":
        del tensors[name]
    elif kind == "unexpected":
        name = "query.extra"
        tensors[name] = torch.zeros(2)
    elif kind == "misshaped":
        tensors[name] = torch.zeros(5)
    else:
        tensors[name][3] = torch.nan if kind == "nan" else torch.inf
    save_file(tensors, path)
    renew_records(folder)
    assert f"'{name}'" in refusal(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("triangles", np.array([[0, 1, 42]])),
        ("triangles", np.array([[0, 1, -1]])),
        ("triangles", np.zeros((2, 4), int)),
        ("triangles", np.zeros((2, 3), float)),
        ("region_lips", np.array([0, 99])),
        ("mid_lips", np.array([1])),
        ("template", np.full((42, 3), np.nan)),
        ("template", np.zeros((42, 2))),
        ("template", None),
        ("region_eyes", None),
    ],
)
def test_a_face_that_does_not_fit(folder: Path, name: str, value: Any) -> None:
    path = folder / FACE_FILE
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays.pop(name)
    if value is not None:
        arrays[name] = value
    np.savez(path, **arrays)
    renew_records(folder)
    assert f"'{name}'" in refusal(folder)


def test_an_array_of_objects_is_not_unpickled(folder: Path) -> None:
    np.savez(folder / FACE_FILE, template=np.array([{}], dtype=object))
    renew_records(folder)
    assert FACE_FILE in refusal(folder)


# -- saving refuses ------------------------------------------------------------------------------


def test_saving_over_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "letters"
    other.mkdir()
    (other / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(OutputError, match=r"letter\.txt"):
        save_bundle(other, load_bundle(folder))
    assert contents(other) == {"letter.txt": b"dear"}
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "letters"}


@pytest.mark.parametrize("names", [("config.json",), ("config.json", "thesis.txt")])
def test_another_programs_config_is_no_bundle(folder: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    other = tmp_path / "project"
    other.mkdir()
    for name in names:
        (other / name).write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="it is left as it is"):
        save_bundle(other, load_bundle(folder))
    assert contents(other) == dict.fromkeys(names, b"{}")


def test_an_empty_folder_may_become_a_bundle(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    save_bundle(tmp_path / "fresh", load_bundle(folder))
    assert load_bundle(tmp_path / "fresh").card.name == "tiny"


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("codec", "heads", 0),
        ("codec", "mlp", -1),
        ("codec", "dropout", 1.5),
        ("query", "heads", -4),
        ("query", "period", 0),
        ("speech", "heads", 3),
        ("speech", "position_groups", 0),
        ("speech", "position_groups", 3),
        ("speech", "context_s", -0.4),
        ("speech", "chunk_s", -1.0),
    ],
)
def test_a_number_that_no_network_can_have(folder: Path, part: str, name: str, value: float) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values[part][name] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(BundleError, match=name):
        load_bundle(folder)


def test_saving_over_a_bundle_replaces_it(folder: Path, tmp_path: Path) -> None:
    tiny_bundle(folder, "biwi")
    assert load_bundle(folder).card.fps == 25.0
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_failing_save_leaves_the_old_bundle(folder: Path, tmp_path: Path) -> None:
    bundle, before = load_bundle(folder), contents(folder)
    # notes that JSON cannot hold make it fail at the last file
    card = dataclasses.replace(bundle.card, notes={"made": object()})
    with pytest.raises(TypeError):
        save_bundle(folder, Bundle(card, bundle.face, bundle.codec, bundle.query, bundle.speech))
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_saving_where_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        save_bundle(tmp_path / "file" / "bundle", load_bundle(folder))
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "file"}


def test_saving_over_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear", encoding="utf-8")
    with pytest.raises(OutputError):
        save_bundle(tmp_path / "file", load_bundle(folder))
    assert (tmp_path / "file").read_text(encoding="utf-8") == "dear"
