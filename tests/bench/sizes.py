"""The networks that are measured: official sizes with random weights, and what drives them.

Random speech weights collapse to a few codes, so seeded unit-variance noise stands in for speech features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from codetalker_blender.contracts import FaceMesh, FloatArray, Waveform
from codetalker_blender.engine.bundle import Bundle
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechConfig, SpeechEncoder
from codetalker_blender.model_files import FORMAT_VERSION, ModelCard

SIZES = {
    "vocaset": (CodecConfig(vertex_count=5023), QueryConfig(motion_dim=15069)),
    "biwi": (
        CodecConfig(vertex_count=23370, components=8, code_dim=128, code_projection=True, output_bias=False),
        QueryConfig(
            motion_dim=70110, layers=12, components=8, code_dim=128, styles=6, period=25, speech_frames=2
        ),
    ),
    # VOCASET's at half the width, as a codec for long clips would be
    "half": (
        CodecConfig(vertex_count=5023, hidden=512, mlp=768, code_dim=32),
        QueryConfig(motion_dim=15069, speech_dim=192, hidden=512, mlp=1024, code_dim=32),
    ),
    "tiny": (
        CodecConfig(vertex_count=40, hidden=64, layers=2, heads=4, mlp=96, components=16, code_dim=4),
        QueryConfig(
            motion_dim=120, speech_dim=32, hidden=64, layers=2, mlp=96, components=16, code_dim=4, styles=3
        ),
    ),
}
#: A small encoder on chunks, that runs in front of "half" at any length.
_CHUNKED = SpeechConfig(
    front_end="log_mel", conv_dim=128, feature_norm="layer", hidden=192, layers=3, heads=4, mlp=512,
    position_kernel=32, position_groups=8, level="fixed", chunk_s=2.0, context_s=0.3,
)  # fmt: skip


#: Deviation of what the query hears, next to a style vector's 1.
_SPEECH_GAIN = 3.0


@dataclass(frozen=True)
class Drive:
    """A clip for the loops.

    speech: (1, steps * speech_frames, channels) noise in place of features; style: (1, 1, styles)
    """

    speech: Tensor
    style: Tensor
    steps: int


def fps_of(query: QueryConfig) -> int:
    """BIWI's 25, which has two speech frames per step, or VOCASET's 30."""
    return 25 if query.speech_frames == 2 else 30


def random_networks(codec: CodecConfig, query: QueryConfig, device: str = "cpu") -> tuple[Codec, CodeQuery]:
    """Seeded networks in evaluation mode whose codes vary."""
    torch.manual_seed(0)
    networks = Codec(codec).eval(), CodeQuery(query).eval()
    with torch.no_grad():
        networks[0].quantiser.codebook.normal_()
        # it begins as zeros, for training
        networks[1].feature_map.weight.normal_(std=query.hidden**-0.5)
        # or the style, which stays, would outweigh the noise, and BIWI's size uses 66 codes in 4 s
        networks[1].speech_map.weight.normal_(std=_SPEECH_GAIN * query.speech_dim**-0.5)
    return networks[0].to(device), networks[1].to(device)


def noise(query: QueryConfig, seconds: float, device: str = "cpu") -> Drive:
    """The same noise on every device."""
    steps = max(2, round(seconds * fps_of(query)))
    random = torch.Generator().manual_seed(1)
    speech = torch.randn(1, steps * query.speech_frames, query.speech_dim, generator=random)
    return Drive(speech.to(device), torch.eye(query.styles, device=device)[None, :1], steps)


def made_sound(seconds: float) -> Waveform:
    """Noise in syllables, eight a second: (n,) at 16 kHz."""
    random = np.random.default_rng(0)
    syllable = SAMPLE_RATE_HZ // 8
    count = round(seconds * SAMPLE_RATE_HZ)
    samples: FloatArray = random.standard_normal(count, dtype=np.float32)
    # in place, or an hour's copies would be the row's peak of memory
    for first in range(0, count, syllable):
        samples[first : first + syllable] *= np.float32(0.1 * random.random())
    return Waveform(samples, SAMPLE_RATE_HZ)


def random_bundle(size: str) -> Bundle:
    """A whole bundle of one size of one speech frame per step, with a small encoder in front."""
    codec, query = SIZES[size]
    networks = random_networks(codec, query)
    torch.manual_seed(0)
    card = ModelCard(
        format_version=FORMAT_VERSION,
        name=size,
        description="random weights",
        licence="CC0-1.0",
        fps=_CHUNKED.fps,
        units_per_metre=1.0,
        up_axis="Z",
        styles=tuple(f"style {index}" for index in range(query.styles)),
        temperature=0.0,
        codec={},
        query={},
        speech={},
        files={},
    )
    empty = np.zeros(0, np.int32)
    vertices = np.zeros((codec.vertex_count, 3), np.float32)
    face = FaceMesh(vertices, np.zeros((0, 3), np.int32), mid_lips=empty, lip_corners=empty)
    return Bundle(card, face, *networks, SpeechEncoder(_CHUNKED)).eval()
