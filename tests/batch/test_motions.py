"""The command line without Blender: batches of motion files by the real engine."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the engine's libraries")

import soundfile

from codetalker_blender.motion_files import read_motion
from tests.batch.running import ENVIRONMENT, inodes, manifest, run
from tests.bench.batch_row import resident_pages
from tests.engine.tiny import tiny_bundle

PACKAGE = (sys.executable, "-m", "codetalker_blender")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_bundle(folder)
    return folder


def speech(folder: Path, count: int, duration_s: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random_numbers = np.random.default_rng(0)
    for number in range(count):
        samples = random_numbers.standard_normal(round(16_000 * duration_s)) * 0.1
        soundfile.write(folder / f"{number:03d}.wav", samples, 16_000)
    return folder


def test_a_batch_makes_what_generate_makes(model: Path, tmp_path: Path) -> None:
    source = speech(tmp_path / "in", 3, 0.5)
    rows: list[dict[str, object]] = [
        {"audio": "in/000.wav", "style": "calm", "seed": 3},
        {"audio": "in/001.wav", "style": "nobody"},
        {"audio": "in/002.wav", "fps": 24, "output": "s1/last.npz"},
    ]
    out = tmp_path / "out"
    ended = run(manifest(tmp_path / "list.json", rows), "--output", out, "--model", model, program=PACKAGE)
    assert ended.code == 2
    assert list(ended.states.values()) == ["done", "failed", "done"]
    assert "nobody" in ended.report["rows"][1]["error"]
    alone_arguments = f"--model {model} --style calm --seed 3 --output {tmp_path}/alone.npz".split()
    command = [*PACKAGE, "generate", str(source / "000.wav"), *alone_arguments]
    subprocess.run(command, env=ENVIRONMENT, check=True)
    alone, row = read_motion(tmp_path / "alone.npz"), read_motion(out / "000.npz")
    np.testing.assert_array_equal(alone.offsets, row.offsets)
    assert read_motion(out / "s1" / "last.npz").fps == 24
    names = ["000.batch.json", "000.npz", "002.batch.json", "s1/last.npz"]
    assert sorted(inodes(out)) == names


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"audio": "a.wav", "blend": "b.blend"}], "there is no option called 'blend'"),
        ([{"audio": "a.wav", "seed": -1}], "Row 1 ('a'): Argument --seed: it must be a whole number"),
        ([{"audio": "a.wav", "output": "a.wav"}], "is no .npz"),
    ],
)
def test_a_manifest_with_a_mistake_is_one_line(
    tmp_path: Path, rows: list[dict[str, object]], complaint: str
) -> None:
    path = manifest(tmp_path / "list.json", rows)
    ended = run(path, "--output", tmp_path / "out", program=PACKAGE)
    assert (ended.code, len(ended.said.splitlines())) == (2, 1)
    assert complaint in ended.said


def killed_and_resumed(source: Path, out: Path, kills: int, *arguments: str) -> None:
    """Kill the batch so many times at random, resume it, and hold every row up."""
    names = sorted(path.stem for path in source.iterdir())
    moments = random.Random(11)
    whole: dict[str, int] = {}
    for _ in range(kills):
        process = subprocess.Popen(
            [*PACKAGE, "batch", str(source), "--output", str(out), *arguments],
            env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        aim = min(len(whole) + 1, len(names))
        while len(list(out.glob("*.batch.json"))) < aim and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 1.0))
        process.kill()
        process.wait()
        finished = {
            name: (out / name).stat().st_ino
            for record in out.glob("*.batch.json")
            for name in json.loads(record.read_text())["outputs"]
        }
        assert whole.items() <= finished.items()  # nothing was made twice
        whole = finished
        for name in whole:
            assert read_motion(out / name).frame_count > 0
    ended = run(source, "--output", out, *arguments, program=PACKAGE, timeout=3600)
    assert ended.code == 0, ended.said
    assert sorted(ended.states) == names
    assert whole.items() <= inodes(out).items()
    time.sleep(3)  # a worker of a killed batch has two seconds to notice and go
    run(source, "--output", out, *arguments, program=PACKAGE)
    assert sorted(inodes(out)) == sorted(f"{n}.{kind}" for n in names for kind in ("npz", "batch.json"))
    for name in names:
        assert read_motion(out / f"{name}.npz").frame_count > 0


def test_killed_and_resumed_every_motion_is_there_once_and_whole(model: Path, tmp_path: Path) -> None:
    killed_and_resumed(speech(tmp_path / "in", 20, 2.0), tmp_path / "out", 2, "--model", str(model))


@pytest.mark.slow
def test_two_hundred_rows_killed_ten_times(default_bundle: Path, tmp_path: Path) -> None:
    source = speech(tmp_path / "in", 200, 3.0)
    killed_and_resumed(source, tmp_path / "out", 10, "--model", str(default_bundle))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(default_bundle: Path, tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from /proc")
    source, out = speech(tmp_path / "in", 80, 3.0), tmp_path / "out"
    process = subprocess.Popen(
        [*PACKAGE, "batch", str(source), "--output", str(out)],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    resident: dict[int, int] = {}
    while process.poll() is None:
        if pages := resident_pages(process.pid):
            resident[len(list(out.glob("*.npz")))] = pages
        time.sleep(0.05)
    assert process.returncode == 0
    early = max(pages for rows, pages in resident.items() if 10 <= rows < 20)
    assert max(pages for rows, pages in resident.items() if rows >= 60) < 1.05 * early
