"""Multiply-adds and numbers read → the least time a clip can take on a machine of given rates.

Counted is the exact algorithm for a codec that looks both ways, every matrix kept as it is but the
product of the codec's last Linear and the query's first.  With h, L, m, k the codec's width, blocks, MLP
width and kernel, n the frames so far, one step needs

    convolution   k h² for each frame whose window changed: the newest and k // 2 before it
    Linear        n h²: the norm over time changes every frame
    blocks        (L - 1) (n (4 h² + 2 h m) + 2 n² h), and for the last one, of which only the newest frame
                  is wanted, 4 h² + 2 h m + 2 a n h with a heads: no frame needs a key or value of its own

and of the query, now with its own h, L, m, once per step

    layers        L (4 h² + 2 h m + 2 n h), and with w > 1 speech frames per step 2 h² + 2 w h for each
    features      h H C, and H C N for the distances to N codes

The speech side of the query (its Linear, and each layer's keys and values) and the last decoding of all
frames are whole-clip products.  Weights are read at every step: they are larger than the caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.engine.codebook import CodecConfig
from codetalker_blender.engine.query import QueryConfig

from .rates import Rates

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One part of the work, which must be over before the next begins.

    macs: multiply-adds of each step; rows: rows of its products (the M of a GEMM); numbers: read or written
    """

    macs: Floats
    rows: Floats
    numbers: Floats

    def compute_s(self, rates: Rates) -> float:
        return float((self.macs / rates.macs_per_s(self.rows)).sum())

    def memory_s(self, rates: Rates) -> float:
        return float(self.numbers.sum() * rates.number_bytes / rates.bytes_per_s)


def _part(macs: float, rows: float, numbers: float) -> Part:
    """A part that is done once."""
    return Part(*(np.array([float(value)]) for value in (macs, rows, numbers)))


# The codec ------------------------------------------------------------------------------------


def _block_weights(codec: CodecConfig) -> int:
    return 4 * codec.hidden**2 + 2 * codec.hidden * codec.mlp


def codec_weights(codec: CodecConfig) -> int:
    """Weights of the decoder but its last Linear."""
    projection = codec.latent_dim * codec.hidden if codec.code_projection else 0
    return projection + (codec.kernel + 1) * codec.hidden**2 + codec.layers * _block_weights(codec)


def whole_decode_macs(codec: CodecConfig, frames: int) -> int:
    """All frames' hidden states at once, before the vertices."""
    return frames * codec_weights(codec) + codec.layers * 2 * frames**2 * codec.hidden


def prefix_macs(codec: CodecConfig, n: Floats) -> Floats:
    """The newest frame's hidden state for prefixes of n frames."""
    h, m = codec.hidden, codec.mlp
    projection = codec.latent_dim * h if codec.code_projection else 0
    convolved = np.minimum(n, 1 + codec.kernel // 2) * codec.kernel * h**2
    whole = (codec.layers - 1) * (n * _block_weights(codec) + 2 * n**2 * h)
    last = 4 * h**2 + 2 * h * m + 2 * codec.heads * n * h
    return np.asarray(projection + convolved + n * h**2 + whole + last, np.float64)


# The query ------------------------------------------------------------------------------------


def query_step_macs(codec: CodecConfig, query: QueryConfig, n: Floats) -> Floats:
    """One step with n - 1 steps before it, the feedback in front and the distances behind."""
    h, window = query.hidden, query.speech_frames
    seen = np.minimum(n, query.look_back or np.inf)
    heard = 2 * h**2 + 2 * window * h if window > 1 else 0
    layers = query.layers * (4 * h**2 + 2 * h * query.mlp + 2 * seen * h + heard)
    chosen = query.feature_dim * (h + query.code_count)
    return np.asarray(codec.hidden * h + layers + chosen, np.float64)


def query_step_numbers(codec: CodecConfig, query: QueryConfig, n: Floats) -> Floats:
    """Weights and cached keys and values of one step."""
    h, window = query.hidden, query.speech_frames
    seen = np.minimum(n, query.look_back or np.inf)
    heard = 2 * h**2 + 2 * window * h if window > 1 else h
    layers = query.layers * (4 * h**2 + 2 * h * query.mlp + 2 * seen * h + heard)
    chosen = h * query.feature_dim + query.code_count * query.code_dim
    return np.asarray(codec.hidden * h + layers + chosen, np.float64)


def heard_macs(query: QueryConfig, steps: int) -> int:
    """Speech features of a clip → what every layer takes from them.

    With one speech frame per step that is the value through the output matrix; else keys and values.
    """
    frames = steps * query.speech_frames
    return frames * (query.speech_dim * query.hidden + query.layers * 2 * query.hidden**2)


# A clip ---------------------------------------------------------------------------------------


def clip_parts(codec: CodecConfig, query: QueryConfig, steps: int) -> dict[str, Part]:
    """All of a clip's work from speech features to vertices.  Raises ValueError for a causal codec."""
    if codec.causal or codec.temporal_unit != 1 or codec.basis_rank or query.categorical:
        raise ValueError("the floor is counted for codecs that look both ways, frame by frame")
    n = np.arange(1, steps + 1, dtype=np.float64)
    heard_numbers = query.speech_dim * query.hidden + query.layers * 2 * query.hidden**2
    vertex_weights = codec.hidden * codec.motion_dim
    return {
        "speech": _part(heard_macs(query, steps), steps * query.speech_frames, heard_numbers),
        "query": Part(query_step_macs(codec, query, n), np.ones(steps), query_step_numbers(codec, query, n)),
        "prefix": Part(prefix_macs(codec, n), n, np.full(steps, float(codec_weights(codec)))),
        "decode": _part(whole_decode_macs(codec, steps), steps, codec_weights(codec)),
        "vertices": _part(steps * vertex_weights, steps, vertex_weights + steps * codec.motion_dim),
    }


def floor_record(
    codec: CodecConfig, query: QueryConfig, steps: int, rates: Rates, prefix_rates: Rates
) -> dict[str, Any]:
    """The floor as plain data: seconds of the whole and of each part, with what was counted.

    A part takes the longer of its products and its traffic; parts follow each other.
    prefix_rates: of the number format in which the loop decodes its past
    """
    parts = {}
    for name, part in clip_parts(codec, query, steps).items():
        own = prefix_rates if name == "prefix" else rates
        compute_s, memory_s = part.compute_s(own), part.memory_s(own)
        parts[name] = {
            "seconds": max(compute_s, memory_s),
            "compute_s": compute_s,
            "memory_s": memory_s,
            "gmac": float(part.macs.sum()) / 1e9,
            "gbyte": float(part.numbers.sum()) * own.number_bytes / 1e9,
        }
    total_s = sum(values["seconds"] for values in parts.values())
    return {"seconds": total_s, "parts": parts}


def floor_line(record: dict[str, Any], fast_s: float) -> str:
    """The record in words, next to the measured time."""
    bounds = ", ".join(
        f"{name} {part['seconds']:.3g} {'products' if part['compute_s'] >= part['memory_s'] else 'memory'}"
        for name, part in record["parts"].items()
    )
    return (
        f"floor {record['seconds']:.3g} s ({bounds}); measured {fast_s:.3g} s, "
        f"{fast_s / record['seconds']:.2f} times the floor"
    )
