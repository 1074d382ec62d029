"""Two styles and a mix that is keyframed; variation and seed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.bundles import models
from codetalker_blender.blender.headless import clip
from codetalker_blender.blender.preferences import PYTHON_VARIABLE, engine_settings
from codetalker_blender.blender.runs import generation, jobs, styles
from codetalker_blender.contracts import Motion
from codetalker_blender.errors import UserError
from tests.blender import scenes


@pytest.fixture(autouse=True)
def named_python(engine_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch in this Python, the jobs run in the one that has it."""
    if engine_python != sys.executable:
        monkeypatch.setenv(PYTHON_VARIABLE, engine_python)


@pytest.fixture
def settings(obj: bpy.types.Object, tiny_model: Path, speech_file: Path) -> Any:
    """``scene.codetalker``, ready to run: styles neutral and calm, not mixed."""
    group = bpy.context.scene.codetalker
    group.audio = str(speech_file)
    group.model, group.model_folder = "OTHER_FOLDER", str(tiny_model)
    group.style, group.style_b = "neutral", "calm"
    return group


def key(values: dict[float, float], interpolation: str = "BEZIER") -> Any:
    """Keyframe the mix; -> its curve."""
    scene = bpy.context.scene
    for frame, value in values.items():
        scene.codetalker.style_mix = value
        scene.codetalker.keyframe_insert("style_mix", frame=frame)
    data = scene.animation_data
    (curve,) = [c for cs in compat.played_fcurves(data.action, compat.action_slot(data)) for c in cs]
    for point in curve.keyframe_points:
        point.interpolation = interpolation
    return curve


def push_down(start: float, **options: object) -> Any:
    """The scene's action as an NLA strip on a track of its own, on top of those there are."""
    data = bpy.context.scene.animation_data
    action, slot = data.action, compat.action_slot(data)
    data.action = None
    strip = data.nla_tracks.new().strips.new("Strip", int(start), action)
    strip.name = "Strip"  # 4.3 names it after the action
    compat.assign_action(strip, action, like=slot)
    for name, value in options.items():
        setattr(strip, name, value)
    return strip


def shown(frames: NDArray[np.float64]) -> list[float]:
    """What Blender shows of the mix at each frame."""
    scene, found = bpy.context.scene, []
    for frame in frames:
        scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))
        found.append(scene.codetalker.style_mix)
    return found


# -- the curve is what Blender shows ---------------------------------------------------------------


def plain() -> None:
    key({5: 0.0, 20: 1.0, 32.5: 0.3})


def steps() -> None:
    key({5: 0.0, 20: 1.0, 30: 0.25}, "CONSTANT")


def endless() -> None:
    curve = key({5: 0.2, 15: 0.9}, "LINEAR")
    curve.modifiers.new("CYCLES")


def beyond_the_limits() -> None:
    key({5: 0.2, 15: 0.9}, "LINEAR").extrapolation = "LINEAR"


def muted() -> None:
    key({5: 0.2, 15: 0.9}).mute = True
    bpy.context.scene.codetalker.style_mix = 0.4


def strip_scaled() -> None:
    key({1: 0.0, 11: 1.0}, "LINEAR")
    push_down(8, scale=1.7)


def strip_repeated() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    push_down(4, repeat=2.5, extrapolation="HOLD_FORWARD")


def strip_reversed() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    push_down(4, use_reverse=True)


def strip_part() -> None:
    key({1: 0.1, 21: 0.9}, "LINEAR")
    push_down(4, action_frame_start=6.0, action_frame_end=14.0)


def strip_within_its_frames() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    push_down(12, extrapolation="NOTHING")
    bpy.context.scene.codetalker.style_mix = 0.4


def two_tracks() -> None:
    key({1: 0.1, 31: 0.9}, "LINEAR")
    push_down(1)
    key({1: 0.9, 6: 0.5}, "LINEAR")
    push_down(12, extrapolation="NOTHING")


def strips_that_meet() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    first = push_down(1)
    second = bpy.context.scene.animation_data.nla_tracks[0].strips.new("Second", 11, first.action)
    compat.assign_action(second, first.action)
    second.frame_end = 16.0


def track_muted() -> None:
    two_tracks()
    bpy.context.scene.animation_data.nla_tracks[-1].mute = True


def track_solo() -> None:
    two_tracks()
    bpy.context.scene.animation_data.nla_tracks[0].is_solo = True


def action_above_tracks() -> None:
    key({1: 0.1, 31: 0.9}, "LINEAR")
    push_down(1)
    key({10: 0.6, 20: 0.2}, "LINEAR")


def nothing() -> None:
    bpy.context.scene.codetalker.style_mix = 0.35


ANIMATIONS = [
    plain, steps, endless, beyond_the_limits, muted, strip_scaled, strip_repeated, strip_reversed, strip_part,
    strip_within_its_frames, two_tracks, strips_that_meet, track_muted, track_solo, action_above_tracks,
    nothing,
]  # fmt: skip


@pytest.mark.parametrize("animate", ANIMATIONS, ids=lambda animate: animate.__name__)
def test_the_mix_is_what_blender_shows(blender: None, animate: Callable[[], None]) -> None:
    animate()
    scene = bpy.context.scene
    frames = np.arange(-2.95, 45.0, 0.7)  # where nothing begins or ends
    scene.frame_set(7)
    before = scenes.dump()
    found, note = styles.mix_at(scene, frames)
    assert scenes.dump() == before, "reading the curve has changed the scene"
    assert not note
    np.testing.assert_allclose(found, shown(frames), atol=1e-5)
    assert np.ptp(found) > 0.3 or animate in (muted, nothing)


def driven() -> None:
    bpy.context.scene.codetalker.driver_add("style_mix").driver.expression = "0.75"


def strip_blending() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    push_down(4, blend_type="ADD")


def strip_fading() -> None:
    key({1: 0.1, 11: 0.9}, "LINEAR")
    push_down(4, use_auto_blend=False, blend_in=3.0)


@pytest.mark.parametrize(
    ("animate", "names"), [(driven, "a driver"), (strip_blending, "'Strip'"), (strip_fading, "'Strip'")]
)
def test_what_cannot_be_followed_holds_its_value_and_says_so(
    blender: None, animate: Callable[[], None], names: str
) -> None:
    animate()
    scene = bpy.context.scene
    scene.frame_set(9)
    found, note = styles.mix_at(scene, np.arange(0.0, 30.0))
    assert names in note and f"{scene.codetalker.style_mix:.2f}" in note
    assert np.ptp(found) == 0.0 and found[0] == pytest.approx(scene.codetalker.style_mix)


# -- rows of a request -----------------------------------------------------------------------------


@pytest.mark.parametrize(("fps", "base", "start"), [(24, 1.0, 1), (30, 1.001, -12), (60, 1.0, 100)])
def test_rows_follow_the_curve_at_the_models_own_rate(
    settings: Any, fps: int, base: float, start: int
) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, base
    rate = fps / base
    key({start: 0.0, start + 2.0 * rate: 1.0}, "LINEAR")  # within two seconds
    scene.frame_set(start)
    style = generation.prepare(bpy.context).request.style
    seconds = np.arange(len(style)) / 30.0  # the model's rate
    np.testing.assert_allclose(style[:, 2], np.minimum(seconds / 2.0, 1.0), atol=1e-4)
    np.testing.assert_allclose(style.sum(axis=1), 1.0, atol=1e-6)
    assert len(style) in (61, 62)  # no more than the curve needs: the last row holds on


def test_rows_of_what_does_not_move_are_one(settings: Any) -> None:
    for mix, expected in ((0.0, [1, 0, 0]), (1.0, [0, 0, 1]), (0.25, [0.75, 0, 0.25])):
        settings.style_mix = mix
        assert generation.prepare(bpy.context).request.style.tolist() == [expected]
    settings.style_b = "neutral"
    assert generation.prepare(bpy.context).request.style.tolist() == [[1, 0, 0]]


def test_the_note_reaches_the_animator(settings: Any) -> None:
    driven()
    prepared = generation.prepare(bpy.context)
    offsets = np.random.default_rng(0).normal(scale=0.005, size=(8, 42, 3)).astype(np.float32)
    motion = Motion(offsets, 24.0, np.zeros((8, 4), np.int32), 24.0)
    written = generation.write(prepared, generation.capture(prepared, motion))
    assert any("a driver" in warning for warning in written.warnings)


# -- what the model makes of it --------------------------------------------------------------------


def codes() -> NDArray[np.int32]:
    return jobs.run_blocking(generation.prepare(bpy.context), engine_settings())[0].codes


def test_the_style_changes_where_the_curve_does(settings: Any) -> None:
    """The small model looks back only, so what is still to come cannot change what was said."""
    bpy.context.scene.frame_set(1)
    first = codes()
    settings.style_mix = 1.0
    second = codes()
    settings.style_mix, settings.style = 0.0, "calm"
    np.testing.assert_array_equal(codes(), second)
    settings.style = "neutral"
    assert not np.array_equal(first, second)
    # 24 frames per second in the scene, 30 in the model: the scene's frame 9 is the model's 10
    key({1: 0.0, 9: 0.0, 9.01: 1.0}, "LINEAR")
    bpy.context.scene.frame_set(1)
    mixed = codes()
    np.testing.assert_array_equal(mixed[:11], first[:11])
    assert not np.array_equal(mixed[11:], first[11:])


# -- variation and seed ----------------------------------------------------------------------------


def test_variation_is_the_models_until_it_is_set(settings: Any, tiny_model: Path, tmp_path: Path) -> None:
    assert settings.variation == 0.0 and generation.prepare(bpy.context).request.temperature is None
    settings.variation = 0.5
    assert settings.variation == 0.5 and generation.prepare(bpy.context).request.temperature == 0.5
    settings.variation = 0.0
    assert generation.prepare(bpy.context).request.temperature == 0.0
    assert bpy.ops.codetalker.model_variation() == {"FINISHED"}
    assert generation.prepare(bpy.context).request.temperature is None
    settings.property_unset("model")
    shipped = next(choice for choice in models.choices(None) if choice.name == "default")
    assert shipped.card is not None and settings.variation == pytest.approx(shipped.card.temperature)


def test_a_new_seed_is_another_one(settings: Any) -> None:
    seen = set()
    for _ in range(4):
        assert bpy.ops.codetalker.new_seed() == {"FINISHED"}
        seen.add(settings.seed)
    assert len(seen) == 4 and min(seen) >= 0
    assert generation.prepare(bpy.context).request.seed == settings.seed


# -- the command line inside Blender ---------------------------------------------------------------


def test_styles_of_the_command_line(settings: Any, tiny_model: Path) -> None:
    card = models.card(tiny_model)
    for text, expected in (
        (None, [1, 0, 0]),
        ("lively", [0, 1, 0]),
        ("calm=0.75,neutral=0.25", [0.25, 0, 0.75]),
    ):
        clip._set_style(settings, card, text)
        assert generation.prepare(bpy.context).request.style.tolist() == [expected]
    with pytest.raises(UserError, match="blends 3 styles"):
        clip._set_style(settings, card, "neutral=0.25,lively=0.25,calm=0.5")
    with pytest.raises(UserError, match=r"add up to 0\.5"):
        clip._set_style(settings, card, "neutral=0.25,lively=0.25")
