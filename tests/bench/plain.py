"""The original's loop, kept as the yardstick: everything is computed anew at every step.

Same networks, same codes; the cost follows the released implementation: the whole prefix through
the query, every speech frame as a key of the cross-attention, the whole prefix through the codec,
and 3V numbers per frame fed back through ``motion_map``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.layers import WindowAttention, age_bias, head_slopes, look_back_mask, step_ages
from codetalker_blender.engine.query import CodeQuery


@dataclass(frozen=True)
class PlainCodes:
    """What the plain loop chose, and how clearly.

    codes: (steps, H)
    distances: (steps, H, 2) squared distances to the nearest and to the second-nearest code
    """

    codes: Tensor
    distances: Tensor


def _all_keys(attention: WindowAttention, x: Tensor, memory: Tensor) -> Tensor:
    """Cross-attention over every speech frame, all but the step's own hidden by a mask."""
    hidden, window = x.shape[-1], attention.window
    query = F.linear(x, attention.qkv.weight[:hidden], attention.qkv.bias[:hidden])
    packed = F.linear(memory, attention.qkv.weight[hidden:], attention.qkv.bias[hidden:])
    key, value = packed.chunk(2, dim=-1)
    query, key, value = (t.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for t in (query, key, value))
    step = torch.arange(x.shape[1], device=x.device)[:, None]
    owner = torch.arange(memory.shape[1], device=x.device)[None] // window
    mask = x.new_zeros(step.shape[0], memory.shape[1]).masked_fill(owner != step, -math.inf)
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return torch.as_tensor(attention.output(attended.transpose(1, 2).flatten(2)))


@torch.inference_mode()
def plain_codes(codec: Codec, query: CodeQuery, speech: Tensor, style: Tensor) -> PlainCodes:
    """The nearest codes of one clip.

    speech: (1, steps * speech_frames, channels); style: (1, 1, styles)
    Only for the official variants: one motion frame per step, all components quantised by distance.
    """
    config, device = query.config, speech.device
    if config.categorical or config.temporal_unit != 1 or codec.config.shape_input:
        raise ValueError("the plain loop knows the official variants only")
    memory = query.speech_map(speech)
    steps = memory.shape[1] // config.speech_frames
    style_vector = query.style_vectors(style)
    embeddings = style_vector if config.bias_free_start else style_vector + query.motion_map.bias
    distances = torch.empty(0)
    for step in range(steps):
        x = embeddings + query.positions(0, step + 1, device)
        ages = step_ages(step + 1, device).clamp_min(0)
        bias = age_bias(ages, head_slopes(config.heads), config.period) + look_back_mask(
            step + 1, config.look_back, device
        )
        for layer in query.stack:
            x = layer.norms[0](x + layer.self_attention(x, bias))
            x = layer.norms[1](x + _all_keys(layer.cross_attention, x, memory))
            x = layer.norms[2](x + layer.mlp_out(F.relu(layer.mlp_in(x))))
        distances = codec.quantiser.distances(query.feature_map(x))
        offsets = codec.to_offsets(codec.decode(distances.argmin(dim=-1)))
        fed = query.motion_map(codec.to_motion(offsets)[:, -1:]) + style_vector
        embeddings = torch.cat((embeddings, fed), dim=1)
    return PlainCodes(distances.argmin(dim=-1)[0], distances[0].topk(2, dim=-1, largest=False).values)
