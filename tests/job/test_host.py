"""One worker for several jobs, which ends when nobody needs it any more."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codetalker_blender.job import messages
from codetalker_blender.job.client import JobClient
from codetalker_blender.job.host import Host
from tests.job.waiting import gone, request, until_final, until_stage, worker_pid

pytest.importorskip("torch", reason="the engine needs torch")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks at processes as POSIX has them")


@pytest.fixture
def host(jobs: Path) -> Iterator[Host]:
    """Its worker ends half a second after its last job."""
    made = Host(idle_s=0.5)
    yield made
    made.close()


def lend(host: Host) -> JobClient:
    return host.lend("worker", sys.executable, ())


def run(client: JobClient, model: Path, audio: Path) -> int:
    """One job; -> the process that did it."""
    client.start(request(model, audio))
    pid = worker_pid_soon(client)
    assert isinstance(until_final(client)[-1], messages.Done)
    return pid


def worker_pid_soon(client: JobClient) -> int:
    for _ in range(500):
        if client.worker_pid is not None:
            break
        time.sleep(0.01)
    return worker_pid(client)


def test_jobs_share_a_worker_until_it_is_idle(host: Host, model: Path, sounds: Path) -> None:
    first = run(lend(host), model, sounds / "short.wav")
    host.rest()
    assert run(lend(host), model, sounds / "short.wav") == first
    time.sleep(0.8)
    assert host.worker_pid == first, "it was closed although it was lent"
    host.rest()
    assert gone(first)
    assert host.worker_pid is None
    assert run(lend(host), model, sounds / "short.wav") != first


def test_another_python_is_another_worker(host: Host, model: Path, sounds: Path, tmp_path: Path) -> None:
    first = run(lend(host), model, sounds / "short.wav")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    other = host.lend("worker", tmp_path / "python", ())
    assert run(other, model, sounds / "short.wav") != first
    assert gone(first)


def test_a_job_that_nobody_wants_is_left_without_waiting(host: Host, model: Path, sounds: Path) -> None:
    client = lend(host)
    client.start(request(model, sounds / "long.wav"))
    until_stage(client, "speech")
    pid = worker_pid(client)
    began = time.monotonic()
    host.retire()
    assert time.monotonic() - began < 0.05
    other = lend(host)
    assert other is not client
    assert run(other, model, sounds / "short.wav") != pid
    assert gone(pid)


def test_closing_leaves_nothing(jobs: Path, model: Path, sounds: Path) -> None:
    host = Host(idle_s=1000.0)
    pid = run(lend(host), model, sounds / "short.wav")
    host.rest()
    host.close()
    assert gone(pid, 0.0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("codetalker")]
    host.close()


def test_an_idle_worker_ends_with_its_parent(jobs: Path, model: Path, sounds: Path) -> None:
    """Killed, so that no one can clean up."""
    import signal
    import subprocess

    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from codetalker_blender.job.host import Host\n"
        "from tests.job.waiting import request\n"
        "host = Host()\n"
        "client = host.lend('worker', sys.executable, ())\n"
        "client.run_blocking(request(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "host.rest()\n"
        "print(host.worker_pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(model), str(sounds / "short.wav")],
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(jobs)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid, 0.0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)
