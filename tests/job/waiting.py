"""A request for the small model, and waiting for what a client or a process does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np

from codetalker_blender.contracts import AudioSource, GenerateRequest
from codetalker_blender.job import messages
from codetalker_blender.job.client import JobClient

WAIT_S = 120.0  # far more than a job needs: only a hanging one meets it


def request(model: Path, audio: Path, **more: object) -> GenerateRequest:
    style = np.array([[1.0, 0.0, 0.0]], np.float32)
    return GenerateRequest(AudioSource(audio), model, style, device="cpu", **more)  # type: ignore[arg-type]


def until_final(client: JobClient) -> list[messages.Said]:
    said: list[messages.Said] = []
    deadline = time.monotonic() + WAIT_S
    while client.running:
        assert time.monotonic() < deadline, f"no final message; so far: {said[-3:]}"
        said += client.poll()
        time.sleep(0.01)
    return said


def until_stage(client: JobClient, stage: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        said = client.poll()
        assert not any(isinstance(message, messages.FINAL) for message in said), said[-1]
        if any(isinstance(message, messages.Progress) and message.stage == stage for message in said):
            return
        time.sleep(0.01)
    raise AssertionError(f"stage {stage} was never reached")


def worker_pid(client: JobClient) -> int:
    assert client.worker_pid is not None
    return client.worker_pid


def gone(pid: int, wait_s: float = WAIT_S) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
