"""Rows of a manifest: CSV, JSON and folders say the same, and what is wrong is said with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codetalker_blender.batch.manifest import read_manifest, select
from codetalker_blender.errors import UserError

KNOWN = ("blend", "object", "style", "seed", "output-mode", "export", "model")


def test_csv_and_json_give_the_same_rows(tmp_path: Path) -> None:
    csv, js = tmp_path / "list.csv", tmp_path / "list.json"
    csv.write_text(
        "Audio,name,Output_Mode,seed,blend,export\r\na.wav,,compact,,,\r\n\r\n"
        '"b, c.wav",s1/b,,7,h.blend,x.abc;y.usd\r\n',
        encoding="utf-8-sig",
    )
    js.write_text(
        json.dumps(
            [
                {"audio": "a.wav", "output_mode": "compact"},
                {
                    "audio": "b, c.wav",
                    "name": "s1/b",
                    "seed": 7,
                    "blend": "h.blend",
                    "export": ["x.abc", "y.usd"],
                },
            ]
        )
    )
    rows = read_manifest(csv, KNOWN, {})
    assert rows == read_manifest(js, KNOWN, {})
    assert [(row.number, row.name) for row in rows] == [(1, "a"), (2, "s1/b")]
    assert rows[0].options == {"audio": str(tmp_path / "a.wav"), "output-mode": "compact"}
    assert rows[1].options == {
        "audio": str(tmp_path / "b, c.wav"), "seed": "7", "blend": str(tmp_path / "h.blend"),
        "export": "x.abc;y.usd",
    }  # fmt: skip


@pytest.mark.parametrize("between", [";", "\t"])
def test_cells_may_be_parted_as_spreadsheets_do(tmp_path: Path, between: str) -> None:
    path = tmp_path / "list.csv"
    lines = ["audio,seed,export", "a.wav,7,'x.abc;y.usd'", "'b, c.wav',,"]
    text = "\r\n".join(lines).replace(",", between).replace(f"b{between} c", "b, c").replace("'", '"')
    path.write_text(text, encoding="utf-8-sig", newline="")
    rows = read_manifest(path, KNOWN, {})
    assert [row.name for row in rows] == ["a", "b, c"]
    assert rows[0].options["export"] == "x.abc;y.usd" and rows[0].options["seed"] == "7"
    path.write_text(f"{text}\r\nc.wav{between * 3}1")
    with pytest.raises(UserError, match=r"has 4 cells under 3 columns.*a (semicolon|tab) in them"):
        read_manifest(path, KNOWN, {})


@pytest.mark.parametrize("half", ["\0", "\ud800"])
def test_what_is_no_text_is_refused_with_its_row(tmp_path: Path, half: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"audio": "a.wav"}, {"audio": f"b{half}.wav"}]))
    with pytest.raises(UserError, match="row 2: 'audio' is no text"):
        read_manifest(path, KNOWN, {})


def test_a_field_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"audio": "a.wav", "seed": 1, "seed": 2}]')
    with pytest.raises(UserError, match="the field 'seed' comes twice"):
        read_manifest(path, KNOWN, {})


def test_a_folder_is_a_row_per_sound_with_its_subfolder(tmp_path: Path) -> None:
    for name in ("b.WAV", "s1/a.flac", "s2/a.mp3", "notes.txt", "b.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = read_manifest(tmp_path, KNOWN, {"style": "calm"})
    assert [row.name for row in rows] == ["b", "s1/a", "s2/a"]
    assert rows[1].options == {"audio": str(tmp_path / "s1/a.flac"), "style": "calm"}


def test_a_row_wins_over_the_default_and_an_empty_cell_does_not(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("audio,style\na.wav,lively\nb.wav,\n")
    rows = read_manifest(path, KNOWN, {"style": "calm"})
    assert [row.options["style"] for row in rows] == ["lively", "calm"]


def test_a_model_beside_the_manifest_is_found_and_a_name_stays_a_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").touch()
    path = tmp_path / "list.csv"
    path.write_text("audio,model\na.wav,mine\nb.wav,default\n")
    rows = read_manifest(path, KNOWN, {})
    assert [row.options["model"] for row in rows] == [str(tmp_path / "mine"), "default"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "a.csv",
            "audio,stile\na.wav,x\n",
            "line 2: there is no option called 'stile'. There are: audio, blend",
        ),
        ("a.csv", "audio,seed\na.wav,1,2\n", "line 2 has 3 cells under 2 columns"),
        ("a.csv", "audio,audio\na.wav,b.wav\n", "a name of its own"),
        ("a.csv", 'audio\n"a.wav\n', "cannot be read as CSV"),
        ("a.csv", "audio,seed\n", "holds no rows"),
        ("a.csv", "audio,seed\n,7\n", "line 2 names no audio"),
        ("a.csv", "audio\nx/a.wav\ny/A.wav\n", "rows 1 and 2 are both called 'A'"),
        ("a.csv", "audio,name\na.wav,../a\n", "'../a' does not stay in the output folder"),
        ("a.csv", "audio,name\na.wav,/a\n", "'/a' does not stay in the output folder"),
        ("a.csv", "audio,name\na.wav,s/.a\n", "'s/.a' does not stay in the output folder"),
        ("a.json", "{}", "a list of objects"),
        ("a.json", "[1]", "a list of objects"),
        ("a.json", "[", "cannot be read as JSON"),
        ("a.json", '[{"audio": {"a": 1}}]', "row 1, 'audio' must be text"),
        ("absent.csv", None, "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(
    tmp_path: Path, name: str, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"\S") as caught:
        read_manifest(tmp_path / name, KNOWN, {})
    assert complaint in str(caught.value)


def test_rows_are_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("audio\n" + "".join(f"{n}.wav\n" for n in range(1, 8)))
    rows = read_manifest(path, KNOWN, {})
    assert [row.number for row in select(rows, "3")] == [3]
    assert [row.number for row in select(rows, "6-20")] == [6, 7]
    for wrong in ("0", "8-9", "a", "3-", "-3", "5-4"):
        with pytest.raises(UserError):
            select(rows, wrong)
