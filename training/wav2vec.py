"""Pretrained wav2vec 2.0 weights that the user has → the start of the speech encoder.

A folder in transformers' layout, or a name of the hub: from the local cache, and from the network only
when the user says so.
"""

from __future__ import annotations

from dataclasses import replace

from safetensors import SafetensorError
from transformers import Wav2Vec2Config, Wav2Vec2Model

from codetalker_blender.engine.speech import SpeechConfig
from codetalker_blender.errors import UserError

from .config import Preset

#: The convolutions that the engine's frame grid is made for.
_KERNELS, _STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def start_pretrained(preset: Preset, name: str, online: bool = False) -> tuple[Preset, Wav2Vec2Model]:
    """The preset with the pretrained sizes and without a speech stage, and the network.

    The network keeps the dropouts it was trained with; its time masking is the preset's.
    Raises UserError when the preset or the weights do not suit.
    """
    if preset.speech.chunked or preset.speech.front_end != "conv":
        raise UserError(
            "--wav2vec is for presets whose encoder hears whole clips of raw sound.",
            "Choose the preset vocaset or biwi.",
        )
    speech = preset.speech
    try:
        network = Wav2Vec2Model.from_pretrained(
            name,
            local_files_only=not online,
            attn_implementation="eager",
            mask_time_prob=speech.mask_probability,
            mask_time_length=speech.mask_length,
            mask_time_min_masks=speech.mask_min,
            mask_feature_prob=0.0,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"The wav2vec 2.0 weights '{name}' cannot be loaded: {reason}.",
            "Give a folder with config.json and model.safetensors"
            + ("." if online else ", or --online to fetch a name from the Hugging Face hub."),
        ) from error
    return replace(preset, speech=config_of(network.config, speech, name), speech_stage=None), network


def config_of(config: Wav2Vec2Config, speech: SpeechConfig, name: str) -> SpeechConfig:
    """``speech`` with the pretrained network's sizes.  Raises UserError for variants the engine lacks."""
    odd = [
        text
        for differs, text in (
            (tuple(config.conv_kernel) != _KERNELS, f"convolution kernels {tuple(config.conv_kernel)}"),
            (tuple(config.conv_stride) != _STRIDES, f"convolution strides {tuple(config.conv_stride)}"),
            (len(set(config.conv_dim)) != 1, f"convolution widths {tuple(config.conv_dim)}"),
            (config.conv_bias, "biases in its convolutions"),
            (config.do_stable_layer_norm, "normalisation before its layers"),
            (config.hidden_act != "gelu", f"activation {config.hidden_act}"),
            (bool(config.add_adapter), "an adapter"),
        )
        if differs
    ]
    if odd:
        raise UserError(
            f"The wav2vec 2.0 weights '{name}' have {', '.join(odd)}, which the engine does not run.",
            "Use weights of the base model, such as wav2vec2-base-960h.",
        )
    return replace(
        speech,
        conv_dim=config.conv_dim[0],
        feature_norm=config.feat_extract_norm,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        mlp=config.intermediate_size,
        position_kernel=config.num_conv_pos_embeddings,
        position_groups=config.num_conv_pos_embedding_groups,
    )
