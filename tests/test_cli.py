"""The command line as a user meets it: files in, files out, one line when something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender.cli import main
from codetalker_blender.contracts import Motion
from codetalker_blender.motion_files import read_motion

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "codetalker_blender"]
Capture = pytest.CaptureFixture[str]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def process(
    folder: Path, *arguments: str | Path, script: str | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; ``script`` stands in for the module."""
    command = COMMAND if script is None else [sys.executable, "-c", script]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def inside(capfd: Capture, *arguments: str | Path) -> tuple[int, str, str]:
    """The command in this process, which imports torch only once: exit code, stdout, stderr."""
    capfd.readouterr()
    code = main([str(argument) for argument in arguments])
    said = capfd.readouterr()
    return code, said.out, said.err


@pytest.fixture(autouse=True)
def in_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def speech(path: Path, duration_s: float = 1.0, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).standard_normal(round(16_000 * duration_s)) * 0.1
    soundfile.write(path, noise, 16_000)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the engine needs torch")
    from tests.engine.tiny import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- what works --------------------------------------------------------------------------------


def test_one_file_becomes_one_motion(tmp_path: Path, model: Path) -> None:
    speech(tmp_path / "señor 話.wav", 2.0)
    done = process(tmp_path, "generate", "señor 話.wav", "--model", model, "--output", "out.npz")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    motion = read_motion(tmp_path / "out.npz")
    assert motion.fps == motion.model_fps == 30
    assert abs(motion.frame_count - 60) <= 1 and len(motion.codes) == motion.frame_count
    assert motion.offsets.shape[1:] == (42, 3)
    assert motion.loudness.shape == (100,) and motion.loudness.max() > 0.01
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        assert (str(archive["model"]), str(archive["style"])) == ("tiny", "neutral")


@pytest.mark.parametrize("flavour", ["vocaset", "biwi", "streamable"])
def test_every_flavour_and_another_rate(tmp_path: Path, capfd: Capture, flavour: str) -> None:
    from tests.engine.tiny import tiny_bundle

    tiny_bundle(tmp_path / flavour, flavour)
    speech(tmp_path / "a.wav", 2.0)
    code, out, err = inside(
        capfd, "generate", "a.wav", "--model", f"./{flavour}", "--fps", "24", "--output", "a.npz"
    )
    assert (code, out, err) == (0, "", "")
    motion = read_motion(tmp_path / "a.npz")
    assert motion.fps == 24 and motion.model_fps == (25 if flavour == "biwi" else 30)
    assert abs(motion.frame_count / 24 - len(motion.codes) / motion.model_fps) <= 0.5 / 24 + 1e-9


def test_several_files_go_into_a_folder(tmp_path: Path, capfd: Capture, model: Path) -> None:
    speech(tmp_path / "a.wav")
    speech(tmp_path / "b.flac", 0.5)
    code, _, err = inside(
        capfd, "generate", "a.wav", "b.flac", "--model", model, "--output", "out", "--progress"
    )
    assert code == 0 and "[2/2] b.flac: codes" in err
    assert files(tmp_path / "out") == ["a.npz", "b.npz"]


def test_styles_mix_and_seeds_repeat(tmp_path: Path, capfd: Capture, model: Path) -> None:
    speech(tmp_path / "a.wav")

    def made(name: str, *options: str) -> Motion:
        code, _, err = inside(capfd, "generate", "a.wav", "--model", model, "--output", name, *options)
        assert code == 0, err
        return read_motion(tmp_path / name)

    calm = made("calm.npz", "--style", "calm").codes
    assert (made("neutral.npz").codes != calm).any()
    np.testing.assert_array_equal(made("mix.npz", "--style", "calm=1,neutral=0").codes, calm)
    with np.load(tmp_path / "mix.npz", allow_pickle=False) as archive:
        assert "calm" in str(archive["style"]) and "neutral" in str(archive["style"])
    drawn = made("1.npz", "--variation", "2", "--seed", "5").codes
    np.testing.assert_array_equal(made("2.npz", "--temperature", "2", "--seed", "5").codes, drawn)
    assert (made("3.npz", "--variation", "2", "--seed", "6").codes != drawn).any()


def test_check_tells_whether_it_can_run(tmp_path: Path, default_bundle: Path) -> None:
    done = process(tmp_path, "check", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok    Self-test: " in done.stdout and "ok    Device: cpu" in done.stdout
    assert str(Path.home()) not in done.stdout
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('gone', name='torch')")
    script = "import sys; from codetalker_blender.cli import main; sys.exit(main(sys.argv[1:]))"
    broken = process(tmp_path, "check", "--device", "mps", script=script)
    assert broken.returncode == 2 and len(broken.stderr.splitlines()) == 1
    assert "FAIL  " in broken.stdout


def test_help_needs_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = sys.modules['soundfile'] = None\n"
        "from codetalker_blender.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    for arguments in (["--help"], ["generate", "--help"], ["models"]):
        done = process(tmp_path, *arguments, script=script)
        assert done.returncode == 0 and done.stderr == "", done.stderr


# --- what is refused ---------------------------------------------------------------------------


def refused(folder: Path, capfd: Capture, *arguments: str | Path) -> str:
    before = files(folder)
    code, out, err = inside(capfd, *arguments)
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1 and err.endswith(".\n"), err
    assert files(folder) == before
    return err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "COMMAND"),
        (["make"], "make"),
        (["generate"], "AUDIO"),
        (["generate", "a.wav"], "--output"),
        (["generate", "a.wav", "--output", "o.npz", "--colour", "red"], "--colour"),
        (["generate", "a.wav", "--output", "o.npz", "--fps", "0"], "from 1 to 1000"),
        (["generate", "a.wav", "--output", "o.npz", "--fps", "1001"], "from 1 to 1000"),
        (["generate", "a.wav", "--output", "o.npz", "--fps", "1e300"], "from 1 to 1000"),
        (["generate", "a.wav", "--output", "o.npz", "--fps", "nan"], "not a number"),
        (["generate", "a.wav", "--output", "o.npz", "--temperature", "-1"], "0 or more"),
        (["generate", "a.wav", "--output", "o.npz", "--seed", "1.5"], "whole number"),
        (["generate", "a.wav", "--output", "o.npz", "--device", "tpu"], "tpu"),
        (["generate", "a.wav", "--output", "o.npz", "--model", "nosuch"], "'nosuch'"),
        (["generate", "a.wav", "b.wav", "--output", "o.npz"], "2 inputs"),
        (["generate", "a.wav", "sub/A.flac", "--output", "out"], "both be written"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path: Path, capfd: Capture, options: list[str], says: str) -> None:
    assert says in refused(tmp_path, capfd, *options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--style", "angry"], "It has: neutral, lively, calm"),
        (["--style", "neutral=0.5,angry=0.5"], "no style called 'angry'"),
        (["--style", "neutral=1.5,calm=0"], "'neutral=1.5' in the style"),
        (["--style", "neutral=0.5,calm"], "'calm' in the style"),
        (["--style", "neutral=half,calm=0.5"], "a weight from 0 to 1"),
        (["--style", "neutral=0.5,calm=0.25"], "add up to 0.75"),
    ],
)
def test_styles_that_are_not_there(
    tmp_path: Path, capfd: Capture, model: Path, options: list[str], says: str
) -> None:
    speech(tmp_path / "a.wav")
    assert says in refused(
        tmp_path, capfd, "generate", "a.wav", "--model", model, "--output", "out", *options
    )


def test_bad_sound_in_one_line(tmp_path: Path, capfd: Capture, model: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear reader")
    # The MP3 decoder writes lines of its own on stderr when it meets this.
    (tmp_path / "noise.mp3").write_bytes(b"ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00" + bytes(3_000))
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    for name in ("letter.wav", "noise.mp3", "folder.wav", "nan.wav", "absent.wav", "line\nbreak.wav"):
        text = refused(tmp_path, capfd, "generate", name, "--model", model, "--output", "out")
        assert name.split("\n")[0] in text


def test_a_bad_later_input_stops_before_the_first(tmp_path: Path, capfd: Capture, model: Path) -> None:
    speech(tmp_path / "good.wav")
    speech(tmp_path / "click.wav", 0.01)
    (tmp_path / "letter.wav").write_text("Dear reader")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    for name in ("absent.wav", "folder.wav", "empty.wav", "letter.wav", "none.wav", "click.wav"):
        text = refused(
            tmp_path, capfd, "generate", "good.wav", name, "--model", model, "--output", "out", "--progress"
        )
        assert name in text


def test_damage_inside_a_later_input_keeps_what_is_finished(
    tmp_path: Path, capfd: Capture, model: Path
) -> None:
    speech(tmp_path / "good.wav")
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    code, _, err = inside(capfd, "generate", "good.wav", "nan.wav", "--model", model, "--output", "out")
    assert code == 2 and "NaN" in err
    assert files(tmp_path / "out") == ["good.npz"]


def test_a_broken_model_in_one_line(tmp_path: Path, capfd: Capture) -> None:
    from tests.engine.tiny import tiny_bundle

    bundle = tiny_bundle(tmp_path / "broken")
    weights = bundle / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    speech(tmp_path / "a.wav")
    assert "bytes" in refused(tmp_path, capfd, "generate", "a.wav", "--model", "broken", "--output", "a.npz")


def test_outputs_that_cannot_be_written(tmp_path: Path, capfd: Capture, model: Path) -> None:
    speech(tmp_path / "a.wav")
    (tmp_path / "file").write_text("kept")
    for output in ("absent/o.npz", "absent/deeper/folder", "file/o.npz", "file/folder", "file"):
        text = refused(tmp_path, capfd, "generate", "a.wav", "--model", model, "--output", output)
        assert "cannot be" in text
    assert (tmp_path / "file").read_text() == "kept"


LONG = "a" * 300  # longer than any disk's names


@pytest.mark.parametrize(
    ("audio", "more"),
    [
        (f"{LONG}.wav", ["--output", "o.npz"]),
        (f"{LONG}/a.wav", ["--output", "o.npz"]),
        ("a.wav", ["--output", "o.npz", "--model", LONG]),
        ("a.wav", ["--output", f"{LONG}.npz"]),
        ("a.wav", ["--output", f"{LONG}/o.npz"]),
        ("a.wav", ["--output", LONG]),
    ],
)
def test_names_that_the_disk_refuses(
    tmp_path: Path, capfd: Capture, model: Path, audio: str, more: list[str]
) -> None:
    speech(tmp_path / "a.wav")
    model_too = more if "--model" in more else [*more, "--model", str(model)]
    text = refused(tmp_path, capfd, "generate", audio, *model_too)
    assert LONG in text and "too long" in text.lower()


def test_a_bug_shows_its_traceback(tmp_path: Path, model: Path) -> None:
    script = (
        "import sys\n"
        "from codetalker_blender import cli, street\n"
        "def broken(*a, **k): raise ZeroDivisionError('numbers')\n"
        "street.run_to_file = broken\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    speech(tmp_path / "a.wav")
    done = process(tmp_path, "generate", "a.wav", "--model", model, "--output", "o.npz", script=script)
    assert done.returncode == 3
    assert "Traceback" in done.stderr and "ZeroDivisionError: numbers" in done.stderr
    assert files(tmp_path) == ["a.wav"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_closes_its_pipe_is_no_bug(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "models"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_closed_streams_change_nothing(tmp_path: Path, model: Path) -> None:
    speech(tmp_path / "a.wav")

    def closed(redirection: str, *arguments: str) -> int:
        script = f'exec "$@" {redirection}'
        return subprocess.run(
            ["sh", "-c", script, "sh", *COMMAND, *arguments], cwd=tmp_path, env=ENVIRONMENT, check=False
        ).returncode

    assert closed("2>&-", "generate", "a.wav", "--model", str(model), "--output", "a.npz") == 0
    assert read_motion(tmp_path / "a.npz").frame_count == 30
    assert closed("2>&-", "generate", "absent.wav", "--model", str(model), "--output", "b.npz") == 2
    assert closed("0<&- 2>&-", "models") == 0
    assert closed(">&-", "models") == 0
    assert closed("0<&- >&- 2>&-", "models") == 0
    assert files(tmp_path) == ["a.npz", "a.wav"]


# --- what is cancelled -------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_nothing_half_written(tmp_path: Path, model: Path, number: signal.Signals) -> None:
    speech(tmp_path / "long.wav", 900.0)
    running = subprocess.Popen(
        [*COMMAND, "generate", "long.wav", "--model", model, "--output", "out", "--progress"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if "speech" in line:  # now the long loop over the codes begins
            break
    time.sleep(0.2)
    running.send_signal(number)
    rest = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 130
    assert rest.splitlines() == ["Cancelled."]
    assert files(tmp_path) == ["long.wav"]
