"""Official CodeTalker checkpoints → the networks of this package.

Turns the two released ``.pth.tar`` files (``{'state_dict': ...}``) of either flavour into a codec,
a code query and a speech encoder.  Sizes are read off the tensors' shapes; what shapes cannot
tell is in ``OfficialOptions``.  ``torch.load(weights_only=True)`` alone: nothing is executed.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import BundleError
from .bundle import load_strictly
from .codebook import Codec, CodecConfig
from .query import CodeQuery, QueryConfig
from .speech import SpeechConfig, SpeechEncoder

#: Speaking styles by row, as the released models were trained.
BIWI_STYLES = ("F2", "F3", "F4", "M3", "M4", "M5")
VOCASET_STYLES = (
    "FaceTalk_170728_03272_TA",
    "FaceTalk_170904_00128_TA",
    "FaceTalk_170725_00137_TA",
    "FaceTalk_170915_00223_TA",
    "FaceTalk_170811_03274_TA",
    "FaceTalk_170913_03279_TA",
    "FaceTalk_170904_03276_TA",
    "FaceTalk_170912_03278_TA",
)

_CODEC_NAMES = (
    (r"^encoder\.vertice_mapping\.0\.", "encoder.input."),
    (r"^encoder\.squasher\.0\.0\.", "encoder.trunk.conv.conv."),
    (r"^encoder\.encoder_linear_embedding\.net\.", "encoder.trunk.linear."),
    (r"^encoder\.encoder_linear_embedding_post\.net\.", "encoder.code_projection."),
    (r"^decoder\.decoder_linear_embedding_pre\.net\.", "decoder.code_projection."),
    (r"^decoder\.expander\.0\.0\.", "decoder.trunk.conv.conv."),
    (r"^decoder\.decoder_linear_embedding\.net\.", "decoder.trunk.linear."),
    (r"^decoder\.vertice_map_reverse\.", "decoder.output."),
    (r"^quantize\.embedding\.weight$", "quantiser.codebook"),
)
_BLOCK_PARTS = {
    "fn.norm": ("attention_norm", "mlp_norm"),
    "fn.fn.to_qkv": ("attention.qkv", None),
    "fn.fn.to_out": ("attention.output", None),
    "fn.fn.l1": (None, "mlp_in"),
    "fn.fn.l2": (None, "mlp_out"),
}
_QUERY_NAMES = (
    (r"^audio_feature_map\.", "speech_map."),
    (r"^vertice_map\.", "motion_map."),
    (r"^feat_map\.", "feature_map."),
    (r"^learnable_style_emb\.weight$", "style_embedding"),
    (r"^transformer_decoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)$", r"layers.\1.self_attention.qkv.\2"),
    (r"^transformer_decoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"layers.\1.self_attention.output."),
    (r"^transformer_decoder\.layers\.(\d+)\.multihead_attn\.in_proj_(weight|bias)$", r"layers.\1.cross_attention.qkv.\2"),
    (r"^transformer_decoder\.layers\.(\d+)\.multihead_attn\.out_proj\.", r"layers.\1.cross_attention.output."),
    (r"^transformer_decoder\.layers\.(\d+)\.linear1\.", r"layers.\1.mlp_in."),
    (r"^transformer_decoder\.layers\.(\d+)\.linear2\.", r"layers.\1.mlp_out."),
    (r"^transformer_decoder\.layers\.(\d+)\.norm1\.", r"layers.\1.norms.0."),
    (r"^transformer_decoder\.layers\.(\d+)\.norm2\.", r"layers.\1.norms.1."),
    (r"^transformer_decoder\.layers\.(\d+)\.norm3\.", r"layers.\1.norms.2."),
)
# computed here, so the tables that the checkpoints carry are not needed
_TABLES = re.compile(r"(_pos_embedding\.pe|^PPE\.pe)$")


@dataclass(frozen=True)
class OfficialOptions:
    """What the tensors' shapes cannot tell; the defaults are the released models' values.

    fps, period, None: by flavour (BIWI 25, VOCASET 30)
    """

    codec_heads: int = 8
    query_heads: int = 4
    speech_heads: int = 12
    fps: float | None = None
    period: int | None = None


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of a ``.pth.tar``, without executing anything in it.  Raises BundleError."""
    if not path.is_file():
        raise BundleError(f"There is no checkpoint file '{path}'.", "Give the path of the downloaded .pth.tar file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BundleError(
            f"'{path}' is not a plain checkpoint of tensors and was refused without running anything in it.",
            "Use the file that CodeTalker's authors released.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f"'{path}' cannot be read as a torch checkpoint: {str(error).splitlines()[0]}.") from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise BundleError(f"'{path}' holds no 'state_dict' of tensors.", "Use CodeTalker's stage-1 or stage-2 file.")
    return {str(name): tensor.float() for name, tensor in state.items() if not _TABLES.search(str(name))}


def _codec_name(name: str) -> str:
    block = re.match(r"^(encoder|decoder)\.\w+_transformer\.net\.(\d+)\.(.+)\.(weight|bias)$", name)
    if block:
        side, index, part, kind = block.groups()
        # the original interleaves attention (even) and MLP (odd) in one list
        ours = _BLOCK_PARTS.get(part, (None, None))[int(index) % 2]
        return f"{side}.trunk.blocks.{int(index) // 2}.{ours}.{kind}" if ours else name
    return _renamed(name, _CODEC_NAMES)


def _renamed(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in table:
        ours, count = re.subn(pattern, replacement, name)
        if count:
            return ours
    return name


def _speech_name(name: str) -> str:
    name = name.removeprefix("audio_encoder.")
    # the released files come from before torch's parametrised weight norm
    name = re.sub(r"pos_conv_embed\.conv\.weight_g$", "pos_conv_embed.conv.parametrizations.weight.original0", name)
    name = re.sub(r"pos_conv_embed\.conv\.weight_v$", "pos_conv_embed.conv.parametrizations.weight.original1", name)
    return f"network.{name}"


def _shape(state: Mapping[str, Tensor], name: str, where: Path) -> torch.Size:
    if name not in state:
        raise BundleError(
            f"'{where}' lacks '{name}'.", "Give the stage-1 file as stage 1 and the stage-2 file as stage 2."
        )
    return state[name].shape


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({found.group(1) for name in state if (found := re.match(pattern, name))})


def codec_config(state: Mapping[str, Tensor], options: OfficialOptions, where: Path) -> CodecConfig:
    """The codec's config from the shapes of a stage-1 state dict."""
    hidden, motion_dim = _shape(state, "encoder.vertice_mapping.0.weight", where)
    codes, code_dim = _shape(state, "quantize.embedding.weight", where)
    mlp = _shape(state, "encoder.encoder_transformer.net.1.fn.fn.l1.weight", where)[0]
    # only the BIWI flavour has a Linear between hidden and codes
    projection = "encoder.encoder_linear_embedding_post.net.weight"
    latent = _shape(state, projection, where)[0] if projection in state else hidden
    try:
        return CodecConfig(
            vertex_count=motion_dim // 3,
            hidden=hidden,
            layers=_count(state, r"encoder\.encoder_transformer\.net\.(\d+)\.") // 2,
            heads=options.codec_heads,
            mlp=mlp,
            code_count=codes,
            components=latent // code_dim,
            code_dim=code_dim,
            kernel=_shape(state, "encoder.squasher.0.0.weight", where)[2],
            code_projection=projection in state,
            output_bias="decoder.vertice_map_reverse.bias" in state,
        )
    except ValueError as error:
        raise BundleError(f"'{where}' does not fit: {error}.", "Check --codec-heads.") from error


def load_stage1(path: Path, options: OfficialOptions = OfficialOptions()) -> Codec:
    """Stage 1 of either flavour.  Raises BundleError."""
    state = read_checkpoint(path)
    codec = Codec(codec_config(state, options, path))
    load_strictly(codec, {_codec_name(name): tensor for name, tensor in state.items()}, str(path))
    return codec.eval()


def load_stage2(
    path: Path, codec: CodecConfig, options: OfficialOptions = OfficialOptions()
) -> tuple[CodeQuery, SpeechEncoder]:
    """Stage 2 of the codec's flavour, with its fine-tuned speech encoder.  Raises BundleError."""
    state = {n: t for n, t in read_checkpoint(path).items() if not n.startswith("autoencoder.")}
    styles, hidden = _shape(state, "learnable_style_emb.weight", path)
    motion_dim = _shape(state, "vertice_map.weight", path)[1]
    if motion_dim != codec.motion_dim:
        raise BundleError(
            f"Stage 2 in '{path}' has {motion_dim // 3} vertices but stage 1 has {codec.vertex_count}.",
            "Give the two stages of the same model.",
        )
    biwi = codec.code_projection
    fps = options.fps or (25.0 if biwi else 30.0)
    try:
        query = CodeQuery(
            QueryConfig(
                motion_dim=motion_dim,
                speech_dim=_shape(state, "audio_feature_map.weight", path)[1],
                hidden=hidden,
                layers=_count(state, r"transformer_decoder\.layers\.(\d+)\."),
                heads=options.query_heads,
                mlp=_shape(state, "transformer_decoder.layers.0.linear1.weight", path)[0],
                components=codec.components,
                code_dim=codec.code_dim,
                code_count=codec.code_count,
                styles=styles,
                period=options.period or (25 if biwi else 30),
                speech_frames=2 if biwi else 1,
            )
        )
        groups, kernel = _position_conv(state, path)
        speech = SpeechEncoder(
            SpeechConfig(
                conv_dim=_shape(state, "audio_encoder.feature_extractor.conv_layers.0.conv.weight", path)[0],
                hidden=_shape(state, "audio_encoder.feature_projection.projection.weight", path)[0],
                layers=_count(state, r"audio_encoder\.encoder\.layers\.(\d+)\."),
                heads=options.speech_heads,
                mlp=_shape(state, "audio_encoder.encoder.layers.0.feed_forward.intermediate_dense.weight", path)[0],
                position_kernel=kernel,
                position_groups=groups,
                fps=fps,
                speech_frames=2 if biwi else 1,
            )
        )
    except ValueError as error:
        raise BundleError(
            f"'{path}' does not fit: {error}.", "Check --query-heads, --speech-heads and --fps."
        ) from error
    speech_state = {_speech_name(n): t for n, t in state.items() if n.startswith("audio_encoder.")}
    load_strictly(speech, speech_state, str(path))
    rest = {_renamed(n, _QUERY_NAMES): t for n, t in state.items() if not n.startswith("audio_encoder.")}
    load_strictly(query, rest, str(path))
    return query.eval(), speech.eval()


def _position_conv(state: Mapping[str, Tensor], where: Path) -> tuple[int, int]:
    """Groups and kernel of the positional convolution, in either naming of its weight norm."""
    stem = "audio_encoder.encoder.pos_conv_embed.conv."
    old = stem + "weight_v" in state
    shape = _shape(state, stem + ("weight_v" if old else "parametrizations.weight.original1"), where)
    return shape[0] // shape[1], shape[2]
