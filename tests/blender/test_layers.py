"""Layers: off they are nowhere, on they show with every output, and off again they leave nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.interchange import shape_weights
from codetalker_blender.blender.retargeting import existing, tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome, outcome_of
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import LOUDNESS_HZ, FloatArray, Motion, ShapeWeights
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.model_files import ModelCard
from tests.blender import scenes, speaking

START, FPS, SECONDS = 5, 24.0, 6
FRAMES = int(SECONDS * FPS)
#: From the demo head's axes to those of the mesh below, but for its scale.
TURN, MIRROR, SCALE = [1, 0, 2], np.array([-1, 1, 1], np.float32), 2.0
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
OUTPUTS = ("PER_FRAME", "COMPACT", "EXISTING")


@cache
def loudness() -> FloatArray:
    """Two phrases, and pauses from 2 s to 3 s and from 5 s on."""
    times = np.arange(SECONDS * LOUDNESS_HZ) / LOUDNESS_HZ
    speaks = (times < 2) | ((times >= 3) & (times < 5))
    return np.where(speaks, 0.1, 0.0).astype(np.float32)


@cache
def take() -> bytes:
    """The jaw goes up and down, and nothing else moves."""
    values = (0.3 - 0.3 * np.cos(np.arange(FRAMES) * 0.6)).astype(np.float32)
    offsets = demo_head_shapes().motion(ShapeWeights(("jawOpen",), values[:, None], FPS))
    motion = Motion(offsets, FPS, np.zeros((1, 1), np.int32), FPS, loudness())
    card = ModelCard(1, "demo", "", "CC0-1.0", FPS, 1.0, "Z", ("neutral",), 0.0, {}, {}, {}, {})
    return takes.capture(motion, demo_head_face(), card)


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    """The demo head's mesh, larger and turned, without keys."""
    face = demo_head_face()
    vertices = (SCALE * face.vertices[:, TURN] * MIRROR).astype(np.float32)
    obj = scenes.add_mesh("Head", vertices, face.triangles)
    bpy.context.scene.codetalker.target = obj
    return obj


def add_shape_keys(obj: bpy.types.Object, prefix: str = "") -> None:
    """ARKit's shapes as keys of the mesh above."""
    shapes = demo_head_shapes()
    rest = np.empty((len(obj.data.vertices), 3), np.float32)
    obj.data.vertices.foreach_get("co", rest.ravel())
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, offsets in zip(shapes.names, shapes.offsets, strict=True):
        block = obj.shape_key_add(name=f"{prefix}{name}", from_mix=False)
        moved = rest + SCALE * offsets[:, TURN] * MIRROR
        block.points.foreach_set("co", moved.astype(np.float32).ravel())
        block.value = 0.0


def speak(obj: bpy.types.Object, output: str = "PER_FRAME", packed: bytes | None = None) -> Outcome:
    obj.codetalker.output = output
    if output == "EXISTING":
        add_shape_keys(obj)
    return tuning.write(obj, takes.Placed(packed or take(), START))


def shown(obj: bpy.types.Object) -> FloatArray:
    """(T, V, 3) what is seen in every frame."""
    return np.stack([scenes.evaluated(obj, START + frame) for frame in range(FRAMES)])


def closure(change: FloatArray) -> FloatArray:
    """(T,) how far the lids are shut by a change of what is seen."""
    shapes = demo_head_shapes().chosen(BLINKS)
    lids = (SCALE * shapes.offsets[:, :, TURN] * MIRROR).sum(axis=0)
    return np.asarray(np.einsum("tvc,vc->t", change, lids) / (lids**2).sum(), np.float32)


@pytest.mark.parametrize("output", OUTPUTS)
def test_blinks_show_and_nothing_else_changes(head: bpy.types.Object, output: str) -> None:
    speak(head, output)
    before = shown(head)
    head.codetalker.layers.blink_rate = 40.0
    head.codetalker.layers.use_blinks = True
    change = shown(head) - before
    shut = closure(change)
    assert shut.max() == pytest.approx(1.0, abs=0.02) and shut.min() > -0.02
    starts = np.flatnonzero((shut[1:] > 0.5) & (shut[:-1] <= 0.5))
    assert 2 <= len(starts) <= 7
    assert np.abs(change[shut < 0.001]).max() < 1e-4
    lips = demo_head_face().regions["lips"]
    assert np.abs(change[:, lips]).max() < 1e-4
    for end in (0, -1):
        assert abs(shut[end]) < 0.001
    around = (START - 5, START + FRAMES + 5)
    assert all(np.abs(closure(scenes.evaluated(head, f)[None] - before[:1])) < 0.001 for f in around)


@pytest.mark.parametrize("output", OUTPUTS)
def test_off_again_is_as_if_never_on(head: bpy.types.Object, output: str) -> None:
    speak(head, output)
    layers = head.codetalker.layers
    layers.use_blinks = layers.use_gaze = False  # from now on the file holds these settings
    before = scenes.dump()
    layers.use_blinks = layers.use_gaze = True
    assert scenes.differences(before, scenes.dump())
    layers.use_blinks = layers.use_gaze = False
    assert scenes.differences(before, scenes.dump()) == []


@pytest.mark.parametrize("output", OUTPUTS)
def test_remove_takes_layers_along(head: bpy.types.Object, output: str) -> None:
    head.codetalker.output = output
    if output == "EXISTING":
        add_shape_keys(head)
        head.data.shape_keys.key_blocks["eyeBlinkLeft"].value = 0.25
    head.codetalker.layers.use_blinks = head.codetalker.layers.use_gaze = True
    before = scenes.dump()
    tuning.write(head, takes.Placed(take(), START))
    assert scenes.differences(before, scenes.dump())
    tuning.remove(head)
    assert scenes.differences(before, scenes.dump()) == []


def test_compact_layers_are_keys_of_their_own(head: bpy.types.Object) -> None:
    plain = speak(head, "COMPACT")
    layers = head.codetalker.layers
    layers.use_blinks = True
    blocks = head.data.shape_keys.key_blocks
    assert [block.name for block in blocks][1:4] == [
        *(f"CodeTalker {name}" for name in BLINKS),
        "CodeTalker 0001",
    ]
    outcome = outcome_of(head)
    assert outcome is not None and outcome.key_count == plain.key_count + 2
    assert outcome.error_mm == plain.error_mm
    blocks["CodeTalker eyeBlinkLeft"].mute = True
    layers.blink_seed = 3
    head.codetalker.max_error_mm = 0.001
    assert blocks["CodeTalker eyeBlinkLeft"].mute and not blocks["CodeTalker eyeBlinkRight"].mute
    layers.use_gaze = True
    assert len([name for name in blocks.keys() if "eyeLook" in name]) == 8  # noqa: SIM118 - the names
    layers.blink_rate = 22.0
    before = scenes.dump()
    layers.blink_rate = 30.0
    layers.blink_rate = 22.0
    assert scenes.differences(before, scenes.dump()) == []


def test_a_blink_follows_the_end_of_a_phrase(head: bpy.types.Object) -> None:
    """The pause from 2 s to 3 s has a blink for more seeds than 22 a minute would give it."""
    speak(head)
    head.codetalker.layers.use_blinks = True
    hits = 0
    for seed in range(12):
        head.codetalker.layers.blink_seed = seed
        shut = closure(shown_between(head, 2.0, 3.0) - shown_between(head, 2.0, 3.0, rest=True))
        hits += bool(shut.max() > 0.5)
    assert hits >= 6


def shown_between(obj: bpy.types.Object, first_s: float, last_s: float, rest: bool = False) -> FloatArray:
    frames = range(round(first_s * FPS), round(last_s * FPS))
    if rest:
        values = np.empty((len(obj.data.vertices), 3), np.float32)
        obj.data.shape_keys.reference_key.points.foreach_get("co", values.ravel())
        return np.stack([values for _ in frames])
    return np.stack([scenes.evaluated(obj, START + frame) for frame in frames])


def test_keys_of_another_mesh_blink_by_name(blender: None) -> None:
    """Visemes have no blink; the mesh's own blink keys follow, and go back to what they were."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    faces = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    obj = scenes.add_mesh("Cube", corners, faces)
    bpy.context.scene.codetalker.target = obj
    obj.shape_key_add(name="Basis", from_mix=False)
    for name in ("viseme_aa", "viseme_PP", "eyeBlink_L", "eyeBlink_R"):
        obj.shape_key_add(name=name, from_mix=False).value = 0.0
    blocks = obj.data.shape_keys.key_blocks
    blocks["eyeBlink_L"].value = 0.1
    obj.codetalker.mapping.shape_set, obj.codetalker.output = "VISEMES", "EXISTING"
    tuning.write(obj, takes.Placed(take(), START))
    assert values_of(obj, "eyeBlink_L").max() == pytest.approx(0.1)
    obj.codetalker.layers.blink_rate = 40.0
    obj.codetalker.layers.use_blinks = True
    for name in ("eyeBlink_L", "eyeBlink_R"):
        found = values_of(obj, name)
        assert found.max() > 0.95 and found.min() >= -1e-6
    obj.codetalker.layers.use_blinks = False
    assert values_of(obj, "eyeBlink_L").max() == pytest.approx(0.1)


def test_a_shape_that_is_switched_off_stays_off(head: bpy.types.Object) -> None:
    speak(head, "EXISTING")
    assert bpy.ops.codetalker.auto_map() == {"FINISHED"}
    head.codetalker.mapping.controls["eyeBlinkLeft"].enabled = False
    head.codetalker.layers.use_blinks = True
    assert values_of(head, "eyeBlinkLeft").max() == 0.0
    assert values_of(head, "eyeBlinkRight").max() > 0.9


def values_of(obj: bpy.types.Object, name: str) -> FloatArray:
    found = []
    for frame in range(FRAMES):
        bpy.context.scene.frame_set(START + frame)
        instance = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
        found.append(instance.data.shape_keys.key_blocks[name].value)
    return np.array(found, np.float32)


def test_another_models_face_says_that_it_has_no_shapes(obj: bpy.types.Object) -> None:
    motion = speaking.made_motion()
    obj.codetalker.layers.use_blinks = True
    outcome = speaking.speak(obj, motion)
    speaking.assert_shows(obj, motion)
    assert outcome.warning is not None and "no shapes of this model's face" in outcome.warning
    obj.codetalker.layers.use_blinks = False
    assert outcome_of(obj).warning is None


def test_a_take_keeps_the_loudness_in_little_room() -> None:
    kept = takes.unpack(take()).loudness
    assert np.abs(20 * np.log10(np.maximum(kept, 1e-5) / np.maximum(loudness(), 1e-5))).max() <= 0.26
    longest = np.random.default_rng(0).uniform(0, 1, 3600 * 50).astype(np.float32)
    assert len(takes.pack(with_loudness(longest))) - len(takes.pack(with_loudness(longest[:0]))) < 180_000


def test_a_take_without_loudness_blinks_too(head: bpy.types.Object) -> None:
    speak(head, packed=takes.pack(with_loudness(np.zeros(0, np.float32))))
    head.codetalker.layers.blink_rate = 40.0
    before = shown(head)
    head.codetalker.layers.use_blinks = True
    assert closure(shown(head) - before).max() > 0.95


def with_loudness(values: FloatArray) -> takes.Take:
    kept = takes.unpack(take())
    return takes.Take(kept.basis, kept.regions, kept.template, kept.fps, values)


def test_a_run_keeps_how_loud_its_sound_was(obj: bpy.types.Object, settings: bpy.types.bpy_struct) -> None:
    """0.8 s of a buzz that swells five times a second."""
    assert bpy.ops.codetalker.generate() == {"FINISHED"}
    placed = takes.stored(obj.data.shape_keys)
    assert placed is not None
    times = (np.arange(40) + 0.5) / LOUDNESS_HZ
    expected = 0.3 * np.sin(2 * np.pi * 2.5 * times) ** 2 / np.sqrt(2)
    np.testing.assert_allclose(takes.unpack(placed.packed).loudness, expected, atol=0.02)


def test_weights_for_other_programs_blink_too(head: bpy.types.Object) -> None:
    speak(head)
    head.codetalker.layers.use_blinks = True
    shut = closure(shown(head) - shown(head)[:1])
    scene = bpy.context.scene
    exported = shape_weights.shown(head, scene, "ARKIT")
    np.testing.assert_allclose(exported.of("eyeBlinkLeft"), shut, atol=0.03)
    assert "eyeBlinkLeft" not in shape_weights.shown(head, scene, "VISEMES").names


def test_what_only_layers_change_solves_nothing_anew(head: bpy.types.Object) -> None:
    """The solver is asked once for a motion, and again when a slider changes it."""
    speak(head, "EXISTING")
    asked = existing._solved.cache_info().misses
    layers = head.codetalker.layers
    layers.use_blinks = layers.use_gaze = True
    layers.blink_seed = 5
    assert existing._solved.cache_info().misses == asked
    before = values_of(head, "jawOpen")
    head.codetalker.strength_jaw = 0.5
    assert existing._solved.cache_info().misses == asked + 1
    assert np.abs(values_of(head, "jawOpen") - before).max() > 0.05
