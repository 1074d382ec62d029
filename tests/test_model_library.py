"""The user's library: what is added is whole, what is refused leaves no trace, what is removed is his own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender import model_library, resources
from codetalker_blender.contracts import REGION_NAMES, FaceMesh
from codetalker_blender.errors import BundleError, OutputError
from codetalker_blender.model_files import (
    FACE_FILE,
    WEIGHTS_FILE,
    ModelCard,
    file_record,
    read_card,
    write_face_file,
)
from codetalker_blender.model_library import FILES, add_bundle, remove_bundle

Files = dict[str, bytes]


def make_bundle(folder: Path, name: str = "Anna", vertices: int = 4) -> Path:
    """A bundle as far as the library looks: a card, a face, and weights that it only hashes."""
    folder.mkdir(parents=True)
    empty = np.zeros(0, np.int32)
    face = FaceMesh(
        np.eye(vertices, 3, dtype=np.float32),
        np.array([[0, 1, 2]], np.int32),
        empty,
        empty,
        dict.fromkeys(REGION_NAMES, empty),
    )
    write_face_file(folder / FACE_FILE, face)
    (folder / WEIGHTS_FILE).write_bytes(name.encode() * 400_000)
    files = {file: file_record(folder / file) for file in (WEIGHTS_FILE, FACE_FILE)}
    card = ModelCard(
        1, name, "", "CC0-1.0", 30.0, 1.0, "Z", ("a", "b"), 0.0, {"vertex_count": 4}, {}, {}, files
    )
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(card)))
    return folder


def pack(path: Path, folder: Path, inside: str = "", extra: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.write(folder / name, inside + name)
        for name, text in (extra or {}).items():
            archive.writestr(name, text)
    return path


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "given" / "Anna")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "user" / "models"


@pytest.mark.parametrize("form", ["folder", "card", "zip", "zip with folder", "zip of a Mac"])
def test_a_bundle_is_added_in_every_form(tmp_path: Path, bundle: Path, library: Path, form: str) -> None:
    sources = {
        "folder": lambda: bundle,
        "card": lambda: bundle / "config.json",
        "zip": lambda: pack(tmp_path / "Anna.zip", bundle),
        "zip with folder": lambda: pack(tmp_path / "other.zip", bundle, "models/Anna/"),
        "zip of a Mac": lambda: pack(tmp_path / "x.zip", bundle, "Anna/", {"__MACOSX/Anna/config.json": "x"}),
    }
    steps: list[tuple[int, int]] = []
    added = add_bundle(sources[form](), library, lambda stage, done, total: steps.append((done, total)))
    assert added == library / "Anna"
    assert contents(added) == contents(bundle)
    assert resources.list_models(library)[-1] == added
    assert [path.name for path in library.iterdir()] == ["Anna"]
    assert steps == sorted(steps) and steps[-1][0] == steps[-1][1]


def test_other_files_stay_behind(tmp_path: Path, bundle: Path, library: Path) -> None:
    (bundle / "run.py").write_text("print('no')")
    assert set(contents(add_bundle(bundle, library))) == set(FILES)
    shutil.rmtree(library)
    packed = pack(
        tmp_path / "a.zip", bundle, "Anna/", {"../../evil.py": "x", "/etc/evil": "x", "Anna/run.py": "x"}
    )
    assert set(contents(add_bundle(packed, library))) == set(FILES)
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("inside", ["../../", "/"])
def test_a_zip_whose_bundle_lies_outside_lands_inside(
    tmp_path: Path, bundle: Path, library: Path, inside: str
) -> None:
    added = add_bundle(pack(tmp_path / "a.zip", bundle, inside), library)
    assert added.parent == library and set(contents(added)) == set(FILES)
    assert {path.parent for path in tmp_path.rglob("config.json")} == {bundle, added}


def damage_card(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def huge_card(folder: Path) -> None:
    (folder / "config.json").write_bytes(b" " * (model_library.LONGEST_CARD_BYTES + 1))


def cut(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:-1])


def lengthen(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes() * 3)


def change(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[1000] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)


def lose(folder: Path) -> None:
    (folder / FACE_FILE).unlink()


def other_face(folder: Path) -> None:
    shutil.rmtree(folder)
    make_bundle(folder, vertices=5)


def far_too_large(folder: Path) -> None:
    card = json.loads((folder / "config.json").read_text())
    card["files"][WEIGHTS_FILE]["bytes"] = 10**18
    (folder / "config.json").write_text(json.dumps(card))


DAMAGES = {
    damage_card: "JSON",
    huge_card: "longer than",
    cut: "where its config.json says",
    lengthen: "longer than",
    change: "damaged or changed",
    lose: "lacks its file face.npz",
    other_face: "its face has 5 vertices, its networks are for 4",
    far_too_large: "GB left",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_not_whole_is_refused_and_leaves_nothing(
    tmp_path: Path, bundle: Path, library: Path, damage: object, packed: bool
) -> None:
    assert callable(damage)
    kept = add_bundle(make_bundle(tmp_path / "Kept", "Kept"), library)
    damage(bundle)
    source = bundle
    if packed:
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in bundle.iterdir():
                archive.write(path, path.name)
    before = everything(library)
    with pytest.raises((BundleError, OutputError), match=DAMAGES[damage]) as caught:
        add_bundle(source, library)
    assert ".draft-" not in str(caught.value), "the sentence names a folder that the user never saw"
    assert everything(library) == before and kept in before


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"not a zip"), "cannot be read as a .zip"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "holds 0 model bundles"),
        (lambda path: None, "neither a model's folder nor a .zip"),
    ],
)
def test_zips_that_are_none(tmp_path: Path, library: Path, make: object, says: str) -> None:
    assert callable(make)
    make(tmp_path / "a.zip")
    with pytest.raises(BundleError, match=says):
        add_bundle(tmp_path / "a.zip", library)
    assert not library.exists() or not list(library.iterdir())


def test_a_zip_of_two_bundles_is_refused(tmp_path: Path, bundle: Path, library: Path) -> None:
    pack(tmp_path / "a.zip", bundle, "one/", {"two/config.json": "{}"})
    with pytest.raises(BundleError, match="holds 2 model bundles"):
        add_bundle(tmp_path / "a.zip", library)


def test_the_same_model_is_not_added_twice_but_its_name_may_be(
    tmp_path: Path, bundle: Path, library: Path
) -> None:
    add_bundle(bundle, library)
    with pytest.raises(BundleError, match="there already, as 'Anna'"):
        add_bundle(pack(tmp_path / "copy.zip", bundle), library)
    assert add_bundle(make_bundle(tmp_path / "Anna", "another"), library).name == "Anna 2"
    # a shipped model is not replaced by one that happens to have its name
    assert add_bundle(make_bundle(tmp_path / "default", "mine"), library).name == "default 2"
    assert read_card(resources.find_model("default", library)).name != "mine"


@pytest.mark.parametrize(
    ("name", "plain"),
    [("Änna 1.0", "Änna 1.0"), ("a/b\\c:d", "a_b_c_d"), (" .. ", "model"), ("", "model"), ("CON", "CON_"),
     ("x" * 200, "x" * 60), ("a\nb", "a_b")],
)  # fmt: skip
def test_names_become_folders_on_every_disk(name: str, plain: str) -> None:
    assert model_library.folder_name(name) == plain


def test_a_library_that_cannot_be_written_is_one_sentence(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="folder of models"):
        add_bundle(bundle, tmp_path / "file" / "models")


def test_a_draft_is_not_listed_and_goes(library: Path, bundle: Path) -> None:
    with pytest.raises(KeyboardInterrupt), model_library.draft(library) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
        assert folder not in resources.list_models(library)
        raise KeyboardInterrupt
    assert not list(library.iterdir())


def test_removing_takes_one_of_the_users_own_and_no_other(
    tmp_path: Path, bundle: Path, library: Path
) -> None:
    added = add_bundle(bundle, library)
    other = add_bundle(make_bundle(tmp_path / "Berta", "Berta"), library)
    for foreign in (bundle, resources.default_model()):
        with pytest.raises(BundleError, match="not one of your own"):
            remove_bundle(foreign, library)
    with pytest.raises(BundleError, match="not one of your own"):
        remove_bundle(added, None)
    (added / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match=r"letter\.txt"):
        remove_bundle(added, library)
    assert set(contents(added)) == {*FILES, "letter.txt"} and set(contents(bundle)) == set(FILES)
    (added / "letter.txt").unlink()
    remove_bundle(added, library)
    assert list(library.iterdir()) == [other]


def test_removing_a_link_leaves_what_it_points_at(bundle: Path, library: Path) -> None:
    library.mkdir(parents=True)
    link = library / "Linked"
    try:
        link.symlink_to(bundle, target_is_directory=True)
    except OSError:
        pytest.skip("no links on this disk")
    remove_bundle(link, library)
    assert not link.exists() and set(contents(bundle)) == set(FILES)


def test_size_on_disk(bundle: Path) -> None:
    assert model_library.size_bytes(bundle) == sum(len(content) for content in contents(bundle).values())
    assert model_library.size_bytes(bundle / "absent") == 0
