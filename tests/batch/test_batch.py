"""Whole batches: failing rows, crashes, resuming by content, and being killed at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.batch import running
from tests.batch.running import COPYING, ENVIRONMENT, inodes, manifest, run, sounds


def test_every_row_is_made_and_reported(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 5), tmp_path / "new" / "out"
    ended = run(source, "--output", out, "--jobs", 2, "--text", "!", "--loud")
    assert (ended.code, ended.report["status"]) == (0, "done")
    assert ended.report["counts"] == {"done": 5, "finished before": 0, "failed": 0}
    for row in ended.report["rows"]:
        expected = (source / f"{row['name']}.wav").read_bytes() + b"!"
        assert [Path(path).read_bytes() for path in row["outputs"]] == [expected, expected]
        assert row["report"]["loud"] is True
    names = [f"clip {n:03d}.{kind}" for n in range(5) for kind in ("batch.json", "copy", "twin")]
    assert sorted(inodes(out)) == names
    assert len({row["report"]["process"] for row in ended.report["rows"]}) <= 2
    assert "5 of 5 rows are finished." in ended.said


def test_a_failing_row_is_reported_and_the_rest_go_on(tmp_path: Path) -> None:
    sounds(tmp_path, 1)
    sound = "clip 000.wav"
    rows = [
        {"name": name, "audio": sound, "fail": fail}
        for name, fail in (
            ("a", ""),
            ("b", "user"),
            ("c", "bug"),
            ("d", "crash"),
            ("e", "crash once"),
            ("f", ""),
        )
    ]
    rows.append({"name": "g", "audio": "absent.wav"})
    ended = run(manifest(tmp_path / "list.json", rows), "--output", tmp_path / "out")
    assert ended.code == 3  # one is a bug
    assert ended.states == dict(
        zip("abcdefg", ["done", *["failed"] * 3, "done", "done", "failed"], strict=True)
    )
    by_name = {row["name"]: row for row in ended.report["rows"]}
    assert (by_name["b"]["error"], by_name["b"]["hint"]) == ("It cannot be copied.", "Choose another.")
    assert "ZeroDivisionError: of seven" in by_name["c"]["error"]
    assert "Traceback" in by_name["c"]["bug"]
    assert "signal 9" in by_name["d"]["error"]
    assert (by_name["d"]["runs"], by_name["e"]["runs"], ended.report["reruns"]) == (2, 2, 2)
    assert "absent.wav" in by_name["g"]["error"]
    without_bug = [row for row in rows if row["fail" if "fail" in row else "name"] in ("", "user")]
    assert run(manifest(tmp_path / "list.json", without_bug), "--output", tmp_path / "out2").code == 2


def test_a_manifest_with_a_mistake_runs_nothing(tmp_path: Path) -> None:
    sounds(tmp_path, 1)
    path = manifest(tmp_path / "list.json", [{"audio": "clip 000.wav"}, {"audio": "b.wav", "wait": "soon"}])
    ended = run(path, "--output", tmp_path / "out")
    assert (ended.code, ended.report, len(ended.said.splitlines())) == (2, {}, 1)
    assert not (tmp_path / "out").exists()


def test_only_what_changed_in_content_or_settings_is_made_again(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 3), tmp_path / "out"
    run(source, "--output", out)
    first = inodes(out)
    for file in source.iterdir():
        file.touch()  # later, and the same
    again = run(source, "--output", out)
    assert (again.report["counts"]["finished before"], inodes(out)) == (3, first)
    assert all(row["outputs"] and row["runs"] == 0 for row in again.report["rows"])
    (source / "clip 001.wav").write_bytes(b"another sound")
    (out / "clip 002.twin").unlink()
    third = run(source, "--output", out)
    assert list(third.states.values()) == ["finished before", "done", "done"]
    assert (out / "clip 001.copy").read_bytes() == b"another sound"
    assert run(source, "--output", out, "--text", "!").report["counts"]["done"] == 3


def test_a_result_that_somebody_changed_is_kept(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 2), tmp_path / "out"
    run(source, "--output", out)
    (out / "clip 001.copy").write_bytes(b"by hand")
    for more in ((), ("--text", "!")):
        ended = run(source, "--output", out, *more)
        assert ended.code == 2
        assert ended.states["clip 001"] == "failed"
        assert "was changed after it was made" in ended.said
        assert (out / "clip 001.copy").read_bytes() == b"by hand"
    (out / "clip 001.copy").unlink()
    assert run(source, "--output", out, "--text", "!").report["counts"] == {
        "done": 1, "finished before": 1, "failed": 0,
    }  # fmt: skip


def test_a_damaged_record_only_costs_another_run(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 1), tmp_path / "out"
    run(source, "--output", out)
    record = out / "clip 000.batch.json"
    for text in ("", "[]", '{"outputs": {}}', '{"fingerprint": 1, "outputs": {"a": {"bytes": 1}}}'):
        record.write_text(text)
        assert run(source, "--output", out).report["counts"]["done"] == 1
        assert json.loads(record.read_text())["outputs"]


def test_parts_of_a_batch_on_several_machines_make_the_whole(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 5), tmp_path / "out"
    assert list(run(source, "--output", out, "--rows", "1-2").states) == ["clip 000", "clip 001"]
    run(source, "--output", out, "--rows", "3-9")
    assert run(source, "--output", out).report["counts"]["finished before"] == 5


def test_ctrl_c_leaves_finished_rows_and_no_parts(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 6), tmp_path / "out"
    process = _start(source, out, "--wait", "0.3")
    _wait_for_rows(out, 2)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    _wait_until_workers_ended(out)
    files = inodes(out)
    assert not [name for name in files if "codetalker-part" in name]
    ended = run(source, "--output", out, "--wait", "0.3")
    assert ended.code == 0
    assert ended.report["counts"]["finished before"] >= 2


def test_killed_at_any_moment_and_resumed_no_row_is_lost_doubled_or_half_written(tmp_path: Path) -> None:
    count = 30
    source, out = sounds(tmp_path / "in", count), tmp_path / "out"
    moments = random.Random(7)
    arguments = ("--wait", "0.04", "--jobs", "2")
    for _ in range(10):
        before = _finished(out, source)
        process = _start(source, out, *arguments)
        if len(before) < count:
            _wait_for_rows(out, min(len(before) + 1, count))
        time.sleep(moments.uniform(0.0, 0.15))
        process.kill()
        process.wait()
        after = _finished(out, source)
        assert before.items() <= after.items()  # nothing that was finished was made again
    ended = run(source, "--output", out, *arguments)
    assert ended.code == 0
    assert before.items() <= _finished(out, source).items()
    expected = {f"clip {n:03d}.{kind}" for n in range(count) for kind in ("batch.json", "copy", "twin")}
    _wait_until_workers_ended(out)
    run(source, "--output", out, *arguments)
    assert set(inodes(out)) == expected


def _start(source: Path, out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COPYING, "batch", str(source), "--output", str(out), *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_for_rows(out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.batch.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _finished(out: Path, source: Path) -> dict[str, int]:
    """Every output that counts as finished, which file it is; each is whole."""
    found = {}
    for record in out.glob("*.batch.json"):
        for name in json.loads(record.read_text())["outputs"]:
            path = out / name
            assert path.read_bytes() == (source / path.with_suffix(".wav").name).read_bytes()
            found[name] = path.stat().st_ino
    return found


def _wait_until_workers_ended(out: Path) -> None:
    """Workers notice that their parent has gone, and tidy up."""
    deadline = time.monotonic() + 10
    while any("codetalker-part" in name for name in running.inodes(out)):
        if time.monotonic() > deadline:
            return  # the test says what is left
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["--jobs=0", "--cores=0", "--rows=x", "--rows=9-10"])
def test_senseless_numbers_are_refused(tmp_path: Path, text: str) -> None:
    ended = run(sounds(tmp_path / "in", 1), "--output", tmp_path / "out", text)
    assert (ended.code, len(ended.said.splitlines())) == (2, 1)


def test_an_output_folder_that_is_a_file_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "list.csv").write_text("audio\na.wav\n")
    (tmp_path / "out").write_text("mine")
    ended = run(tmp_path / "list.csv", "--output", tmp_path / "out")
    assert ended.code == 2 and "it is there, but no folder. Choose a folder." in ended.said
    assert (tmp_path / "out").read_text() == "mine"
