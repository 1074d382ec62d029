"""Text files are written whole or not at all, and what cannot be read is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetalker_blender.errors import OutputError, UserError
from codetalker_blender.text_files import read_json, read_text, write_text


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "grüße.txt"
    for text in ("", "one\r\ntwo\n", "ключ あ\n"):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    path.write_bytes(b"\xef\xbb\xbfmark")
    assert read_text(path) == "mark"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_was_there_stays_when_the_disk_refuses(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OutputError, match="is a folder"):
        write_text(tmp_path, "text")
    with pytest.raises(OutputError, match="folder is missing"):
        write_text(tmp_path / "none" / "file.txt", "text")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1, "b": [', "cannot be read as JSON"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "'b' comes twice"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"\xc3\x28", "cannot be read as text"),
    ],
)
def test_damaged_json_is_refused_in_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_json(path)
    assert "file.json" in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path, tmp_path / ("a" * 300)):
        with pytest.raises(UserError, match="cannot be read"):
            read_json(path)
