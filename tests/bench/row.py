"""One request → one row, measured here and now.

As a program (``python -m tests.bench.row REQUEST``, JSON in, JSON as the last line out) it gives every row
a process of its own, so that a row's peak of memory is its own too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codetalker_blender.engine.bundle import Bundle, load_bundle
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.devices import choose_device
from codetalker_blender.engine.generate import MotionStream, generate
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechConfig, SpeechEncoder
from codetalker_blender.errors import EngineError
from codetalker_blender.motion_files import motion_writer
from codetalker_blender.resources import default_model

from .batch_row import batch_row
from .floor import floor_line, floor_record
from .machine import OtherLoad, cpu_model, peak_memory_gib
from .plain import PlainCodes, plain_codes
from .rates import measure_rates, wait_for
from .requests import Request
from .result import Comparison, Difference, Row
from .retarget import apply_row, bind_row, solve_row
from .sizes import SIZES, Drive, made_sound, noise, random_bundle, random_networks


class Clock:
    """Seconds since it was made, the device's unfinished work included."""

    def __init__(self, device: str) -> None:
        self._device = device
        wait_for(device)
        self._begin = time.perf_counter()

    def seconds(self) -> float:
        wait_for(self._device)
        return time.perf_counter() - self._begin


def peak_gib(device: str) -> float | None:
    """The most memory held so far: on the GPU where there is one in use, else by this process."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return peak_memory_gib()


def compare(ours: Tensor, reference: Tensor, distances: Tensor | None = None) -> Comparison:
    """Codes (steps, H) of two loops; distances: (steps, H, 2), the reference's nearest and second-nearest."""
    ours, reference = ours.cpu(), reference.cpu()
    unequal = (ours != reference).nonzero()
    difference = None
    if len(unequal):
        frame, component = (int(place) for place in unequal[0])
        codes = int(ours[frame, component]), int(reference[frame, component])
        difference = Difference(frame, component, *codes)
        if distances is not None:
            difference = Difference(frame, component, *codes, *distances[frame, component].tolist())
    agreement = 1.0 - len(unequal) / ours.numel()
    return Comparison(agreement, len(reference.unique()), difference)


# The loops ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FastClip:
    """What the engine's loop made of a clip.

    codes: (steps, H); seconds: all of it; setup_s: of them, before the first step, whatever the length
    """

    codes: Tensor
    seconds: float
    setup_s: float

    @property
    def setup(self) -> str:
        return f"of the fast loop's time {self.setup_s:.3g} s are its set-up, the same for every length"


@torch.inference_mode()
def fast_clip(codec: Codec, query: CodeQuery, drive: Drive, **options: Any) -> FastClip:
    """The engine's codes of one clip; its vertices are made and dropped."""
    clock = Clock(str(drive.speech.device))
    loop = CodeLoop(codec, query, drive.speech, drive.style, CodeSampler(0.0, 0), **options)
    setup_s = clock.seconds()
    codes = torch.stack([loop.step()[0][0] for _ in range(loop.steps)])
    codec.to_offsets(codec.decode(codes[None]))
    return FastClip(codes, clock.seconds(), setup_s)


@torch.inference_mode()
def plain_clip(codec: Codec, query: CodeQuery, drive: Drive) -> PlainCodes:
    """The same by the plain loop."""
    plain = plain_codes(codec, query, drive.speech, drive.style)
    codec.to_offsets(codec.decode(plain.codes[None]))
    return plain


def codes_row(request: Request) -> Row:
    """The plain loop and the engine's on one official size, with the floor."""
    codec, query = random_networks(*SIZES[request.size], request.device)
    drive = noise(query.config, request.seconds, request.device)
    # libraries are set up at their first use, which is neither loop's cost
    short = noise(query.config, 0.1, request.device)
    fast_clip(codec, query, short)
    plain_clip(codec, query, short)
    load = OtherLoad()
    fast, peak = fast_clip(codec, query, drive), peak_gib(request.device)
    clock = Clock(request.device)
    plain = plain_clip(codec, query, drive)
    plain_s, others = clock.seconds(), load.cores()
    comparison = compare(fast.codes, plain.codes, plain.distances)
    record, notes = _floor(request, drive.steps, fast.seconds, torch.float32)
    return Row(
        config=request.label, clip_s=request.seconds, plain_s=plain_s, fast_s=fast.seconds, peak_gib=peak,
        distinct_codes=comparison.distinct, others_cores=others, comparison=comparison,
        notes=(fast.setup, *notes), floor=record,
    )  # fmt: skip


def precision_row(request: Request) -> Row:
    """The engine's loop in ``precision="fast"`` beside its exact one."""
    codec, query = random_networks(*SIZES[request.size], request.device)
    drive = noise(query.config, request.seconds, request.device)
    fast_clip(codec, query, noise(query.config, 0.1, request.device), precision="fast")
    load = OtherLoad()
    fast = fast_clip(codec, query, drive, precision="fast")
    peak = peak_gib(request.device)
    exact = fast_clip(codec, query, drive)
    others, comparison = load.cores(), compare(fast.codes, exact.codes)
    record, notes = _floor(request, drive.steps, fast.seconds, torch.bfloat16)
    agreed = f"beside the exact loop, not the plain one: {100 * comparison.agreement:.2f} % of codes agree"
    if comparison.difference is not None:
        agreed = f"{agreed}; {comparison.difference}"
    return Row(
        config=request.label, clip_s=request.seconds, plain_s=exact.seconds, fast_s=fast.seconds,
        peak_gib=peak, distinct_codes=comparison.distinct, others_cores=others, comparison=comparison,
        exact=False, notes=(agreed, fast.setup, *notes), floor=record,
    )  # fmt: skip


def _floor(
    request: Request, steps: int, fast_s: float, prefix: torch.dtype
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The floor's record, and what to say of it; ``prefix`` is the format in which the past is decoded."""
    formats = (torch.float32, torch.bfloat16)
    configs = SIZES[request.size]
    rates = measure_rates(configs[0], steps, formats, request.device)
    record = floor_record(*configs, steps, rates[0], rates[formats.index(prefix)])
    record["rates"] = [asdict(one) for one in rates]
    return record, (floor_line(record, fast_s), *map(str, rates))


# Whole bundles, and the encoder alone ---------------------------------------------------------


def _bundle(size: str) -> Bundle:
    return load_bundle(default_model()) if size == "default" else random_bundle(size)


def _first_style(bundle: Bundle) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.eye(len(bundle.card.styles), dtype=np.float32)[:1]


def sound_row(request: Request) -> Row:
    """A whole bundle, sound to offsets in memory."""
    bundle, device = _bundle(request.size), request.device
    style, sound = _first_style(bundle), made_sound(request.seconds)
    generate(bundle, made_sound(0.5), style, device=device)
    load, clock = OtherLoad(), Clock(device)
    motion = generate(bundle, sound, style, device=device)
    return Row(
        config=request.label, clip_s=request.seconds, fast_s=clock.seconds(), peak_gib=peak_gib(device),
        distinct_codes=len(np.unique(motion.codes)), others_cores=load.cores(),
    )  # fmt: skip


def file_row(request: Request) -> Row:
    """A whole bundle, sound to a motion file, of which only a chunk at a time is in memory."""
    bundle, device = _bundle(request.size), request.device
    style, sound = _first_style(bundle), made_sound(request.seconds)
    generate(bundle, made_sound(0.5), style, device=device)
    distinct: set[int] = set()
    # beside the reports, because a memory disk would be no file
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "motion.npz"
        load, clock = OtherLoad(), Clock(device)
        stream = MotionStream(bundle, sound, style, device=device)
        rate = stream.fps
        with motion_writer(path, stream.frame_count, stream.vertex_count, rate, rate) as writer:
            for chunk in stream:
                writer.add(chunk.offsets)
                writer.add_codes(chunk.codes)
                distinct.update(np.unique(chunk.codes).tolist())
        fast_s, others = clock.seconds(), load.cores()
        note = f"{stream.frame_count} frames in a file of {path.stat().st_size / 2**30:.2f} GiB"
    return Row(
        config=f"{request.label} to a file", clip_s=request.seconds, fast_s=fast_s, peak_gib=peak_gib(device),
        distinct_codes=len(distinct), others_cores=others, notes=(note,),
    )  # fmt: skip


@torch.inference_mode()
def speech_row(request: Request) -> Row:
    """An encoder of wav2vec2-base's size, random weights, the whole clip at once."""
    torch.manual_seed(0)
    encoder = SpeechEncoder(SpeechConfig()).eval().to(request.device)
    samples = torch.from_numpy(made_sound(request.seconds).samples).to(request.device)
    encoder.features(samples[: SAMPLE_RATE_HZ // 2])
    load, clock = OtherLoad(), Clock(request.device)
    encoder.features(samples)
    return Row(
        config=request.label, clip_s=request.seconds, fast_s=clock.seconds(),
        peak_gib=peak_gib(request.device), others_cores=load.cores(),
    )  # fmt: skip


MEASURES: dict[str, Callable[[Request], Row]] = {
    "codes": codes_row,
    "precision": precision_row,
    "sound": sound_row,
    "file": file_row,
    "speech": speech_row,
    "batch": batch_row,
    "bind": bind_row,
    "apply": apply_row,
    "solve": solve_row,
}


def machine(device: str) -> dict[str, Any]:
    """What a row was measured on."""
    gpu = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else None
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": cpu_model(),
        "gpu": gpu,
    }


def use_device(name: str) -> None:
    """Refuse a device that is not there, and keep a GPU to full float32.  Raises EngineError."""
    choose_device(name)
    # TF32's short products would change codes
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def main() -> int:
    request = Request(**json.loads(sys.argv[1]))
    try:
        use_device(request.device)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    row = MEASURES[request.kind](request)
    print(json.dumps({"machine": machine(request.device), "row": asdict(row)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
