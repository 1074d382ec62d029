"""Text in, speech with phone times out: the voices of the synthesisers flite and espeak-ng.

flite runs as a program; espeak-ng is called through its library, the only way it tells
phone times.  Both are Debian packages (flite; espeak-ng with libespeak-ng1).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import multiprocessing
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from codetalker_blender.contracts import FloatArray, Waveform
from codetalker_blender.errors import UserError
from training.datasets.augment import resample
from training.datasets.clip import SPEECH_RATE_HZ, Phone
from training.datasets.phones import SILENCE, from_espeak, from_flite

PACKAGES_HINT = "Install the Debian packages flite, espeak-ng and libespeak-ng1."
#: espeak-ng counts the silence before a voiceless stop's burst as the end of the phone before it.
_CLOSED_STOPS = frozenset({"p", "t", "k", "ch"})
_CLOSURE_LIMIT_S = 0.08
_FLITE_TIMEOUT_S = 60.0
#: What C's generator starts from in a process that never seeded it.
_BREATH_SEED = 1


@dataclass(frozen=True)
class Speaker:
    """One voice.

    name: unique, e.g. "flite-slt"
    engine: "flite" or "espeak"
    voice: the synthesiser's own name of the voice
    pitch: flite: mean pitch in Hz; espeak-ng: 0 to 100
    rate: factor on the synthesiser's usual tempo
    """

    name: str
    engine: str
    voice: str
    pitch: float
    rate: float = 1.0


@dataclass(frozen=True)
class Utterance:
    """Spoken text: sound at 16 kHz and its phones, which cover it from 0 to its end."""

    waveform: Waveform
    phones: tuple[Phone, ...]


TRAINING_SPEAKERS = (
    Speaker("flite-slt", "flite", "slt", 170.0),
    Speaker("flite-awb", "flite", "awb", 120.0),
    Speaker("flite-kal16", "flite", "kal16", 105.0),
    Speaker("espeak-us", "espeak", "en-us", 50.0),
    Speaker("espeak-us-f3", "espeak", "en-us+f3", 55.0),
    Speaker("espeak-us-m3", "espeak", "en-us+m3", 40.0),
    Speaker("espeak-us-steph", "espeak", "en-us+steph", 50.0),
    Speaker("espeak-gb-f2", "espeak", "en+f2", 50.0),
    Speaker("espeak-rp-m7", "espeak", "en-gb-x-rp+m7", 45.0),
    Speaker("espeak-scotland", "espeak", "en-gb-scotland", 50.0),
    Speaker("espeak-us-f1", "espeak", "en-us+f1", 48.0, 0.92),
    Speaker("espeak-us-f4", "espeak", "en-us+f4", 60.0, 1.08),
    Speaker("espeak-us-annie", "espeak", "en-us+Annie", 42.0),
    Speaker("espeak-us-linda", "espeak", "en-us+linda", 45.0, 1.1),
    Speaker("espeak-us-grandma", "espeak", "en-us+grandma", 45.0, 0.88),
    Speaker("espeak-us-m1", "espeak", "en-us+m1", 55.0, 1.05),
    Speaker("espeak-us-m5", "espeak", "en-us+m5", 45.0, 0.9),
    Speaker("espeak-us-michael", "espeak", "en-us+Michael", 50.0),
    Speaker("espeak-us-rob", "espeak", "en-us+rob", 50.0, 1.1),
    Speaker("espeak-gb", "espeak", "en", 45.0),
    Speaker("espeak-gb-m4", "espeak", "en+m4", 55.0, 1.06),
    Speaker("espeak-gb-f4", "espeak", "en+f4", 45.0, 0.95),
    Speaker("espeak-gb-belinda", "espeak", "en+belinda", 40.0),
    Speaker("espeak-rp-f3", "espeak", "en-gb-x-rp+f3", 50.0),
    Speaker("espeak-rp-edward", "espeak", "en-gb-x-rp+edward", 50.0, 0.94),
    Speaker("espeak-scotland-f2", "espeak", "en-gb-scotland+f2", 50.0, 1.05),
    Speaker("espeak-scotland-m6", "espeak", "en-gb-scotland+m6", 40.0),
)
#: Clips take these in turn.  flite's voices were cut from real recordings, so every second turn is theirs.
TRAINING_TURNS = tuple(
    turn
    for number, other in enumerate(TRAINING_SPEAKERS[3:])
    for turn in (TRAINING_SPEAKERS[number % 3], other)
)
#: Never trained on.
HELD_OUT_SPEAKERS = (
    Speaker("flite-rms", "flite", "rms", 100.0),
    Speaker("espeak-us-f5", "espeak", "en-us+f5", 50.0),
)


def missing_synthesisers() -> list[str]:
    """Names of the synthesisers that this machine lacks; [] when both are there."""
    missing = [] if shutil.which("flite") else ["flite"]
    return missing if _espeak_library() else [*missing, "espeak-ng"]


class Synthesisers:
    """flite and espeak-ng, found once.  What they say depends on nothing said before."""

    def __init__(self) -> None:
        missing = missing_synthesisers()
        if missing:
            raise UserError(
                f"Made speech needs {' and '.join(missing)}, which cannot be found.", PACKAGES_HINT
            )

    def speak(self, speaker: Speaker, text: str, *, rate: float = 1.0, pitch: float = 1.0) -> Utterance:
        """Speak ``text``; ``rate`` and ``pitch`` are factors on the speaker's own.  Raises UserError."""
        rate *= speaker.rate
        if speaker.engine == "flite":
            return _speak_flite(speaker, text, rate, pitch)
        return _speak_espeak(speaker, text, rate, pitch)


def _speak_flite(speaker: Speaker, text: str, rate: float, pitch: float) -> Utterance:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", speaker.voice, "-psdur"]
        command += ["--setf", f"duration_stretch={1.0 / rate:.4f}"]
        command += ["--seti", f"int_f0_target_mean={round(speaker.pitch * pitch)}"]
        command += ["-t", text, "-o", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FLITE_TIMEOUT_S, check=False)
        if done.returncode or not path.is_file():
            raise UserError(
                f"flite could not speak with its voice {speaker.voice}: {done.stderr.strip()[:200]}",
                PACKAGES_HINT,
            )
        samples, rate_hz = soundfile.read(path, dtype="float32")
    phones, time_s = [], 0.0
    for item in done.stdout.split():
        label, _, end = item.rpartition(":")
        phones.append(Phone(from_flite(label), time_s, float(end)))
        time_s = float(end)
    return _finished(samples, rate_hz, phones)


def _finished(samples: FloatArray, rate_hz: int, phones: list[Phone]) -> Utterance:
    """16 kHz, phones cut to the sound, without gaps and filled up with silence."""
    if rate_hz != SPEECH_RATE_HZ:
        samples = resample(samples, rate_hz / SPEECH_RATE_HZ)
    duration_s = len(samples) / SPEECH_RATE_HZ
    cut = [Phone(p.label, p.start_s, min(p.end_s, duration_s)) for p in phones if p.start_s < duration_s]
    if cut and cut[-1].end_s < duration_s:
        cut.append(Phone(SILENCE, cut[-1].end_s, duration_s))
    merged: list[Phone] = []
    for phone in cut:
        if phone.duration_s <= 0:
            continue
        start_s = merged[-1].end_s if merged else 0.0
        if merged and merged[-1].label == phone.label == SILENCE:
            start_s = merged.pop().start_s
        merged.append(Phone(phone.label, start_s, phone.end_s))
    return Utterance(Waveform(samples.astype(np.float32), SPEECH_RATE_HZ), tuple(merged))


def _espeak_library() -> str | None:
    return ctypes.util.find_library("espeak-ng")


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Identifier),
    ]  # fmt: skip


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _speak_espeak(speaker: Speaker, text: str, rate: float, pitch: float) -> Utterance:
    """The library carries state from one utterance into the next (the same text comes out with another
    length), and ending it and starting it again hangs.  So every utterance has a process of its own.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_espeak, args=(sender, speaker, text, rate, pitch))
    child.start()
    sender.close()
    try:
        samples, rate_hz, events = receiver.recv()
    except EOFError:
        raise UserError(
            f"espeak-ng could not speak with its voice '{speaker.voice}'.", PACKAGES_HINT
        ) from None
    finally:
        child.join()
        receiver.close()
    return _finished(samples, rate_hz, _espeak_phones(samples, rate_hz, events))


def _send_espeak(sender: Connection, speaker: Speaker, text: str, rate: float, pitch: float) -> None:
    """In the child: send (samples, rate, [(phoneme, sample)]), or nothing when the library refuses."""
    # The library draws the breath of some voices from C's rand(), whose state the fork took along.
    ctypes.CDLL(None).srand(_BREATH_SEED)
    spoken = _Espeak().speak(speaker, text, rate, pitch)
    if spoken is not None:
        sender.send(spoken)
    sender.close()


class _Espeak:
    """The library in synchronous retrieval mode, with phoneme events (speak_lib.h)."""

    SYNCHRONOUS, PHONEME_EVENTS, EVENT_PHONEME, END = 2, 1, 7, 0
    RATE, PITCH, UTF8 = 1, 3, 1
    WORDS_PER_MINUTE = 165

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(_espeak_library())
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._rate_hz = int(self._library.espeak_Initialize(self.SYNCHRONOUS, 500, None, self.PHONEME_EVENTS))
        self._sound: list[FloatArray] = []
        self._events: list[tuple[str, int]] = []
        # Kept in the object: the library holds no reference of its own.
        self._callback: Callable[..., int] = _Callback(self._collect)

    def _collect(self, sound: Any, count: int, events: Any) -> int:
        if sound and count > 0:
            block = np.ctypeslib.as_array(sound, (count,))
            self._sound.append(block.astype(np.float32) / 32768.0)
        index = 0
        while events[index].type != self.END:
            event = events[index]
            if event.type == self.EVENT_PHONEME:
                self._events.append((event.id.string.decode("utf-8"), event.sample))
            index += 1
        return 0

    def speak(
        self, speaker: Speaker, text: str, rate: float, pitch: float
    ) -> tuple[FloatArray, int, list[tuple[str, int]]] | None:
        """(samples, rate in Hz, phonemes with their first sample), or None when the library refuses."""
        if self._rate_hz <= 0 or self._library.espeak_SetVoiceByName(speaker.voice.encode()) != 0:
            return None
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetParameter(self.RATE, round(self.WORDS_PER_MINUTE * rate), 0)
        self._library.espeak_SetParameter(self.PITCH, round(min(99.0, speaker.pitch * pitch)), 0)
        data = text.encode("utf-8") + b"\0"
        if self._library.espeak_Synth(data, len(data), 0, 1, 0, self.UTF8, None, None) != 0:
            return None
        self._library.espeak_Synchronize()
        return (np.concatenate(self._sound), self._rate_hz, self._events) if self._sound else None


def _espeak_phones(samples: FloatArray, rate_hz: int, events: list[tuple[str, int]]) -> list[Phone]:
    """Phones of the common set with their times, the closures of voiceless stops given back to them."""
    starts = [sample / rate_hz for _, sample in events] + [len(samples) / rate_hz]
    phones: list[Phone] = [Phone(SILENCE, 0.0, starts[0])]
    for index, (name, _) in enumerate(events):
        labels = from_espeak(name)
        start, step = starts[index], (starts[index + 1] - starts[index]) / len(labels)
        if labels[0] in _CLOSED_STOPS:
            earlier = _closure_start(samples, rate_hz, start, phones[-1].start_s)
            phones[-1] = Phone(phones[-1].label, phones[-1].start_s, earlier)
            phones.append(Phone(labels[0], earlier, start + step))
        else:
            phones.append(Phone(labels[0], start, start + step))
        for k, label in enumerate(labels[1:], 1):
            phones.append(Phone(label, start + k * step, start + (k + 1) * step))
    return [phone for phone in phones if phone.duration_s > 1e-4]


def _closure_start(samples: FloatArray, rate_hz: int, start_s: float, floor_s: float) -> float:
    """When the silence before a burst at ``start_s`` begins, at most 80 ms earlier."""
    step = int(0.005 * rate_hz)
    index = int(start_s * rate_hz)
    first = max(int(floor_s * rate_hz), index - int(_CLOSURE_LIMIT_S * rate_hz), 0)
    quiet = 0.02 * float(np.abs(samples).max())
    while index - step >= first and float(np.abs(samples[index - step : index]).max()) < quiet:
        index -= step
    return index / rate_hz
