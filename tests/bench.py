"""``python build.py bench``: ours against the plain loop, side by side in one run.

Prints one table and writes it as JSON.  Official sizes run on random weights, driven by seeded
unit-variance noise in place of speech features (random speech weights collapse to a few codes);
a comparison counts only when the codes are equal and varied.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codetalker_blender.contracts import Waveform
from codetalker_blender.engine.bundle import load_bundle
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.generate import CodeLoop, CodeSampler, generate
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.resources import default_model
from tests.bench_plain import plain_codes

OFFICIAL = {
    "vocaset": (CodecConfig(vertex_count=5023), QueryConfig(motion_dim=15069)),
    "biwi": (
        CodecConfig(vertex_count=23370, components=8, code_dim=128, code_projection=True, output_bias=False),
        QueryConfig(
            motion_dim=70110, layers=12, components=8, code_dim=128, styles=6, period=25, speech_frames=2
        ),
    ),
}


def other_load() -> float:
    """Processor time of all processes but this one since boot, in seconds (Linux; else 0)."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    busy = sum(int(x) for i, x in enumerate(fields[:8]) if i not in (3, 4)) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return busy - own.user - own.system


def official_row(name: str, seconds: float) -> dict[str, Any]:
    """Plain loop and ours on one official size."""
    codec_config, query_config = OFFICIAL[name]
    torch.manual_seed(0)
    codec, query = Codec(codec_config).eval(), CodeQuery(query_config).eval()
    with torch.no_grad():
        codec.quantiser.codebook.normal_()
        query.feature_map.weight.normal_(std=query_config.hidden**-0.5)
    fps = 25 if query_config.speech_frames == 2 else 30
    steps = round(seconds * fps)
    noise = torch.Generator().manual_seed(1)
    speech = torch.randn(1, steps * query_config.speech_frames, query_config.speech_dim, generator=noise)
    style = torch.eye(query_config.styles)[None, :1]
    others, begin = other_load(), time.perf_counter()
    with torch.inference_mode():
        loop = CodeLoop(codec, query, speech, style, CodeSampler(0.0, 0))
        ours = torch.stack([loop.step()[0][0] for _ in range(steps)])
        latent = codec.quantiser.lookup(ours)[None]
        codec.to_offsets(codec.decoder(latent))
    middle = time.perf_counter()
    plain = plain_codes(codec, query, speech, style)
    with torch.inference_mode():
        codec.to_offsets(codec.decode(plain[None]))
    end = time.perf_counter()
    return {
        "config": name,
        "clip_s": seconds,
        "plain_s": round(end - middle, 2),
        "ours_s": round(middle - begin, 2),
        "ratio": round((end - middle) / (middle - begin), 2),
        "of_real_time": round((middle - begin) / seconds, 2),
        "codes_equal": bool((ours == plain).all()),
        "distinct_codes": len(ours.unique()),
        "others_cpu": round((other_load() - others) / (end - begin), 2),
    }


def default_row(seconds: float) -> dict[str, Any]:
    """The shipped bundle, sound to offsets."""
    bundle = load_bundle(default_model())
    random = np.random.default_rng(0)
    envelope = np.repeat(random.random(int(seconds * 8)), 2000)[: int(seconds * 16000)]
    sound = (0.1 * envelope * random.standard_normal(len(envelope))).astype(np.float32)
    style = np.eye(len(bundle.card.styles), dtype=np.float32)[:1]
    generate(bundle, Waveform(sound[:16000], 16000), style)
    others, begin = other_load(), time.perf_counter()
    motion = generate(bundle, Waveform(sound, 16000), style)
    end = time.perf_counter()
    return {
        "config": bundle.card.name,
        "clip_s": seconds,
        "ours_s": round(end - begin, 2),
        "of_real_time": round((end - begin) / seconds, 3),
        "distinct_codes": len(np.unique(motion.codes)),
        "others_cpu": round((other_load() - others) / (end - begin), 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="build.py bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="clip length of the official sizes")
    parser.add_argument("--output", type=Path, default=Path("build/bench/bench.json"))
    parser.add_argument("--configs", nargs="*", default=["default", "vocaset", "biwi"])
    options = parser.parse_args()
    rows = []
    for name in options.configs:
        row = default_row(60.0) if name == "default" else official_row(name, options.seconds)
        row["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
        rows.append(row)
        print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": rows}
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"The table is in {options.output}.", file=sys.stderr)
    return 0 if all(row.get("codes_equal", True) for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
