"""Presets by Blender's own mechanism: kept, loaded onto another target, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome
from codetalker_blender.blender.sidebar import presets
from tests.blender import scenes
from tests.blender.speaking import made_motion, shown, speak


@pytest.fixture
def folder(blender: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Blender keeps presets; a user's own are neither seen nor touched."""
    monkeypatch.setenv("BLENDER_USER_SCRIPTS", str(tmp_path))
    found = Path(bpy.utils.user_resource("SCRIPTS", path="presets")) / presets.FOLDER
    if tmp_path not in found.parents:
        pytest.skip("this Blender does not let its folder of presets be moved")
    # Blender calls the class by what was loaded last
    monkeypatch.setattr(presets.CODETALKER_PT_presets, "bl_label", presets.CODETALKER_PT_presets.bl_label)
    yield found


def load(path: Path) -> set[str]:
    result: set[str] = bpy.ops.script.execute_preset(filepath=str(path), menu_idname="CODETALKER_PT_presets")
    return result


def test_settings_are_kept_and_come_back(folder: Path, tiny_model: Path) -> None:
    settings = bpy.context.scene.codetalker
    settings.target = scenes.add_sheet("One")
    settings.audio = "//speech.wav"
    settings.model, settings.model_folder = "OTHER_FOLDER", str(tiny_model)
    settings.style, settings.style_b, settings.style_mix = "lively", "calm", 0.25
    settings.variation, settings.seed, settings.device = 0.5, 7, "cpu"
    group = settings.target.codetalker
    group.output, group.strength_mouth, group.closure, group.offset_s = "COMPACT", 1.5, 0.25, 0.5
    group.layers.use_blinks, group.layers.blink_rate, group.layers.head_seed = True, 30.0, 3
    assert bpy.ops.codetalker.add_preset(name="Loud") == {"FINISHED"}
    (kept,) = folder.glob("*.py")
    text = kept.read_text()
    assert "speech.wav" not in text and "One" not in text and "codetalker_blender" not in text

    for name in ("model", "model_folder", "style", "style_mix", "own_variation", "seed", "device"):
        settings.property_unset(name)
    other = settings.target = scenes.add_sheet("Two")
    settings.audio = "//other.wav"
    assert load(kept) == {"FINISHED"}
    assert (settings.style, settings.style_b, settings.style_mix) == ("lively", "calm", 0.25)
    assert (settings.variation, settings.seed, settings.device) == (0.5, 7, "cpu")
    assert (settings.audio, settings.target) == ("//other.wav", other)
    found = other.codetalker
    assert (found.output, found.strength_mouth, found.closure, found.offset_s) == ("COMPACT", 1.5, 0.25, 0.5)
    assert (found.layers.use_blinks, found.layers.blink_rate, found.layers.head_seed) == (True, 30.0, 3)


def test_every_setting_of_the_target_is_kept(folder: Path) -> None:
    obj = bpy.context.scene.codetalker.target = scenes.add_sheet()
    bpy.ops.codetalker.add_preset(name="All")
    text = (folder / "All.py").read_text()
    missing = [
        name
        for name in (*tuning.TUNING, "output", "max_error_mm", "use_nla")
        if f"target.{name} = " not in text
    ]
    assert not missing and obj.name not in text


def test_a_preset_without_a_target_loads_with_and_without_one(folder: Path) -> None:
    settings = bpy.context.scene.codetalker
    settings.seed = 5
    assert bpy.ops.codetalker.add_preset(name="Bare") == {"FINISHED"}
    settings.target = scenes.add_sheet()
    settings.target.codetalker.closure = 0.5
    assert bpy.ops.codetalker.add_preset(name="Full") == {"FINISHED"}
    settings.seed = 0
    assert load(folder / "Bare.py") == {"FINISHED"} and settings.seed == 5
    assert settings.target.codetalker.closure == 0.5
    settings.target = None
    settings.seed = 0
    assert load(folder / "Full.py") == {"FINISHED"} and settings.seed == 5


def test_an_animation_follows_a_preset_once(folder: Path, obj: bpy.types.Object) -> None:
    speak(obj, made_motion())
    before = shown(obj, 12)
    obj.codetalker.strength_mouth = obj.codetalker.strength_jaw = obj.codetalker.strength_eyelids = 2.0
    loud = shown(obj, 12)
    assert abs(loud - before).max() > 1e-4
    bpy.ops.codetalker.add_preset(name="Loud")
    bpy.ops.codetalker.reset_tuning()
    assert abs(shown(obj, 12) - before).max() < 1e-6

    written: list[str] = []
    real = tuning.rewrite

    def counting(target: bpy.types.Object, scene: bpy.types.Scene) -> Outcome:
        written.append(target.name)
        return real(target, scene)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "rewrite", counting)
        load(folder / "Loud.py")
    assert abs(shown(obj, 12) - loud).max() < 1e-6
    assert len(written) == 1, "the animation was written once per slider"
    assert tuning.is_applied(obj)
    obj.codetalker.strength_mouth = 0.0
    assert abs(shown(obj, 12) - loud).max() > 1e-4, "sliders are dead after a preset"


def test_a_preset_is_removed(folder: Path) -> None:
    bpy.ops.codetalker.add_preset(name="Gone")
    assert (folder / "Gone.py").is_file()
    assert bpy.ops.codetalker.add_preset(name="Gone", remove_name=True) == {"FINISHED"}
    assert not (folder / "Gone.py").exists()


def test_a_broken_preset_leaves_the_sliders_alive(folder: Path, obj: bpy.types.Object) -> None:
    folder.mkdir(parents=True)
    (folder / "Broken.py").write_text("import bpy\nraise ValueError('broken')\n")
    with pytest.raises(RuntimeError, match="broken"):
        load(folder / "Broken.py")
    speak(obj, made_motion())
    before = shown(obj, 12)
    obj.codetalker.strength_mouth = 2.0
    assert abs(shown(obj, 12) - before).max() > 1e-4
