"""The whole street: the same motion in memory and in a file, whole or nothing, at any rate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender import street
from codetalker_blender.contracts import AudioSource, GenerateRequest
from codetalker_blender.errors import Cancelled, EngineError, OutputError
from codetalker_blender.face.curves import resample_offsets
from codetalker_blender.motion_files import read_motion, write_motion

pytest.importorskip("torch", reason="the engine needs torch")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of each flavour."""
    from tests.engine.tiny import FLAVOURS, tiny_bundle

    folder = tmp_path_factory.mktemp("models")
    for flavour in FLAVOURS:
        tiny_bundle(folder / flavour, flavour)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).standard_normal(16_000 * 5) * 0.1, 16_000)
    return path


def request(model: Path, sound: Path, fps: float | None = None) -> GenerateRequest:
    style = np.array([[1, 0, 0]], np.float32)
    return GenerateRequest(AudioSource(sound), model, style, device="cpu", fps=fps)


@pytest.mark.parametrize("flavour", ["vocaset", "biwi", "streamable"])
@pytest.mark.parametrize("fps", [None, 24.0, 29.97, 60.0])
def test_the_file_holds_what_the_engine_makes_at_the_wanted_rate(
    models: Path, sound: Path, tmp_path: Path, flavour: str, fps: float | None
) -> None:
    from codetalker_blender.engine.audio import read_waveform
    from codetalker_blender.engine.generate import generate

    wanted = request(models / flavour, sound, fps)
    cache = street.ModelCache()
    outcome = street.run_to_file(wanted, tmp_path / "a.npz", cache=cache, model="m", style="s")
    motion = read_motion(tmp_path / "a.npz")
    direct = generate(cache.load(wanted.model), read_waveform(wanted.audio), wanted.style, device="cpu")
    np.testing.assert_array_equal(motion.codes, direct.codes)
    expected = resample_offsets(direct.offsets, direct.fps, fps or direct.fps)
    np.testing.assert_allclose(motion.offsets, expected, atol=1e-7)
    assert (motion.fps, motion.model_fps) == (fps or direct.fps, direct.fps)
    assert (outcome.frame_count, outcome.device, outcome.notes) == (len(expected), "cpu", ())

    in_memory = street.run(wanted, cache=cache)
    write_motion(tmp_path / "b.npz", in_memory, "m", "s")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


def test_every_stage_ends_and_frames_are_counted_as_they_are_stored(
    models: Path, sound: Path, tmp_path: Path
) -> None:
    said: list[tuple[str, int, int]] = []
    outcome = street.run_to_file(
        request(models / "streamable", sound, 25.0),
        tmp_path / "a.npz",
        lambda stage, done, total: said.append((stage, done, total)),
    )
    last = {stage: (done, total) for stage, done, total in said}
    assert list(last)[:3] == ["audio", "libraries", "model"]
    assert {"speech", "codes", "motion", "frames"} <= set(last)
    assert all(done == total for done, total in last.values())
    counts = [done for stage, done, _ in said if stage == "frames"]
    assert counts == sorted(set(counts)) and last["frames"] == (outcome.frame_count,) * 2
    assert len(counts) > 1  # written while the codes were being chosen
    assert [stage for stage, _, _ in said].index("frames") < len(said) - 1 - len(counts)


@pytest.mark.parametrize("stage", ["audio", "speech", "codes", "frames"])
def test_cancelled_at_any_stage_there_is_no_file(
    models: Path, sound: Path, tmp_path: Path, stage: str
) -> None:
    reached: list[str] = []
    with pytest.raises(Cancelled):
        street.run_to_file(
            request(models / "vocaset", sound, 60.0),
            tmp_path / "a.npz",
            lambda name, done, total: reached.append(name),
            lambda: stage in reached,
        )
    assert reached[-1] == stage
    assert not list(tmp_path.iterdir())


def test_places_and_sizes_that_cannot_be_written_are_refused_before_the_codes(
    models: Path, sound: Path, tmp_path: Path
) -> None:
    for path, fps, says in (
        (tmp_path / "absent" / "a.npz", None, "folder is missing"),
        (tmp_path / "a.npz", 1e12, "GB are free"),
    ):
        reached: set[str] = set()

        def note(stage: str, done: int, total: int, reached: set[str] = reached) -> None:
            reached.add(stage)

        with pytest.raises(OutputError, match=says):
            street.run_to_file(request(models / "streamable", sound, fps), path, note)
        assert reached == {"audio", "libraries", "model"}
    assert not list(tmp_path.iterdir())


def test_more_frames_than_the_memory_holds_is_no_fault_of_the_device(models: Path, sound: Path) -> None:
    with pytest.raises(EngineError, match="frames per second") as caught:
        street.run(request(models / "streamable", sound, 1e15))
    assert "device" not in str(caught.value) and "1e+15" in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux does")
def test_memory_does_not_grow_with_the_motion(sound: Path, tmp_path: Path) -> None:
    """40 times the frames, 300 MB of them, in the memory of a short run."""
    from tests.engine.tiny import grid_face, tiny_bundle

    model = tiny_bundle(tmp_path / "model", face=grid_face(70, 60))
    script = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from codetalker_blender import street\n"
        "from codetalker_blender.contracts import AudioSource, GenerateRequest\n"
        "model, sound, out = map(Path, sys.argv[1:])\n"
        "def peak(fps):\n"
        "    style = np.eye(3, dtype=np.float32)[:1]\n"
        "    request = GenerateRequest(AudioSource(sound), model, style, 'cpu', fps)\n"
        "    street.run_to_file(request, out, cache=cache)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "cache = street.ModelCache()\n"
        "before = peak(30.0)\n"
        "print(peak(1_200.0) - before, out.stat().st_size)\n"
    )
    arguments = [str(model), str(sound), str(tmp_path / "long.npz")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    growth, size = map(int, done.stdout.split())
    assert size > 300_000_000 and growth < 100_000_000, (growth, size)
