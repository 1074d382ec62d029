"""Weights go into files and come back; other programs' files are read at their rate; damage is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.errors import OutputError, UserError
from codetalker_blender.face.shape_names import ARKIT
from codetalker_blender.face.weight_files import (
    LIVE_LINK_ROTATIONS,
    read_live_link_rotations,
    read_weights,
    write_csv,
    write_json,
    write_live_link,
)

RATES = (24.0, 25.0, 30.0, 60.0, 24000 / 1001, 30000 / 1001, 12.5, 120.0)


def some(frames: int, fps: float = 30.0, names: tuple[str, ...] = ARKIT) -> ShapeWeights:
    values = np.random.default_rng(0).uniform(-0.1, 1.1, (frames, len(names))).astype(np.float32)
    return ShapeWeights(names, values, fps)


def same(found: ShapeWeights, wanted: ShapeWeights) -> None:
    assert found.fps == pytest.approx(wanted.fps, rel=1e-4)
    assert found.names == wanted.names
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-6)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("frames", [2, 200])
def test_plain_files_keep_weights_names_and_rate(tmp_path: Path, fps: float, frames: int) -> None:
    weights = some(frames, fps, ("jawOpen", "viseme_aa", 'odd, "name"', "あ"))
    for name, write in (("a.csv", write_csv), ("a.json", write_json)):
        write(tmp_path / name, weights)
        found = read_weights(tmp_path / name)
        same(found, weights)
        assert found.fps == pytest.approx(fps, rel=1e-7)


@pytest.mark.parametrize("fps", RATES)
def test_live_link_face_keeps_weights_and_rate(tmp_path: Path, fps: float) -> None:
    weights = some(300, fps)
    write_live_link(tmp_path / "take.csv", weights)
    same(read_weights(tmp_path / "take.csv"), weights)


def test_live_link_face_is_laid_out_as_the_app_does_it(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    rotations = np.linspace(-0.5, 0.5, 70 * 9).reshape(70, 9)
    write_live_link(path, some(70, 60.0, ("jawOpen", "mouthSmileLeft", "viseme_aa")), rotations)
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    assert header[:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert header[-10:] == ["TongueOut", *LIVE_LINK_ROTATIONS] and header[-9] == "HeadYaw"
    assert len(header) - 2 == 61 and {row[1] for row in rows} == {"61"}
    assert [row[0] for row in rows[58:62]] == [
        "00:00:00:58.000",
        "00:00:00:59.000",
        "00:00:01:00.000",
        "00:00:01:01.000",
    ]
    found = read_weights(path)
    assert found.names == ARKIT and not found.of("tongueOut").any() and found.of("jawOpen").any()
    np.testing.assert_allclose(read_live_link_rotations(path), rotations, atol=1e-6)


def live_link(
    path: Path, timecodes: list[str], order: Callable[[list[str]], list[str]] = list, rotations: bool = True
) -> ShapeWeights:
    """A file as the app might write it, columns in any order."""
    weights = some(len(timecodes))
    shapes = order([name[0].upper() + name[1:] for name in ARKIT])
    extra = list(LIVE_LINK_ROTATIONS) if rotations else []
    lines = [",".join(["Timecode", "BlendShapeCount", *shapes, *extra])]
    for row, timecode in enumerate(timecodes):
        values = [weights.of(name[0].lower() + name[1:])[row] for name in shapes]
        lines.append(
            ",".join([timecode, "61", *(f"{value:.8f}" for value in values), *("0.0" for _ in extra)])
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return weights


def test_columns_are_found_by_name_and_rotations_may_be_missing(tmp_path: Path) -> None:
    timecodes = [f"14:03:{2 + frame // 30:02}:{frame % 30:02}.207" for frame in range(70)]
    weights = live_link(tmp_path / "a.csv", timecodes, sorted, rotations=False)
    same(read_weights(tmp_path / "a.csv"), weights)


def test_rows_at_half_frames_of_the_timecode(tmp_path: Path) -> None:
    timecodes = [f"00:00:0{row // 60}:{row % 60 / 2:06.3f}" for row in range(130)]
    weights = live_link(tmp_path / "a.csv", timecodes)
    found = read_weights(tmp_path / "a.csv")
    assert found.fps == pytest.approx(60.0) and found.frame_count == 130
    np.testing.assert_allclose(found.values, weights.values, atol=1e-6)


def test_a_take_over_midnight(tmp_path: Path) -> None:
    timecodes = [f"23:59:59:{frame:02}.000" for frame in range(30)]
    timecodes += [f"00:00:00:{frame:02}.000" for frame in range(30)]
    weights = live_link(tmp_path / "a.csv", timecodes)
    same(read_weights(tmp_path / "a.csv"), weights)


def test_dropped_frames_are_filled_in(tmp_path: Path) -> None:
    kept = [frame for frame in range(90) if frame not in (10, 11, 59, 60)]
    weights = live_link(tmp_path / "a.csv", [f"00:00:0{frame // 30}:{frame % 30:02}.000" for frame in kept])
    found = read_weights(tmp_path / "a.csv")
    assert found.frame_count == 90 and found.fps == 30.0
    np.testing.assert_allclose(found.values[kept], weights.values, atol=1e-6)
    np.testing.assert_allclose(found.values[10], (2 * weights.values[9] + weights.values[10]) / 3, atol=1e-6)


def test_a_take_of_less_than_a_second_needs_its_rate(tmp_path: Path) -> None:
    weights = some(20, 30.0)
    write_live_link(tmp_path / "a.csv", weights)
    with pytest.raises(UserError, match=r"a\.csv.*does not tell.*per second"):
        read_weights(tmp_path / "a.csv")
    same(read_weights(tmp_path / "a.csv", 30.0), weights)
    one = some(1)
    write_csv(tmp_path / "b.csv", one)
    with pytest.raises(UserError, match="single frame"):
        read_weights(tmp_path / "b.csv")
    same(read_weights(tmp_path / "b.csv", 30.0), one)


def audio2face_json(path: Path, names: list[str], values: list[list[float]], **changes: object) -> None:
    content = {
        "exportFps": 60.0,
        "trackPath": "C:/voice.wav",
        "numPoses": len(names),
        "numFrames": len(values),
        "facsNames": names,
        "weightMat": values,
        "joints": ["jaw"],
        "rotations": [[[0.0, 0.0, 0.0, 1.0]]] * len(values),
        "translations": [[[0.0, 0.0, 0.0]]] * len(values),
    }
    path.write_text(json.dumps({**content, **changes}))


def test_audio2face_json(tmp_path: Path) -> None:
    weights = some(50, 60.0)
    names = [name[0].upper() + name[1:] for name in ARKIT]
    audio2face_json(tmp_path / "a.json", names, weights.values.tolist())
    same(read_weights(tmp_path / "a.json"), weights)
    own = some(5, 60.0, ("browLowerL", "jawDrop"))
    audio2face_json(tmp_path / "b.json", list(own.names), own.values.tolist())
    same(read_weights(tmp_path / "b.json"), own)


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_audio2face_csv(tmp_path: Path, fps: float) -> None:
    weights = some(80, fps)
    header = [
        "",
        "timeCode",
        *(f"blendShapes.{name[0].upper()}{name[1:]}" for name in ARKIT),
        "emotionValues.joy",
    ]
    lines = [",".join(header)]
    for frame, row in enumerate(weights.values):
        lines.append(",".join([str(frame), f"{frame / fps:.6f}", *(f"{value:.8f}" for value in row), "0.5"]))
    (tmp_path / "a.csv").write_text("\n".join(lines))
    same(read_weights(tmp_path / "a.csv"), weights)


def damaged(path: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """A written Live Link Face file with its lines changed."""
    write_live_link(path, some(40))
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return path


def edited(lines: list[str], row: int, column: int, text: str) -> list[str]:
    fields = lines[row - 1].split(",")
    fields[column] = text
    return [*lines[: row - 1], ",".join(fields), *lines[row:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [], "is empty"),
        (lambda lines: lines[:1], "holds no frame"),
        (
            lambda lines: [*lines[:20], lines[20][:100]],
            r"row 21: it has \d+ fields where the first line has 63",
        ),
        (
            lambda lines: edited(lines, 7, 5, "nan"),
            "row 7, column 'EyeLookOutLeft': 'nan' is no finite number",
        ),
        (lambda lines: edited(lines, 7, 5, "x"), "row 7, column 'EyeLookOutLeft': 'x' is no finite number"),
        (lambda lines: edited(lines, 9, 0, "12:34"), "row 9: '12:34' is no timecode"),
        (lambda lines: edited(lines, 9, 0, "00:00:00:01.000"), "row 9: its timecode does not come after"),
        (lambda lines: edited(lines, 41, 0, "09:00:00:00.000"), "holds 40 rows where its times span"),
        (lambda lines: edited(lines, 1, 5, "EyeBlinkLeft"), "the column 'EyeBlinkLeft' twice"),
        (lambda lines: edited(lines, 1, 5, "Other"), "lacks the column 'EyeLookOutLeft'"),
        (lambda lines: edited(lines, 1, 62, "Other"), "'Other', which Live Link Face does not write"),
        (lambda lines: edited(lines, 1, 0, "Time"), "first line begins 'Time'"),
        (lambda lines: [*lines, '"open'], "cannot be read as CSV"),
        (lambda lines: [*lines, "\0"], "no text"),
    ],
)
def test_a_damaged_live_link_file_is_refused_in_a_sentence(
    tmp_path: Path, change: Callable[[list[str]], list[str]], says: str
) -> None:
    path = damaged(tmp_path / "take.csv", change)
    with pytest.raises(UserError, match=says) as caught:
        read_weights(path)
    assert "take.csv" in caught.value.message and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exportFps": 0}, "'exportFps' must be a positive number, not 0"),
        ({"exportFps": True}, "'exportFps' must be a positive number"),
        ({"facsNames": "jawOpen"}, "'facsNames' must be a list of names"),
        ({"facsNames": ["jawOpen", "JawOpen"]}, "the shape 'jawOpen' twice"),
        ({"weightMat": []}, "at least one frame"),
        ({"weightMat": [[0.0, 0.1], [0.2]]}, "frame 1 of 'weightMat' has 1 numbers, not 2"),
        ({"weightMat": [[0.0, 0.1], 3]}, "frame 1 of 'weightMat' has 3, not 2"),
        ({"weightMat": [[0.0, float("nan")]]}, "frame 0 of 'weightMat' holds nan"),
        ({"weightMat": [[0.0, 10**400]]}, "frame 0 of 'weightMat' holds 1000"),
    ],
)
def test_a_damaged_audio2face_file_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    path = tmp_path / "voice.json"
    audio2face_json(path, ["jawOpen", "tongueOut"], [[0.0, 0.1], [0.2, 0.3]], **changes)
    with pytest.raises(UserError, match=says) as caught:
        read_weights(path)
    assert "voice.json" in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no known file of shape weights"),
        ("[]", "one JSON object"),
        ('{"facsNames": []}', "lacks the field 'exportFps'"),
        ('{"format": "codetalker weights", "version": 9}', "version 9"),
        ('{"format": "codetalker weights", "version": 1, "fps": 30', "cannot be read as JSON"),
    ],
)
def test_foreign_json_is_refused_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_weights(path)


@pytest.mark.parametrize(
    "times", [[0.0, 0.1, 0.1, 0.2], [0.0, 0.1, 0.05, 0.2], [0.0, 0.0, 0.0], [0.0, 0.1, 0.2, 0.3, 0.349]]
)
def test_times_out_of_order_are_refused(tmp_path: Path, times: list[float]) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("time_s,jawOpen\n" + "".join(f"{time},0.5\n" for time in times))
    with pytest.raises(UserError, match=r"plain\.csv', row \d: its time does not follow"):
        read_weights(path)


def test_nothing_half_written(tmp_path: Path) -> None:
    for write in (write_csv, write_json, write_live_link):
        with pytest.raises(OutputError, match="folder is missing"):
            write(tmp_path / "none" / "a", some(3))
    assert not list(tmp_path.iterdir())
