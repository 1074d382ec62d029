"""Make the speech that the project ships: the demo line and eight held-out sentences.

    python -m training.datasets.shipped_speech [--output assets/speech]

Each .flac (16 kHz) has a .json beside it with its words, voice and phone times; the held-out ones
also with the articulation model's mid-lip distance, so that a shipped model's lips can be checked
without any synthesiser.  Phone times are for scoring; generation never reads them.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from codetalker_blender.contracts import Waveform
from codetalker_blender.errors import UserError
from codetalker_blender.model_files import file_record
from training.articulation import Articulator
from training.articulation_head import read_head
from training.articulation_targets import STYLES
from training.datasets.clip import SPEECH_RATE_HZ, Phone
from training.datasets.sentences import HELD_OUT_SENTENCES
from training.datasets.speakers import HELD_OUT_SPEAKERS, TRAINING_SPEAKERS, Speaker, Synthesisers, Utterance
from training.datasets.synthetic import DEFAULT_HEAD, FPS, join, silence

DEFAULT_OUTPUT = Path("assets/speech")
#: Written for the demo; the grammar cannot make it, so training never sees it.
DEMO_SENTENCE = "Papa Bear bought a big map, and moved above the open valley."
_DEMO_RATE = 0.85
_EDGE_S = 0.3
#: The level of the shipped sound, root mean square.
_LEVEL = 0.08


def speak(synthesisers: Synthesisers, speaker: Speaker, text: str, rate: float = 1.0) -> Utterance:
    """One sentence at a fixed level with a little silence at both ends."""
    spoken = synthesisers.speak(speaker, text, rate=rate)
    samples, phones = join([silence(_EDGE_S), spoken, silence(_EDGE_S)])
    gain = _LEVEL / max(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), 1e-9)
    peak = float(np.abs(samples).max()) * gain
    return Utterance(Waveform((samples * gain / max(peak, 1.0)).astype(np.float32), SPEECH_RATE_HZ), phones)


def write_sample(path: Path, spoken: Utterance, facts: dict[str, object]) -> None:
    """``path`` (.flac) and the .json beside it, each under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {**facts, "phones": [_rounded(phone) for phone in spoken.phones]}
    sound, text = (
        path.with_name(f"{path.stem}.{os.getpid()}.flac"),
        path.with_name(f"{path.stem}.{os.getpid()}.json"),
    )
    soundfile.write(sound, spoken.waveform.samples, spoken.waveform.rate_hz, subtype="PCM_16")
    text.write_text(json.dumps(values) + "\n", encoding="utf-8")
    sound.replace(path)
    text.replace(path.with_suffix(".json"))


def _rounded(phone: Phone) -> dict[str, object]:
    return {**asdict(phone), "start_s": round(phone.start_s, 4), "end_s": round(phone.end_s, 4)}


def make(output: Path, head_dir: Path) -> list[Path]:
    """Write everything; returns the sound files.  Raises UserError."""
    synthesisers = Synthesisers()
    articulator = Articulator(read_head(head_dir))
    slt, awb, kal16 = TRAINING_SPEAKERS[:3]
    espeak = next(speaker for speaker in TRAINING_SPEAKERS if speaker.name == "espeak-us-f3")
    rms = HELD_OUT_SPEAKERS[0]
    demo = speak(synthesisers, slt, DEMO_SENTENCE, _DEMO_RATE)
    written = [output / "demo.flac"]
    write_sample(written[0], demo, {"text": DEMO_SENTENCE, "voice": slt.name})
    for number, speaker in enumerate((slt, awb, kal16, espeak, rms, rms, rms, rms)):
        text = HELD_OUT_SENTENCES[number]
        spoken = speak(synthesisers, speaker, text)
        weights = articulator.animate(
            spoken.phones, spoken.waveform, FPS, STYLES[0], np.random.default_rng(number)
        )
        opening = articulator.lips.opening(weights.astype(np.float64)) + articulator.lips.rest_mm
        facts = {
            "text": text, "voice": speaker.name, "style": STYLES[0].name, "fps": FPS,
            "rest_mm": round(articulator.lips.rest_mm, 3),
            "mid_lip_distance_mm": np.round(opening, 3).tolist(),
        }  # fmt: skip
        written.append(output / "heldout" / f"{number + 1:02d}-{speaker.name}.flac")
        write_sample(written[-1], spoken, facts)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the shipped speech and print each file's length, size and hash."""
    parser = argparse.ArgumentParser(description="Make the speech that the project ships.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--head", type=Path, default=DEFAULT_HEAD)
    options = parser.parse_args(arguments)
    try:
        written = make(options.output, options.head)
    except UserError as error:
        parser.exit(2, f"{error}\n")
    for path in written:
        record = file_record(path)
        print(f"{path}  {soundfile.info(path).duration:.2f} s  {record.bytes} bytes  sha256 {record.sha256}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
