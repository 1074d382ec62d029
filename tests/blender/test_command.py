"""The command line inside Blender: results, exit codes, one line for what the user can cure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.headless import render
from codetalker_blender.blender.preferences import PYTHON_VARIABLE
from tests.blender import scenes, timeline

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blend(blender: None, tmp_path: Path) -> Path:
    """A .blend with the face, saved."""
    scenes.add_sheet()
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def command(
    engine_python: str,
    *arguments: object,
    module: str = "codetalker_blender.blender",
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run one of the two command lines in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if engine_python != sys.executable:
        environment[PYTHON_VARIABLE] = engine_python
    python = sys.executable if module.endswith(".blender") else engine_python
    words = [python, "-m", module]
    in_program = bool(bpy.app.binary_path) and module.endswith(".blender")
    if in_program:
        # a Blender program has the extension installed and enabled in its preferences (tests.gui)
        words = [bpy.app.binary_path, "--background", "--command", "codetalker"]
    done = subprocess.run(
        [*words, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if in_program:  # it has words of its own
        own = ("Blender ", "Warning: File written by newer Blender binary")
        done.stdout = "".join(line for line in done.stdout.splitlines(True) if not line.startswith(own))
    return done


def test_generate_writes_a_speaking_blend(
    engine_python: str, blend: Path, speech_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.blend"
    done = command(
        engine_python, "generate", "--audio", speech_file, "--blend", blend, "--object", "Face", "--model",
        tiny_model, "--style", "calm", "--start-frame", 5, "--save", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "codes" in done.stderr  # how far it is
    report = json.loads(done.stdout)  # and nothing else
    assert (report["status"], report["outputs"]) == ("done", [str(output)])
    assert (report["object"], report["style"], report["first_frame"]) == ("Face", "calm", 5)
    assert report["last_frame"] == 5 + 19 - 1  # 0.8 s at 24 fps
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.blend", "scene.blend"]
    bpy.ops.wm.open_mainfile(filepath=str(output))
    face = bpy.data.objects["Face"]
    assert len(face.data.shape_keys.key_blocks) > 15
    rest, spoken = scenes.evaluated(face, 4), scenes.evaluated(face, 12)
    np.testing.assert_allclose(rest, scenes.sheet_vertices(), atol=1e-6)
    assert np.abs(spoken - rest).max() > 1e-4


@pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")
def test_generate_takes_a_strip_of_the_blend(
    engine_python: str, blender: None, speech_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    scenes.add_sheet()
    timeline.set_left(timeline.add_strip(speech_file, 20), 26)
    bpy.context.scene.frame_end = 32
    blend, output = tmp_path / "scene.blend", tmp_path / "out.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    done = command(
        engine_python, "generate", "--strip", "Speech", "--limit-to-scene-range", "--blend", blend,
        "--target", "Face", "--model", tiny_model, "--output", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["first_frame"] == 26
    assert 30 <= report["last_frame"] <= 33
    bpy.ops.wm.open_mainfile(filepath=str(output))
    face = bpy.data.objects["Face"]
    assert np.abs(scenes.evaluated(face, 24) - scenes.sheet_vertices()).max() < 1e-6
    assert np.abs(scenes.evaluated(face, 30) - scenes.sheet_vertices()).max() > 1e-4
    assert len(compat.all_strips(bpy.context.scene.sequence_editor)) == 1
    for arguments in (["--strip", "Speech", "x.wav"], [], ["--strip", "Speech", "--start-frame", "3"]):
        done = command(engine_python, "generate", *arguments, "--target", "Face", "--output", output)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("case", ["object", "audio", "model", "style", "save", "blend", "usage"])
def test_what_the_user_can_cure_is_one_line_and_exit_code_2(
    engine_python: str, blend: Path, speech_file: Path, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    values: dict[str, object] = {
        "object": "Face", "audio": speech_file, "model": tiny_model, "style": "calm",
        "save": tmp_path / "out.blend", "blend": blend,
    }  # fmt: skip
    if case != "usage":
        values[case] = tmp_path / "absent" / ("absent.blend" if case == "save" else "absent.x")
    options = [part for name, value in values.items() for part in (f"--{name}", value)]
    extra = ["--nonsense"] if case == "usage" else []
    before = sorted(tmp_path.iterdir())
    done = command(engine_python, "generate", *options, *extra)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    if case != "usage":
        report = json.loads(done.stdout)
        assert report["status"] == "refused"
        assert "absent" in f"{report['error']} {report['hint']}"
    assert ("nonsense" if case == "usage" else "absent") in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(bool(bpy.app.binary_path), reason="a Blender program takes the signal itself")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
def test_an_interrupted_run_says_so_and_leaves_nothing(
    engine_python: str, blend: Path, tiny_model: Path, tmp_path: Path
) -> None:
    sound = timeline.write_wav(tmp_path / "long.wav", timeline.noise(240.0))
    before = sorted(tmp_path.iterdir())
    words = [
        sys.executable,
        "-m",
        "codetalker_blender.blender",
        "generate",
        "--audio",
        sound,
        "--blend",
        blend,
    ]
    words += ["--object", "Face", "--model", tiny_model, "--save", tmp_path / "out.blend"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if engine_python != sys.executable:
        environment[PYTHON_VARIABLE] = engine_python
    with subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs, and what they start, are born deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        assert run.stderr is not None
        while "speech" not in run.stderr.readline():  # the model is at work
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 130
    assert json.loads(stdout) == {"status": "interrupted"}
    assert stderr.endswith("Interrupted.\n")
    assert sorted(tmp_path.iterdir()) == before


def test_frames_of_a_contact_sheet_are_wide_and_closed_by_turns() -> None:
    opening = np.sin(np.linspace(0, 12 * 2 * np.pi, 240, endpoint=False)).astype(np.float32)
    chosen = render.choose_frames(opening, 12)
    assert chosen == sorted(chosen)
    np.testing.assert_allclose(opening[chosen], [1, -1] * 6, atol=0.01)
    assert render.choose_frames(opening[:3], 12) == [0, 1, 2]


def test_contact_sheet_keeps_the_order_of_its_pictures(blender: None, tmp_path: Path) -> None:
    shades, paths = (0.2, 0.4, 0.6, 0.8, 1.0), []
    for shade in shades:
        image = bpy.data.images.new("shade", 16, 8)
        image.pixels.foreach_set(np.tile(np.array([shade, shade, shade, 1], np.float32), 16 * 8))
        paths.append(tmp_path / f"{shade}.png")
        image.filepath_raw, image.file_format = str(paths[-1]), "PNG"
        image.save()
    render.contact_sheet(paths, ["1", "2 0.5s", "3", "4", "5"], 2, tmp_path / "sheet.png")
    sheet = bpy.data.images.load(str(tmp_path / "sheet.png"))
    width, height = sheet.size
    assert width == 32
    pixels = np.empty(width * height * 4, np.float32)
    sheet.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, 4)[::-1, :, 0]  # top row first
    tile = height // 3
    found = [pixels[row * tile + 2, column * 16 + 8] for row in range(3) for column in range(2)]
    np.testing.assert_allclose(found, [*shades, 0.0], atol=0.01)


def test_the_module_of_the_command_runs_it(blender: None) -> None:
    """Both ``-m codetalker_blender.blender`` and ``...blender.command``, whichever a farm's scripts name."""
    if bpy.app.binary_path:
        pytest.skip("needs Blender as a Python module")
    for module in ("codetalker_blender.blender", "codetalker_blender.blender.command"):
        words = [sys.executable, "-m", module, "generate"]
        # Python's own copy: what Blender set in this process would make the other one talk of it.
        own = dict(os.environ)
        done = subprocess.run(words, cwd=ROOT, env=own, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2, done.stderr
        assert "--audio" in done.stderr, repr(done.stdout)
        assert json.loads(done.stdout)["status"] == "refused"


@pytest.mark.parametrize("exists", [False, True])
def test_refused_demo_leaves_nothing(engine_python: str, tmp_path: Path, exists: bool) -> None:
    if not (ROOT / "assets" / "demo_head.blend").is_file():
        pytest.skip("there is no demo head in this checkout")
    output = tmp_path / "new" / "demo"
    if exists:
        output.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    done = command(engine_python, "demo", "--audio", tmp_path / "absent.wav", "--output", output)
    assert done.returncode == 2
    assert "absent.wav" in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_demo_makes_a_scene_a_sheet_and_a_video(
    engine_python: str, speech_file: Path, tmp_path: Path
) -> None:
    # A quarter of the sound is six frames to render.
    import wave

    short = tmp_path / "short.wav"
    with wave.open(str(speech_file), "rb") as source, wave.open(str(short), "wb") as sink:
        sink.setparams(source.getparams())
        sink.writeframes(source.readframes(3200))
    head = ROOT / "assets" / "demo_head.blend"
    if not head.is_file():
        pytest.skip(f"there is no demo head at {head}")
    code = (
        "import sys, pathlib, tests.engine.tiny as tiny; from codetalker_blender import model_files as f;"
        "tiny.tiny_bundle(pathlib.Path(sys.argv[1]),"
        " face=f.read_face_file(pathlib.Path('assets/head/face.npz')))"
    )
    model = tmp_path / "model"
    subprocess.run([engine_python, "-c", code, str(model)], cwd=ROOT, check=True, timeout=300)
    output = tmp_path / "demo"
    done = command(engine_python, "demo", "--audio", short, "--model", model, "--output", output)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in output.iterdir()) == ["demo.blend", "demo.mp4", "preview.png"]
    assert b"ftyp" in (output / "demo.mp4").read_bytes()[:64]
    assert "total" in done.stdout
    assert "Fra:" not in done.stdout
    bpy.ops.wm.open_mainfile(filepath=str(output / "demo.blend"))
    assert bpy.data.objects["CodeTalker Head"].data.shape_keys.key_blocks.find("CodeTalker 0001") > 0
