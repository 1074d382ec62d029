"""Small made copies of the real data sets' layouts: the same names and files, few vertices and frames."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from codetalker_blender.model_files import write_face_file
from training.datasets.splits import BIWI_SPLITS, VOCASET_SPLITS

from .made_head import made_head

VERTICES = 12
SOUND_RATE_HZ = 22_000
TONE_HZ = 440.0
SECONDS = 0.6

VOCASET_TRAINED = (VOCASET_SPLITS["train"].speakers[0], VOCASET_SPLITS["train"].speakers[3])
VOCASET_VALIDATION = VOCASET_SPLITS["validation"].speakers[1]
VOCASET_TEST = VOCASET_SPLITS["test"].speakers[0]
#: Speaker, sequence; the fourth is in no split, because validation begins at sentence 21.
VOCASET_CLIPS = (
    (VOCASET_TRAINED[0], "sentence01"),
    (VOCASET_TRAINED[1], "sentence40"),
    (VOCASET_VALIDATION, "sentence21"),
    (VOCASET_VALIDATION, "sentence05"),
    (VOCASET_TEST, "sentence33"),
)
BIWI_CLIPS = ("F3_e01", "M5_e32", "F2_e33", "M3_e37", "F1_e40", "F1_e01", "F3_01")


def tone(seconds: float = SECONDS, rate_hz: int = SOUND_RATE_HZ) -> FloatArray:
    """A sound that is no silence."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(0.25 * np.sin(2 * np.pi * TONE_HZ * times), np.float32)


def template(speaker: str) -> FloatArray:
    """A face of VERTICES points, another for each speaker."""
    random = np.random.default_rng(sum(map(ord, speaker)))
    return (0.1 * random.standard_normal((VERTICES, 3))).astype(np.float32)


def positions(speaker: str, name: str, fps: float, scale: float = 1.0) -> FloatArray:
    """(T, V, 3): SECONDS of the speaker's face in motion, a few millimetres where ``scale`` is 1."""
    random = np.random.default_rng(sum(map(ord, name)))
    offsets = 0.005 * random.standard_normal((round(SECONDS * fps), VERTICES, 3))
    return ((template(speaker) + offsets) * scale).astype(np.float32)


def write_pickle(path: Path, content: Any) -> None:
    """As the data sets' own files: an old protocol."""
    with path.open("wb") as stream:
        pickle.dump(content, stream, protocol=2)


def write_sound(path: Path, samples: NDArray[Any], rate_hz: int = SOUND_RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


def write_motion(path: Path, frames: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, frames)


def vocaset_raw(root: Path) -> Path:
    """data_verts.npy with the clips' frames in another order than their names', and the pickles."""
    root.mkdir(parents=True, exist_ok=True)
    sounds: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[str, dict[int, int]]] = {}
    blocks: list[FloatArray] = [np.zeros((3, VERTICES, 3), np.float32)]
    for speaker, sequence in reversed(VOCASET_CLIPS):
        start = sum(map(len, blocks))
        blocks.append(positions(speaker, f"{speaker}_{sequence}", 60.0))
        rows.setdefault(speaker, {})[sequence] = {i: start + i for i in range(len(blocks[-1]))}
        samples = np.round(tone() * 32767).astype(np.int16)
        sounds.setdefault(speaker, {})[sequence] = {"audio": samples, "sample_rate": SOUND_RATE_HZ}
    np.save(root / "data_verts.npy", np.concatenate(blocks))
    write_pickle(root / "raw_audio_fixed.pkl", sounds)
    write_pickle(root / "subj_seq_to_idx.pkl", rows)
    write_pickle(root / "templates.pkl", {speaker: template(speaker) for speaker in sounds})
    return root


def vocaset_processed(root: Path) -> Path:
    for speaker, sequence in VOCASET_CLIPS:
        name = f"{speaker}_{sequence}"
        frames = positions(speaker, name, 60.0)
        write_motion(root / "vertices_npy" / f"{name}.npy", frames.reshape(len(frames), -1))
        write_sound(root / "wav" / f"{name}.wav", tone())
    write_pickle(root / "templates.pkl", {speaker: template(speaker) for speaker, _ in VOCASET_CLIPS})
    return root


def biwi(root: Path) -> Path:
    speakers = [*BIWI_SPLITS["train"].speakers, *BIWI_SPLITS["test_b"].speakers]
    for name in BIWI_CLIPS:
        frames = positions(name[:2], name, 25.0)
        write_motion(root / "vertices_npy" / f"{name}.npy", frames.reshape(len(frames), -1))
        write_sound(root / "wav" / f"{name}.wav", tone(rate_hz=16_000), 16_000)
    write_pickle(root / "templates.pkl", {speaker: template(speaker) for speaker in speakers})
    (root / "regions").mkdir()
    (root / "regions" / "lve.txt").write_text("0, 1,2 ,5", encoding="utf-8")
    (root / "regions" / "fdd.txt").write_text("7,8", encoding="utf-8")
    return root


FOLDER_CLIPS = ("anna_01", "anna_02", "anna_b_01", "bob_01", "bob_02")
FOLDER_SPLITS: dict[str, Any] = {
    "format": 1,
    "fps": 50,
    "frame_step": 2,
    "units_per_metre": 1000,
    "up_axis": "Z",
    "splits": {"train": ["anna_*"], "validation": ["bob_01"]},
    "mid_lips": [3, 4],
}


def folder(root: Path, **changes: Any) -> Path:
    """Millimetres at 50 frames per second, of which every second one is used."""
    for name in FOLDER_CLIPS:
        frames = positions(name.rpartition("_")[0], name, 50.0, scale=1000.0)
        write_motion(root / "vertices_npy" / f"{name}.npy", frames)
        write_sound(root / "wav" / f"{name}.wav", tone(rate_hz=48_000), 48_000)
    speakers = {name.rpartition("_")[0] for name in FOLDER_CLIPS}
    np.savez(root / "templates.npz", **{speaker: 1000.0 * template(speaker) for speaker in speakers})
    write_splits(root, FOLDER_SPLITS | changes)
    return root


def write_splits(root: Path, content: Any) -> None:
    (root / "splits.json").write_text(json.dumps(content), encoding="utf-8")


CURVE_NAMES = ("jawOpen", "mouthPucker", "browInnerUp")
CURVE_SPLITS: dict[str, Any] = {
    "format": 1,
    "fps": 30,
    "speakers": ["anna", "bob"],
    "shapes": list(CURVE_NAMES),
    "splits": {"train": ["anna_01", "bob_01"], "test": ["anna_02"]},
}


def curve_weights(name: str) -> FloatArray:
    """(T, 3) weights of CURVE_NAMES."""
    random = np.random.default_rng(sum(map(ord, name)))
    return random.random((round(SECONDS * 30), len(CURVE_NAMES))).astype(np.float32)


def curves(root: Path, **changes: Any) -> Path:
    """anna_01 and anna_02 as .csv, bob_01 as .npy; the head that drives them is in ``head/``."""
    for name in ("anna_01", "anna_02"):
        write_csv(root / "curves" / f"{name}.csv", CURVE_NAMES, curve_weights(name))
    write_motion(root / "curves" / "bob_01.npy", curve_weights("bob_01"))
    for name in ("anna_01", "anna_02", "bob_01"):
        write_sound(root / "wav" / f"{name}.wav", tone())
    write_splits(root, CURVE_SPLITS | changes)
    head = made_head()
    (root / "head").mkdir()
    write_face_file(root / "head" / "face.npz", head.face)
    np.savez(root / "head" / "shapes.npz", names=np.array(head.shape_names), deltas=head.deltas)
    return root


def write_csv(path: Path, names: tuple[str, ...], values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(names), *(",".join(repr(float(value)) for value in row) for row in values)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Trap:
    """Pickled, it writes a file when somebody unpickles it without care."""

    def __init__(self, written: Path) -> None:
        self.written = written

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.written,))
