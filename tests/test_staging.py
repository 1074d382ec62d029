"""Files that appear whole and together, and leave nothing behind when they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetalker_blender.errors import OutputError
from codetalker_blender.staging import Staging


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_nothing_is_seen_until_everything_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("former")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "mine.txt").write_text("mine")
    with Staging() as staging:
        one = staging.file(tmp_path / "a.txt")
        beside = staging.neighbour(tmp_path / "b.blend")
        folder = staging.folder(tmp_path / "frames")
        assert (one.name, beside.parent, beside.suffix) == ("a.txt", tmp_path, ".blend")
        one.write_text("new")
        beside.write_text("b")
        (folder / "1.txt").write_text("1")
        assert (tmp_path / "a.txt").read_text() == "former"
        made = staging.publish()
    assert made == [tmp_path / "a.txt", tmp_path / "b.blend", tmp_path / "frames" / "1.txt"]
    assert content(tmp_path) == {
        "a.txt": "new", "b.blend": "b", "frames/1.txt": "1", "frames/mine.txt": "mine",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.blend", "frames"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("former")
    with pytest.raises(KeyboardInterrupt), Staging() as staging:
        staging.file(tmp_path / "a.txt").write_text("half")
        (staging.folder(tmp_path / "frames") / "1.txt").write_text("1")
        staging.neighbour(tmp_path / "b.blend").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "former"


def test_what_a_killed_process_left_goes_with_the_next_run_of_the_same_file(tmp_path: Path) -> None:
    for name in ("a [1].txt", "a [1].txt2"):  # no wildcard, no beginning
        killed = Staging()
        killed.file(tmp_path / name).write_text("half")
        killed.neighbour(tmp_path / f"{name}.blend").write_text("half")
    with Staging() as staging:
        staging.file(tmp_path / "a [1].txt").write_text("whole")
        staging.publish()
    left = sorted(path.name.partition(".codetalker")[0].rpartition(".")[0] for path in tmp_path.iterdir())
    assert left == [".a [1].txt.blend", ".a [1].txt2", ".a [1].txt2.blend", "a [1]"]


@pytest.mark.parametrize("where", ["absent/a.txt", "folder"])
def test_what_the_disk_refuses_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"), Staging() as staging:
        staging.file(tmp_path / where)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
