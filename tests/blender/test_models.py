"""The model library from the sidebar: cards, models added and removed, checkpoints imported."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import command_line
from codetalker_blender.blender.bundles import import_buttons, imports, library, models
from codetalker_blender.blender.preferences import PACKAGE, PYTHON_VARIABLE, engine_settings
from codetalker_blender.blender.sidebar import model_panels, panels
from codetalker_blender.errors import Cancelled, UserError
from tests.blender.test_panels import drawn

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(autouse=True)
def named_python(engine_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch in this Python, the jobs run in the one that has it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if engine_python != sys.executable:
        monkeypatch.setenv(PYTHON_VARIABLE, engine_python)


@pytest.fixture
def own(obj: bpy.types.Object, tmp_path: Path) -> Iterator[Path]:
    """The folder of the user's own models, as the preferences name it; it is not there yet."""
    addon = bpy.context.preferences.addons.new()
    addon.module = PACKAGE
    addon.preferences.models_folder = str(tmp_path / "own")
    yield tmp_path / "own"
    imports.close_current()
    bpy.context.preferences.addons.remove(addon)


@pytest.fixture
def settings(own: Path) -> Any:
    return bpy.context.scene.codetalker


@pytest.fixture
def checkpoints(own: Path, tmp_path: Path) -> Any:
    """The session's import settings, complete; the small checkpoints have 4 heads everywhere."""
    with np.load(GOLDEN / "golden_vocaset.npz") as archive:
        np.save(tmp_path / "template.npy", archive["c0_template"].reshape(-1, 3))
    group = bpy.context.window_manager.codetalker_import
    group.stage1, group.stage2 = (str(GOLDEN / f"vocaset_stage{stage}.pth.tar") for stage in (1, 2))
    group.template = str(tmp_path / "template.npy")
    group.codec_heads = group.query_heads = group.speech_heads = 4
    return group


def refused(match: str, operator: Any, **options: object) -> None:
    with pytest.raises(RuntimeError, match=match) as caught:
        operator(**options)
    assert len(str(caught.value).strip().splitlines()) == 1


def test_the_card_of_the_chosen_model_is_shown(settings: Any, tiny_model: Path) -> None:
    text, _ = drawn(model_panels.CODETALKER_PT_model)
    assert "8: " in text and "30 fps" in text and "Looks back only" in text and " MB" in text
    settings.model, settings.model_folder = models.OTHER_FOLDER, str(tiny_model)
    text, _ = drawn(model_panels.CODETALKER_PT_model)
    for shown in ("tiny", "42", "3: neutral, lively, calm", "CC0-1.0", "Looks back only"):
        assert shown in text
    settings.model_folder = str(tiny_model / "absent")
    text, _ = drawn(model_panels.CODETALKER_PT_model)
    assert "config.json" in text


def test_known_faces_are_named(tmp_path: Path, tiny_model: Path) -> None:
    from codetalker_blender.face.topology import FLAME
    from codetalker_blender.model_files import read_card, read_face

    face = models.facts(tiny_model)
    assert face.face == str(read_face(tiny_model, read_card(tiny_model)).vertex_count)
    assert FLAME.name not in face.face


def test_a_model_is_added_chosen_and_removed(settings: Any, own: Path, tiny_model: Path) -> None:
    assert bpy.ops.codetalker.add_model(filepath=str(tiny_model / "config.json")) == {"FINISHED"}
    assert settings.model == "tiny" and models.chosen_folder(settings) == own / "tiny"
    assert settings.style == "neutral"
    settings.style = settings.style_b = "calm"
    other = bpy.data.scenes.new("Other")
    other.codetalker.model = "tiny"
    refused("there already", bpy.ops.codetalker.add_model, filepath=str(tiny_model))
    assert bpy.ops.codetalker.remove_model() == {"FINISHED"}
    assert not list(own.iterdir()) and (tiny_model / "config.json").is_file()
    for scene in bpy.data.scenes:
        assert scene.codetalker.model == "default" and scene.codetalker.style != "calm"
    refused("Only models that you added", bpy.ops.codetalker.remove_model)


def test_a_broken_model_is_not_added(settings: Any, own: Path, tiny_model: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"short")
    for path in (broken, tmp_path / "absent", ""):
        refused("cut short|neither|No file is named", bpy.ops.codetalker.add_model, filepath=str(path))
    assert settings.model == "default" and not (own.exists() and list(own.iterdir()))


def test_without_a_folder_of_ones_own_that_is_what_it_says(obj: bpy.types.Object, tiny_model: Path) -> None:
    refused("no folder for your own models", bpy.ops.codetalker.add_model, filepath=str(tiny_model))
    refused("no folder for your own models", bpy.ops.codetalker.open_models_folder)


def test_a_bundle_that_came_by_itself_is_found(settings: Any, own: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, own / "By Hand")
    assert bpy.ops.codetalker.refresh_models() == {"FINISHED"}
    settings.model = "By Hand"
    assert models.facts(own / "By Hand").face == "42"


def test_style_rows_follow_the_number_of_styles(settings: Any, tiny_model: Path, tmp_path: Path) -> None:
    _, settable = drawn(panels.CODETALKER_PT_generate)
    assert {"style", "style_b", "style_mix"} <= set(settable)
    lonely = shutil.copytree(tiny_model, tmp_path / "lonely")
    card = (lonely / "config.json").read_text()
    (lonely / "config.json").write_text(card.replace('"lively",', "").replace('"calm"', "").replace(
        '"neutral",', '"neutral"'
    ))  # fmt: skip
    settings.model, settings.model_folder = models.OTHER_FOLDER, str(lonely)
    assert models.card(lonely).styles == ("neutral",)
    _, settable = drawn(panels.CODETALKER_PT_generate)
    assert "style" in settable and not {"style_b", "style_mix"} & set(settable)


def test_the_seed_is_dead_without_variation(settings: Any) -> None:
    settings.variation = 0.5
    text, settable = drawn(panels.CODETALKER_PT_sampling)
    assert "seed" in settable and "codetalker.model_variation" in text and "codetalker.new_seed" in text
    settings.variation = 0.0
    _, settable = drawn(panels.CODETALKER_PT_sampling)
    assert "variation" in settable and "seed" not in settable
    bpy.ops.codetalker.model_variation()
    text, _ = drawn(panels.CODETALKER_PT_sampling)
    assert "codetalker.model_variation" not in text


# -- official checkpoints --------------------------------------------------------------------------


def test_checkpoints_become_the_chosen_model(checkpoints: Any, own: Path) -> None:
    threads = threading.active_count()
    checkpoints.model_name, checkpoints.licence = "My Face", "research only"
    assert bpy.ops.codetalker.import_model() == {"FINISHED"}
    settings = bpy.context.scene.codetalker
    assert settings.model == "My Face" and [path.name for path in own.iterdir()] == ["My Face"]
    card = models.card(own / "My Face")
    assert (card.name, card.licence, len(card.styles)) == ("My Face", "research only", 8)
    assert imports.current() is None and threading.active_count() == threads
    # once more: a second one beside it
    checkpoints.model_name = ""
    assert bpy.ops.codetalker.import_model() == {"FINISHED"}
    assert settings.model == "vocaset"
    assert sorted(path.name for path in own.iterdir()) == ["My Face", "vocaset"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("stage1", "", "No stage-1 checkpoint is chosen"),
        ("template", "", "No template is chosen"),
        ("stage1", str(GOLDEN / "vocaset_stage2.pth.tar"), "is a stage-2 checkpoint"),
        ("stage2", str(GOLDEN / "biwi_stage2.pth.tar"), "VOCASET flavour"),
        ("stage2", str(GOLDEN / "golden_metrics.npz"), "golden_metrics"),
        ("template", "/absent/templates.pkl", "no template file"),
        ("codec_heads", 5, "Check Codec Heads"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(
    checkpoints: Any, own: Path, field: str, value: object, says: str
) -> None:
    setattr(checkpoints, field, value)
    refused(says, bpy.ops.codetalker.import_model)
    assert bpy.context.scene.codetalker.model == "default"
    assert imports.current() is None and not (own.exists() and list(own.iterdir()))


def test_an_import_in_the_background_is_shown_and_cancelled(checkpoints: Any, own: Path) -> None:
    text, _ = drawn(model_panels.CODETALKER_PT_import)
    assert "codetalker.import_model" in text
    run = imports.begin(imports.request_of(checkpoints), library.own_folder(), engine_settings())
    text, settable = drawn(model_panels.CODETALKER_PT_import)
    assert "codetalker.cancel_import" in text and not settable
    with pytest.raises(RuntimeError, match="being imported already"):
        bpy.ops.codetalker.import_model()
    assert bpy.ops.codetalker.cancel_import() == {"FINISHED"}
    with pytest.raises(Cancelled):
        run.wait()
    imports.close_current()
    assert not list(own.iterdir())
    with pytest.raises(RuntimeError, match="Nothing is being imported"):
        bpy.ops.codetalker.cancel_import()


def test_unregistering_ends_an_import(checkpoints: Any, own: Path) -> None:
    import codetalker_blender

    threads = threading.active_count()
    imports.begin(imports.request_of(checkpoints), library.own_folder(), engine_settings())
    codetalker_blender.unregister()
    try:
        assert imports.current() is None and not list(own.iterdir())
        assert threading.active_count() == threads
    finally:
        codetalker_blender.register()


def test_the_panel_says_what_an_import_lacks(checkpoints: Any) -> None:
    assert import_buttons.obstacle(bpy.context) == ""
    checkpoints.template = ""
    text, _ = drawn(model_panels.CODETALKER_PT_import)
    assert "No template is chosen" in text


def test_subjects_of_a_templates_file_are_offered(checkpoints: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", Berta=np.zeros((4, 3)), Anna=np.zeros((4, 3)))
    checkpoints.template = str(tmp_path / "two.npz")
    assert imports._subjects(checkpoints, bpy.context, "") == ["Anna", "Berta"]
    (tmp_path / "two.npz").write_bytes(b"broken")
    assert imports._subjects(checkpoints, bpy.context, "") == []


def test_the_command_line_imports(checkpoints: Any, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: getattr(checkpoints, name) for name in ("stage1", "stage2", "template")}
    heads = {f"{name}-heads": 4 for name in ("codec", "query", "speech")}
    arguments = [f"--{name}={value}" for name, value in {**files, **heads, "name": "Mine"}.items()]
    assert command_line.run(["import", *arguments]) == 0
    said = capsys.readouterr()
    assert str(own / "Mine") in said.out and [path.name for path in own.iterdir()] == ["Mine"]
    assert command_line.run(["import", *arguments, "--template=/absent.npy"]) == 2
    assert "/absent.npy" in capsys.readouterr().err


def test_options_of_the_command_line_are_named_as_in_the_panel() -> None:
    error = UserError("The styles do not fit.", "Check --codec-heads, --speech-heads or --subject.")
    assert str(imports._worded(error)).endswith("Check Codec Heads, Speech Heads or Subject.")
