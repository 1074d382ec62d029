"""The made corpus: synthesised speech with a face that the articulation model moves.

    python -m training.datasets.synthetic --split train

Splits: "train"; "validation" (training voices, held-out sentences); "test" (held-out voices and
held-out sentences).  Everything follows from the seed.  The sound and the motion are cached
apart (.npz, no pickle), keyed by their settings, so that a new head costs no new speech.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray, Waveform
from codetalker_blender.errors import UserError
from training.articulation import Articulator
from training.articulation_head import FACE_FILE, SHAPES_FILE, read_head
from training.articulation_targets import DIPHTHONGS, STYLES, TARGETS
from training.datasets.augment import resample
from training.datasets.clip import SPEECH_RATE_HZ, Clip, Dataset, Phone
from training.datasets.phones import SILENCE
from training.datasets.sentences import draw_sentence
from training.datasets.speakers import HELD_OUT_SPEAKERS, TRAINING_TURNS, Speaker, Synthesisers, Utterance
from training.scores import ALL_VOICES, score

#: Raised by hand when the code changes what it makes from the same settings.
SPEECH_VERSION, MOTION_VERSION = 5, 5
FPS = 30.0
DEFAULT_CACHE = Path("build/corpus")
DEFAULT_HEAD = Path("assets/head")
DEFAULT_MINUTES = {"train": 240.0, "validation": 16.0, "test": 16.0}
#: In training this share of the clips is neutral and the other styles share the rest.
_NEUTRAL_SHARE = 0.3
#: Silence before the first sentence and after each, seconds: how often each.  Breath, comma, thought.
_LEADS_S = {0.0: 0.2, 0.3: 0.25, 0.6: 0.3, 1.0: 0.25}
_PAUSES_S = {0.0: 0.2, 0.12: 0.15, 0.45: 0.25, 0.8: 0.25, 1.2: 0.15}
#: Clips are spoken in batches of this size; a process of its own pays off from so many minutes on.
_BATCH, _MINUTES_PER_PROCESS = 60, 4.0
#: What the corpus itself must reach before a model can.
_OWN_MEASURES = (
    "bilabial_closure_percent", "false_closure_percent", "labiodental_contact_percent",
    "silence_opening_above_rest_mm", "silence_speed_mm_s",
)  # fmt: skip
_LONGEST_S, _SHORTEST_S = 8.0, 3.0
#: Resampling moves pitch, formants and tempo together; this range still sounds like people.
_SLOWEST, _FASTEST = 0.85, 1.18


@dataclass(frozen=True)
class SpokenClip:
    """A clip's sound before it has a face."""

    name: str
    style: int
    voice: str
    waveform: Waveform
    phones: tuple[Phone, ...]


Report = Callable[[str], None]


def build(
    seed: int = 0,
    minutes: float | None = None,
    *,
    split: str = "train",
    cache_dir: Path = DEFAULT_CACHE,
    head_dir: Path = DEFAULT_HEAD,
    processes: int | None = None,
    report: Report = lambda text: None,
) -> Dataset:
    """One split of the corpus, from the cache where it is there.

    minutes: speech wanted, at least (None: the split's default); processes: that speak (None: as
    many as pay off; the result is the same); report: told of slow steps.
    Raises UserError when a synthesiser is missing or the head cannot speak.
    """
    if split not in DEFAULT_MINUTES:
        raise UserError(
            f"The made corpus has no split called '{split}'.", f"It has {', '.join(DEFAULT_MINUTES)}."
        )
    wanted = DEFAULT_MINUTES[split] if minutes is None else float(minutes)
    speech_key = {"version": SPEECH_VERSION, "seed": seed, "minutes": wanted, "split": split,
                  "speakers": [asdict(s) for s in _speakers(split)]}  # fmt: skip
    spoken = _cached_speech(
        cache_dir, speech_key, lambda: _speak_split(seed, wanted, split, processes, report)
    )
    head = read_head(head_dir)
    motion_key = {"version": MOTION_VERSION, "speech": speech_key, "fps": FPS,
                  "targets": {k: asdict(v) for k, v in TARGETS.items()}, "diphthongs": DIPHTHONGS,
                  "styles": [asdict(s) for s in STYLES],
                  "head": [_digest((head_dir / n).read_bytes()) for n in (FACE_FILE, SHAPES_FILE)],
                  }  # fmt: skip

    def animate() -> list[FloatArray]:
        report(f"moving {len(spoken)} faces")
        articulator = Articulator(head)
        return [
            articulator.animate(
                clip.phones, clip.waveform, FPS, STYLES[clip.style], np.random.default_rng([seed, index, 1])
            )
            for index, clip in enumerate(spoken)
        ]

    weights = _cached_motion(cache_dir, motion_key, animate)
    clips = tuple(
        Clip(c.name, c.style, c.voice, c.waveform, FPS, w, c.phones)
        for c, w in zip(spoken, weights, strict=True)
    )
    return Dataset(head.face, head.shape_names, head.deltas, tuple(style.name for style in STYLES), clips)


def _speakers(split: str) -> tuple[Speaker, ...]:
    return HELD_OUT_SPEAKERS if split == "test" else TRAINING_TURNS


def _speak_split(
    seed: int, minutes: float, split: str, processes: int | None, report: Report
) -> list[SpokenClip]:
    """Clips until every style of a held-out split has its share of the minutes (in training: all have)."""
    Synthesisers()  # an absent synthesiser is told before any process starts
    spread_s = np.zeros(len(STYLES))
    clips: list[SpokenClip] = []
    processes = processes or min(_cores(), max(1, int(minutes / _MINUTES_PER_PROCESS)))
    with closing(_spoken_clips(seed, split, processes)) as spoken:
        for clip in spoken:
            if split != "train":
                # Evenly over the styles, whatever the clips' lengths.
                clip = replace(clip, style=int(np.argmin(spread_s)))
            clips.append(clip)
            spread_s[clip.style] += clip.waveform.duration_s
            total_s = float(spread_s.sum())
            if len(clips) % 100 == 0:
                report(f"spoke {total_s / 60.0:.1f} of {minutes:.1f} minutes")
            done_s = total_s if split == "train" else float(spread_s.min()) * len(STYLES)
            if done_s >= 60.0 * minutes:
                return clips
    raise AssertionError("the clips are without end")


def _spoken_clips(seed: int, split: str, processes: int) -> Generator[SpokenClip, None, None]:
    """Clips 0, 1, 2, ... without end; how many processes speak them changes nothing."""
    one = partial(_speak_numbered, seed, split)
    if processes == 1:
        yield from map(one, itertools.count())
    # Spawned, not forked: espeak-ng forks once per sentence, which is dear under a loaded torch.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        batches = (range(first, first + _BATCH) for first in itertools.count(0, _BATCH))
        ahead = [pool.submit(one, index) for index in next(batches)]
        try:
            while True:
                now, ahead = ahead, [pool.submit(one, index) for index in next(batches)]
                for future in now:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _speak_numbered(seed: int, split: str, index: int) -> SpokenClip:
    """Clip ``index`` of a split, from a generator of its own: it depends on no other clip."""
    rng = np.random.default_rng([seed, {"train": 0, "validation": 1, "test": 2}[split], index])
    speakers = _speakers(split)
    speaker = speakers[index % len(speakers)]
    style = 0 if rng.random() < _NEUTRAL_SHARE else 1 + int(rng.integers(len(STYLES) - 1))
    clip = speak_clip(Synthesisers(), speaker, rng, held_out=split != "train", stretch=split == "train")
    return SpokenClip(f"{split}-{index:04d}", style, speaker.name, *clip)


def speak_clip(
    synthesisers: Synthesisers, speaker: Speaker, rng: np.random.Generator, *, held_out: bool, stretch: bool
) -> tuple[Waveform, tuple[Phone, ...]]:
    """Sentences of one speaker with pauses and silent ends, 3 to 8 s; ``stretch`` varies pitch and tempo."""
    rate, pitch = float(rng.uniform(0.85, 1.1)), float(rng.uniform(0.88, 1.15))
    step = float(rng.uniform(_SLOWEST, _FASTEST)) if stretch and rng.random() < 0.7 else 1.0
    limit_s = _LONGEST_S * step
    parts = [_drawn_silence(rng, _LEADS_S)]
    length_s = parts[0].waveform.duration_s
    goal_s = float(rng.uniform(_SHORTEST_S, 0.75 * _LONGEST_S)) * step
    while length_s < goal_s:
        spoken = synthesisers.speak(speaker, draw_sentence(rng, held_out=held_out), rate=rate, pitch=pitch)
        if length_s + spoken.waveform.duration_s > limit_s:
            if len(parts) > 1:
                break
            continue
        pause = _drawn_silence(rng, _PAUSES_S)
        parts += [spoken, pause]
        length_s += spoken.waveform.duration_s + pause.waveform.duration_s
    samples, phones = join(parts)
    if step != 1.0:
        samples = resample(samples, step)
        phones = tuple(Phone(p.label, p.start_s / step, p.end_s / step) for p in phones)
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    samples = samples * (10.0 ** (float(rng.uniform(-27.0, -19.0)) / 20.0) / max(level, 1e-6))
    # No microphone hears digital silence.
    samples = samples + rng.standard_normal(len(samples)) * 10.0 ** (float(rng.uniform(-75.0, -60.0)) / 20.0)
    return Waveform(np.clip(samples, -0.999, 0.999).astype(np.float32), SPEECH_RATE_HZ), phones


def _drawn_silence(rng: np.random.Generator, shares: dict[float, float]) -> Utterance:
    return silence(float(rng.choice(list(shares), p=list(shares.values()))))


def silence(duration_s: float) -> Utterance:
    """Nothing said for a while."""
    count = int(duration_s * SPEECH_RATE_HZ)
    phones = (Phone(SILENCE, 0.0, count / SPEECH_RATE_HZ),) if count else ()
    return Utterance(Waveform(np.zeros(count, np.float32), SPEECH_RATE_HZ), phones)


def join(parts: Sequence[Utterance]) -> tuple[FloatArray, tuple[Phone, ...]]:
    """Sounds one after another: one sound and one phone row; neighbouring silences become one."""
    phones: list[Phone] = []
    start_s = 0.0
    for part in parts:
        for phone in part.phones:
            moved = Phone(phone.label, start_s + phone.start_s, start_s + phone.end_s)
            if phones and phones[-1].label == moved.label == SILENCE:
                moved = Phone(SILENCE, phones.pop().start_s, moved.end_s)
            phones.append(moved)
        start_s += part.waveform.duration_s
    return np.concatenate([part.waveform.samples for part in parts]), tuple(phones)


# The cache -----------------------------------------------------------------------------------


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _path(cache_dir: Path, kind: str, key: object) -> Path:
    return cache_dir / f"{kind}-{_digest(json.dumps(key, sort_keys=True).encode())[:16]}.npz"


def _store(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write under a name of this process, then rename: two builds at once do not hurt each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)


def _read(path: Path) -> dict[str, NDArray[np.generic]] | None:
    """The arrays of a cache file; None when there is none or it is damaged (it is then made again)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _as_int16(samples: FloatArray) -> NDArray[np.int16]:
    return np.asarray(np.round(samples * 32767.0), np.int16)


def _cached_speech(cache_dir: Path, key: object, make: Callable[[], list[SpokenClip]]) -> list[SpokenClip]:
    path = _path(cache_dir, "speech", key)
    arrays = _read(path)
    if arrays is None:
        clips = make()
        counts = [len(clip.waveform.samples) for clip in clips]
        phones = [(phone, index) for index, clip in enumerate(clips) for phone in clip.phones]
        arrays = {
            "samples": np.concatenate(
                [np.round(c.waveform.samples * 32767.0).astype(np.int16) for c in clips]
            ),
            "sample_ends": np.cumsum(counts),
            "names": np.array([clip.name for clip in clips]),
            "voices": np.array([clip.voice for clip in clips]),
            "styles": np.array([clip.style for clip in clips], np.int32),
            "phone_clip": np.array([index for _, index in phones], np.int32),
            "phone_labels": np.array([phone.label for phone, _ in phones]),
            "phone_times": np.array([(phone.start_s, phone.end_s) for phone, _ in phones], np.float64),
        }
        _store(path, **arrays)
    # Both a fresh and a stored corpus pass through the same rounding, so they are equal.
    samples = np.split(arrays["samples"], arrays["sample_ends"][:-1].astype(np.int64))
    rows: list[list[Phone]] = [[] for _ in samples]
    for index, label, (start, end) in zip(
        arrays["phone_clip"].tolist(),
        arrays["phone_labels"].tolist(),
        arrays["phone_times"].tolist(),
        strict=True,
    ):
        rows[index].append(Phone(label, start, end))
    names, styles, voices = (arrays[name].tolist() for name in ("names", "styles", "voices"))
    sounds = [Waveform(piece.astype(np.float32) / np.float32(32767.0), SPEECH_RATE_HZ) for piece in samples]
    return [
        SpokenClip(name, style, voice, sound, tuple(row))
        for name, style, voice, sound, row in zip(names, styles, voices, sounds, rows, strict=True)
    ]


def _cached_motion(cache_dir: Path, key: object, make: Callable[[], list[FloatArray]]) -> list[FloatArray]:
    path = _path(cache_dir, "motion", key)
    arrays = _read(path)
    if arrays is None:
        made = make()
        arrays = {
            # Half precision: 0.01 mm on a jaw that opens 25 mm.
            "weights": np.concatenate(made).astype(np.float16),
            "frame_ends": np.cumsum([len(weights) for weights in made]),
        }
        _store(path, **arrays)
    pieces = np.split(arrays["weights"], arrays["frame_ends"][:-1].astype(np.int64))
    return [piece.astype(np.float32) for piece in pieces]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one split and print what is in it."""
    parser = argparse.ArgumentParser(description="Make the speech corpus and print what is in it.")
    parser.add_argument("--minutes", type=float, default=None, help="speech wanted; default: the split's own")
    parser.add_argument("--split", choices=sorted(DEFAULT_MINUTES), default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--head", type=Path, default=DEFAULT_HEAD)
    parser.add_argument("--score", type=int, default=80, help="clips used for the corpus' own lip scores")
    options = parser.parse_args(arguments)
    try:
        dataset = build(options.seed, options.minutes, split=options.split, cache_dir=options.cache,
                        head_dir=options.head, report=partial(print, flush=True))  # fmt: skip
    except UserError as error:
        parser.exit(2, f"{error}\n")
    _print_summary(dataset)
    own = score(dataset, dataset.offsets, limit=options.score, shuffled=False)[ALL_VOICES]
    for measure in _OWN_MEASURES:
        print(f"{measure}: {own[measure]:.4g}")
    return 0


def _print_summary(dataset: Dataset) -> None:
    print(f"{len(dataset.clips)} clips, {dataset.duration_s / 3600.0:.2f} hours, {FPS:g} fps")
    for what, counts in (
        ("voices", Counter(clip.voice for clip in dataset.clips)),
        ("styles", Counter(dataset.styles[clip.style] for clip in dataset.clips)),
        ("phones", Counter(phone.label for clip in dataset.clips for phone in clip.phones)),
    ):
        total = sum(counts.values())
        print(
            f"{what}: " + ", ".join(f"{name} {100.0 * n / total:.1f} %" for name, n in counts.most_common())
        )


if __name__ == "__main__":
    raise SystemExit(main())
