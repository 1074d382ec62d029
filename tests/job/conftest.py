"""A small real model, sounds, and a folder for jobs that must be empty in the end."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the engine needs torch")
    from tests.engine.tiny import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """short.wav (1 s), medium.wav (20 s), and long.wav, which takes far longer than any test waits."""
    soundfile = pytest.importorskip("soundfile", reason="the engine needs soundfile")
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for name, seconds in (("short.wav", 1), ("medium.wav", 20), ("long.wav", 3_600)):
        noise = rng.integers(-3_000, 3_000, 16_000 * seconds, dtype=np.int16)
        soundfile.write(folder / name, noise, 16_000)
    return folder


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which job folders are made; it must be empty in the end."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield folder
    assert not list(folder.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("codetalker")]
