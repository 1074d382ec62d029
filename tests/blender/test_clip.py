"""Clips and batches of clips on the command line inside Blender: all outputs, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.motion_files import read_motion
from tests.blender import scenes
from tests.blender.conftest import write_buzz
from tests.blender.test_command import command


@pytest.fixture
def blend(blender: None, tmp_path: Path) -> Path:
    """A .blend in a folder of its own: the face, a camera before it, and a render of a few pixels."""
    face = scenes.add_sheet()
    scene = bpy.context.scene
    scene.codetalker.target = face
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0, -1, 0), (np.pi / 2, 0, 0)
    scene.camera = camera
    scene.render.engine = "CYCLES"  # type: ignore[assignment]
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    path = tmp_path / "scenes" / "head.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """0.2 s, which is five frames."""
    path = tmp_path / "sounds" / "a.wav"
    path.parent.mkdir()
    write_buzz(path, 0.2)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_run_saves_renders_and_exports(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    kinds = ["npz", "mdd", "pc2"]
    kinds += ["abc"] if compat.was_built_with("alembic") else []
    kinds += ["usd"] if compat.was_built_with("usd") else []
    wanted = [out / f"face.{kind}" for kind in kinds]
    done = command(
        engine_python, "generate", "--audio", sound, "--blend", blend, "--model", tiny_model,
        "--output-mode", "compact", "--max-error-mm", 0.05, "--start-frame", 3, "--save", out / "done.blend",
        "--render", out / "frames", "--export", *wanted,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    frames = [f"frames/{n:04d}.png" for n in range(report["first_frame"], report["last_frame"] + 1)]
    assert report["first_frame"] == 3
    assert files(out) == sorted(["done.blend", *frames, *(path.name for path in wanted)])
    assert sorted(report["outputs"]) == sorted(str(out / name) for name in files(out))
    assert report["error_mm"] <= 0.05
    assert len(read_motion(out / "face.npz").offsets) == len(frames)
    bpy.ops.wm.open_mainfile(filepath=str(out / "done.blend"))
    assert bpy.data.objects["Face"].codetalker.output == "COMPACT"
    heard = [Path(os.path.normpath(bpy.path.abspath(sound.filepath))) for sound in bpy.data.sounds]
    assert heard in ([sound], [] if not compat.has_audio() else [sound])
    assert bpy.context.scene.render.filepath != str(out / "frames")


def test_a_video_is_one_file(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    video = tmp_path / "face.mp4"
    done = command(
        engine_python, "generate", sound, "--blend", blend, "--model", tiny_model, "--render", video
    )
    assert done.returncode == 0, done.stderr
    assert b"ftyp" in video.read_bytes()[:64]
    assert files(tmp_path) == ["face.mp4", "scenes/head.blend", "sounds/a.wav"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Nothing would be kept"),
        (["--save", "a.txt"], "is no .blend"),
        (["--export", "a.fbx"], "'.fbx' is no format"),
        (["--export", "a.mdd", "--render", "a.mdd"], "is a file"),
        (["--save", "a.blend", "--max-error-mm", "0"], "The maximum error is 0.0 mm"),
        (["--save", "a.blend", "--seed", "-1"], "--seed is -1. It must be from 0 to"),
        (["--save", "a.blend", "--variation", "inf"], "--variation is inf"),
        (["--save", "a.blend", "--start-frame", "2000000"], "It must be from -1,048,574 to 1,048,574"),
        (["--save", "a.blend", "--audio="], "No sound file is named"),
        (["--save", "a.blend", "--blend", "scenes/."], "is a folder. Name a .blend"),
        (["--save", "a.blend", "--blend", "a.mdd"], "cannot be opened: "),
        (["--save", "a.blend", "--mapping", "m.json"], "Add --output-mode existing"),
        (["--save", "a.blend", "--output-mode", "existing", "--mapping", "m.json"], "cannot be read"),
        (["--save", "a.blend", "--object", "Camera"], "is a camera, not a mesh"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_model_runs(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path,
    arguments: list[str], complaint: str,
) -> None:  # fmt: skip
    (tmp_path / "a.mdd").touch()
    before = files(tmp_path)
    places = [str(tmp_path / part) if "." in part and part != "0" else part for part in arguments]
    done = command(engine_python, "generate", sound, "--blend", blend, "--model", tiny_model, *places)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(done.stdout)["status"] == "refused"
    assert files(tmp_path) == before


def test_a_refusal_is_one_line_where_the_mesh_speaks_already(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Settings do not make the animation follow that the run would replace."""
    spoken = tmp_path / "spoken.blend"
    first = command(
        engine_python, "generate", sound, "--blend", blend, "--model", tiny_model, "--save", spoken
    )
    assert first.returncode == 0, first.stderr
    done = command(
        engine_python, "generate", sound, "--blend", spoken, "--model", tiny_model,
        "--output-mode", "existing", "--save", tmp_path / "again.blend",
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "again.blend").exists()


def test_weights_of_a_face_that_can_have_no_shapes_are_refused_before_the_model_runs(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    done = command(
        engine_python, "generate", sound, "--blend", blend, "--model", tiny_model,
        "--export", tmp_path / "a.mdd", tmp_path / "a.json",
    )  # fmt: skip
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert report["status"] == "refused" and "'tiny'" in report["error"]
    assert "codes" not in done.stderr
    assert files(tmp_path) == before


def test_a_batch_of_scenes_goes_on_after_a_failure_and_where_it_stopped(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "shots.csv"
    manifest.write_text(
        "name,audio,blend,object,style,seed,export\n"
        "s1/a,sounds/a.wav,scenes/head.blend,Face,calm,1,\n"
        "s1/b,sounds/a.wav,scenes/head.blend,Nobody,calm,1,\n"
        "s1/c,sounds/a.wav,scenes/head.blend,,lively,2,{name}.mdd;{name}.npz\n"
    )
    out = tmp_path / "out"
    arguments = ("batch", manifest, "--output", out, "--model", tiny_model)
    done = command(engine_python, *arguments)
    report = json.loads(done.stdout)
    assert done.returncode == 2, done.stderr
    assert [row["state"] for row in report["rows"]] == ["done", "failed", "done"]
    assert "There is no object called 'Nobody'" in report["rows"][1]["error"]
    made = ["s1/a.batch.json", "s1/a.blend", "s1/c.batch.json", "s1/c.mdd", "s1/c.npz"]
    assert files(out) == made
    bpy.ops.wm.open_mainfile(filepath=str(out / "s1" / "a.blend"))
    assert len(bpy.data.objects["Face"].data.shape_keys.key_blocks) > 5
    for heard in bpy.data.sounds:  # a relative path must be one from the new place
        assert Path(os.path.normpath(bpy.path.abspath(heard.filepath))) == sound
    manifest.write_text(manifest.read_text().replace("Nobody", "Face"))
    again = command(engine_python, *arguments)
    assert again.returncode == 0, again.stderr
    states = [row["state"] for row in json.loads(again.stdout)["rows"]]
    assert states == ["finished before", "done", "finished before"]
    assert files(out) == sorted([*made, "s1/b.batch.json", "s1/b.blend"])


def test_a_row_without_a_scene_is_refused_with_its_number(
    engine_python: str, blender: None, sound: Path, tmp_path: Path
) -> None:
    done = command(engine_python, "batch", sound.parent, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "Row 1 ('a'): It names no .blend." in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("save", "a.txt", "is no .blend"),
        ("export", "a.fbx", "'.fbx' is no format"),
        ("seed", "-1", "--seed is -1"),
        ("start-frame", "9999999999", "--start-frame is 9999999999"),
    ],
)
def test_a_row_that_can_never_be_is_refused_before_any_is_run(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path,
    column: str, value: str, complaint: str,
) -> None:  # fmt: skip
    manifest = tmp_path / "shots.csv"
    rows = "a,sounds/a.wav,scenes/head.blend,", f"b,sounds/a.wav,scenes/head.blend,{value}"
    manifest.write_text("\n".join([f"name,audio,blend,{column}", *rows]))
    done = command(engine_python, "batch", manifest, "--output", tmp_path / "out", "--model", tiny_model)
    assert done.returncode == 2 and done.stdout == "", done.stdout
    assert "Row 2 ('b'): " in done.stderr and complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_layers_by_flags(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """They become the object's settings; without flags the object's own stay."""
    arguments = ("--audio", sound, "--blend", blend, "--model", tiny_model, "--save", tmp_path / "done.blend")
    flags = (
        *("--head-motion", "--head-amount", 3, "--blinks", "--blink-rate", 30),
        *("--layer-seed", 5, "--turned", "Camera", "--look-at", "Camera"),
    )
    done = command(engine_python, "generate", *arguments, *flags)
    assert done.returncode == 0, done.stderr
    assert any("Blinks and gaze are left out" in line for line in json.loads(done.stdout)["warnings"])
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "done.blend"))
    layers = bpy.data.objects["Face"].codetalker.layers
    assert (layers.use_blinks, layers.use_head, layers.use_gaze) == (True, True, False)
    assert (layers.blink_rate, layers.head_amount) == (30.0, 3.0)
    assert (layers.blink_seed, layers.head_seed, layers.gaze_seed) == (5, 5, 5)
    assert layers.head_object == bpy.data.objects["Camera"]
    assert (layers.gaze_at, layers.gaze_object) == ("OBJECT", bpy.data.objects["Camera"])
    assert bpy.data.objects["Camera"].animation_data is not None


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--blink-rate", 1000), "--blink-rate is 1000. It must be from 1 to 60"),
        (("--layer-seed", -1), "--layer-seed is -1"),
        (("--layer-seed", 2**31), "--layer-seed is 2147483648. It must be from 0 to 2,147,483,647"),
        (("--turned", "Nobody"), "'Nobody' cannot turn the head"),
        (("--look-at", "Nobody"), "cannot look at 'Nobody': there is no such object"),
        (("--look-at", "Camera", "--look-at-camera"), "Give --look-at or --look-at-camera"),
    ],
)
def test_layer_flags_that_make_no_sense_are_refused(
    engine_python: str, blend: Path, sound: Path, tiny_model: Path, flags: tuple[str, object], says: str
) -> None:
    done = command(
        engine_python, "generate", "--audio", sound, "--blend", blend, "--model", tiny_model, *flags,
        "--save", blend.parent / "out.blend",
    )  # fmt: skip
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert files(blend.parent) == ["head.blend"]
