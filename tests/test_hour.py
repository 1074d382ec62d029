"""An hour of speech through the default bundle into a file: it finishes, and memory stays flat."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender.motion_files import read_motion

resource = pytest.importorskip("resource", reason="memory is measured by getrusage")

HOUR_S, RATE_HZ, FPS = 3600, 16_000, 30
#: In a process of its own, whose peak is this run's.
PROGRAM = """
import json, resource, sys
from pathlib import Path
import numpy as np
from codetalker_blender.contracts import AudioSource, GenerateRequest
from codetalker_blender.street import run_to_file
sound, model, out = map(Path, sys.argv[1:])
style = np.eye(8, dtype=np.float32)[:1]
outcome = run_to_file(GenerateRequest(AudioSource(sound), model, style, device="cpu"), out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([outcome.frame_count, peak]))
"""


def write_hour(path: Path) -> None:
    """Syllables of noise with pauses, a minute over and over."""
    random = np.random.default_rng(0)
    count = 60 * RATE_HZ
    envelope = np.repeat(random.random(count // 2000) * (random.random(count // 2000) > 0.2), 2000)
    minute = (0.1 * envelope * random.standard_normal(len(envelope))).astype(np.float32)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as stream:
        for _ in range(HOUR_S // 60):
            stream.write(minute)


@pytest.mark.slow
def test_an_hour(tmp_path: Path, default_bundle: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 12 * 2**30:
        pytest.skip("an hour of offsets takes 8 GB of disk")
    write_hour(tmp_path / "hour.wav")
    out = tmp_path / "hour.npz"
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "hour.wav"), str(default_bundle), str(out)]
    root = Path(__file__).parents[1]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, cwd=root)
    frames, peak = json.loads(done.stdout.splitlines()[-1])
    assert frames == HOUR_S * FPS
    assert peak < 1.5 * 2**30
    # mapped, not read
    motion = read_motion(out)
    assert isinstance(motion.offsets, np.memmap)
    assert len(motion.offsets) == len(motion.codes) == frames
    # the end is as alive as the beginning
    minute = 60 * FPS
    for first in (minute, 58 * minute):
        part = np.asarray(motion.offsets[first : first + minute])
        assert 1e-3 < np.abs(part).max() < 0.1
    out.unlink()
