"""What a row writes and reads, and that its hash changes with exactly what changes the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from codetalker_blender.batch.manifest import read_manifest
from codetalker_blender.batch.tasks import Fingerprints, Program, Task, make_tasks
from codetalker_blender.errors import UserError
from tests.batch import copying

PROGRAM = Program(
    options=("blend", "mapping", "model", "style", "device", "loud", "save", "export"),
    switches=("loud",),
    outputs=("save", "export"),
    default_output=("save", ".blend"),
    check=lambda arguments: None,
    worker=("",),
)


def tasks(folder: Path, text: str, program: Program = PROGRAM, **defaults: str) -> list[Task]:
    path = folder / "list.csv"
    path.write_text(text)
    return make_tasks(read_manifest(path, program.options, defaults), program, folder / "out")


def test_a_row_becomes_the_arguments_of_generate(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, "name,audio,style,loud,export\ns1/a,a.wav,calm,yes,{name}.abc; x.mdd\n")
    out = tmp_path / "out"
    assert task.arguments == (
        "--style=calm", "--loud", f"--export={out}/s1/a.abc", f"--export={out}/x.mdd",
        str(tmp_path / "a.wav"),
    )  # fmt: skip
    assert task.outputs == (str(out / "s1/a.abc"), str(out / "x.mdd"))
    assert Task.from_json(task.as_json()) == task


def test_a_row_that_names_no_output_gets_the_programs_own(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, "audio\na.wav\n")
    assert task.outputs == (str(tmp_path / "out" / "a.blend"),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("audio,save\na.wav,x.blend\nb.wav,X.blend\n", "Rows 1 and 2 would both write"),
        ("audio,save\na.wav,B.batch.json\nb.wav,\n", "Rows 1 and 2 would both write"),
        ("audio,save\na.wav,a.batch.json\n", "where its own record goes"),
        ("audio,save\na.wav,../x.blend\n", "not inside the output folder"),
        ("audio,loud\na.wav,maybe\n", "must be true or false, not 'maybe'"),
    ],
)
def test_rows_that_cannot_be_are_refused_before_any_is_run(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        tasks(tmp_path, text)
    assert complaint in str(caught.value)


def test_a_bad_value_is_refused_with_the_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Row 2 \('b'\): argument --wait: invalid float value: 'soon'"):
        tasks(tmp_path, "audio,wait\na.wav,1\nb.wav,soon\n", copying.program())


def fingerprint(task: Task) -> str:
    return Fingerprints(None).of(task)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "a.wav").write_bytes(b"sound")
    (tmp_path / "h.blend").write_bytes(b"head")
    (tmp_path / "m.json").write_bytes(b"mapping")
    (one,) = tasks(tmp_path, "audio,blend,mapping,style\na.wav,h.blend,m.json,calm\n")
    return one


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: rewrite(folder / "a.wav"),
        lambda folder: rewrite(folder / "h.blend"),
        lambda folder: rewrite(folder / "m.json"),
        lambda folder: (folder / "list.csv").write_text(
            "audio,blend,mapping,style\na.wav,h.blend,m.json,loud\n"
        ),
        lambda folder: (folder / "list.csv").write_text(
            "audio,blend,mapping,style,save\na.wav,h.blend,m.json,calm,b.blend\n"
        ),
    ],
)
def test_the_hash_changes_with_content_and_settings(
    tmp_path: Path, task: Task, change: Callable[[Path], object]
) -> None:
    before = fingerprint(task)
    change(tmp_path)
    (after,) = tasks(tmp_path, (tmp_path / "list.csv").read_text())
    assert fingerprint(after) != before


def test_the_hash_does_not_change_with_time_place_or_device(tmp_path: Path, task: Task) -> None:
    before = fingerprint(task)
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    (tmp_path / "a.wav").write_bytes(b"sound")
    (again,) = tasks(tmp_path, "audio,blend,mapping,style,device\na.wav,h.blend,m.json,calm,cpu\n")
    moved = replace(again, record=str(tmp_path / "elsewhere.json"), number=9)
    assert fingerprint(moved) == before


def test_the_hash_knows_the_models_files(tmp_path: Path, task: Task, default_bundle: Path) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in default_bundle.iterdir():
        (copy / file.name).symlink_to(file)
    with_model = replace(task, inputs=(*task.inputs[:-1], str(copy)))
    assert fingerprint(with_model) == fingerprint(task)
    config = (copy / "config.json").read_text()
    (copy / "config.json").unlink()
    (copy / "config.json").write_text(config.replace('"sha256": "', '"sha256": "0', 1))
    assert fingerprint(with_model) != fingerprint(task)


def test_a_missing_sound_is_named(task: Task, tmp_path: Path) -> None:
    (tmp_path / "a.wav").unlink()
    with pytest.raises(UserError, match=r"a\.wav' cannot be read: No such file"):
        fingerprint(task)
