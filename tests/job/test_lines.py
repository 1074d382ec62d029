"""Messages cross the pipe unchanged; anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import AudioSource, EngineFacts, GenerateRequest, Motion
from codetalker_blender.job import job_files, messages
from codetalker_blender.job.lines import VERSION, decode, encode
from codetalker_blender.job.messages import ProtocolError
from codetalker_blender.motion_files import write_motion


def request(data: bytes | None = None) -> GenerateRequest:
    style = np.array([[0.25, 0.75], [0.1, 0.9]], np.float32)
    audio = AudioSource(Path("/somewhere/Señor 話.wav"), data, 1.25, 3.5)
    return GenerateRequest(
        audio, Path("/models/default"), style, "cpu", 23.976, 0.2, 7, Path("/user/shapes"), False
    )


@pytest.mark.parametrize("data", [None, b"RIFF\x00\xff\n packed"])
def test_a_request_arrives_as_it_was_sent(tmp_path: Path, data: bytes | None) -> None:
    sent = request(data)
    line = encode(messages.Generate(sent), tmp_path)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    arrived = decode(line, tmp_path)
    assert isinstance(arrived, messages.Generate)
    got = arrived.request
    assert got.audio == sent.audio and got.model == sent.model
    assert (got.device, got.fps, got.temperature, got.seed) == ("cpu", 23.976, 0.2, 7)
    assert got.shapes == sent.shapes and got.needs_shapes == sent.needs_shapes
    np.testing.assert_array_equal(got.style, sent.style)
    assert not list(tmp_path.iterdir())  # what travelled by file is gone


def test_absent_options_stay_absent_and_paths_become_absolute(tmp_path: Path) -> None:
    sent = GenerateRequest(AudioSource(Path("a.wav")), Path("models/m"), np.ones((1, 1), np.float32))
    arrived = decode(encode(messages.Generate(sent), tmp_path), tmp_path)
    assert isinstance(arrived, messages.Generate)
    got = arrived.request
    assert (got.fps, got.temperature, got.audio.duration_s, got.audio.data) == (None, None, None, None)
    assert got.shapes is None
    assert got.audio.path == Path("a.wav").absolute() and got.model == Path("models/m").absolute()


def test_a_result_arrives_with_its_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    motion = Motion(
        rng.standard_normal((5, 9, 3)).astype(np.float32),
        24.0,
        np.arange(12, dtype=np.int32).reshape(3, 4),
        30.0,
    )
    report = messages.Report({"audio": 0.5, "codes": 2.0}, "cpu", 5, ("The device 'cuda' failed.",))
    path = job_files.result_file(tmp_path)
    write_motion(path, motion)
    arrived = decode(encode(messages.Written(path, report), tmp_path), tmp_path)
    assert isinstance(arrived, messages.Written)
    done = job_files.take_result(arrived)
    np.testing.assert_array_equal(done.motion.offsets, motion.offsets)
    np.testing.assert_array_equal(done.motion.codes, motion.codes)
    assert (done.motion.fps, done.motion.model_fps, done.report) == (24.0, 30.0, report)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [True, False])
def test_whether_frames_are_wanted_arrives(tmp_path: Path, frames: bool) -> None:
    arrived = decode(encode(messages.Generate(request(), frames), tmp_path), tmp_path)
    assert isinstance(arrived, messages.Generate) and arrived.frames is frames


def test_frames_arrive_and_their_file_goes(tmp_path: Path) -> None:
    offsets = np.random.default_rng(0).standard_normal((5, 9, 3)).astype(np.float32)
    sent = job_files.write_frames(tmp_path, 12, offsets)
    arrived = decode(encode(sent, tmp_path), tmp_path)
    assert arrived == sent and sent.start == 12
    np.testing.assert_array_equal(job_files.take_frames(sent), offsets)
    assert not list(tmp_path.iterdir())
    wrong = job_files.write_frames(tmp_path, 0, offsets[0])
    with pytest.raises(ProtocolError, match="no offsets"):
        job_files.take_frames(wrong)


def test_a_result_that_is_no_motion_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    with pytest.raises(ProtocolError, match="broken"):
        job_files.take_result(messages.Written(tmp_path / "broken.npz", messages.Report()))


@pytest.mark.parametrize(
    "message",
    [
        messages.Ready("3.11.7"),
        messages.Cancel(),
        messages.Check("cuda"),
        messages.Checked(EngineFacts("3.11.7", {"torch": "2.13.0+cpu"}, "cuda", "A card", "CUDA 13.0")),
        messages.Cancelled(),
        messages.Progress("codes", 3, 300),
        messages.Failed('Grün "quoted"\nnext', "hint", "AudioError", "Traceback\n  line\u2028"),
        messages.Failed("name with a lone \udcff byte"),
    ],
)
def test_the_small_ones(tmp_path: Path, message: messages.Message) -> None:
    line = encode(message, tmp_path)
    assert line.count(b"\n") == 1
    assert decode(line, tmp_path) == message


def line(**values: object) -> bytes:
    return json.dumps({"codetalker": VERSION, **values}).encode() + b"\n"


@pytest.mark.parametrize(
    "bad",
    [
        b"Loading weights: 100%\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"codetalker": 999, "type": "Cancel"}\n',
        line(type="Run"),
        line(type=None),
        line(type=["Cancel"]),
        line(type="Cancel", now=True),
        line(type="Progress", stage="codes", done=1),
        line(type="Progress", stage="codes", done="1", total=2),
        line(type="Progress", stage="codes", done=True, total=2),
        line(type="Frames", start=0, file="absent.npz"),
        line(type="Frames", start=0, file="../secret.npz"),
        line(type="Frames", start="0", file="there.npz"),
        line(type="Written", file="absent.npz", seconds={}, device="cpu", frames=1, notes=[]),
        line(type="Written", file="../secret.npz", seconds={}, device="cpu", frames=1, notes=[]),
        line(type="Written", file="there.npz", seconds={}, device="cpu", frames=1, notes=[1]),
        line(type="Written", file="there.npz", seconds={"codes": "1"}, device="cpu", frames=1, notes=[]),
        line(type="Written", file="there.npz", seconds={}, device="cpu", frames=1),
    ],
)
def test_what_is_no_message_is_refused(tmp_path: Path, bad: bytes) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "secret.npz").write_bytes(b"outside")
    (folder / "there.npz").write_bytes(b"inside")
    with pytest.raises(ProtocolError):
        decode(bad, folder)
    assert (tmp_path / "secret.npz").exists()
