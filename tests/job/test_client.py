"""Jobs with a real model, in a real worker process and inside: results, cancelling, crashes, no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender import array_files
from codetalker_blender.contracts import AudioSource, FloatArray, GenerateRequest, Motion
from codetalker_blender.errors import AudioError, Cancelled, EngineError
from codetalker_blender.job import messages
from codetalker_blender.job.client import JobClient
from codetalker_blender.job.failures import JobError, error_of
from codetalker_blender.job.process import worker_environment
from tests.job.waiting import WAIT_S, gone, request, until_final, until_stage, worker_pid

pytest.importorskip("torch", reason="the engine needs torch")

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def test_both_modes_give_the_same_motion(jobs: Path, model: Path, sounds: Path) -> None:
    motions: list[Motion] = []
    for mode in ("worker", "inside"):
        client = JobClient(mode)
        try:
            client.start(request(model, sounds / "short.wav", fps=24.0))
            with pytest.raises(RuntimeError):
                client.start(request(model, sounds / "short.wav"))
            said = until_final(client)
            done = said[-1]
            assert isinstance(done, messages.Done), done
            assert all(isinstance(message, messages.Progress) for message in said[:-1])
            last = {message.stage: message for message in said if isinstance(message, messages.Progress)}
            assert all(message.done == message.total for message in last.values()) and "frames" in last
            assert done.report.device == "cpu" and done.report.frames == done.motion.frame_count == 24
            assert {"audio", "libraries", "model", "speech", "codes", "frames"} <= set(done.report.seconds)
            motions.append(done.motion)
            # The next job uses the same host.
            again = client.run_blocking(request(model, sounds / "short.wav", fps=24.0))
            np.testing.assert_array_equal(again.codes, done.motion.codes)
        finally:
            client.close()
    np.testing.assert_array_equal(motions[0].codes, motions[1].codes)
    np.testing.assert_allclose(motions[0].offsets, motions[1].offsets, atol=1e-7)


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_long_motion_arrives_as_a_window_on_its_file(
    jobs: Path, model: Path, sounds: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = JobClient(mode)
    try:
        plain = client.run_blocking(request(model, sounds / "short.wav"))
        monkeypatch.setattr(array_files, "MAPPED_ABOVE_BYTES", 1000)
        mapped = client.run_blocking(request(model, sounds / "short.wav"))
    finally:
        client.close()  # the job's folder is gone, and the motion is not
    assert isinstance(mapped.offsets, np.memmap) and not isinstance(plain.offsets, np.memmap)
    np.testing.assert_array_equal(mapped.offsets, plain.offsets)
    np.testing.assert_array_equal(mapped.codes, plain.codes)


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_frames_that_come_early_are_those_of_the_motion(
    jobs: Path, model: Path, sounds: Path, mode: str
) -> None:
    chunks: list[tuple[int, FloatArray]] = []
    client = JobClient(mode)
    try:
        client.start(request(model, sounds / "medium.wav", fps=24.0), lambda *chunk: chunks.append(chunk))
        until_stage(client, "frames")
        assert chunks, "frames are said to be ready, and none has come"
        done = until_final(client)[-1]
        assert isinstance(done, messages.Done)
        # The next job asks for none.
        count = len(chunks)
        client.run_blocking(request(model, sounds / "short.wav"))
        assert len(chunks) == count > 2
    finally:
        client.close()
    assert [first for first, _ in chunks] == list(np.cumsum([0, *(len(part) for _, part in chunks)])[:-1])
    np.testing.assert_array_equal(np.concatenate([part for _, part in chunks]), done.motion.offsets)


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_a_job_goes_on_without_whoever_watches_it(jobs: Path, model: Path, sounds: Path, mode: str) -> None:
    asked = []

    def broken(first: int, offsets: FloatArray) -> None:
        asked.append(first)
        raise ValueError("no screen")

    client = JobClient(mode)
    try:
        client.start(request(model, sounds / "medium.wav"), broken)
        assert isinstance(until_final(client)[-1], messages.Done)
    finally:
        client.close()
    assert asked == [0]


@posix
def test_too_little_memory_is_a_sentence(jobs: Path, model: Path, sounds: Path, tmp_path: Path) -> None:
    """Workers that may have less than torch needs, and one whose memory ends somewhere inside the engine."""
    cases: list[tuple[Path | None, list[Path]]] = [(None, [tmp_path])]
    for kilobytes in (200_000, 300_000):
        poor = tmp_path / f"python-{kilobytes}"
        poor.write_text(f'#!/bin/sh\nulimit -v {kilobytes}\nexec "{sys.executable}" "$@"\n')
        poor.chmod(0o755)
        cases.append((poor, []))
    (tmp_path / "sitecustomize.py").write_text(
        "from codetalker_blender import street\n"
        "def full(*_): raise MemoryError\n"
        "street.resample_chunks = full\n"
    )
    for python, paths in cases:
        client = JobClient("worker", python=python, extra_paths=paths)
        try:
            with pytest.raises(EngineError, match="memory") as caught:
                client.run_blocking(request(model, sounds / "short.wav"))
            assert caught.value.hint and "Internal" not in str(caught.value)
        finally:
            client.close()


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_errors_arrive_as_they_were_raised_and_the_host_goes_on(
    jobs: Path, model: Path, sounds: Path, tmp_path: Path, mode: str
) -> None:
    client = JobClient(mode)
    try:
        with pytest.raises(AudioError, match=r"absent\.wav' does not exist"):
            client.run_blocking(request(model, tmp_path / "absent.wav"))
        packed = AudioSource(Path("packed.wav"), (sounds / "short.wav").read_bytes())
        style = np.array([[0.0, 0.5, 0.5]], np.float32)
        assert client.run_blocking(GenerateRequest(packed, model, style, "cpu")).frame_count > 20
        with pytest.raises(JobError) as bug:  # a rate that no caller lets through
            client.run_blocking(request(model, sounds / "short.wav", fps=-1.0))
        assert "Traceback" in bug.value.traceback and "frame rate" in str(bug.value)
    finally:
        client.close()


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_cancelling_in_the_middle(jobs: Path, model: Path, sounds: Path, mode: str) -> None:
    client = JobClient(mode)
    try:
        client.start(request(model, sounds / "long.wav"))
        until_stage(client, "speech")
        client.cancel()
        assert until_final(client)[-1] == messages.Cancelled()
        # A later job is not disturbed by the old cancel.
        assert client.run_blocking(request(model, sounds / "short.wav")).frame_count == 30
        asked = iter([False] * 3 + [True] * 10_000)
        with pytest.raises(Cancelled):
            client.run_blocking(request(model, sounds / "long.wav"), cancelled=lambda: next(asked))
        assert client.poll() == []
    finally:
        client.close()


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_closing_in_the_middle_leaves_nothing(jobs: Path, model: Path, sounds: Path, mode: str) -> None:
    client = JobClient(mode)
    client.start(request(model, sounds / "long.wav"))
    until_stage(client, "speech")
    pid = worker_pid(client) if mode == "worker" and sys.platform != "win32" else None
    client.close()
    assert not client.running and client.poll() == []
    assert pid is None or gone(pid)


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_a_caller_that_breaks_off_leaves_nothing(jobs: Path, model: Path, sounds: Path, mode: str) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "speech":
            raise KeyboardInterrupt

    client = JobClient(mode)
    with pytest.raises(KeyboardInterrupt):
        client.run_blocking(request(model, sounds / "long.wav"), interrupt)
    client.close()


@posix
def test_a_worker_that_dies_before_it_answers_is_replaced(jobs: Path, model: Path, sounds: Path) -> None:
    """It dies between two jobs, but the next one is sent before anybody can know."""
    client = JobClient("worker")
    try:
        client.run_blocking(request(model, sounds / "short.wav"))
        pid = worker_pid(client)
        os.kill(pid, signal.SIGSTOP)  # alive, and deaf
        client.start(request(model, sounds / "short.wav"))
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        final = until_final(client)[-1]
        assert isinstance(final, messages.Done) and final.motion.frame_count == 30
        assert worker_pid(client) != pid
    finally:
        client.close()


@posix
def test_a_killed_worker_is_reported_and_replaced(jobs: Path, model: Path, sounds: Path) -> None:
    client = JobClient("worker")
    try:
        client.start(request(model, sounds / "long.wav"))
        until_stage(client, "speech")
        os.kill(worker_pid(client), signal.SIGKILL)
        failed = until_final(client)[-1]
        assert isinstance(failed, messages.Failed)
        assert "signal 9 (SIGKILL)" in failed.message and "memory" in failed.hint
        assert isinstance(error_of(failed), EngineError)
        assert client.run_blocking(request(model, sounds / "short.wav")).frame_count == 30
        # Between two jobs, too.
        pid = worker_pid(client)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        assert client.run_blocking(request(model, sounds / "short.wav")).frame_count == 30
    finally:
        client.close()


@posix
def test_the_worker_dies_with_its_parent(jobs: Path, model: Path, sounds: Path) -> None:
    script = (
        "import sys, time, numpy as np\n"
        "from pathlib import Path\n"
        "from codetalker_blender.contracts import AudioSource, GenerateRequest\n"
        "from codetalker_blender.job.client import JobClient\n"
        "client = JobClient('worker')\n"
        "style = np.array([[1, 0, 0]], np.float32)\n"
        "client.start(GenerateRequest(AudioSource(Path(sys.argv[1])), Path(sys.argv[2]), style, 'cpu'))\n"
        "while not any(getattr(m, 'stage', '') == 'speech' for m in client.poll()): time.sleep(0.01)\n"
        "print(client.worker_pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(jobs)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(sounds / "long.wav"), str(model)],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid, 0.0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_leaving_python_in_the_middle_is_clean(jobs: Path, model: Path, sounds: Path) -> None:
    script = (
        "import sys, time, numpy as np\n"
        "from pathlib import Path\n"
        "from codetalker_blender.contracts import AudioSource, GenerateRequest\n"
        "from codetalker_blender.job.client import JobClient\n"
        "style = np.array([[1, 0, 0]], np.float32)\n"
        "job = GenerateRequest(AudioSource(Path(sys.argv[1])), Path(sys.argv[2]), style, 'cpu')\n"
        "clients = [JobClient('worker'), JobClient('inside')]\n"
        "for client in clients:\n"
        "    client.start(job)\n"
        "    while not any(getattr(m, 'stage', '') == 'speech' for m in client.poll()): time.sleep(0.01)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(jobs)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(sounds / "long.wav"), str(model)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_libraries_print_does_not_disturb(jobs: Path, model: Path, sounds: Path, tmp_path: Path) -> None:
    """A start-up file that prints before the worker runs, and prints at every import of torch."""
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(
        "import builtins, os, sys\n"
        "print('Welcome'); print('{\"type\": 1}')\n"
        "real = builtins.__import__\n"
        "def loud(name, *rest, **more):\n"
        "    if name == 'torch':\n"
        "        print('importing torch'); os.write(1, b'from C\\n')\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = loud\n"
    )
    client = JobClient("worker", extra_paths=[noisy])
    try:
        assert client.run_blocking(request(model, sounds / "short.wav")).frame_count == 30
    finally:
        client.close()


def test_a_python_that_cannot_run_the_model(jobs: Path, model: Path, sounds: Path, tmp_path: Path) -> None:
    client = JobClient("worker", python=tmp_path / "no python")
    with pytest.raises(EngineError, match="no python' cannot be started"):
        client.run_blocking(request(model, sounds / "short.wav"))
    client.close()
    # One that lacks torch, and one that ends at once.
    for text, says in (
        ("import sys; sys.modules['torch'] = None\n", "lacks the module 'torch'"),
        ("import os; os.write(2, b'disk on fire\\n'); os._exit(7)\n", "exit status 7: disk on fire"),
    ):
        (tmp_path / "sitecustomize.py").write_text(text)
        client = JobClient("worker", extra_paths=[tmp_path])
        try:
            with pytest.raises(EngineError, match=says):
                client.run_blocking(request(model, sounds / "short.wav"))
        finally:
            client.close()


def test_the_workers_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "start.py")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/somebody/elses")
    environment = worker_environment([tmp_path])
    assert "PYTHONSTARTUP" not in environment and "PYTHONHOME" not in environment
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(tmp_path)]
    with pytest.raises(ValueError, match="mode"):
        JobClient("thread")


@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_asking_what_the_engine_has(jobs: Path, model: Path, sounds: Path, mode: str) -> None:
    import torch

    client = JobClient(mode)
    try:
        facts = client.check_blocking("cpu")
        assert facts.versions["torch"] == torch.__version__ and facts.device == "cpu"
        if not torch.cuda.is_available():
            with pytest.raises(EngineError, match="'cuda' is not available"):
                client.check_blocking("cuda")
        assert client.run_blocking(request(model, sounds / "short.wav")).frame_count == 30
    finally:
        client.close()
