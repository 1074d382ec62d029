"""A sound file, or a packed file's bytes → mono 16 kHz float32 samples, cut to a time range.

Reads whatever libsndfile reads (WAV, FLAC, OGG, MP3, AIFF and more; any rate, width and number
of channels), in blocks and only where the range lies, so that an hour costs no more memory than
its result.  What cannot be read is refused in one sentence.  No torch, no bpy.

Where a file ends before its header says so, two cases differ.  A container that notices nothing
(WAV, AIFF, MP3, OGG) is read as far as it goes, as every player does.  A decoder that meets
damage inside the wanted range (FLAC carries checksums) is refused with the place.
"""

from __future__ import annotations

import io
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import soundfile

from ..contracts import LOUDNESS_HZ, AudioSource, FloatArray, Waveform
from ..errors import AudioError
from .resampling import Resampler

#: The engine's own rate: what wav2vec 2.0 was trained on.
RATE_HZ = 16_000
#: Shorter sound holds no frame of motion at any model's rate.
MIN_DURATION_S = 0.1
#: A range given in scene frames or file samples may miss the minimum by its own rounding.
_ROUNDING_S = 0.001
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1_000, 384_000
_BLOCK_FRAMES = 1 << 18
#: After a seek, MP3 and Vorbis need some packets until they decode exactly; read and thrown away.
#: Every block needs it, because soundfile seeks after each read (its ``_cdata_io``).
_PREROLL_FRAMES = 1 << 13
_READABLE = "WAV, FLAC, OGG or MP3"
_CONVERT = f"Convert it to {_READABLE}."
_DECODER_ERRORS = (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, OSError)


@dataclass(frozen=True)
class _Range:
    """first, last: the 16 kHz samples wanted, counted from the file's start; last None = to its end."""

    first: int
    last: int | None


def check_header(source: AudioSource) -> None:
    """Refuse what shows without decoding: no file, no audio, no samples, or too few of them.

    Raises AudioError, as :func:`read_waveform` would.
    """
    with _opened(source) as stream:
        length_s = stream.frames / stream.samplerate
        # The header of an MP3 is an estimate.
        if stream.format != "MP3" and length_s < MIN_DURATION_S - _ROUNDING_S:
            raise _too_short(source, length_s, length_s)


def read_waveform(source: AudioSource) -> Waveform:
    """The speech of ``source``: mono (channels averaged), 16,000 Hz, float32, full scale 1.0.

    A range that begins inside the sound and ends behind it gives what there is; the samples of a
    range equal those of the whole file there.  Raises AudioError for a file that is absent, not
    audio, damaged, without samples or with NaN or infinite ones, for a range outside the sound,
    and for less than 0.1 s.
    """
    wanted = _wanted(source)
    with _opened(source) as stream:
        samples, frames_seen = _read_range(source, stream, wanted)
        length_s = frames_seen / stream.samplerate
    if len(samples) < (MIN_DURATION_S - _ROUNDING_S) * RATE_HZ:
        raise _too_short(source, len(samples) / RATE_HZ, length_s)
    return Waveform(samples=samples, rate_hz=RATE_HZ)


def loudness(waveform: Waveform) -> FloatArray:
    """(n,) float32 root mean square, LOUDNESS_HZ times a second; the last piece may be shorter."""
    squares = waveform.samples.astype(np.float64) ** 2
    starts = np.arange(0, len(squares), round(waveform.rate_hz / LOUDNESS_HZ))
    lengths = np.diff(starts, append=len(squares))
    return np.asarray(np.sqrt(np.add.reduceat(squares, starts) / lengths), np.float32)


@contextmanager
def _opened(source: AudioSource) -> Iterator[soundfile.SoundFile]:
    """The decoder, once the file and its header have been checked.  Raises AudioError."""
    _check_file(source)
    try:
        stream = soundfile.SoundFile(str(source.path) if source.data is None else io.BytesIO(source.data))
    except _DECODER_ERRORS as error:
        raise _not_audio(source, error) from error
    with stream:
        _check_stream(source, stream)
        yield stream


def _wanted(source: AudioSource) -> _Range:
    start_s, duration_s = source.start_s, source.duration_s
    if not math.isfinite(start_s) or start_s < 0:
        raise AudioError(
            f"The range of '{source.path.name}' starts at {start_s:g} s.", "Start it at 0 s or later."
        )
    if duration_s is None:
        return _Range(round(start_s * RATE_HZ), None)
    if not math.isfinite(duration_s) or duration_s < MIN_DURATION_S - _ROUNDING_S:
        raise AudioError(
            f"The range of '{source.path.name}' lasts {duration_s:.4g} s; "
            f"at least {MIN_DURATION_S} s is needed.",
            "Choose a longer range.",
        )
    return _Range(round(start_s * RATE_HZ), round((start_s + duration_s) * RATE_HZ))


def _check_file(source: AudioSource) -> None:
    """Say in plain words what the decoder would call 'System error' or 'Format not recognised'."""
    path = source.path
    if source.data is not None:
        head, size = source.data[:16], len(source.data)
    else:
        try:
            mode, size = (status := path.stat()).st_mode, status.st_size
            if stat.S_ISDIR(mode):
                raise AudioError(f"'{path}' is a folder, not a sound file.", "Choose a file in it.")
            if not stat.S_ISREG(mode):
                raise AudioError(f"'{path}' is not a regular file.", f"Choose a {_READABLE} file.")
            with path.open("rb") as stream:
                head = stream.read(16)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise AudioError(f"The sound file '{path}' does not exist.", "Check the path.") from error
        except OSError as error:
            raise AudioError(
                f"'{path}' cannot be opened: {error.strerror or error}.", "Check its name and permissions."
            ) from error
    if size == 0:
        raise AudioError(f"'{path.name}' is empty (0 bytes).", "Export the sound again.")
    if head[4:8] == b"ftyp" or head[:2] in (b"\xff\xf1", b"\xff\xf9") or head[:4] == b"\x1aE\xdf\xa3":
        raise AudioError(
            f"'{path.name}' is an M4A, AAC, MP4 or Matroska file, which cannot be read here.", _CONVERT
        )


def _not_audio(source: AudioSource, error: Exception) -> AudioError:
    reason = _reason(error)
    return AudioError(
        f"'{source.path.name}' cannot be read as sound: "
        f"it is not audio, or its header is damaged ({reason}).",
        f"Choose a {_READABLE} file, or export it again.",
    )


def _reason(error: Exception) -> str:
    """libsndfile's own words, without its prefix that repeats the path."""
    words = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(words.replace("Error :", "").split()).rstrip(".") or type(error).__name__


def _check_stream(source: AudioSource, stream: soundfile.SoundFile) -> None:
    name, rate = source.path.name, stream.samplerate
    if not _LOWEST_RATE_HZ <= rate <= _HIGHEST_RATE_HZ:
        raise AudioError(
            f"'{name}' has {rate} samples per second; {_LOWEST_RATE_HZ} to {_HIGHEST_RATE_HZ} can be read.",
            "Export it at 16,000 to 48,000 Hz.",
        )
    if stream.frames == 0:
        raise AudioError(f"'{name}' holds no samples (0 frames at {rate} Hz).", "Export the sound again.")
    length_s = stream.frames / rate
    if source.start_s >= length_s:
        raise _outside(source, length_s)


def _outside(source: AudioSource, length_s: float) -> AudioError:
    return AudioError(
        f"The range starts at {source.start_s:.4g} s, but '{source.path.name}' is {length_s:.4g} s long.",
        "Start it inside the sound.",
    )


def _too_short(source: AudioSource, left_s: float, length_s: float) -> AudioError:
    name = source.path.name
    if source.start_s > 0:
        return AudioError(
            f"Only {max(0.0, left_s):.4g} s of '{name}' ({length_s:.4g} s long) is left from "
            f"{source.start_s:.4g} s on; at least {MIN_DURATION_S} s is needed.",
            "Start the range earlier.",
        )
    return AudioError(
        f"'{name}' is {left_s:.4g} s long; at least {MIN_DURATION_S} s is needed.", "Choose a longer sound."
    )


def _read_range(source: AudioSource, stream: soundfile.SoundFile, wanted: _Range) -> tuple[FloatArray, int]:
    """The samples wanted, (n,) float32 at 16 kHz, and the file's last frame seen."""
    rate = stream.samplerate
    resampler = Resampler(rate, RATE_HZ, first_output=wanted.first)
    # The filter reaches behind the range's end, so that a range equals that part of the whole.
    stop = None if wanted.last is None else -(-wanted.last * rate // RATE_HZ) + resampler.reach + 1
    frame = resampler.first_input
    pieces: list[FloatArray] = []
    bad_count, first_bad = 0, 0
    try:
        while stop is None or frame < stop:
            ahead = _BLOCK_FRAMES if stop is None else min(_BLOCK_FRAMES, stop - frame)
            preroll = min(frame, _PREROLL_FRAMES)
            stream.seek(frame - preroll)
            # block: (frames, channels)
            block = stream.read(preroll + ahead, dtype="float32", always_2d=True)[preroll:]
            if not len(block):
                break
            good = np.isfinite(block)
            if not good.all():
                if not bad_count:
                    first_bad = frame + int(np.argmin(good.all(axis=1)))
                bad_count += int(good.size - good.sum())
            elif not bad_count:
                pieces.append(resampler.push(block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]))
            frame += len(block)
    except _DECODER_ERRORS as error:
        raise AudioError(
            f"'{source.path.name}' is damaged: its decoder stops at about {frame / rate:.4g} s "
            f"({_reason(error)}).",
            "Export the sound again.",
        ) from error
    if bad_count:
        raise AudioError(
            f"'{source.path.name}' holds {bad_count} NaN or infinite samples, "
            f"the first at {first_bad / rate:.4g} s.",
            "Export the sound again.",
        )
    # The header of an MP3 is an estimate: only reading tells that the range lies behind the end.
    if frame <= resampler.first_input:
        raise _outside(source, frame / rate)
    samples = np.concatenate([*pieces, resampler.finish()])
    return samples if wanted.last is None else samples[: wanted.last - wanted.first], frame
