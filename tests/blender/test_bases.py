"""Existing Keys with a model whose face is not the demo head's: its shapes are made once, by the worker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.preferences import engine_settings
from codetalker_blender.blender.retargeting import bases, tuning
from codetalker_blender.blender.runs import generation, jobs
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import GenerateRequest, Motion
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import demo_head_shapes
from codetalker_blender.face.model_shapes import template_of
from codetalker_blender.job.messages import Report
from codetalker_blender.model_files import ModelCard, read_card, read_face
from tests.blender import scenes
from tests.blender.conftest import ROOT
from tests.blender.test_existing import KEYS, add_cube, known, target_line, values
from tests.face import layouts


@pytest.fixture(scope="session")
def flame_model(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with random weights whose face is of FLAME's size and axes, in centimetres."""
    folder = tmp_path_factory.mktemp("models") / "flame like"
    code = (
        "import sys, pathlib, tests.engine.tiny as tiny, tests.face.layouts as layouts;"
        "tiny.tiny_bundle(pathlib.Path(sys.argv[1]), face=layouts.flame_like().face, name='made',"
        " units_per_metre=layouts.UNITS_PER_METRE, up_axis='Y')"
    )
    subprocess.run([engine_python, "-c", code, str(folder)], cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blender's folder for data files, for all tests here."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture
def speaker(settings: bpy.types.bpy_struct, kept: Path, monkeypatch: pytest.MonkeyPatch) -> bpy.types.Object:
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(kept))
    obj = add_cube("Head", list(KEYS.values()))
    settings.target = obj
    obj.codetalker.output = "EXISTING"
    return obj


def run() -> tuple[generation.Prepared, Motion, Report]:
    prepared = generation.prepare(bpy.context)
    return prepared, *jobs.run_blocking(prepared, engine_settings())


def take_of(card: ModelCard, folder: Path) -> bytes:
    """Known weights played through the face's own shapes, as a run of its model would leave them."""
    own = layouts.flame_like().shapes
    shapes = np.stack([own[name] for name in known().names])
    offsets = np.tensordot(known().values, shapes, 1).astype(np.float32)
    return takes.capture(
        Motion(offsets, 24.0, np.zeros((1, 1), np.int32), 24.0), read_face(folder, card), card
    )


def test_the_first_run_makes_the_shapes_and_later_ones_use_them(
    speaker: bpy.types.Object, flame_model: Path, kept: Path
) -> None:
    bpy.context.scene.codetalker.model_folder = str(flame_model)
    assert "the first run also fits the demo head to this model's face" in target_line()
    before = scenes.dump()
    card = read_card(flame_model)
    with pytest.raises(TargetError, match="no shapes of this motion's face yet"):
        tuning.write(speaker, takes.Placed(take_of(card, flame_model), 1))
    assert scenes.differences(before, scenes.dump()) == []

    prepared, motion, report = run()
    (note,) = report.notes
    assert "carried over to the face of 'made' in" in note and report.seconds["shapes"] > 1
    (file,) = (kept / "codetalker_blender" / "shapes").iterdir()
    assert "first run" not in target_line()
    written = generation.write(prepared, generation.capture(prepared, motion), report.notes)
    assert note in written.warnings and written.outcome.key_count == len(KEYS)

    stamp = file.stat().st_mtime_ns
    _, _, again = run()
    assert again.notes == () and again.seconds["shapes"] < 1 and file.stat().st_mtime_ns == stamp

    tuning.write(speaker, takes.Placed(take_of(card, flame_model), 5))
    for shape, key in KEYS.items():
        assert np.abs(values(speaker, key) - known().of(shape)).mean() < 0.05, shape
    speaker.codetalker.mapping.shape_set = "VISEMES"
    template = template_of(read_face(flame_model, card), card.units_per_metre)
    assert bases.of_take(template, "VISEMES").offsets.shape == (15, layouts.FLAME_VERTICES, 3)
    assert bases.of_take(template, "ARKIT").names == demo_head_shapes().names


def test_a_face_that_does_not_fit_is_refused_before_the_model_runs(
    speaker: bpy.types.Object, tiny_model: Path, kept: Path
) -> None:
    before = scenes.dump()
    files = sorted(kept.rglob("*"))
    with pytest.raises(TargetError, match=r"cannot be carried over to the face of the model 'tiny': .*42"):
        run()
    assert scenes.differences(before, scenes.dump()) == [] and sorted(kept.rglob("*")) == files


def test_other_outputs_ask_for_no_shapes(
    settings: bpy.types.bpy_struct, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(kept))
    settings.target = scenes.add_sheet()
    assert asked().shapes is None


def test_layers_ask_for_shapes_and_use_them(speaker: bpy.types.Object, flame_model: Path) -> None:
    """Blinks of a face that is not the demo head's, in a scene in centimetres."""
    settings = bpy.context.scene.codetalker
    settings.model_folder = str(flame_model)
    card = read_card(flame_model)
    face = read_face(flame_model, card)
    obj = settings.target = scenes.add_mesh("Face", face.vertices, face.triangles)
    assert asked().shapes is None
    obj.codetalker.layers.use_blinks, obj.codetalker.layers.blink_rate = True, 40.0
    assert asked().shapes == bases.folder()
    run()
    still = np.zeros((144, face.vertex_count, 3), np.float32)
    motion = Motion(still, 24.0, np.zeros((1, 1), np.int32), 24.0)
    outcome = tuning.write(obj, takes.Placed(takes.capture(motion, face, card), 1))
    assert outcome.warning is None
    lids = (
        bases.of_take(template_of(face, card.units_per_metre), "ARKIT").chosen(("eyeBlinkLeft",)).offsets[0]
    )
    moved = np.stack([scenes.evaluated(obj, frame) for frame in range(1, 145)]) - face.vertices
    shut = np.einsum("tvc,vc->t", moved, lids) / (lids**2).sum() / layouts.UNITS_PER_METRE
    assert shut.max() == pytest.approx(1.0, abs=0.02) and shut[0] == pytest.approx(0.0, abs=1e-4)


def test_layers_of_a_face_that_can_have_no_shapes_do_not_stop_the_run(
    speaker: bpy.types.Object, tiny_model: Path
) -> None:
    settings = bpy.context.scene.codetalker
    settings.target = scenes.add_sheet()
    settings.target.codetalker.layers.use_blinks = True
    prepared, motion, report = run()
    written = generation.write(prepared, generation.capture(prepared, motion), report.notes)
    assert any("are missing" in warning and "'tiny'" in warning for warning in written.warnings)
    assert any("Blinks and gaze are left out" in warning for warning in written.warnings)


def asked() -> GenerateRequest:
    return generation.prepare(bpy.context).request
